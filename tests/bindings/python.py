#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Promises of the Python binding, between real processes. usage: python.py ECHO C-GUEST"""
import asyncio
import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import unittest
import warnings

import peal

ECHO, C_GUEST = sys.argv[1:3]
SILENT = ['sh', '-c', 'exec sleep 1000']
PYTHON_GUEST = [sys.executable, '-W', 'error', ECHO]


def descriptors():
    return set(os.listdir('/proc/self/fd'))


class Pair(unittest.TestCase):
    command = PYTHON_GUEST

    def setUp(self):
        gc.collect()
        self.before = descriptors()
        self.channel = peal.Channel(to_guest=65536, to_host=65536, name='python')
        self.child = self.channel.spawn(self.command)

    def tearDown(self):
        self.channel.close()
        self.child.close()
        gc.collect()
        self.assertEqual(descriptors(), self.before)


class Records(Pair):
    def test_every_record_comes_back_whole(self):
        for i in range(2000):
            data = bytes(j & 255 for j in range(i))
            self.channel.tx.send(data, type=i)
            self.assertEqual(self.channel.rx.receive(), (data, i))

    def test_bytes_and_what_can_be_written_are_sent(self):
        for data in (b'', b'bytes', bytearray(b'array'), memoryview(b'part of it')[5:],
                     memoryview(bytearray(b'another'))[2:4]):
            self.channel.tx.send(data)
            self.assertEqual(self.channel.rx.receive()[0], bytes(data))

    def test_a_record_is_written_in_place(self):
        with self.channel.tx.reserve(100) as room:
            room.data[:5] = b'hello'
            room.commit(5, type=3)
        self.assertEqual(self.channel.rx.receive(), (b'hello', 3))

    def test_a_reservation_without_commit_is_given_up(self):
        with self.channel.tx.reserve(100) as room:
            room.data[:5] = b'never'
        self.channel.tx.send(b'only')
        self.assertEqual(self.channel.rx.receive()[0], b'only')

    def test_the_next_act_of_the_producer_ends_a_reservation(self):
        room = self.channel.tx.reserve(5)
        part = room.data[:2]
        with self.assertRaises(BufferError):
            self.channel.tx.send(b'hello')
        del part
        self.channel.tx.send(b'hello')
        with self.assertRaises(ValueError):
            room.data[:] = b'EVIL!'
        with self.assertRaises(ValueError):
            room.commit()
        self.assertEqual(self.channel.rx.receive()[0], b'hello')
        first = self.channel.tx.reserve(5)
        with self.channel.tx.reserve(6) as room:
            with self.assertRaises(ValueError):
                first.commit()
            room.data[:] = b'second'
            room.commit()
        self.assertEqual(self.channel.rx.receive()[0], b'second')

    def test_a_commit_of_too_much_leaves_the_reservation(self):
        with self.channel.tx.reserve(4) as room:
            for size, kind in (5, 0), (-1, 0), (1 << 64, 0), (4, 1 << 16), (4, -1):
                with self.assertRaises(ValueError):
                    room.commit(size, kind)
            room.data[:] = b'four'
            room.commit(4)
        self.assertEqual(self.channel.rx.receive()[0], b'four')

    def test_what_was_sent_is_the_senders_again(self):
        data = bytearray(b'grows')
        self.channel.tx.send(data)
        data += b' later'
        self.assertEqual(self.channel.rx.receive()[0], b'grows')

    def test_numbers_that_do_not_fit_are_refused(self):
        for kind in 1 << 16, -1:
            with self.assertRaisesRegex(ValueError, 'type is'):
                self.channel.tx.send(b'', type=kind)
        for options in ({'to_guest': (1 << 64) + 4096}, {'to_host': -1}, {'to_guest': 4096, 'flags': 1 << 32},
                        {'to_guest': 4096, 'spin_max_us': 1 << 32}, {'to_guest': 4096, 'align': (1 << 32) + 8},
                        {'to_guest': 4096, 'name': 'a\0b'}):
            with self.assertRaises(ValueError):
                peal.Channel(**options)

    def test_staged_records_are_published_together(self):
        for i in range(3):
            with self.channel.tx.reserve(8) as room:
                room.data[:] = i.to_bytes(8, 'little')
                room.stage(type=i)
        with self.assertRaises(TimeoutError):
            self.channel.rx.next(timeout=0.01)
        self.channel.tx.publish()
        for i in range(3):
            self.assertEqual(self.channel.rx.receive(), (i.to_bytes(8, 'little'), i))


