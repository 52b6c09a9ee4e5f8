/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIZE
/*
 * rwq.cc - moodycamel's readerwriterqueue. In one process only: its blocks are on the heap.
 *
 * readerwriterqueue 1.0.6. Spinning: ReaderWriterQueue, whose blocks are as large as the capacity,
 * so that it stays one ring; a full one is tried again instead of grown. Messages are copied in and
 * out. Blocking: the same library's BlockingReaderWriterCircularBuffer, for a producer can not wait
 * for room in a BlockingReaderWriterQueue. It has no batches.
 *
 * Tried: reading in place with peek() and pop() - half as fast for 8 B, the same above.
 */
#include <new>

#include <readerwriterqueue/readerwritercircularbuffer.h>
#include <readerwriterqueue/readerwriterqueue.h>

#include "adapter.h"
#include "peers/names.h"
#include "peers/pause.h"
#include "peers/sized.h"

#define BENCH_INSTANCE BENCH_JOIN(at, BENCH_SIZE)::instance

#define BENCH_EACH "peers/rwq.cc"
#include "peers/each_size.h"
#undef BENCH_EACH

static const struct sized *const sized_all[] = {
#define BENCH_EACH "peers/each_entry.h"
#include "peers/each_size.h"
	nullptr,
};

static const struct sized *const *sized_list(void)
{
	return sized_all;
}

extern "C" {
extern const struct bench_adapter bench_adapter_rwq;
const struct bench_adapter bench_adapter_rwq = {
	"readerwriterqueue (threads)",
	"rwq",
	"readerwriterqueue 1.0.6, one block; blocking: BlockingReaderWriterCircularBuffer",
	BENCH_CAN_SPIN | BENCH_CAN_BLOCK | BENCH_IN_PROCESS,
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

namespace BENCH_JOIN(at, BENCH_SIZE)
{
/* Not aligned to cache lines: malloc() gives blocks that are not, and they would be padded. */
struct element {
	uint64_t words[BENCH_SIZE / sizeof(uint64_t)];
};

/* The largest block there can be: 16 Mi elements are more than any capacity asks for. */
typedef moodycamel::ReaderWriterQueue<element, size_t(1) << 24> queue;
typedef moodycamel::BlockingReaderWriterCircularBuffer<element> sleeper;

/* In the memory that both share, which here is one process's own. */
struct shared {
	queue *forth, *back;
	sleeper *forth_sleeper, *back_sleeper;
};

struct tx {
	queue *to;
	sleeper *to_sleeper; /* instead, when blocking */
	element *slot;
};

struct rx {
	queue *from;
	sleeper *from_sleeper;
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
	if (tx->to_sleeper) {
		tx->to_sleeper->wait_enqueue(*tx->slot);
		return;
	}
	while (!tx->to->try_enqueue(*tx->slot))
		bench_pause();
}

static inline void tx_flush(struct tx *)
{
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	if (rx->from_sleeper) {
		rx->from_sleeper->wait_dequeue(*rx->slot);
		return rx->slot->words;
	}
	while (!rx->from->try_dequeue(*rx->slot))
		bench_pause();
	return rx->slot->words;
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
	const struct bench_config *config = &run->control->config;
	struct shared *shared = static_cast<struct shared *>(run->shared);
	const size_t slots = config->capacity / BENCH_SIZE > 4 ? config->capacity / BENCH_SIZE : 4;

	if (config->wait == BENCH_BLOCK) {
		shared->forth_sleeper = new sleeper(slots);
		shared->back_sleeper = new sleeper(slots);
	} else {
		shared->forth = new queue(slots - 1);
		shared->back = new queue(slots - 1);
	}
	return 0;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	struct shared *shared = static_cast<struct shared *>(run->shared);
	struct state *state = new struct state();
	const bool first = role == BENCH_FIRST;

	state->tx.to = first ? shared->forth : shared->back;
	state->tx.to_sleeper = first ? shared->forth_sleeper : shared->back_sleeper;
	state->tx.slot = new element[1]();
	state->rx.from = first ? shared->back : shared->forth;
	state->rx.from_sleeper = first ? shared->back_sleeper : shared->forth_sleeper;
	state->rx.slot = new element[1]();
	state->rx.payload = run->control->config.payload;
	run->state = state;
	return 0;
}

/* The first does it last, when nobody else uses the queues. */
static void detach(struct bench_run *run, enum bench_role role)
{
	struct shared *shared = static_cast<struct shared *>(run->shared);
	struct state *state = static_cast<struct state *>(run->state);

	delete[] state->tx.slot;
	delete[] state->rx.slot;
	delete state;
	if (role == BENCH_FIRST) {
		delete shared->forth;
		delete shared->back;
		delete shared->forth_sleeper;
		delete shared->back_sleeper;
	}
}

static const struct sized instance = {
	BENCH_SIZE, 0, shared_bytes, create, attach, detach, bench_first, bench_second,
};
} /* namespace */

#endif
