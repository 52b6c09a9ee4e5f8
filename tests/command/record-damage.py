# SPDX-License-Identifier: MIT
"""Whatever happens to a recorder or its file: what is left is whole blocks, and it is said what is not.

usage: record-damage.py PEAL
PEAL_RECORD_KILLS: how many recorders are killed (30).
"""
import errno
import json
import os
import random
import resource
import signal
import struct
import subprocess
import tempfile
import threading
import time

from command import PEAL, Skip, case, finish, one_line, peal, start, until
from recording import BLOCK_HEADER, FILE_HEADER, ZSTD, block, file_header, framed, read, record, unframed
from refuse import refuse

KILLS = int(os.environ.get('PEAL_RECORD_KILLS', 30))
SEED = 20261122
LENGTH = ('--framing', 'length')


def scratch():
    """A directory of its own, which goes when it is left."""
    return tempfile.TemporaryDirectory(prefix='peal-record-')


def replay(*paths, status=0):
    return peal('replay', '--speed', 'max', *LENGTH, *paths, status=status)


def info(path, status=0):
    return json.loads(peal('replay', '--info', '--json', path, status=status).stdout)


def store(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def rotated(path):
    """Of what stands beside it, the oldest first."""
    name = os.path.basename(path) + '.'
    numbers = [int(file[len(name):]) for file in os.listdir(os.path.dirname(path)) if file.startswith(name)]
    return [f'{path}.{number}' for number in sorted(numbers, reverse=True)] + (
        [path] if os.path.exists(path) else [])


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


def feed_and_kill(chance, path, records, options):
    """Kill a recorder before it has seen the end of its input."""
    stream = framed(records)
    until_byte = chance.randrange(len(stream) + 1)
    before = state(path)
    process = start('record', '-q', *LENGTH, '--flush', '1ms', *options, path, stdin=subprocess.PIPE)

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
            if info(path)['end'] == 'whole':
                continue
            done = replay(path)
            assert 'torn' in one_line(done.stderr) and unframed(done.stdout) == [b'before']
            peal('record', '-q', '--append', *LENGTH, path, stdin=framed([b'behind']))
            assert unframed(replay(path).stdout) == [b'before', b'behind']
            return
    raise Skip('no write could be ended in its middle here')


# --- Cut, changed, made up ---------------------------------------------------------------------------

def small_recording(path, *options):
    """Four blocks. Returns the bytes, and where each block ends with the records up to there."""
    records = [b'one', b'', b'three ' * 20, b'four', bytes(range(30)), b'six' * 9]
    ends = [(FILE_HEADER, [])]
    for number_ in range(4):
        part = records[number_:number_ + 3]
        peal('record', '-q', '--append', *LENGTH, *options, path, stdin=framed(part))
        ends.append((os.path.getsize(path), ends[-1][1] + part))
    with open(path, 'rb') as file:
        return file.read(), ends


def before(ends, at):
    """(end of the last block that ends there or before, its number, the records up to there)"""
    return max((end, index, records) for index, (end, records) in enumerate(ends) if end <= at)


@case
def a_file_that_ends_anywhere_is_read_up_to_its_last_whole_block():
    for options in ([], ['--no-compress']):
        with scratch() as place:
            path = os.path.join(place, 'a.peal')
            data, ends = small_recording(path, *options)
            for size in range(len(data)):
                store(path, data[:size])
                done = replay(path)
                end, _, records = before(ends, size) if size >= FILE_HEADER else (0, 0, [])
                assert unframed(done.stdout) == records, size
                if size == end:
                    assert done.stderr == b'', size
                else:
                    line = one_line(done.stderr)
                    assert 'torn' in line and f'last {size - end} bytes' in line, line
                told = info(path) if size % 7 == 0 else {}
                assert not told or (told['end'], told['left_out_bytes']) == ('torn' if size > end else 'whole', size - end)


@case
def a_recorder_goes_on_behind_the_last_whole_block_wherever_a_file_ends():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        data, ends = small_recording(path)
        for size in range(0, len(data), 5):
            store(path, data[:size])
            done = peal('record', '-q', '--append', *LENGTH, path, stdin=framed([b'more']))
            end, _, records = before(ends, size) if size >= FILE_HEADER else (0, 0, [])
            assert (b'torn' in done.stderr) == (size > end), (size, done.stderr)
            done = replay(path)
            assert unframed(done.stdout) == records + [b'more'] and done.stderr == b'', size


@case
def a_changed_byte_is_noticed_wherever_it_is():
    chance = random.Random(SEED)
    for options in ([], ['--no-compress']):
        with scratch() as place:
            path = os.path.join(place, 'a.peal')
            data, ends = small_recording(path, *options)
            for at in range(len(data)):
                store(path, data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1:])
                in_last = at >= ends[-2][0]
                done = replay(path, status=0 if in_last else 1)
                end, _, records = before(ends, at) if at >= FILE_HEADER else (0, 0, [])
                line = one_line(done.stderr)
                assert unframed(done.stdout) == records, at
                if at < FILE_HEADER:
                    assert 'no recording' in line or 'header is damaged' in line, line
                else:
                    assert (f'byte {end}' if in_last else f'damaged at byte {end}') in line, line
                    told = info(path, status=None) if at % 7 == 0 else {}
                    assert not told or told['end'] == ('torn' if in_last else 'damaged')


@case
def a_damaged_recording_is_not_gone_on_with():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        data, ends = small_recording(path)
        at = ends[1][0] + BLOCK_HEADER
        damaged = data[:at] + b'?' + data[at + 1:]
        store(path, damaged)
        done = peal('record', '--append', path, stdin=b'more\n', status=1)
        assert 'damaged' in one_line(done.stderr)
        with open(path, 'rb') as file:
            assert file.read() == damaged


