/* SPDX-License-Identifier: MIT */
/*
 * table.c - the results for a terminal: a block for each setting, best first.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "report.h"

struct style {
	const char *peal, *limit, *behind, *title, *end;
};

static const struct style plain = {"", "", "", "", ""};
static const struct style coloured = {"\033[1;32m", "\033[2m", "\033[33m", "\033[1m", "\033[0m"};

static void print_title(FILE *out, const struct bench_result *result, const struct style *style)
{
	/* In the block of capacity, the variants are compared with one another. */
	bool varies = strcmp(result->bench, "capacity") == 0;
	char payload[32];

	fprintf(out, "\n%s%s", style->title, result->bench);
	if (*result->variant && !varies)
		fprintf(out, ", %s", result->variant);
	if (strcmp(result->bench, "spawn") != 0)
		fprintf(out, ", %s, %s",
			bench_format_bytes(payload, sizeof(payload), result->payload),
			result->mode);
	fprintf(out, "%s\n", style->end);
}

static int decimals(double ratio)
{
	return ratio < 0.1 ? 4 : 2;
}

static void print_ratios(FILE *out, const struct bench_result *result)
{
	if (result->to_best_peer.runs)
		fprintf(out, "  %.*f x %s", decimals(result->to_best_peer.median),
			result->to_best_peer.median,
			result->best_peer ? result->best_peer : "best peer");
	if (result->to_best_single.runs)
		fprintf(out, "  %.2f x its one-by-one", result->to_best_single.median);
	if (result->to_limit.runs)
		fprintf(out, "  %.*f x %s", decimals(result->to_limit.median),
			result->to_limit.median, result->limit);
}

static void print_value(FILE *out, const struct bench_result *result)
{
	char median[32], min[32], max[32], range[80];

	if (result->value.runs == 0) {
		fprintf(out, "%-13s%-27s", "void", "");
		return;
	}
	bench_format_value(median, sizeof(median), result->value.median, result->unit);
	bench_format_value(min, sizeof(min), result->value.min, result->unit);
	bench_format_value(max, sizeof(max), result->value.max, result->unit);
	snprintf(range, sizeof(range), "(%s ... %s)", min, max);
	fprintf(out, "%-13s%-27s", median, range);
}

static void print_more(FILE *out, const struct bench_result *result)
{
	char text[32];

	if (*result->detail) {
		fprintf(out, " %s", result->detail);
		return;
	}
	for (unsigned int i = BENCH_P99; result->ages && i < BENCH_PERCENTILES; i++)
		fprintf(out, " %s %-8s", bench_percentile_names[i],
			bench_format_value(text, sizeof(text), result->percentiles_ns[i], "ns"));
	if (result->cpu_ns.runs)
		fprintf(out, " cpu %-8s",
			bench_format_value(text, sizeof(text), result->cpu_ns.median, "ns"));
	if (strcmp(result->unit, "msg/s") == 0 && result->payload >= 256 && result->value.runs &&
	    strcmp(result->bench, "frame") != 0)
		fprintf(out, " %5.1f GB/s", result->value.median * (double)result->payload / 1e9);
}

static void print_result(FILE *out, const struct bench_result *result, const struct style *style)
{
	bool capacity = strcmp(result->bench, "capacity") == 0;
	const char *colour = result->flags & BENCH_IS_PEAL    ? style->peal
			     : result->flags & BENCH_IS_LIMIT ? style->limit
							      : "";

	fprintf(out, "%s  %-28s", colour, capacity ? result->variant : result->name);
	print_value(out, result);
	print_more(out, result);
	fputs(*colour ? style->end : "", out);
	print_ratios(out, result);
	if (bench_is_behind(result))
		fprintf(out, "  %s<- behind%s", style->behind, style->end);
	if (result->flags & BENCH_IN_PROCESS)
		fputs("  threads of one process", out);
	if (result->voided)
		fprintf(out, "  %s%u of %u runs void: %s%s", style->behind, result->voided,
			result->rounds, result->why_void, style->end);
	fputc('\n', out);
}

