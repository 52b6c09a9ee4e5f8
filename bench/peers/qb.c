/* SPDX-License-Identifier: MIT */
/*
 * qb.c - libqb's ring buffer, with and without its semaphore.
 *
 * libqb 2.0.6. Messages are written in place (chunk_alloc, chunk_commit) and read in place
 * (chunk_peek, chunk_reclaim). Two adapters: without the semaphore the reader looks again and
 * again, with it he sleeps. In both a writer who finds no room has to try again, as libqb's
 * documentation shows; in the one that sleeps he yields the processor meanwhile.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <qb/qbrb.h>

#include "adapter.h"
#include "peers/pause.h"

/* Chunk headers are eight bytes, and some margin. */
#define QB_OVERHEAD 8

struct tx {
	qb_ringbuffer_t *ring;
	bool sleeps;
};

struct rx {
	qb_ringbuffer_t *ring;
	bool sleeps;
};

struct ends {
	struct tx to;
	struct rx from;
};

/* In shared memory: how the rings are called. */
struct shared {
	char forth[32];
	char back[32];
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
	for (;;) {
		void *payload = qb_rb_chunk_alloc(tx->ring, size);

		if (payload)
			return payload;
		if (tx->sleeps)
			sched_yield();
		else
			bench_pause();
	}
}

static inline void tx_end(struct tx *tx, size_t size)
{
	qb_rb_chunk_commit(tx->ring, size);
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	for (;;) {
		void *payload;
		ssize_t r = qb_rb_chunk_peek(rx->ring, &payload, -1);

		if (r > 0) {
			*size = (size_t)r;
			return payload;
		}
		if (!rx->sleeps)
			bench_pause();
	}
}

static inline void rx_end(struct rx *rx)
{
	qb_rb_chunk_reclaim(rx->ring);
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

static size_t shared_bytes(const struct bench_config *config)
{
	(void)config;
	return sizeof(struct shared);
}

static qb_ringbuffer_t *ring_open(const struct bench_config *config, const char *name,
				  uint32_t flags)
{
	uint64_t count = config->capacity / config->payload;

	if (count < 4)
		count = 4;
	flags |= QB_RB_FLAG_SHARED_PROCESS;
	if (config->wait == BENCH_SPIN)
		flags |= QB_RB_FLAG_NO_SEMAPHORE;
	return qb_rb_open(name, count * (config->payload + QB_OVERHEAD), flags, 0);
}

/* The first process creates both rings, and removes them when it closes them. */
static int create(struct bench_run *run)
{
	const struct bench_config *config = &run->control->config;
	struct shared *shared = run->shared;
	struct ends *ends = calloc(1, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	snprintf(shared->forth, sizeof(shared->forth), "bench-%d-forth", (int)getpid());
	snprintf(shared->back, sizeof(shared->back), "bench-%d-back", (int)getpid());
	ends->to.ring = ring_open(config, shared->forth, QB_RB_FLAG_CREATE);
	ends->from.ring = ring_open(config, shared->back, QB_RB_FLAG_CREATE);
	ends->to.sleeps = ends->from.sleeps = config->wait == BENCH_BLOCK;
	run->state = ends;
	return ends->to.ring && ends->from.ring ? 0 : -errno;
}

/* Both have it open: when its name is gone, a process that is killed leaves nothing. */
static void ring_unlink(const char *ring)
{
	char name[64];

	snprintf(name, sizeof(name), "/qb-%s-header", ring);
	shm_unlink(name);
	snprintf(name, sizeof(name), "/qb-%s-data", ring);
	shm_unlink(name);
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct shared *shared = run->shared;
	struct ends *ends = run->state;

	if (role == BENCH_FIRST)
		return 0;
	ends = calloc(1, sizeof(*ends));
	if (!ends)
		return -ENOMEM;
	ends->to.ring = ring_open(config, shared->back, 0);
	ends->from.ring = ring_open(config, shared->forth, 0);
	ends->to.sleeps = ends->from.sleeps = config->wait == BENCH_BLOCK;
	run->state = ends;
	if (!ends->to.ring || !ends->from.ring)
		return -errno;
	ring_unlink(shared->forth);
	ring_unlink(shared->back);
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	qb_rb_close(ends->to.ring);
	qb_rb_close(ends->from.ring);
	free(ends);
}

extern const struct bench_adapter bench_adapter_qb;
const struct bench_adapter bench_adapter_qb = {
	.name = "libqb ringbuffer",
	.slug = "qb",
	.how = "libqb 2.0.6, QB_RB_FLAG_NO_SEMAPHORE, chunks written and read in place",
	.flags = BENCH_CAN_SPIN,
	.payload_max = 1u << 28,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};

extern const struct bench_adapter bench_adapter_qb_sem;
const struct bench_adapter bench_adapter_qb_sem = {
	.name = "libqb ringbuffer, semaphore",
	.slug = "qb_sem",
	.how = "libqb 2.0.6 with its semaphore, chunks in place; a writer without room yields",
	.flags = BENCH_CAN_BLOCK,
	.payload_max = 1u << 28,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
