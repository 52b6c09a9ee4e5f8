# SPDX-License-Identifier: MIT
"""The two ends of a ring."""
import asyncio
import contextlib
import ctypes
import os
import select
import sys
import time

from . import _library as c
from ._library import AGAIN, TRY, byref, check, deadline, lib

# How long a wait is the library's, which spins, before it is Python's.
MOMENT = 50e-6


class View:
    """Memory of the ring that is ours for a while. `data` is a memoryview of it, without a copy."""

    def __init__(self, address, size, writable):
        # An array of no bytes has no address to read from.
        self._array = (ctypes.c_ubyte * size).from_address(address or 0)
        self._view = memoryview(self._array).cast('B')
        if not writable:
            self._view = self._view.toreadonly()

    @property
    def data(self):
        return self._view

    def __len__(self):
        return len(self._view)

    def _end(self):
        """Nobody can reach the memory any more; BufferError, and all as before, if somebody still
        does: a slice, an array of numpy."""
        array, self._array, view = self._array, None, self._view
        size, readonly = len(view), view.readonly
        try:
            view.release()
            # `array` and the argument of getrefcount; any view that is left holds one more.
            if sys.getrefcount(array) > 2:
                self._view = memoryview(array).cast('B')
                if readonly:
                    self._view = self._view.toreadonly()
                raise BufferError(f'views of this record of {size} bytes still exist')
        except BufferError:
            self._array = array
            raise


class Record(View):
    """A record that lies in the ring until it is released: by release(), the end of a `with`, or the next
    turn of a loop. A hostile peer can change it meanwhile; bytes(record.data) is a copy."""

    def __init__(self, consumer, record):
        super().__init__(record.data, record.size, False)
        self.type = record.type
        self._consumer = consumer

    def release(self):
        """Give the memory back. Twice is fine. BufferError while views of it exist."""
        if self._array is not None:
            self._end()
            self._consumer._held = None
            self._consumer._call('peal_release')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


class Reservation(View):
    """Memory for one record. commit() publishes it, stage() leaves that to the producer's publish(); the
    end of a `with` without either gives it up."""

    def __init__(self, producer, address, size):
        super().__init__(address, size, True)
        self._producer = producer

    def commit(self, size=None, type=0):
        self._finish('peal_commit', size, type)

    def stage(self, size=None, type=0):
        self._finish('peal_stage', size, type)

    def _finish(self, name, size, type):
        size = len(self) if size is None else size
        self._end()
        self._producer._call(name, size, type)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._array is not None:
            self._end()
            self._producer._call('peal_abort')


class _End:
    def __init__(self, channel, pointer):
        self._channel, self._pointer = channel, pointer

    def _answer(self, name, *arguments):
        if not self._channel._pointer:
            raise ValueError('the channel is closed')
        return getattr(lib, name)(self._pointer, *arguments) or 0

    def _call(self, name, *arguments):
        return check(self._answer(name, *arguments))

    def _wait(self, name, *arguments, need=(), timeout=None):
        """A call that takes a deadline. A wait of the library goes on after a signal, and Python's handlers,
        Ctrl-C among them, run when it is over; so all but its beginning is spent in a poll of Python's."""
        begin = MOMENT if timeout is None else min(timeout, MOMENT)
        rc = self._answer(name, *arguments, deadline(begin))
        if rc not in AGAIN or (timeout is not None and timeout <= MOMENT):
            return check(rc)
        end = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        for fd in (self._bell(), lib.peal_channel_peer_fd(self._channel._pointer)):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        while True:
            left = None if end is None else max(end - time.monotonic(), 0) * 1000
            with self._armed(*need) as asleep:
                rung = not asleep or poll.poll(left)
            rc = self._answer(name, *arguments, TRY)
            if rc not in AGAIN:
                return check(rc)
            if not rung:
                return check(-c.ETIMEDOUT)

    @contextlib.contextmanager
    def _armed(self, *need):
        """Whether this end may sleep: there was nothing when it was armed. Disarmed at the end."""
        asleep = self._call(self._arm, *need) == 0
        try:
            yield asleep
        finally:
            # Who was cancelled after the channel was closed is told of that, and of nothing else.
            if asleep and self._channel._pointer:
                self._call(self._disarm)

    _peer_fd = None

    async def _sleep(self, *need):
        """Until this end's bell rings or the peer is gone; not at all where there is something already."""
        with self._armed(*need) as asleep:
            if asleep:
                await self._rung()

    async def _rung(self):
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        peer = lib.peal_channel_peer_fd(self._channel._pointer)
        if self._peer_fd is None and peer >= 0:
            # Our own: the other end may sleep in this loop too, and it has one callback a descriptor.
            self._peer_fd = os.dup(peer)
        watched = [fd for fd in (self._bell(), self._peer_fd) if fd is not None]
        for fd in watched:
            loop.add_reader(fd, done.set)
        try:
            await done.wait()
        finally:
            for fd in watched:
                loop.remove_reader(fd)

    def _close(self):
        if self._peer_fd is not None:
            os.close(self._peer_fd)
            self._peer_fd = None


