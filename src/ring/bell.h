/* SPDX-License-Identifier: MIT */
/*
 * bell.h - what a ring asks of the world to sleep and to wake.
 *
 * The ring knows when to sleep and whom to wake; how is not its business. The channel puts a
 * doorbell behind this, a test whatever it likes. Everything here is off the hot path.
 */
#ifndef PEAL_RING_BELL_H
#define PEAL_RING_BELL_H

#include <stdbool.h>
#include <stdint.h>

struct peal_bell {
	/* Wake the peer. 0, also when a wake is pending already; -EPIPE when it is gone; any other
	 * negative errno means that it was not woken. */
	int (*ring)(struct peal_bell *bell);

	/* Sleep until rung (0), until the peer is gone (-EPIPE), until the deadline (-ETIMEDOUT).
	 * Takes nothing: a bell rung before the call ends it at once. */
	int (*wait)(struct peal_bell *bell, uint64_t deadline_ns);

	/* Take the pending bells. 0 or a negative errno; tells nothing else. */
	int (*drain)(struct peal_bell *bell);

	/* Has the peer said that it closes? It rings after that, so who looks and then sleeps misses
	 * nothing. Acquire: what it committed before is seen by the look that follows. */
	bool (*is_closed)(struct peal_bell *bell);

	/* Ask whether the peer is there, the kernel too: 0 or -EPIPE. */
	int (*check)(struct peal_bell *bell);
};

#endif
