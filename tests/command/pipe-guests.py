# SPDX-License-Identifier: MIT
"""peal pipe with stages that are guests of Peal.

usage: pipe-guests.py PEAL     with PEAL_PIPE_LONG in the environment: also what takes ten seconds
"""
import os
import subprocess

from command import case, finish, guest, one_line, peal
from pipes import MIB, Folder, line, noise
from refuse import refuse

STAGE = '@' + guest('stage-guest') + ' '
LONG = 'PEAL_PIPE_LONG' in os.environ


def letters(size):
    return noise(size).translate(bytes(ord('a') + i % 26 for i in range(256)))


def fails(*stages, **more):
    """The lines of what goes wrong."""
    return peal('pipe', *stages, status=None, **more).stderr.decode().splitlines()


@case
def a_guest_has_its_place_anywhere_in_a_chain():
    data = letters(4 * MIB)
    for stages in [('upper',), ('cat', 'upper'), ('upper', 'cat'), ('cat', 'upper', 'cat'),
                   ('upper', 'cat', 'upper'), ('upper', 'upper'), ('cat', 'upper', 'upper', 'upper', 'cat')]:
        chain = [STAGE + stage if stage == 'upper' else stage for stage in stages]
        for options in [(), ('--capacity=64K',)]:
            done = peal('pipe', *options, *chain, stdin=data)
            assert done.stdout == data.upper() and done.stderr == b'', (stages, options, done.stderr)


@case
def no_input_is_no_record():
    assert peal('pipe', STAGE + 'count').stdout == b'0+0+0+0 records, 0 bytes\n'
    assert peal('pipe', 'true', STAGE + 'upper', STAGE + 'count').stdout == b'0+0+0+0 records, 0 bytes\n'


@case
def between_guests_records_stay_records():
    assert peal('pipe', STAGE + 'ones', STAGE + 'count').stdout == b'0+3+0+0 records, 12 bytes\n'
    assert peal('pipe', STAGE + 'ones', STAGE + 'upper', STAGE + 'count').stdout \
        == b'0+0+3+0 records, 12 bytes\n'


@case
def the_last_records_come_before_the_end_does():
    # Both come in one go, and the reader is woken by whichever is the first.
    for _ in range(50):
        assert peal('pipe', STAGE + 'many', STAGE + 'count').stdout == b'0+20000+0+0 records, 80000 bytes\n'


@case
def empty_records_are_no_end():
    data = letters(MIB)
    assert peal('pipe', STAGE + 'empty', stdin=data).stdout == data.upper()
    assert peal('pipe', STAGE + 'empty', STAGE + 'empty', 'cat', stdin=data).stdout == data.upper()


@case
def what_a_guest_says_goes_to_a_file_too():
    with Folder() as path:
        subprocess.run(f'{line(STAGE + "ones")} > {path}', shell=True, check=True)
        with open(path, 'rb') as file:
            assert file.read() == b'one\n' * 3


@case
def its_standard_streams_are_no_data():
    done = peal('pipe', STAGE + 'print')
    assert (done.stdout, done.stderr) == (b'', b'/dev/null\n')


@case
def an_early_end_ends_those_before():
    assert peal('pipe', STAGE + 'endless', 'head -2').stdout == b'endless\n' * 2
    assert peal('pipe', 'yes', STAGE + 'first', 'head -1').stdout == b'y\n'
    assert peal('pipe', 'yes', STAGE + 'endless', STAGE + 'first').stdout == b'endless\n'
    done = subprocess.run(line(STAGE + 'endless') + ' | head -1; echo ${PIPESTATUS[0]}', shell=True,
                          executable='/bin/bash', stdout=subprocess.PIPE, check=True)
    assert done.stdout == b'endless\n141\n'


@case
def a_guest_that_waits_for_a_quiet_input_learns_of_its_end():
    # Nothing comes before the end does, so it is the end alone that wakes it.
    assert peal('pipe', 'sleep 0.3', STAGE + 'count').stdout == b'0+0+0+0 records, 0 bytes\n'


@case
def a_quiet_writer_does_not_outlive_its_guest():
    # What it would write in its life fits into the ring.
    with Folder() as path:
        peal('pipe', f'echo x; while test -e {path}; do sleep 0.01; done; while echo x; do sleep 0.01; done',
             STAGE + 'first', f'cat; rm {path}')


@case
def a_crash_is_told():
    lines = fails('yes', STAGE + 'crash', 'cat')
    assert len(lines) == 1 and lines[0].endswith('crash\' was killed by signal 11 (Segmentation fault)'), lines


@case
def a_guest_that_breaks_its_ring_is_ended():
    for behind in ['cat', STAGE + 'count']:
        done = peal('pipe', 'yes', STAGE + 'liar', behind, status=1)
        text = done.stderr.decode()
        assert 'the ring of stage 2' in text and 'not valid' in text and 'killed by signal 9' in text, text


@case
def a_guest_that_can_not_be_had_keeps_all_from_starting():
    with Folder() as path:
        for command, status, words in [('@/no/such/program', 127, 'not found'),
                                       ('@' + path, 126, 'Permission denied'),
                                       ('@true', 1, 'ended with status 0 before it attached')]:
            done = peal('pipe', f'rm {path}', command, status=status)
            assert words in done.stderr.decode() and os.path.exists(path), done.stderr
    if LONG:
        # The shell's child has our stderr as well, and would keep it.
        done = peal('pipe', 'true', '@sh -c "sleep 100; true"', status=1)
        assert 'has not attached' in one_line(done.stderr)


@case
def without_io_uring_all_is_the_same():
    forbidden = {'preexec_fn': refuse(('io_uring_setup', 'EPERM'))}
    data = letters(4 * MIB)
    for stages in [('upper',), ('cat', 'upper', 'cat'), ('upper', 'upper')]:
        chain = [STAGE + stage if stage == 'upper' else stage for stage in stages]
        assert peal('pipe', *chain, stdin=data, **forbidden).stdout == data.upper()
    assert peal('pipe', STAGE + 'endless', 'head -2', **forbidden).stdout == b'endless\n' * 2
    assert peal('pipe', 'yes', STAGE + 'first', 'head -1', **forbidden).stdout == b'y\n'


finish()
