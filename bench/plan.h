/* SPDX-License-Identifier: MIT */
/*
 * plan.h - which implementation is measured in which setting, and how often.
 */
#ifndef PEAL_BENCH_PLAN_H
#define PEAL_BENCH_PLAN_H

#include "args.h"
#include "report.h"
#include "run.h"

/* One setting; each implementation that can do it makes a cell of it. */
struct bench_setting {
	const char *bench, *variant, *unit;
	bool higher_is_better;
	struct bench_config config;
	enum bench_place place;
	bool trace;
	bool peal_only;
};

struct bench_plan {
	const struct bench_args *args;
	struct bench_job *jobs;       /* [count]; */
	struct bench_result *results; /* [count], the same order; groups lie together */
	size_t count, room;
	unsigned int group;
	unsigned int rounds;
	uint64_t duration_ns;
	int cpus[2];
	int cpu_count;
	double distance_ns; /* of the two processors, measured just now; NAN: it was not */
};

extern const char *const bench_missing[];

/* Is that the name of a bench? */
bool bench_plan_knows(const char *bench);
extern const char *const bench_names[];        /* NULL-terminated */
extern const char *const bench_explanations[]; /* a line for each */

/* Everything that @args ask for. 0 or a negative errno. */
int bench_plan_make(struct bench_plan *plan, const struct bench_args *args);
void bench_plan_free(struct bench_plan *plan);

/* About how long it will take. */
double bench_plan_seconds(const struct bench_plan *plan);

/* One cell for each implementation that fits, as part of the current group. */
int bench_plan_add(struct bench_plan *plan, const struct bench_setting *setting);

/* A cell that is no adapter. */
int bench_plan_add_custom(struct bench_plan *plan, const struct bench_setting *setting,
			  const struct bench_result *about,
			  int (*custom)(const struct bench_config *, double *));

/* Rounds of one cell. */
unsigned int bench_plan_rounds(const struct bench_plan *plan, size_t cell);

/* Measure all of it. */
void bench_measure(struct bench_plan *plan, struct bench_report *report);

/* spawn.c: from nothing to the first message of each of config->channels processes, in ns for one. */
int bench_spawn_peal(const struct bench_config *config, double *value);
int bench_spawn_pipe(const struct bench_config *config, double *value);
int bench_spawn_bare(const struct bench_config *config, double *value);

/* channels.c: ns for a message of one host with config->channels of them. BENCH_THROUGHPUT: one sends,
 * BENCH_BATCH: all do, BENCH_RTT: one answers. */
int bench_channels(const struct bench_config *config, double *value);

/* As many as the hard limit allows. */
void bench_allow_descriptors(void);

#endif
