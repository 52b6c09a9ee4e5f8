# SPDX-License-Identifier: MIT
"""Help fits a screen, wrong usage is one line and 2, and standard output carries data alone.

usage: usage.py PEAL
"""
import os
import re
import subprocess

from command import PEAL, case, finish, one_line, peal


def commands():
    """The names in `peal --help`."""
    names = re.findall(r'^  (\w+) +\S', peal('--help').stdout.decode(), re.M)
    assert names
    return names


def fits(text):
    lines = text.decode().splitlines()
    assert len(lines) <= 24, len(lines)
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    return True


@case
def help_fits_a_screen_and_shows_an_example():
    for done in [peal('--help'), *(peal('help', name) for name in commands())]:
        assert done.stderr == b'' and fits(done.stdout), done
        assert b'\nExample' in done.stdout, done.stdout


@case
def each_command_is_listed_once():
    assert len(commands()) == len(set(commands())), commands()


@case
def each_command_explains_itself():
    # Not bench, which lets peal-bench speak.
    for name in set(commands()) - {'bench'}:
        done = peal(name, '--help')
        assert done.stdout == peal('help', name).stdout and done.stderr == b'', name
        assert done.stdout.startswith(b'usage: peal ' + name.encode()), name


@case
def wrong_usage_is_one_clear_line_and_status_2():
    for arguments in [(), ('no-such-command',), ('--no-such-option',), ('help', 'no-such-command'),
                      ('help', 'bench', 'more')]:
        done = peal(*arguments, status=2)
        assert done.stdout == b''
        line = one_line(done.stderr)
        assert line.startswith('peal: ') and all(word in line for word in arguments[-1:]), line


@case
def each_command_refuses_an_unknown_option():
    for name in set(commands()) - {'bench'}:
        done = peal(name, '--no-such-option', status=2)
        line = one_line(done.stderr)
        assert done.stdout == b'' and line.startswith(f'peal {name}: '), line
        assert '--no-such-option' in line, line


@case
def the_version_is_the_library_s():
    assert re.fullmatch(rb'peal \d+\.\d+\.\d+\n', peal('--version').stdout)


@case
def a_full_device_is_an_error():
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([PEAL, '--version'], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert 'No space left' in one_line(done.stderr)


@case
def a_closed_stream_is_an_error_and_nobody_else_s_number():
    done = peal('doctor', status=1, preexec_fn=lambda: os.close(1))
    assert 'Bad file descriptor' in one_line(done.stderr)
    assert peal('doctor', status=0, preexec_fn=lambda: os.close(2)).stdout.startswith(b'Peal ')
    assert peal('doctor', status=0, preexec_fn=lambda: os.close(0)).stdout.startswith(b'Peal ')


finish()
