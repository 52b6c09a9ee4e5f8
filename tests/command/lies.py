# SPDX-License-Identifier: MIT
"""Guests that lie, hide and steal, and processes that only look like a channel: nobody can make peal tell more
than false figures of his own.

usage: lies.py PEAL
"""
import mmap
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from command import BUILD, Skip, case, finish, peal, until
from pairs import PAIR, Pair, ids, only, stat


def are_figures(value):
    """All numbers in it are of what there can be: none is negative."""
    if isinstance(value, dict):
        return all(map(are_figures, value.values()))
    return not isinstance(value, (int, float)) or value >= 0


def is_clean(data):
    """No control character but the ends of lines: nothing that a terminal would obey."""
    assert all(byte == 10 or 32 <= byte < 127 for byte in data), data
    return True


@case
def a_guest_that_lies_spoils_its_own_figures_alone():
    with Pair('nap', 'liar') as liar, Pair('some', 'nap', name='honest') as honest:
        for _ in range(30):
            channel = only(liar.guest)
            assert are_figures(channel), channel
            # What the kernel says, no guest can change.
            assert ids(channel) == (liar.host, liar.guest) and channel['channel'] == 'test'
            assert (channel['to_guest']['capacity'], channel['to_host']['capacity']) == (1 << 20, 4096)
            assert channel['host']['state'] == 'attached' and channel['to_guest']['written'] == 0
            for ring in (channel['to_guest'], channel['to_host']):
                assert ring['impossible'] or 0 <= ring['full_percent'] <= 100, ring
                assert ring['used'] is None or 0 <= ring['used'] <= ring['capacity'], ring
            for command in (('ls', '--interval', '0'), ('stat', '--interval', '0', str(liar.host)),
                            ('top', '--once', '--interval', '50ms')):
                done = peal(*command, env={'LC_ALL': 'C'})
                assert is_clean(done.stdout) and done.stderr == b''
            channel = only(honest.host)
            assert ids(channel) == (honest.host, honest.guest) and channel['channel'] == 'honest'
            assert channel['to_guest']['used'] == 1008


@case
def a_head_that_goes_to_and_fro_fills_no_ring_over():
    with Pair('nap', 'flip') as pair:
        for _ in range(100):
            ring = only(pair.host, interval='0')['to_guest']
            assert ring['impossible'] or ring['used'] <= ring['capacity'], ring


@case
def a_guest_can_not_hide_its_channel_or_take_another_s():
    # Several times, because to guess is to be right half of the time.
    for words in [('nap', 'blank', 'nap'), *[('nap', 'blank', 'blank')] * 5, *[('some', 'nap', 'thief')] * 5]:
        with Pair(*words) as pair:
            expected = sorted((pair.host, pid) for pid in pair.pids[1:])
            for pid in pair.pids[1:]:
                until('it has lied', lambda: ids(only(pid)) == (pair.host, pid))
            assert sorted(map(ids, stat(pair.host))) == expected, (words, stat(pair.host))
            if words[0] == 'some':
                until('it was sent', lambda: only(pair.pids[1])['to_guest']['written'] == 1008)
                assert only(pair.pids[2])['to_guest']['written'] == 0


def header(role, capacity, version=1, id=b'0123456789abcdef', **fields):
    """Page 0 of a segment, docs/layout.md."""
    page = bytearray(4096 + capacity)
    struct.pack_into('<QIIQQQQQII16s', page, 0, int.from_bytes(b'PEALSEG1', 'little'), version, 4096, 0, 0,
                     4096 + capacity, 4096, capacity, 8, role, id)
    for offset, value in fields.items():
        struct.pack_into('<Q', page, int(offset[1:]), value)
    return page


