/* SPDX-License-Identifier: MIT */
/*
 * scenario.h - short lives of all that the library has, to be lived under faults.
 *
 * A scenario goes on as a careful program would: the first call that fails ends it, everything is
 * released, and then nothing may be left.
 */
#ifndef PEAL_TESTS_FAULTS_SCENARIO_H
#define PEAL_TESTS_FAULTS_SCENARIO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <peal/peal.h>

#define ALLOCATIONS_MAX 64

/* What a scenario has at hand; release_world() gives it back in good order. */
struct world {
	struct peal_channel *host, *guest;
	struct peal_child *child;
	struct peal_poller *poller;
	struct peal_doorbell near, far;
	struct peal_wake_pair wakes;
	int fds[8]; /* -1 each */
};

struct scenario {
	const char *name;
	/* False: a call failed, and it is in the report. */
	bool (*live)(struct world *world, const struct scenario *scenario);
	enum peal_doorbell_kind kind;
	enum peal_poller_backend backend;
	bool without_streams; /* standard input, output and error are closed */
	bool on_one_cpu;
	bool without_files; /* the guest has RLIMIT_FSIZE 0 */
	bool is_strict;     /* the guest attaches for strict seccomp */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

struct allocation {
	int step;
	void *back;
};

/* Shared by tracer and tracee. */
struct report {
	/* The tracer, before. */
	const struct scenario *scenario;
	uintptr_t library_begin, library_end;
	int failing_step;   /* the allocation from here ... */
	void *failing_back; /* ... that returns to there */
	bool ignores_mappings, ignores_child;
	const struct rlimit *limit; /* of @limited, while the scenario lives; NULL: none */
	int limited;
	bool may_be_otherwise; /* a call may succeed with another result than without a fault */

	/* The tracee. */
	int step;         /* the line of the call of the library that is going on; 0: none */
	bool is_finished; /* only looks are left */
	bool is_complete;
	pid_t guest; /* of the last child that was freed */
	int failed_step;
	char failed_call[96];
	long failed_rc;
	char sentence[256];
	char wrong[256]; /* what is not as it should be */
	struct allocation allocations[ALLOCATIONS_MAX];
	unsigned int allocation_count;
	unsigned int allocations_failed;
	long allocations_held;
};

extern struct report *report;

/* scenario_live() - live report->scenario, and look what is left. @traced: stop first. */
void scenario_live(bool traced);

/* --- For the scenarios ----------------------------------------------------------------------- */

void scenario_enter(int line);
/* Return: is @rc what is @expected? For 0, whatever is not negative. */
bool scenario_leave(const char *call, long rc, long expected);

/* Call the library. False: it failed. */
/* scenario_close_guest() - @world's, and what a strict guest leaves to its end. */
void scenario_close_guest(struct world *world);

#define OK(call)            (scenario_enter(__LINE__), scenario_leave(#call, (long)(call), 0))
#define GIVES(call, result) (scenario_enter(__LINE__), scenario_leave(#call, (long)(call), result))

/* scenario_wrong() - say what is not as it should be. */
__attribute__((format(printf, 1, 2))) void scenario_wrong(const char *format, ...);

/* The path of the guest (tests/ipc/guest.c). */
extern char scenario_guest[PATH_MAX];

/* scenario_find_guests() - before the first: scenario_guest, and PATH. */
void scenario_find_guests(void);

#endif
