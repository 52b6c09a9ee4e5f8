# SPDX-License-Identifier: MIT
"""Whatever happens to a recorder: what is left is whole blocks, and another one goes on.

usage: record-killed.py PEAL
PEAL_RECORD_KILLS: how many recorders are killed, each twice (30; 500 by ./dev test record-long).
"""
import errno
import fcntl
import os
import random
import resource
import signal
import subprocess
import threading
import time

from command import PEAL, Skip, case, finish, one_line, peal, start, until
from recording import BLOCK_HEADER, FILE_HEADER, LENGTH, framed, info, replay, rotated, scratch, unframed
from refuse import refuse


KILLS = int(os.environ.get('PEAL_RECORD_KILLS', 30))
SEED = 20261122


# --- Killed ------------------------------------------------------------------------------------------

def noise(chance, size):
    """Records of together so many bytes, some of them large; half of them can be compressed."""
    records = []
    while size > 0:
        length = chance.choice((0, 1, 7, 100, 3000, 50000, 2000000))
        length = chance.randrange(length + 1)
        records.append(chance.randbytes(length) if chance.random() < 0.5 else bytes(length))
        size -= length + 100
    return records


def state(path):
    """(size, when it was changed)"""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def await_last_write(path):
    """Of a dead recorder: the kernel may still be at it, and holds the recorder's lock until it is done."""
    if os.path.exists(path):
        with open(path, 'rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def feed_and_kill(chance, path, records, options):
    """Kill a recorder before it has seen the end of its input."""
    stream = framed(records)
    until_byte = chance.randrange(len(stream) + 1)
    before = state(path)
    process = start('record', '-q', *LENGTH, '--flush', '1ms', *options, path, stdin=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)

    def feed():
        try:
            for at in range(0, until_byte, 65536):
                os.write(process.stdin.fileno(), stream[at:min(at + 65536, until_byte)])
        except BrokenPipeError:
            pass
    feeder = threading.Thread(target=feed)
    feeder.start()
    how = chance.randrange(3)
    if how == 1 and until_byte > 3 << 20:  # while it writes, as one record at least is whole
        until('it writes', lambda: state(path) != before and state(path)[0] > FILE_HEADER)
    elif how == 2:
        feeder.join()
    time.sleep(chance.uniform(0, 0.01))
    process.kill()
    feeder.join()
    process.stdin.close()
    assert process.wait() == -signal.SIGKILL
    await_last_write(path)


@case
def a_killed_recorder_leaves_whole_blocks_and_another_goes_on():
    chance = random.Random(SEED)
    torn = blocks = 0
    for kill in range(KILLS):
        records = noise(chance, 8 << 20)
        options = chance.choice(([], ['--no-compress'], ['--rotate', '1M'], ['--sync']))
        with scratch() as place:
            path, done = os.path.join(place, 'a.peal'), 0
            # Killed twice, so that it is also killed while it goes on behind a torn end.
            for _ in range(2):
                feed_and_kill(chance, path, records[done:], ['--append', *options])
                files = rotated(path)
                # Where it is killed between two names there is none of the last.
                left = unframed(replay(*files).stdout) if files else []
                assert left == records[:len(left)] and len(left) >= done, (kill, len(left), done)
                told = [info(file) for file in files]
                assert sum(each['records'] for each in told) == len(left)
                assert all(each['end'] in ('whole', 'torn') for each in told)
                assert all(each['end'] == 'whole' for each in told[:-1])
                torn += sum(each['end'] == 'torn' for each in told)
                blocks += sum(each['blocks'] for each in told)
                done = len(left)
            peal('record', '-q', '--append', *LENGTH, *options, path, stdin=framed(records[done:]))
            assert unframed(replay(*rotated(path)).stdout) == records
            assert all(info(file)['end'] == 'whole' for file in rotated(path))
    print(f'     {2 * KILLS} kills, seed {SEED}: {blocks} whole blocks were left, {torn} files were torn')
    assert blocks > 0


@case
def a_block_that_was_being_written_is_torn_and_cut_off():
    large = random.Random(SEED).randbytes(50 << 20)
    for _ in range(20):
        with scratch() as place:
            path = os.path.join(place, 'a.peal')
            process = start('record', '-q', '--no-compress', '--flush', '1ms', *LENGTH, path,
                            stdin=subprocess.PIPE)
            process.stdin.write(framed([b'before', large]))
            process.stdin.flush()
            # A block so large takes its time; no pause here, or it is over.
            while state(path)[0] < FILE_HEADER + 2 * BLOCK_HEADER + (1 << 20):
                pass
            process.kill()
            process.communicate()
            await_last_write(path)
            if info(path)['end'] == 'whole':
                continue
            done = replay(path)
            assert 'torn' in one_line(done.stderr) and unframed(done.stdout) == [b'before']
            peal('record', '-q', '--append', *LENGTH, path, stdin=framed([b'behind']))
            assert unframed(replay(path).stdout) == [b'before', b'behind']
            return
    raise Skip('no write could be ended in its middle here')


@case
def another_recorder_waits_for_the_last_write_of_a_dead_one():
    chance = random.Random(SEED)
    for _ in range(5):
        with scratch() as place:
            path = os.path.join(place, 'a.peal')
            process = start('record', '-q', '--no-compress', '--sync', *LENGTH, path, stdin=subprocess.PIPE)
            process.stdin.write(framed([chance.randbytes(900000) for _ in range(9)]))
            process.stdin.flush()
            process.kill()
            process.communicate()
            done = peal('record', '-q', '--append', *LENGTH, path, stdin=framed([b'behind']))
            assert done.stderr == b'' or b'torn' in done.stderr, done.stderr
            assert unframed(replay(path).stdout)[-1] == b'behind' and info(path)['end'] == 'whole'


# --- No room, no rights ------------------------------------------------------------------------------

def limit_files(size):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


@case
def a_limit_of_file_sizes_is_told_and_what_came_before_is_kept():
    chance = random.Random(SEED)
    records = [chance.randbytes(10000) for _ in range(500)]
    with scratch() as place:
        for options in ([], ['--no-compress']):
            path = os.path.join(place, 'a.peal' + ''.join(options))
            done = peal('record', '-q', *LENGTH, *options, path, stdin=framed(records), status=1,
                        preexec_fn=limit_files(3500000))
            assert 'File too large' in one_line(done.stderr), done.stderr
            left = unframed(replay(path).stdout)
            assert 100 < len(left) and left == records[:len(left)]
            assert info(path)['end'] == 'whole'
            peal('record', '-q', '--append', *LENGTH, path, stdin=framed(records[len(left):]))
            assert unframed(replay(path).stdout) == records


def on_a_small_disk(directory, records, command):
    """Run a shell command in @directory, where there is a file system of 3 MiB."""
    return subprocess.run(
        ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs -o size=3m none "$1" || exit 99; cd "$1"; ' + command,
         'sh', directory, PEAL], input=framed(records), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        check=False)