class Producer(_End):
    """Where this process sends. One thread at a time."""

    _arm, _disarm = 'peal_arm_space', 'peal_disarm_space'

    def _bell(self):
        return lib.peal_tx_fd(self._channel._pointer)

    def send(self, data, type=0, timeout=None):
        """Copy one record into the ring; waits for room."""
        view = memoryview(data).cast('B')
        if view.readonly:  # ctypes takes the address of writable memory only, and of bytes
            view = view.obj if isinstance(view.obj, bytes) and len(view.obj) == len(view) else bytes(view)
        else:
            view = (ctypes.c_ubyte * len(view)).from_buffer(view)
        place = ctypes.cast(view, ctypes.c_void_p)
        self._wait('peal_send', place, len(view), type, need=(len(view),), timeout=timeout)

    def reserve(self, size, timeout=None):
        """Memory in the ring, to be filled in place: a Reservation."""
        address = c.c_void_p()
        self._wait('peal_reserve_wait', size, byref(address), need=(size,), timeout=timeout)
        return Reservation(self, address.value, size)

    def publish(self):
        """Publish all that is staged; a ring that is full does that too."""
        self._call('peal_publish')

    @property
    def record_max(self):
        return lib.peal_record_max(self._pointer)

    async def send_async(self, data, type=0):
        """send() in an asyncio program."""
        while True:
            try:
                return self.send(data, type, timeout=0)
            except BlockingIOError:
                pass
            await self._sleep(memoryview(data).nbytes)


class Consumer(_End):
    """Where this process receives. One thread at a time; one record at a time."""

    _arm, _disarm = 'peal_arm_data', 'peal_disarm_data'
    _held = None

    def _bell(self):
        return lib.peal_rx_fd(self._channel._pointer)

    def _found(self, rc, record):
        if rc == 0:
            return None
        self._held = Record(self, record)
        return self._held

    def _let_go(self):
        if self._held is not None:
            self._held.release()

    def next(self, timeout=None):
        """The next record, in place; the one before is released. BrokenPipeError after the last."""
        self._let_go()
        record = c.Record()
        return self._found(self._wait('peal_next_wait', byref(record), timeout=timeout), record)

    def receive(self, timeout=None):
        """The next record as (bytes, type): a copy, which the peer can not change."""
        with self.next(timeout) as record:
            return bytes(record.data), record.type

    def __iter__(self):
        """Records until the peer has closed or ended; each is released when the next is taken."""
        with contextlib.suppress(BrokenPipeError):
            while True:
                yield self.next()
        self._let_go()

    async def next_async(self):
        """next() in an asyncio program."""
        self._let_go()
        while True:
            record = c.Record()
            found = self._found(self._call('peal_next', byref(record)), record)
            if found is not None:
                return found
            await self._sleep()

    async def __aiter__(self):
        with contextlib.suppress(BrokenPipeError):
            while True:
                yield await self.next_async()
        self._let_go()
