/* SPDX-License-Identifier: MIT */
/*
 * html-summary.c - where Peal leads, and where it loses. All of it comes from the ratios.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "plan.h"
#include "svg.h"

/* Of one bench. */
struct standing {
	unsigned int compared, ahead;
	double least, greatest;             /* times as fast as the best other ring */
	double limit_least, limit_greatest; /* the same of the limit; NAN: there is none */
};

static bool is_compared(const struct bench_result *result)
{
	return result->to_best_peer.runs > 0;
}

/* Better in one run and worse in another. */
static bool is_open(const struct bench_result *result)
{
	return result->to_best_peer.min < 1 && result->to_best_peer.max > 1;
}

static struct standing standing_in(const struct bench_report *report, const char *bench)
{
	struct standing standing = {
		.least = NAN, .greatest = NAN, .limit_least = NAN, .limit_greatest = NAN};

	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->results[i];
		struct bench_summary speed = bench_speed(result, &result->to_best_peer);
		struct bench_summary share = bench_speed(result, &result->to_limit);

		if (strcmp(result->bench, bench) != 0 || !(result->flags & BENCH_IS_PEAL))
			continue;
		if (is_compared(result)) {
			standing.compared++;
			standing.ahead += !bench_is_behind(result);
			standing.least = fmin(standing.least, speed.median);
			standing.greatest = fmax(standing.greatest, speed.median);
		}
		if (share.runs) {
			standing.limit_least = fmin(standing.limit_least, share.median);
			standing.limit_greatest = fmax(standing.limit_greatest, share.median);
		}
	}
	return standing;
}

static void write_range(FILE *out, double least, double greatest)
{
	char low[40], high[40];

	if (isnan(least)) {
		fputs("<td>–</td>", out);
		return;
	}
	svg_value(low, sizeof(low), least, "x");
	svg_value(high, sizeof(high), greatest, "x");
	if (strcmp(low, high) == 0)
		fprintf(out, "<td>%s</td>", low);
	else
		fprintf(out, "<td>%s – %s</td>", low, high);
}

static void write_standings(FILE *out, const struct bench_report *report)
{
	fputs("<div class=\"scroll\" tabindex=\"0\"><table class=\"standings\">\n<thead><tr>"
	      "<th scope=\"col\">Bench</th><th scope=\"col\">Peal ahead in</th>"
	      "<th scope=\"col\">× the best other ring</th><th scope=\"col\">× the limit</th>"
	      "</tr></thead>\n<tbody>\n",
	      out);
	for (size_t i = 0; bench_names[i]; i++) {
		struct standing standing = standing_in(report, bench_names[i]);

		if (standing.compared == 0 && isnan(standing.limit_least))
			continue;
		fprintf(out, "<tr><th scope=\"row\"><a href=\"#%s\">%s</a></th>", bench_names[i],
			bench_names[i]);
		if (standing.compared)
			fprintf(out, "<td%s>%u of %u</td>",
				standing.ahead < standing.compared ? " class=\"loses\"" : "",
				standing.ahead, standing.compared);
		else
			fputs("<td>–</td>", out);
		write_range(out, standing.least, standing.greatest);
		write_range(out, standing.limit_least, standing.limit_greatest);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n"
	      "<p class=\"note\">Speed: of a latency, its inverse, so more than 1× is better everywhere. "
	      "Medians of the settings, from the worst to the best.</p>\n",
	      out);
}

static void write_loss(FILE *out, const struct bench_result *result)
{
	struct bench_summary speed = bench_speed(result, &result->to_best_peer);
	char setting[96];

	bench_describe_setting(setting, sizeof(setting), result);
	fprintf(out, "<li><a href=\"#%s\">%s</a>, ", result->bench, result->bench);
	svg_text(out, setting);
	if (strcmp(result->impl, "peal") != 0) {
		fputs(", ", out);
		svg_text(out, result->name);
	}
	fprintf(out, ": <strong>%.2f×</strong> as fast as ", speed.median);
	svg_text(out, result->best_peer ? result->best_peer : "the best other ring");
	fprintf(out, " (%.2f to %.2f)</li>\n", speed.min, speed.max);
}

static void write_losses(FILE *out, const struct bench_report *report, size_t behind)
{
	if (behind == 0) {
		fputs("<p>It is behind in none.</p>\n", out);
		return;
	}
	fputs("<h3>Where it loses</h3>\n<ul class=\"losses\">\n", out);
	for (size_t i = 0; i < report->count; i++)
		if (bench_is_behind(&report->results[i]))
			write_loss(out, &report->results[i]);
	fputs("</ul>\n", out);
}

/* A plot for each bench, all on the same axis. */
static void write_leads(FILE *out, const struct bench_report *report,
			const struct bench_result **leads)
{
	double least = INFINITY, greatest = 0;

	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->results[i];
		struct bench_summary speed = bench_speed(result, &result->to_best_peer);

		if (!is_compared(result))
			continue;
		least = fmin(least, speed.min);
		greatest = fmax(greatest, speed.max);
	}
	fputs("<h3>Times as fast as the best other ring of the same run</h3>\n"
	      "<div class=\"leads\">\n",
	      out);
	for (size_t i = 0; bench_names[i]; i++) {
		size_t count = 0;

		for (size_t j = 0; j < report->count; j++)
			if (is_compared(&report->results[j]) &&
			    strcmp(report->results[j].bench, bench_names[i]) == 0)
				leads[count++] = &report->results[j];
		if (count == 0)
			continue;
		fprintf(out, "<figure><figcaption><a href=\"#%s\">%s</a></figcaption>\n",
			bench_names[i], bench_names[i]);
		bench_plot_leads(out, leads, count, least, greatest, bench_names[i]);
		fputs("</figure>\n", out);
	}
	fputs("</div>\n", out);
}

int bench_html_summary(FILE *out, const struct bench_report *report)
{
	const struct bench_result **leads = calloc(report->count, sizeof(const void *));
	size_t compared = 0, behind = 0, open = 0;

	if (!leads)
		return -ENOMEM;
	for (size_t i = 0; i < report->count; i++) {
		compared += is_compared(&report->results[i]);
		behind += bench_is_behind(&report->results[i]);
		open += is_compared(&report->results[i]) && is_open(&report->results[i]);
	}
	fputs("<section><h2>Where Peal leads, where it loses</h2>\n", out);
	if (compared) {
		fprintf(out,
			"<p class=\"verdict\">Peal is ahead of every other ring in <strong>%zu of %zu</strong> "
			"settings",
			compared - behind, compared);
		if (open)
			fprintf(out,
				"; in %zu of these %zu, some runs say otherwise than the median",
				open, compared);
		fputs(".</p>\n", out);
	} else {
		fputs("<p class=\"verdict\">No other ring was measured, so Peal leads nobody here.</p>\n",
		      out);
	}
	fputs("<div class=\"halves\"><div>\n", out);
	write_standings(out, report);
	fputs("</div><div>\n", out);
	if (compared)
		write_losses(out, report, behind);
	fputs("</div></div>\n", out);
	if (compared)
		write_leads(out, report, leads);
	fputs("</section>\n", out);
	free((void *)leads);
	return 0;
}
