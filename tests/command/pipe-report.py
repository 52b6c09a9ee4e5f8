# SPDX-License-Identifier: MIT
"""What peal pipe says of itself: progress on a terminal, figures at the end, wrong usage.

usage: pipe-report.py PEAL
"""
import json
import re

from command import Terminal, case, finish, one_line, peal
from pipes import MIB, Folder, noise


def report(*arguments, **more):
    """What --json says."""
    return json.loads(one_line(peal('pipe', '--quiet', '--json', *arguments, **more).stderr))


def rings(terminal):
    """The next progress line of a chain of two rings."""
    shown = terminal.wait_for(b'\x1b[K').decode()
    return re.search(r'\r(\S+ \S+)  fill (?P<first>\d+)% (?P<second>\d+)%  in (?P<input>\S+ \S+) (\S+ \S+)'
                     r'  out (?P<output>\S+ \S+) (\S+ \S+)', shown)


@case
def a_terminal_shows_progress():
    terminal = Terminal('pipe', 'head -c 5M /dev/zero; sleep 0.3', 'cat; read x < /dev/tty', 'cat >/dev/null')
    while not (shown := rings(terminal)) or shown['input'] != '5.00 MiB' or shown['output'] != '5.00 MiB':
        pass
    assert (shown['first'], shown['second']) == ('0', '0')
    terminal.type(b'\n')
    status, text = terminal.end()
    # The line is gone at the end.
    assert status == 0 and text.endswith(b'\r\x1b[K'), (status, text)


@case
def a_full_ring_shows():
    terminal = Terminal('pipe', 'yes', 'read x < /dev/tty; head -1', 'cat')
    while not (shown := rings(terminal)) or int(shown['first']) < 75:
        pass
    terminal.type(b'\n')
    assert terminal.end()[0] == 0


@case
def the_line_fits_the_terminal():
    for columns in [40, 80]:
        terminal = Terminal('pipe', *['cat'] * 9, columns=columns)
        shown = terminal.wait_for(b'\x1b[K')
        assert len(shown.strip(b'\r').removesuffix(b'\x1b[K')) < columns, shown
        terminal.type(b'\x04')
        assert terminal.end()[0] == 0


@case
def control_c_ends_it():
    terminal = Terminal('pipe', 'sleep 1000', 'cat')
    terminal.wait_for(b'fill 0%')
    terminal.type(b'\x03')
    assert terminal.end()[0] == 130


@case
def the_time_that_is_left_shows_when_the_size_is_known():
    with Folder(noise(4 * MIB)) as path:
        for options, stages in [((), ('head -c 2M; read x < /dev/tty', 'cat > /dev/null')),
                                (('--size=4M',), (f'head -c 2M {path}; read x < /dev/tty', 'cat > /dev/null'))]:
            with open(path, 'rb') as file:
                terminal = Terminal('pipe', *options, *stages, streams=(1, 2), stdin=file)
            terminal.wait_for(b'50% ETA ')
            terminal.type(b'\n')
            assert terminal.end()[0] == 0


@case
def standard_input_that_nobody_reads_promises_nothing():
    with Folder(noise(MIB)) as path, open(path, 'rb') as file:
        terminal = Terminal('pipe', 'seq 10; read x < /dev/tty', 'cat > /dev/null', streams=(1, 2), stdin=file)
        assert b'ETA' not in terminal.wait_for(b'fill')
        terminal.type(b'\n')
        terminal.end()


@case
def without_a_terminal_and_when_quiet_there_is_no_progress():
    assert peal('pipe', 'sleep 0.3', 'cat').stderr == b''
    assert Terminal('pipe', '--quiet', 'sleep 0.3', 'cat').end() == (0, b'')


@case
def the_report_names_the_stage_that_holds_up_the_chain():
    slow = 'while head -c 100K | grep -q .; do sleep 0.01; done'
    for stages, slowest in [(('head -c 8M /dev/zero | tr "\\0" x', slow), 1),
                            (('for i in $(seq 50); do echo; sleep 0.01; done', 'cat', 'cat'), 0),
                            (('yes | head -c 8M', 'for i in $(seq 80); do head -c 100K; sleep 0.01; done', 'cat >/dev/null'), 1)]:
        said = report(*stages)
        shares = [stage['held_up'] for stage in said['stages']]
        assert shares.index(max(shares)) == slowest and max(shares) > 0.5 and sum(shares) <= 1.001, said


@case
def the_report_counts():
    said = report('--capacity=256K', 'head -c 3M /dev/zero', 'cat', 'head -c 1M >/dev/null; cat >/dev/null; exit 0')
    assert said['status'] == 0 and said['seconds'] > 0 and said['waits_by'] in ('io_uring', 'poll')
    assert [stage['command'] for stage in said['stages']][:2] == ['head -c 3M /dev/zero', 'cat']
    assert [(stage['guest'], stage['status']) for stage in said['stages']] == [(False, 0)] * 3
    for ring in said['rings']:
        assert (ring['capacity'], ring['bytes_in'], ring['bytes_out']) == (256 << 10, 3 * MIB, 3 * MIB)
        assert 0 < ring['most_used'] <= ring['capacity']
    said = report('true', 'exit 3', status=3)
    assert said['status'] == 3 and said['stages'][1]['status'] == 3


@case
def a_shell_s_pipe_is_said_to_do_where_it_does():
    words = b"a shell's pipes would do as well"
    assert words in peal('pipe', '--verbose', 'echo x', 'cat').stderr
    with Folder() as path:
        stages = (f'head -c 500K /dev/zero; rm {path}', f'while test -e {path}; do sleep 0.01; done; cksum')
        assert words not in peal('pipe', '--verbose', *stages).stderr


@case
def json_comes_last_and_alone():
    lines = peal('pipe', '--json', 'echo first >&2; exit 3', 'true').stderr.decode().splitlines()
    assert lines[:2] == ['first', "peal pipe: stage 1 'echo first >&2; exit 3' ended with status 3"], lines
    assert json.loads(lines[2])['stages'][0]['status'] == 3 and len(lines) == 3, lines
    status, text = Terminal('pipe', '--json', 'sleep 0.3', 'cat').end()
    assert status == 0 and text.count(b'\n') == 1 and json.loads(text), text


@case
def wrong_usage_is_one_clear_line():
    for arguments, words in [(('--capacity', '1', 'true'), '--capacity: a size from 64.0 KiB'),
                             (('--capacity', 'many', 'true'), "'many'"), (('--size', '0', 'true'), '--size'),
                             (('true', ' '), 'command 2 is empty'), (('@', 'true'), 'command 1 is empty')]:
        done = peal('pipe', *arguments, status=2)
        assert done.stdout == b'' and words in one_line(done.stderr), done.stderr


@case
def the_report_is_json_whatever_bytes_a_command_has():
    told = report('echo a', b'cat #\xff', 'cat #\xe9')
    assert [stage['command'] for stage in told['stages']] == ['echo a', r'cat #\xff', 'cat #\xe9'], told


finish()
