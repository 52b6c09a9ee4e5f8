/* SPDX-License-Identifier: MIT */
/*
 * report.c - from samples to medians, percentiles and ratios.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "run.h"

const char *const bench_percentile_names[BENCH_PERCENTILES] = {
	[BENCH_P50] = "p50",    [BENCH_P90] = "p90",      [BENCH_P99] = "p99",
	[BENCH_P999] = "p99.9", [BENCH_P9999] = "p99.99",
};

static const double percentile_parts[BENCH_PERCENTILES] = {
	[BENCH_P50] = 0.5,    [BENCH_P90] = 0.9,      [BENCH_P99] = 0.99,
	[BENCH_P999] = 0.999, [BENCH_P9999] = 0.9999,
};

double bench_age_of(unsigned int bucket)
{
	unsigned int shift;
	uint64_t low;

	if (bucket < BENCH_STEPS)
		return bucket;
	/* See bench_bucket(): 32 steps from one power of two to the next. */
	shift = bucket / BENCH_STEPS - 1;
	low = (uint64_t)(BENCH_STEPS + bucket % BENCH_STEPS) << shift;
	return (double)low + (double)(UINT64_C(1) << shift) / 2;
}

double bench_percentile_of(const uint64_t *ages, uint64_t count, double part)
{
	uint64_t wanted = (uint64_t)ceil((double)count * part), seen = 0;

	for (unsigned int i = 0; i < BENCH_BUCKETS; i++) {
		seen += ages[i];
		if (seen >= wanted && seen > 0)
			return bench_age_of(i);
	}
	return NAN;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_summary bench_summarize(const double *samples, unsigned int count)
{
	struct bench_summary summary = {.runs = 0};
	double sorted[BENCH_RUNS_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++)
		if (!isnan(samples[i]))
			sorted[n++] = samples[i];
	if (n == 0)
		return summary;
	qsort(sorted, n, sizeof(sorted[0]), by_value);
	summary.runs = n;
	summary.min = sorted[0];
	summary.max = sorted[n - 1];
	summary.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	return summary;
}

/* Something else which people could use instead; not of Peal, not a limit. */
static bool is_peer(const struct bench_result *result)
{
	return !(result->flags & (BENCH_IS_PEAL | BENCH_IS_LIMIT | BENCH_IN_PROCESS));
}

static bool is_sampled(const struct bench_result *result, unsigned int round)
{
	return round < result->rounds && !isnan(result->samples[round]);
}

static bool same_setting(const struct bench_result *a, const struct bench_result *b)
{
	return a->group == b->group && strcmp(a->bench, b->bench) == 0 &&
	       strcmp(a->variant, b->variant) == 0;
}

/* Were both measured in this round, and with the processors at the same distance? */
static bool are_alike(const struct bench_result *a, const struct bench_result *b,
		      unsigned int round)
{
	if (!is_sampled(a, round) || !is_sampled(b, round))
		return false;
	return !a->by_distance || !b->by_distance ||
	       bench_same_distance(a->distances_ns[round], b->distances_ns[round]);
}

/* @own by @other, run by run, where both were measured alike. */
static struct bench_summary ratio_to(const struct bench_result *own,
				     const struct bench_result *other)
{
	double ratios[BENCH_RUNS_MAX];

	for (unsigned int round = 0; round < own->rounds; round++)
		ratios[round] = are_alike(own, other, round)
					? own->samples[round] / other->samples[round]
					: NAN;
	return bench_summarize(ratios, own->rounds);
}

/*
 * By the best of the peers that ran @bench: the one by which the median is worst. Not the best of
 * each run: where the processors were moved, some runs have only slow ones at their distance.
 */
static struct bench_summary ratio_to_best(const struct bench_report *report,
					  const struct bench_result *own, const char *bench,
					  const char **name)
{
	struct bench_summary worst = {0};

	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *peer = &report->results[i];
		struct bench_summary ratio;

		if (!is_peer(peer) || peer->group != own->group ||
		    strcmp(peer->bench, bench) != 0 || strcmp(peer->variant, own->variant) != 0)
			continue;
		ratio = ratio_to(own, peer);
		if (ratio.runs == 0 ||
		    (worst.runs > 0 && (ratio.median < worst.median) != own->higher_is_better))
			continue;
		worst = ratio;
		if (name)
			*name = peer->impl;
	}
	return worst;
}

static struct bench_summary ratio_to_limit(const struct bench_report *report,
					   const struct bench_result *own)
{
	const struct bench_result *limit = NULL;

	for (size_t i = 0; i < report->count && own->limit; i++)
		if (same_setting(&report->results[i], own) &&
		    strcmp(report->results[i].impl, own->limit) == 0)
			limit = &report->results[i];
	return limit && limit != own ? ratio_to(own, limit) : (struct bench_summary){0};
}

static void finish_ages(struct bench_result *result)
{
	if (!result->ages)
		return;
	result->age_count = 0;
	for (unsigned int i = 0; i < BENCH_BUCKETS; i++)
		result->age_count += result->ages[i];
	for (unsigned int i = 0; i < BENCH_PERCENTILES; i++)
		result->percentiles_ns[i] =
			bench_percentile_of(result->ages, result->age_count, percentile_parts[i]);
}

static void find_distances(struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_summary *distance = &report->results[i].distance_ns;

		if (distance->runs == 0)
			continue;
		if (report->nearest_ns == 0 || distance->min < report->nearest_ns)
			report->nearest_ns = distance->min;
		if (distance->max > report->farthest_ns)
			report->farthest_ns = distance->max;
	}
}

void bench_report_finish(struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		struct bench_result *result = &report->results[i];
		bool counts = strcmp(result->unit, "calls/msg") == 0;

		result->value = bench_summarize(result->samples, result->rounds);
		if (result->by_distance)
			result->distance_ns = bench_summarize(result->distances_ns, result->rounds);
		result->cpu_ns = bench_summarize(result->cpu_samples, result->rounds);
		result->sleeps = bench_summarize(result->sleep_samples, result->rounds);
		finish_ages(result);
		if (result->for_comparison || counts)
			continue;
		result->to_limit = ratio_to_limit(report, result);
		if (!(result->flags & BENCH_IS_PEAL))
			continue;
		result->to_best_peer =
			ratio_to_best(report, result, result->bench, &result->best_peer);
		if (strcmp(result->bench, "batch") == 0)
			result->to_best_single = ratio_to_best(report, result, "throughput", NULL);
	}
	find_distances(report);
}

bool bench_same_block(const struct bench_result *a, const struct bench_result *b)
{
	return a->group == b->group && strcmp(a->bench, b->bench) == 0 &&
	       (strcmp(a->variant, b->variant) == 0 || strcmp(a->bench, "capacity") == 0);
}

int bench_by_rank(const void *a, const void *b)
{
	const struct bench_result *x = *(const struct bench_result *const *)a;
	const struct bench_result *y = *(const struct bench_result *const *)b;

	if (!x->value.runs || !y->value.runs)
		return !x->value.runs - !y->value.runs;
	if (x->value.median == y->value.median)
		return 0;
	return (x->value.median > y->value.median) == x->higher_is_better ? -1 : 1;
}

bool bench_is_behind(const struct bench_result *result)
{
	double ratio = result->to_best_peer.median;

	if (result->to_best_peer.runs == 0)
		return false;
	return result->higher_is_better ? ratio < 1 : ratio > 1;
}
