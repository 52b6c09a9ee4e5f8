# SPDX-License-Identifier: MIT
"""The man pages, the page and the completions know what peal knows.

usage: pages.py PEAL
"""
import pathlib
import re
import shutil
import subprocess

from command import ENV, PEAL, Skip, case, finish, peal

ROOT = pathlib.Path(__file__).resolve().parents[2]


def commands():
    return re.findall(r'^  (\w+) +\S', peal('--help').stdout.decode(), re.M)


def options(command):
    found = set(re.findall(r'--[a-z][a-z-]+', peal('help', command).stdout.decode())) - {'--help'}
    return found


def man_page(name):
    return (ROOT / f'docs/man/{name}.1.scd').read_text(encoding='utf-8')


@case
def each_command_has_a_man_page_with_its_options():
    for command in commands():
        told = set(re.findall(r'--[a-z][a-z-]+', man_page(f'peal-{command}')))
        assert told == options(command), (command, 'page only:', told - options(command), 'help only:',
                                          options(command) - told)


@case
def the_man_page_lists_each_command():
    listed = re.findall(r'^\|\[ \*peal-(\w+)\*\(1\)$', man_page('peal'), re.M)
    assert listed == commands(), listed


@case
def the_page_has_each_command():
    page = (ROOT / 'docs/command.md').read_text(encoding='utf-8')
    for command in commands():
        assert any(f'peal {command}' in heading for heading in re.findall(r'^## (.*)$', page, re.M)), command


def bash(*words):
    """What bash would offer for the last of these words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _peal; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '-c', script, 'bash', ROOT / 'tools/completion/peal.bash', PEAL, *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, env=ENV)
    assert done.stderr == b'', done.stderr
    return set(done.stdout.decode().split())


@case
def bash_completes_what_there_is():
    assert bash('') == {*commands(), 'help', '--help', '--version'}
    assert bash('help', 'do') == {'doctor'}
    for command in commands():
        assert bash(command, '--') == {*options(command), '--help'}, command
    assert bash('run', '--framing', '') == {'lines', 'length'}
    assert bash('run', '--doorbell', 'e') == {'eventfd'}
    assert bash('run', '--seccomp', '') == {'compute'}
    assert bash('top', '--sort', '') == {'stall', 'traffic'}
    assert bash('run', '--json', '--', 'bas') >= {'bash'}
    assert bash('run', '--', 'x', '--fra') == set()


@case
def zsh_completes_what_there_is():
    if not shutil.which('zsh'):
        raise Skip('no zsh')
    # Without a terminal: the functions of zsh's completion say what they were given.
    script = '''
        _describe() { shift; print -l -- ${${(P)1}%%:*} }
        compadd() { shift; print -l -- $@ }
        _files() { }
        source_it() { source $file }
        file=$1; shift; words=("$@"); CURRENT=$#; source_it
    '''

    def zsh(*words):
        done = subprocess.run(['zsh', '-fc', script, 'zsh', ROOT / 'tools/completion/_peal', PEAL, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, env=ENV)
        assert done.stderr == b'', done.stderr
        return set(done.stdout.decode().split())

    assert zsh('') == {*commands(), 'help'}
    for command in commands():
        assert zsh(command, '--') == {*options(command), '--help'}, command
    assert zsh('run', '--framing', '') == {'lines', 'length'}
    assert zsh('run', '--seccomp', '') == {'compute'}
    assert zsh('run', '--', '') == set()


finish()
