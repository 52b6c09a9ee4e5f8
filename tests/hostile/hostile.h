/* SPDX-License-Identifier: MIT */
/*
 * hostile.h - what the host and its guests of these tests tell each other beside the channel.
 *
 *      host ──── channel ────── innocent guest: echoes, and checks every byte
 *        │ └──── channel ────── hostile guest: one of the modes of guest.c
 *        └────── accounts ───── one each, in memory that all map: when to begin, to end, what was found
 */
#ifndef PEAL_TESTS_HOSTILE_H
#define PEAL_TESTS_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNTS 4

/* Small, so that streams wrap and fill it all the time. */
#define RING_BYTES 4096

/* The longest honest record. */
#define HONEST_MAX 200

struct account {
	/* The host. */
	uint64_t value; /* what the mode is to write, where it asks for that */
	uint32_t stop;  /* atomic: hostilities are to end */

	/* The guest. */
	int32_t pid;
	uint32_t begun;       /* atomic: they have begun */
	uint32_t done;        /* atomic: they are over */
	uint32_t failed;      /* the line of guest-*.c where something was not as it must be */
	int32_t results[2];   /* what attaching said; two where two processes try */
	char words[160];      /* the sentence that went with it */
	uint64_t committed;   /* honest records of a mode that sends some and echoes none */
	uint64_t echoed;      /* honest records received, checked and sent back */
	uint64_t hostilities; /* things done, of whatever kind */
	unsigned char channel_id[16];
} __attribute__((aligned(512)));

static inline bool account_is(const uint32_t *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

static inline void account_say(uint32_t *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

#endif
