# SPDX-License-Identifier: MIT
"""Whatever is in a file: what comes out are whole blocks, and it is said what does not.

usage: record-damage.py PEAL
"""
import os
import random
import struct

from command import case, finish, one_line, peal
from recording import (BLOCK_HEADER, FILE_HEADER, LENGTH, ZSTD, block, file_header, framed, info, read,
                       record, replay, scratch, store, unframed)


SEED = 20261122


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
            for size in range(0, len(data), 3 if options else 1):
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
        for size in range(0, len(data), 11):
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
            for at in range(0, len(data), 3 if options else 1):
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
            done = peal('record', *LENGTH, path, stdin=framed([b'one', b'two']) + rest, status=1)
            assert done.stdout == framed([b'one', b'two']) and word in one_line(done.stderr), done.stderr
            assert unframed(replay(path).stdout) == [b'one', b'two']


finish()
