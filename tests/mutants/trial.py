# SPDX-License-Identifier: MIT
"""A copy of the tree: put a mutant in, compile, run one test."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import lists

# The test programs for what a layer promises, the nearest first.
PROGRAMS = {
    'base': ['fd', 'options', 'doorbell', 'segment', 'wake', 'adopt', 'channel', 'spawn', 'poller', 'stream'],
    'ring': ['ring', 'wake', 'segment', 'channel', 'stream', 'death', 'poller', 'threads'],
    'doorbell': ['doorbell', 'channel', 'stream', 'death', 'poller'],
    'spawn': ['adopt', 'spawn', 'channel', 'death'],
    'channel': ['channel', 'stream', 'death', 'poller', 'threads'],
    'poller': ['poller', 'threads'],
    'detail': ['ring', 'wake', 'segment', 'channel', 'stream', 'death', 'poller', 'threads'],
}
# What the tests of a folder start.
HELPERS = {
    'ipc': ['tests/guest', 'tests/guest-fds'],
    'faults': ['tests/guest', 'tests/guest-fds', 'tests/faults/race-guest'],
    'hostile': ['tests/hostile/hostile-guest'],
    'sandbox': ['tests/sandbox/sandbox-' + name for name in ('guest', 'module.so', 'loader')],
}


def programs_for(source):
    return PROGRAMS[pathlib.Path(source).parent.name]


def folder_of(root, program):
    return lists.source_of_test(root, program).parent.name


def target_of(root, program):
    """Where the program is in a build: unit and ipc have no file of their own to build them."""
    folder = folder_of(root, program)
    return f'tests/test-{program}' if folder in ('unit', 'ipc') else f'tests/{folder}/test-{program}'


def cases_of(root, program):
    text = lists.source_of_test(root, program).read_text()
    return re.findall(r'^START_TEST\((\w+)\)', text, re.M)


sessions = set()
stopped = threading.Event()


class Stopped(Exception):
    """The run ends early: nothing is started any more."""


def start(command, **options):
    """In a session of its own, so that all that it starts can be found."""
    if stopped.is_set():
        raise Stopped
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    sessions.add(process.pid)
    return process


def finish(command, **options):
    """(status, output) of a command that ends by itself."""
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    output, _ = process.communicate()
    sessions.discard(process.pid)
    return process.returncode, output


def end_session(session):
    """A test that was ended leaves the processes that it had started; they keep its session."""
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
            if int(fields[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (OSError, IndexError):
            pass
    sessions.discard(session)


def end_all():
    stopped.set()
    for session in list(sessions):
        end_session(session)


class Tree:
    def __init__(self, root, place, options):
        self.root, self.place, self.build = root, place, place / 'build'
        self.without = place / 'build-without'  # what is built here never has a mutant
        self.options = options
        # What is killed leaves its temporary files.
        self.environment = {name: value for name, value in os.environ.items() if name != 'PEAL_TALLY'}
        self.environment['TMPDIR'] = str(place / 'tmp')
        self.source, self.broken, self.programs = None, None, []

    def __str__(self):
        return 'setting up'

    def prepare(self, programs):
        shutil.copytree(self.root, self.place,
                        ignore=shutil.ignore_patterns('build*', '.git', '__pycache__'))
        (self.place / 'tmp').mkdir()
        self.programs = sorted(programs)
        # Compiling is most of the work, and what is left out is as visible at -O1.
        setup = ['meson', 'setup', self.build, self.place, '-Dexamples=false', '-Dbench=disabled',
                 '-Dtools=disabled', '-Doptimization=1', '-Ddebug=false'] + self.options
        if self.run_quietly(setup) and self.programs and self.compile(self.programs):
            shutil.copytree(self.build, self.without, symlinks=True)

    def run_quietly(self, command):
        status, output = finish(command, env=self.environment)
        self.broken = None
        if status != 0:
            errors = [line for line in output.splitlines() if 'error' in line]
            self.broken = '\n'.join(errors[:3]) or output[-500:]
        return status == 0

    def compile(self, programs):
        names = {target_of(self.root, name) for name in programs}
        for folder in {folder_of(self.root, name) for name in programs}:
            names.update(HELPERS.get(folder, []))
        return self.run_quietly(['ninja', '-C', self.build, '-j1'] + sorted(names))

    def put(self, mutant, programs):
        """Compile these programs with this mutant and no other. False: it does not compile."""
        if self.source and self.source != mutant.source:
            self.write(self.source, (self.root / self.source).read_text())
        self.source = mutant.source
        self.write(mutant.source, mutant.apply((self.root / mutant.source).read_text()))
        return self.compile(programs)

    def write(self, source, text):
        path = self.place / source
        if path.read_text() != text:
            path.write_text(text)

    def run_test(self, build, program, case, limit):
        """passed, failed, skipped or hung; how; seconds."""
        tally, output = self.place / 'tally', self.place / 'output'
        tally.write_text('')
        environment = dict(self.environment, CK_RUN_CASE=case, PEAL_TALLY=str(tally))
        begin = time.monotonic()
        with output.open('wb') as out:
            test = start([build / target_of(self.root, program)], stdout=out, stderr=out,
                         env=environment)
            try:
                test.wait(limit)
                hung = False
            except subprocess.TimeoutExpired:
                hung = True
            end_session(test.pid)
            test.wait()
        seconds = time.monotonic() - begin
        if hung:
            return 'hung', f'by time-out, {limit:.0f} s', seconds
        counts = [int(word) for word in tally.read_text().split()]
        return verdict(counts, test.returncode, output.read_text(errors='replace')) + (seconds,)

    def run_model(self, name, case):
        script = self.root / 'tests/model/run.sh'
        status, output = finish([script, self.root, os.environ.get('CC', 'cc'), name, f'^{case}$'],
                                env=self.environment)
        line = next((line for line in output.splitlines() if case in line), output[-300:])
        found = re.search(rf'{case} +(\w+) +(\d+) states', line)
        if status != 0 or not found:
            return 'SURVIVED', line
        return 'caught', f'the search finds {found[1]}'

    def run_explore(self, name):
        """The explorer has its own way to leave it out, and compiles that itself."""
        if not self.run_quietly(['ninja', '-C', self.build, '-j1', 'tests/explore/libexplore.a']):
            return 'SURVIVED', self.broken
        script = self.root / 'tests/explore/run.sh'
        status, output = finish([script, self.root, os.environ.get('CC', 'cc'),
                                 self.build / 'tests/explore/libexplore.a', 'mutants', f'^{name}$'],
                                env=self.environment)
        found = re.search(r'%s +(\w+) +\d+ states' % name, output)
        if status != 0 or not found:
            return 'SURVIVED', output[-300:]
        return 'caught', f'the exploration finds {found[1]}'


def verdict(counts, status, output):
    first = re.search(r'^[^\n]*:[FE]:[^\n]*', output, re.M)
    if len(counts) == 3 and counts[1] > 0:
        return 'failed', re.sub(r'^\S*/|:[FE]:\w+:\w+', '', first[0])[:160] if first else 'failed'
    if status != 0:
        return 'failed', f'the program ended with {status}'
    return ('skipped', output.strip()[-100:]) if counts[2:3] != [0] else ('passed', 'it passes')
