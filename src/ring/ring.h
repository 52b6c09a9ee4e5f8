/* SPDX-License-Identifier: MIT */
/*
 * ring.h - putting a producer or a consumer together.
 */
#ifndef PEAL_RING_RING_H
#define PEAL_RING_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/ring.h>

#include "ring/bell.h"
#include "ring/layout.h"

/* All that one end of a ring needs. The mappings and the bell must outlive the end. */
struct peal_ring_spec {
	void *data; /* the mirrored data of the producer's segment */
	uint64_t capacity;
	uint32_t align;
	struct peal_segment_header *own;
	const struct peal_segment_header *peer;
	struct peal_bell *bell;
	bool membarrier;      /* we promised it as our HEAVY barrier */
	bool peer_membarrier; /* the peer did, and we are registered: no fence on our side */
	bool no_clock;        /* reading it is forbidden */
	uint64_t spin_cap_ns;
	uint64_t start; /* the first position; 0 but in tests of wrapping positions */
};

void peal_producer_init(struct peal_producer *tx, const struct peal_ring_spec *spec);
void peal_consumer_init(struct peal_consumer *rx, const struct peal_ring_spec *spec);

/*
 * For who waits at many rings at once, with peal_wake_announce() and a HEAVY of his own in front of
 * the last look: C6 and P8.
 */

/* peal_consumer_is_ready() - has peal_next() something to say: a record, the end, a broken ring? */
bool peal_consumer_is_ready(const struct peal_consumer *rx);

/* peal_producer_seen() - the consumer's head as it was seen last. */
uint64_t peal_producer_seen(const struct peal_producer *tx);

/* peal_producer_is_ready() - has peal_reserve() something to say: room for @span bytes of ring, the
 * end, a broken ring? */
bool peal_producer_is_ready(struct peal_producer *tx, uint64_t span);

#endif