class FromC(Records):
    """The same with a guest in C."""
    command = [C_GUEST, 'echo']


class Views(Pair):
    def setUp(self):
        super().setUp()
        self.channel.tx.send(b'0123456789')
        self.record = self.channel.rx.next()

    def test_a_released_record_refuses_access(self):
        view = self.record.data
        self.record.release()
        with self.assertRaises(ValueError):
            view[0]
        with self.assertRaises(ValueError):
            len(self.record)

    def test_a_record_with_a_slice_left_is_not_released(self):
        part = self.record.data[2:4]
        with self.assertRaises(BufferError):
            self.record.release()
        with self.assertRaises(BufferError):
            self.channel.close()
        self.assertEqual(bytes(part), b'23')
        del part
        self.record.release()

    def test_a_record_can_not_be_written(self):
        with self.assertRaises(TypeError):
            self.record.data[0] = 1

    def test_numpy_needs_no_copy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest('numpy is not installed')
        array = numpy.frombuffer(self.record.data, dtype=numpy.uint8)
        self.assertEqual(array.sum(), sum(b'0123456789'))
        with self.assertRaises(BufferError):
            self.record.release()
        del array
        self.record.release()


class Ends(Pair):
    def test_a_loop_ends_when_the_guest_does(self):
        for i in range(1000):
            self.channel.tx.send(i.to_bytes(8, 'little'))
        seen = []
        for record in self.channel.rx:
            seen.append(int.from_bytes(record.data, 'little'))
            if len(seen) == 1000:
                self.child.kill(signal.SIGTERM)
        self.assertEqual(seen, list(range(1000)))
        self.assertEqual(self.child.wait(), -signal.SIGTERM)
        self.assertIn('killed by signal 15', str(self.child))

    def test_a_wait_that_is_over_before_it_begins_is_a_look(self):
        for timeout in 0, -1:
            with self.assertRaises(BlockingIOError):
                self.child.wait(timeout)

    def test_a_guest_that_is_killed_is_an_end(self):
        os.kill(self.child.pid, signal.SIGKILL)
        with self.assertRaises(BrokenPipeError):
            self.channel.rx.next()
        self.assertEqual(self.child.wait(), -9)
        self.assertEqual(self.channel.peer, peal.DEAD)

    def test_deadlines(self):
        with self.assertRaises(BlockingIOError):
            self.channel.rx.next(timeout=0)
        with self.assertRaises(TimeoutError):
            self.channel.rx.next(timeout=0.01)

    def test_errors_have_the_librarys_sentence(self):
        with self.assertRaisesRegex(OSError, 'a channel without a ring') as caught:
            peal.Channel()
        self.assertEqual(caught.exception.errno, errno.EINVAL)
        with self.assertRaises(FileNotFoundError):
            peal.Channel(to_host=4096).spawn(['/nowhere/guest'])

    def test_what_is_closed_says_so(self):
        channel = peal.Channel(to_guest=4096)
        channel.close()
        channel.close()
        with self.assertRaisesRegex(ValueError, 'closed'):
            channel.tx.send(b'')
        with self.assertRaisesRegex(ValueError, 'closed'):
            channel.tx.record_max

    def test_closing_ends_a_reservation(self):
        channel = peal.Channel(to_guest=4096)
        room = channel.tx.reserve(10)
        part = room.data[:1]
        with self.assertRaises(BufferError):
            channel.close()
        del part
        channel.close()
        with self.assertRaises(ValueError):
            room.data[0] = 1

    def test_long_waits_and_no_numbers(self):
        for timeout in 1e7, 1e300, float('inf'):
            self.channel.tx.send(b'soon')
            self.assertEqual(self.channel.rx.receive(timeout=timeout)[0], b'soon')
            later = threading.Timer(0.05, self.channel.tx.send, [b'later'])
            later.start()
            self.assertEqual(self.channel.rx.receive(timeout=timeout)[0], b'later')
            later.join()
        for wait in self.channel.rx.next, self.child.wait:
            with self.assertRaisesRegex(ValueError, 'no number'):
                wait(timeout=float('nan'))
        with self.assertRaisesRegex(ValueError, 'no number'):
            self.channel.spawn(SILENT, timeout=float('nan'))
        self.child.kill()
        self.assertEqual(self.child.wait(timeout=1e7), -9)

    def test_what_c_would_cut_off_is_refused(self):
        channel = peal.Channel(to_guest=4096)
        with self.assertRaisesRegex(ValueError, 'NUL'):
            channel.spawn(['true\0false'])
        for env in {'a': 'b\0c'}, {'a=b': 'c'}, {'': 'c'}:
            with self.assertRaises(ValueError):
                channel.spawn(['true'], env=env)
        channel.close()

    def test_a_wait_lets_other_threads_run(self):
        ran = threading.Event()
        thread = threading.Thread(target=lambda: (ran.set(), self.channel.tx.send(b'from a thread')))
        wait = threading.Thread(target=lambda: self.channel.rx.receive())
        wait.start()
        thread.start()
        self.assertTrue(ran.wait(60))
        thread.join()
        wait.join()

    def test_nothing_warns_when_it_is_left_to_the_collector(self):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            channel = peal.Channel(to_guest=4096, to_host=4096)
            child = channel.spawn(self.command)
            del channel, child
            gc.collect()


