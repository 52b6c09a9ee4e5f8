/* SPDX-License-Identifier: MIT */
/*
 * fetch.h - counts every load of the peer's memory, by taking that memory away.
 *
 *      pages PROT_NONE ─▶ load ─▶ SIGSEGV: count, pages PROT_READ, trap flag
 *                                    │
 *                      SIGTRAP ◀─────┘ the one instruction has run: pages PROT_NONE again
 *
 * So what is counted is what the machine code does, not what the source says.
 */
#ifndef PEAL_TESTS_FETCH_H
#define PEAL_TESTS_FETCH_H

#include <stddef.h>
#include <stdint.h>

/* Words that are told apart: as many as a header has. */
#define FETCH_WORDS 128

struct fetches {
	unsigned int loads; /* all of them */
	size_t count;       /* of different places */
	struct {
		uintptr_t at;
		unsigned int loads;
	} words[FETCH_WORDS];
};

/* fetch_begin() - from here on the memory is watched. One region at a time, whole pages. */
void fetch_begin(const void *memory, size_t bytes);

/* fetch_end() - what was loaded since. The memory is as before. */
const struct fetches *fetch_end(void);

#endif