static int print_blocks(FILE *out, const struct bench_report *report, const struct style *style)
{
	const struct bench_result **block = calloc(report->count, sizeof(const void *));
	bool *printed = calloc(report->count, sizeof(*printed));

	for (size_t i = 0; block && printed && i < report->count; i++) {
		size_t count = 0;

		for (size_t j = i; j < report->count && !printed[i]; j++)
			if (bench_same_block(&report->results[i], &report->results[j]) &&
			    !printed[j] && report->results[j].rounds > 0)
				block[count++] = &report->results[j];
		for (size_t j = 0; j < count; j++)
			printed[block[j] - report->results] = true;
		if (count == 0)
			continue;
		print_title(out, block[0], style);
		qsort((void *)block, count, sizeof(const void *), bench_by_rank);
		for (size_t j = 0; j < count; j++)
			print_result(out, block[j], style);
	}
	free((void *)block);
	free(printed);
	return block && printed ? 0 : -ENOMEM;
}

static void print_machine(FILE *out, const struct bench_report *report, const struct style *style)
{
	const struct bench_machine *machine = &report->machine;
	char l2[32];

	fprintf(out, "Peal %s on %s, %u processors, L2 %s, %s; hypervisor: %s, governor: %s\n",
		machine->version, machine->cpu, machine->cpus,
		bench_format_bytes(l2, sizeof(l2), machine->l2_bytes), machine->kernel,
		machine->hypervisor, machine->governor);
	fprintf(out, "%s; %u runs of %.3g s, medians (least ... greatest); took %.0f s\n",
		machine->compiler, report->rounds, (double)report->duration_ns / 1e9,
		report->seconds);
	fputs("\"x\" are ratios of the values, formed run by run; of a latency, below 1 is better.\n"
	      "cpu: processor time of both sides per message.\n",
	      out);
	if (report->farthest_ns > 1.5 * report->nearest_ns)
		fprintf(out,
			"The host moves the processors: raw round trips took %.0f to %.0f ns. Ratios are "
			"formed of runs at the same distance only; %u runs fell on a move and were "
			"repeated or left out.\n",
			report->nearest_ns, report->farthest_ns, report->moved);
	if (report->disturbed * 10 > report->spinning)
		fprintf(out,
			"%sThis machine was busy: in %u of %u runs that spin, somebody else used the "
			"processors. Do not trust these figures.%s\n",
			style->behind, report->disturbed, report->spinning, style->end);
}

static void print_behind(FILE *out, const struct bench_report *report, const struct style *style)
{
	unsigned int behind = 0, of = 0;

	for (size_t i = 0; i < report->count; i++) {
		of += report->results[i].to_best_peer.runs > 0;
		behind += bench_is_behind(&report->results[i]);
	}
	fprintf(out, "\nPeal is ahead of every other ring in %u of %u settings.\n", of - behind,
		of);
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->results[i];
		char payload[32];

		if (bench_is_behind(result))
			fprintf(out,
				"%s  %s is behind %s at %s%s%s, %s, %s: %.2f x (%.2f ... %.2f)%s\n",
				style->behind, result->name, result->best_peer, result->bench,
				*result->variant ? ", " : "", result->variant,
				bench_format_bytes(payload, sizeof(payload), result->payload),
				result->mode, result->to_best_peer.median, result->to_best_peer.min,
				result->to_best_peer.max, style->end);
	}
}

static void print_missing(FILE *out, const struct bench_report *report)
{
	unsigned int voided = 0;

	for (size_t i = 0; i < report->count; i++)
		voided += report->results[i].voided;
	if (voided)
		fprintf(out, "%u runs were void; see there.\n", voided);
	for (size_t i = 0; report->missing[i]; i++)
		fprintf(out, "%s%s%s",
			i ? ", " : "Not measured, package not installed: ", report->missing[i],
			report->missing[i + 1] ? "" : "\n");
	if (report->interrupted)
		fputs("Interrupted: not everything was measured.\n", out);
}

int bench_write_table(const struct bench_report *report, FILE *out, bool colour)
{
	const struct style *style = colour ? &coloured : &plain;
	int rc;

	print_machine(out, report, style);
	rc = print_blocks(out, report, style);
	print_behind(out, report, style);
	print_missing(out, report);
	return rc == 0 && ferror(out) ? -EIO : rc;
}
