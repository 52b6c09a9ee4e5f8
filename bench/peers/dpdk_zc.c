/* SPDX-License-Identifier: MIT */
/*
 * dpdk_zc.c - DPDK's rte_ring_elem with its zero-copy functions, in shared memory.
 *
 * DPDK 22.11, initialised by rte_ring_init() without EAL. Messages are written and read in the
 * ring. A start reserves the whole batch (burst), the finish hands over what was used of it.
 * The size of an element is known at run time only: it serves to compute an address, nothing more.
 */
#include <errno.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_pause.h>

#include "adapter.h"

/* What a start reserved, and how much of it is used. */
struct span {
	struct rte_ring_zc_data at;
	unsigned int used, count;
};

struct tx {
	struct span span;
	struct rte_ring *ring;
	unsigned int size, most;
	bool batched;
};

struct rx {
	struct span span;
	struct rte_ring *ring;
	unsigned int size, most;
	bool batched;
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

static inline void *span_next(const struct span *span, unsigned int size)
{
	if (span->used < span->at.n1)
		return (char *)span->at.ptr1 + (size_t)span->used * size;
	return (char *)span->at.ptr2 + (size_t)(span->used - span->at.n1) * size;
}

static inline void tx_flush(struct tx *tx)
{
	if (tx->span.count)
		rte_ring_enqueue_zc_elem_finish(tx->ring, tx->span.used);
	tx->span.used = tx->span.count = 0;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	if (tx->span.used == tx->span.count) {
		tx_flush(tx);
		for (;;) {
			tx->span.count = rte_ring_enqueue_zc_burst_elem_start(
				tx->ring, tx->size, tx->most, &tx->span.at, NULL);
			if (tx->span.count)
				break;
			rte_pause();
		}
	}
	return span_next(&tx->span, tx->size);
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	tx->span.used++;
	if (!tx->batched)
		tx_flush(tx);
}

static inline void rx_flush(struct rx *rx)
{
	if (rx->span.count)
		rte_ring_dequeue_zc_elem_finish(rx->ring, rx->span.used);
	rx->span.used = rx->span.count = 0;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->size;
	if (rx->span.used == rx->span.count) {
		rx_flush(rx);
		for (;;) {
			rx->span.count = rte_ring_dequeue_zc_burst_elem_start(
				rx->ring, rx->size, rx->most, &rx->span.at, NULL);
			if (rx->span.count)
				break;
			rte_pause();
		}
	}
	return span_next(&rx->span, rx->size);
}

static inline void rx_end(struct rx *rx)
{
	rx->span.used++;
	if (!rx->batched)
		rx_flush(rx);
}

#include "loops.h"

/* rte_ring wants a power of two, and holds one less. */
static unsigned int slots(const struct bench_config *config)
{
	unsigned int slots = 4;

	while (slots * config->payload < config->capacity)
		slots *= 2;
	return slots;
}

static size_t ring_bytes(const struct bench_config *config)
{
	ssize_t bytes = rte_ring_get_memsize_elem((unsigned int)config->payload, slots(config));

	return RTE_ALIGN_CEIL((size_t)bytes, 128);
}

static size_t shared_bytes(const struct bench_config *config)
{
	return 2 * ring_bytes(config);
}

static int create(struct bench_run *run)
{
	const struct bench_config *config = &run->control->config;
	const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
	char *forth = run->shared, *back = forth + ring_bytes(config);
	int r;

	r = rte_ring_init((struct rte_ring *)forth, "forth", slots(config), flags);
	if (r == 0)
		r = rte_ring_init((struct rte_ring *)back, "back", slots(config), flags);
	return r;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	char *forth = run->shared, *back = forth + ring_bytes(config);
	const bool first = role == BENCH_FIRST, batched = config->kind == BENCH_BATCH;
	struct ends *ends = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	memset(ends, 0, sizeof(*ends));
	ends->to.ring = (struct rte_ring *)(first ? forth : back);
	ends->to.size = (unsigned int)config->payload;
	ends->to.most = batched && config->batch ? config->batch : 1;
	ends->to.batched = batched;
	ends->from.ring = (struct rte_ring *)(first ? back : forth);
	ends->from.size = ends->to.size;
	ends->from.most = ends->to.most;
	ends->from.batched = batched;
	run->state = ends;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	(void)role;
	free(run->state);
}

extern const struct bench_adapter bench_adapter_dpdk_zc;
const struct bench_adapter bench_adapter_dpdk_zc = {
	.name = "DPDK rte_ring zero-copy",
	.slug = "dpdk_zc",
	.how = "dpdk 22.11, rte_ring_{en,de}queue_zc_burst_elem_start and finish, SP/SC, without EAL",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BATCH,
	.payload_max = UINT32_MAX,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
