/* SPDX-License-Identifier: MIT */
/*
 * json.c - the results for programs.
 *
 * {"machine": {...}, "results": [{"bench", "impl", "mode", "payload", "unit", "median", "min",
 * "max", "runs", "ratio_to_best_peer", "ratio_to_limit", ...}]}
 *
 * A ratio is Peal's value by the other's in the same run, median over the runs: with "better":
 * "higher" more than 1 is better, with "lower" (latencies) less than 1. null: not applicable.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "report.h"

/* null where there is no number, which JSON does not know. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *ratio(const struct bench_summary *summary)
{
	return summary->runs ? number(summary->median) : json_null();
}

static json_t *range(const struct bench_summary *summary)
{
	if (summary->runs == 0)
		return json_null();
	return json_pack("[f, f]", summary->min, summary->max);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *machine_json(const struct bench_report *report)
{
	const struct bench_machine *machine = &report->machine;

	return json_pack("{s:s, s:i, s:[i, i], s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:b,"
			 " s:b, s:f, s:i, s:f, s:i, s:i, s:i}",
			 "cpu", machine->cpu, "cores", (int)machine->cpus, "pinned_to",
			 machine->first_cpu, machine->second_cpu, "kernel", machine->kernel,
			 "governor", machine->governor, "hypervisor", machine->hypervisor,
			 "l1d_bytes", (json_int_t)machine->l1d_bytes, "l2_bytes",
			 (json_int_t)machine->l2_bytes, "l3_bytes", (json_int_t)machine->l3_bytes,
			 "date", machine->date, "peal", machine->version, "compiler",
			 machine->compiler, "quick", report->quick, "interrupted",
			 report->interrupted, "seconds", report->seconds, "runs",
			 (int)report->rounds, "run_seconds", (double)report->duration_ns / 1e9,
			 "spinning_runs", (int)report->spinning, "disturbed_runs",
			 (int)report->disturbed, "moved_runs", (int)report->moved);
}

static json_t *samples_json(const double *values, unsigned int count)
{
	json_t *samples = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(samples, number(values[i]));
	return samples;
}

static json_t *percentiles_json(const struct bench_result *result)
{
	json_t *percentiles;

	if (!result->ages)
		return json_null();
	percentiles = json_object();
	for (unsigned int i = 0; i < BENCH_PERCENTILES; i++)
		json_object_set_new(percentiles, bench_percentile_names[i],
				    number(result->percentiles_ns[i]));
	return percentiles;
}

static const char *kind_of(const struct bench_result *result)
{
	if (result->flags & BENCH_IS_PEAL)
		return result->for_comparison ? "peal for comparison" : "peal";
	if (result->flags & BENCH_IS_LIMIT)
		return "limit";
	return result->flags & BENCH_IN_PROCESS ? "peer in one process" : "peer";
}

static json_t *result_json(const struct bench_result *result)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:i, s:o, s:o}", "bench", result->bench,
		"impl", result->impl, "mode", result->mode, "payload", (json_int_t)result->payload,
		"unit", result->unit, "median", ratio(&result->value), "min",
		result->value.runs ? number(result->value.min) : json_null(), "max",
		result->value.runs ? number(result->value.max) : json_null(), "runs",
		(int)result->value.runs, "ratio_to_best_peer", ratio(&result->to_best_peer),
		"ratio_to_limit", ratio(&result->to_limit));
	json_t *more = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s, s:s, s:o}",
		"variant", result->variant, "name", result->name, "how", result->how, "kind",
		kind_of(result), "better", result->higher_is_better ? "higher" : "lower", "cpus",
		result->cpus, "best_peer", text_or_null(result->best_peer), "limit",
		text_or_null(result->to_limit.runs ? result->limit : NULL),
		"ratio_to_best_peer_range", range(&result->to_best_peer), "ratio_to_limit_range",
		range(&result->to_limit), "ratio_to_best_peer_one_by_one",
		ratio(&result->to_best_single), "cpu_ns_per_message", ratio(&result->cpu_ns),
		"sleeps_per_message", ratio(&result->sleeps), "samples",
		samples_json(result->samples, result->rounds), "distances_ns",
		samples_json(result->distances_ns, result->by_distance ? result->rounds : 0),
		"void_runs", (int)result->voided, "why_void", result->why_void, "detail",
		result->detail, "percentiles_ns", percentiles_json(result));

	if (json && more)
		json_object_update(json, more);
	json_decref(more);
	return json;
}

int bench_write_json(const struct bench_report *report, FILE *out)
{
	json_t *results = json_array(), *all;
	int rc = 0;

	for (size_t i = 0; i < report->count; i++)
		if (report->results[i].rounds > 0 &&
		    json_array_append_new(results, result_json(&report->results[i])) < 0)
			rc = -ENOMEM;
	all = json_pack("{s:o, s:o}", "machine", machine_json(report), "results", results);
	if (!all)
		return -ENOMEM;
	if (rc == 0 && json_dumpf(all, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0)
		rc = -EIO;
	if (rc == 0 && fputc('\n', out) == EOF)
		rc = -EIO;
	json_decref(all);
	return rc;
}
