/* SPDX-License-Identifier: MIT */
/*
 * peal.c - Peal, used the way its users do: the guest is a program that the host starts.
 *
 *      first process: host                        second process: guest
 *      peal_channel_create()
 *      peal_spawn(/proc/self/exe) ──────────────▶ peal_attach_args()
 *      peal_reserve … peal_commit ══════════════▶ peal_next … peal_release
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <peal/peal.h>

#include "part.h"
#include "peal.h"

/* Longer than any wait between two processes that are awake: who spins never sleeps in practice,
 * but he still could, so the whole wake protocol is in what is measured. */
#define SPIN_US 1000000

#define ATTACH_NS UINT64_C(10000000000)

/* What one end does with a message. */
enum manner {
	SINGLE,
	BATCHED,
	SLOW, /* some work for each, so that the ring runs full, or empty */
};

struct tx {
	struct peal_producer *producer;
	enum manner manner;
};

struct rx {
	struct peal_consumer *consumer;
	enum manner manner;
};

struct state {
	struct peal_channel *channel;
	struct peal_child *child;
	struct tx tx;
	struct rx rx;
};

static inline void bench_die(const char *what);

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct state *)run->state)->tx;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct state *)run->state)->rx;
}

static inline void check(int rc)
{
	if (__builtin_expect(rc < 0, 0))
		bench_die(peal_last_error());
}

/* About 100 ns, which nothing can overlap with: each step needs the one before. */
static void work(void)
{
	uint64_t x = 1;

	for (int i = 0; i < 64; i++) {
		x *= x + 2;
		__asm__ volatile("" : "+r"(x));
	}
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	void *payload;

	if (peal_reserve(tx->producer, size, &payload) < 0)
		check(peal_reserve_wait(tx->producer, size, &payload, PEAL_FOREVER));
	return payload;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	if (tx->manner == BATCHED) {
		check(peal_stage(tx->producer, size, 0));
		return;
	}
	if (tx->manner == SLOW)
		work();
	check(peal_commit(tx->producer, size, 0));
}

static inline void tx_flush(struct tx *tx)
{
	if (tx->manner == BATCHED)
		check(peal_publish(tx->producer));
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	struct peal_record record;
	int rc = peal_next(rx->consumer, &record);

	if (rc <= 0) {
		if (rx->manner == BATCHED)
			check(peal_release(rx->consumer));
		check(peal_next_wait(rx->consumer, &record, PEAL_FOREVER));
	}
	*size = record.size;
	return record.data;
}

static inline void rx_end(struct rx *rx)
{
	if (rx->manner == BATCHED)
		return;
	if (rx->manner == SLOW)
		work();
	check(peal_release(rx->consumer));
}

static inline void rx_flush(struct rx *rx)
{
	if (rx->manner == BATCHED)
		check(peal_release(rx->consumer));
}

#include "loops.h"

/* Which of the adapters below this is. */
static bool is_called(const struct bench_run *run, const char *slug)
{
	const struct bench_arena *arena = (const struct bench_arena *)(void *)run->control;

	return strcmp(arena->slug, slug) == 0;
}

static uint32_t flags_of(const struct bench_run *run)
{
	return is_called(run, "peal-fence") ? PEAL_CHANNEL_NO_MEMBARRIER : 0;
}

static int32_t spin_of(const struct bench_run *run)
{
	return run->control->config.wait == BENCH_SPIN ? SPIN_US : PEAL_SPIN_DEFAULT;
}

static int fail(struct bench_side *side, int rc)
{
	snprintf(side->error, sizeof(side->error), "%s",
		 rc == -ETIMEDOUT ? peal_strerror(rc) : peal_last_error());
	return rc;
}

static int create(struct bench_run *run)
{
	const struct bench_config *config = &run->control->config;
	uint64_t least = 8 * config->payload;
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = config->capacity > least ? config->capacity : least,
		.doorbell = is_called(run, "peal-eventfd") ? PEAL_DOORBELL_EVENTFD
							   : PEAL_DOORBELL_SOCKET,
		.flags = flags_of(run),
		.spin_max_us = spin_of(run),
		.name = "bench",
	};
	struct state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state)
		return -ENOMEM;
	if (config->kind == BENCH_RTT)
		options.to_host = options.to_guest;
	rc = peal_channel_create(&state->channel, &options);
	if (rc < 0) {
		free(state);
		return fail(&run->control->first, rc);
	}
	run->state = state;
	return 0;
}

