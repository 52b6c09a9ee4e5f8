/* SPDX-License-Identifier: MIT */
/*
 * run.h - one measurement of one adapter, in processes of its own.
 *
 *      peal-bench ── fork ──▶ first process ── fork, or adapter->start() ──▶ second process
 *           │                      │                                             │
 *           └── watches both,      └─────────────── struct bench_arena ──────────┘
 *               reaps, times out         (memfd; attach, warm up, go, measure)
 *
 * Nothing of a run is left behind: both processes die with their parent, peal-bench adopts what
 * they started, and ends and reaps all of it. A run that fails in any way is void and says why.
 */
#ifndef PEAL_BENCH_RUN_H
#define PEAL_BENCH_RUN_H

#include "adapter.h"
#include "trace.h"

enum bench_place {
	BENCH_TWO_CPUS, /* each process pinned to a processor of its own */
	BENCH_ONE_CPU,  /* both on the same */
	BENCH_ANY_CPU,  /* wherever the kernel puts them */
};

struct bench_job {
	const struct bench_adapter *adapter;
	struct bench_config config;
	enum bench_place place;
	int cpus[2]; /* for BENCH_TWO_CPUS; BENCH_ONE_CPU takes the first */
	bool trace;  /* count system calls; slow, so take no time from such a run */
	/* Instead of an adapter: run this in the first process, alone; its result is in value. */
	int (*custom)(const struct bench_config *config, double *value);
};

struct bench_outcome {
	bool is_void;
	char why[200];
	double value; /* of custom */
	struct bench_side first, second;
	uint64_t ages[BENCH_BUCKETS];
	struct bench_trace traced[2]; /* by role */
};

/* Memory that all processes of a run share; the adapters know its first member only. */
struct bench_arena {
	struct bench_control control;
	char slug[64];  /* of the adapter, for a process that was started */
	uint32_t place; /* enum bench_place */
	int32_t cpus[2];
	uint32_t gate; /* the first process waits until this is 1, when traced */
	uint32_t gone; /* the second process has detached */
	int32_t pids[2];
	double value;
};

/* Once per program: signals, adoption of orphans. */
void bench_run_init(void);

/* Has the user asked to stop? */
bool bench_interrupted(void);

/* By which signal; 0: not. */
int bench_signal(void);

/* Wait until no other peal-bench measures on this machine. The turn lasts as long as the process.
 * Return: a descriptor to hold; a negative errno where one can not tell. */
int bench_wait_turn(void);

/* Measure. False when the outcome is void. Blocks for about the job's duration. */
bool bench_run_job(const struct bench_job *job, struct bench_outcome *outcome);

/* One side's part, from attaching to the end of the loops; run->control is a bench_arena's. */
int bench_take_part(struct bench_run *run, const struct bench_adapter *adapter,
		    enum bench_role role);

/* The second process of adapters that start a program: map the arena, and find the adapter. */
struct bench_arena *bench_arena_map(int fd);
const struct bench_adapter *bench_adapter_find(const char *slug);

/* A raw round trip between two processors, in ns; NAN where that can not be told. Blocks for some
 * milliseconds. */
double bench_distance_ns(const int cpus[2]);

/* Alike enough to compare what was measured there? False if either is NAN. */
bool bench_same_distance(double a, double b);

/* Two processors which this process may use and which are no threads of one core.
 * Return: how many were found; -1 in cpus[] for none. */
int bench_choose_cpus(int cpus[2]);

/* The calling thread runs on @cpu alone from now on. False: errno. */
bool bench_pin(int cpu);

#endif
