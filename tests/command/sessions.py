# SPDX-License-Identifier: MIT
"""The sessions in docs/command.md are real: each command is run again, and answers as it does there.

A session is a block that begins with ```console; its commands stand behind "$ ". Figures may differ. After
```console machine the answers are this machine's own affair, but the commands must succeed.

usage: sessions.py PEAL [--write]      --write: put what they answer now into the page
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from command import BUILD, ENV, PEAL, Skip, case, finish

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / 'docs' / 'command.md'
BLOCK = re.compile(r'^```console( machine)?\n(.*?)^```$', re.M | re.S)
# What a session finds in its directory, by name.
GUESTS = ('upper', 'sandboxed-plugin')
SCRIPTS = ('refusing.py',)


def run(block):
    """The session as it is today: the text of the block, and whether each command succeeded."""
    text, fine = '', True
    with tempfile.TemporaryDirectory() as directory:
        for name in GUESTS:
            os.symlink(os.path.join(BUILD, 'examples', name), os.path.join(directory, name))
        for name in SCRIPTS:
            os.symlink(HERE / name, os.path.join(directory, name))
        env = {**ENV, 'PATH': os.path.dirname(PEAL) + ':' + ENV['PATH'], 'PYTHONDONTWRITEBYTECODE': '1'}
        for command in re.findall(r'^\$ (.*)$', block, re.M):
            done = subprocess.run(['bash', '-c', command], cwd=directory, env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            text += f'$ {command}\n' + done.stdout.decode()
            fine = fine and done.returncode == 0
    return text, fine


def without_figures(text):
    return re.sub(r'\d+(\.\d+)?( ?(ns|us|ms|s|[KMGT]iB|B)\b(/s)?)?', '#', text)


def check(block, is_machine):
    text, fine = run(block)
    if is_machine:
        assert fine, text
    else:
        assert without_figures(text) == without_figures(block), f'the page says\n{block}\nand now it is\n{text}'


def main():
    page = PAGE.read_text(encoding='utf-8')
    if '--write' in sys.argv:
        PAGE.write_text(BLOCK.sub(lambda found: f'```console{found[1] or ""}\n{run(found[2])[0]}```', page),
                        encoding='utf-8')
        return
    blocks = BLOCK.findall(page)
    assert len(blocks) > 4, 'sessions were expected in the page'

    def session(is_machine, block):
        def its_session_is_real():
            missing = [name for name in GUESTS if not os.path.exists(os.path.join(BUILD, 'examples', name))]
            if missing:
                raise Skip('built without examples')
            check(block, is_machine)
        its_session_is_real.__name__ = 'session: ' + block.splitlines()[0][2:]
        return its_session_is_real

    for is_machine, block in blocks:
        case(session(is_machine, block))
    finish()


main()
