# SPDX-License-Identifier: MIT
"""peal ls and peal stat see what is there, and nobody who is looked at can make them tell more than that.

usage: look.py PEAL
"""
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from command import BUILD, PEAL, Skip, case, finish, one_line, peal, until
from pairs import PAIR, Pair, ids, objects, only, stat

NOBODY = 65534


# --- What is there ---------------------------------------------------------------------------------


@case
def a_channel_is_found_by_either_side():
    with Pair('read', 'read') as pair:
        for pids in [(pair.host,), (pair.guest,), (pair.host, pair.guest)]:
            channel = only(*pids)
            assert ids(channel) == (pair.host, pair.guest)
        assert channel['channel'] == 'test' and channel['align'] == 8 and channel['doorbell'] == 'socket'
        assert channel['host']['name'] == channel['guest']['name'] == 'pair'
        assert channel['host']['state'] == channel['guest']['state'] == 'attached'
        assert (channel['to_guest']['capacity'], channel['to_host']['capacity']) == (1 << 20, 4096)
        assert ids(channel) in [ids(other) for other in objects(peal('ls', '--json'))]


@case
def the_figures_are_those_of_the_ring():
    with Pair('some', 'nap') as pair:
        until('it was sent', lambda: only(pair.host)['to_guest']['written'] > 0)
        ring = only(pair.host)['to_guest']
        # A record of 1000 bytes and its header. The shared tail lags; what is behind it counts.
        assert (ring['written'], ring['read'], ring['used'], ring['full_percent']) == (1008, 0, 1008, 0), ring
        assert ring['bytes_per_s'] == 0 and not ring['impossible']
        text = peal('ls').stdout.decode()
        line, = [line for line in text.splitlines() if f'{pair.host} pair' in line.split('  ')[0] + line
                 and f'{pair.guest} pair' in line and '1008 B' in line]
        assert '<1%' in line and '1.00 MiB' in line, line


@case
def a_stream_has_a_rate():
    with Pair('stream', 'read') as pair:
        first = until_moved(pair)
        channel = only(pair.host, pair.host)
        assert channel['to_guest']['written'] > first['to_guest']['written']
        assert channel['to_guest']['bytes_per_s'] > 0 and channel['to_host']['bytes_per_s'] == 0
        assert channel['to_guest']['complaint'] is None
        # One look alone has none.
        assert objects(peal('stat', '--json', '--interval', '0', str(pair.host)))[0]['to_guest']['bytes_per_s'] is None


def until_moved(pair):
    until('records go', lambda: only(pair.host)['to_guest']['bytes_per_s'] > 0)
    return only(pair.host)


@case
def who_sleeps_is_told_and_since_when():
    begin = time.monotonic_ns()
    with Pair('nap', 'read') as pair:
        until('the guest sleeps', lambda: only(pair.host)['to_guest']['consumer']['asleep'])
        seen = time.monotonic_ns()
        time.sleep(0.3)
        before = time.monotonic_ns()
        ring = only(pair.host)['to_guest']
        after = time.monotonic_ns()
        for figure in (ring['consumer']['asleep_ns'], ring['idle_ns']):
            assert before - seen <= figure <= after - begin, (ring, before - seen, after - begin)
        assert ring['consumer']['sleeps'] == 1 and not ring['producer']['asleep']
        text = peal('stat', str(pair.guest)).stdout.decode()
        assert 'guest  asleep for ' in text and 'waits for data' in text and 'host   awake' in text, text


def stalled(words):
    """A guest that does not read: what is told is between what we know for certain."""
    begin = time.monotonic_ns()
    with Pair(*words) as pair:
        until('the ring is full', lambda: only(pair.host)['to_guest']['full_percent'] == 100)
        until('the host sleeps', lambda: only(pair.host)['to_guest']['stalled_ns'] > 0)
        seen = time.monotonic_ns()
        time.sleep(1.2)
        before = time.monotonic_ns()
        ring = only(pair.guest)['to_guest']
        after = time.monotonic_ns()
        assert before - seen <= ring['stalled_ns'] <= after - begin, (ring, before - seen, after - begin)
        assert ring['complaint'].startswith(f'guest {pair.guest} has not read for '), ring
        assert ring['complaint'].endswith('; ring 100 % full'), ring
        for command in (('ls',), ('stat', str(pair.host))):
            assert f'guest {pair.guest} has not read for' in peal(*command).stdout.decode()


@case
def a_guest_that_does_not_read_is_told_and_for_how_long():
    stalled(('fill', 'nap'))


@case
def a_host_that_waits_again_and_again_counts_from_the_first_time():
    stalled(('retry', 'nap'))


@case
def a_guest_that_is_stopped_is_said_to_be():
    with Pair('fill', 'read') as pair:
        os.kill(pair.guest, signal.SIGSTOP)
        until('it stalls', lambda: (only(pair.host)['to_guest']['stalled_ns'] or 0) > 1_000_000_000)
        channel = only(pair.host)
        assert channel['guest']['stopped'] and not channel['host']['stopped']
        assert f'guest {pair.guest}, stopped by a signal, has not read for' in channel['to_guest']['complaint']
        os.kill(pair.guest, signal.SIGCONT)
        until('it reads again', lambda: only(pair.host)['to_guest']['bytes_per_s'] > 0)
        assert only(pair.host)['to_guest']['complaint'] is None


