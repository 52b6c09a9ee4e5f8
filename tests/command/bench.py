# SPDX-License-Identifier: MIT
"""peal bench is peal-bench, where that was built, and says so where it was not.

usage: bench.py PEAL
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from command import BUILD, PEAL, Skip, case, finish, one_line, peal, start, until

BENCH = os.path.join(BUILD, 'bench', 'peal-bench')


def must_be_built():
    if not os.path.exists(BENCH):
        raise Skip('built without bench')


@case
def it_is_peal_bench():
    must_be_built()
    assert peal('bench', '--list').stdout == subprocess.run([BENCH, '--list'], stdout=subprocess.PIPE,
                                                            check=True).stdout
    assert b'usage: peal-bench' in peal('bench', '--help').stdout


@case
def it_measures():
    must_be_built()
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, 'result.json')
        done = peal('bench', '--smoke', '--only', 'spawn,onecpu,peal', '--json', file)
        assert b'Peal' in done.stdout
        with open(file, encoding='utf-8') as report:
            assert {'spawn', 'onecpu'} <= {row['bench'] for row in json.load(report)['results']}


@case
def its_errors_are_its_own():
    must_be_built()
    assert b'no-such-bench' in peal('bench', '--only', 'no-such-bench', status=2).stderr


@case
def a_full_device_is_an_error():
    must_be_built()
    for arguments in ['--list'], ['--help'], ['--smoke', '--only', 'spawn,peal']:
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([PEAL, 'bench', *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 1, (arguments, done)
        assert b'peal-bench: standard output: No space left on device\n' in done.stderr, (arguments, done)


@case
def it_has_the_signals_that_it_would_have():
    must_be_built()
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([PEAL, 'bench', '--list'], stdout=write, check=False)
    os.close(write)
    assert done.returncode == -signal.SIGPIPE, done.returncode


def has_handlers(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith('SigCgt:'))
    return all(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


@case
def a_signal_ends_it_with_its_status():
    must_be_built()
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        bench = start('bench', '--only', 'spawn,peal', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until('it handles signals', lambda: has_handlers(bench.pid))
        bench.send_signal(number)
        assert bench.wait() == 128 + number, (number, bench.returncode)


@case
def without_it_that_is_said():
    with tempfile.TemporaryDirectory() as directory:
        alone = shutil.copy(PEAL, directory)
        libraries = os.path.join(BUILD, 'src')
        done = subprocess.run([alone, 'bench', '--list'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, 'LD_LIBRARY_PATH': libraries}, check=False)
    if done.returncode == 0:
        raise Skip('a peal-bench is installed on this machine')
    assert done.returncode == 127 and done.stdout == b''
    assert '-Dbench=enabled' in one_line(done.stderr)


finish()
