# SPDX-License-Identifier: MIT
"""peal run: what goes in comes out, whatever the streams are; how a guest ended is told; no end hangs.

usage: run.py PEAL
"""
import fcntl
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

from command import PEAL, Skip, Terminal, case, finish, guest, one_line, peal, start, until
from refuse import program, refuse

GUEST = guest('command-guest')
MB = 1 << 20


def run(*arguments, stdin=b'', status=0, **more):
    """Arguments up to the guest's mode are options."""
    options = [word for word in arguments if word.startswith('-') or '=' in word]
    mode = [word for word in arguments if word not in options]
    return peal('run', *options, GUEST, *mode, stdin=stdin, status=status, **more)


def report(done):
    return json.loads(done.stderr.decode().splitlines()[-1])


def guest_of(process):
    """The process id of the guest, once it has been started."""
    path = f'/proc/{process.pid}/task/{process.pid}/children'

    def children():
        with open(path, encoding='ascii') as file:
            return file.read().split()

    until('it has a child', children)
    return int(children()[0])


def is_gone(pid):
    """No such process, or a zombie that somebody else has still to reap."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def stands_still(pid):
    """It sleeps, and nothing wakes it for half a second; a busy or ticking loop never gets here."""
    def switches():
        with open(f'/proc/{pid}/status', encoding='ascii') as file:
            return re.findall(r'ctxt_switches:\s+(\d+)', file.read())

    while True:
        before = switches()
        time.sleep(0.5)
        if switches() == before:
            with open(f'/proc/{pid}/stat', encoding='ascii') as file:
                if file.read().rsplit(')', 1)[1].split()[0] == 'S':
                    return


def framed(records):
    return b''.join(struct.pack('<I', len(record)) + record for record in records)


# --- Data ------------------------------------------------------------------------------------------


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


# --- Ends ------------------------------------------------------------------------------------------


@case
def a_guest_s_status_is_ours():
    for status in (0, 1, 3, 125, 255):
        done = run('exit', '1', str(status), stdin=b'x\n', status=status)
        assert done.stdout == b'x\n'
        if status:
            assert re.search(rf"'{GUEST}' \(pid \d+\) exited with status {status}", one_line(done.stderr))
        else:
            assert done.stderr == b''


@case
def a_signal_is_named():
    for number, name in ((signal.SIGSEGV, 'Segmentation fault'), (signal.SIGKILL, 'Killed')):
        done = run('--rlimit', 'core=0', 'kill', '2', str(int(number)), stdin=b'a\nb\n', status=128 + number)
        assert done.stdout == b'a\nb\n'
        assert f'was killed by signal {int(number)} ({name})' in one_line(done.stderr)


@case
def a_guest_may_leave_before_its_input_ends():
    done = run('exit', '3', '0', stdin=b''.join(b'%d\n' % i for i in range(500000)))
    assert done.stdout == b'0\n1\n2\n'
    assert 'exited with status 0, before it had taken all of its input' in one_line(done.stderr)


@case
def what_is_no_guest_is_told_apart():
    done = peal('run', '/bin/true', status=1)
    assert 'exited with status 0 before it attached' in one_line(done.stderr)
    done = peal('run', '/no/such/program', status=127)
    assert 'No such file' in one_line(done.stderr)
    done = peal('run', '/etc/passwd', status=126)
    assert 'Permission denied' in one_line(done.stderr)


@case
def a_guest_that_never_attaches_is_given_up():
    done = run('--ready=0.2s', 'absent', status=1)
    assert 'has not attached within 200 ms' in one_line(done.stderr)


@case
def a_guest_that_lies_is_ended():
    done = run('lie', stdin=b'x\n', status=1)
    assert done.stdout in (b'true\n', b'')
    assert 'the ring from the guest' in one_line(done.stderr)


@case
def what_a_guest_says_it_took_is_not_believed():
    told = report(run('--json', 'boast', stdin=b'x\n' * 1000, status=None))
    assert 0 <= told['lost_bytes'] <= MB, told


@case
def an_interrupt_ends_it_and_its_guest():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for mode in ('echo', 'hang', 'absent'):
            process = start('run', GUEST, mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            child = guest_of(process)
            process.send_signal(number)
            assert process.wait() == 128 + number, (number, mode)
            assert is_gone(child) and process.stdout.read() == b''
            process.stdin.close()
            process.stdout.close()


@case
def an_interrupt_ends_it_also_when_nobody_reads_its_output():
    process = start('run', GUEST, 'burst', '100000000', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    child = guest_of(process)
    stands_still(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130 and is_gone(child)
    process.stdout.close()


@case
def it_sleeps_while_there_is_nothing_to_do():
    for mode in ('echo', 'hang'):
        process = start('run', '--to-guest=4K', GUEST, mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        guest_of(process)
        # Fills the ring, where nobody reads it.
        threading.Thread(target=lambda: feed(process, 20000), daemon=True).start()
        if mode == 'echo':
            for _ in range(20000):
                process.stdout.readline()
        stands_still(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        process.stdout.close()


def feed(process, count):
    try:
        process.stdin.write(b'line\n' * count)
        process.stdin.flush()
    except (OSError, ValueError):
        pass


@case
def a_reader_that_leaves_ends_it():
    # With something to write, and with nothing.
    for mode in (('burst', '100000000'), ('hang',)):
        process = start('run', GUEST, *mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child = guest_of(process)
        process.stdout.close()
        assert process.wait() == 141 and is_gone(child), mode
        assert process.stderr.read() == b''
        process.stdin.close()
        process.stderr.close()


@case
def a_full_disk_is_an_error():
    with open('/dev/full', 'wb') as full:
        process = start('run', GUEST, 'burst', '10', stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
        assert process.wait() == 1
        assert 'No space left' in one_line(process.stderr.read())
        process.stderr.close()


@case
def a_closed_stream_is_an_error():
    assert 'standard input: Bad file' in one_line(
        run('echo', status=1, preexec_fn=lambda: os.close(0)).stderr)
    for mode in (('burst', '10'), ('hang',)):
        assert 'standard output: Bad file' in one_line(
            run(*mode, status=1, preexec_fn=lambda: os.close(1)).stderr)


@case
def a_guest_dies_with_it():
    process = start('run', GUEST, 'hang', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = guest_of(process)
    stands_still(child)
    process.kill()
    process.wait()
    until('the guest is gone', lambda: is_gone(child))
    process.stdin.close()
    process.stdout.close()


# --- Starting again --------------------------------------------------------------------------------


@case
def a_guest_that_fails_is_started_again():
    process = start('run', '--json', '--restart=2', GUEST, 'exit', '1', '7', stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Each takes one and ends; the input stays open, so another one has something to do.
    for i in range(3):
        process.stdin.write(b'%d\n' % i)
        process.stdin.flush()
        assert process.stdout.readline() == b'%d\n' % i
        if i < 2:
            line = process.stderr.readline().decode()
            wait = '200 ms' if i else '100 ms'
            assert f'exited with status 7; starting it again in {wait} ({1 - i} left)' in line, line
    assert process.wait() == 7
    told = json.loads(process.stderr.read())
    assert told['starts'] == 3 and told['status'] == 7 and told['out_records'] == 3, told
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


@case
def the_next_guest_gets_the_whole_rest():
    process = start('run', '--restart=1', '--to-guest=4K', '--to-host=16M', GUEST, 'exit', '100000', '7',
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    threading.Thread(target=lambda: feed(process, 500000), daemon=True).start()
    # The first one has ended, and its answers are not written yet.
    child = guest_of(process)
    until('it has ended', lambda: is_gone(child))
    stands_still(process.pid)
    assert len(process.stdout.read()) == 2 * 100000 * len('line\n')
    assert process.wait() == 7
    process.stdin.close()
    process.stdout.close()


@case
def success_and_the_end_of_input_are_not_started_again():
    assert report(run('--json', '--restart=5', 'exit', '1', '0', stdin=b'a\n'))['starts'] == 1
    # There is more of it than fits into the ring.
    assert report(run('--json', '--restart=5', 'exit', '1', '0', stdin=b'a\n' * MB))['starts'] == 1
    assert report(run('--json', '--restart=5', 'exit', '1', '9', stdin=b'a\n', status=9))['starts'] == 1


@case
def an_interrupt_ends_the_pause_too():
    process = start('run', '--restart=99', '/bin/false', stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    while b'in 800 ms' not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    process.stdin.close()
    process.stderr.close()


# --- Limits ----------------------------------------------------------------------------------------


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


# --- What is shown ---------------------------------------------------------------------------------


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
