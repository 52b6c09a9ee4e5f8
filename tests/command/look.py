# SPDX-License-Identifier: MIT
"""peal ls and peal stat see what is there, and nobody who is looked at can make them tell more than that.

usage: look.py PEAL
"""
import os
import shutil
import signal
import subprocess
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
def a_guest_that_reads_slowly_reads():
    with Pair('fill', 'sip') as pair:
        until('it read between two looks', lambda: (ring := only(pair.host, interval='500ms')['to_guest'])['used'] > 0
              and ring['stalled_ns'] == 0 and ring['complaint'] is None)


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
    with Copy() as copy, Pair('die', 'nobody:nap', program=copy.pair, env=copy.env) as pair:
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
def memory_that_is_lent_to_a_child_stays_its_owner_s():
    with Pair('lend', 'nap') as pair:
        children = f'/proc/{pair.host}/task/{pair.host}/children'

        def child():
            with open(children, encoding='ascii') as file:
                return [int(pid) for pid in file.read().split() if int(pid) != pair.guest]
        until('there is a child', child)
        pid, = child()
        try:
            until('it has the memory', lambda: b'memfd:peal:' in open(f'/proc/{pid}/maps', 'rb').read())
            if pid > pair.host:
                assert ids(only(pair.host)) == (pair.host, pair.guest)
        finally:
            os.kill(pid, signal.SIGKILL)


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
def one_s_own_process_may_be_closed_to_oneself():
    with Copy() as copy, Pair('nap', 'closed', program=copy.pair, env=copy.env, **copy.more) as pair:
        until('it is closed', lambda: copy.run('stat', str(pair.guest)).returncode != 0)
        done = copy.run('stat', str(pair.guest))
        assert done.returncode == 4, done
        assert one_line(done.stderr) == f'peal stat: process {pair.guest} is one that this user may not look at'
        channel, = objects(copy.run('stat', '--json', str(pair.host)))
        assert channel['guest']['state'] == 'hidden', channel


@case
def of_a_foreign_host_only_the_guest_s_view_is_shown():
    with Copy() as copy, Pair('some', 'nobody:nap', program=copy.pair, env=copy.env) as pair:
        until('it was sent', lambda: only(pair.host)['to_guest']['written'] > 0)
        done = copy.run('stat', '--json', str(pair.guest))
        assert done.returncode == 0, done
        channel, = objects(done)
        assert ids(channel) == (None, pair.guest) and channel['host']['state'] == 'hidden', channel
        assert channel['to_guest']['used'] == 1008


finish()
