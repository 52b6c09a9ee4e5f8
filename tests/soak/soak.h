/* SPDX-License-Identifier: MIT */
/*
 * soak.h - hundreds of guests that come and go, and an account of every record.
 *
 *      main thread                 poller threads                    workers
 *      ───────────                 ──────────────                    ───────
 *      start a life ─────────────▶ watch; receive and send ────────▶ the same, where a watch
 *      shake: wake ──────────────▶ stop, continue, kill, close ◀──── reports once; resume
 *           ▲                      account, bury
 *           └──── place is free ────────┘
 *
 * A place has one guest after the other; each of these is a life. What a life is like (rings, sizes,
 * doorbell, barriers, how it will end) follows from the seed; when things happen does not, and no
 * check depends on it. Nothing waits with a time-out: a lost wake ends in the test's.
 */
#ifndef PEAL_TESTS_SOAK_H
#define PEAL_TESTS_SOAK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <peal/peal.h>

#include "ipc/ipc.h"

#define SOAK_POLLERS 2
#define SOAK_WORKERS 4

/* The two directions. */
enum { TO_GUEST, TO_HOST, DIRECTIONS };

enum ending {
	ENDS_BY_KILL,  /* -9 at any instant */
	ENDS_BY_COUNT, /* it sends so many records and leaves */
	ENDS_BY_CLOSE, /* the host closes, the guest takes what is left and leaves */
	ENDINGS,
};

/* One a place, in memory that both processes map: what the guest is to do, and what it has done up to
 * the instant of its death. */
struct ledger {
	/* The host, before the guest starts. */
	uint64_t key;             /* of all records of this life */
	uint64_t count;           /* records to send; UINT64_MAX: until the host is gone */
	uint64_t max[DIRECTIONS]; /* the largest record */
	uint64_t pause_us;        /* the longest pause */
	uint32_t batch;           /* records that are published together */
	uint32_t attach_flags;
	uint32_t closes; /* leaves by peal_channel_close() and not just by ending */

	/* The guest. */
	uint64_t begun;    /* records that may be seen: stored before one is published */
	uint64_t done;     /* records that must be seen: stored after */
	uint64_t received; /* records that came, whole and in order */
	uint64_t wrong;    /* 1 + the number of the one that did not */
} __attribute__((aligned(256)));

/* Record number @i. Its type is the number, so that an empty one is told from its neighbours. */
static inline uint64_t record_id(const struct ledger *ledger, int direction, uint64_t i)
{
	return ledger->key | (uint64_t)direction << 31 | i;
}

/* Many small ones, and some of any size. */
static inline size_t record_size(const struct ledger *ledger, int direction, uint64_t i)
{
	size_t max = ledger->max[direction], small = max < 64 ? max : 64;

	return stream_size(record_id(ledger, direction, i), i % 8 ? small : max);
}

static inline bool record_is(const struct peal_record *record, const struct ledger *ledger,
			     int direction, uint64_t i)
{
	return record->size == record_size(ledger, direction, i) && record->type == (uint16_t)i &&
	       stream_is(record->data, record->size, record_id(ledger, direction, i));
}

/* The ring's end of a place, as a piece of work. Belongs to the poller's thread, and while handed
 * differs from returned to a worker. */
struct job {
	struct place *place;
	int direction;
	struct peal_watch *watch; /* NULL: none any more */
	bool ended;               /* -EPIPE */
	uint64_t records;
	uint64_t dice;
	uint64_t handed;
	uint64_t returned; /* atomic */
	struct job *next;
};

enum place_state { PLACE_FREE, PLACE_STARTED, PLACE_LIVES };

struct place {
	struct soak *soak;
	struct station *station;
	struct ledger *ledger;
	int state; /* atomic; who stored it last has handed the rest over */
	int shake; /* atomic; 1: the main thread wants something to happen */
	int lives; /* that were begun here */

	uint64_t dice;
	enum ending ending;
	bool by_workers, batches;
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_watch *child_watch;
	struct job jobs[DIRECTIONS];
	bool is_stopped, is_killed, is_finishing, child_ended;
	int is_closing; /* atomic */
};

/* A poller and its thread. */
struct station {
	struct soak *soak;
	struct peal_poller *poller;
	pthread_t thread;
};

/* All atomic. */
struct figures {
	uint64_t lives, kills, stops, closes, records, bytes;
};

struct soak {
	uint64_t seed;
	int place_count, station_count;
	uint32_t backends[SOAK_POLLERS];

	uint64_t dice;
	int ledger_fd;
	struct ledger *ledgers;
	struct place *places;
	struct station stations[SOAK_POLLERS];
	int is_finishing; /* atomic: nobody is born any more */
	struct figures figures;

	pthread_t workers[SOAK_WORKERS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *queue, **queue_end;
	bool is_over;
};

static inline void soak_count(uint64_t *figure, uint64_t by)
{
	__atomic_fetch_add(figure, by, __ATOMIC_RELAXED);
}

/* --- place.c: one life ----------------------------------------------------------------------- */

/* place_start() - a new guest for a free place; by the main thread. False: it died while it attached,
 * and the place is still free. */
bool place_start(struct place *place);

/* place_step() - by the poller's thread: do what is to be done now. */
void place_step(struct place *place);

/* place_take() - something is there, or the end. By whoever has the job. @may_block: sleep there
 * too, now and then. */
void place_take(struct job *job, bool may_block);

/* place_fill() - there is room, or the end. Return: the payload to wait for next. */
size_t place_fill(struct job *job, bool may_block);

/* --- crew.c: the threads --------------------------------------------------------------------- */

/* crew_start() - pollers, their threads, workers. */
void crew_start(struct soak *soak);

/* crew_join() - wait until each place is free, and end all threads. soak->is_finishing is set. */
void crew_join(struct soak *soak);

/* crew_hand() - let a worker do it. */
void crew_hand(struct job *job);

/* crew_has() - is it with a worker? */
bool crew_has(const struct job *job);

/* --- baseline.c ------------------------------------------------------------------------------ */

/* What a process holds. */
struct baseline {
	int descriptors, mappings;
	size_t heap_bytes; /* allocated and not freed */
	size_t resident_bytes;
};

struct baseline baseline_take(void);

/* baseline_check() - fail the test unless it is as it was. */
void baseline_check(const struct baseline *before);

#endif
