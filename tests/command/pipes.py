# SPDX-License-Identifier: MIT
"""What the tests of peal pipe share: the shell's answer to compare with, data, processes."""
import os
import random
import shlex
import subprocess
import tempfile

from command import PEAL, peal

MIB = 1 << 20


def shell(text, stdin=b'', pipefail=False):
    """What a shell says to it: (status, output)."""
    done = subprocess.run(['bash', *(['-o', 'pipefail'] if pipefail else []), '-c', text], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout


def same(*commands, stdin=b'', options=(), **more):
    """The chain's status and output are the shell's. Returns what peal did."""
    status, output = shell(' | '.join(f'({command})' for command in commands), stdin)
    done = peal('pipe', *options, *commands, stdin=stdin, status=status, **more)
    assert done.stdout == output, (commands, len(done.stdout), len(output))
    return done


def line(*arguments):
    """A command line of peal pipe, for a shell."""
    return shlex.join([PEAL, 'pipe', *arguments])


def noise(size, seed=1):
    """Bytes that are the same in each run."""
    return random.Random(seed).randbytes(size)


class Folder(tempfile.TemporaryDirectory):
    """With one file in it, whose path it is."""

    def __init__(self, data=b''):
        super().__init__(prefix='peal-pipe-')
        self.path = os.path.join(self.name, 'file')
        with open(self.path, 'wb') as file:
            file.write(data)

    def __enter__(self):
        return self.path


def processes(text):
    """Those, zombies apart, that have this in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                if text.encode() in file.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except OSError:
            pass  # it has just ended
    return found
