#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each program of rules.rs that is not to compile fails with the error that it names, and no other.

rustdoc alone would take any error for the right one, a misspelt name included.
usage: rust-rules.py RULES.RS WORK-DIRECTORY RUSTC-ARGUMENT...
"""
import json
import os
import pathlib
import re
import subprocess
import sys


def blocks(source):
    """[(line, what rustdoc is told, program)]"""
    text = re.sub(r'^//! ?', '', source, flags=re.M)
    for block in re.finditer(r'^```(\S+)\n(.*?)^```$', text, re.M | re.S):
        program = re.sub(r'^# ?', '', block[2], flags=re.M)
        yield text.count('\n', 0, block.start()) + 1, block[1], program


def errors(program, work, arguments):
    file = pathlib.Path(work, 'rule.rs')
    file.write_text('#![allow(unused)]\n' + program)
    command = [os.environ.get('RUSTC', 'rustc'), '--edition', '2021', '--error-format=json',
               '--emit=metadata', '--out-dir', work, *arguments, str(file)]
    run = subprocess.run(command, text=True, stderr=subprocess.PIPE)
    found = [json.loads(line) for line in run.stderr.splitlines()]
    codes = {message['code'] and message['code']['code'] for message in found
             if message['level'] == 'error' and not message['message'].startswith('aborting')}
    assert (run.returncode != 0) == bool(codes), run.stderr
    return codes


def main():
    path, work, *arguments = sys.argv[1:]
    refused = failed = 0
    for line, told, program in blocks(pathlib.Path(path).read_text()):
        expected = set(re.findall(r'E\d{4}', told))
        refused += bool(expected)
        codes = errors(program, work, arguments)
        if codes != expected:
            print(f'{path}:{line}: {codes or "it compiles"}, not {expected}')
            failed += 1
    print(f'{refused} programs are refused')
    sys.exit(failed > 0 or refused < 10)


main()
