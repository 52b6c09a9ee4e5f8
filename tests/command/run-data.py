# SPDX-License-Identifier: MIT
"""peal run: what goes in comes out, whatever the streams are.

usage: run-data.py PEAL
"""
import fcntl
import os
import random
import shutil
import subprocess
import tempfile
import time

from command import PEAL, Skip, Terminal, case, finish, start
from refuse import refuse
from running import GUEST, MB, framed, guest_of, run, stands_still


@case
def lines_go_and_come():
    assert run('echo', stdin=b'one\n\n\xff\x00\r\nlast').stdout == b'one\n\n\xff\x00\r\nlast\n'
    done = run('echo', stdin=b'')
    assert done.stdout == b'' and done.stderr == b'', done
    assert run('echo', stdin=b'\n').stdout == b'\n'


@case
def a_million_lines_go_through():
    lines = b''.join(b'%d\n' % i for i in range(1000000))
    assert run('echo', stdin=lines).stdout == lines


@case
def small_rings_are_enough():
    random.seed(6)
    lines = b''.join(random.randbytes(random.randrange(1500)).replace(b'\n', b'') + b'\n' for _ in range(5000))
    for kind in ('socket', 'eventfd'):
        options = ('--to-guest=4K', '--to-host=4K', f'--doorbell={kind}')
        assert run(*options, 'echo', stdin=lines).stdout == lines, kind


@case
def records_may_hold_anything():
    random.seed(7)
    records = [b'', b'\n', *(random.randbytes(random.randrange(200000)) for _ in range(200))]
    stream = framed(records)
    assert run('--framing=length', 'echo', stdin=stream).stdout == stream


@case
def the_input_may_be_a_file_and_the_output_too():
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        lines = b''.join(b'line %d\n' % i for i in range(100000))
        source.write(lines)
        source.seek(0)
        subprocess.run([PEAL, 'run', GUEST, 'echo'], stdin=source, stdout=target, check=True)
        target.seek(0)
        assert target.read() == lines


@case
def a_line_comes_as_soon_as_it_went():
    process = start('run', GUEST, 'echo', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for i in range(20):
        process.stdin.write(b'%d\n' % i)
        process.stdin.flush()
        assert process.stdout.readline() == b'%d\n' % i
    process.stdin.close()
    assert process.wait() == 0 and process.stdout.read() == b''
    process.stdout.close()


@case
def a_slow_reader_gets_all():
    process = start('run', '--to-host=4K', GUEST, 'burst', '200000', stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE)
    got = b''
    while piece := os.read(process.stdout.fileno(), 7777):
        got += piece
        if len(got) % 5 == 0:
            time.sleep(0.001)
    process.stdout.close()
    assert process.wait() == 0
    assert got == b''.join(b'%d\n' % i for i in range(200000))


@case
def a_reader_that_takes_all_at_once_gets_all():
    process = start('run', '--to-host=4K', GUEST, 'burst', '400000', stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE)
    # More than peal holds back: when it goes on, it can write all of that.
    fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, MB)
    guest_of(process)
    got = b''
    for _ in range(2):
        stands_still(process.pid)
        got += os.read(process.stdout.fileno(), MB)
    got += process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0
    assert got == b''.join(b'%d\n' % i for i in range(400000))


@case
def what_stands_before_the_end_arrives_before_it():
    if not shutil.which('strace'):
        raise Skip('no strace')
    # The hang-up takes long: what is not in the ring by then is too late.
    done = subprocess.run(['strace', '-o', '/dev/null', '-e', 'trace=shutdown', '-e',
                           'inject=shutdown:delay_exit=300000', PEAL, 'run', GUEST, 'echo'],
                          input=b'last, without its end', stdout=subprocess.PIPE, check=True)
    assert done.stdout == b'last, without its end\n', done.stdout


@case
def after_the_end_of_input_the_last_answers_come():
    lines = b''.join(b'%d\n' % i for i in range(200000))
    expected = b'200000 records, %d bytes\n' % (len(lines) - 200000)
    for kind in ('socket', 'eventfd'):
        assert run(f'--doorbell={kind}', 'count', stdin=lines).stdout == expected, kind
        assert run(f'--doorbell={kind}', 'count').stdout == b'0 records, 0 bytes\n', kind


@case
def a_guest_that_polls_hears_the_end_as_well():
    lines = b''.join(b'%d\n' % i for i in range(100000))
    # Of enum peal_poller_backend: whatever there is, and epoll.
    for backend in ('0', '2'):
        assert run('poll', backend, stdin=lines).stdout == lines, backend


@case
def a_terminal_is_an_input_like_any_other():
    terminal = Terminal('run', GUEST, 'echo', streams=(0,), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    terminal.type(b'typed\n')
    assert terminal.process.stdout.readline() == b'typed\n'
    terminal.type(b'\x04')
    assert terminal.end()[0] == 0
    assert terminal.process.stdout.read() == b'' and terminal.process.stderr.read() == b''
    terminal.process.stdout.close()
    terminal.process.stderr.close()


@case
def without_io_uring_it_is_the_same():
    lines = b''.join(b'%d\n' % i for i in range(100000))
    assert run('echo', stdin=lines, preexec_fn=refuse(('io_uring_setup', 'EPERM'))).stdout == lines


@case
def input_that_is_wrong_is_an_error_after_what_was_right():
    done = run('--to-guest=4K', 'echo', stdin=b'a\nb\n' + b'x' * 5000 + b'\nc\n', status=1)
    assert done.stdout == b'a\nb\n'
    assert 'record 3 of the input is larger than' in done.stderr.decode(), done.stderr
    done = run('--framing=length', 'echo', stdin=framed([b'one']) + b'\x05\0\0\0four', status=1)
    assert done.stdout == framed([b'one']) and 'inside of record 2' in done.stderr.decode(), done.stderr
    done = run('--framing=length', 'echo', stdin=b'\xff\xff\xff\xff', status=1)
    assert 'record 1 of the input is larger' in done.stderr.decode(), done.stderr


@case
def what_a_guest_prints_is_not_data():
    done = run('print', stdin=b'for the ring\n')
    assert done.stdout == b'no input\n' and b'on standard output\n' in done.stderr, done


finish()
