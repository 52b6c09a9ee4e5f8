# SPDX-License-Identifier: MIT
"""What a header says of a function is on the function's page, word by word.

usage: contracts.py INCLUDE-DIRECTORY MAN3-DIRECTORY
"""
import pathlib
import re
import sys


def words(text):
    return set(re.findall(r'\w+', text.lower()))


def main():
    include, man3 = map(pathlib.Path, sys.argv[1:])
    headers = '\n'.join(path.read_text(encoding='utf-8') for path in sorted((include / 'peal').glob('*.h')))
    # A page writes "us", and says what a function returns where "Return" and "hot" are not needed.
    headers = headers.replace('µ', 'u').replace('; hot', '').replace('Return:', '')
    contracts = re.findall(r'/\*\*((?:(?!\*/).)*?(\w+)\(\) - (?:(?!\*/).)*)\*/', headers, re.S)
    missing = {}
    for text, name in contracts:
        page = re.sub(r'\\f[A-Z]|\\', '', (man3 / f'{name}.3').read_text(encoding='utf-8'))
        missing[name] = words(text) - words(page)
    for name, lost in missing.items():
        if lost:
            print(f'{name}: {" ".join(sorted(lost))}')
    return 0 if len(contracts) > 70 and not any(missing.values()) else 1


sys.exit(main())