class Fake:
    """This process pretends: a host's segment that it writes, a guest's that it reads."""

    def __init__(self, name, host=None, guest=None, sizes=(8192, 8192), shrink=None, times=1,
                 suffixes=('host', 'guest')):
        self.maps, self.fds = [], []
        for suffix, size, page, writing in zip(suffixes, sizes, (host or header(1, 4096), guest or header(2, 4096)),
                                         (mmap.PROT_WRITE, 0)):
            fd = os.memfd_create(name + ':' + suffix)
            os.write(fd, page[:size])
            os.ftruncate(fd, size)
            for _ in range(times):
                self.maps.append(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | writing))
            if shrink is not None:
                os.ftruncate(fd, shrink)
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for one in self.maps:
            one.close()


@case
def channels_without_a_guest_are_told_apart():
    first, second = (header(1, 4096, id=id) for id in (b'a' * 16, b'b' * 16))
    with Fake('peal:one', host=first, guest=header(2, 4096, id=b'a' * 16)), \
            Fake('peal:other', host=second, guest=header(2, 8192, id=b'b' * 16), sizes=(8192, 12288)):
        sizes = {(one['channel'], one['to_host']['capacity']) for one in stat(os.getpid())}
        assert sizes == {('one', 4096), ('other', 8192)}, sizes


@case
def names_are_told_without_their_control_characters():
    name = 'peal:\x1b[31mred\x07\\\u202e:x'
    with Fake(name):
        done = peal('stat', str(os.getpid()))
        assert is_clean(done.stdout), done.stdout
        assert b'channel \\x1b[31mred\\x07\\x5c\\xe2\\x80\\xae:x over' in done.stdout, done.stdout
        assert only(os.getpid())['channel'] == '\\x1b[31mred\\x07\\x5c\\xe2\\x80\\xae:x'


@case
def memory_that_is_taken_away_is_no_harm():
    for shrink in (0, 4096):
        with Fake('peal:gone', shrink=shrink):
            done = peal('stat', str(os.getpid()), status=None)
            assert done.returncode in (0, 3), done


@case
def what_only_looks_like_a_segment_is_none():
    for more in ({'host': bytearray(8192)}, {'sizes': (4 * 4096, 4 * 4096)}):
        with Fake('peal:odd', **more):
            peal('stat', str(os.getpid()), status=3)
    for name, more in (('lead', {}), ('peal:odd', {'suffixes': ('ghost', 'guest')})):
        with Fake(name, **more):
            peal('stat', str(os.getpid()), status=3)


@case
def positions_that_do_not_fit_are_impossible():
    for fields in ({'_128': 1 << 63}, {'_128': 4096 * 16}, {'_128': 2**64 - 8192}):
        with Fake('peal:far', host=header(1, 4096, **fields)):
            ring = only(os.getpid())['to_guest']
            assert ring['impossible'] and ring['used'] is None and ring['full_percent'] is None, ring
            assert 'impossible' in ring['complaint']
    with Fake('peal:future', host=header(1, 4096, _128=1008, _664=2**63, _672=0)):
        ring = only(os.getpid())['to_guest']
        assert not ring['impossible'] and ring['used'] == 1008 and ring['stalled_ns'] < 60_000_000_000, ring


    # Behind by less than the tail may lag: nothing is there.
    with Fake('peal:behind', host=header(1, 4096, _128=2**64 - 8)):
        ring = only(os.getpid())['to_guest']
        assert not ring['impossible'] and ring['used'] == 0, ring


@case
def a_time_that_was_told_of_another_position_does_not_count():
    with Fake('peal:before', host=header(1, 4096, _128=1008, _664=1, _672=8)):
        ring = only(os.getpid())['to_guest']
        assert ring['used'] == 1008 and 0 < ring['stalled_ns'] < 60_000_000_000, ring
    with Fake('peal:before', host=header(1, 4096, _128=1008, _664=1, _672=0)):
        ring = only(os.getpid())['to_guest']
        assert ring['stalled_ns'] > time.monotonic_ns() - 60_000_000_000, ring


