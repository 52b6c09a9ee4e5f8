# SPDX-License-Identifier: MIT
"""peal run: what a guest has and may, and what is shown of it.

usage: run-guests.py PEAL
"""
import os
import re
import signal
import subprocess
import tempfile

from command import Terminal, case, finish, one_line, peal, start
from refuse import program
from running import GUEST, guest_of, report, run, stands_still


@case
def limits_and_no_new_privs_are_set():
    done = run('--rlimit', 'nofile=100:200', '--rlimit', 'core=0', 'limits')
    assert done.stdout == b'nofile 100:200 core 0 nnp 0\n', done.stdout
    done = run('--rlimit', 'nofile=64', '--no-new-privs', 'limits').stdout.decode()
    assert done.startswith('nofile 64:64 ') and done.endswith('nnp 1\n'), done


def tries(*options):
    return dict(line.split() for line in run(*options, 'try').stdout.decode().splitlines())


@case
def the_profile_compute_takes_away_what_it_says():
    everything = ('read', 'write', 'socket', 'fork', 'thread', 'kill', 'owner')
    assert tries() == {name: 'works' for name in everything}
    assert tries('--seccomp=compute') == {
        name: 'works' if name in ('read', 'thread') else 'EPERM' for name in everything}


@case
def a_caged_guest_works_and_ends_as_any_other():
    lines = b''.join(b'%d\n' % i for i in range(50000))
    for kind in ('socket', 'eventfd'):
        assert run('--seccomp=compute', f'--doorbell={kind}', 'echo', stdin=lines).stdout == lines
    done = run('--seccomp=compute', '--rlimit', 'core=0', 'abort', status=128 + signal.SIGABRT)
    assert 'Aborted' in one_line(done.stderr)
    assert b'nnp 1' in run('--seccomp=compute', 'limits').stdout
    # Each guest its own number.
    done = run('--seccomp=compute', '--restart=1', '--rlimit', 'core=0', 'abort', stdin=b'x\n' * 1000000,
               status=128 + signal.SIGABRT)
    assert done.stderr.count(b'Aborted') == 2, done.stderr


@case
def a_filter_may_come_from_a_file():
    with tempfile.NamedTemporaryFile() as file:
        file.write(program(('socketpair', 'EPERM'), ('clone', 'EPERM')))
        file.flush()
        found = tries(f'--seccomp={file.name}')
        assert found['fork'] == 'EPERM' and found['socket'] == 'works', found
        file.write(b'odd')
        file.flush()
        assert 'no BPF program' in one_line(run(f'--seccomp={file.name}', 'echo', status=2).stderr)
    with tempfile.NamedTemporaryFile() as file:
        assert 'no BPF program' in one_line(run(f'--seccomp={file.name}', 'echo', status=2).stderr)
    assert 'compute' in one_line(run('--seccomp=none', 'echo', status=2).stderr)


@case
def a_guest_inherits_nothing_of_ours():
    process = start('run', GUEST, 'hang', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = guest_of(process)
    stands_still(child)
    names = {fd: os.readlink(f'/proc/{child}/fd/{fd}') for fd in os.listdir(f'/proc/{child}/fd')}
    assert names['0'] == '/dev/null' and names['1'] == names['2'], names
    # Two doorbells and a pidfd.
    rest = sorted(name.split('[')[0] for fd, name in names.items() if int(fd) > 2)
    assert rest == ['anon_inode:', 'socket:', 'socket:'], names
    process.terminate()
    process.wait()
    process.stdin.close()
    process.stdout.close()


@case
def a_terminal_shows_how_it_goes():
    terminal = Terminal('run', GUEST, 'hang', columns=80, streams=(1, 2), stdin=subprocess.PIPE)
    terminal.process.stdin.write(b'x\n' * 1000)
    terminal.process.stdin.flush()
    terminal.wait_for(b'in 1.00 k')
    shown = terminal.wait_for(b'guest has not read for 1.')
    assert all(len(line) < 80 for line in re.split(rb'\r|\x1b\[K', shown)), shown
    terminal.type(b'\x03')
    status, text = terminal.end()
    assert status == 130 and b'records in' in text, text
    terminal.process.stdin.close()


@case
def a_narrow_terminal_is_not_wrapped():
    terminal = Terminal('run', GUEST, 'hang', columns=20, streams=(1, 2), stdin=subprocess.PIPE)
    terminal.process.stdin.write(b'x\n' * 1000)
    terminal.process.stdin.flush()
    shown = terminal.wait_for(b'in 1.00 k') + terminal.wait_for(b'\r')
    assert all(len(line) < 20 for line in re.split(rb'\r|\x1b\[K', shown)), shown
    terminal.type(b'\x03')
    assert terminal.end()[0] == 130
    terminal.process.stdin.close()


@case
def data_on_the_same_terminal_stays_whole():
    terminal = Terminal('run', GUEST, 'burst', '2000', streams=(1, 2), stdin=subprocess.DEVNULL)
    status, text = terminal.end()
    lines = [re.split(rb'\r\x1b\[K', line)[-1].strip() for line in text.split(b'\n')]
    assert status == 0 and [line for line in lines if line.isdigit()] == [b'%d' % i for i in range(2000)], text


@case
def elsewhere_nothing_is_shown():
    assert run('echo', stdin=b'x\n' * 100000).stderr == b''


@case
def the_report_is_json():
    told = report(run('--json', 'echo', stdin=b'one\ntwo\n'))
    assert {key: told[key] for key in ('status', 'signal', 'in_records', 'in_bytes', 'out_records', 'out_bytes',
                                       'lost_bytes', 'starts')} == {
        'status': 0, 'signal': 0, 'in_records': 2, 'in_bytes': 6, 'out_records': 2, 'out_bytes': 6,
        'lost_bytes': 0, 'starts': 1}, told
    assert told['seconds'] > 0 and 'exited with status 0' in told['end']
    told = report(run('--json', 'exit', '2', '3', stdin=b'1\n2\n3\n4\n', status=3))
    assert told['status'] == 3, told


@case
def wrong_usage_is_said_in_a_line():
    for words, expected in [
            ((), 'a program to run'), (('--framing=words', 'x'), "'lines' or 'length'"),
            (('--to-guest=1', 'x'), '4.00 KiB'), (('--to-guest=4Q', 'x'), 'a size such as'),
            (('--to-host=99999999999999999999', 'x'), 'a size such as'), (('--to-host=2048G', 'x'), '1.00 TiB'),
            (('--doorbell=bell', 'x'), "'socket' or 'eventfd'"), (('--rlimit=speed=1', 'x'), "not 'speed'"),
            (('--rlimit=core', 'x'), 'NAME=SOFT'), (('--rlimit=core=2:1', 'x'), 'above the hard'),
            (('--rlimit=core=1:x', 'x'), 'NAME=SOFT'), (('--restart=-1', 'x'), 'a number from 0'),
            (('--ready=soon', 'x'), 'a time such as'), (('--ready', ), 'requires an argument')]:
        line = one_line(peal('run', *words, status=2).stderr)
        assert line.startswith('peal run: ') and expected in line, (words, line)


finish()


finish()
