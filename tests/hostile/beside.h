/* SPDX-License-Identifier: MIT */
/*
 * beside.h - a host that serves an innocent guest and a hostile one in one thread.
 */
#ifndef PEAL_TESTS_HOSTILE_BESIDE_H
#define PEAL_TESTS_HOSTILE_BESIDE_H

#include <peal/peal.h>

#include "hostile/hostile.h"

/* By the waiting functions alone, or by a poller. */
enum way { BY_WAIT, BY_EPOLL, BY_URING, WAYS };
extern const char *const way_names[WAYS];

enum { TX, RX, ENDS };

/* A window without an end. */
#define ALWAYS UINT64_MAX

/* A channel with its guest, as the host sees it. */
struct lane {
	const char *mode;
	struct peal_channel *channel;
	struct peal_child *child;
	struct account *account;
	bool is_strict;  /* each record that comes must be the right one */
	uint64_t window; /* records that may be on their way there and back */
	uint64_t sent, received;
	int ends[ENDS];        /* the errno that ended it; 0: open */
	char words[ENDS][160]; /* and its sentence */
	struct peal_watch *watches[ENDS];
	bool is_reported; /* the watch for room; it is to be resumed */
	bool is_large;    /* the next record was too large to be copied */
};

struct host {
	enum way way;
	struct lane innocent, hostile;
	struct peal_poller *poller;
	int accounts_fd;
	struct account *accounts;
	uint64_t steps;
	/* For guests that are to be found elsewhere, or to live on; 0: the usual. */
	char *program;
	const char *name;
	uint64_t capacity;
	bool guests_stay;
	uint64_t waits; /* calls that may sleep */
};

/* What all tests did, in memory that forked tests share. */
struct totals {
	unsigned long long rounds, innocent_records, hostile_records, hostilities, values;
	uint64_t quiet_cpu_us; /* the most that a quiet phase has cost */
	uint64_t
		record_cpu_ns; /* the most that one thing served has cost, on average over a round */
};
extern struct totals *totals;

/* totals_open() - before any test. 0 or an exit status. */
int totals_open(void);

/* totals_print() - a line that ./dev also prints at its end. */
void totals_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* lane_close() - free all of it; a guest that still lives is killed. */
void lane_close(struct lane *lane);

/* host_open() - accounts and the innocent guest. */
void host_open(struct host *host, enum way way);

/* The accounts alone. */
void host_open_accounts(struct host *host);
void host_close_accounts(struct host *host);

/* host_meet() - start the hostile guest, and watch it. */
void host_meet(struct host *host, const char *mode, bool eventfds);

/* host_step() - take and give at each end, at most a turn; sleeps until there is something to take or
 * room to give, which the innocent guest sees to. */
void host_step(struct host *host);

/* host_serve() - the same, also if the innocent channel has ended. */
void host_serve(struct host *host);

/* host_settle_innocent() - serve until all that was sent to the innocent guest has come back. */
void host_settle_innocent(struct host *host);

/* host_be_quiet() - wait at the hostile guest's ends for a while, in which it does nothing. The
 * processor time that this took, in microseconds. */
uint64_t host_be_quiet(struct host *host, uint64_t for_us);

/* host_close() - the innocent guest has lost nothing and leaves content; all else is freed. */
void host_close(struct host *host);

/* lane_start() - a channel and a guest in this mode. It is ready, unless @is_ready is false. */
void lane_start(struct lane *lane, struct host *host, int index, const char *mode, bool eventfds,
		bool is_ready);

/* lane_watch(), lane_unwatch() - at the poller, if there is one. */
void lane_watch(struct lane *lane, struct host *host);
void lane_unwatch(struct lane *lane);

/* What this process holds. */
struct holdings {
	int descriptors, mappings;
	uint64_t resident_bytes;
};
struct holdings holdings_take(void);

/* Processor time of this process. */
uint64_t cpu_ns(void);

#endif
