/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIZE
/*
 * boost.cc - boost::lockfree::spsc_queue, in shared memory.
 *
 * Boost 1.74. capacity<N> makes it a single object without pointers, which its documentation asks
 * for in shared memory; elements of 64 B and more are aligned to cache lines. One by one with
 * push() and pop(); batches with push(range) and pop(array), staged in at most 16 KiB.
 *
 * Tried: reading in place with front() and pop() - slower up to 64 KiB, for a slot is then given
 * back only when it was read. Waiting without a pause, as in Boost's examples: the same or slower.
 * Larger staging: no difference beyond the noise.
 */
#include <new>

#include <boost/lockfree/spsc_queue.hpp>
#include <boost/version.hpp>

#include "adapter.h"
#include "peers/names.h"
#include "peers/pause.h"
#include "peers/sized.h"

#define BENCH_INSTANCE BENCH_JOIN(BENCH_JOIN(at, BENCH_SIZE), BENCH_ROOM)::instance

#define BENCH_EACH      "peers/each_room.h"
#define BENCH_EACH_ROOM "peers/boost.cc"
#include "peers/each_size.h"
#undef BENCH_EACH_ROOM

static const struct sized *const sized_all[] = {
#define BENCH_EACH_ROOM "peers/each_entry.h"
#include "peers/each_size.h"
	nullptr,
};

static const struct sized *const *sized_list(void)
{
	return sized_all;
}

extern "C" {
extern const struct bench_adapter bench_adapter_boost;
const struct bench_adapter bench_adapter_boost = {
	"boost spsc_queue",
	"boost",
	"boost " BOOST_LIB_VERSION ", spsc_queue<T, capacity<N>>, elements of the payload's size",
	BENCH_CAN_SPIN | BENCH_CAN_BATCH,
	0,
	1048576,
	sized_bytes,
	sized_create,
	nullptr,
	sized_attach,
	sized_first,
	sized_second,
	sized_detach,
};
}

#else /* one instance */

namespace BENCH_JOIN(BENCH_JOIN(at, BENCH_SIZE), BENCH_ROOM)
{
constexpr size_t slots = BENCH_ROOM / BENCH_SIZE > 4 ? BENCH_ROOM / BENCH_SIZE : 4;

struct alignas(BENCH_SIZE < 64 ? 8 : 64) element {
	uint64_t words[BENCH_SIZE / sizeof(uint64_t)];
};

typedef boost::lockfree::spsc_queue<element, boost::lockfree::capacity<slots>> queue;

struct shared {
	alignas(128) queue forth;
	alignas(128) queue back;
};

struct tx {
	queue *to;
	element *staged;
	size_t count, most;
	bool batched;
};

struct rx {
	queue *from;
	element *taken;
	size_t next, count, most, payload;
	bool batched;
};

struct state {
	struct tx tx;
	struct rx rx;
};

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &static_cast<struct state *>(run->state)->tx;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &static_cast<struct state *>(run->state)->rx;
}

static inline void *tx_begin(struct tx *tx, size_t)
{
	return tx->staged[tx->count].words;
}

static inline void tx_flush(struct tx *tx)
{
	const element *at = tx->staged, *end = at + tx->count;

	for (;;) {
		at = tx->to->push(at, end);
		if (at == end)
			break;
		bench_pause();
	}
	tx->count = 0;
}

static inline void tx_end(struct tx *tx, size_t)
{
	if (tx->batched) {
		if (++tx->count == tx->most)
			tx_flush(tx);
	} else {
		while (!tx->to->push(*tx->staged))
			bench_pause();
	}
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	if (rx->batched) {
		while (rx->next == rx->count) {
			rx->next = 0;
			rx->count = rx->from->pop(rx->taken, rx->most);
			if (rx->count == 0)
				bench_pause();
		}
		return rx->taken[rx->next].words;
	}
	while (!rx->from->pop(*rx->taken))
		bench_pause();
	return rx->taken->words;
}

static inline void rx_end(struct rx *rx)
{
	rx->next++;
}

static inline void rx_flush(struct rx *)
{
}

#undef PEAL_BENCH_LOOPS_H
#include "loops.h"

static size_t shared_bytes(const struct bench_config *)
{
	return sizeof(struct shared);
}

static int create(struct bench_run *run)
{
	new (run->shared) shared;
	return 0;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct shared *shared = static_cast<struct shared *>(run->shared);
	struct state *state = new struct state();
	const bool first = role == BENCH_FIRST;

	state->tx.to = first ? &shared->forth : &shared->back;
	state->tx.batched = config->kind == BENCH_BATCH;
	state->tx.most = sized_staged(config, BENCH_SIZE);
	state->tx.staged = new element[state->tx.most]();
	state->rx.from = first ? &shared->back : &shared->forth;
	state->rx.batched = state->tx.batched;
	state->rx.most = state->tx.most;
	state->rx.taken = new element[state->rx.most]();
	state->rx.payload = config->payload;
	run->state = state;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role)
{
	struct state *state = static_cast<struct state *>(run->state);

	delete[] state->tx.staged;
	delete[] state->rx.taken;
	delete state;
}

static const struct sized instance = {
	BENCH_SIZE, BENCH_ROOM, shared_bytes, create, attach, detach, bench_first, bench_second,
};
} /* namespace */

#endif
