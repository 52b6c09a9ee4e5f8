/* SPDX-License-Identifier: MIT */
/*
 * limit-flag.c - raw ping-pong of two flags on two lines; the payload lies beside the flag.
 *
 *      forth  │ flag │ payload … │        one writer each, one slot each: only for messages that
 *      back   │ flag │ payload … │        take turns
 */
#include "adapter.h"

struct slot {
	uint64_t flag; /* number of the message that is there */
	unsigned char payload[8192 - sizeof(uint64_t)];
} __attribute__((aligned(128)));

struct shared {
	struct slot forth, back;
};

struct tx {
	struct slot *slot;
	uint64_t count;
};

struct rx {
	const struct slot *slot;
	uint64_t count;
	uint64_t size;
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

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	return tx->slot->payload;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	__atomic_store_n(&tx->slot->flag, ++tx->count, __ATOMIC_RELEASE);
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline void finish_loads(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	rx->count++;
	/* One load at a time: faster by a tenth than bare loads, and than loads with a pause. */
	while (__atomic_load_n(&rx->slot->flag, __ATOMIC_ACQUIRE) != rx->count)
		finish_loads();
	*size = rx->size;
	return rx->slot->payload;
}

static inline void rx_end(struct rx *rx)
{
	(void)rx;
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

static int attach(struct bench_run *run, enum bench_role role)
{
	struct shared *shared = run->shared;
	struct state *state = calloc(1, sizeof(*state));

	state->tx.slot = role == BENCH_FIRST ? &shared->forth : &shared->back;
	state->rx.slot = role == BENCH_FIRST ? &shared->back : &shared->forth;
	state->rx.size = run->control->config.payload;
	run->state = state;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	(void)role;
	free(run->state);
}

extern const struct bench_adapter bench_adapter_limit_flag;
const struct bench_adapter bench_adapter_limit_flag = {
	.name = "raw flags",
	.slug = "limit-flag",
	.how = "two flags on two lines, payload beside the flag; no ring",
	.flags = BENCH_IS_LIMIT | BENCH_CAN_SPIN,
	.payload_max = 4096,
	.shared_bytes = shared_bytes,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
