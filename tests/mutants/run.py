# SPDX-License-Identifier: MIT
"""Leave out one check, barrier or drain of the library after the other: a test must notice each.

usage: run.py [--discover] [--jobs N] SOURCE-ROOT [REGEX]

REGEX: only the mutants whose FILE:NAME matches. --discover: which tests notice those that are open, of
the programs for that layer? For who writes an entry; tells the quickest four.

The tree is copied, once for each job; a mutant is compiled there and its test runs there. First the
named tests run without any mutant: one that fails then proves nothing.

A busy machine confuses nobody. A test that is ended by time-out runs at once without the mutant too, and
only if that takes a fraction of the time, the mutant is what hung; a mutant survives when its test, which
may be one of chance, passes several times.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading

import lists
import trial

# It sees what x86 hides: a load or store that is not ordered. It does not know fences, and says so.
TSAN = ['-Db_sanitize=thread', '-Dc_args=-Wno-tsan']

# So often a test must pass before its mutant has survived.
TRIES = 3
# So much longer than without a mutant is for ever, at least.
FOR_EVER = 4


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f'\r\x1b[K{text}')
        sys.stderr.flush()


class Run:
    def __init__(self, root, jobs):
        self.root, self.jobs = root, jobs
        self.passed = self.failed = self.skipped = self.equivalent = 0
        self.lock = threading.Lock()
        self.models = {}
        self.threads, self.crashes = [], []

    def tell(self, line):
        progress('')
        print(line, flush=True)

    def count(self, mutant, verdict, how):
        words = {'caught': f'caught by {mutant.text} ({how})', 'equivalent': f'equivalent: {how}'}
        with self.lock:
            self.passed += verdict == 'caught'
            self.equivalent += verdict == 'equivalent'
            self.skipped += verdict == 'skipped'
            self.failed += verdict in ('SURVIVED', 'ERROR')
            named = '' if mutant.text == how else f' {mutant.text}'
            self.tell(f'{mutant}: {words.get(verdict, f"{verdict}{named}: {how}")}')

    def in_parallel(self, items, work):
        """work(tree, item) of all items, in as many threads as there are trees."""
        todo, total = list(enumerate(items, 1)), len(items)

        def loop(tree):
            while not trial.stopped.is_set():
                with self.lock:
                    if not todo:
                        return
                    number, item = todo.pop(0)
                    progress(f'{number}/{total} {item}')
                work(tree, item)

        def watched(tree):
            try:
                loop(tree)
            except BaseException as crash:  # pylint: disable=broad-except # told by the main thread
                self.crashes.append(crash)
                trial.stopped.set()

        self.threads = [threading.Thread(target=watched, args=[tree], daemon=True) for tree in self.trees]
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        progress('')
        if self.crashes:
            raise self.crashes[0]

    def prepare(self, place, programs, options):
        self.trees = [trial.Tree(self.root, place / str(i), options) for i in range(self.jobs)]
        self.in_parallel(self.trees, lambda _, tree: tree.prepare(programs))
        broken = next((tree.broken for tree in self.trees if tree.broken), None)
        if broken:
            sys.exit(f'the tree without a mutant does not build:\n{broken}')

    def baseline(self, tests, limit=300):
        """How long each test takes; a word for one that proves nothing."""
        times = {}

        def one(tree, test):
            verdict, how, seconds = tree.run_test(tree.without, *test, limit)
            times[test] = seconds if verdict == 'passed' else verdict
            if verdict != 'passed':
                self.tell(f'{" ".join(test)}: {verdict} without a mutant: {how}')

        self.in_parallel(sorted(tests), one)
        able = [seconds for seconds in times.values() if isinstance(seconds, float)]
        self.tell(f'{len(able)} of {len(tests)} tests pass without a mutant, in {sum(able):.0f} s')
        return times

    def try_model(self, tree, mutant):
        """The model does not depend on the sources, so once for each case."""
        with self.lock:
            known = self.models.get(mutant.text)
        if known is None:
            known = getattr(tree, f'run_{mutant.kind}')(*mutant.text.split())
            with self.lock:
                self.models[mutant.text] = known
        self.count(mutant, *known)

    def try_test(self, tree, mutant, seconds):
        test = tuple(mutant.text.split())
        if not isinstance(seconds, float):
            verdict = 'skipped' if seconds == 'skipped' else 'ERROR'
            return self.count(mutant, verdict, f'{seconds} without the mutant')
        if not tree.put(mutant, test[:1]):
            return self.count(mutant, 'ERROR', f'does not compile: {tree.broken}')
        hangs = mutant.kind == 'hangs'
        for attempt in range(1, TRIES + 1):
            limit = (5 if hangs else 120) + 6 * seconds
            verdict, how = self.run_with(tree, test, limit)
            if verdict != 'passed':
                break
        if attempt > 1:
            how += f', {attempt} times' if verdict == 'passed' else f', the {attempt}. time'
        caught = verdict == 'failed' or verdict == 'hung' and hangs
        if verdict == 'hung' and not hangs:
            how += '; the list does not say that it hangs'
        self.count(mutant, 'caught' if caught else 'SURVIVED' if verdict == 'passed' else 'ERROR', how)

    def run_with(self, tree, test, limit):
        """passed, failed, hung or busy; how. What hangs must do so while it does not without the mutant."""
        for _ in range(TRIES):
            verdict, how, _ = tree.run_test(tree.build, *test, limit)
            if verdict != 'hung':
                return verdict, how
            plain, _, seconds = tree.run_test(tree.without, *test, limit)
            if plain == 'passed' and FOR_EVER * seconds <= limit:
                return verdict, f'{how}; {seconds:.1f} s without'
            limit *= FOR_EVER
        return 'busy', 'without the mutant it takes as long'

    def try_one(self, tree, mutant, times):
        told = {'equivalent': 'equivalent', 'unseen': 'skipped', 'open': 'SURVIVED'}.get(mutant.kind)
        if told:
            return self.count(mutant, told, mutant.text)
        if mutant.kind in ('model', 'explore'):
            return self.try_model(tree, mutant)
        if mutant.kind == 'build':
            caught = not tree.put(mutant, ['ring']) and mutant.text in tree.broken
            return self.count(mutant, 'caught' if caught else 'SURVIVED', 'the compiler')
        self.try_test(tree, mutant, times[tuple(mutant.text.split())])

    def discover(self, tree, mutant, times):
        if not tree.put(mutant, trial.programs_for(mutant.source)):
            return self.tell(f'{mutant}: does not compile: {tree.broken}')
        caught = []
        able = [test for test in times if isinstance(times[test], float)]
        for test in sorted(able, key=lambda test: times[test]):
            if test[0] not in trial.programs_for(mutant.source):
                continue
            verdict, how = self.run_with(tree, test, limit=4 + 4 * times[test])
            if verdict in ('failed', 'hung'):
                caught.append(f'  {"hangs" if verdict == "hung" else "by"} {" ".join(test)} ({how})')
                if len(caught) == 4:
                    break
        with self.lock:
            self.tell('\n'.join([f'{mutant}:'] + (caught or ['  SURVIVED'])))

    def finish(self, total):
        counts = f'{self.passed} {self.failed} {self.skipped}'
        tally = os.environ.get('PEAL_TALLY')
        note = f'mutants: {self.passed} caught, {self.equivalent} without a visible effect'
        if not tally:
            print(f'{note}\n{self.passed} passed, {self.failed} failed, {self.skipped} skipped')
        else:
            with open(tally, 'a') as file:
                file.write(f'# {note}\n{counts}\n')
        return 0 if self.passed + self.skipped + self.equivalent == total and self.passed else 1


def try_all(run, place, mutants, options):
    if not mutants:
        return
    tests = {tuple(m.text.split()) for m in mutants if m.kind in lists.TESTS}
    run.prepare(place, {program for program, _ in tests}, options)
    times = run.baseline(tests)
    run.in_parallel(mutants, lambda tree, mutant: run.try_one(tree, mutant, times))


def discover_all(run, place, mutants):
    programs = {program for m in mutants for program in trial.programs_for(m.source)}
    tests = {(program, case) for program in programs for case in trial.cases_of(run.root, program)}
    run.prepare(place, programs, [])
    times = run.baseline(tests, limit=10)
    run.in_parallel(mutants, lambda tree, mutant: run.discover(tree, mutant, times))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n')[2])
    parser.add_argument('--discover', action='store_true')
    parser.add_argument('--jobs', type=int, default=min(4, len(os.sched_getaffinity(0))))
    parser.add_argument('root', type=pathlib.Path)
    parser.add_argument('regex', nargs='?', default='.')
    args = parser.parse_args()
    root = args.root.resolve()
    mutants = [m for m in lists.read_all(root) if re.search(args.regex, str(m))]
    stale = [] if args.discover else list(lists.problems(root, mutants))
    if stale or not mutants:
        sys.exit('\n'.join(stale) or f'no mutant matches {args.regex}')
    run = Run(root, args.jobs)
    # A mutant may ask for terabytes; the largest ring that a test makes has eight gigabytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 30, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    place = pathlib.Path(tempfile.mkdtemp(prefix='peal-mutants-'))
    run.tell(f'{len(mutants)} mutants, {args.jobs} at a time')
    try:
        if args.discover:
            discover_all(run, place, [m for m in mutants if m.kind == 'open'])
        else:
            try_all(run, place / 'plain', [m for m in mutants if m.kind != 'tsan'], [])
            try_all(run, place / 'tsan', [m for m in mutants if m.kind == 'tsan'], TSAN)
    finally:
        for _ in run.threads:
            trial.end_all()
        for thread in run.threads:
            thread.join(10)
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(0 if args.discover else run.finish(len(mutants)))


if __name__ == '__main__':
    main()
