/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

/* All are copied as this many bytes, which is one instruction; the rest is overwritten. */
#define WORD_ROOM 16

/*
 * Of several lengths, so that some lie across the borders of records, and some in UTF-8. Each has an
 * ASCII letter or mark in it, because versions of wc differ about words that have not.
 */
static const char words[32][WORD_ROOM] = {
	"bell ",  "rope ",      "ring ",   "round ",       "of ",      "changes ",   "peal ",
	"a ",     "Glocke ",    "läutet ", "über ",        "Zürich, ", "звон, ",     "«鐘», ",
	"in ",    "the ",       "tower, ", "twelve ",      "men ",     "strike. ",   "treble ",
	"tenor ", "backwards ", "and ",    "until ",       "dusk ",    "carillon, ", "one ",
	"more ",  "touch ",     "with ",   "campanology ",
};

/* Marsaglia's xorshift64: enough to look like text, and fast. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* @text has WORD_ROOM bytes more than @size, for scratch. */
static void fill(char *text, size_t size, uint64_t *state, const unsigned char *lengths)
{
	uint64_t random = 0; /* five bits a word, below a 1 that tells when they are used up */
	size_t used = 0;

	while (used < size) {
		size_t word;

		if (random < 32)
			random = next_random(state) | UINT64_C(1) << 63;
		word = random % 32;
		random /= 32;
		memcpy(text + used, words[word], WORD_ROOM);
		used += lengths[word];
		if (random % 8 == 0)
			text[used - 1] = '\n';
	}
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			data += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

int generate(int fd, uint64_t size)
{
	/* No multiple of what the host reads at once. The last word of a block may be cut. */
	static char block[100000 + WORD_ROOM];
	const size_t room = sizeof(block) - WORD_ROOM;
	uint64_t state = 1; /* any but 0 */
	unsigned char lengths[32];
	int rc = 0;

	for (size_t i = 0; i < 32; i++)
		lengths[i] = (unsigned char)strlen(words[i]);
	progress_begin("generating", size);
	for (uint64_t done = 0; done < size && rc == 0;) {
		size_t part = size - done < room ? size - done : room;

		fill(block, part, &state, lengths);
		rc = write_all(fd, block, part);
		done += part;
		progress_update(done, -1);
	}
	progress_end();
	return rc;
}
