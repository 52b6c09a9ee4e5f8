/* SPDX-License-Identifier: MIT */
/*
 * codec.h - one file, from its first byte to the answer.
 */
#ifndef CODEC_H
#define CODEC_H

#include "decoder.h"
#include "link.h"

struct codec {
	struct link *link;
	const unsigned char *at; /* bytes of the file that nobody has looked at yet */
	size_t left;
	bool ended;                      /* no more will come */
	unsigned char *rows;             /* room for rows; NULL: none */
	size_t used, row;                /* bytes: of the room, of a row */
	char reason[DECODER_REASON_MAX]; /* why the file is refused */
};

/* Take one file and answer. @obey: also files that tell a guest to misbehave, see misbehave.h. */
void codec_serve(struct link *link, bool obey);

/* --- For the formats --------------------------------------------------------------------------- */

/* Are there bytes at .at? Waits for them. False at the end of the file. */
bool codec_more(struct codec *codec);

/* Say how large the image is, before its rows. False, and .reason, if that is too large. */
bool codec_image(struct codec *codec, uint32_t width, uint32_t height);

/* Where the next row is to be written: in the ring itself. */
unsigned char *codec_row(struct codec *codec);

/* False, and .reason, for a file that is no good. */
bool decode_png(struct codec *codec);
bool decode_jpeg(struct codec *codec);

#endif
