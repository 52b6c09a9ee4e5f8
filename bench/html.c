/* SPDX-License-Identifier: MIT */
/*
 * html.c - the results for a browser: one page that needs nothing else, and no script.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "html.h"
#include "plan.h"
#include "svg.h"

/* All settings, in the order in which they were measured. */
struct page {
	const struct bench_report *report;
	const struct bench_result **rows; /* [report->count], block after block */
	struct bench_block *blocks;       /* [report->count] */
	size_t count;
};

static int page_make(struct page *page, const struct bench_report *report)
{
	const struct bench_result **next;
	bool *taken = calloc(report->count, sizeof(*taken));

	page->report = report;
	page->rows = next = calloc(report->count, sizeof(const void *));
	page->blocks = calloc(report->count, sizeof(*page->blocks));
	for (size_t i = 0; taken && page->rows && page->blocks && i < report->count; i++) {
		struct bench_block block = {.rows = next};

		for (size_t j = i; j < report->count && !taken[i]; j++) {
			if (taken[j] || report->results[j].rounds == 0 ||
			    !bench_same_block(&report->results[i], &report->results[j]))
				continue;
			block.rows[block.count++] = &report->results[j];
		}
		for (size_t j = 0; j < block.count; j++)
			taken[block.rows[j] - report->results] = true;
		if (block.count == 0)
			continue;
		/* By size of the ring, not by rank. */
		if (strcmp(block.rows[0]->bench, "capacity") != 0)
			qsort((void *)block.rows, block.count, sizeof(const void *), bench_by_rank);
		page->blocks[page->count++] = block;
		next += block.count;
	}
	free(taken);
	return taken && page->rows && page->blocks ? 0 : -ENOMEM;
}

static void page_free(struct page *page)
{
	free((void *)page->rows);
	free(page->blocks);
}

static void fact(FILE *out, const char *name, const char *value)
{
	fprintf(out, "<div><dt>%s</dt><dd>", name);
	svg_text(out, value);
	fputs("</dd></div>\n", out);
}

static void write_machine(FILE *out, const struct bench_report *report)
{
	const struct bench_machine *machine = &report->machine;
	char l1[32], l2[32], l3[32], text[256];

	fputs("<dl class=\"facts\">\n", out);
	fact(out, "Processor", machine->cpu);
	snprintf(text, sizeof(text),
		 machine->second_cpu < 0 ? "%u; pinned to %d" : "%u; pinned to %d and %d",
		 machine->cpus, machine->first_cpu, machine->second_cpu);
	fact(out, "Processors", text);
	snprintf(text, sizeof(text), "L1d %s, L2 %s, L3 %s",
		 machine->l1d_bytes ? bench_format_bytes(l1, sizeof(l1), machine->l1d_bytes) : "?",
		 machine->l2_bytes ? bench_format_bytes(l2, sizeof(l2), machine->l2_bytes) : "?",
		 machine->l3_bytes ? bench_format_bytes(l3, sizeof(l3), machine->l3_bytes) : "?");
	fact(out, "Caches", text);
	fact(out, "Kernel", machine->kernel);
	snprintf(text, sizeof(text), "%s; frequency governor: %s", machine->hypervisor,
		 machine->governor);
	fact(out, "Hypervisor", text);
	fact(out, "Compiler", machine->compiler);
	snprintf(text, sizeof(text), "%s, took %.0f s", machine->date, report->seconds);
	fact(out, "Measured", text);
	fputs("</dl>\n", out);
}

static void write_warnings(FILE *out, const struct bench_report *report)
{
	unsigned int voided = 0;

	for (size_t i = 0; i < report->count; i++)
		voided += report->results[i].voided;
	if (report->farthest_ns > 1.5 * report->nearest_ns)
		fprintf(out,
			"<p class=\"warning\"><strong>The host moves the processors.</strong> Raw round "
			"trips between the two took %.0f to %.0f ns. Ratios are formed of runs at the same "
			"distance only; medians, least and greatest values are of all.</p>\n",
			report->nearest_ns, report->farthest_ns);
	if (report->disturbed * 10 > report->spinning)
		fprintf(out,
			"<p class=\"warning\"><strong>This machine was busy.</strong> In %u of %u runs that "
			"spin, somebody else used the processors. Do not trust these figures.</p>\n",
			report->disturbed, report->spinning);
	if (report->interrupted)
		fputs("<p class=\"warning\"><strong>Interrupted.</strong> Not everything was "
		      "measured.</p>\n",
		      out);
	if (voided)
		fprintf(out,
			"<p class=\"warning\"><strong>%u runs were void.</strong> The tables tell which "
			"and why; they count nowhere.</p>\n",
			voided);
}

/* Four sentences. */
static void write_method(FILE *out, const struct bench_report *report)
{
	fputs("<p class=\"method\">Two processes, each on a processor of its own unless it says otherwise, "
	      "hand messages to one another: the sender fills every payload, the receiver reads and "
	      "checks it, in every implementation alike. ",
	      out);
	fprintf(out,
		"Each setting was run %u %s of %.3g s%s, the implementations taking turns; a mark is the "
		"median, the line through it goes from the least to the greatest run. ",
		report->rounds, report->rounds == 1 ? "time" : "times",
		(double)report->duration_ns / 1e9, report->quick ? " (a quick run)" : "");
	fputs("Machines drift, so ratios are formed within one round, and only like is compared with "
	      "like: what spins with what spins, one by one with one by one. "
	      "Limits are no rings but what this machine can do at most, with no protocol at all "
	      "or with the bare system calls.</p>\n",
	      out);
}

