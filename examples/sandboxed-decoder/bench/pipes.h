/* SPDX-License-Identifier: MIT */
/*
 * pipes.h - the same messages over two pipes, for comparison.
 */
#ifndef PIPES_H
#define PIPES_H

#include <stdint.h>

#include "../decoder.h"

/* Before each message. */
struct pipes_header {
	uint32_t size; /* of what follows, in bytes */
	uint16_t type; /* enum decoder_record */
	uint16_t zero;
};

#define PIPES_MESSAGE_MAX (sizeof(struct pipes_header) + DECODER_ROWS_MAX)

/* Of a pipe, and of what is read at once: what an unprivileged process may have. */
#define PIPES_SIZE (1u << 20)

#define PIPES_IN  "--in"
#define PIPES_OUT "--out"

#endif
