# SPDX-License-Identifier: MIT
"""peal run: how a guest ended is told, no end hangs, and what fails is started again.

usage: run-ends.py PEAL
"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from command import PEAL, case, finish, one_line, peal, start, until
from running import GUEST, MB, feed, guest_of, is_gone, report, run, stands_still


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
def what_was_ignored_before_does_not_end_it():
    with subprocess.Popen(['nohup', PEAL, 'run', GUEST, 'echo'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as child:
        child.stdin.write(b'before\n')
        child.stdin.flush()
        assert child.stdout.readline() == b'before\n'
        child.send_signal(signal.SIGHUP)
        assert child.communicate(b'after\n')[0] == b'after\n'
        assert child.returncode == 0


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


@case
def the_report_is_json_whatever_bytes_the_program_s_name_has():
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place.encode(), b'no-utf-8-\xff')
        shutil.copy('/bin/false', path)
        told = json.loads(one_line(peal('run', '--json', path, status=1).stderr))
    assert told['status'] == 1 and r'/no-utf-8-\xff' in told['end'], told


finish()
