/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIZE
/*
 * ck.c - Concurrency Kit's ck_ring by value, in shared memory.
 *
 * Concurrency Kit 0.7.1. CK_RING_PROTOTYPE makes a ring of structs of the payload's size. Messages
 * are written in place (reserve, commit) and copied out (dequeue): it has no way to read in place,
 * and none to hand over several at once.
 *
 * Tried: enqueue, which copies in - the same up to 64 B, slower above.
 */
#include <ck_ring.h>

#include "adapter.h"
#include "peers/sized.h"

#define BENCH_RENAME
#include "peers/names.h"
#define BENCH_INSTANCE BENCH_NAME(instance)

struct end {
	struct ck_ring ring __attribute__((aligned(128)));
};

/* Both rings, then the elements of the one, then those of the other. */
struct shared {
	struct end forth;
	struct end back;
	unsigned char elements[] __attribute__((aligned(128)));
};

/* Once more expanded, for the name of the type is a macro. */
#define CK_PROTOTYPE(type) CK_RING_PROTOTYPE(type, type)

/* ck_ring wants a power of two, and holds one less. */
static unsigned int ck_slots(const struct bench_config *config, uint64_t size)
{
	unsigned int slots = 4;

	while (slots * size < config->capacity)
		slots *= 2;
	return slots;
}

#define BENCH_EACH "peers/ck.c"
#include "peers/each_size.h"
#undef BENCH_EACH

static const struct sized *const sized_all[] = {
#define BENCH_EACH "peers/each_entry.h"
#include "peers/each_size.h"
	NULL,
};

static const struct sized *const *sized_list(void)
{
	return sized_all;
}

extern const struct bench_adapter bench_adapter_ck;
const struct bench_adapter bench_adapter_ck = {
	.name = "ck_ring by value",
	.slug = "ck",
	.how = "ck 0.7.1, CK_RING_PROTOTYPE with elements of the payload's size, reserve and commit, SPSC",
	.flags = BENCH_CAN_SPIN,
	.payload_max = 1048576,
	.shared_bytes = sized_bytes,
	.create = sized_create,
	.attach = sized_attach,
	.first = sized_first,
	.second = sized_second,
	.detach = sized_detach,
};

#else /* one instance */

#define element BENCH_NAME(element)
#define ends    BENCH_NAME(ends)

struct element {
	uint64_t words[BENCH_SIZE / sizeof(uint64_t)];
};

CK_PROTOTYPE(element)

struct tx {
	struct ck_ring *ring;
	struct element *elements;
};

struct rx {
	struct ck_ring *ring;
	struct element *elements;
	struct element *slot;
	size_t payload;
};

struct ends {
	struct tx to;
	struct rx from;
};

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct ends *)run->state)->to;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct ends *)run->state)->from;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	void *words;

	(void)size;
	for (;;) {
		words = BENCH_NAME(ck_ring_enqueue_reserve_spsc_element)(tx->ring, tx->elements);
		if (words)
			return words;
		ck_pr_stall();
	}
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	ck_ring_enqueue_commit_spsc(tx->ring);
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	while (!BENCH_NAME(ck_ring_dequeue_spsc_element)(rx->ring, rx->elements, rx->slot))
		ck_pr_stall();
	return rx->slot;
}

static inline void rx_end(struct rx *rx)
{
	(void)rx;
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#undef PEAL_BENCH_LOOPS_H
#include "loops.h"

static size_t BENCH_NAME(shared_bytes)(const struct bench_config *config)
{
	size_t bytes = ck_slots(config, BENCH_SIZE) * sizeof(struct element);

	return sizeof(struct shared) + 2 * bytes;
}

static int BENCH_NAME(create)(struct bench_run *run)
{
	const unsigned int slots = ck_slots(&run->control->config, BENCH_SIZE);
	struct shared *shared = run->shared;

	ck_ring_init(&shared->forth.ring, slots);
	ck_ring_init(&shared->back.ring, slots);
	return 0;
}

static int BENCH_NAME(attach)(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct shared *shared = run->shared;
	struct element *forth = (struct element *)shared->elements;
	struct element *back = forth + ck_slots(config, BENCH_SIZE);
	struct ends *ends = calloc(1, sizeof(*ends));
	const bool first = role == BENCH_FIRST;

	if (!ends)
		return -ENOMEM;
	ends->to.ring = first ? &shared->forth.ring : &shared->back.ring;
	ends->to.elements = first ? forth : back;
	ends->from.ring = first ? &shared->back.ring : &shared->forth.ring;
	ends->from.elements = first ? back : forth;
	ends->from.slot = aligned_alloc(64, BENCH_SIZE < 64 ? 64 : BENCH_SIZE);
	ends->from.payload = config->payload;
	run->state = ends;
	return ends->from.slot ? 0 : -ENOMEM;
}

static void BENCH_NAME(detach)(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	free(ends->from.slot);
	free(ends);
}

static const struct sized BENCH_NAME(instance) = {
	.size = BENCH_SIZE,
	.shared_bytes = BENCH_NAME(shared_bytes),
	.create = BENCH_NAME(create),
	.attach = BENCH_NAME(attach),
	.detach = BENCH_NAME(detach),
	.first = bench_first,
	.second = bench_second,
};

#undef element
#undef ends

#endif
