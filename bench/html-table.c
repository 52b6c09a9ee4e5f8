/* SPDX-License-Identifier: MIT */
/*
 * html-table.c - the exact numbers.
 */
#include <math.h>
#include <string.h>

#include "html.h"
#include "svg.h"

/* Which columns a bench needs. */
struct columns {
	bool range, bytes, percentiles, cpu, sleeps, ratios, single, detail;
	unsigned int count;
};

static struct columns columns_of(const struct bench_block *blocks, size_t count)
{
	struct columns columns = {.range = false};

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < blocks[i].count; j++) {
			const struct bench_result *row = blocks[i].rows[j];

			columns.range |= row->value.runs > 1;
			columns.bytes |= strcmp(row->unit, "msg/s") == 0 && row->payload >= 256 &&
					 strcmp(row->bench, "frame") != 0;
			columns.percentiles |= row->ages && !*row->detail;
			columns.cpu |= row->cpu_ns.runs > 0 && !*row->detail;
			columns.sleeps |= row->sleeps.runs > 0 && strcmp(row->mode, "block") == 0;
			columns.ratios |= row->to_best_peer.runs || row->to_limit.runs;
			columns.single |= row->to_best_single.runs > 0;
			columns.detail |= *row->detail != 0;
		}
	}
	columns.count = 2 + (columns.range ? 2 : 0) + columns.bytes +
			(columns.percentiles ? BENCH_PERCENTILES : 0) + columns.cpu +
			columns.sleeps + (columns.ratios ? 2 : 0) + columns.single + columns.detail;
	return columns;
}

static void head(FILE *out, const char *title, const char *text)
{
	fprintf(out, "<th scope=\"col\" title=\"%s\">%s</th>", title, text);
}

static void write_heads(FILE *out, const struct columns *columns)
{
	fputs("<thead><tr><th scope=\"col\">Implementation</th>", out);
	head(out, "of all runs", "Median");
	if (columns->range) {
		head(out, "of all runs", "Least");
		head(out, "of all runs", "Greatest");
	}
	if (columns->bytes)
		head(out, "payload, median", "GB/s");
	for (unsigned int i = 0; columns->percentiles && i < BENCH_PERCENTILES; i++)
		head(out, "of the messages of all runs", bench_percentile_names[i]);
	if (columns->cpu)
		head(out, "processor time of both sides per message", "CPU");
	if (columns->sleeps)
		head(out, "voluntary context switches of both sides per message", "Sleeps");
	if (columns->ratios) {
		head(out,
		     "value by that of the best other ring of the same run; of a latency, "
		     "less than 1 is better",
		     "By best ring");
		head(out, "value by that of the limit in the same run", "By limit");
	}
	if (columns->single)
		head(out, "by the best other ring that hands over one by one", "By one-by-one");
	if (columns->detail)
		head(out, "system calls per message", "Calls");
	fputs("</tr></thead>\n", out);
}

static void cell(FILE *out, double value, const char *unit)
{
	char text[40];

	fprintf(out, "<td>%s</td>", svg_value_long(text, sizeof(text), value, unit));
}

static void write_ratio(FILE *out, const struct bench_summary *ratio, const char *other)
{
	if (ratio->runs == 0) {
		fputs("<td></td>", out);
		return;
	}
	fprintf(out, "<td>%.*f×", ratio->median < 0.1 ? 4 : 2, ratio->median);
	if (other) {
		fputc(' ', out);
		svg_text(out, other);
	}
	if (ratio->runs > 1)
		fprintf(out, " <small>%.2f – %.2f</small>", ratio->min, ratio->max);
	fputs("</td>", out);
}

/* Also why a value is to be read with care. */
static void write_name(FILE *out, const struct bench_result *row)
{
	fprintf(out, "<tr class=\"%s\"><th scope=\"row\">", bench_class_of(row));
	svg_text(out, strcmp(row->bench, "capacity") == 0 ? row->variant : row->name);
	if (bench_is_behind(row))
		fputs(" <em>behind</em>", out);
	if (row->flags & BENCH_IN_PROCESS && !strstr(row->name, "threads"))
		fputs(" <small>threads of one process</small>", out);
	if (row->voided) {
		fprintf(out, " <em class=\"void\">%u of %u runs void: ", row->voided, row->rounds);
		svg_text(out, row->why_void);
		fputs("</em>", out);
	}
	fputs("</th>", out);
}