/* The arena goes along with what Peal itself hands over. */
static int inherit(void *data)
{
	return peal_fd_clear_cloexec(*(int *)data);
}

static pid_t start(struct bench_run *run, int control_fd)
{
	struct state *state = run->state;
	char self[] = "/proc/self/exe", role[] = BENCH_GUEST_ARG, control[32];
	char *argv[] = {self, role, control, NULL};
	struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT,
		.pre_exec = inherit,
		.pre_exec_data = &control_fd,
	};
	int rc;

	snprintf(control, sizeof(control), "%d", control_fd);
	rc = peal_spawn(&state->child, state->channel, argv, &options);
	if (rc < 0)
		return fail(&run->control->first, rc);
	return peal_child_pid(state->child);
}

static int attach(struct bench_run *run, enum bench_role role)
{
	struct state *state = run->state;
	enum manner usual = run->control->config.kind == BENCH_BATCH ? BATCHED : SINGLE;

	if (role == BENCH_FIRST) {
		int rc = peal_child_wait_ready(state->child, state->channel,
					       peal_deadline_in_ns(ATTACH_NS));

		if (rc < 0)
			return fail(&run->control->first, rc);
	}
	state->tx = (struct tx){
		.producer = peal_tx(state->channel),
		.manner = is_called(run, "peal-slow-producer") ? SLOW : usual,
	};
	state->rx = (struct rx){
		.consumer = peal_rx(state->channel),
		.manner = is_called(run, "peal-slow-consumer") ? SLOW : usual,
	};
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct state *state = run->state;

	if (role == BENCH_FIRST) {
		/* It has left the channel; let it end by itself. */
		peal_child_wait(state->child, peal_deadline_in_ns(ATTACH_NS), NULL);
		peal_child_free(state->child);
	}
	peal_channel_close(state->channel);
	free(state);
}

int bench_peal_guest(int argc, char **argv)
{
	struct state *state = calloc(1, sizeof(*state));
	struct bench_run run = {.state = state};
	struct peal_attach_options options = {.size = sizeof(options)};
	struct bench_arena *arena;
	const struct bench_adapter *adapter;

	if (!state || argc < 3 || peal_fd_set_cloexec(atoi(argv[2])) < 0)
		return 2;
	arena = bench_arena_map(atoi(argv[2]));
	adapter = arena ? bench_adapter_find(arena->slug) : NULL;
	if (!adapter)
		return 2;
	run.control = &arena->control;
	options.flags = flags_of(&run);
	options.spin_max_us = spin_of(&run);
	if (peal_attach_args(&state->channel, &argc, argv, &options) < 0) {
		fail(&run.control->second, 0);
		return 2;
	}
	return bench_be_second(&run, adapter);
}

#define ADAPTER(symbol, name_, slug_, how_, flags_)                                                \
	const struct bench_adapter symbol = {                                                      \
		.name = name_,                                                                     \
		.slug = slug_,                                                                     \
		.how = how_,                                                                       \
		.flags = BENCH_IS_PEAL | BENCH_CAN_SPIN | BENCH_CAN_BLOCK | flags_,                \
		.create = create,                                                                  \
		.start = start,                                                                    \
		.attach = attach,                                                                  \
		.first = bench_first,                                                              \
		.second = bench_second,                                                            \
		.detach = detach,                                                                  \
	}

extern const struct bench_adapter bench_adapter_peal, bench_adapter_peal_eventfd,
	bench_adapter_peal_fence, bench_adapter_peal_slow_producer,
	bench_adapter_peal_slow_consumer;

ADAPTER(bench_adapter_peal, "Peal", "peal",
	"can sleep, asymmetric barrier, socket doorbell; in place: reserve/commit, next/release",
	BENCH_CAN_BATCH);
ADAPTER(bench_adapter_peal_eventfd, "Peal, eventfd", "peal-eventfd",
	"the same with the eventfd doorbell, for a peer that is trusted", BENCH_CAN_BATCH);
ADAPTER(bench_adapter_peal_fence, "Peal, fences", "peal-fence",
	"the same without membarrier(2), for comparison: each publication costs a fence",
	BENCH_CAN_BATCH);
ADAPTER(bench_adapter_peal_slow_producer, "Peal, slow producer", "peal-slow-producer",
	"about 100 ns of work for each message at the producer: the ring is nearly empty", 0);
ADAPTER(bench_adapter_peal_slow_consumer, "Peal, slow consumer", "peal-slow-consumer",
	"about 100 ns of work for each message at the consumer: the ring is full", 0);
