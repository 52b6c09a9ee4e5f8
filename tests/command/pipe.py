# SPDX-License-Identifier: MIT
"""peal pipe gives what the shell's pipes give.

usage: pipe.py PEAL     with PEAL_PIPE_LONG in the environment: more data
"""
import gzip
import os
import pty
import random
import select
import subprocess

from command import PEAL, case, finish, peal, start
from pipes import MIB, Folder, line, noise, same, shell

LONG = 'PEAL_PIPE_LONG' in os.environ


@case
def a_chain_says_what_the_shell_says():
    text = '\n'.join(str(random.Random(2).random()) * 3 for _ in range(20000)).encode()
    numbers = b''.join(b'%d\n' % (i * i) for i in range(300000))
    with Folder(gzip.compress(text + numbers, 1)) as path:
        same(f'zcat {path}', 'grep 7', 'wc -l')
        same(f'zcat {path}', 'grep 77', 'sort -n', 'uniq', 'md5sum')
        same(f'zcat {path}', 'tr 1 x', 'head -c 1000000', 'cksum')


@case
def one_stage_needs_no_ring():
    same('seq 1000')
    same('cat', stdin=noise(100000))
    same('exit 7')


@case
def any_number_of_stages():
    data = noise(MIB)
    for count in [1, 2, 3, 8]:
        done = same(*['cat'] * count, stdin=data)
        assert done.stderr == b'', done.stderr


@case
def binary_data_passes_unchanged():
    data = noise((200 if LONG else 16) * MIB)
    for options in [(), ('--capacity=64K',), ('--capacity', '16M')]:
        assert peal('pipe', *options, 'cat', 'cat', 'cat', stdin=data).stdout == data, options


@case
def without_commands_standard_input_goes_to_standard_output():
    data = noise(4 * MIB)
    assert peal('pipe', stdin=data).stdout == data
    assert peal('pipe', stdin=b'').stdout == b''


@case
def no_input_is_no_output():
    same('cat', 'cat')
    same('true', 'cat', 'wc -c')
    same('true', 'true', 'true')


@case
def standard_input_may_be_anything():
    data = noise(3 * MIB)
    with Folder(data) as path:
        for redirection in [f'<{path}', '</dev/null', '<&-', f'< <(cat {path})', '<<<x']:
            for stages in [('cat', 'cksum'), ('head -c 5', 'cat')]:
                assert (shell(line(*stages) + redirection)
                        == shell(f'({" | ".join(stages)}) {redirection}')), (redirection, stages)


@case
def what_is_written_goes_on_at_once():
    # With each line the writer waits for the reader's answer; should one be kept back, both wait for ever.
    chain = start('pipe', 'cat', 'cat', 'cat', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for i in range(20):
        chain.stdin.write(b'%d\n' % i)
        chain.stdin.flush()
        assert chain.stdout.readline() == b'%d\n' % i
    chain.stdin.close()
    assert chain.stdout.read() == b'' and chain.wait() == 0


@case
def streams_that_do_not_block_are_waited_for():
    # Set by somebody who shares the pipe, as ssh does.
    data = noise(MIB)
    into, outof = os.pipe(), os.pipe()
    for fd in into + outof:
        os.set_blocking(fd, False)
    chain = start('pipe', stdin=into[0], stdout=outof[1])
    os.close(into[0])
    os.close(outof[1])
    got, left = b'', data
    while chain.poll() is None or len(got) < len(data):
        readable, writable, _ = select.select([outof[0]], [into[1]] if left else [], [])
        if writable:
            left = left[os.write(into[1], left):]
            if not left:
                os.close(into[1])
        if readable:
            got += os.read(outof[0], MIB)
    os.close(outof[0])
    assert got == data and chain.returncode == 0
    # The same of a terminal.
    master, terminal = pty.openpty()
    os.set_blocking(terminal, False)
    chain = start('pipe', stdin=terminal, stdout=subprocess.PIPE)
    for _ in range(3):
        os.write(master, b'typed\n')
        assert chain.stdout.readline() == b'typed\n'
    os.write(master, b'\x04')
    assert chain.communicate() == (b'', None) and chain.returncode == 0
    os.close(terminal)
    os.close(master)


@case
def a_ring_holds_what_no_pipe_does():
    # The writer has ended long before the reader begins: what it wrote is in the ring.
    with Folder() as path:
        done = peal('pipe', '--capacity=4M', f'head -c 3M /dev/zero; rm {path}',
                    f'while test -e {path}; do sleep 0.01; done; cksum')
    assert done.stdout == shell('head -c 3M /dev/zero | cksum')[1]


@case
def a_slow_writer_and_a_slow_reader_get_there():
    same('for i in 1 2 3; do echo $i; sleep 0.1; done', 'cat', 'cksum')
    same('head -c 8M /dev/zero', 'cat', 'dd bs=64k 2>/dev/null | (sleep 0.3; cat)', 'cksum')


finish()
