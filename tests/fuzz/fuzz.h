/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - a peer that answers each load by itself.
 *
 *      input ─▶ which calls, with which arguments ─▶ libpeal, compiled with fuzz/atomic.h
 *            ─▶ each load of the peer's memory    ─▶      │ fuzz_load(), fuzz_store()
 *            ─▶ what bells and membarrier answer  ─▶      ▼
 *                                                   a target: a model of what must follow
 *
 * A target is a function of the input alone: no time, no randomness. It ends the process by
 * fuzz_fail() when the library does what the model does not allow.
 */
#ifndef PEAL_TESTS_FUZZ_H
#define PEAL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include <peal/ring.h>

#include "ring/bell.h"
#include "ring/layout.h"
#include "ring/ring.h"

/* --- The input, from the front; zeros behind its end ----------------------------------------- */

bool fuzz_more(void);
uint8_t fuzz_byte(void);
uint64_t fuzz_u64(void);
/* At most @size bytes of it; returns how many. */
size_t fuzz_bytes(void *buffer, size_t size);

/* --- What must hold -------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) noreturn void fuzz_fail(const char *format, ...);

#define FUZZ_CHECK(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail(__VA_ARGS__);                                                    \
	} while (0)

/* --- Memory: both segments of a channel, with nothing mapped around them ---------------------- */

struct fuzz_segment {
	struct peal_segment_header *rw;       /* as its owner has it */
	const struct peal_segment_header *ro; /* as its peer has it */
	uint64_t capacity;
};

/* Zeroed; @nth tells those of equal capacity apart. Stays mapped. */
struct fuzz_segment fuzz_segment(unsigned int nth, uint64_t capacity);

static inline unsigned char *fuzz_data(const struct peal_segment_header *header)
{
	return (unsigned char *)(uintptr_t)header + PEAL_HEADER_BYTES;
}

/* --- The peer -------------------------------------------------------------------------------- */

struct fuzz_peer {
	uintptr_t base; /* loads from here on, so many bytes, are the peer's words */
	size_t bytes;
	/* What the peer lets us see this time. */
	uint64_t (*claim)(const uint64_t *word, uint64_t real);
	/* What we let it see; may be NULL. */
	void (*stored)(uint64_t *word, uint64_t value, int order);
	unsigned int loads;     /* in this call */
	unsigned int loads_max; /* more would be without bound */
};

extern struct fuzz_peer fuzz_peer;

/* For loads that decide nothing much: the truth, or anything. */
uint64_t fuzz_claim(uint64_t real);

/* What both ends of a ring do alike. The model of one wake: a word seen odd and not rung for is owed
 * a bell in the same call, and nothing else is. */
struct fuzz_wake {
	const uint64_t *peer_word;
	uint64_t claimed;   /* the peer's wait word as it was last shown */
	uint64_t last_rung; /* the odd value for which a bell was rung */
	bool is_owed;
	unsigned int looks; /* in this call */
	int failed;         /* the bell's error, in this call */
};

uint64_t fuzz_wake_look(struct fuzz_wake *wake);
void fuzz_wake_rung(struct fuzz_wake *wake, int answer);

/* --- A bell ---------------------------------------------------------------------------------- */

struct fuzz_bell {
	struct peal_bell bell;
	const uint64_t *own_word; /* of the end that sleeps on it */
	uint64_t slept_with;
	int waits; /* in this call */
	bool gone; /* it has said that the peer is gone */
	struct fuzz_wake *wake;
};

void fuzz_bell_init(struct fuzz_bell *bell, const uint64_t *own_word, struct fuzz_wake *wake);

/* A deadline: none to wait for, one that comes, none at all. */
uint64_t fuzz_deadline(void);

/* --- Targets --------------------------------------------------------------------------------- */

struct fuzz_target {
	const char *name;
	void (*run)(void);
};

extern const struct fuzz_target fuzz_targets[];

/* fuzz_run() - one input. */
void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size);

void fuzz_producer(void);
void fuzz_consumer(void);
void fuzz_segments(void);
void fuzz_attach(void);
void fuzz_arguments(void);
void fuzz_handle(void);

#endif