@case
def what_the_guest_says_of_its_host_is_said_to_be_hearsay():
    with Pair('nap', 'fill') as pair:
        until('it stalls', lambda: only(pair.host)['to_host']['stalled_ns'] > 1_000_000_000)
        assert f'host {pair.host} has not read for' in only(pair.host)['to_host']['complaint']
        assert ', says the guest; ring ' in only(pair.host)['to_host']['complaint']


@case
def the_dead_are_said_to_be_gone():
    with Pair('some', 'die') as pair:
        until('the guest is gone', lambda: only(pair.host)['guest']['pid'] is None)
        channel = only(pair.host)
        assert channel['guest']['state'] == 'gone' and channel['host']['state'] == 'attached'
        assert channel['to_guest']['complaint'] == f'guest {pair.guest} is gone and has left 1008 B unread'
        assert f'{pair.guest} (gone)' in peal('stat', str(pair.host)).stdout.decode()
        done = peal('stat', str(pair.guest), status=3)
        assert done.stdout == b'' and 'process' in one_line(done.stderr)


@case
def a_host_that_was_killed_is_gone_for_its_guest():
    with Pair('die', 'nobody:nap') as pair:
        if os.getuid() != 0:
            raise Skip('only root can start a guest as somebody else')
        until('the host is gone', lambda: only(pair.guest)['host']['pid'] is None)
        channel = only(pair.guest)
        assert channel['host']['state'] == 'gone' and channel['guest']['pid'] == pair.guest


@case
def who_closed_is_said_to_have():
    with Pair('some', 'close') as pair:
        until('it closed', lambda: only(pair.host)['guest']['state'] == 'closed')
        assert '(closed)' in peal('stat', str(pair.host)).stdout.decode()


@case
def both_channels_of_a_host_are_told_apart():
    with Pair('some', 'nap', 'read') as pair:
        until('it was sent', lambda: stat(pair.guest)[0]['to_guest']['written'] > 0)
        channels = stat(pair.host)
        assert sorted(map(ids, channels)) == sorted((pair.host, pid) for pid in pair.pids[1:])
        assert only(pair.pids[1])['to_guest']['written'] == 1008
        assert only(pair.pids[2])['to_guest']['written'] == 0


@case
def nothing_is_an_answer_of_its_own():
    done = peal('stat', str(os.getpid()), status=3)
    assert one_line(done.stderr) == f'peal stat: process {os.getpid()} has no channel' and done.stdout == b''
    gone = subprocess.Popen(['true'])
    gone.wait()
    done = peal('stat', str(gone.pid), '--json', status=3)
    assert one_line(done.stderr) == f'peal stat: there is no process {gone.pid}' and done.stdout == b''
    with Pair('nap', 'nap') as pair:
        done = peal('stat', str(os.getpid()), str(pair.host), status=3)
        assert b'channel test' in done.stdout and b'has no channel' in done.stderr


@case
def wrong_usage_is_refused():
    for words, what in [(('stat',), 'PID'), (('stat', 'x'), "'x'"), (('stat', '0'), "'0'"), (('stat', '-1'), ''),
                        (('ls', 'x'), "'x'"), (('ls', '--interval', 'x'), "'x'"), (('top', '--sort', 'x'), "'x'"),
                        (('top', '--interval', '1ms'), '50ms'), (('top',), 'terminal')]:
        done = peal(*words, status=2)
        assert done.stdout == b'' and what in one_line(done.stderr), words


@case
def looking_leaves_no_trace():
    with Pair('some', 'nap') as pair:
        def traces():
            found = []
            for pid in pair.pids:
                with open(f'/proc/{pid}/maps', encoding='utf-8') as maps:
                    found.append(maps.read())
                found.append(sorted(os.listdir(f'/proc/{pid}/fd')))
            return found
        until('it was sent', lambda: only(pair.host)['to_guest']['written'] > 0)
        before, figures = traces(), only(pair.host)
        for _ in range(20):
            peal('ls')
        after = only(pair.host)
        assert traces() == before
        assert after['to_guest']['producer'] == figures['to_guest']['producer']
        assert after['to_guest']['consumer'] == figures['to_guest']['consumer']


# --- Whose is it? -----------------------------------------------------------------------------------


