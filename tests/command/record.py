# SPDX-License-Identifier: MIT
"""What goes into a recording comes out of it: the same records, in their order.

usage: record.py PEAL
PEAL_RECORD_BYTES: how much the long case records (64 MiB; 1 GiB by ./dev test record-long).
"""
import hashlib
import os
import random
import subprocess
import threading
import time

from command import PEAL, case, finish, one_line, peal, start
from recording import LENGTH, MIB, SECOND_NS, SESSION, ZSTD, framed, info, read, replayed, rotated, scratch


BYTES = int(os.environ.get('PEAL_RECORD_BYTES', 64 * MIB))


def there_and_back(records, *options):
    """Record, and look at what was passed on and what comes back. Returns what --info says."""
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        stream = framed(records)
        done = peal('record', *LENGTH, *options, path, stdin=stream)
        assert done.stderr == b'' and done.stdout == stream
        assert peal('replay', '--speed', 'max', *LENGTH, path).stdout == stream
        told = info(path)
        assert told['records'] == len(records) and told['bytes'] == sum(map(len, records))
        assert told['file_bytes'] == os.path.getsize(path) and told['end'] == 'whole'
        return told


# --- Equality ----------------------------------------------------------------------------------------

def pieces(seed):
    """About 1 MiB each, of records of all kinds; and the order in which they come, without end."""
    chance = random.Random(seed)
    made = []
    for number in range(16):
        records, size = [], 0
        while size < MIB:
            length = int(2 ** chance.uniform(0, 17)) if chance.random() < 0.1 else chance.randrange(200)
            text = b'%d of piece %d ' % (len(records), number)
            records.append(chance.randbytes(length) if number % 2 else (text * length)[:length])
            size += length + 4
        made.append(framed(records))
    while True:
        yield chance.choice(made)


def feed(stream, seed, size, digest):
    with stream:
        for piece in pieces(seed):
            if size <= 0:
                return
            digest.update(piece)
            stream.write(piece)
            size -= len(piece)


def digest_of(stream):
    digest = hashlib.sha256()
    while data := stream.read(MIB):
        digest.update(data)
    return digest.hexdigest()