@case
def blocks_that_are_missing_twice_or_of_another_file_are_noticed():
    with scratch() as place:
        path, other = os.path.join(place, 'a.peal'), os.path.join(place, 'b.peal')
        data, ends = small_recording(path, '--no-compress')
        foreign, _ = small_recording(other, '--no-compress')
        (one, _), (two, _), (three, _) = ends[1:4]
        for false in (data[:one] + data[two:], data[:two] + data[one:two] + data[two:],
                      data[:two] + bytes(three - two) + data[three:]):
            store(path, false)
            assert 'damaged at byte' in one_line(replay(path, status=1).stderr)
        # The same places, and the same contents but for the times.
        assert len(foreign) == len(data)
        store(path, data[:two] + foreign[two:])
        done = replay(path)
        assert 'torn' in one_line(done.stderr) and unframed(done.stdout) == ends[2][1]


@case
def a_recording_of_a_recording_does_not_look_like_damage():
    with scratch() as place:
        path, outer = os.path.join(place, 'a.peal'), os.path.join(place, 'b.peal')
        data, _ = small_recording(path, '--no-compress')
        peal('record', '-q', '--no-compress', *LENGTH, outer, stdin=framed([data]))
        os.truncate(outer, os.path.getsize(outer) - 1)
        assert 'torn' in one_line(replay(outer).stderr)


SENSELESS = 'makes no sense'
FALSE = 'no peal wrote it'
# What has a right check sum, and is wrong all the same; what is said of it; the records that come before.
WRONG = {
    'no records': (block(1, 0, b'', records=0), SENSELESS, []),
    'a flag that does not exist': (block(1, 0, record(b'a'), flags=4), SENSELESS, []),
    'two sizes of what is stored as it is': (block(1, 0, record(b'a'), raw_size=5), SENSELESS, []),
    'more than a block may have': (block(1, 0, record(b'a'), raw_size=1 << 30, flags=ZSTD), SENSELESS, []),
    'more than may be stored': (block(1, 0, record(b'a'), stored_size=1 << 30, flags=ZSTD), SENSELESS, []),
    'records larger than the block': (block(1, 0, record(b'a'), payload=5), SENSELESS, []),
    'more records than there are': (block(1, 0, record(b'a'), records=2), FALSE, [b'a']),
    'fewer records than there are': (block(1, 0, record(b'a') + record(b'b')), FALSE, []),
    'a record that is larger than its block': (block(1, 0, record(b'abc', size=40), records=2), FALSE, []),
    'a record of a huge size': (block(1, 0, record(b'abc', size=2**64 - 1), records=2), FALSE, []),
    'a type of 17 bits': (block(1, 0, record(b'abc', kind=65536)), FALSE, []),
    'a number of 11 bytes': (block(1, 0, b'\x80' * 10 + b'\0' + b'\0\1a'), FALSE, []),
    'a time behind all times': (block(1, 0, record(b'a', delta=2**64 - 1), time=2**64 - 1), FALSE, []),
    'a zstd frame that is none': (block(1, 0, record(b'a'), flags=ZSTD), FALSE, []),
    # In these, what was in memory before would make it right.
    'a zstd frame that is none, behind a block of its size': (
        block(1, 0, record(b'a')) + block(1, 1, b'none', flags=ZSTD, raw_size=4), FALSE, [b'a']),
    'a number that the block ends in': (
        block(1, 0, record(b'abcdefgh')) + block(1, 1, record(b'b')) + block(1, 2, b'\x80', records=2),
        FALSE, [b'abcdefgh', b'b']),
}


@case
def false_contents_with_right_check_sums_are_refused():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        for name, (wrong, word, records) in WRONG.items():
            store(path, file_header(1) + wrong)
            done = replay(path, status=None)
            assert word in one_line(done.stderr) and done.returncode in (0, 1), (name, done)
            assert unframed(done.stdout) == records, (name, done.stdout)


@case
def what_was_read_before_does_not_make_a_torn_block_whole():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        blocks = [block(1, number, record(b'always the same')) for number in range(4)]
        for count in (2, 3, 4):
            whole = file_header(1) + b''.join(blocks[:count])
            for size in range(1, 20):
                store(path, whole[:-size])
                done = replay(path)
                assert 'torn' in one_line(done.stderr) and len(unframed(done.stdout)) == count - 1


@case
def a_frame_that_unpacks_to_another_size_is_refused():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', *LENGTH, path, stdin=framed([b'x' * 5000]))
        (true,) = read(path)
        for raw_size in (true.raw_size - 1, true.raw_size + 1):
            store(path, file_header(1) + block(1, 0, true.stored, flags=ZSTD, raw_size=raw_size, payload=5000))
            done = replay(path, status=1)
            assert 'no peal wrote it' in one_line(done.stderr) and done.stdout == b''


@case
def another_version_is_told_as_such():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        store(path, file_header(1, version=2) + block(1, 0, record(b'a')))
        assert 'version' in one_line(replay(path, status=1).stderr)


@case
def input_that_is_no_records_is_told_and_what_came_before_is_kept():
    with scratch() as place:
        for number_, (rest, word) in enumerate([(b'\1', 'ends inside of record 3'),
                                                (struct.pack('<I', 9) + b'12345678', 'inside of record 3'),
                                                (struct.pack('<I', (64 << 20) + 1), 'larger than 67108864')]):
            path = os.path.join(place, str(number_))
            done = peal('record', '-q', *LENGTH, path, stdin=framed([b'one', b'two']) + rest, status=1)
            assert word in one_line(done.stderr), done.stderr
            assert unframed(replay(path).stdout) == [b'one', b'two']


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
        if done.returncode == 99 or b'unshare failed' in done.stderr:
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