@case
def another_layout_is_said_to_be_one():
    with Fake('peal:new', host=header(1, 4096, version=7)):
        ring = only(os.getpid())['to_guest']
        assert ring['complaint'] == 'layout version 7, and this peal knows version 1 alone', ring
        assert ring['used'] is None


@case
def what_is_mapped_twice_is_one_channel():
    with Fake('peal:twice', times=2):
        channel = only(os.getpid())
        assert channel['to_guest']['capacity'] == channel['to_host']['capacity'] == 4096


# In a mount namespace of its own, where no path leads from here.
ELSEWHERE = '''
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000) or libc.mount(b'none', b'/', None, 0x44000, None) or \\
        libc.mount(b'none', b'/mnt', b'tmpfs', 0, None) or os.chdir('/mnt') or \\
        libc.mount(b'/mnt', b'/', None, 0x2000, None):
    sys.exit(os.strerror(ctypes.get_errno()))
os.chroot('.')
maps = []
for role, rights in (('host', 3), ('guest', 1)):
    with open(f'/memfd:peal:elsewhere:{role} (deleted)', 'w+b') as file:
        file.write(bytes.fromhex(sys.argv[1 if role == 'host' else 2]).ljust(8192))
        file.flush()
        maps.append(mmap.mmap(file.fileno(), 8192, mmap.MAP_SHARED, rights))
print('ready', flush=True)
sys.stdin.read()
'''


@case
def a_file_that_is_named_like_a_segment_is_none():
    if os.getuid() != 0:
        raise Skip('only root can mount')
    words = [header(role, 4096)[:1024].hex() for role in (1, 2)]
    with subprocess.Popen([sys.executable, '-c', ELSEWHERE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        ready = process.stdout.readline()
        if not ready:
            raise Skip('no mount namespace: ' + process.communicate()[1].decode().strip())
        with open(f'/proc/{process.pid}/maps', encoding='ascii') as maps:
            assert maps.read().count(' /memfd:peal:elsewhere:') == 2
        done = peal('stat', str(process.pid), status=None)
        process.stdin.close()
    assert done.returncode == 3, done


@case
def a_process_may_have_any_name():
    name = 'e) T 0 (vil\n'
    with tempfile.TemporaryDirectory() as directory:
        program = shutil.copy(PAIR, os.path.join(directory, name))
        env = {**os.environ, 'LD_LIBRARY_PATH': os.path.join(BUILD, 'src')}
        with Pair('nap', 'nap', program=program, env=env) as pair:
            channel = only(pair.host)
            assert channel['host']['name'] == channel['guest']['name'] == 'e) T 0 (vil\\x0a', channel
            assert not channel['host']['stopped'] and not channel['guest']['stopped']
            assert is_clean(peal('stat', str(pair.host)).stdout)


@case
def endless_records_are_not_followed():
    # Each position holds a record of no bytes, or one of nearly 4 GiB.
    for word in ((1 << 63), (1 << 63) | 0xfffffff8):
        page = header(1, 4096)
        page[4096:] = struct.pack('<Q', word) * 512
        with Fake('peal:endless', host=page):
            assert only(os.getpid())['to_guest']['written'] == 0
    # What is no header ends the way, and is no end of records either.
    page = header(1, 4096)
    struct.pack_into('<Q', page, 4096, 16)
    with Fake('peal:broken', host=page):
        assert only(os.getpid())['to_guest']['written'] == 0


@case
def thousands_of_segments_are_no_harm():
    # A mapping of Python's keeps a descriptor.
    many = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 11000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if many < 11000:
        raise Skip(f'RLIMIT_NOFILE is {many}')
    fakes = [Fake('peal:many') for _ in range(5000)]
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = peal('stat', '--interval', '0', str(os.getpid()), status=None)
    assert is_clean(done.stdout)
    # Not the square of what somebody else maps.
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    assert used < 1, f'{used} s of a processor'
    for fake in fakes:
        fake.__exit__()


finish()
