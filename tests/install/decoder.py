# SPDX-License-Identifier: MIT
"""The sandboxed decoder: every good file gives its pixels, every other one a reason, whatever it does to its
guest; and nothing is left behind.

usage: decoder.py DECODE DIRECTORY
"""
import errno
import fcntl
import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib

import pictures
from command import PEAL, Skip, Terminal, case, finish, peal, start, until

DIRECTORY = sys.argv[2]
PLUGIN = os.path.join(os.path.dirname(PEAL), 'decode-plugin')
os.mkdir(DIRECTORY)


def write(name, data):
    path = os.path.join(DIRECTORY, name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def put(picture):
    return write(picture.name, picture.file)


def misdeed(word, more=b''):
    return write(f'misdeed-{word}', b'misbehave ' + word.encode() + b'\n' + more)


def parse(output, files):
    """[(verdict, size, check sum, reason)] of all files, which must be told of in their order."""
    lines = output.decode().splitlines()
    assert len(lines) == len(files), (lines, files)
    verdicts = []
    for line, file in zip(lines, files):
        match = re.fullmatch(r'(\w+) +(\S+) +(\S+) +' + re.escape(file) + '(?:: (.*))?', line)
        assert match, (line, file)
        verdicts.append(match.groups())
    return verdicts


def decode(*arguments, files, status=0, **more):
    done = peal(*arguments, *files, status=status, **more)
    # Whoever was ended was ended in time: before it could say more.
    assert b'had no file' not in done.stderr, done.stderr
    return parse(done.stdout, files)


def output_directory(name):
    path = os.path.join(DIRECTORY, name)
    os.mkdir(path)
    try:
        os.close(os.open(path, os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        raise Skip(f'files without a name: {error}') from None
    return path


def guests():
    """Processes that run the plugin of this test, zombies not counted."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink(f'/proc/{pid}/exe') == PLUGIN:
                found.append(int(pid))
        except OSError:
            pass
    return found


def expect(verdict, wanted, reason):
    """A verdict that is not 'decoded', and its reason, a regular expression."""
    assert verdict[:3] == (wanted, '-', '-') and re.search(reason, verdict[3] or ''), (verdict, wanted, reason)


# --- Good files ------------------------------------------------------------------------------------


@case
def every_png_gives_its_pixels():
    made = pictures.all_pngs()
    for picture, verdict in zip(made, decode(files=[put(picture) for picture in made])):
        assert verdict[:3] == picture.line, (picture.name, verdict, picture.line)


@case
def every_jpeg_gives_the_pixels_of_djpeg():
    if not pictures.can_jpeg():
        raise Skip('no cjpeg and djpeg')
    made = pictures.all_jpegs()
    for picture, verdict in zip(made, decode(files=[put(picture) for picture in made])):
        assert verdict[:3] == picture.line, (picture.name, verdict, picture.line)


@case
def files_and_images_may_be_larger_than_the_rings():
    made = [pictures.large_png(f'large-{i}.png', 1500, 1000 + i) for i in range(5)]
    for number in '1', '3':
        verdicts = decode('--guests', number, files=[put(picture) for picture in made])
        assert [verdict[:3] for verdict in verdicts] == [picture.line for picture in made], verdicts


@case
def images_are_written_whole_or_not_at_all():
    directory = output_directory('images')
    good = [pictures.make_png(f'written-{i}.png', 300, 200 + i) for i in range(3)]
    large = pictures.large_png('cut.png', 1500, 1000)
    files = [put(picture) for picture in good] + [write('cut.png', large.file[:-5000]), misdeed('fewer')]
    decode('--misbehave', '--output', directory, files=files, status=1)
    assert sorted(os.listdir(directory)) == [f'{picture.name}.ppm' for picture in good]
    for picture in good:
        with open(os.path.join(directory, f'{picture.name}.ppm'), 'rb') as file:
            assert file.read() == picture.ppm
    for verdict in decode('--output', directory, files=files[:3], status=1):
        expect(verdict, 'unread', 'File exists')


@case
def the_longest_name_gives_an_image_all_the_same():
    directory = output_directory('long')
    picture = pictures.make_png('l' * 251 + '.png', 20, 20)
    decode('--output', directory, files=[put(picture)])
    assert os.listdir(directory) == ['l' * 251 + '.ppm']


@case
def a_full_disk_costs_the_image_and_nothing_else():
    directory = output_directory('full')
    large, small = pictures.large_png('huge.png', 2000, 1000), pictures.make_png('tiny.png', 20, 20)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
    verdicts = decode('--output', directory, '--guests', '1', files=[put(large), put(small)], status=1,
                      preexec_fn=limit, restore_signals=False)
    expect(verdicts[0], 'unread', 'writing the image: File too large')
    assert verdicts[1][:3] == small.line and os.listdir(directory) == ['tiny.png.ppm'], verdicts


# --- Damaged files ---------------------------------------------------------------------------------


def damaged_pngs():
    good = pictures.make_png('damaged.png', 400, 300)
    flipped = bytearray(good.file)
    flipped[-13] ^= 1  # of the check sum before the end
    garbage = pictures.header(50, 50) + pictures.chunk(b'IDAT', b'\x78\x9c' + b'\xff' * 500)
    short = pictures.header(50, 50) + pictures.chunk(b'IDAT', zlib.compress(bytes(151 * 20)))
    end = pictures.chunk(b'IEND', b'')
    bomb = pictures.header(50000, 50000) + pictures.chunk(b'IDAT', zlib.compress(bytes(1000000))) + end
    wide = pictures.header(200000, 1) + pictures.chunk(b'IDAT', zlib.compress(bytes(600001))) + end
    return [
        ('truncated.png', good.file[:len(good.file) // 2], 'libpng: the file ends too early'),
        ('flipped.png', bytes(flipped), 'libpng: IDAT: CRC error'),
        ('garbage.png', garbage + end, 'libpng: IDAT: '),
        ('short.png', short + end, 'libpng: '),
        ('bomb.png', bomb, '50000x50000 pixels are too many'),
        ('wide-bomb.png', wide, '200000x1 pixels are too many'),
        ('text.png', b'This is no picture.\n', 'neither PNG nor JPEG'),
        ('much-text.png', b'This is no picture.\n' * 300000, 'neither PNG nor JPEG'),
        ('signature.png', good.file[:8], 'libpng: the file ends too early'),
        ('empty.png', b'', 'the file is empty'),
    ]


@case
def damaged_pngs_are_refused_with_a_reason():
    damaged = damaged_pngs()
    files = [write(name, data) for name, data, _ in damaged]
    for verdict, (_, _, reason) in zip(decode(files=files, status=1), damaged):
        expect(verdict, 'refused', reason)


@case
def damaged_jpegs_are_refused_with_a_reason():
    if not pictures.can_jpeg():
        raise Skip('no cjpeg and djpeg')
    good = pictures.jpeg('whole.jpg', 300, 200).file
    bomb = bytearray(good)
    at = bomb.index(b'\xff\xc0') + 5
    bomb[at:at + 4] = struct.pack('>HH', 65000, 65000)
    damaged = [
        (good[:len(good) // 2], 'libjpeg: the file ends too early'),
        (good[:len(good) // 2] + b'\xff\xd9', 'libjpeg: Corrupt JPEG data'),
        (good[:100] + random.Random(1).randbytes(5000), 'libjpeg: '),
        (b'\xff\xd8\xff', 'libjpeg: the file ends too early'),
        (bytes(bomb), '65000x65000 pixels are too many'),
    ]
    files = [write(f'damaged-{i}.jpg', data) for i, (data, _) in enumerate(damaged)]
    for verdict, (_, reason) in zip(decode(files=files, status=1), damaged):
        expect(verdict, 'refused', reason)


@case
def whatever_byte_is_wrong_each_file_gets_a_verdict():
    rng = random.Random(7)
    whole = [pictures.make_png('whole.png', 60, 40), pictures.make_png('woven.png', 60, 40, interlaced=True)]
    if pictures.can_jpeg():
        whole += [pictures.jpeg('flipped.jpg', 60, 40), pictures.jpeg('flipped-2.jpg', 60, 40, '-progressive')]
    files = []
    for picture in whole:
        for i in range(60):
            data = bytearray(picture.file)
            # Half of them near the beginning, where the numbers are.
            data[rng.randrange(len(data) if i % 2 else 400)] ^= 1 << rng.randrange(8)
            files.append(write(f'wrong-{i}-{picture.name}', bytes(data)))
    verdicts = decode(files=files, status=1)
    assert {verdict[0] for verdict in verdicts} <= {'decoded', 'refused', 'killed'}, verdicts


@case
def what_can_not_be_read_is_told_and_the_rest_decoded():
    good = pictures.make_png('beside.png', 20, 20)
    fifo = os.path.join(DIRECTORY, 'fifo')
    os.mkfifo(fifo)
    files = ['/nonexistent/file.png', put(good), DIRECTORY, fifo, put(good)]
    verdicts = decode(files=files, status=1)
    expect(verdicts[0], 'unread', 'No such file or directory')
    expect(verdicts[2], 'unread', 'not a regular file')
    expect(verdicts[3], 'unread', 'not a regular file')
    assert verdicts[1][:3] == verdicts[4][:3] == good.line, verdicts


@case
def a_file_that_fails_half_way_costs_its_guest_and_nothing_else():
    bad, good = '/sys/class/net/lo/speed', pictures.make_png('next.png', 20, 20)
    try:
        with open(bad, 'rb') as file:
            file.read()
        raise Skip(f'{bad} can be read')
    except FileNotFoundError:
        raise Skip(f'no {bad}') from None
    except OSError as error:
        reason = os.strerror(error.errno)
    verdicts = decode('--guests', '1', files=[bad, put(good), bad], status=1)
    for verdict in verdicts[::2]:
        expect(verdict, 'unread', reason)
    assert verdicts[1][:3] == good.line, verdicts


# --- Hostile guests --------------------------------------------------------------------------------

RULES = 'its guest broke the rules: '
MISDEEDS = {
    'crash': ('killed', r"decode-plugin' \(pid \d+\) was killed by signal 11 .*, \d+\.\d ms after it was given"),
    'steal': ('killed', r'was killed by signal 31 \(Bad system call\)'),
    'leave': ('killed', r'exited with status 7'),
    'huge': ('refused', r'65535x65535 pixels are too many'),
    'flat': ('killed', RULES + 'an image without pixels'),
    'twice': ('killed', RULES + 'a size that is none, or a second one'),
    'cut': ('killed', RULES + 'a size that is none, or a second one'),
    'early': ('killed', RULES + 'rows of no known length'),
    'part': ('killed', RULES + 'rows of no known length'),
    'nothing': ('killed', RULES + 'rows of no known length'),
    'more': ('killed', RULES + 'more rows than it had promised'),
    'fewer': ('killed', RULES + 'fewer rows than it had promised'),
    'done': ('killed', RULES + 'fewer rows than it had promised'),
    'babble': ('killed', RULES + 'a record of no known type'),
    'novel': ('killed', RULES + 'a reason that is too long'),
    'paint': ('refused', r'^[ -~]+owned\?$'),
    'shout': ('refused', r'wrote -1'),
    'look': ('refused', r'^0 variables$'),
    'nonsense': ('refused', 'a misdeed that nobody knows'),
}


@case
def each_misdeed_is_told_and_the_files_between_are_decoded():
    good = pictures.make_png('between.png', 300, 200)
    path = put(good)
    files = [file for word in MISDEEDS for file in (misdeed(word), path)]
    done = peal('--misbehave', '--guests', '2', *files, status=1)
    assert b'\x1b' not in done.stdout + done.stderr and b'\x9b' not in done.stdout, done
    assert b'a guest that had no file' not in done.stderr and b'owned' not in done.stderr, done.stderr
    verdicts = parse(done.stdout, files)
    for verdict, (wanted, reason) in zip(verdicts[::2], MISDEEDS.values()):
        expect(verdict, wanted, reason)
    assert all(verdict[:3] == good.line for verdict in verdicts[1::2]), verdicts
    assert guests() == []


@case
def nobody_is_told_to_misbehave_without_being_asked():
    expect(decode(files=[misdeed('crash')], status=1)[0], 'refused', 'neither PNG nor JPEG')


@case
def an_answer_before_the_whole_file_is_no_answer():
    verdict, = decode('--misbehave', files=[misdeed('hasty', bytes(4 << 20))], status=1)
    expect(verdict, 'killed', 'it answered before it had the whole file')


@case
def the_last_words_of_a_guest_count():
    files = [misdeed('expire')] * 5
    for verdict in parse(peal('--misbehave', *files).stdout, files):
        assert verdict[:3] == ('decoded', '10x100', f'{zlib.crc32(b"x" * 3000):08x}'), verdict


@case
def who_speaks_after_the_answer_is_replaced():
    good = pictures.make_png('after.png', 30, 20)
    done = peal('--misbehave', '--guests', '1', '--deadline', '3600000', misdeed('chatter'), put(good))
    verdicts = parse(done.stdout, [misdeed('chatter'), put(good)])
    assert verdicts[0][0] == 'decoded' and verdicts[1][:3] == good.line, verdicts
    assert b'a guest that had no file: it spoke out of turn' in done.stderr, done


@case
def no_file_suffers_for_an_earlier_one():
    good = pictures.make_png('innocent.png', 40, 30)
    files = [misdeed('infect'), put(good)] * 5
    verdicts = decode('--misbehave', '--guests', '1', files=files, status=1)
    for guilty, innocent in zip(verdicts[::2], verdicts[1::2]):
        expect(guilty, 'refused', '^$')
        assert innocent[:3] == good.line, verdicts


@case
def memory_is_limited():
    verdict, = decode('--misbehave', files=[misdeed('hoard')], status=1)
    expect(verdict, 'refused', r'^had \d+ MiB$')
    assert int(verdict[3].split()[1]) <= 512, verdict


@case
def a_guest_that_hangs_is_ended_and_delays_nobody_for_ever():
    good = pictures.make_png('patient.png', 100, 100)
    files = [misdeed('hang'), put(good), misdeed('hang', bytes(4 << 20)), put(good), put(good)]
    verdicts = decode('--misbehave', '--deadline', '2000', '--guests', '2', files=files, status=1)
    for i in 0, 2:
        expect(verdicts[i], 'killed', 'no answer within 2000 ms')
    assert [verdicts[i][:3] for i in (1, 3, 4)] == [good.line] * 3, verdicts
    assert guests() == []


@case
def a_host_that_is_held_up_blames_no_guest():
    # While nobody reads what it prints, some guest is in the middle of a large one.
    small, large = pictures.make_png('held-up.png', 9, 9), pictures.large_png('held-up-long.png', 1000, 1000)
    files = [put(small), put(large)] * 40
    host = start('--deadline', '3000', '--guests', '2', *files, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    fcntl.fcntl(host.stdout, fcntl.F_SETPIPE_SZ, 4096)
    time.sleep(4)
    verdicts = parse(host.stdout.read(), files)
    host.stdout.close()
    complaints = host.stderr.read()
    host.stderr.close()
    assert host.wait() == 0 and complaints == b'', complaints
    assert [verdict[:3] for verdict in verdicts] == [small.line, large.line] * 40, verdicts


def with_one_second_of_processor_time(*arguments, files, status):
    host = os.path.join(os.path.dirname(PEAL), 'decode-cpu')
    done = peal(*arguments, *files, status=status, executable=host)
    return done, parse(done.stdout, files)


@case
def processor_time_is_limited():
    _, verdicts = with_one_second_of_processor_time('--misbehave', '--deadline', '3600000',
                                                    files=[misdeed('hang')], status=1)
    expect(verdicts[0], 'killed', r'was killed by signal 24 \(CPU time limit exceeded\)')


@case
def honest_guests_are_replaced_before_their_time_is_up():
    done, verdicts = with_one_second_of_processor_time('--misbehave', '--guests', '1',
                                                       files=[misdeed('toil')] * 3, status=1)
    for verdict in verdicts:
        expect(verdict, 'refused', '^toiled$')
    assert done.stderr == b'', done.stderr


@case
def lost_guests_cost_no_descriptors():
    good = pictures.make_png('last.png', 30, 20)
    files = [misdeed('crash')] * 60 + [misdeed('hasty', bytes(4 << 20))] * 40 + [put(good)]
    verdicts = decode('--misbehave', '--guests', '2', files=files, status=1,
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    assert verdicts[-1][:3] == good.line, verdicts[-1]
    for verdict in verdicts[:60]:
        expect(verdict, 'killed', 'signal 11')


def status(pid, name):
    with open(f'/proc/{pid}/status', encoding='utf-8') as file:
        return next((line.split()[1] for line in file if line.startswith(name + ':')), None)


@case
def the_kernel_says_that_guests_are_caged():
    host = start('--misbehave', '--deadline', '3600000', '--guests', '2', misdeed('hang'))
    try:
        until('both are in a filter', lambda: [status(pid, 'Seccomp') for pid in guests()] == ['2', '2'])
        for pid in guests():
            assert status(pid, 'NoNewPrivs') == '1'
            with open(f'/proc/{pid}/limits', encoding='utf-8') as file:
                assert re.search(r'Max core file size +0 +0 ', file.read())
            assert not {'0', '1', '2'} & set(os.listdir(f'/proc/{pid}/fd'))
    finally:
        host.kill()
        host.wait()


@case
def no_guest_outlives_a_host_that_was_killed():
    host = start('--misbehave', '--deadline', '3600000', '--guests', '3', misdeed('hang'))
    until('the guests run', lambda: len(guests()) == 3)
    host.send_signal(signal.SIGKILL)
    host.wait()
    until('they are gone', lambda: guests() == [])


@case
def a_plugin_that_does_not_start_is_told_and_not_tried_for_ever():
    good = put(pictures.make_png('never.png', 5, 5))
    os.rename(PLUGIN, PLUGIN + '.away')
    try:
        done = peal(good, status=1)
        assert b'starting a guest' in done.stderr and os.strerror(errno.ENOENT).encode() in done.stderr, done
        os.symlink('/bin/false', PLUGIN)
        done = peal(good, status=1)
        assert b'exited with status 1' in done.stderr and done.stdout == b'', done
        os.unlink(PLUGIN)
    finally:
        os.rename(PLUGIN + '.away', PLUGIN)


# --- For people ------------------------------------------------------------------------------------


@case
def a_terminal_shows_thumbnails_and_progress():
    picture = pictures.make_png('shown.png', 64, 64)
    status, text = Terminal(put(picture)).end()
    assert status == 0 and '▀'.encode() in text and b'0 of 1 files' in text, text
    first = picture.pixels[:3]
    assert b'\x1b[38;2;%d;%d;%dm' % tuple(first) in text, (first, text)
    status, text = Terminal(put(picture), env={'NO_COLOR': '1'}).end()
    assert status == 0 and '▀'.encode() not in text, text


@case
def a_wrong_command_line_is_told():
    for arguments, said in ((['--guests', '0', 'x'], b"--guests: '0' is not a number from 1 to 64"),
                            (['--guests', '1x', 'x'], b"--guests: '1x'"),
                            (['--deadline', '-1', 'x'], b"--deadline: '-1' is not a number of milliseconds"),
                            (['--output', '/nonexistent', 'x'], b'--output: /nonexistent: No such file'),
                            ([], b'usage: decode'), (['--what'], b'usage: decode')):
        done = peal(*arguments, status=2)
        assert said in done.stderr and done.stdout == b'', (arguments, done)
    assert b'--deadline MS' in peal('--help').stdout


@case
def the_bench_compares_three_ways_to_the_same_pixels():
    files = [put(pictures.make_png(f'bench-{i}.png', 100, 80)) for i in range(3)]
    text = peal('--bench', '--guests', '2', *files).stdout.decode()
    for name in 'in-process, threads', 'guests, rings', 'guests, pipes', 'rings : pipes', '31 crashes: known':
        assert re.search(rf'^{name}.* \d+\.\d', text, re.M), (name, text)
    done = peal('--bench', files[0], write('bad.png', b'text'), status=1)
    assert b'neither PNG nor JPEG' in done.stderr, done


finish()
