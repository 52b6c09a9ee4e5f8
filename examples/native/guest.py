#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest without libpeal, written from docs/layout.md alone: it sends each record back.

Words that the peer reads are stored by one machine instruction: a memoryview of 8-byte items copies
8 aligned bytes. CPython keeps the order of its stores, and so do the processors with total store
order (x86); on others the releases would need instructions that Python has not.
"""
import contextlib
import ctypes
import fcntl
import mmap
import os
import select
import struct
import sys

PAGE, VALID, ONES = 4096, 1 << 63, (1 << 64) - 1
BELL = struct.pack('<Q', 1)  # an eventfd counts it as one, a socket takes it as some bytes
# In words of 8 bytes.
FLAGS, STATE, TAIL, SPACE_WAIT, HEAD, DATA_WAIT = 3, 11, 16, 32, 48, 64
SHRINK_GROW, WRITER, WRITE = 2 | 4, 16 | 1, 8
libc = ctypes.CDLL(None, use_errno=True)
HEAVY, REGISTER = 2, 4  # MEMBARRIER_CMD_[REGISTER_]GLOBAL_EXPEDITED


def membarrier(command):
    return libc.syscall({'x86_64': 324, 'aarch64': 283}[os.uname().machine], command, 0, 0)


class Broken(Exception):
    """The peer, or whoever started us, broke the protocol."""


class Segment:
    def __init__(self, fd, role):
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        want, refused = (SHRINK_GROW | WRITER, 0) if role == 1 else (SHRINK_GROW, WRITER | WRITE)
        if seals & want != want or seals & refused:
            raise Broken(f'segment {fd} has the seals {seals:#x}')
        (magic, version, page, self.flags, self.promises, size, offset, self.capacity, self.align,
         which, self.channel) = struct.unpack('<8sIIQQQQQII16s', os.pread(fd, 80, 0))
        if magic != b'PEALSEG1' or version != 1 or self.flags & ~1 or which != role:
            raise Broken(f'segment {fd} is not of this version, or not of role {role}')
        if (self.capacity & (self.capacity - 1) or not PAGE <= self.capacity <= 1 << 40
                or self.align not in (8, 64) or page != PAGE or offset != PAGE
                or size != PAGE + self.capacity or os.fstat(fd).st_size != size):
            raise Broken(f'segment {fd} has an impossible geometry, or no ring')
        access = mmap.PROT_READ | (mmap.PROT_WRITE if role == 2 else 0)
        self.bytes = memoryview(mmap.mmap(fd, size, prot=access))
        self.words = self.bytes.cast('Q')
        if role == 2:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, WRITER)

    def span(self, size):
        return self.align + (size + self.align - 1) // self.align * self.align

    def word(self, position):
        return (PAGE + (position & (self.capacity - 1))) // 8

    def pieces(self, position, size):
        """Where a payload lies: in one piece, or in two around the end."""
        begin = position & (self.capacity - 1)
        first = min(size, self.capacity - begin)
        return (self.bytes[PAGE + begin:PAGE + begin + first], self.bytes[PAGE:PAGE + size - first])


class End:
    """One end of one ring. OWN_WORD is where this process says that it sleeps, PEER_WORD where the host does."""

    def __init__(self, channel, data, own_word, peer_word, fds):
        self.channel, self.data, self.own_word, self.peer_word = channel, data, own_word, peer_word
        self.asleep = self.rung = self.at = self.seen = 0
        self.wait_fd, self.ring_fd = fds[0], fds[-1]

    def tell(self):
        """LIGHT barrier, then the bell, if the peer sleeps and was not rung yet."""
        if not self.channel.host.promises & 1:
            membarrier(HEAVY)  # a full fence too
        word = self.channel.host.words[self.peer_word]
        if word & 1 and word != self.rung:
            self.ring()
            self.rung = word

    def ring(self):
        """ConnectionError when the host is gone."""
        with contextlib.suppress(BlockingIOError):  # full: the peer wakes up anyway
            os.write(self.ring_fd, BELL)

    def drain(self):
        try:
            return os.read(self.wait_fd, 512) == b''
        except ConnectionResetError:
            return True

    def mark(self, word):
        self.asleep = self.channel.guest.words[self.own_word] = word & ONES

    def sleep(self, look):
        """Until look() has something; ConnectionError when the host is gone and there is nothing."""
        while True:
            self.mark((self.asleep + 1) | 1)
            membarrier(HEAVY)
            gone, rung = self.channel.host.words[STATE] == 3, False
            found = look()
            if not found and not gone:
                ready = select.select([self.wait_fd, *self.channel.pidfd], [], [])[0]
                gone, rung = ready != [self.wait_fd], self.wait_fd in ready
            self.mark((self.asleep + 1) & ~1)
            if rung:
                gone |= self.drain()
            membarrier(HEAVY)
            if found := found or look():
                return found
            if gone:
                raise ConnectionResetError('the host is gone')


class Consumer(End):
    """AT is what was handed out and released: one record at a time."""

    def header(self):
        return self.data.words[self.data.word(self.at)]

    def receive(self):
        header = self.header() or self.sleep(self.header)
        size, kind = header & 0xffffffff, header >> 32 & 0xffff
        if header >> 48 != 0x8000 or self.data.span(size) > self.data.capacity - self.data.align:
            raise Broken(f'header {header:#x}')
        payload = b''.join(self.data.pieces(self.at + self.data.align, size))
        self.at = self.at + self.data.span(size) & ONES
        self.channel.guest.words[HEAD] = self.at
        self.tell()
        return kind, payload


class Producer(End):
    def has_room(self, span):
        head = self.channel.host.words[HEAD]
        if head % self.data.align or (head - self.seen & ONES) > (self.at - self.seen & ONES):
            raise Broken(f'head {head}')
        self.seen = head
        return (self.at - head & ONES) + span <= self.data.capacity - self.data.align

    def send(self, kind, payload):
        size, span = len(payload), self.data.span(len(payload))
        if not self.has_room(span):
            self.sleep(lambda: self.has_room(span))
        for piece in self.data.pieces(self.at + self.data.align, size):
            piece[:], payload = payload[:len(piece)], payload[len(piece):]
        self.data.words[self.data.word(self.at + span)] = 0
        self.data.words[self.data.word(self.at)] = VALID | kind << 32 | size
        self.at = self.at + span & ONES
        self.channel.guest.words[TAIL] = self.at
        self.tell()


class Channel:
    def __init__(self, argv):
        fds = {'--segment-fd': [], '--doorbell-fd': [], '--host-pidfd': []}
        for word in argv:
            name, _, number = word.partition('=')
            if name in fds:
                fds[name].append(int(number))
                os.set_inheritable(int(number), False)
                os.set_blocking(int(number), False)
        bells, self.pidfd = fds['--doorbell-fd'], fds['--host-pidfd']
        self.host, self.guest = Segment(fds['--segment-fd'][0], 1), Segment(fds['--segment-fd'][1], 2)
        each = 2 if self.host.flags & 1 else 1
        if (self.host.channel, self.host.align, self.host.flags) != (
                self.guest.channel, self.guest.align, self.guest.flags):
            raise Broken('the segments are of two channels')
        if len(bells) != each * 2:
            raise Broken('this guest expects a ring each way')
        if membarrier(REGISTER) < 0:
            raise Broken('no membarrier here, and Python has no other fence')
        # producer_wake, consumer_wake: the first element is where this end waits.
        self.rx = Consumer(self, self.host, DATA_WAIT, SPACE_WAIT, bells[:each][::-1])
        self.tx = Producer(self, self.guest, SPACE_WAIT, DATA_WAIT, bells[each:])
        self.guest.bytes[80:84] = struct.pack('<I', os.getpid())
        self.guest.words[FLAGS] = self.guest.words[STATE] = 1  # from left to right
        self.rx.ring()

    def close(self):
        self.guest.words[STATE] = 3
        membarrier(HEAVY)
        for end in self.rx, self.tx:
            with contextlib.suppress(ConnectionError):
                end.ring()


if __name__ == '__main__':
    channel = Channel(sys.argv)
    with contextlib.suppress(ConnectionError):
        while True:
            channel.tx.send(*channel.rx.receive())
    channel.close()
