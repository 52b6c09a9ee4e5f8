# SPDX-License-Identifier: MIT
"""What the tests of the peal command share: cases that count as the harness counts, the program
under test, and a terminal to run it on.

A test is a script: import this, write functions marked @case, call finish(). Its first argument is
the peal to test; the guests of tests/command are built beside the build's tests/command directory.
"""
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import traceback

# Peal leaves alone what was ignored when it started; who started these tests may have ignored some.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

PEAL = os.path.abspath(sys.argv[1])
BUILD = os.path.dirname(os.path.dirname(PEAL))
# Nothing of the caller's terminal shall show in what is compared.
ENV = {key: value for key, value in os.environ.items() if key not in ('NO_COLOR', 'COLUMNS', 'LINES')}
ENV['TERM'] = 'xterm'

_cases = []
_counts = {'passed': 0, 'failed': 0, 'skipped': 0}


class Skip(Exception):
    """This machine does not allow it; say what."""


def case(function):
    """Mark a test case. It is named after its promise, and its name is what is shown."""
    _cases.append(function)
    return function


def finish():
    """Run the cases (or the one that CK_RUN_CASE names), tell ./dev, and end."""
    only = os.environ.get('CK_RUN_CASE')
    for function in _cases:
        name = function.__name__
        if only and only != name:
            continue
        try:
            function()
            _counts['passed'] += 1
            print(f'ok   {name}', flush=True)
        except Skip as skip:
            _counts['skipped'] += 1
            print(f'skip {name}: {skip}', flush=True)
        except Exception:
            _counts['failed'] += 1
            print(f'FAIL {name}', flush=True)
            traceback.print_exc(file=sys.stdout)
    if 'PEAL_TALLY' in os.environ:
        with open(os.environ['PEAL_TALLY'], 'a', encoding='utf-8') as tally:
            tally.write('{passed} {failed} {skipped}\n'.format(**_counts))
    sys.exit(_counts['failed'] > 0 or sum(_counts.values()) == 0)


def guest(name):
    """The path of a program of tests/command."""
    return os.path.join(BUILD, 'tests', 'command', name)


def peal(*arguments, stdin=b'', status=0, env=None, **more):
    """Run peal to its end with its output in pipes. Its exit status must be the one expected, if any."""
    done = subprocess.run([PEAL, *arguments], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**ENV, **(env or {})}, check=False, **more)
    if status is not None:
        assert done.returncode == status, (arguments, done.returncode, done.stdout[-500:], done.stderr)
    return done


def start(*arguments, env=None, **more):
    """Start peal, not waiting for its end. The caller ends it."""
    return subprocess.Popen([PEAL, *arguments], env={**ENV, **(env or {})}, **more)


def one_line(text):
    """The only line of what went to stderr."""
    lines = text.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def until(what, condition):
    """Wait for a condition of the world outside; the test's time-out is the judge."""
    while not condition():
        time.sleep(0.01)
    return what


class Terminal:
    """peal on a pseudo-terminal. @streams: which of its standard streams lead there."""

    def __init__(self, *arguments, rows=24, columns=80, streams=(0, 1, 2), env=None, **more):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        names = ('stdin', 'stdout', 'stderr')
        for stream in streams:
            more[names[stream]] = slave
        self.process = subprocess.Popen([PEAL, *arguments], env={**ENV, **(env or {})},
                                        start_new_session=True, preexec_fn=self._control(slave), **more)
        os.close(slave)
        self.text = b''

    @staticmethod
    def _control(slave):
        def become_controlling():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        return become_controlling

    def type(self, text):
        """As if typed; b'\\x03' is Ctrl-C."""
        os.write(self.master, text)

    def _read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return None
        try:
            return os.read(self.master, 65536)
        except OSError as error:
            if error.errno == errno.EIO:
                return b''
            raise

    def wait_for(self, text):
        """Until this has been shown since the last call. Returns all that was."""
        while text not in self.text:
            more = self._read(None)
            assert more, f'{text!r} was expected, and all that came is {self.text!r}'
            self.text += more
        end = self.text.index(text) + len(text)
        shown, self.text = self.text[:end], self.text[end:]
        return shown

    def end(self):
        """Read until peal has ended. Returns (exit status, all that was shown since)."""
        while more := self._read(None):
            self.text += more
        os.close(self.master)
        return self.process.wait(), self.text
