# SPDX-License-Identifier: MIT
"""What a page shows is what there is.

usage: listings.py ROOT PAGE                the C listings
       listings.py ROOT PAGE DIRECTORY      the sessions, run in that directory

A listing begins with ```c FILE or ```cpp FILE and is whole lines of that file, one after the other. A session begins with ```console;
its commands stand behind "$ " and answer as they do there, but for process ids and the order of lines.
"""
import pathlib
import re
import subprocess
import sys


def listings(root, page):
    """How many are right; the others are shown."""
    found = re.findall(r'^```(?:c|cpp)(?= |$) ?(.*)\n((?:.*\n)*?)^```$', page, re.M)
    wrong = [(name, text) for name, text in found
             if not name or '\n' + text not in '\n' + (root / name).read_text(encoding='utf-8')]
    for name, text in wrong:
        print(f'not in {name or "any file"}:\n{text}')
    return 0 if wrong else len(found)


def lines(text):
    return sorted(re.sub(r'\(pid \d+\)', '(pid N)', text).splitlines())


def sessions(page, directory):
    count = 0
    for command, answer in re.findall(r'^\$ (.*)\n((?:(?!\$ |```).*\n)*)', ''.join(
            re.findall(r'^```console\n((?:.*\n)*?)^```$', page, re.M)), re.M):
        done = subprocess.run(command, shell=True, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, check=False)
        printed = done.stdout.decode()
        if done.returncode != 0 or lines(printed) != lines(answer):
            print(f'$ {command}\nstatus {done.returncode}; the page says\n{answer}\nand it is\n{printed}')
            return 0
        count += 1
    return count


def main():
    root, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text(encoding='utf-8')
    count = sessions(page, sys.argv[3]) if len(sys.argv) > 3 else listings(root, page)
    # At least that many; a page whose blocks are not found any more proves nothing.
    return 0 if count >= 6 else 1


sys.exit(main())
