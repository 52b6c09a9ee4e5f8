/* SPDX-License-Identifier: MIT */
/*
 * decode-jpeg.c - libjpeg-turbo reads the ring in place, and writes rows where the host will read
 * them.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "codec.h"

/* Before setjmp, so that what happens after it is still known when we jump. */
struct reader {
	struct jpeg_decompress_struct jpeg; /* libjpeg hands out pointers to these three */
	struct jpeg_source_mgr source;
	struct jpeg_error_mgr errors;
	struct codec *codec;
	jmp_buf refused;
};

static void refuse(j_common_ptr jpeg)
{
	struct reader *reader = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];

	jpeg->err->format_message(jpeg, text);
	snprintf(reader->codec->reason, sizeof(reader->codec->reason), "libjpeg: %s", text);
	longjmp(reader->refused, 1);
}

/* A warning, below 0, says that the file is damaged and that grey will be put where pixels are
 * missing. We do not want such pixels. */
static void tell(j_common_ptr jpeg, int level)
{
	if (level < 0)
		refuse(jpeg);
}

static boolean fill(j_decompress_ptr jpeg)
{
	struct codec *codec = ((struct reader *)jpeg->client_data)->codec;

	if (!codec_more(codec)) {
		snprintf(codec->reason, sizeof(codec->reason), "libjpeg: the file ends too early");
		longjmp(((struct reader *)jpeg->client_data)->refused, 1);
	}
	jpeg->src->next_input_byte = codec->at;
	jpeg->src->bytes_in_buffer = codec->left;
	codec->left = 0; /* libjpeg's now */
	return TRUE;
}

static void skip(j_decompress_ptr jpeg, long count)
{
	while (count > 0 && (size_t)count > jpeg->src->bytes_in_buffer) {
		count -= (long)jpeg->src->bytes_in_buffer;
		fill(jpeg);
	}
	if (count > 0) {
		jpeg->src->next_input_byte += count;
		jpeg->src->bytes_in_buffer -= (size_t)count;
	}
}

static void nothing(j_decompress_ptr jpeg)
{
	(void)jpeg;
}

static void read_image(struct reader *reader)
{
	j_decompress_ptr jpeg = &reader->jpeg;

	jpeg_read_header(jpeg, TRUE);
	jpeg->out_color_space = JCS_RGB;
	if (!codec_image(reader->codec, jpeg->image_width, jpeg->image_height))
		longjmp(reader->refused, 1);
	jpeg_start_decompress(jpeg);
	while (jpeg->output_scanline < jpeg->output_height) {
		JSAMPROW row = codec_row(reader->codec);

		jpeg_read_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_decompress(jpeg);
}

static bool try(struct reader *reader)
{
	if (setjmp(reader->refused))
		return false;
	jpeg_create_decompress(&reader->jpeg);
	reader->jpeg.client_data = reader;
	reader->jpeg.src = &reader->source;
	read_image(reader);
	return true;
}

bool decode_jpeg(struct codec *codec)
{
	struct reader reader = {
		.codec = codec,
		.source = {.init_source = nothing,
			   .fill_input_buffer = fill,
			   .skip_input_data = skip,
			   .resync_to_restart = jpeg_resync_to_restart,
			   .term_source = nothing},
	};
	bool good;

	reader.jpeg.client_data = &reader;
	reader.jpeg.err = jpeg_std_error(&reader.errors);
	reader.errors.error_exit = refuse;
	reader.errors.emit_message = tell;
	good = try(&reader);
	jpeg_destroy_decompress(&reader.jpeg);
	return good;
}
