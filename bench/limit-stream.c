/* SPDX-License-Identifier: MIT */
/*
 * limit-stream.c - raw streaming of cache lines from one core to the other.
 *
 *      │ block 0: message message … │ block 1: message message … │    the writer fills one block
 *      written: number of blocks handed over                          while the reader reads the
 *      read:    number of blocks given back                           other; no header, no length
 */
#include "adapter.h"

#define BLOCKS      2
#define BLOCK_BYTES 65536 /* fits the L1 and L2 of both; the best of 16 KiB … 1 MiB when tried */

struct shared {
	uint64_t written __attribute__((aligned(128)));
	uint64_t read __attribute__((aligned(128)));
	unsigned char data[] __attribute__((aligned(4096)));
};

struct tx {
	struct shared *shared;
	unsigned char *at, *end; /* in this block */
	uint64_t block, block_bytes, size;
};

struct rx {
	struct shared *shared;
	const unsigned char *at, *end;
	uint64_t block, block_bytes, size;
};

struct state {
	struct tx tx;
	struct rx rx;
};

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct state *)run->state)->tx;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct state *)run->state)->rx;
}

static inline void hand_over(struct tx *tx)
{
	__atomic_store_n(&tx->shared->written, ++tx->block, __ATOMIC_RELEASE);
	tx->at = tx->end = NULL;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	if (tx->at == tx->end) {
		while (tx->block - __atomic_load_n(&tx->shared->read, __ATOMIC_ACQUIRE) >= BLOCKS)
			;
		tx->at = tx->shared->data + tx->block % BLOCKS * tx->block_bytes;
		tx->end = tx->at + tx->block_bytes;
	}
	return tx->at;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	/* The message that ends the stream hands its block over, full or not. */
	bool last = *(uint64_t *)(void *)tx->at == UINT64_MAX;

	tx->at += size;
	if (tx->at == tx->end || last)
		hand_over(tx);
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	if (rx->at == rx->end) {
		while (__atomic_load_n(&rx->shared->written, __ATOMIC_ACQUIRE) == rx->block)
			;
		rx->at = rx->shared->data + rx->block % BLOCKS * rx->block_bytes;
		rx->end = rx->at + rx->block_bytes;
	}
	*size = rx->size;
	return rx->at;
}

static inline void give_back(struct rx *rx)
{
	__atomic_store_n(&rx->shared->read, ++rx->block, __ATOMIC_RELEASE);
	rx->at = rx->end = NULL;
}

static inline void rx_end(struct rx *rx)
{
	bool last = *(const uint64_t *)(const void *)rx->at == UINT64_MAX;

	rx->at += rx->size;
	if (rx->at == rx->end || last)
		give_back(rx);
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

/* A whole number of messages. */
static uint64_t block_bytes(const struct bench_config *config)
{
	if (config->payload >= BLOCK_BYTES)
		return config->payload;
	return BLOCK_BYTES / config->payload * config->payload;
}

static size_t shared_bytes(const struct bench_config *config)
{
	return sizeof(struct shared) + 4096 + BLOCKS * block_bytes(config);
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct state *state = calloc(1, sizeof(*state));

	(void)role;
	state->tx = (struct tx){.shared = run->shared, .block_bytes = block_bytes(config)};
	state->rx = (struct rx){
		.shared = run->shared,
		.block_bytes = block_bytes(config),
		.size = config->payload,
	};
	run->state = state;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	(void)role;
	free(run->state);
}

extern const struct bench_adapter bench_adapter_limit_stream;
const struct bench_adapter bench_adapter_limit_stream = {
	.name = "raw streaming",
	.slug = "limit-stream",
	.how = "two blocks of 64 KiB (or one message each), one hand-off a block; no ring",
	.flags = BENCH_IS_LIMIT | BENCH_CAN_SPIN | BENCH_CAN_BATCH,
	.shared_bytes = shared_bytes,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
