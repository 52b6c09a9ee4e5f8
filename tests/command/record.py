# SPDX-License-Identifier: MIT
"""What goes into a recording comes out of it: the same records, in their order, at their pace.

usage: record.py PEAL
PEAL_RECORD_BYTES: how much the long case records (64 MiB; 1 GiB by ./dev test record-long).
"""
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import tempfile
import threading
import time

from command import PEAL, Terminal, case, finish, guest, one_line, peal, start, until
from recording import SESSION, ZSTD, block, file_header, framed, read, record, unframed

MIB = 1 << 20
SECOND_NS = 10**9
BYTES = int(os.environ.get('PEAL_RECORD_BYTES', 64 * MIB))
LENGTH = ('--framing', 'length')


def scratch():
    """A directory of its own, which goes when it is left."""
    return tempfile.TemporaryDirectory(prefix='peal-record-')


def info(path, status=0):
    return json.loads(peal('replay', '--info', '--json', path, status=status).stdout)


def replayed(*paths, speed='max'):
    return unframed(peal('replay', '--speed', speed, *LENGTH, *paths).stdout)


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


# --- While it records --------------------------------------------------------------------------------

class Live:
    """A recorder whose input stays open."""

    def __init__(self, path, *options, program=()):
        self.path = path
        self.process = start('record', *options, path, *program, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)

    def say(self, line):
        """One line in, and passed on."""
        self.process.stdin.write(line)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == line

    def end(self, signal_number=None):
        if signal_number:
            self.process.send_signal(signal_number)
        out, err = self.process.communicate()
        return self.process.returncode, out, err


@case
def sigint_and_sigterm_leave_all_that_came_in():
    for number in (signal.SIGINT, signal.SIGTERM):
        with scratch() as place:
            live = Live(os.path.join(place, 'a.peal'), '--flush', '1h')
            live.say(b'one\n')
            live.say(b'two\n')
            assert live.end(number) == (128 + number, b'', b'')
            assert replayed(live.path) == [b'one', b'two'] and info(live.path)['end'] == 'whole'


@case
def a_record_is_in_the_file_after_the_flush_time():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'), '--flush', '20ms')
        for count in range(1, 4):
            live.say(b'line\n')
            until('it is in the file', lambda: info(live.path)['records'] == count)
        assert live.end() == (0, b'', b'')
        # Each waited for the one before, so each has a block of its own.
        assert info(live.path)['blocks'] == 3


@case
def without_that_time_it_waits_for_a_full_block():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'), '--flush', '1h', '--no-compress')
        live.say(b'line\n')
        assert info(live.path)['records'] == 0
        for _ in range(2):
            live.say(b'x' * 700000 + b'\n')
        until('the first block is in the file', lambda: info(live.path)['records'] == 2)
        assert live.end()[0] == 0 and info(live.path)['records'] == 3


@case
def a_reader_that_goes_away_ends_it_and_loses_nothing():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'))
        live.say(b'one\n')
        live.process.stdout.close()
        live.process.stdout = None
        assert live.end()[0] == 141
        assert replayed(live.path) == [b'one']


def write_until_full(fd):
    """Lines of 4 KiB, until it has been full for as long as one that goes on reading would need."""
    os.set_blocking(fd, False)
    line, sent, idle = b'y' * 4095 + b'\n', 0, 0
    while idle < 50 and sent < 100 * MIB:
        try:
            sent += os.write(fd, line)
            idle = 0
        except BlockingIOError:
            idle += 1
            time.sleep(0.01)
    return sent


@case
def a_reader_that_is_slow_holds_up_the_source():
    with scratch() as place:
        path, source = os.path.join(place, 'a.peal'), os.pipe()
        process = start('record', path, stdin=source[0], stdout=subprocess.PIPE)
        os.close(source[0])
        sent = write_until_full(source[1])
        assert sent < 4 * MIB, sent
        os.close(source[1])
        assert len(process.stdout.read()) == sent
        process.stdout.close()
        assert process.wait() == 0 and info(path)['bytes'] == sent - sent // 4096


@case
def sigint_leaves_also_what_could_not_be_passed_on():
    with scratch() as place:
        path, source = os.path.join(place, 'a.peal'), os.pipe()
        process = start('record', path, stdin=source[0], stdout=subprocess.PIPE)
        sent = write_until_full(source[1])
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        process.stdout.close()
        os.close(source[1])
        with open(source[0], 'rb') as rest:
            left = len(rest.read())
        # All that was read; but for a record of which only the beginning was there.
        assert 0 <= sent - left - info(path)['records'] * 4096 < 4096, (sent, left)


@case
def a_closed_output_is_told():
    with scratch() as place:
        path, source = os.path.join(place, 'a.peal'), os.pipe()
        for command in ('record "$2"', 'replay "$2"'):
            done = subprocess.run(['sh', '-c', f'exec "$1" {command} >&-', 'sh', PEAL, path],
                                  stdin=source[0], stderr=subprocess.PIPE, check=False)
            assert done.returncode == 1 and 'Bad file descriptor' in one_line(done.stderr), done
        for fd in source:
            os.close(fd)


@case
def memory_does_not_grow_with_what_is_recorded():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'), '--no-compress')
        peaks, line = [], random.Random(4).randbytes(MIB).replace(b'\n', b'') + b'\n'
        for count in (16, 64):
            for _ in range(count):
                live.say(line)
            with open(f'/proc/{live.process.pid}/status', encoding='ascii') as status:
                peaks.append(next(int(line.split()[1]) for line in status if line.startswith('VmHWM')))
        assert live.end()[0] == 0
        assert peaks[1] < peaks[0] + 4 * 1024, peaks


@case
def two_recorders_do_not_write_to_one_file():
    with scratch() as place:
        live = Live(os.path.join(place, 'a.peal'))
        live.say(b'one\n')
        done = peal('record', '--append', live.path, stdin=b'two\n', status=1)
        assert 'another process records to it' in one_line(done.stderr)
        assert live.end()[0] == 0 and replayed(live.path) == [b'one']


@case
def an_old_recording_is_not_overwritten():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        peal('record', '-q', path, stdin=b'one\n')
        assert '--append' in one_line(peal('record', path, stdin=b'two\n', status=1).stderr)
        assert replayed(path) == [b'one']
        peal('record', '-q', '--append', path, stdin=b'two\n')
        assert replayed(path) == [b'one', b'two'] and info(path)['sessions'] == 2


@case
def a_terminal_is_shown_progress_and_totals():
    with scratch() as place:
        path = os.path.join(place, 'a.peal')
        source = os.pipe()
        terminal = Terminal('record', '-q', path, streams=(2,), stdin=source[0])
        os.write(source[1], b'one\ntwo\n')
        terminal.wait_for(b'2 records')
        terminal.type(b'\x03')
        status, shown = terminal.end()
        for fd in source:
            os.close(fd)
        assert status == 130 and b'2 records, 6 B in ' in shown, (status, shown)
        assert replayed(path) == [b'one', b'two']
        done = peal('record', '-q', '--json', path + '2', stdin=b'one\n')
        told = json.loads(one_line(done.stderr))
        assert (told['records'], told['bytes'], told['status']) == (1, 3, 0), told
        assert told['stored_bytes'] == os.path.getsize(path + '2')


# --- Rotation ----------------------------------------------------------------------------------------

def rotated(path):
    """Of what stands beside it, the oldest first."""
    name = os.path.basename(path) + '.'
    numbers = [int(file[len(name):]) for file in os.listdir(os.path.dirname(path)) if file.startswith(name)]
    return [f'{path}.{number}' for number in sorted(numbers, reverse=True)] + [path]


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
