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


# So many records in an event loop, then the others again.
TURN = 64


def _references():
    array = (ctypes.c_ubyte * 1)()
    return sys.getrefcount(array)


# To something that only one local variable names; versions of Python count differently.
ALONE = _references()


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
            # Any view that is left holds one more.
            if sys.getrefcount(array) > ALONE:
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

    _give_up = release

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


class Reservation(View):
    """Memory for one record. commit() publishes it, stage() leaves that to the producer's publish(); the
    end of a `with` without either gives it up, and so does whatever the producer does next."""

    def __init__(self, producer, address, size):
        super().__init__(address, size, True)
        self._producer = producer

    def commit(self, size=None, type=0):
        self._finish('peal_commit', size, type)

    def stage(self, size=None, type=0):
        self._finish('peal_stage', size, type)

    def _finish(self, name, size, type):
        room = len(self)
        size = room if size is None else size
        if not 0 <= size <= room:
            raise ValueError(f'{size} bytes of a reservation of {room}')
        c.number('type', type, 16)
        self._end()
        self._producer._held = None
        self._producer._call(name, size, type)

    def _give_up(self):
        if self._array is not None:
            self._end()
            self._producer._held = None
            self._producer._call('peal_abort')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._give_up()


class _End:
    _held = None     # the record or the reservation that is out
    _asleep = False  # somebody waits here
    _watching = None
    _streak = 0

    def __init__(self, channel, pointer):
        self._channel, self._pointer = channel, pointer

    def _let_go(self):
        if self._held is not None:
            self._held._give_up()

    def _answer(self, name, *arguments):
        if not self._channel._pointer:
            raise ValueError('the channel is closed')
        return getattr(lib, name)(self._pointer, *arguments) or 0

    def _call(self, name, *arguments):
        return check(self._answer(name, *arguments))

    def _wait(self, name, *arguments, need=(), timeout=None):
        """A call that takes a deadline. A wait of the library goes on after a signal, and Python's handlers,
        Ctrl-C among them, run when it is over; so all but its beginning is spent in a poll of Python's."""
        timeout = c.seconds(timeout)
        if timeout != 0:
            self._check_alone()
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
            with self._armed(*need) as asleep:
                if asleep:
                    c.poll_until(poll, end)
            rc = self._answer(name, *arguments, TRY)
            if rc not in AGAIN:
                return check(rc)
            if end is not None and time.monotonic() >= end:  # also under a flood of bells
                return check(-c.ETIMEDOUT)

    def _check_alone(self):
        """Two that wait here would take each other's bells."""
        if self._asleep:
            raise RuntimeError('another task or thread waits at this end of the channel')

    @contextlib.contextmanager
    def _armed(self, *need):
        """Whether this end may sleep: there was nothing when it was armed. Disarmed at the end."""
        self._check_alone()
        self._asleep = self._call(self._arm, *need) == 0
        try:
            yield self._asleep
        finally:
            # Who was cancelled after the channel was closed is told of that, and of nothing else.
            asleep, self._asleep = self._asleep, False
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
        self._watching = loop, done, [fd for fd in (self._bell(), self._peer_fd) if fd is not None]
        try:
            for fd in self._watching[2]:
                loop.add_reader(fd, done.set)
            await done.wait()
        finally:
            self._stop_watching()

    def _stop_watching(self):
        """Before the descriptors are closed, and their numbers are those of others."""
        if self._watching is None:
            return
        (loop, done, watched), self._watching = self._watching, None
        if not loop.is_closed():
            for fd in watched:
                loop.remove_reader(fd)
            done.set()

    async def _give_way(self):
        """A peer that always has something must not keep the event loop from all else."""
        self._streak += 1
        if self._streak % TURN == 0:
            await asyncio.sleep(0)

    def _close(self):
        self._stop_watching()
        if self._peer_fd is not None:
            os.close(self._peer_fd)
            self._peer_fd = None


class Producer(_End):
    """Where this process sends. One thread at a time."""

    _arm, _disarm = 'peal_arm_space', 'peal_disarm_space'

    _loop = _turn = None

    def _lock(self):
        """A lock is of one event loop, and the next program may have another."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn

    def _bell(self):
        return lib.peal_tx_fd(self._channel._pointer)

    def send(self, data, type=0, timeout=None):
        """Copy one record into the ring; waits for room."""
        view = memoryview(data).cast('B')
        if view.readonly:  # ctypes takes the address of writable memory only, and of bytes
            view = view.obj if isinstance(view.obj, bytes) and len(view.obj) == len(view) else bytes(view)
        else:
            view = (ctypes.c_ubyte * len(view)).from_buffer(view)
        c.number('type', type, 16)
        self._let_go()
        self._wait('peal_send', view, len(view), type, need=(len(view),), timeout=timeout)

    def reserve(self, size, timeout=None):
        """Memory in the ring, to be filled in place: a Reservation. One at a time."""
        address = c.c_void_p()
        self._let_go()
        self._wait('peal_reserve_wait', size, byref(address), need=(size,), timeout=timeout)
        self._held = Reservation(self, address.value, size)
        return self._held

    def publish(self):
        """Publish all that is staged; a ring that is full does that too."""
        self._call('peal_publish')

    @property
    def record_max(self):
        return self._answer('peal_record_max')

    async def send_async(self, data, type=0):
        """send() in an asyncio program; several tasks take turns."""
        async with self._lock():
            await self._give_way()
            while True:
                try:
                    return self.send(data, type, timeout=0)
                except BlockingIOError:
                    pass
                await self._sleep(memoryview(data).nbytes)


class Consumer(_End):
    """Where this process receives. One thread at a time; one record at a time."""

    _arm, _disarm = 'peal_arm_data', 'peal_disarm_data'

    def _bell(self):
        return lib.peal_rx_fd(self._channel._pointer)

    def _found(self, rc, record):
        if rc == 0:
            return None
        self._held = Record(self, record)
        return self._held

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
        """next() in an asyncio program; one task."""
        await self._give_way()
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
