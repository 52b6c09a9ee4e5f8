# SPDX-License-Identifier: MIT
"""peal pipe ends as the shell's pipes do: early, by failures, by signals; and leaves nothing behind.

usage: pipe-ends.py PEAL
"""
import fcntl
import os
import resource
import signal
import struct
import subprocess
import termios

from command import case, finish, guest, one_line, peal, start, until
from pipes import MIB, Folder, line, noise, processes, same, shell
from refuse import refuse

# So many seconds nobody else sleeps.
MARK = f'9999.{os.getpid()}'
STAGE = '@' + guest('stage-guest') + ' upper'


@case
def an_early_end_ends_those_before():
    for stages in [('yes', 'head -1'), ('yes', 'cat', 'cat', 'head -3'), ('yes', 'true')]:
        assert same(*stages).stderr == b''


@case
def a_writer_learns_at_once_that_its_reader_is_gone():
    # It writes once and then waits for nothing but that.
    program = 'import select as s; p = s.poll(); p.register(1, 0); print("x", flush=True); p.poll()'
    same(f"python3 -c '{program}'", 'head -1')


@case
def the_status_is_the_shell_s():
    for stages in [('false', 'true'), ('true', 'false'), ('exit 3', 'exit 4', 'exit 0'),
                   ('true', 'kill -9 $$'), ('yes', 'head -1'), ('no-such-program', 'true'),
                   ('true', 'no-such-program'), ('true', '/etc/passwd'), ('/', 'cat')]:
        text = ' | '.join(f'({stage.replace("$$", "$BASHPID")})' for stage in stages)
        for options in [(), ('--pipefail',)]:
            done = peal('pipe', *options, *stages, status=None)
            assert done.returncode == shell(text, pipefail=bool(options))[0], (options, stages, done)


@case
def a_failed_stage_is_named_with_how_it_ended():
    done = peal('pipe', 'exit 3', 'kill -9 $$', 'true')
    assert done.stderr.decode().splitlines() == [
        "peal pipe: stage 1 'exit 3' ended with status 3",
        "peal pipe: stage 2 'kill -9 $$' was killed by signal 9 (Killed)"]
    assert peal('pipe', '--quiet', 'exit 3', 'true').stderr == b''


@case
def a_reader_that_goes_away_ends_the_chain():
    for arguments in [('yes', 'cat'), ('yes',), ()]:
        text = line(*arguments) + ' < /dev/zero | head -c 1 > /dev/null; echo ${PIPESTATUS[0]}'
        assert shell(text)[1] == b'141\n', arguments


@case
def a_full_device_is_said_to_be_full():
    with Folder(noise(MIB)) as path:
        done = subprocess.run(f'{line()} < {path} > /dev/full', shell=True, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 1
    assert one_line(done.stderr) == 'peal pipe: standard output: No space left on device'


@case
def what_can_not_be_read_is_said():
    done = subprocess.run(f'{line()} < /', shell=True, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert one_line(done.stderr) == 'peal pipe: standard input: Is a directory'


def hanging(*stages, **more):
    """A chain whose last stage says when it runs, and hangs."""
    chain = start('pipe', *stages, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    assert chain.stdout.readline() == b'runs\n'
    return chain


@case
def a_signal_ends_all_stages():
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
        # A shell that waits, a program in its place, and one that has no reason to end.
        chain = hanging(f'sleep {MARK}1', f'exec sleep {MARK}1', 'yes', f'echo runs; sleep {MARK}1; true')
        chain.send_signal(number)
        output, errors = chain.communicate()
        assert (chain.returncode, output, errors) == (128 + number, b'', b''), (number, errors)
        assert not processes(f'{MARK}1')


@case
def a_stage_that_ignores_the_signal_is_killed():
    chain = hanging(f'trap "" INT; sleep {MARK}2; sleep {MARK}2', f'trap "" INT; echo runs; sleep {MARK}2')
    chain.send_signal(signal.SIGINT)
    assert chain.wait() == 130
    chain.communicate()
    assert not processes(f'{MARK}2')


def a_signal_is_heard_while_nobody_takes_the_output(**more):
    with open('/dev/zero', 'rb') as zero:
        chain = start('pipe', stdin=zero, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    until('the pipe is full', lambda: struct.unpack('i', fcntl.ioctl(chain.stdout, termios.FIONREAD, b'1234'))[0] > 60000)
    chain.send_signal(signal.SIGINT)
    assert chain.wait() == 130
    chain.communicate()


case(a_signal_is_heard_while_nobody_takes_the_output)


@case
def a_stage_may_finish_its_work_after_the_signal():
    with Folder() as path:
        chain = hanging(f'trap "echo finished >{path}; exit" TERM; echo runs; while :; do sleep 0.01; done')
        chain.send_signal(signal.SIGTERM)
        assert chain.wait() == 143
        chain.communicate()
        with open(path, encoding='utf-8') as file:
            assert file.read() == 'finished\n'


@case
def the_stages_do_not_outlive_a_killed_peal():
    chain = hanging(f'exec sleep {MARK}3', f'echo runs; exec sleep {MARK}3')
    until('both run', lambda: len(processes(f'sleep\x00{MARK}3')) == 2)
    chain.kill()
    until('none runs', lambda: not processes(f'sleep\x00{MARK}3'))
    chain.communicate()


@case
def a_stage_has_the_descriptors_that_a_shell_gives():
    # The fourth is that of the directory that is listed.
    done = peal('pipe', 'ls /proc/self/fd', 'cat; ls /proc/self/fd')
    assert done.stdout.split() == [b'0', b'1', b'2', b'3'] * 2, done.stdout


@case
def where_descriptors_run_out_it_says_so_and_leaves_nothing():
    lines = set()
    for count in range(8, 100):
        done = peal('pipe', 'cat', STAGE, 'cat', 'cat; sleep 0', stdin=b'x', status=None,
                    preexec_fn=lambda n=count: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
        if done.returncode == 0:
            assert done.stdout == b'X'
            break
        assert done.returncode == 1 and b'Too many open files' in done.stderr, (count, done)
        lines.add(one_line(done.stderr).split(':')[1])
    assert done.returncode == 0 and len(lines) > 3, lines


@case
def without_io_uring_all_is_the_same():
    forbidden = {'preexec_fn': refuse(('io_uring_setup', 'EPERM'))}
    data = noise(16 * MIB)
    done = peal('pipe', '--verbose', 'cat', 'cat', 'cat', stdin=data, **forbidden)
    assert done.stdout == data
    assert b'by poll(2), since io_uring is refused here' in done.stderr, done.stderr
    assert peal('pipe', stdin=data, **forbidden).stdout == data
    assert b'by io_uring' in peal('pipe', '--verbose', 'true').stderr
    for stages in [('yes', 'head -1'), ('yes', 'cat', 'cat', 'head -3'), ('true', 'cat', 'wc -c'),
                   ('for i in 1 2 3; do echo $i; sleep 0.1; done', 'cat'), ('exit 3', 'exit 4'),
                   ('while echo x; do sleep 0.01; done', 'head -1'),
                   ('head -c 8M /dev/zero', 'cat', 'dd bs=64k 2>/dev/null | (sleep 0.3; cat)', 'cksum')]:
        same(*stages, **forbidden)
    a_signal_is_heard_while_nobody_takes_the_output(**forbidden)
    chain = hanging('yes', f'echo runs; sleep {MARK}4', **forbidden)
    chain.send_signal(signal.SIGINT)
    assert chain.wait() == 130
    chain.communicate()
    assert not processes(f'{MARK}4')


finish()
