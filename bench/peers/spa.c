/* SPDX-License-Identifier: MIT */
/*
 * spa.c - PipeWire's spa_ringbuffer, in shared memory.
 *
 * spa 0.3.65. The ring counts bytes and leaves the memory to its user. It is used like the queue of
 * PipeWire's own loop: items of fixed size are written and read in place at index & mask; a batch
 * reserves and hands over by one update of the index. The two indices are one object of eight
 * bytes by their definition and can not be put on two cache lines.
 *
 * Elements are rounded up to a power of two, for the index wraps at 2^32 and items should not.
 */
#include <errno.h>

#include <spa/utils/ringbuffer.h>

#include "adapter.h"
#include "peers/pause.h"

struct shared {
	struct {
		struct spa_ringbuffer ring __attribute__((aligned(128)));
	} forth, back;
	unsigned char bytes[] __attribute__((aligned(128)));
};

struct tx {
	struct spa_ringbuffer *ring;
	unsigned char *bytes;
	uint32_t mask, stride; /* bytes */
	uint32_t index;        /* of the next message */
	uint32_t room;         /* known to be free from there */
	bool batched;
};

struct rx {
	struct spa_ringbuffer *ring;
	unsigned char *bytes;
	uint32_t mask, stride;
	uint32_t index;
	uint32_t filled; /* known to be there from there */
	size_t payload;
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

static inline void tx_flush(struct tx *tx)
{
	spa_ringbuffer_write_update(tx->ring, (int32_t)tx->index);
	tx->room = 0;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	if (tx->room < tx->stride) {
		uint32_t index;

		if (tx->batched)
			tx_flush(tx);
		for (;;) {
			tx->room = tx->mask + 1 -
				   (uint32_t)spa_ringbuffer_get_write_index(tx->ring, &index);
			if (tx->room >= tx->stride)
				break;
			bench_pause();
		}
	}
	return tx->bytes + (tx->index & tx->mask);
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	tx->index += tx->stride;
	tx->room -= tx->stride;
	if (!tx->batched)
		tx_flush(tx);
}

static inline void rx_flush(struct rx *rx)
{
	spa_ringbuffer_read_update(rx->ring, (int32_t)rx->index);
	rx->filled = 0;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	if (rx->filled == 0) {
		uint32_t index;

		if (rx->batched)
			rx_flush(rx);
		for (;;) {
			rx->filled = (uint32_t)spa_ringbuffer_get_read_index(rx->ring, &index);
			if (rx->filled)
				break;
			bench_pause();
		}
	}
	return rx->bytes + (rx->index & rx->mask);
}

static inline void rx_end(struct rx *rx)
{
	rx->index += rx->stride;
	rx->filled -= rx->stride;
	if (!rx->batched)
		rx_flush(rx);
}

#include "loops.h"

static uint32_t power_of_two(uint64_t at_least)
{
	uint32_t power = 8;

	while (power < at_least)
		power *= 2;
	return power;
}

static uint32_t ring_bytes(const struct bench_config *config)
{
	uint64_t four = 4 * (uint64_t)power_of_two(config->payload);

	return power_of_two(config->capacity < four ? four : config->capacity);
}

static size_t shared_bytes(const struct bench_config *config)
{
	return sizeof(struct shared) + 2 * (size_t)ring_bytes(config);
}

static int create(struct bench_run *run)
{
	struct shared *shared = run->shared;

	spa_ringbuffer_init(&shared->forth.ring);
	spa_ringbuffer_init(&shared->back.ring);
	return 0;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	const bool first = role == BENCH_FIRST;
	struct shared *shared = run->shared;
	unsigned char *forth = shared->bytes, *back = forth + ring_bytes(config);
	struct ends *ends = calloc(1, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	ends->to.ring = first ? &shared->forth.ring : &shared->back.ring;
	ends->to.bytes = first ? forth : back;
	ends->to.mask = ring_bytes(config) - 1;
	ends->to.stride = power_of_two(config->payload);
	ends->to.batched = config->kind == BENCH_BATCH;
	ends->from.ring = first ? &shared->back.ring : &shared->forth.ring;
	ends->from.bytes = first ? back : forth;
	ends->from.mask = ends->to.mask;
	ends->from.stride = ends->to.stride;
	ends->from.payload = config->payload;
	ends->from.batched = ends->to.batched;
	run->state = ends;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	(void)role;
	free(run->state);
}

extern const struct bench_adapter bench_adapter_spa;
const struct bench_adapter bench_adapter_spa = {
	.name = "spa_ringbuffer",
	.slug = "spa",
	.how = "spa 0.3.65 of PipeWire, fixed elements in place, batches by one index update",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BATCH,
	.payload_max = 1u << 28,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