class Interrupted(Exception):
    pass


class Signals(unittest.TestCase):
    """A handler that raises, as Ctrl-C's does, ends each wait that would last for ever."""

    def setUp(self):
        def raise_it(*_):
            raise Interrupted

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, raise_it))
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)

    def interrupted(self, wait, *arguments):
        with self.assertRaises(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            wait(*arguments)

    def test_a_wait_for_a_record_and_for_room(self):
        with peal.Channel(to_guest=4096, to_host=4096) as channel:
            # It answers once it has room; nobody takes what it says.
            with channel.spawn(PYTHON_GUEST):
                self.interrupted(channel.rx.next)
                channel.tx.send(b'later')
                self.assertEqual(channel.rx.receive()[0], b'later')

                def fill():
                    while True:
                        channel.tx.send(bytes(1000))
                self.interrupted(fill)

    def test_a_wait_for_the_end_of_a_child(self):
        with peal.Channel(to_guest=4096, to_host=4096) as channel, channel.spawn(PYTHON_GUEST) as child:
            self.interrupted(child.wait)

    def test_a_wait_for_a_guest_that_never_attaches(self):
        with peal.Channel(to_guest=4096) as channel:
            self.interrupted(channel.spawn, SILENT)

    def test_a_guest_that_never_attaches_is_told_in_time(self):
        with peal.Channel(to_guest=4096) as channel:
            with self.assertRaises(TimeoutError):
                channel.spawn(SILENT, timeout=0.3)


HOST = """
import sys, peal
channel = peal.Channel(to_guest=4096, to_host=4096)
child = channel.spawn(sys.argv[1:])
print(child.pid, flush=True)
channel.rx.next()
"""


def what_spawning_says_without_room_for_a_process():
    """Of a user who may have none: root may have as many as it likes."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.getuid() == 0:
        os.setresuid(65534, 65534, 65534)
    with peal.Channel(to_guest=4096) as channel:
        try:
            channel.spawn(['true'])
        except BlockingIOError as error:
            return str(error)


class Processes(unittest.TestCase):
    def test_no_room_for_a_process_has_a_sentence_of_its_own(self):
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(into, str(what_spawning_says_without_room_for_a_process()).encode())
            os._exit(0)
        os.close(into)
        with os.fdopen(out) as text:
            self.assertIn("starting 'true': clone", text.read())
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_a_guest_whose_host_is_killed_ends_in_good_order(self):
        with subprocess.Popen([sys.executable, '-c', HOST, *PYTHON_GUEST], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as host:
            host.stdout.readline()
            host.kill()
            # It ends when both processes have, and has what Python would complain of.
            self.assertEqual(host.stderr.read(), '')

    def test_a_guest_has_the_limits_that_it_was_given(self):
        limits = {resource.RLIMIT_CPU: 100, resource.RLIMIT_NOFILE: (50, 60)}
        with peal.Channel(to_guest=4096, to_host=4096) as channel:
            with channel.spawn(PYTHON_GUEST, rlimits=limits) as child:
                self.assertEqual(resource.prlimit(child.pid, resource.RLIMIT_CPU), (100, 100))
                self.assertEqual(resource.prlimit(child.pid, resource.RLIMIT_NOFILE), (50, 60))


class Async(Pair):
    command = PYTHON_GUEST + ['--async']

    def test_records_go_both_ways_in_one_loop(self):
        async def send():
            for i in range(3000):
                await self.channel.tx.send_async(bytes(i % 4000), i)

        async def talk():
            sender = asyncio.create_task(send())
            seen = 0
            async for record in self.channel.rx:
                self.assertEqual((len(record), record.type), (seen % 4000, seen))
                seen += 1
                if seen == 3000:
                    self.child.kill()
            await sender
            return seen

        self.assertEqual(asyncio.run(talk()), 3000)

    def test_a_wait_can_be_cancelled(self):
        async def give_up():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.channel.rx.next_async(), 0.05)
            await self.channel.tx.send_async(b'later')
            record = await self.channel.rx.next_async()
            self.assertEqual(bytes(record.data), b'later')

        asyncio.run(give_up())

    def test_a_wait_can_be_cancelled_after_the_channel_was_closed(self):
        async def close_first():
            waiter = asyncio.create_task(self.channel.rx.next_async())
            await asyncio.sleep(0.05)
            self.channel.close()
            waiter.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiter

        asyncio.run(close_first())

    def test_closing_wakes_the_task_that_waits_and_leaves_the_next_channel_alone(self):
        async def close_first():
            task = asyncio.ensure_future(self.channel.rx.next_async())
            await asyncio.sleep(0.05)
            self.channel.close()
            self.child.close()
            # Its descriptors have the numbers of those that were closed.
            with peal.Channel(to_guest=4096, to_host=4096) as channel, channel.spawn(self.command):
                waiting = asyncio.ensure_future(channel.rx.next_async())
                await asyncio.sleep(0.05)
                channel.tx.send(b'record')
                record = await waiting
                self.assertEqual(bytes(record.data), b'record')
                del record
            with self.assertRaisesRegex(ValueError, 'closed'):
                await task
        asyncio.run(close_first())

    def test_tasks_that_send_take_turns(self):
        async def send(count):
            for _ in range(count):
                await self.channel.tx.send_async(bytes(30000))

        async def all_of_them():
            senders = asyncio.gather(*(send(50) for _ in range(4)))
            for _ in range(200):
                with await self.channel.rx.next_async() as record:
                    self.assertEqual(len(record), 30000)
            await senders
        for _ in range(2):  # two event loops, one after the other
            asyncio.run(all_of_them())

    def test_a_second_that_waits_at_an_end_is_refused(self):
        async def wait_twice():
            task = asyncio.ensure_future(self.channel.rx.next_async())
            await asyncio.sleep(0.05)
            with self.assertRaisesRegex(RuntimeError, 'another'):
                await self.channel.rx.next_async()
            with self.assertRaisesRegex(RuntimeError, 'another'):
                self.channel.rx.next(timeout=0.01)
            self.channel.tx.send(b'for the first')
            with await task as record:
                self.assertEqual(bytes(record.data), b'for the first')
        asyncio.run(wait_twice())

    def test_a_guest_that_always_has_something_leaves_time_for_others(self):
        async def count_turns(channel):
            turns = 0

            async def others():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.ensure_future(others())
            while channel.stats()[1].tx.sleeps == 0:  # until the ring is full
                await asyncio.sleep(0)
            before = turns
            for _ in range(1000):
                await channel.rx.next_async()
            task.cancel()
            return turns - before

        with peal.Channel(to_host=65536) as channel, channel.spawn([C_GUEST, 'endless']):
            self.assertGreater(asyncio.run(count_turns(channel)), 10)


def main():
    warnings.simplefilter('error')
    result = unittest.TextTestRunner(verbosity=1).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__']))
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    if 'PEAL_TALLY' in os.environ:
        with open(os.environ['PEAL_TALLY'], 'a') as tally:
            print(result.testsRun - failed - skipped, failed, skipped, file=tally)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