@case
def much_comes_back_as_it_went_in():
    # The disk makes the second one slow, so that several writes wait.
    for options in ([], ['--no-compress', '--sync']):
        with scratch() as place:
            path, digest = os.path.join(place, 'a.peal'), hashlib.sha256()
            process = start('record', *LENGTH, *options, path, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
            feeder = threading.Thread(target=feed, args=(process.stdin, 1, BYTES, digest))
            feeder.start()
            passed_on = digest_of(process.stdout)
            feeder.join()
            assert process.wait() == 0 and passed_on == digest.hexdigest()
            with start('replay', '--speed', 'max', *LENGTH, path, stdout=subprocess.PIPE) as process:
                assert digest_of(process.stdout) == digest.hexdigest()
            assert process.returncode == 0
            assert info(path)['raw_bytes'] > BYTES


@case
def records_may_be_empty_small_large_and_of_any_bytes():
    every = bytes(range(256))
    for options in ([], ['--no-compress'], ['--level', '19']):
        there_and_back([b''], *options)
        there_and_back([b''] * 100000, *options)
        there_and_back([b'\n', b'\0', b'', every, every * 5000], *options)
        there_and_back([bytes([n & 255]) for n in range(100000)], *options)


@case
def a_record_may_have_16_MiB():
    large = random.Random(2).randbytes(16 * MIB)
    for options in ([], ['--no-compress']):
        there_and_back([b'before', large, b'', bytes(16 * MIB), b'behind'], *options)


@case
def nothing_is_a_recording_too():
    assert there_and_back([])['blocks'] == 0


@case
def lines_are_records_without_their_ends():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        assert peal('record', path, stdin=b'one\n\nthree\r\nlast').stdout == b'one\n\nthree\r\nlast\n'
        assert peal('replay', path).stdout == b'one\n\nthree\r\nlast\n'
        assert replayed(path) == [b'one', b'', b'three\r', b'last']


@case
def what_repeats_is_stored_small_and_what_does_not_is_not_made_larger():
    small = there_and_back([b'the same line again'] * 100000)
    assert small['file_bytes'] < small['bytes'] / 10, small
    noise = there_and_back([random.Random(3).randbytes(MIB)])
    plain = there_and_back([random.Random(3).randbytes(MIB)], '--no-compress')
    assert noise['file_bytes'] == plain['file_bytes'], (noise, plain)


@case
def a_file_is_what_the_document_says():
    records = [b'abc', b'', bytes(range(200)) * 2, b'd']
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', '--no-compress', *LENGTH, path, stdin=framed(records))
        peal('record', '-q', '--no-compress', '--append', *LENGTH, path, stdin=framed(records[:2]))
        first, second = read(path)
        assert [data for _, _, data in first.contents()] == records
        assert [data for _, _, data in second.contents()] == records[:2]
        assert first.flags == second.flags == SESSION
        assert abs(first.time - time.time_ns()) < 3600 * SECOND_NS
        peal('record', '-q', '--append', *LENGTH, path, stdin=framed([b'x' * 1000]))
        assert read(path)[2].flags == SESSION | ZSTD


@case
def an_old_recording_is_not_overwritten():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', path, stdin=b'one\n')
        assert '--append' in one_line(peal('record', path, stdin=b'two\n', status=1).stderr)
        assert replayed(path) == [b'one']
        peal('record', '-q', '--append', path, stdin=b'two\n')
        assert replayed(path) == [b'one', b'two'] and info(path)['sessions'] == 2


# --- Rotation ----------------------------------------------------------------------------------------

@case
def a_file_is_rotated_before_it_gets_too_large():
    chance = random.Random(5)
    records = [chance.randbytes(chance.randrange(3000)) for _ in range(1000)]
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', *LENGTH, '--rotate', '100K', path, stdin=framed(records))
        files = rotated(path)
        assert files[0] == f'{path}.{len(files) - 1}' and len(files) > 10, files
        assert all(50 * 1024 < os.path.getsize(file) <= 100 * 1024 for file in files[:-1])
        assert replayed(*files) == records
        assert sum(info(file)['sessions'] for file in files) == 1
        # It goes on where it was, also in the numbers.
        peal('record', '-q', *LENGTH, '--append', '--rotate', '100K', path, stdin=framed(records))
        assert len(rotated(path)) > len(files) and replayed(*rotated(path)) == records * 2


@case
def only_so_many_files_stay():
    chance = random.Random(6)
    records = [chance.randbytes(1000) for _ in range(1000)]
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', *LENGTH, '--rotate', '64K', '--keep', '2', path, stdin=framed(records))
        assert rotated(path) == [path + '.2', path + '.1', path]
        left = replayed(*rotated(path))
        assert len(left) > 100 and left == records[-len(left):]


# --- The command line --------------------------------------------------------------------------------

@case
def wrong_usage_is_told():
    for arguments, word in [
            (('record',), 'FILE'), (('record', 'a', 'b'), "'b'"), (('replay',), 'FILE'),
            (('record', '--framing', 'x', 'a'), "'x'"), (('record', '--level', '20', 'a'), "'20'"),
            (('record', '--rotate', '1', 'a'), '64.0 KiB'), (('record', '--keep', '3', 'a'), '--rotate'),
            (('record', '--flush', 'soon', 'a'), "'soon'"), (('replay', '--speed', '0', 'a'), "'0'"),
            (('record', 'a', '--'), 'program'), (('replay', 'a', '--'), 'program'),
            (('replay', '--speed', 'nan', 'a'), "'nan'"), (('replay', '--speed', '1x', 'a'), "'1x'")]:
        done = peal(*arguments, status=2)
        assert word in one_line(done.stderr) and done.stdout == b'', done


@case
def what_can_not_be_opened_is_told():
    with scratch() as place:
        for arguments, word in [
                (('record', place + '/no/a'), 'No such file'), (('record', '--append', '/dev/null'), 'regular'),
                (('replay', place + '/a'), 'No such file'), (('replay', place), 'regular'),
                (('replay', PEAL), 'no recording'), (('record', '--append', place + '/text'), 'no recording')]:
            with open(place + '/text', 'wb') as file:
                file.write(b'PEAL' if arguments[0] == 'replay' else b'some text')
            done = peal(*arguments, status=1)
            assert word in one_line(done.stderr) and done.stdout == b'', done
            assert os.path.getsize(place + '/text') in (4, 9)


finish()