class Copy:
    """peal and pair where everybody may execute them."""

    def __enter__(self):
        if os.getuid() != 0:
            raise Skip('only root can be somebody else')
        self.directory = tempfile.mkdtemp()
        os.chmod(self.directory, 0o755)
        self.peal, self.pair = (shutil.copy(path, self.directory) for path in (PEAL, PAIR))
        library = os.path.join(BUILD, 'src', 'libpeal.so.0')
        shutil.copy(library, self.directory)
        self.more = {'user': NOBODY, 'group': NOBODY, 'extra_groups': [], 'cwd': '/'}
        self.env = {**os.environ, 'LD_LIBRARY_PATH': self.directory}
        return self

    def __exit__(self, *ignored):
        shutil.rmtree(self.directory)

    def run(self, *words):
        return subprocess.run([self.peal, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.env, check=False, **self.more)


@case
def what_one_may_not_look_at_is_refused_in_a_line():
    with Copy() as copy, Pair('nap', 'nap') as pair:
        done = copy.run('stat', str(pair.host), str(pair.guest))
        assert done.returncode == 4 and done.stdout == b''
        assert done.stderr.decode().splitlines() == [
            f'peal stat: process {pid} is one that this user may not look at' for pid in pair.pids]
        done = copy.run('ls')
        assert done.returncode in (0, 3), done
        assert str(pair.host) not in done.stdout.decode()
        if done.returncode == 3:
            assert one_line(done.stderr) == 'peal ls: no channel in the processes that this user may look at'


@case
def one_s_own_channels_need_no_root():
    with Copy() as copy, Pair('some', 'nap', program=copy.pair, env=copy.env, **copy.more) as pair:
        until('it was sent', lambda: only(pair.host)['to_guest']['written'] > 0)
        for words in [('stat', '--json', str(pair.host)), ('ls', '--json')]:
            done = copy.run(*words)
            assert done.returncode == 0 and done.stderr == b'', done
            channel, = [one for one in objects(done) if ids(one) == (pair.host, pair.guest)]
            assert channel['to_guest']['used'] == 1008


@case
def of_a_foreign_host_only_the_guest_s_view_is_shown():
    with Copy() as copy, Pair('some', 'nobody:nap', program=copy.pair, env=copy.env) as pair:
        until('it was sent', lambda: only(pair.host)['to_guest']['written'] > 0)
        done = copy.run('stat', '--json', str(pair.guest))
        assert done.returncode == 0, done
        channel, = objects(done)
        assert ids(channel) == (None, pair.guest) and channel['host']['state'] == 'hidden', channel
        assert channel['to_guest']['used'] == 1008


# --- Who lies? --------------------------------------------------------------------------------------


def is_clean(data):
    """No control character but the ends of lines: nothing that a terminal would obey."""
    assert all(byte == 10 or 32 <= byte < 127 for byte in data), data
    return True


@case
def a_guest_that_lies_spoils_its_own_figures_alone():
    with Pair('nap', 'liar') as liar, Pair('some', 'nap', name='honest') as honest:
        for _ in range(30):
            channel = only(liar.guest)
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
def a_guest_can_not_hide_its_channel_or_take_another_s():
    for words in [('nap', 'blank', 'nap'), ('nap', 'blank', 'blank'), ('some', 'nap', 'thief')]:
        with Pair(*words) as pair:
            expected = sorted((pair.host, pid) for pid in pair.pids[1:])
            time.sleep(0.1)
            for pid in pair.pids[1:]:
                until('it has lied', lambda: ids(only(pid)) == (pair.host, pid))
            assert sorted(map(ids, stat(pair.host))) == expected, (words, stat(pair.host))
            if words[0] == 'some':
                until('it was sent', lambda: only(pair.pids[1])['to_guest']['written'] == 1008)
                assert only(pair.pids[2])['to_guest']['written'] == 0


def header(role, capacity, version=1, **fields):
    """Page 0 of a segment, docs/layout.md."""
    page = bytearray(4096 + capacity)
    struct.pack_into('<QIIQQQQQII16s', page, 0, int.from_bytes(b'PEALSEG1', 'little'), version, 4096, 0, 0,
                     4096 + capacity, 4096, capacity, 8, role, b'0123456789abcdef')
    for offset, value in fields.items():
        struct.pack_into('<Q', page, int(offset[1:]), value)
    return page


class Fake:
    """This process pretends: a host's segment that it writes, a guest's that it reads."""

    def __init__(self, name, host=None, guest=None, size=8192, shrink=None, times=1):
        self.maps, self.fds = [], []
        for suffix, page, access in (('host', host or header(1, 4096), mmap.ACCESS_WRITE),
                                     ('guest', guest or header(2, 4096), mmap.ACCESS_READ)):
            fd = os.memfd_create(name + ':' + suffix)
            os.write(fd, page[:size])
            os.ftruncate(fd, size)
            writing = mmap.PROT_WRITE if access == mmap.ACCESS_WRITE else 0
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
    for more in ({'host': bytearray(8192)}, {'size': 4096 * 4}):
        with Fake('peal:odd', **more):
            done = peal('stat', str(os.getpid()), status=None)
            assert b'to the guest, 12' not in done.stdout and done.returncode in (0, 3), done
    with Fake('lead:host'):
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


@case
def thousands_of_segments_are_no_harm():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    fakes = [Fake('peal:many') for _ in range(2000)]
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = peal('stat', '--interval', '0', str(os.getpid()), status=None)
    assert is_clean(done.stdout)
    # Not the square of what somebody else maps.
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    assert used < 1, f'{used} s of a processor'
    for fake in fakes:
        fake.__exit__()


finish()
