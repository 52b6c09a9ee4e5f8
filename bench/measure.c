/* SPDX-License-Identifier: MIT */
/*
 * measure.c - go through the plan: group by group, round by round, whose turn is first rotating.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "part.h"
#include "plan.h"

/* The processors are moved seldom; who is unlucky twice has at least been measured. */
#define TRIES           2
/* Where they are moved all the time, one run in so many is repeated: a bench has to end. */
#define RUNS_PER_REPEAT 10

struct progress {
	bool shown;
	uint64_t begin_ns;
	double done_s, all_s; /* as estimated; only their ratio counts */
	size_t done, all;
};

static void progress_show(const struct progress *progress, const struct bench_result *result)
{
	double elapsed = (double)(bench_now_ns() - progress->begin_ns) / 1e9;
	double left = progress->all_s - progress->done_s;

	if (!progress->shown)
		return;
	/* The estimate is corrected by how it went so far. */
	if (progress->done > 20)
		left *= elapsed / progress->done_s;
	fprintf(stderr, "\r\033[K%zu of %zu, %d:%02d left: %s %s %llu B %s, %s", progress->done + 1,
		progress->all, (int)left / 60, (int)left % 60, result->bench, result->variant,
		(unsigned long long)result->payload, result->mode, result->name);
}

static void progress_clear(const struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
}

static double seconds_of(const struct bench_outcome *outcome)
{
	return (double)(outcome->second.end_ns - outcome->first.begin_ns) / 1e9;
}

static double age_median(const struct bench_outcome *outcome)
{
	return bench_percentile_of(outcome->ages, outcome->second.messages, 0.5);
}

static double value_of(const struct bench_job *job, const struct bench_outcome *outcome)
{
	double messages = (double)outcome->first.messages;

	if (job->custom)
		return outcome->value;
	if (job->trace)
		return (double)(outcome->traced[0].total + outcome->traced[1].total) /
		       (messages + 1);
	if (job->config.kind == BENCH_PACED)
		return age_median(outcome);
	if (job->config.kind == BENCH_RTT)
		return (double)(outcome->first.end_ns - outcome->first.begin_ns) / messages;
	return messages / seconds_of(outcome);
}

/* "waker: sendto 1; sleeper: ppoll 1" */
static void describe_calls(const struct bench_job *job, const struct bench_outcome *outcome,
			   struct bench_result *result)
{
	bool paced = job->config.kind == BENCH_PACED;
	char first[100], second[100];
	/* The one that ends the stream is sent and received as well. */
	uint64_t messages = outcome->first.messages + 1;

	bench_trace_describe(&outcome->traced[0], messages, first, sizeof(first));
	bench_trace_describe(&outcome->traced[1], messages, second, sizeof(second));
	snprintf(result->detail, sizeof(result->detail), "%s: %s; %s: %s",
		 paced ? "waker" : "producer", first[0] ? first : "none",
		 paced ? "sleeper" : "consumer", second[0] ? second : "none");
}

static void store(const struct bench_job *job, const struct bench_outcome *outcome,
		  struct bench_result *result, unsigned int round)
{
	double messages = (double)outcome->first.messages;

	result->rounds = round + 1;
	result->samples[round] = result->cpu_samples[round] = result->sleep_samples[round] = NAN;
	if (outcome->is_void) {
		if (result->voided++ == 0)
			memcpy(result->why_void, outcome->why, sizeof(result->why_void));
		return;
	}
	result->samples[round] = value_of(job, outcome);
	if (job->custom)
		return;
	result->cpu_samples[round] =
		(double)(outcome->first.cpu_ns + outcome->second.cpu_ns) / messages;
	result->sleep_samples[round] =
		(double)(outcome->first.sleeps + outcome->second.sleeps) / messages;
	if (job->trace)
		describe_calls(job, outcome, result);
	for (unsigned int i = 0; result->ages && i < BENCH_BUCKETS; i++)
		result->ages[i] += outcome->ages[i];
}

/* Who spins needs all of his processor. What is missing, others took. */
static bool is_disturbed(const struct bench_side *side)
{
	return (double)side->cpu_ns < 0.95 * (double)(side->end_ns - side->begin_ns);
}

static void watch_disturbance(struct bench_report *report, const struct bench_job *job,
			      const struct bench_outcome *outcome)
{
	if (job->place != BENCH_TWO_CPUS || job->config.wait != BENCH_SPIN || outcome->is_void ||
	    job->trace)
		return;
	report->spinning++;
	report->disturbed += is_disturbed(&outcome->first) || is_disturbed(&outcome->second);
}

/* A raw round trip before and after. The one after a run is the one before the next. */
static void measure_at_one_distance(struct bench_plan *plan, struct bench_report *report,
				    size_t cell, unsigned int round, struct bench_outcome *outcome)
{
	const struct bench_job *job = &plan->jobs[cell];
	double before = plan->distance_ns, after = NAN;

	bool may_repeat = report->moved * RUNS_PER_REPEAT <= report->spinning;

	for (int i = 0; i < (may_repeat ? TRIES : 1) && !bench_interrupted(); i++) {
		if (isnan(before))
			before = bench_distance_ns(job->cpus);
		bench_run_job(job, outcome);
		after = bench_distance_ns(job->cpus);
		plan->results[cell].distances_ns[round] = (before + after) / 2;
		if (bench_same_distance(before, after))
			break;
		plan->results[cell].distances_ns[round] = NAN;
		report->moved++;
		before = after;
	}
	plan->distance_ns = after;
}

static void measure_cell(struct bench_plan *plan, struct bench_report *report, size_t cell,
			 unsigned int round, struct progress *progress)
{
	static struct bench_outcome outcome; /* large */
	const struct bench_job *job = &plan->jobs[cell];

	if (round >= bench_plan_rounds(plan, cell))
		return;
	progress_show(progress, &plan->results[cell]);
	if (plan->results[cell].by_distance) {
		measure_at_one_distance(plan, report, cell, round, &outcome);
	} else {
		bench_run_job(job, &outcome);
		plan->distance_ns = NAN;
	}
	if (bench_interrupted())
		return;
	store(job, &outcome, &plan->results[cell], round);
	watch_disturbance(report, job, &outcome);
	progress->done++;
	progress->done_s += (double)job->config.duration_ns / 1e9 + 0.035;
}

/* The cells from @begin to before @end take turns. */
static void measure_group(struct bench_plan *plan, struct bench_report *report, size_t begin,
			  size_t end, struct progress *progress)
{
	size_t count = end - begin;

	for (unsigned int round = 0; round < plan->rounds; round++)
		for (size_t i = 0; i < count && !bench_interrupted(); i++)
			measure_cell(plan, report, begin + (round + i) % count, round, progress);
}

void bench_measure(struct bench_plan *plan, struct bench_report *report)
{
	struct progress progress = {
		.shown = isatty(STDERR_FILENO),
		.begin_ns = bench_now_ns(),
		.all_s = bench_plan_seconds(plan),
	};

	for (size_t i = 0; i < plan->count; i++)
		progress.all += bench_plan_rounds(plan, i);
	for (size_t begin = 0, end; begin < plan->count && !bench_interrupted(); begin = end) {
		for (end = begin + 1; end < plan->count; end++)
			if (plan->results[end].group != plan->results[begin].group)
				break;
		measure_group(plan, report, begin, end, &progress);
	}
	progress_clear(&progress);
	report->interrupted = bench_interrupted();
	report->seconds = (double)(bench_now_ns() - progress.begin_ns) / 1e9;
}