static void write_legend(FILE *out)
{
	static const struct {
		const char *class, *shape, *text;
	} signs[] = {
		{"peal", "<circle class=\"mark\" cx=\"8\" cy=\"8\" r=\"5.5\"/>", "Peal"},
		{"peal aside", "<circle class=\"mark\" cx=\"8\" cy=\"8\" r=\"4\"/>",
		 "Peal, for comparison only"},
		{"peer", "<circle class=\"mark\" cx=\"8\" cy=\"8\" r=\"4\"/>", "other ring"},
		{"thread", "<rect class=\"mark\" x=\"4.5\" y=\"4.5\" width=\"7\" height=\"7\"/>",
		 "threads of one process"},
		{"limit", "<path class=\"mark\" d=\"M8 3l5 5-5 5-5-5z\"/>", "limit of the machine"},
	};

	fputs("<ul class=\"legend\">\n", out);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		fprintf(out,
			"<li><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><g class=\"%s\">%s</g></svg>"
			"%s</li>\n",
			signs[i].class, signs[i].shape, signs[i].text);
	fputs("<li><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path class=\"bound\" "
	      "d=\"M8 0V16\"/></svg>the limit that Peal is held against</li>\n</ul>\n"
	      "<p class=\"note\">All plots are logarithmic, each with an axis of its own.</p>\n",
	      out);
}

/* Counts, and what is measured for Peal alone, need no plot. */
static bool is_plotted(const char *bench)
{
	static const char *const tables[] = {"capacity", "spawn", "awake", "asleep"};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(bench, tables[i]) == 0)
			return false;
	return true;
}

static void write_figure(FILE *out, const struct bench_block *block)
{
	const struct bench_result *first = block->rows[0];
	char setting[96], title[128];

	bench_describe_setting(setting, sizeof(setting), first);
	snprintf(title, sizeof(title), "%s, %s", first->bench, setting);
	fputs("<figure><figcaption>", out);
	svg_text(out, setting);
	fputs("</figcaption>\n", out);
	if (strcmp(first->bench, "openloop") == 0)
		bench_plot_curves(out, block, title);
	else
		bench_plot_dots(out, block, title);
	fputs("</figure>\n", out);
}

/* In one sentence; that of --list begins small. */
static void write_explanation(FILE *out, const char *text)
{
	char first[2] = {*text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text, 0};

	fputs("<p>", out);
	svg_text(out, first);
	svg_text(out, *text ? text + 1 : "");
	fputs(".</p>\n", out);
}

static void write_bench(FILE *out, const struct page *page, const char *bench,
			const char *explanation, struct bench_block *blocks)
{
	bool plotted = is_plotted(bench);
	size_t count = 0;

	for (size_t i = 0; i < page->count; i++)
		if (strcmp(page->blocks[i].rows[0]->bench, bench) == 0)
			blocks[count++] = page->blocks[i];
	if (count == 0)
		return;
	fprintf(out, "<section id=\"%s\"><h2>%s</h2>\n", bench, bench);
	write_explanation(out, explanation);
	if (plotted)
		fputs("<div class=\"plots\">\n", out);
	for (size_t i = 0; plotted && i < count; i++)
		write_figure(out, &blocks[i]);
	if (plotted)
		fputs("</div>\n<details><summary>The numbers</summary>\n", out);
	bench_html_table(out, blocks, count);
	fputs(plotted ? "</details>\n</section>\n" : "</section>\n", out);
}

static int write_body(FILE *out, const struct page *page)
{
	struct bench_block *blocks = calloc(page->count + 1, sizeof(*blocks));
	int rc = blocks ? 0 : -ENOMEM;

	fputs("<header><h1>Peal ", out);
	svg_text(out, page->report->machine.version);
	fputs(", measured</h1>\n", out);
	write_method(out, page->report);
	write_warnings(out, page->report);
	write_machine(out, page->report);
	fputs("</header>\n<main>\n", out);
	if (rc == 0)
		rc = bench_html_summary(out, page->report);
	write_legend(out);
	for (size_t i = 0; rc == 0 && bench_names[i]; i++)
		write_bench(out, page, bench_names[i], bench_explanations[i], blocks);
	bench_html_implementations(out, page->report);
	fputs("</main>\n", out);
	free(blocks);
	return rc;
}

int bench_write_html(const struct bench_report *report, FILE *out)
{
	struct page page = {.count = 0};
	int rc = page_make(&page, report);

	if (rc == 0) {
		fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Peal ",
		      out);
		svg_text(out, report->machine.version);
		fputs(", measured</title>\n<style>\n", out);
		fputs(bench_html_style, out);
		fputs("</style>\n</head>\n<body>\n", out);
		rc = write_body(out, &page);
		fputs("</body>\n</html>\n", out);
	}
	page_free(&page);
	return rc == 0 && ferror(out) ? -EIO : rc;
}
