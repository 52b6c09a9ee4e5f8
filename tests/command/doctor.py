# SPDX-License-Identifier: MIT
"""peal doctor says what is so: on this machine, under filters that take something away, under limits.

usage: doctor.py PEAL
"""
import json
import os
import pathlib
import re
import resource

from command import Terminal, case, finish, one_line, peal
from refuse import refuse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def examine(*refused, status=None, limits=None, cpus=None):
    """What doctor finds, by the name of the check; the table must say the same, within 80 columns."""
    install = refuse(*refused) if refused else None

    def prepare():
        if cpus:
            os.sched_setaffinity(0, cpus)
        for name, value in (limits or {}).items():
            resource.setrlimit(name, (value, value))
        if install:
            install()

    done = peal('doctor', '--json', status=status, preexec_fn=prepare)
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.stderr == b'', done.stderr
    table = peal('doctor', status=done.returncode, preexec_fn=prepare)
    rows = re.findall(r'^(ok|fallback|missing) +(\S+(?: \S+)*)  +\S', table.stdout.decode(), re.M)
    assert rows == [(row['health'], row['check']) for row in found], (rows, found)
    assert max(map(len, table.stdout.decode().splitlines())) <= 80, table.stdout.decode()
    for row in found:
        assert (row['health'] == 'ok') == (row['effect'] == ''), row
        if 'page' in row:
            assert (ROOT / row['page']).is_file(), row
    by_name = {row['check']: row for row in found}
    assert done.returncode == (0 if by_name['channel']['health'] == 'ok' else 1)
    return by_name


def health(found):
    return {name: row['health'] for name, row in found.items()}


BASE = health(examine())


def differs(found, **changed):
    """Of what is so without the filter, exactly this is otherwise (and the filter itself is seen)."""
    expected = {**BASE, 'seccomp': 'fallback', **changed}
    assert health(found) == expected, (health(found), expected)


@case
def a_channel_works_here():
    assert examine(status=0)['channel']['health'] == 'ok'


@case
def a_filter_around_it_is_seen():
    found = examine(('clone', 'EPERM', 0, 0), status=0)
    differs(found)
    assert 'strict' in found['seccomp']['effect']


@case
def without_io_uring_it_falls_back_to_epoll():
    found = examine(('io_uring_setup', 'EPERM'), status=0)
    differs(found, io_uring='fallback')
    assert 'epoll' in found['io_uring']['effect'] and 'not permitted' in found['io_uring']['found']


@case
def an_old_kernel_s_io_uring_is_no_riddle():
    assert 'filter' not in examine(('io_uring_setup', 'ENOSYS'))['io_uring']['found']


@case
def without_memfd_nothing_works():
    found = examine(('memfd_create', 'EPERM'), status=1)
    differs(found, channel='missing', memfd='missing', noexec='missing')
    assert 'not permitted' in found['channel']['found']


@case
def an_old_memfd_is_enough():
    found = examine(('memfd_create', 'EINVAL', 8, 1), status=0)
    differs(found, noexec='fallback')


@case
def a_seal_that_does_not_hold_is_none():
    # F_SEAL_FUTURE_WRITE
    found = examine(('fcntl', None, 0x10, 2), status=1)
    differs(found, channel='missing', memfd='missing')
    assert 'FUTURE_WRITE does not hold' in found['memfd']['found']


@case
def without_membarrier_it_fences():
    found = examine(('membarrier', 'EPERM'), status=0)
    differs(found, membarrier='fallback')


@case
def without_pidfd_open_sockets_tell():
    differs(examine(('pidfd_open', 'ENOSYS'), status=0), pidfd='fallback')


@case
def without_sockets_or_eventfds_something_is_missing():
    differs(examine(('socketpair', 'EACCES'), status=1), channel='missing', doorbells='missing')
    found = examine(('eventfd2', 'EPERM'), status=0)
    # The poller has one as well.
    differs(found, doorbells='missing', io_uring='fallback')


@case
def everything_refused_is_reported_row_by_row():
    found = examine(('io_uring_setup', 'EPERM'), ('memfd_create', 'EPERM'), ('membarrier', 'EPERM'),
                    ('pidfd_open', 'EPERM'), status=1)
    differs(found, channel='missing', memfd='missing', noexec='missing', membarrier='fallback',
            pidfd='fallback', io_uring='fallback')


@case
def small_limits_are_named():
    found = examine(limits={resource.RLIMIT_NOFILE: 40}, status=0)
    assert found['files']['health'] == 'fallback' and '40 descriptors' in found['files']['found']
    found = examine(limits={resource.RLIMIT_NOFILE: 6}, status=1)
    assert found['files']['health'] == 'missing' and found['channel']['health'] == 'missing'
    found = examine(limits={resource.RLIMIT_FSIZE: 65536}, status=0)
    assert found['file size']['health'] == 'fallback' and '64.0 KiB' in found['file size']['found']
    found = examine(limits={resource.RLIMIT_FSIZE: 4096}, status=1)
    assert found['file size']['health'] == 'missing' and 'RLIMIT_FSIZE' in found['channel']['found']


@case
def one_processor_is_said_to_be_slow():
    found = examine(cpus={min(os.sched_getaffinity(0))}, status=0)
    assert found['processors']['health'] == 'fallback' and found['processors']['found'].startswith('1 of ')


@case
def its_figures_are_those_of_the_pages():
    # Of a run's table, the medians of Peal and of Peal with fences.
    result = (ROOT / 'docs/benchmarks-result.txt').read_text(encoding='utf-8')

    def ratio(size):
        table = result.split(f'throughput, {size} B, spin\n')[1].split('\n\n')[0]
        ours, fenced = (float(re.search(rf'^  {name} +([\d.]+) M/s', table, re.M)[1])
                        for name in ('Peal', 'Peal, fences'))
        return f'{fenced / ours:.2f} '

    effect = examine(('membarrier', 'EPERM'))['membarrier']['effect']
    assert re.search(f'{ratio(8)}.* at 8 B, {ratio(64)}at 64 B', effect), (effect, ratio(8), ratio(64))
    effect = examine(cpus={min(os.sched_getaffinity(0))})['processors']['effect']
    row = re.search(r'both on one processor, against a pipe .*', (ROOT / 'docs/benchmarks.md').read_text())[0]
    figures = re.findall(r'\d+(?:\.\d+)?', effect)
    assert figures and all(re.search(rf'\b{re.escape(figure)}\b', row) for figure in figures), (figures, row)
    effect = examine(('io_uring_setup', 'EPERM'))['io_uring']['effect']
    pollers = (ROOT / 'docs/poller.md').read_text(encoding='utf-8')
    assert '3 system calls rather than 2' in effect
    assert re.search(r'with io_uring send and io_uring_enter,\s+2; with epoll [^;]*, 3;', pollers)


@case
def colour_is_for_terminals_that_want_it():
    assert b'\033[' not in peal('doctor').stdout
    for env, coloured in [({}, True), ({'NO_COLOR': '1'}, False), ({'TERM': 'dumb'}, False),
                          ({'NO_COLOR': ''}, True)]:
        status, text = Terminal('doctor', env=env).end()
        assert status == 0 and (b'\033[32mok' in text) == coloured and (b'\033' in text) == coloured, text


@case
def its_own_guest_is_nobody_else_s():
    assert 'no --segment-fd' in one_line(peal('doctor', '--guest', status=2).stderr)


finish()