@case
def a_full_disk_is_told_and_what_came_before_is_kept():
    chance = random.Random(SEED)
    records = [chance.randbytes(10000) for _ in range(500)]
    with scratch() as place:
        done = on_a_small_disk(place, records, '"$2" record -q --framing length a; echo $? >&2; "$2" '
                                               'replay --speed max --framing length a')
        if done.returncode == 99 or done.stderr.startswith(b'unshare: '):
            raise Skip('no file system may be mounted here')
        complaint, status = done.stderr.decode().splitlines()
        assert 'No space left on device' in complaint and status == '1', done.stderr
        left = unframed(done.stdout)
        assert 100 < len(left) and left == records[:len(left)]


@case
def a_disk_that_fails_is_told():
    records = framed([b'one', b'two'])
    with scratch() as place:
        for number_, refused in enumerate([('fdatasync',), ('pwrite64',), ('pwrite64', 'io_uring_setup')]):
            done = peal('record', '-q', *LENGTH, os.path.join(place, str(number_)), stdin=records, status=1,
                        preexec_fn=refuse(*((call, 'EIO') for call in refused)))
            assert os.strerror(errno.EIO) in one_line(done.stderr), done.stderr


def uses_io_uring(process):
    place = f'/proc/{process.pid}/fd'
    return any('io_uring' in os.readlink(f'{place}/{fd}') for fd in os.listdir(place))


def record_without(refused, path):
    """Returns whether io_uring was used."""
    process = start('record', path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=refused)
    process.stdin.write(b'one\n')
    process.stdin.flush()
    assert process.stdout.readline() == b'one\n'
    used = uses_io_uring(process)
    out, _ = process.communicate(b'two\n' + b'x' * 5000000 + b'\n')
    assert process.returncode == 0 and out == b'two\n' + b'x' * 5000000 + b'\n'
    assert peal('replay', path).stdout == b'one\n' + out
    return used


@case
def where_io_uring_is_refused_it_goes_without():
    with scratch() as place:
        for number_, refused in enumerate([('io_uring_setup', 'EPERM'), ('io_uring_setup', 'ENOSYS'),
                                           ('io_uring_enter', 'EPERM')]):
            assert not record_without(refuse(refused), os.path.join(place, str(number_)))


@case
def where_io_uring_is_allowed_it_is_used():
    with scratch() as place:
        if not record_without(None, os.path.join(place, 'a')):
            doctor = peal('doctor', '--json', status=None).stdout.decode()
            raise Skip('no io_uring here') if '"io_uring","health":"ok"' not in doctor else AssertionError(doctor)


finish()
