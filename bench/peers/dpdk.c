/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIZE
/*
 * dpdk.c - DPDK's rte_ring_elem by value, single producer and single consumer, in shared memory.
 *
 * DPDK 22.11, initialised by rte_ring_init() without EAL. The size of an element is a constant at
 * each call. One by one with the functions for one element; batches in bursts, staged in at most
 * 16 KiB. rte_pause() between two attempts, as DPDK's own waits do.
 *
 * dpdk_zc.c has the functions that do not copy, which are faster from 256 B on.
 */
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_pause.h>

#include "adapter.h"
#include "peers/sized.h"

#define BENCH_RENAME
#include "peers/names.h"
#define BENCH_INSTANCE BENCH_NAME(instance)

/* rte_ring wants a power of two, and holds one less. */
static unsigned int dpdk_slots(const struct bench_config *config, uint64_t size)
{
	unsigned int slots = 4;

	while (slots * size < config->capacity)
		slots *= 2;
	return slots;
}

#define BENCH_EACH "peers/dpdk.c"
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

extern const struct bench_adapter bench_adapter_dpdk;
const struct bench_adapter bench_adapter_dpdk = {
	.name = "DPDK rte_ring by value",
	.slug = "dpdk",
	.how = "dpdk 22.11, rte_ring_elem with elements of the payload's size, SP/SC, without EAL",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BATCH,
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

struct tx {
	struct rte_ring *ring;
	struct element *staged;
	unsigned int count, most;
	bool batched;
};

struct rx {
	struct rte_ring *ring;
	struct element *taken;
	unsigned int next, count, most;
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
	(void)size;
	return tx->staged[tx->count].words;
}

static inline void tx_flush(struct tx *tx)
{
	unsigned int done = 0;

	while (done < tx->count) {
		unsigned int sent = rte_ring_sp_enqueue_burst_elem(tx->ring, tx->staged + done,
								   sizeof(struct element),
								   tx->count - done, NULL);
		if (sent == 0)
			rte_pause();
		done += sent;
	}
	tx->count = 0;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	if (tx->batched) {
		if (++tx->count == tx->most)
			tx_flush(tx);
	} else {
		while (rte_ring_sp_enqueue_elem(tx->ring, tx->staged, sizeof(struct element)))
			rte_pause();
	}
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	if (rx->most == 1) {
		while (rte_ring_sc_dequeue_elem(rx->ring, rx->taken, sizeof(struct element)))
			rte_pause();
		return rx->taken;
	}
	while (rx->next == rx->count) {
		rx->next = 0;
		rx->count = rte_ring_sc_dequeue_burst_elem(
			rx->ring, rx->taken, sizeof(struct element), rx->most, NULL);
		if (rx->count == 0)
			rte_pause();
	}
	return rx->taken[rx->next].words;
}

static inline void rx_end(struct rx *rx)
{
	rx->next++;
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#undef PEAL_BENCH_LOOPS_H
#include "loops.h"

static size_t BENCH_NAME(ring_bytes)(const struct bench_config *config)
{
	ssize_t bytes = rte_ring_get_memsize_elem(sizeof(struct element),
						  dpdk_slots(config, BENCH_SIZE));

	return RTE_ALIGN_CEIL((size_t)bytes, 128);
}

static size_t BENCH_NAME(shared_bytes)(const struct bench_config *config)
{
	return 2 * BENCH_NAME(ring_bytes)(config);
}

static int BENCH_NAME(create)(struct bench_run *run)
{
	const struct bench_config *config = &run->control->config;
	const unsigned int slots = dpdk_slots(config, BENCH_SIZE);
	const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
	char *at = run->shared;
	int r;

	r = rte_ring_init((struct rte_ring *)at, "forth", slots, flags);
	if (r == 0)
		r = rte_ring_init((struct rte_ring *)(at + BENCH_NAME(ring_bytes)(config)), "back",
				  slots, flags);
	return r;
}

static int BENCH_NAME(attach)(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	char *forth = run->shared, *back = forth + BENCH_NAME(ring_bytes)(config);
	const size_t most = sized_staged(config, BENCH_SIZE);
	const size_t bytes = RTE_ALIGN_CEIL(most * sizeof(struct element), 64);
	struct ends *ends = calloc(1, sizeof(*ends));
	const bool first = role == BENCH_FIRST;

	if (!ends)
		return -ENOMEM;
	ends->to.ring = (struct rte_ring *)(first ? forth : back);
	ends->to.staged = aligned_alloc(64, bytes);
	ends->to.most = (unsigned int)most;
	ends->to.batched = config->kind == BENCH_BATCH;
	ends->from.ring = (struct rte_ring *)(first ? back : forth);
	ends->from.taken = aligned_alloc(64, bytes);
	ends->from.most = (unsigned int)most;
	ends->from.payload = config->payload;
	run->state = ends;
	return ends->to.staged && ends->from.taken ? 0 : -ENOMEM;
}

static void BENCH_NAME(detach)(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	free(ends->to.staged);
	free(ends->from.taken);
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
