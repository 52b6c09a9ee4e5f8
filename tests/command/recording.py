# SPDX-License-Identifier: MIT
"""What the tests of peal record and replay share.

First the format of docs/recording.md, written down once more: what peal wrote is read here, and what no peal
would write is made here. Blocks that are not compressed alone.
"""
import json
import os
import struct
import subprocess
import tempfile

from command import peal, start

LENGTH = ('--framing', 'length')
SECOND_NS = 10**9
MIB = 1 << 20

MAGIC = b'PEALREC\n'
FILE_HEADER = 32
BLOCK_HEADER = 64
ZSTD, SESSION = 1, 2


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        yield byte


TABLE = tuple(_table())


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


def number(value):
    """Seven bits a byte, low ones first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def record(data, delta=0, kind=0, size=None):
    return number(delta) + number(kind) + number(len(data) if size is None else size) + data


def file_header(ident, version=1):
    head = MAGIC + struct.pack('<IIQI', version, FILE_HEADER, ident, 0)
    return head + struct.pack('<I', crc32c(head))


def block(ident, sequence, raw, records=1, time=10**18, duration=0, flags=0, payload=0, raw_size=None,
          stored_size=None):
    head = b'PBLK' + struct.pack('<IQQQQIIIII', flags, sequence, time, duration, payload, records,
                                 len(raw) if raw_size is None else raw_size,
                                 len(raw) if stored_size is None else stored_size, crc32c(raw), 0)
    return head + struct.pack('<I', crc32c(struct.pack('<Q', ident) + head)) + raw


class Block:
    """One block of a file: where it is and what its header says."""

    def __init__(self, ident, data, at):
        head = data[at:at + BLOCK_HEADER]
        assert head[:4] == b'PBLK', (at, head)
        assert struct.unpack('<I', head[60:])[0] == crc32c(struct.pack('<Q', ident) + head[:60]), at
        (self.flags, self.sequence, self.time, self.duration, self.bytes, self.records, self.raw_size,
         self.stored_size, self.crc, zero) = struct.unpack('<IQQQQIIIII', head[4:60])
        assert zero == 0
        self.at, self.end = at, at + BLOCK_HEADER + self.stored_size
        self.stored = data[at + BLOCK_HEADER:self.end]
        assert len(self.stored) == self.stored_size, at

    def contents(self):
        """(time, type, data) of each record; of a block that is not compressed."""
        assert not self.flags & ZSTD and crc32c(self.stored) == self.crc
        found, at, time = [], 0, self.time
        while at < len(self.stored):
            numbers = []
            for _ in range(3):
                value = shift = 0
                while True:
                    byte = self.stored[at]
                    at += 1
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                numbers.append(value)
            time += numbers[0]
            found.append((time, numbers[1], self.stored[at:at + numbers[2]]))
            at += numbers[2]
        assert at == len(self.stored) == self.raw_size and len(found) == self.records
        assert time - self.time == self.duration and sum(len(data) for _, _, data in found) == self.bytes
        return found


def read(path):
    """All blocks of a file, which must be whole."""
    with open(path, 'rb') as file:
        data = file.read()
    assert data[:8] == MAGIC and len(data) >= FILE_HEADER
    version, header, ident, flags, crc = struct.unpack('<IIQII', data[8:32])
    assert (version, header, flags) == (1, FILE_HEADER, 0) and crc == crc32c(data[:28])
    blocks, at = [], FILE_HEADER
    while at < len(data):
        blocks.append(Block(ident, data, at))
        assert blocks[-1].sequence == len(blocks) - 1
        at = blocks[-1].end
    return blocks


def framed(records):
    """For --framing length."""
    return b''.join(struct.pack('<I', len(data)) + data for data in records)


def unframed(stream):
    """The records of --framing length."""
    found, at = [], 0
    while at < len(stream):
        size = struct.unpack_from('<I', stream, at)[0]
        found.append(stream[at + 4:at + 4 + size])
        assert len(found[-1]) == size
        at += 4 + size
    return found


# --- peal with recordings ----------------------------------------------------------------------------

def scratch():
    """A directory of its own, which goes when it is left."""
    return tempfile.TemporaryDirectory(prefix='peal-record-')


def store(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def info(path, status=0):
    return json.loads(peal('replay', '--info', '--json', path, status=status).stdout)


def replay(*paths, status=0):
    return peal('replay', '--speed', 'max', *LENGTH, *paths, status=status)


def replayed(*paths):
    return unframed(replay(*paths).stdout)


def rotated(path):
    """Of what stands beside it, the oldest first."""
    name = os.path.basename(path) + '.'
    numbers = [int(file[len(name):]) for file in os.listdir(os.path.dirname(path)) if file.startswith(name)]
    return [f'{path}.{number}' for number in sorted(numbers, reverse=True)] + (
        [path] if os.path.exists(path) else [])


class Live:
    """A recorder whose input stays open."""

    def __init__(self, path, *options, program=()):
        self.path = path
        self.process = start('record', *options, path, *program, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)

    def say(self, line):
        """One line in, and passed on."""
        self.process.stdin.write(line)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == line

    def end(self, signal_number=None):
        if signal_number:
            self.process.send_signal(signal_number)
        out, err = self.process.communicate()
        return self.process.returncode, out, err
