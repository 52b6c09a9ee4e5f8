/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIZE
/*
 * atomic_queue.cc - atomic_queue::AtomicQueue2 for one producer and one consumer, in shared memory.
 *
 * As of May 2022 (Debian 0.0+git20220518). SPSC, MAXIMIZE_THROUGHPUT and, but for single words,
 * MINIMIZE_CONTENTION. push() and pop() wait by themselves, with a pause. Words of eight bytes go
 * through AtomicQueue, for which one value is never sent. It has no batches.
 *
 * Tried: AtomicQueue2 for eight bytes - slower by a third. Without MAXIMIZE_THROUGHPUT, which
 * takes the pause away: no difference beyond the noise. MINIMIZE_CONTENTION, which scatters
 * neighbours over the cache lines: slower for single words, faster for 64 B.
 */
#include <new>

#include <atomic_queue/atomic_queue.h>

#include "adapter.h"
#include "peers/names.h"
#include "peers/sized.h"

#define BENCH_INSTANCE BENCH_JOIN(BENCH_JOIN(at, BENCH_SIZE), BENCH_ROOM)::instance

#define BENCH_EACH      "peers/each_room.h"
#define BENCH_EACH_ROOM "peers/atomic_queue.cc"
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
extern const struct bench_adapter bench_adapter_atomic_queue;
const struct bench_adapter bench_adapter_atomic_queue = {
	"atomic_queue SPSC",
	"atomic_queue",
	"atomic_queue 2022-05, AtomicQueue2<T, N> SPSC, maximize throughput, minimize contention; "
	"8 B: AtomicQueue<uint64_t>",
	BENCH_CAN_SPIN,
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
constexpr unsigned slots = BENCH_ROOM / BENCH_SIZE > 4 ? BENCH_ROOM / BENCH_SIZE : 4;

#if BENCH_SIZE == 8
/* A value that is never sent: neither a number, nor a time, nor BENCH_END. */
constexpr uint64_t nil = UINT64_C(1) << 63;

typedef uint64_t element;
typedef atomic_queue::AtomicQueue<element, slots, nil, false, true, false, true> queue;
#else
struct alignas(BENCH_SIZE < 64 ? 8 : 64) element {
	uint64_t words[BENCH_SIZE / sizeof(uint64_t)];
};
typedef atomic_queue::AtomicQueue2<element, slots, true, true, false, true> queue;
#endif

struct shared {
	queue forth;
	queue back;
};

struct tx {
	queue *to;
	element *slot;
};

struct rx {
	queue *from;
	element *slot;
	size_t payload;
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
	return tx->slot;
}

static inline void tx_end(struct tx *tx, size_t)
{
	tx->to->push(*tx->slot);
}

static inline void tx_flush(struct tx *)
{
}

/* pop() returns a value: constructed where it is needed, it is copied once. */
static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	return new (rx->slot) element(rx->from->pop());
}

static inline void rx_end(struct rx *)
{
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
	struct shared *shared = static_cast<struct shared *>(run->shared);
	struct state *state = new struct state();
	const bool first = role == BENCH_FIRST;

	state->tx.to = first ? &shared->forth : &shared->back;
	state->tx.slot = new element[1]();
	state->rx.from = first ? &shared->back : &shared->forth;
	state->rx.slot = new element[1]();
	state->rx.payload = run->control->config.payload;
	run->state = state;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role)
{
	struct state *state = static_cast<struct state *>(run->state);

	delete[] state->tx.slot;
	delete[] state->rx.slot;
	delete state;
}

static const struct sized instance = {
	BENCH_SIZE, BENCH_ROOM, shared_bytes, create, attach, detach, bench_first, bench_second,
};
} /* namespace */

#endif