static void write_row(FILE *out, const struct bench_result *row, const struct columns *columns)
{
	bool bytes = strcmp(row->unit, "msg/s") == 0 && row->payload >= 256;

	write_name(out, row);
	if (row->value.runs == 0) {
		fprintf(out, "<td colspan=\"%u\">void</td></tr>\n", columns->count - 1);
		return;
	}
	cell(out, row->value.median, row->unit);
	if (columns->range) {
		cell(out, row->value.min, row->unit);
		cell(out, row->value.max, row->unit);
	}
	if (columns->bytes)
		cell(out, bytes ? row->value.median * (double)row->payload / 1e9 : NAN, "GB/s");
	for (unsigned int i = 0; columns->percentiles && i < BENCH_PERCENTILES; i++)
		cell(out, row->ages ? row->percentiles_ns[i] : NAN, "ns");
	if (columns->cpu)
		cell(out, row->cpu_ns.runs ? row->cpu_ns.median : NAN, "ns");
	if (columns->sleeps)
		cell(out,
		     row->sleeps.runs && strcmp(row->mode, "block") == 0 ? row->sleeps.median : NAN,
		     "");
	if (columns->ratios) {
		write_ratio(out, &row->to_best_peer, row->best_peer);
		write_ratio(out, &row->to_limit, row->limit);
	}
	if (columns->single)
		write_ratio(out, &row->to_best_single, NULL);
	if (columns->detail) {
		fputs("<td class=\"words\">", out);
		svg_text(out, row->detail);
		fputs("</td>", out);
	}
	fputs("</tr>\n", out);
}

void bench_html_table(FILE *out, const struct bench_block *blocks, size_t count)
{
	struct columns columns = columns_of(blocks, count);
	char setting[96];

	fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n", out);
	write_heads(out, &columns);
	for (size_t i = 0; i < count; i++) {
		bench_describe_setting(setting, sizeof(setting), blocks[i].rows[0]);
		fprintf(out, "<tbody><tr><th class=\"setting\" scope=\"rowgroup\" colspan=\"%u\">",
			columns.count);
		svg_text(out, setting);
		fputs("</th></tr>\n", out);
		for (size_t j = 0; j < blocks[i].count; j++)
			write_row(out, blocks[i].rows[j], &columns);
		fputs("</tbody>\n", out);
	}
	fputs("</table></div>\n", out);
}

static bool is_first_of_impl(const struct bench_report *report, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(report->results[i].impl, report->results[index].impl) == 0 &&
		    report->results[i].rounds > 0)
			return false;
	return report->results[index].rounds > 0;
}

void bench_html_implementations(FILE *out, const struct bench_report *report)
{
	fputs("<section><h2>Implementations</h2>\n<div class=\"scroll\" tabindex=\"0\"><table>\n"
	      "<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">In short</th>"
	      "<th class=\"words\" scope=\"col\">How it is used</th></tr></thead>\n<tbody>\n",
	      out);
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *row = &report->results[i];

		if (!is_first_of_impl(report, i))
			continue;
		fprintf(out, "<tr class=\"%s\"><th scope=\"row\">", bench_class_of(row));
		svg_text(out, row->name);
		fputs("</th><td>", out);
		svg_text(out, row->impl);
		fputs("</td><td class=\"words\">", out);
		svg_text(out, row->how);
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
	if (report->missing[0])
		fputs("<p>Not measured, because the package is not installed: ", out);
	for (size_t i = 0; report->missing[i]; i++) {
		fputs(i ? ", " : "", out);
		svg_text(out, report->missing[i]);
	}
	fputs(report->missing[0] ? ".</p>\n</section>\n" : "</section>\n", out);
}
