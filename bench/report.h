/* SPDX-License-Identifier: MIT */
/*
 * report.h - what was measured, for whoever writes it down: table.c, json.c, html.c.
 *
 * One bench_result is one implementation in one setting, measured several times over. Results
 * which may be compared with one another have the same group; within one, sample r of each was
 * taken in round r, shortly after one another, and all ratios are formed round by round.
 */
#ifndef PEAL_BENCH_REPORT_H
#define PEAL_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "adapter.h"

#define BENCH_RUNS_MAX 32

struct bench_machine {
	char cpu[128];       /* "AMD EPYC" */
	char kernel[128];    /* "Linux 6.1.0 x86_64" */
	char governor[64];   /* of cpufreq; "unknown" */
	char hypervisor[64]; /* "KVM", "none" */
	char date[32];       /* UTC, ISO 8601 */
	char version[32];    /* of Peal */
	char compiler[128];  /* and its options */
	unsigned int cpus;   /* that this process may use */
	int first_cpu;       /* where the two processes were pinned */
	int second_cpu;      /* -1: there is only one */
	uint64_t l1d_bytes;  /* of first_cpu; 0: unknown */
	uint64_t l2_bytes;
	uint64_t l3_bytes;
};

/* Of several samples; runs 0: there are none, and the rest means nothing. */
struct bench_summary {
	double median, min, max;
	unsigned int runs;
};

enum bench_percentile {
	BENCH_P50,
	BENCH_P90,
	BENCH_P99,
	BENCH_P999,
	BENCH_P9999,
	BENCH_PERCENTILES
};
extern const char *const bench_percentile_names[BENCH_PERCENTILES]; /* "p50" … */

struct bench_result {
	/* What. Texts live as long as the program. */
	const char *bench; /* "throughput", "rtt", … */
	const char
		*variant;   /* what else is special about this setting: "gap 1 ms"; "" if nothing */
	const char *impl;   /* slug, "peal" */
	const char *name;   /* for people, "Peal" */
	const char *how;    /* one line */
	const char *mode;   /* "spin" or "block" */
	const char *unit;   /* "msg/s", "ns", … */
	const char *cpus;   /* where the two processes ran: "two", "one", "any" */
	unsigned int flags; /* BENCH_IS_PEAL, BENCH_IS_LIMIT, BENCH_IN_PROCESS */
	bool higher_is_better;
	bool for_comparison;  /* of Peal, but no claim is made for it: no ratios */
	uint64_t payload;     /* bytes */
	uint64_t capacity;    /* bytes of the ring; 0: not applicable */
	uint64_t interval_ns; /* between two messages; 0: not applicable */
	unsigned int group;

	/* Found. Round by round; NAN where the run is void. */
	double samples[BENCH_RUNS_MAX];
	unsigned int rounds;
	unsigned int voided;
	char why_void[200]; /* the first reason; "" if there is none */
	struct bench_summary value;
	struct bench_summary distance_ns;
	struct bench_summary cpu_ns; /* processor time of both sides per message */
	struct bench_summary sleeps; /* voluntary context switches of both sides per message */
	double distances_ns
		[BENCH_RUNS_MAX]; /* a raw round trip before and after; NAN: it changed */
	bool by_distance; /* spins on two processors, so it matters how far apart they are */
	double cpu_samples[BENCH_RUNS_MAX];
	double sleep_samples[BENCH_RUNS_MAX];

	/* Own value by the other's, round by round: for a latency, less than 1 is better. */
	struct bench_summary to_best_peer; /* runs 0: not applicable */
	struct bench_summary to_limit;
	struct bench_summary
		to_best_single; /* batch: by the best peer that hands over one by one */
	const char *best_peer;  /* slug of the one that Peal does worst against; NULL */
	const char *limit;      /* slug; NULL */

	/* Paced benches: ages of all messages of all rounds; else NULL. */
	uint64_t *ages; /* [BENCH_BUCKETS], see bench_age_of() */
	uint64_t age_count;
	double percentiles_ns[BENCH_PERCENTILES];

	/* syscalls: how many of which; "sendto 1.00, ppoll 1.00". */
	char detail[256];
};

struct bench_report {
	struct bench_machine machine;
	struct bench_result *results;
	size_t count;
	const char *const *missing; /* packages that are not installed, NULL-terminated */
	bool quick;
	bool interrupted;
	unsigned int spinning;  /* runs in which both sides spin, on a processor of their own */
	unsigned int disturbed; /* and those of them that had to share it with somebody else */
	double nearest_ns,
		farthest_ns; /* raw round trips between the processors; 0: not measured */
	unsigned int
		moved;  /* … and those during which the processors were moved apart or together */
	double seconds; /* that it took */
	uint64_t duration_ns; /* of one run */
	unsigned int rounds;
};

/* The middle of a bucket of bench_result.ages, in ns; the inverse of bench_bucket(). */
double bench_age_of(unsigned int bucket);

/* The age that @part (0 … 1) of @count messages do not exceed. */
double bench_percentile_of(const uint64_t *ages, uint64_t count, double part);

/* Median, least and greatest of those of @samples that are no NAN. */
struct bench_summary bench_summarize(const double *samples, unsigned int count);

void bench_machine_look(struct bench_machine *machine);

/* Fill value, ratios and percentiles of all results from their samples. */
void bench_report_finish(struct bench_report *report);

/* Of Peal, and worse than the best other ring? */
bool bench_is_behind(const struct bench_result *result);

/* Shown together, as one setting? */
bool bench_same_block(const struct bench_result *a, const struct bench_result *b);

/* For qsort() of pointers to results: best first, those without a value last. */
int bench_by_rank(const void *a, const void *b);

/* The writers. 0 or a negative errno. */
int bench_write_table(const struct bench_report *report, FILE *out, bool colour);
int bench_write_json(const struct bench_report *report, FILE *out);
int bench_compare(const struct bench_report *report, const char *old_path, FILE *out);
int bench_write_html(const struct bench_report *report, FILE *out);

#endif
