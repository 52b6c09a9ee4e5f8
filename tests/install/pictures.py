# SPDX-License-Identifier: MIT
"""Pictures made up for the decoder's test: files, and the pixels that must come out of them.

usage: pictures.py DIRECTORY      the files that docs/decoder.md was measured with
"""
import random
import shutil
import struct
import subprocess
import sys
import zlib

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
# First column and row, and the steps between them, of each pass of an interlaced file.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def header(width, height, depth=8, kind=RGB, interlaced=False):
    return b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR', struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, interlaced))


def pack(samples, depth):
    """A row of a file: a filter of type 0, then the samples, depth bits each."""
    if depth == 16:
        return b'\0' + struct.pack(f'>{len(samples)}H', *samples)
    if depth == 8:
        return b'\0' + bytes(samples)
    bits = ''.join(f'{sample:0{depth}b}' for sample in samples)
    bits += '0' * (-len(bits) % 8)
    return b'\0' + int(bits, 2).to_bytes(len(bits) // 8, 'big')


def png(rows, depth=8, kind=RGB, palette=None, interlaced=False):
    """rows: of pixels, which are tuples of samples."""
    height, width = len(rows), len(rows[0])
    data = b''
    for x0, y0, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        for row in rows[y0::dy]:
            if row[x0::dx]:
                data += pack([sample for pixel in row[x0::dx] for sample in pixel], depth)
    file = header(width, height, depth, kind, interlaced)
    if palette:
        file += chunk(b'PLTE', bytes(value for colour in palette for value in colour))
        file += chunk(b'tRNS', bytes(range(len(palette))))  # what is transparent is shown all the same
    return file + chunk(b'IDAT', zlib.compress(data, 1)) + chunk(b'IEND', b'')


def pixels(rows, depth=8, kind=RGB, palette=None):
    """What a decoder must say: red, green, blue, 8 bits each."""
    result = bytearray()
    for row in rows:
        for pixel in row:
            if palette:
                result += bytes(palette[pixel[0]])
                continue
            values = [sample >> 8 if depth == 16 else sample * 255 // ((1 << depth) - 1) for sample in pixel]
            result += bytes(values[:3] if kind in (RGB, RGB_ALPHA) else values[:1] * 3)
    return bytes(result)


class Picture:
    def __init__(self, name, file, width, height, data):
        self.name, self.file, self.width, self.height, self.pixels = name, file, width, height, data

    @property
    def line(self):
        """Verdict, size and check sum, as decode prints them."""
        return ('decoded', f'{self.width}x{self.height}', f'{zlib.crc32(self.pixels):08x}')

    @property
    def ppm(self):
        return b'P6\n%d %d\n255\n' % (self.width, self.height) + self.pixels


def make_png(name, width, height, depth=8, kind=RGB, interlaced=False):
    rng = random.Random(name)
    palette = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(1 << depth)] \
        if kind == PALETTE else None
    rows = [[tuple(rng.randrange(1 << depth) for _ in range(CHANNELS[kind])) for _ in range(width)]
            for _ in range(height)]
    return Picture(name, png(rows, depth, kind, palette, interlaced), width, height,
                   pixels(rows, depth, kind, palette))


def all_pngs():
    """Every kind of pixel that the format has."""
    made = []
    for kind, depths in ((GREY, (1, 2, 4, 8, 16)), (RGB, (8, 16)), (PALETTE, (1, 2, 4, 8)),
                         (GREY_ALPHA, (8, 16)), (RGB_ALPHA, (8, 16))):
        for depth in depths:
            for interlaced in (False, True):
                made.append(make_png(f'{kind}-{depth}{"-interlaced" * interlaced}.png', 37, 29, depth, kind,
                                     interlaced))
    return made + [make_png('one.png', 1, 1), make_png('wide.png', 5000, 1), make_png('high.png', 1, 5000)]


def large_png(name, width, height):
    """As noisy as can be, so that the file is as large as its pixels."""
    data = random.Random(name).randbytes(width * height * 3)
    rows = b''.join(b'\0' + data[y * width * 3:(y + 1) * width * 3] for y in range(height))
    file = header(width, height) + chunk(b'IDAT', zlib.compress(rows, 0)) + chunk(b'IEND', b'')
    return Picture(name, file, width, height, data)


def can_jpeg():
    return shutil.which('cjpeg') and shutil.which('djpeg')


def jpeg(name, width, height, *options, grey=False):
    """What cjpeg makes, and djpeg says that it is."""
    rng = random.Random(name)
    data = bytes((x * 5 + y * 3 + c * 80 + rng.randrange(9)) & 255
                 for y in range(height) for x in range(width) for c in range(1 if grey else 3))
    given = b'P%d\n%d %d\n255\n' % (5 if grey else 6, width, height) + data
    file = subprocess.run(['cjpeg', *options], input=given, stdout=subprocess.PIPE, check=True).stdout
    said = subprocess.run(['djpeg', '-pnm'], input=file, stdout=subprocess.PIPE, check=True).stdout
    values = said.split(b'\n', 3)[3]
    if grey:
        values = bytes(value for value in values for _ in range(3))
    return Picture(name, file, width, height, values)


def all_jpegs():
    return [jpeg('plain.jpg', 93, 71), jpeg('good.jpg', 93, 71, '-quality', '100', '-sample', '1x1'),
            jpeg('progressive.jpg', 93, 71, '-progressive'), jpeg('grey.jpg', 50, 40, grey=True),
            jpeg('restart.jpg', 93, 71, '-restart', '1'), jpeg('one.jpg', 1, 1),
            jpeg('large.jpg', 700, 500, '-quality', '100')]


def scene(width, height, seed):
    """Something between a photograph and a drawing: slopes, edges, and the noise of a camera."""
    rng = random.Random(seed)
    noise = rng.randbytes(width * height + 7)
    data = bytearray()
    for y in range(height):
        for x in range(width):
            grain = noise[y * width + x] & 7
            edge = 60 if (x // 90 + y // 70 + seed) % 5 == 0 else 0
            data += bytes(((x * 200 // width + grain + edge) & 255, (y * 180 // height + grain) & 255,
                           ((x + y) * 120 // width + edge + grain) & 255))
    return bytes(data)


def filtered(data, width, height):
    """As most programs write it: each byte as the difference to the pixel on its left."""
    result, row = bytearray(), width * 3
    for y in range(height):
        line = data[y * row:(y + 1) * row]
        result += b'\1' + line[:3] + bytes((b - a) & 255 for a, b in zip(line, line[3:]))
    return zlib.compress(result, 6)


def write_bench(directory):
    """Four pictures as PNG and as JPEG, and three hundred icons."""
    for count, name, width, height in ((4, 'picture', 1280, 720), (300, 'icon', 48, 48)):
        for seed in range(count):
            data = scene(width, height, seed)
            with open(f'{directory}/{name}-{seed}.png', 'wb') as file:
                file.write(header(width, height) + chunk(b'IDAT', filtered(data, width, height)) +
                           chunk(b'IEND', b''))
            if name == 'picture':
                with open(f'{directory}/{name}-{seed}.jpg', 'wb') as file:
                    subprocess.run(['cjpeg', '-quality', '85'], stdout=file, check=True,
                                   input=b'P6\n%d %d\n255\n' % (width, height) + data)


if __name__ == '__main__':
    write_bench(sys.argv[1])
