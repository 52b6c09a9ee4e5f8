# SPDX-License-Identifier: MIT
"""While it records: what is in the file when, who waits for whom, and what a signal leaves.

usage: record-live.py PEAL
"""
import json
import os
import random
import signal
import subprocess
import time

from command import PEAL, Terminal, case, finish, one_line, peal, start, until
from recording import LENGTH, MIB, Live, framed, info, replayed, scratch


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
def what_comes_before_bad_input_is_passed_on_to_a_slow_reader():
    good = framed([b'z' * 1000] * 200)
    with scratch() as place, open(os.path.join(place, 'in'), 'w+b') as source:
        source.write(good + b'\1')
        source.seek(0)
        process = start('record', *LENGTH, os.path.join(place, 'a.peal'), stdin=source,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # The complaint comes when all was read; more than a pipe holds is still to be passed on.
        assert b'inside of record 201' in process.stderr.readline()
        assert process.stdout.read() == good
        process.communicate()
        assert process.returncode == 1 and info(os.path.join(place, 'a.peal'))['records'] == 200


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


finish()
