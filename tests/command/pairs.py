# SPDX-License-Identifier: MIT
"""Hosts and guests to look at, and what peal stat says of them."""
import json
import os
import signal
import subprocess

from command import guest, peal

PAIR = guest('pair')


class Pair:
    """A host and its guests, ended with the block."""

    def __init__(self, *words, name='test', program=PAIR, **more):
        self.name = name
        self.process = subprocess.Popen([program, name, *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, **more)
        self.pids = [int(word) for word in self.process.stdout.readline().split()]
        assert len(self.pids) == len(words), self.pids
        self.host, self.guest = self.pids[:2]

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for pid in self.pids[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def objects(done):
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def stat(*pids, interval='200ms', **more):
    """The channels of these processes, as JSON."""
    return objects(peal('stat', '--json', '--interval', interval, *map(str, pids), **more))


def only(*pids, **more):
    channels = stat(*pids, **more)
    assert len(channels) == 1, channels
    return channels[0]


def ids(channel):
    return (channel['host']['pid'], channel['guest']['pid'])
