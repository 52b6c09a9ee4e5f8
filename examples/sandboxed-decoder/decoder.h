/* SPDX-License-Identifier: MIT */
/*
 * decoder.h - what the host and a guest say to each other. One file at a time.
 *
 *      host                                                        guest
 *                                                    ◀── READY     the cage is locked
 *      DATA, DATA, …, END ──▶
 *                      ◀── IMAGE, ROWS, ROWS, …, DONE              or, at any time, REFUSED
 *
 * The answer begins while the file is still on its way, and ends after END has been read: then both
 * rings are empty, and the next file may follow.
 */
#ifndef DECODER_H
#define DECODER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum decoder_record {
	/* to the guest */
	DECODER_DATA = 1, /* the next bytes of the file */
	DECODER_END,      /* nothing: that was all of it */
	/* to the host, and nothing of it is believed before it was checked */
	DECODER_READY,   /* int32_t: 0, send files; or the errno for which it has no cage */
	DECODER_IMAGE,   /* struct decoder_image: how much will follow */
	DECODER_ROWS,    /* whole rows, from the top; a pixel is red, green, blue, a byte each */
	DECODER_DONE,    /* nothing: that were all rows */
	DECODER_REFUSED, /* a text: what is wrong with the file */
};

struct decoder_image {
	uint32_t width, height; /* in pixels */
};

#define DECODER_PIXEL 3u

/* An image of more is refused, whatever the file says. JPEG knows no longer sides; a row fits into a
 * record. */
#define DECODER_SIDE_MAX   65535u
#define DECODER_PIXELS_MAX (UINT64_C(64) << 20)

#define DECODER_ROWS_MAX   (256u << 10) /* bytes in a record */
#define DECODER_REASON_MAX 256u         /* bytes of text */

/* Both ask: the guest for its own memory's sake, the host because it does not believe the guest. */
static inline bool decoder_allows(struct decoder_image image)
{
	return image.width <= DECODER_SIDE_MAX && image.height <= DECODER_SIDE_MAX &&
	       (uint64_t)image.width * image.height <= DECODER_PIXELS_MAX;
}

static_assert(DECODER_SIDE_MAX * DECODER_PIXEL <= DECODER_ROWS_MAX, "a row fits into a record");

#endif
