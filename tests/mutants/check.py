# SPDX-License-Identifier: MIT
"""The lists of mutants are those of this source: no entry is stale, no file is forgotten.

usage: check.py SOURCE-ROOT
"""
import os
import pathlib
import sys

import lists


def main(root):
    try:
        mutants = lists.read_all(root)
        wrong = list(lists.problems(root, mutants))
    except lists.Mistake as mistake:
        mutants, wrong = [], [str(mistake)]
    with_list = {mutant.source for mutant in mutants}
    forgotten = [f'{source} has no mutant' for source in lists.sources(root) if source not in with_list]
    for sentence in wrong + forgotten:
        print(sentence)
    failed = bool(wrong) + bool(forgotten)
    tally = os.environ.get('PEAL_TALLY')
    if tally:
        with open(tally, 'a') as file:
            file.write(f'{2 - failed} {failed} 0\n')
    print(f'{len(mutants)} mutants of {len(with_list)} files')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(pathlib.Path(sys.argv[1])))
