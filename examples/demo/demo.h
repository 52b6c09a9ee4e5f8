/* SPDX-License-Identifier: MIT */
/*
 * demo.h - what the host and the plugin say to each other.
 *
 *      host                                                     plugin
 *      BEGIN 0, DATA, DATA, …, END, BEGIN 1, DATA, … ═════════▶
 *              ◀═════════════════════════════════════ COUNTS 0, COUNTS 1, …
 *
 * Both are built for one machine, so plain structs do; every member has a fixed width and there is
 * no padding, because what lies in padding would be told to the other process too.
 */
#ifndef DEMO_H
#define DEMO_H

#include <assert.h>
#include <stdint.h>

enum demo_record {
	DEMO_BEGIN = 1, /* struct demo_begin: a file follows */
	DEMO_DATA,      /* the next bytes of the file, as read(2) gave them */
	DEMO_END,       /* nothing: the file is complete */
	DEMO_COUNTS,    /* struct demo_counts: the plugin's answer, one a file */
};

struct demo_begin {
	uint32_t index; /* comes back with the counts */
};

struct demo_counts {
	uint32_t index;
	uint32_t crc32;
	uint64_t lines, words, bytes;
};

static_assert(sizeof(struct demo_counts) == 32, "no padding");

/* Makes the plugin kill itself when it has worked on that many bytes: "--die-after=N". */
#define DEMO_DIE_AFTER "--die-after="

#endif
