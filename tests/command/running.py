# SPDX-License-Identifier: MIT
"""What the tests of `peal run` share: a guest of every kind, and what can be seen of processes."""
import json
import re
import struct
import time

from command import guest, peal, until

GUEST = guest('command-guest')
MB = 1 << 20


def run(*arguments, stdin=b'', status=0, **more):
    """Arguments up to the guest's mode are options."""
    options = [word for word in arguments if word.startswith('-') or '=' in word]
    mode = [word for word in arguments if word not in options]
    return peal('run', *options, GUEST, *mode, stdin=stdin, status=status, **more)


def report(done):
    return json.loads(done.stderr.decode().splitlines()[-1])


def guest_of(process):
    """The process id of the guest, once it has been started."""
    path = f'/proc/{process.pid}/task/{process.pid}/children'

    def children():
        with open(path, encoding='ascii') as file:
            return file.read().split()

    until('it has a child', children)
    return int(children()[0])


def is_gone(pid):
    """No such process, or a zombie that somebody else has still to reap."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def stands_still(pid):
    """It sleeps, and nothing wakes it for half a second; a busy or ticking loop never gets here."""
    def switches():
        with open(f'/proc/{pid}/status', encoding='ascii') as file:
            return re.findall(r'ctxt_switches:\s+(\d+)', file.read())

    while True:
        before = switches()
        time.sleep(0.5)
        if switches() == before:
            with open(f'/proc/{pid}/stat', encoding='ascii') as file:
                if file.read().rsplit(')', 1)[1].split()[0] == 'S':
                    return


def framed(records):
    return b''.join(struct.pack('<I', len(record)) + record for record in records)


def feed(process, count):
    try:
        process.stdin.write(b'line\n' * count)
        process.stdin.flush()
    except (OSError, ValueError):
        pass
