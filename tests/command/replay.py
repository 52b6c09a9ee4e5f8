# SPDX-License-Identifier: MIT
"""Records come at their times, and go to guests with their types.

usage: replay.py PEAL
"""
import json
import os
import random
import resource
import signal
import subprocess
import time

from command import case, finish, guest, one_line, peal, start, until
from recording import (LENGTH, MIB, SECOND_NS, SESSION, Live, block, file_header, framed, info, read,
                       record, replayed, scratch)


# --- Pace --------------------------------------------------------------------------------------------

def arrivals(path, count, *options, program=()):
    """When each line came, in seconds since the replay was started."""
    begin = time.monotonic_ns()
    with start('replay', *options, path, *program, stdout=subprocess.PIPE) as process:
        times = [(process.stdout.readline(), time.monotonic_ns() - begin) for _ in range(count)]
        assert process.stdout.read() == b''
    assert process.returncode == 0
    return times


@case
def a_replay_is_never_ahead_of_the_times_that_were_recorded():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'), '--no-compress')
        for number in range(6):
            live.say(b'%d\n' % number)
            time.sleep(0.03 * (number % 3))
        assert live.end()[0] == 0
        records = [one for each in read(live.path) for one in each.contents()]
        assert records[-1][0] - records[0][0] > 0.1 * SECOND_NS
        for speed in (1, 0.5, 3):
            for (line, at), (recorded, _, data) in zip(
                    arrivals(live.path, 6, '--speed', str(speed)), records, strict=True):
                assert line == data + b'\n' and at >= (recorded - records[0][0]) / speed, (at, speed)


@case
def pauses_without_sense_are_left_out():
    """An hour between two runs of a recorder; a clock that was set back; and any with --speed max."""
    hour = 3600 * SECOND_NS
    sessions = [block(7, 0, record(b'one'), flags=SESSION), b'',
                block(7, 1, record(b'two'), time=10**18 + hour, flags=SESSION),
                block(7, 2, record(b'three'), time=10**18)]
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        with open(path, 'wb') as file:
            file.write(file_header(7) + b''.join(sessions))
        assert peal('replay', path).stdout == b'one\ntwo\nthree\n'
        with open(path, 'ab') as file:
            file.write(block(7, 3, record(b'four') + record(b'five', delta=hour), records=2, time=10**18 + hour))
        assert peal('replay', '--speed', 'max', path).stdout == b'one\ntwo\nthree\nfour\nfive\n'


@case
def a_pause_ends_at_once_by_sigint():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        with open(path, 'wb') as file:
            file.write(file_header(7) + block(7, 0, record(b'one') + record(b'two', delta=3600 * SECOND_NS),
                                              records=2))
        with start('replay', path, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b'one\n'
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == b''
        assert process.returncode == 130


# --- Guests ------------------------------------------------------------------------------------------

GUEST = guest('command-guest')


@case
def what_a_guest_sends_is_recorded_with_its_types_and_passed_on():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        numbers = b''.join(b'%d\n' % number for number in range(70000))
        done = peal('record', path, '--', GUEST, 'burst-of-types', '70000')
        assert done.stdout == numbers and done.stderr == b''
        assert peal('replay', '--speed', 'max', path).stdout == numbers
        # And back: another guest gets them with their types.
        done = peal('replay', '--speed', 'max', path, '--', GUEST, 'types')
        assert done.stdout == b''.join(b'%d: %d\n' % (number % 65536, number) for number in range(70000))
        assert peal('record', '-q', path + '2', '--', GUEST, 'burst-of-types', '9').stdout == b''
        assert replayed(path + '2') == [b'%d' % number for number in range(9)]


@case
def the_guest_gets_standard_input():
    with scratch() as place:
        path, stream = os.path.join(place, 'a.peal'), framed([b'', b'\n\0', random.Random(8).randbytes(900000)] * 9)
        assert peal('record', *LENGTH, path, '--', GUEST, 'echo', stdin=stream).stdout == stream
        assert peal('replay', *LENGTH, '--speed', 'max', path, '--', GUEST, 'echo').stdout == stream


@case
def how_a_guest_ended_is_the_status_and_what_it_sent_is_kept():
    with scratch() as place:
        for number, (end, status) in enumerate([(('exit', '2', '7'), 7), (('kill', '2', '9'), 137)]):
            path = os.path.join(place, str(number))
            done = peal('record', path, '--', GUEST, *end, stdin=b'one\ntwo\nthree\n', status=status)
            assert done.stdout == b'one\ntwo\n' and replayed(path) == [b'one', b'two']
        done = peal('record', path + '2', '--', place + '/no-such-guest', status=127)
        assert 'no-such-guest' in one_line(done.stderr)


@case
def a_guest_s_records_are_in_the_file_after_the_flush_time():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'), '--flush', '20ms', program=('--', GUEST, 'echo'))
        live.say(b'one\n')
        until('it is in the file', lambda: info(live.path)['records'] == 1)
        live.say(b'two\n')
        assert live.end(signal.SIGINT)[0] == 130 and replayed(live.path) == [b'one', b'two']


@case
def a_guest_is_never_sent_a_record_ahead_of_its_time():
    with scratch() as place:
        path, pause = os.path.join(place, 'a.peal'), SECOND_NS // 20
        with open(path, 'wb') as file:
            file.write(file_header(7) + block(7, 0, b''.join(
                record(b'%d' % number, delta=pause) for number in range(4)), records=4))
        for speed in (1, 2):
            for number, (line, at) in enumerate(
                    arrivals(path, 4, '--speed', str(speed), program=('--', GUEST, 'echo'))):
                assert line == b'%d\n' % number and at >= number * pause / speed, (at, number)


@case
def a_record_that_is_larger_than_the_ring_is_told():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', path, stdin=b'one\n' + b'x' * 9000 + b'\nthree\n')
        done = peal('replay', '--to-guest', '8K', path, '--', GUEST, 'echo', status=1)
        assert done.stdout == b'one\n' and 'record 2' in one_line(done.stderr)
        assert len(peal('replay', '--to-guest', '16K', path, '--', GUEST, 'echo').stdout) == 9011


@case
def a_disk_that_is_full_ends_the_guest():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))
        done = peal('record', '--no-compress', '-q', path, '--', GUEST, 'burst', '100000000', status=1,
                    preexec_fn=limit)
        assert 'File too large' in one_line(done.stderr) and info(path)['end'] == 'whole'


@case
def damage_is_the_status_also_with_a_guest():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        for line in (b'one\n', b'two\n', b'three\n'):
            peal('record', '-q', '--append', path, stdin=line)
        with open(path, 'r+b') as file:
            file.seek(read(path)[1].at)
            file.write(b'?')
        done = peal('replay', path, '--', GUEST, 'echo', status=1)
        assert done.stdout == b'one\n' and 'damaged' in one_line(done.stderr)


@case
def files_are_told_of_as_json_whatever_bytes_their_names_have():
    with scratch() as place:
        for name, told in (b'no-utf-8-\xff', r'no-utf-8-\xff'), ('\xe9'.encode(), '\xe9'):
            path = os.path.join(place.encode(), name)
            peal('record', '-q', path, stdin=b'one\n')
            found = json.loads(peal('replay', '--json', path).stdout)
            assert found['file'] == os.path.join(place, told) and found['records'] == 1, found


finish()
