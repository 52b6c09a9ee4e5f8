/* SPDX-License-Identifier: MIT */
/*
 * ring-fixture.h - both ends of one ring in one process, mapped as in life.
 *
 *      producer ── host_rw ─▶ [ host segment  ] ◀─ host_ro ── consumer
 *      producer ── guest_ro ▶ [ guest segment ] ◀ guest_rw ── consumer
 *
 * A hostile consumer is played by writing through guest_rw, a hostile producer through host_rw.
 */
#ifndef PEAL_TESTS_RING_FIXTURE_H
#define PEAL_TESTS_RING_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/ring.h>

#include "ring/bell.h"
#include "ring/layout.h"
#include "ring/ring.h"
#include "ring/segment.h"

struct ring_fixture;

/*
 * A bell that counts, and plays back what it is told. Each of its calls checks the two rules that
 * hold always: to wait, the word of the sleeper must be odd, and another one than at the wait before;
 * to drain, it must be even.
 */
struct stub_bell {
	struct peal_bell bell;
	struct ring_fixture *fixture;
	const uint64_t *own_word; /* of the end that waits on this bell */
	uint64_t last_odd;
	uint64_t deadline_ns; /* of the last wait */
	char log[32];         /* the first calls in order: r ring, w wait, d drain, c check */
	int rings, waits, drains, checks;

	int ring_result, wait_result, drain_result, check_result;
	bool is_closed;
	void (*on_ring)(struct ring_fixture *f);
	/* Instead of wait_result; @nth counts from 1. */
	int (*on_wait)(struct ring_fixture *f, int nth);
};

struct ring_variant {
	uint64_t capacity, start, spin_cap_ns;
	uint32_t align;
	bool asymmetric;  /* membarrier rather than fences, both ways */
	bool one_mapping; /* both ends use the writable ones: race detectors know addresses only */
};

struct ring_fixture {
	struct peal_producer tx;
	struct peal_consumer rx;
	struct peal_segment host_rw, host_ro, guest_rw, guest_ro;
	struct stub_bell tx_bell, rx_bell;
	struct ring_variant variant;
};

/* Record align × first position × barrier, in a ring of one page. No spinning. */
#define RING_VARIANTS 16
struct ring_variant ring_variant(int i);

/* Bells that are NULL are stubs. Ends the test as skipped where the variant can not be had. */
void ring_open(struct ring_fixture *f, const struct ring_variant *variant);
void ring_open_with(struct ring_fixture *f, const struct ring_variant *variant,
		    struct peal_bell *tx_bell, struct peal_bell *rx_bell);
void ring_close(struct ring_fixture *f);

/* Bytes that differ between seeds and between neighbours. */
void pattern_fill(void *data, size_t size, uint64_t seed);
void pattern_check(const void *data, size_t size, uint64_t seed);

/* Small, fast, the same in every run. */
uint64_t next_random(uint64_t *state);

/* Send records of no bytes, typed 0, 1, …, until the ring is full. Returns how many. */
unsigned int fill_ring(struct ring_fixture *f);

#endif
