# SPDX-License-Identifier: MIT
"""The lists of mutants: what each of them changes, and who is expected to notice.

A list is for one source file, which its first line names. An entry of it:

    name: one sentence, why this is there
        in FUNCTION            where the text below stands; without it, anywhere in the file
        - old text             must occur exactly once there
        + new text             without it, the old text goes
        by PROGRAM CASE        the test that fails
        hangs PROGRAM CASE     the test that waits for ever, or fails
        tsan PROGRAM CASE      the same under ThreadSanitizer
        model LIST CASE        the model that has the same thing left out: for what this processor hides
        explore NAME           the mutant of tests/explore that has the same left out of the real code
        build WORDS            the compiler, whose message has these words
        equivalent REASON      nobody: it can have no visible effect
        unseen REASON          nobody here: counts as skipped
        open REASON            nobody yet: counts as failed

White space in the old text stands for any white space, so an entry survives another layout of the
lines. There may be several pairs of old and new text.
"""
import pathlib
import re

KINDS = ('by', 'hangs', 'tsan', 'model', 'explore', 'build', 'equivalent', 'unseen', 'open')
TESTS = ('by', 'hangs', 'tsan')


class Mistake(Exception):
    """A list says something that can not be."""


class Mutant:
    def __init__(self, source, name, why, place):
        self.source, self.name, self.why, self.place = source, name, why, place
        self.function = None
        self.pairs = []
        self.kind, self.text = None, None

    def __str__(self):
        return f'{self.source}:{self.name}'

    def apply(self, text):
        """The mutated source."""
        for old, new in self.pairs:
            begin, end = span_of(text, self.function) if self.function else (0, len(text))
            words = r'\s+'.join(re.escape(word) for word in old.split())
            found = list(re.finditer(words, text[begin:end]))
            if len(found) != 1:
                raise Mistake(f'{self.place}: {self}: {len(found)} times in the source: {old}')
            at = found[0]
            text = text[:begin + at.start()] + new + text[begin + at.end():]
        return text


def span_of(text, function):
    """Where the definition of a function begins and ends."""
    for found in re.finditer(rf'^\w[^\n;]*\b{re.escape(function)}\(', text, re.M):
        brace, semicolon = text.find('\n{', found.end()), text.find(';', found.end())
        if 0 <= brace < semicolon:
            return found.start(), text.index('\n}', brace)
    raise Mistake(f'there is no function {function}')


def take_line(mutant, word, rest):
    if word == 'in':
        mutant.function = rest
    elif word == '-':
        mutant.pairs.append((rest, ''))
    elif word == '+' and mutant.pairs:
        mutant.pairs[-1] = (mutant.pairs[-1][0], rest)
    elif word in KINDS and mutant.kind is None:
        mutant.kind, mutant.text = word, rest
    else:
        raise Mistake(f'{mutant.place}: {mutant}: what is "{word}" here?')


def read_list(path):
    source, mutants = None, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        place = f'{path.name}:{number}'
        if not line.strip() or line.startswith('#'):
            continue
        if line.startswith('file '):
            source = line.split()[1]
        elif not line[0].isspace():
            name, colon, why = line.partition(': ')
            if not source or not colon or ' ' in name:
                raise Mistake(f'{place}: expected "name: why"')
            mutants.append(Mutant(source, name, why, place))
        elif mutants:
            word, _, rest = line.strip().partition(' ')
            take_line(mutants[-1], word, rest.strip())
        else:
            raise Mistake(f'{place}: belongs to no mutant')
    return mutants


def read_all(root):
    """All mutants, in the order of their lists."""
    mutants = []
    for path in sorted((root / 'tests/mutants').glob('*/*.txt')):
        mutants += read_list(path)
    return mutants


def problems(root, mutants):
    """What is wrong with the lists, as sentences."""
    seen, cases = set(), model_cases(root)
    for mutant in mutants:
        if str(mutant) in seen:
            yield f'{mutant.place}: {mutant} is there twice'
        seen.add(str(mutant))
        if not mutant.pairs or not mutant.kind or not mutant.text:
            yield f'{mutant.place}: {mutant} changes nothing, or nobody is expected to notice'
            continue
        try:
            text = (root / mutant.source).read_text()
            if mutant.apply(text) == text:
                yield f'{mutant.place}: {mutant} changes nothing'
        except (Mistake, OSError) as mistake:
            yield f'{mutant.place}: {mutant}: {mistake}'
        yield from problems_of_test(root, mutant, cases)


def model_cases(root):
    """(list, case) of all cases of the models that must fail."""
    cases = set()
    for path in (root / 'tests/model').glob('*.txt'):
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0] != '#' and len(words) > 1 and words[1] != 'pass':
                cases.add((path.stem, words[0]))
    return cases


def explored(root):
    """The mutants of the explorer that it must find."""
    text = (root / 'tests/explore/mutants.txt').read_text()
    return re.findall(r'^= (\S+) [^\n]*\n(?!pass)\w', text, re.M)


def problems_of_test(root, mutant, cases):
    words = mutant.text.split()
    if mutant.kind in TESTS:
        source = source_of_test(root, words[0]) if len(words) == 2 else None
        if not source or f'START_TEST({words[1]})' not in source.read_text():
            yield f'{mutant.place}: {mutant}: there is no test {mutant.text}'
    if mutant.kind == 'model' and tuple(words) not in cases:
        yield f'{mutant.place}: {mutant}: there is no case {mutant.text} that must fail'
    if mutant.kind == 'explore' and mutant.text not in explored(root):
        yield f'{mutant.place}: {mutant}: the explorer has no mutant {mutant.text} that it must find'


def source_of_test(root, program):
    return next(iter((root / 'tests').glob(f'*/test-{program}.c')), None)


def sources(root):
    """The files that must have a list: whatever of the library is code."""
    found = list((root / 'src').glob('*/*.c')) + list((root / 'include/peal/detail').glob('*.h'))
    return sorted(str(pathlib.Path(path).relative_to(root)) for path in found)
