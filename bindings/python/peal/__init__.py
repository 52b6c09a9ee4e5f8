# SPDX-License-Identifier: MIT
"""Peal for Python: rings between two processes, by ctypes over libpeal, with no compile step.

    with peal.Channel(to_guest=1 << 20, to_host=1 << 20) as channel:
        child = channel.spawn(['./plugin'])
        channel.tx.send(b'hello', type=1)
        with channel.rx.next() as record:
            array = numpy.frombuffer(record.data)     # in place, no copy
            del array                                 # before the record is released

    channel = peal.attach(sys.argv)                   # the guest's side
    async for record in channel.rx:                   # until the host closes or dies

Errors are OSError with its kinds: BrokenPipeError (the peer is gone and all is read), TimeoutError,
BlockingIOError (timeout=0), and the library's own sentence. Waits give up the interpreter's lock, and
Ctrl-C ends them. A released record's `data` refuses access; while slices or arrays of it exist, it can
not be released (BufferError). Threads and forks: as in peal/channel.h.
"""
import contextlib
import os
import select
import signal as _signal
import time

from . import _library as c
from ._library import byref, check, deadline, lib
from ._ring import Consumer, Producer, Record, Reservation

SOCKET, EVENTFD = 0, 1
NO_MEMBARRIER = 1
DIE_WITH_PARENT, NO_NEW_PRIVS = 1, 2
ABSENT, ATTACHED, CLOSED, DEAD = range(4)
SLICE = 0.2  # seconds

__all__ = ['Channel', 'Child', 'Producer', 'Consumer', 'Record', 'Reservation', 'attach', 'SOCKET',
           'EVENTFD', 'NO_MEMBARRIER', 'DIE_WITH_PARENT', 'NO_NEW_PRIVS', 'ABSENT', 'ATTACHED',
           'CLOSED', 'DEAD']


class Child:
    """A process that was started; ended and reaped by close(), or the end of a `with`."""

    def __init__(self, pointer):
        self._pointer = pointer
        self.pid = lib.peal_child_pid(pointer)

    def _open(self):
        if not self._pointer:
            raise ValueError('the child is closed')
        return self._pointer

    @property
    def pidfd(self):
        return lib.peal_child_pidfd(self._open())

    def wait(self, timeout=None):
        """Its exit status, or the negative signal that killed it, as subprocess has it."""
        status, timeout = c.ChildStatus(), c.seconds(timeout)
        if timeout != 0:
            # Not in the library: its wait goes on after a signal, and Python's handlers would not run.
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            if not c.poll_until(poll, None if timeout is None else time.monotonic() + timeout):
                check(-c.ETIMEDOUT)
            timeout = 0
        check(lib.peal_child_wait(self._open(), deadline(timeout), byref(status)))
        return status.value if status.state == 1 else -status.value

    def kill(self, signal=_signal.SIGKILL):
        check(lib.peal_child_kill(self._open(), signal))

    def __str__(self):
        if not self._pointer:
            return f'process {self.pid}, closed'
        text = c.ctypes.create_string_buffer(256)
        return lib.peal_child_describe(self._pointer, text, len(text)).decode(errors='replace')

    def close(self):
        pointer, self._pointer = self._pointer, None
        lib.peal_child_free(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, '_pointer', None):
            self.close()


