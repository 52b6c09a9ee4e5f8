/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "misbehave.h"

bool codec_more(struct codec *codec)
{
	while (codec->left == 0 && !codec->ended)
		codec->ended = !link_next(codec->link, &codec->at, &codec->left);
	return codec->left > 0;
}

/* A large image is announced at once, because the host may not want it; of a small one all goes
 * together. */
bool codec_image(struct codec *codec, uint32_t width, uint32_t height)
{
	const struct decoder_image image = {.width = width, .height = height};
	const uint64_t bytes = (uint64_t)width * height * DECODER_PIXEL;

	memcpy(link_room(codec->link, sizeof(image)), &image, sizeof(image));
	(bytes > DECODER_ROWS_MAX ? link_send : link_stage)(codec->link, sizeof(image),
							    DECODER_IMAGE);
	codec->row = (size_t)width * DECODER_PIXEL;
	snprintf(codec->reason, sizeof(codec->reason), "too many pixels");
	return decoder_allows(image);
}

/* As many as fit go in one record. */
unsigned char *codec_row(struct codec *codec)
{
	if (codec->used + codec->row > DECODER_ROWS_MAX) {
		link_send(codec->link, codec->used, DECODER_ROWS);
		codec->rows = NULL;
		codec->used = 0;
	}
	if (!codec->rows)
		codec->rows = link_room(codec->link, DECODER_ROWS_MAX);
	codec->used += codec->row;
	return codec->rows + codec->used - codec->row;
}

static void answer(struct codec *codec, bool good)
{
	size_t size = good ? 0 : strnlen(codec->reason, sizeof(codec->reason));

	if (good && codec->used > 0)
		link_stage(codec->link, codec->used, DECODER_ROWS);
	/* The rest of a file that nobody wants. */
	while (codec_more(codec))
		codec->left = 0;
	memcpy(link_room(codec->link, size), codec->reason, size);
	link_send(codec->link, size, good ? DECODER_DONE : DECODER_REFUSED);
}

static bool begins_with(const struct codec *codec, const char *magic, size_t size)
{
	return codec->left >= size && memcmp(codec->at, magic, size) == 0;
}

static bool decode(struct codec *codec, bool obey)
{
	/* The host sends many bytes at once: these are not cut. */
	if (!codec_more(codec))
		snprintf(codec->reason, sizeof(codec->reason), "the file is empty");
	else if (begins_with(codec, "\x89PNG\r\n\x1a\n", 8))
		return decode_png(codec);
	else if (begins_with(codec, "\xff\xd8\xff", 3))
		return decode_jpeg(codec);
	else if (obey && begins_with(codec, MISBEHAVE, strlen(MISBEHAVE)))
		return misbehave(codec);
	else
		snprintf(codec->reason, sizeof(codec->reason), "neither PNG nor JPEG");
	return false;
}

void codec_serve(struct link *link, bool obey)
{
	struct codec codec = {.link = link};

	answer(&codec, decode(&codec, obey));
}
