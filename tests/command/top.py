# SPDX-License-Identifier: MIT
"""peal top shows what peal ls shows, live, on any size of screen, and leaves the terminal as it was.

usage: top.py PEAL
"""
import json
import os
import signal
import subprocess
import time

from command import case, finish, one_line, peal, start
from pairs import Pair, ids
from screen import Screen

FAST = ('--interval', '50ms')
KEYS = 's by stall   t by traffic   q quit'


def top(*arguments, env=None, **more):
    return Screen('top', *FAST, *arguments, env={'LC_ALL': 'C.UTF-8', **(env or {})}, **more)


def quit_it(screen):
    screen.type(b'q')
    status, text = screen.end()
    assert status == 0, status
    assert b'\x1b[?1049l' in text, 'the other screen was not left'


def row_of(lines, first, second):
    """The line of the ring between these two processes, and the one behind it."""
    for i, line in enumerate(lines):
        if f'{first} pair' in line and line.index(f'{first} pair') < line.find(f'{second} pair'):
            return line, lines[i + 1]
    return None


@case
def a_screen_of_80x24_has_it_all():
    with Pair('fill', 'nap', name='stuck') as stuck, Pair('stream', 'read', name='quick') as quick:
        screen = top()
        screen.until(lambda lines: row_of(lines, stuck.host, stuck.guest)
                     and 'has not read for' in row_of(lines, stuck.host, stuck.guest)[1]
                     and row_of(lines, quick.host, quick.guest)
                     and 'MiB/s' in row_of(lines, quick.host, quick.guest)[0])
        lines = screen.lines()
        assert lines[1].split() == ['CHANNEL', 'FROM', 'TO', 'FULL', 'RATE'], lines
        assert lines[23].startswith(KEYS), lines
        figures, complaint = row_of(lines, stuck.host, stuck.guest)
        assert figures.startswith('stuck ') and '100%' in figures, figures
        assert complaint.startswith(f'  guest {stuck.guest} has not read for '), complaint
        assert complaint.endswith('; ring 100 % full'), complaint
        quit_it(screen)


@case
def what_is_stuck_is_red_and_nothing_else():
    with Pair('fill', 'nap', name='stuck') as stuck, Pair('stream', 'read', name='quick') as quick:
        screen = top()
        screen.until(lambda lines: row_of(lines, stuck.host, stuck.guest)
                     and 'has not read for' in row_of(lines, stuck.host, stuck.guest)[1]
                     and row_of(lines, quick.host, quick.guest))
        red = screen.red_lines()
        assert any(f'{stuck.host} pair' in line for line in red), (red, screen.lines())
        assert any(f'guest {stuck.guest} has not' in line for line in red), red
        assert not any(f'{quick.host} pair' in line for line in red), red
        quit_it(screen)
        plain = top(env={'NO_COLOR': '1'})
        plain.until(lambda lines: any(f'guest {stuck.guest} has not' in line for line in lines))
        assert plain.red_lines() == []
        quit_it(plain)


@case
def rates_of_the_past_are_blocks_or_ascii():
    with Pair('stream', 'read') as pair:
        for env, marks in (({}, '▁▂▃▄▅▆▇█'), ({'LC_ALL': 'C'}, '.:-=+*%#')):
            screen = top(env=env)
            screen.until(lambda lines: (row := row_of(lines, pair.host, pair.guest))
                         and len(row[0]) > 70 and row[0][-1] in marks)
            line = row_of(screen.lines(), pair.host, pair.guest)[0]
            assert set(line[64:]) <= set(marks + ' '), line
            quit_it(screen)


@case
def keys_change_the_order():
    with Pair('fill', 'nap', name='stuck') as stuck, Pair('stream', 'read', name='quick') as quick:
        def order(lines):
            rows = [i for pair in (stuck, quick) for i, line in enumerate(lines)
                    if f'{pair.host} pair' in line and line.index(f'{pair.host} pair') < 20]
            return None if len(rows) < 2 else rows[0] < rows[1]
        screen = top()
        screen.until(lambda lines: 'by stall' in lines[0] and order(lines) is True and 'not read' in '\n'.join(lines))
        screen.type(b't')
        screen.until(lambda lines: 'by traffic' in lines[0] and order(lines) is False)
        screen.type(b's')
        screen.until(lambda lines: 'by stall' in lines[0] and order(lines) is True)
        quit_it(screen)
        screen = top('--sort', 'traffic')
        screen.until(lambda lines: 'by traffic' in lines[0])
        quit_it(screen)


@case
def a_new_size_is_used_at_once():
    with Pair('stream', 'read') as pair:
        # So slow that no frame but the one after the resize can be meant.
        screen = Screen('top', '--interval', '1h', env={'LC_ALL': 'C'})
        screen.until(lambda lines: lines[23].startswith(KEYS) and row_of(lines, pair.host, pair.guest))
        for rows, columns in ((40, 120), (12, 64), (24, 80)):
            screen.resize(rows, columns)
            screen.until(lambda lines: lines[rows - 1].startswith(KEYS) and 'CHANNEL' in lines[1])
            assert len(screen.lines()) == rows
        # There is no room for anything; nothing breaks.
        for rows, columns in ((3, 10), (2, 5), (1, 1), (24, 80)):
            screen.resize(rows, columns)
            os.kill(screen.process.pid, 0)
        screen.until(lambda lines: lines[23].startswith(KEYS) and 'CHANNEL' in lines[1])
        quit_it(screen)


