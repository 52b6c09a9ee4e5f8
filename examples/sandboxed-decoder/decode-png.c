/* SPDX-License-Identifier: MIT */
/*
 * decode-png.c - libpng reads what comes, and writes rows where the host will read them.
 */
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* Before setjmp, so that what happens after it is still known when libpng jumps. */
struct reader {
	struct codec *codec;
	png_structp png;
	png_infop info;
	unsigned char *whole; /* of an interlaced image, whose rows come in several passes */
};

static void refuse(png_structp png, png_const_charp what)
{
	struct codec *codec = png_get_error_ptr(png);

	snprintf(codec->reason, sizeof(codec->reason), "libpng: %s", what);
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp what)
{
	(void)png;
	(void)what;
}

static void read_bytes(png_structp png, png_bytep out, size_t size)
{
	struct codec *codec = png_get_io_ptr(png);

	while (size > 0) {
		size_t part;

		if (!codec_more(codec))
			png_error(png, "the file ends too early");
		part = size < codec->left ? size : codec->left;
		memcpy(out, codec->at, part);
		codec->at += part;
		codec->left -= part;
		out += part;
		size -= part;
	}
}

/* Whatever the file has, we give red, green and blue, 8 bits each. */
static int transform(png_structp png, png_infop info)
{
	int passes;

	png_set_expand(png);
	png_set_strip_16(png);
	png_set_gray_to_rgb(png);
	png_set_strip_alpha(png);
	passes = png_set_interlace_handling(png);
	png_read_update_info(png, info);
	return passes;
}

static void read_interlaced(struct reader *reader, uint32_t height, int passes)
{
	const size_t row = reader->codec->row;

	reader->whole = calloc(height, row);
	if (!reader->whole)
		png_error(reader->png, "no memory for an interlaced image");
	while (passes-- > 0) {
		for (uint32_t y = 0; y < height; y++)
			png_read_row(reader->png, reader->whole + y * row, NULL);
	}
	for (uint32_t y = 0; y < height; y++)
		memcpy(codec_row(reader->codec), reader->whole + y * row, row);
}

static void read_image(struct reader *reader)
{
	png_structp png = reader->png;
	uint32_t width, height;
	int passes;

	png_read_info(png, reader->info);
	width = png_get_image_width(png, reader->info);
	height = png_get_image_height(png, reader->info);
	if (!codec_image(reader->codec, width, height))
		png_longjmp(png, 1);
	passes = transform(png, reader->info);
	if (png_get_rowbytes(png, reader->info) != reader->codec->row)
		png_error(png, "rows of an unexpected length");
	if (passes > 1)
		read_interlaced(reader, height, passes);
	for (uint32_t y = 0; passes == 1 && y < height; y++)
		png_read_row(png, codec_row(reader->codec), NULL);
	png_read_end(png, NULL); /* its check sums are part of a good file */
}

static bool try(struct reader *reader)
{
	/* Here refuse() comes out. */
	if (setjmp(png_jmpbuf(reader->png)))
		return false;
	reader->info = png_create_info_struct(reader->png);
	if (!reader->info)
		png_error(reader->png, "no memory");
	png_set_read_fn(reader->png, reader->codec, read_bytes);
	read_image(reader);
	return true;
}

bool decode_png(struct codec *codec)
{
	struct reader reader = {.codec = codec};
	bool good;

	reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, codec, refuse, ignore);
	if (!reader.png) {
		snprintf(codec->reason, sizeof(codec->reason), "libpng: no memory");
		return false;
	}
	good = try(&reader);
	png_destroy_read_struct(&reader.png, &reader.info, NULL);
	free(reader.whole);
	return good;
}
