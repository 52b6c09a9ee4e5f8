/* SPDX-License-Identifier: MIT */
/*
 * compare.c - these results by those of an earlier run.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "format.h"
#include "report.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool is_same(const json_t *old, const struct bench_result *result)
{
	return strcmp(text_of(old, "bench"), result->bench) == 0 &&
	       strcmp(text_of(old, "variant"), result->variant) == 0 &&
	       strcmp(text_of(old, "impl"), result->impl) == 0 &&
	       strcmp(text_of(old, "mode"), result->mode) == 0 &&
	       (uint64_t)json_integer_value(json_object_get(old, "payload")) == result->payload;
}

static const json_t *find(const json_t *results, const struct bench_result *result)
{
	for (size_t i = 0; i < json_array_size(results); i++)
		if (is_same(json_array_get(results, i), result))
			return json_array_get(results, i);
	return NULL;
}

static void print_ratio(FILE *out, const char *what, const json_t *old, const char *key,
			const struct bench_summary *now)
{
	const json_t *before = json_object_get(old, key);

	if (now->runs && json_is_number(before))
		fprintf(out, "  %s %.2f -> %.2f", what, json_number_value(before), now->median);
}

static bool print_change(FILE *out, const json_t *old, const struct bench_result *result)
{
	double before = json_number_value(json_object_get(old, "median"));
	char payload[32], was[32], is[32];

	if (!old || before == 0 || result->value.runs == 0)
		return false;
	fprintf(out, "%-11s %-11s %-8s %-6s %-21s %9s -> %-9s %5.2f x", result->bench,
		result->variant, bench_format_bytes(payload, sizeof(payload), result->payload),
		result->mode, result->impl,
		bench_format_value(was, sizeof(was), before, result->unit),
		bench_format_value(is, sizeof(is), result->value.median, result->unit),
		result->value.median / before);
	print_ratio(out, "peers", old, "ratio_to_best_peer", &result->to_best_peer);
	print_ratio(out, "limit", old, "ratio_to_limit", &result->to_limit);
	fputc('\n', out);
	return true;
}

int bench_compare(const struct bench_report *report, const char *old_path, FILE *out)
{
	json_error_t error;
	json_t *old = json_load_file(old_path, 0, &error);
	const json_t *results = json_object_get(old, "results");
	unsigned int same = 0;

	if (!json_is_array(results)) {
		fprintf(stderr, "peal-bench: %s: %s\n", old_path,
			old ? "there are no results in it" : error.text);
		json_decref(old);
		return -EINVAL;
	}
	fprintf(out, "\nBefore (%s) and now:\n", text_of(json_object_get(old, "machine"), "date"));
	for (size_t i = 0; i < report->count; i++)
		same += print_change(out, find(results, &report->results[i]), &report->results[i]);
	if (same == 0)
		fputs("no result is in both\n", out);
	fputs("Machines drift from hour to hour: only the ratios, formed within one run, tell "
	      "whether Peal changed.\n",
	      out);
	json_decref(old);
	return ferror(out) ? -EIO : 0;
}
