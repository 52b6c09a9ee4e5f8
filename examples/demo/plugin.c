/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - counts what `wc` counts, and a CRC-32, of files that it never opens: their bytes are
 * in the ring, and that is where it works on them.
 */
#include <errno.h>
#include <inttypes.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "demo.h"

/* Bits that classify a byte, in the C locale. */
#define PRINTABLE 1u
#define SPACE     2u
#define NEWLINE   4u

#define RELEASE_BATCH (512u << 10)

static unsigned char kinds[256];

struct tally {
	struct demo_counts counts;
	unsigned int in_word; /* PRINTABLE or 0; outlives a record, as words may */
	bool open;            /* between BEGIN and END */
};

static void classify(void)
{
	for (int c = '!'; c <= '~'; c++)
		kinds[c] = PRINTABLE;
	for (const char *c = " \t\v\f\r"; *c; c++)
		kinds[(unsigned char)*c] = SPACE;
	kinds['\n'] = SPACE | NEWLINE;
}

/*
 * A word, to GNU wc, is what lies between white space and has a printable byte in it. So it is
 * counted at its first printable byte; other bytes neither begin nor end one. No branches, because
 * nothing can predict where words end.
 */
static void count(struct tally *tally, const unsigned char *data, size_t size)
{
	uint64_t lines = 0, words = 0;
	unsigned int in_word = tally->in_word;

	for (size_t i = 0; i < size; i++) {
		unsigned int kind = kinds[data[i]];

		lines += kind / NEWLINE;
		words += kind & ~in_word & PRINTABLE;
		in_word = (in_word | kind) & ~(kind / SPACE) & PRINTABLE;
	}
	tally->in_word = in_word;
	tally->counts.lines += lines;
	tally->counts.words += words;
	tally->counts.bytes += size;
	tally->counts.crc32 = (uint32_t)crc32_z(tally->counts.crc32, data, size);
}

static int begin(struct tally *tally, const struct peal_record *record)
{
	struct demo_begin begin;

	if (tally->open || record->size != sizeof(begin))
		return -EBADMSG;
	memcpy(&begin, record->data, sizeof(begin));
	*tally = (struct tally){.counts = {.index = begin.index}, .open = true};
	return 0;
}

/* One record. 0 or a negative errno; -EBADMSG for what demo.h does not know. */
static int handle(struct tally *tally, const struct peal_record *record, struct peal_producer *tx)
{
	switch (record->type) {
	case DEMO_BEGIN:
		return begin(tally, record);
	case DEMO_DATA:
		if (!tally->open)
			return -EBADMSG;
		count(tally, record->data, record->size);
		return 0;
	case DEMO_END:
		if (!tally->open)
			return -EBADMSG;
		tally->open = false;
		return peal_send(tx, &tally->counts, sizeof(tally->counts), DEMO_COUNTS,
				 PEAL_FOREVER);
	}
	return -EBADMSG;
}

/*
 * The next record. What was worked on is given back in batches: the host is woken by each release
 * when it waits for room, and to wake it for every record would cost more than the room is worth.
 * But all of it is given back before waiting, or host and plugin would wait for each other.
 */
static int next(struct peal_consumer *rx, struct peal_record *record)
{
	static uint64_t held_bytes;
	int rc = 0;

	if (held_bytes >= RELEASE_BATCH) {
		held_bytes = 0;
		rc = peal_release(rx);
	}
	if (rc == 0)
		rc = peal_next(rx, record);
	if (rc == 0) {
		held_bytes = 0;
		rc = peal_release(rx);
		if (rc == 0)
			rc = peal_next_wait(rx, record, PEAL_FOREVER);
	}
	if (rc == 1)
		held_bytes += record->size;
	return rc;
}

/* Until the host closes the channel. 0 or a negative errno. */
static int serve(struct peal_channel *channel, uint64_t die_after)
{
	struct tally tally = {0};
	struct peal_record record;
	int rc;

	for (;;) {
		rc = next(peal_rx(channel), &record);
		if (rc == -EPIPE && !tally.open)
			return 0; /* the host has what it wanted */
		if (rc < 0)
			return rc;
		if (record.type == DEMO_DATA && tally.counts.bytes >= die_after)
			raise(SIGKILL); /* as abrupt as it gets: nothing is flushed or closed */
		rc = handle(&tally, &record, peal_tx(channel));
		if (rc < 0)
			return rc;
	}
}

static const char *explain(int rc)
{
	if (rc == -EBADMSG)
		return "the host sent a record that demo.h does not know";
	return rc == -EPIPE ? peal_strerror(rc) : peal_last_error();
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	uint64_t die_after = UINT64_MAX;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc < 0) {
		fprintf(stderr, "peal-demo-plugin: %s\n", peal_last_error());
		if (rc == -ENOENT)
			fprintf(stderr, "peal-demo-plugin: peal-demo starts it\n");
		return 2;
	}
	if (argc > 1 && strncmp(argv[1], DEMO_DIE_AFTER, strlen(DEMO_DIE_AFTER)) == 0)
		die_after = strtoull(argv[1] + strlen(DEMO_DIE_AFTER), NULL, 10);
	classify();
	rc = serve(channel, die_after);
	if (rc < 0)
		fprintf(stderr, "peal-demo-plugin: %s\n", explain(rc));
	peal_channel_close(channel);
	return rc < 0;
}