@case
def a_new_size_that_comes_while_a_frame_is_drawn_is_used_too():
    screen = Screen('top', '--interval', '1h', env={'LC_ALL': 'C'})
    screen.until(lambda lines: lines[23].startswith(KEYS))
    for i in range(500):
        rows = 20 + i % 7
        screen.resize(rows, 80)
        screen.until(lambda lines: lines[rows - 1].startswith(KEYS))
    quit_it(screen)


@case
def what_does_not_fit_is_counted():
    with Pair('nap', 'nap'), Pair('nap', 'nap'), Pair('nap', 'nap'):
        screen = top(rows=6)
        screen.until(lambda lines: 'more rings do not fit)' in lines[5])
        quit_it(screen)


@case
def it_ends_by_signals_and_puts_the_terminal_back():
    for number, typed in ((signal.SIGINT, b'\x03'), (signal.SIGTERM, None), (signal.SIGHUP, None)):
        screen = top()
        screen.until(lambda lines: lines[23].startswith(KEYS))
        if typed:
            screen.type(typed)
        else:
            os.kill(screen.process.pid, number)
        status, text = screen.end()
        assert status == 128 + number, (number, status)
        assert b'\x1b[?1049l' in text


@case
def it_ends_when_the_terminal_goes():
    screen = top()
    screen.until(lambda lines: lines[23].startswith(KEYS))
    os.close(screen.master)
    assert screen.process.wait() in (128 + signal.SIGHUP, 141)


@case
def it_ends_when_a_terminal_goes_that_sends_no_signal():
    master, slave = os.openpty()
    # In a session of its own, whose terminal this is not.
    process = start('top', *FAST, stdin=slave, stdout=slave, start_new_session=True)
    os.close(slave)
    seen = b''
    while KEYS.encode() not in seen:
        seen += os.read(master, 65536)
    os.close(master)
    assert process.wait() == 141


@case
def input_that_is_at_its_end_does_not_make_it_busy():
    def ticks():
        with open(f'/proc/{screen.process.pid}/stat', encoding='ascii') as file:
            return sum(map(int, file.read().rpartition(')')[2].split()[11:13]))

    with open('/dev/null', 'rb') as null:
        screen = Screen('top', '--interval', '1h', streams=(1, 2), stdin=null)
        screen.until(lambda lines: lines[23].startswith(KEYS))
        before = ticks()
        time.sleep(2)
        # It has nothing to do.
        assert ticks() - before < 10
        os.kill(screen.process.pid, signal.SIGTERM)
        assert screen.end()[0] == 128 + signal.SIGTERM


@case
def an_unknown_terminal_is_an_error():
    screen = Screen('top', env={'TERM': 'no-such-terminal'})
    status, text = screen.end()
    assert status == 1 and b'peal top: this terminal is not known' in text, (status, text)


@case
def once_is_a_frame_of_text():
    with Pair('fill', 'nap', name='stuck') as stuck, Pair('stream', 'read', name='quick') as quick:
        time.sleep(1)
        done = peal('top', '--once', '--interval', '100ms', env={'LC_ALL': 'C'})
        lines = done.stdout.decode().splitlines()
        assert done.stderr == b'' and b'\x1b' not in done.stdout
        assert 'channels' in lines[0] and lines[1].startswith('CHANNEL'), lines
        assert 'has not read for' in row_of(lines + [''], stuck.host, stuck.guest)[1]
        assert 'MiB/s' in row_of(lines + [''], quick.host, quick.guest)[0]
        assert not any(line.startswith(KEYS) for line in lines)


@case
def a_reader_that_stands_still_is_stuck_though_nobody_waits_for_it():
    with Pair('some', 'nap') as pair:
        screen = top()
        screen.until(lambda lines: any(f'guest {pair.guest} has not read for' in line for line in lines))
        quit_it(screen)


@case
def a_slow_reader_is_not_stuck_for_longer_than_it_is():
    with Pair('fill', 'sip') as pair:
        begin = time.monotonic_ns()
        process = start('top', '--json', *FAST, stdout=subprocess.PIPE)
        while True:
            channel = json.loads(process.stdout.readline())
            if ids(channel) != (pair.host, pair.guest):
                continue
            stalled, elapsed = channel['to_guest']['stalled_ns'], time.monotonic_ns() - begin
            if elapsed > 3_000_000_000 and 0 < stalled < elapsed / 2:
                break
        process.kill()
        process.wait()
        process.stdout.close()


@case
def objects_come_at_each_look():
    with Pair('stream', 'read') as pair:
        process = start('top', '--json', *FAST, stdout=subprocess.PIPE)
        seen = []
        while len(seen) < 3:
            channel = json.loads(process.stdout.readline())
            if ids(channel) == (pair.host, pair.guest):
                seen.append(channel['to_guest']['written'])
        assert seen == sorted(seen)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 130
        process.stdout.close()
        # Its reader goes away.
        process = start('top', '--json', *FAST, stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 141


finish()