class Channel:
    """Two processes, joined by up to two rings. `tx` and `rx` are this side's ends, or None."""

    def __init__(self, to_guest=0, to_host=0, *, align=8, doorbell=SOCKET, flags=0, spin_max_us=0,
                 name=None, _pointer=None):
        self._pointer = _pointer or self._create(c.ChannelOptions(
            c.ctypes.sizeof(c.ChannelOptions), c.number('to_guest', to_guest, 64),
            c.number('to_host', to_host, 64), c.number('align', align, 32),
            c.number('doorbell', doorbell, 32), c.number('flags', flags, 32), _spin(spin_max_us),
            c.string(name) if name is not None else None))
        tx, rx = lib.peal_tx(self._pointer), lib.peal_rx(self._pointer)
        self.tx = Producer(self, tx) if tx else None
        self.rx = Consumer(self, rx) if rx else None

    _pointer = tx = rx = None

    @staticmethod
    def _create(options):
        pointer = c.c_void_p()
        check(lib.peal_channel_create(byref(pointer), byref(options)))
        return pointer.value

    def _open(self):
        if not self._pointer:
            raise ValueError('the channel is closed')
        return self._pointer

    def spawn(self, command, *, env=None, flags=0, rlimits=None, timeout=None):
        """Start the guest and wait until it has attached: a Child. RLIMITS is as {resource.RLIMIT_CPU: 2} or
        {resource.RLIMIT_AS: (soft, hard)}."""
        pointer, timeout = c.c_void_p(), c.seconds(timeout)
        options = c.SpawnOptions(c.ctypes.sizeof(c.SpawnOptions), c.number('flags', flags, 32))
        if env is not None:
            for key in env:
                if not key or '=' in key:
                    raise ValueError(f'{key!r} is no name of an environment variable')
            options.envp = c.words(f'{key}={value}' for key, value in env.items())
        if rlimits:
            limits = [(key, value, value) if isinstance(value, int) else (key, *value)
                      for key, value in rlimits.items()]
            options.rlimits = (c.Rlimit * len(limits))(*limits)
            options.rlimit_count = len(limits)
        # -EAGAIN of clone(2) is a failure, and the library has a sentence for it.
        check(lib.peal_spawn(byref(pointer), self._open(), c.words(command), byref(options)), answers=())
        child = Child(pointer.value)
        try:
            self._wait_ready(pointer, timeout)
        except BaseException:
            child.close()
            raise
        return child

    def _wait_ready(self, child, timeout):
        """In slices: a wait of the library goes on after a signal, and Python's handlers run between two."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if end is None else min(max(end - time.monotonic(), 0), SLICE)
            rc = lib.peal_child_wait_ready(child, self._open(), deadline(left))
            if rc not in c.AGAIN or timeout == 0:
                return check(rc)
            if end is not None and time.monotonic() >= end:
                return check(-c.ETIMEDOUT)

    @property
    def peer(self):
        """ABSENT, ATTACHED, CLOSED or DEAD."""
        return lib.peal_channel_peer(self._open())

    def stats(self):
        """(own, peer): .tx and .rx of each with capacity, position, sleeps, wakes, spurious."""
        own, peer = c.SideStats(), c.SideStats()
        lib.peal_channel_stats(self._open(), byref(own), byref(peer))
        return own, peer

    def close(self):
        """Leave; the peer still gets all that was committed. Twice is fine. BufferError while views of a
        record or reservation exist. A task that waits gets ValueError."""
        for end in filter(None, (self.tx, self.rx) if self._pointer else ()):
            end._let_go()
        pointer, self._pointer = self._pointer, None
        for end in filter(None, (self.tx, self.rx)):
            end._close()
        lib.peal_channel_close(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if self._pointer:
            with contextlib.suppress(BufferError, OSError):
                self.close()


def _spin(spin_max_us):
    if not -1 << 31 <= spin_max_us < 1 << 31:
        raise ValueError(f'spin_max_us is {spin_max_us}; expected -1 (never), 0 (default) or microseconds')
    return spin_max_us


def attach(argv, *, flags=0, spin_max_us=0):
    """The guest's side: the Channel that this program was started for, its arguments taken out of argv."""
    pointer, count = c.c_void_p(), c.c_int(len(argv))
    array = c.words(argv)
    options = c.AttachOptions(c.ctypes.sizeof(c.AttachOptions), c.number('flags', flags, 32), _spin(spin_max_us))
    check(lib.peal_attach_args(byref(pointer), byref(count), array, byref(options)))
    argv[:] = [os.fsdecode(array[i]) for i in range(count.value)]
    return Channel(_pointer=pointer.value)
