/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "plot.h"
#include "svg.h"

/* In units of the picture, which are about pixels. */
#define WIDTH  400.0
#define ROW    20.0
#define AXIS   36.0
#define LEFT   162.0 /* of the plot itself: before it come the names, */
#define RIGHT  334.0 /* and after it the values */
#define NAME_W 150.0

/* Leads have shorter names, and after the value whom it is about. */
#define LEAD_LEFT  134.0
#define LEAD_RIGHT 262.0
#define LEAD_VALUE 314.0

struct bench_shown bench_shown_as(const struct bench_result *result)
{
	/* Of a large message people ask for bytes, unless nobody touches them. */
	if (strcmp(result->unit, "msg/s") == 0 && result->payload >= 4096 &&
	    strcmp(result->bench, "frame") != 0)
		return (struct bench_shown){"GB/s", (double)result->payload / 1e9};
	return (struct bench_shown){result->unit, 1};
}

struct bench_summary bench_speed(const struct bench_result *result,
				 const struct bench_summary *ratio)
{
	if (result->higher_is_better || ratio->runs == 0)
		return *ratio;
	return (struct bench_summary){
		.median = 1 / ratio->median,
		.min = 1 / ratio->max,
		.max = 1 / ratio->min,
		.runs = ratio->runs,
	};
}

char *bench_describe_setting(char *text, size_t size, const struct bench_result *result)
{
	char payload[32];
	bool capacity = strcmp(result->bench, "capacity") == 0;

	if (strcmp(result->bench, "spawn") == 0) {
		snprintf(text, size, "first message");
		return text;
	}
	snprintf(text, size, "%s%s%s, %s", capacity ? "" : result->variant,
		 *result->variant && !capacity ? ", " : "",
		 bench_format_bytes(payload, sizeof(payload), result->payload),
		 strcmp(result->mode, "spin") == 0 ? "spinning" : "blocking");
	return svg_micro(text, size);
}

const char *bench_class_of(const struct bench_result *result)
{
	if (result->flags & BENCH_IS_PEAL)
		return result->for_comparison ? "peal aside" : "peal";
	if (result->flags & BENCH_IS_LIMIT)
		return "limit";
	return result->flags & BENCH_IN_PROCESS ? "thread" : "peer";
}

static void begin(FILE *out, double height, const char *title, const char *description)
{
	fprintf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", WIDTH, height);
	svg_text(out, title);
	fputs("\"><title>", out);
	svg_text(out, title);
	fputs("</title><desc>", out);
	svg_text(out, description);
	fputs("</desc>\n", out);
}

/* Long names are pressed together: the reader's font is unknown, and may be a wide one. */
static void label(FILE *out, double x, double y, double width, const char *text)
{
	fprintf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\"", x, y);
	if ((double)strlen(text) * 6.2 > width)
		fprintf(out, " textLength=\"%g\" lengthAdjust=\"spacingAndGlyphs\"", width);
	fputs(">", out);
	svg_text(out, text);
	fputs("</text>", out);
}

/* Below the rows: ticks with lines through all rows, and what it is that they count. */
static void draw_x_axis(FILE *out, const struct svg_scale *scale, double bottom, const char *unit,
			const char *caption)
{
	double ticks[SVG_TICKS_MAX];
	size_t count = svg_ticks(scale, 38, ticks);
	char text[32];

	for (size_t i = 0; i < count; i++) {
		double x = svg_at(scale, ticks[i]);

		fprintf(out,
			"<path class=\"grid\" d=\"M%.1f 4V%.1f\"/><text class=\"tick\" x=\"%.1f\" "
			"y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			x, bottom + 3, x, bottom + 15,
			svg_tick(text, sizeof(text), ticks[i], unit));
	}
	if (*caption)
		fprintf(out,
			"<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			(scale->from + scale->to) / 2, bottom + 30, caption);
}

static void draw_whisker(FILE *out, const struct svg_scale *scale, double y, double min, double max)
{
	double from = svg_at(scale, min), to = svg_at(scale, max);

	/* Shorter than the mark of the median, it would only be dirt. */
	if (to - from > 3)
		fprintf(out,
			"<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6\"/>",
			from, y, to, from, y - 3, to, y - 3);
}

static void draw_mark(FILE *out, const char *class, double x, double y)
{
	if (strcmp(class, "limit") == 0)
		fprintf(out, "<path class=\"mark\" d=\"M%.1f %.1fl5 5-5 5-5-5z\"/>", x, y - 5);
	else if (strcmp(class, "thread") == 0)
		fprintf(out,
			"<rect class=\"mark\" x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\"/>",
			x - 3.5, y - 3.5);
	else
		fprintf(out, "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>", x, y,
			strcmp(class, "peal") == 0 ? "5.5" : "4");
}

static void draw_value(FILE *out, double y, const char *text)
{
	fprintf(out, "<text class=\"value\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
		WIDTH - 2, y + 4, text);
}

static void draw_result(FILE *out, const struct bench_result *result, const struct svg_scale *scale,
			double y)
{
	struct bench_shown shown = bench_shown_as(result);
	const char *class = bench_class_of(result);
	char median[40], min[40], max[40];

	fprintf(out, "<g class=\"%s\"><title>", class);
	svg_text(out, result->name);
	if (result->value.runs)
		fprintf(out, ": %s (%s to %s)",
			svg_value_long(median, sizeof(median), result->value.median * shown.factor,
				       shown.unit),
			svg_value_long(min, sizeof(min), result->value.min * shown.factor,
				       shown.unit),
			svg_value_long(max, sizeof(max), result->value.max * shown.factor,
				       shown.unit));
	else
		fputs(": void", out);
	fputs("</title>", out);
	label(out, 4, y + 4, NAME_W, result->name);
	if (result->value.runs) {
		draw_whisker(out, scale, y, result->value.min * shown.factor,
			     result->value.max * shown.factor);
		draw_mark(out, class, svg_at(scale, result->value.median * shown.factor), y);
	}
	draw_value(out, y,
		   result->value.runs ? svg_value(median, sizeof(median),
						  result->value.median * shown.factor, shown.unit)
				      : "void");
	fputs("</g>\n", out);
}

/* Behind everything else, the rows that the page is about. */
static void draw_tints(FILE *out, const struct bench_block *block)
{
	for (size_t i = 0; i < block->count; i++)
		if (strcmp(bench_class_of(block->rows[i]), "peal") == 0)
			fprintf(out,
				"<rect class=\"own\" x=\"0\" y=\"%g\" width=\"%g\" height=\"%g\" rx=\"3\"/>\n",
				4 + ROW * (double)i, WIDTH, ROW);
}

static struct svg_scale scale_of(const struct bench_block *block)
{
	struct bench_shown shown = bench_shown_as(block->rows[0]);
	double low = INFINITY, high = 0;

	for (size_t i = 0; i < block->count; i++) {
		const struct bench_summary *value = &block->rows[i]->value;

		if (value->runs && value->min > 0)
			low = fmin(low, value->min * shown.factor);
		if (value->runs)
			high = fmax(high, value->max * shown.factor);
	}
	return svg_scale_make(low, high, LEFT, RIGHT);
}

/* What the machine itself does, through all rows. */
static void draw_limit_line(FILE *out, const struct bench_block *block,
			    const struct svg_scale *scale, double bottom)
{
	const char *limit = NULL;

	for (size_t i = 0; i < block->count && !limit; i++)
		if (strcmp(block->rows[i]->impl, "peal") == 0)
			limit = block->rows[i]->limit;
	for (size_t i = 0; limit && i < block->count; i++) {
		const struct bench_result *row = block->rows[i];

		if (strcmp(row->impl, limit) == 0 && row->value.runs)
			fprintf(out, "<path class=\"bound\" d=\"M%.1f 4V%.1f\"/>\n",
				svg_at(scale, row->value.median * bench_shown_as(row).factor),
				bottom);
	}
}

void bench_plot_dots(FILE *out, const struct bench_block *block, const char *title)
{
	const struct bench_result *first = block->rows[0];
	const char *unit = bench_shown_as(first).unit;
	struct svg_scale scale = scale_of(block);
	double bottom = 4 + ROW * (double)block->count;
	char caption[80], about[160];

	snprintf(about, sizeof(about),
		 "A row for each implementation, best first; the numbers are in the table of %s.",
		 first->bench);
	begin(out, bottom + AXIS, title, about);
	snprintf(caption, sizeof(caption), "%s · %s is better",
		 strcmp(unit, "msg/s") == 0          ? "messages/s"
		 : strcmp(unit, "GB/s") == 0         ? "payload, GB/s"
		 : strcmp(first->bench, "wake") == 0 ? "age on arrival"
						     : "round trip",
		 first->higher_is_better ? "more" : "less");
	draw_tints(out, block);
	draw_x_axis(out, &scale, bottom, unit, caption);
	draw_limit_line(out, block, &scale, bottom);
	for (size_t i = 0; i < block->count; i++)
		draw_result(out, block->rows[i], &scale, 4 + ROW * ((double)i + 0.5));
	fputs("</svg>\n", out);
}

/* As short as can be: which bench it is stands above. */
static void describe_lead(char *text, size_t size, const struct bench_result *result)
{
	/* "Peal, eventfd": what comes after Peal. */
	const char *kind = strchr(result->name, ',');
	char payload[32];

	if (strncmp(result->variant, "gap ", 4) == 0)
		snprintf(text, size, "%s%s", result->variant, kind ? kind : "");
	else
		snprintf(text, size, "%s, %s%s",
			 *result->variant
				 ? result->variant
				 : bench_format_bytes(payload, sizeof(payload), result->payload),
			 result->mode, kind ? kind : "");
	svg_micro(text, size);
}

static void draw_lead(FILE *out, const struct bench_result *result, const struct svg_scale *scale,
		      double y)
{
	struct bench_summary speed = bench_speed(result, &result->to_best_peer);
	const char *other = result->best_peer ? result->best_peer : "best";
	double x = svg_at(scale, speed.median), even = svg_at(scale, 1);
	bool behind = bench_is_behind(result);
	char name[128], value[40], text[256];

	describe_lead(name, sizeof(name), result);
	fprintf(out, "<g class=\"%s\"><title>", behind ? "behind" : "peal");
	snprintf(text, sizeof(text), "%s, %s: %.2f× as fast as %s (%.2f to %.2f)", result->name,
		 name, speed.median, other, speed.min, speed.max);
	svg_text(out, text);
	fputs("</title>", out);
	label(out, 0, y + 4, 124, name);
	fprintf(out, "<path class=\"bar\" d=\"M%.1f %.1fH%.1f\"/>", even, y, x);
	draw_whisker(out, scale, y, speed.min, speed.max);
	if (behind)
		fprintf(out, "<path class=\"mark\" d=\"M%.1f %.1fl5 10h-10z\"/>", x, y - 6);
	else
		fprintf(out, "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", x, y);
	fprintf(out, "<text class=\"value\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
		LEAD_VALUE, y + 4, svg_value(value, sizeof(value), speed.median, "x"));
	label(out, LEAD_VALUE + 6, y + 4, WIDTH - LEAD_VALUE - 8, other);
	fputs("</g>\n", out);
}

void bench_plot_leads(FILE *out, const struct bench_result *const *leads, size_t count,
		      double least, double greatest, const char *title)
{
	struct svg_scale scale =
		svg_scale_make(fmin(least, 0.99), fmax(greatest, 1.01), LEAD_LEFT, LEAD_RIGHT);
	double bottom = 4 + ROW * (double)count;

	begin(out, bottom + 18, title,
	      "How many times as fast as the best other ring: left of the line at 1, Peal is behind.");
	draw_x_axis(out, &scale, bottom, "x", "");
	fprintf(out, "<path class=\"even\" d=\"M%.1f 2V%.1f\"/>\n", svg_at(&scale, 1), bottom + 3);
	for (size_t i = 0; i < count; i++)
		draw_lead(out, leads[i], &scale, 4 + ROW * ((double)i + 0.5));
	fputs("</svg>\n", out);
}

/* One line of a plot of percentiles. */
struct curve {
	const struct bench_result *result;
	unsigned int count; /* of percentiles that say something */
	double end_y;       /* where the line ends, */
	double label_y;     /* and where there is room for its name */
};

#define CURVE_LEFT  50.0
#define CURVE_RIGHT 248.0
#define CURVE_TOP   8.0
#define NAME_ROW    14.0

/* Of too few messages, the highest percentiles are but the one that took longest. */
static unsigned int percentiles_known(const struct bench_result *result)
{
	static const double above[BENCH_PERCENTILES] = {0.5, 0.1, 0.01, 0.001, 0.0001};
	unsigned int count = 0;

	while (result->value.runs && count < BENCH_PERCENTILES &&
	       (double)result->age_count * above[count] >= 1 && result->percentiles_ns[count] > 0)
		count++;
	return count;
}

static double percentile_x(unsigned int percentile)
{
	return CURVE_LEFT + 8 +
	       (CURVE_RIGHT - CURVE_LEFT - 14) * percentile / (BENCH_PERCENTILES - 1);
}

static int by_height(const void *a, const void *b)
{
	const struct curve *x = a, *y = b;

	return (x->end_y > y->end_y) - (x->end_y < y->end_y);
}

/* Names beside the ends of their lines, moved apart where these are close. */
static void place_names(struct curve *curves, size_t count, double bottom)
{
	double limit = bottom;

	qsort(curves, count, sizeof(*curves), by_height);
	for (size_t i = 0; i < count; i++) {
		double free = i ? curves[i - 1].label_y + NAME_ROW : CURVE_TOP;

		curves[i].label_y = fmax(curves[i].end_y, free);
	}
	for (size_t i = count; i-- > 0; limit = curves[i].label_y - NAME_ROW)
		curves[i].label_y = fmin(curves[i].label_y, limit);
}

static void draw_curve(FILE *out, const struct curve *curve, const struct svg_scale *scale,
		       size_t dash)
{
	const struct bench_result *result = curve->result;
	const char *class = bench_class_of(result);
	char text[40];
	double x = 0;

	fprintf(out, "<g class=\"%s dash%zu\"><title>", class, dash % 4);
	svg_text(out, result->name);
	for (unsigned int i = 0; i < curve->count; i++)
		fprintf(out, "%s %s %s", i ? "," : ":", bench_percentile_names[i],
			svg_value(text, sizeof(text), result->percentiles_ns[i], "ns"));
	fputs("</title><path class=\"curve\" d=\"", out);
	for (unsigned int i = 0; i < curve->count; i++) {
		x = percentile_x(i);
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x,
			svg_at(scale, result->percentiles_ns[i]));
	}
	fprintf(out, "\"/><path class=\"leader\" d=\"M%.1f %.1fL%g %.1f\"/>", x + 5, curve->end_y,
		CURVE_RIGHT + 8, curve->label_y);
	for (unsigned int i = 0; i < curve->count; i++)
		draw_mark(out, class, percentile_x(i), svg_at(scale, result->percentiles_ns[i]));
	label(out, CURVE_RIGHT + 11, curve->label_y + 4, WIDTH - CURVE_RIGHT - 13, result->name);
	fputs("</g>\n", out);
}

static void draw_curve_axes(FILE *out, const struct svg_scale *scale, unsigned int percentiles)
{
	double ticks[SVG_TICKS_MAX];
	size_t count = svg_ticks(scale, 20, ticks);
	char text[32];

	for (size_t i = 0; i < count; i++) {
		double y = svg_at(scale, ticks[i]);

		fprintf(out,
			"<path class=\"grid\" d=\"M%g %.1fH%g\"/><text class=\"tick\" x=\"%g\" y=\"%.1f\" "
			"text-anchor=\"end\">%s</text>\n",
			CURVE_LEFT, y, CURVE_RIGHT, CURVE_LEFT - 4, y + 4,
			svg_tick(text, sizeof(text), ticks[i], "ns"));
	}
	for (unsigned int i = 0; i < percentiles; i++)
		fprintf(out,
			"<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			percentile_x(i), scale->from + 17, bench_percentile_names[i]);
	fprintf(out,
		"<text class=\"tick\" x=\"%g\" y=\"%.1f\" text-anchor=\"middle\">this part of all messages "
		"is younger · less is better</text>\n",
		(CURVE_LEFT + CURVE_RIGHT) / 2, scale->from + 32);
}

void bench_plot_curves(FILE *out, const struct bench_block *block, const char *title)
{
	struct curve *curves = calloc(block->count, sizeof(*curves));
	double low = INFINITY, high = 0, bottom;
	struct svg_scale scale;
	unsigned int most = 0;
	size_t count = 0;

	for (size_t i = 0; curves && i < block->count; i++) {
		const struct bench_result *row = block->rows[i];
		unsigned int known = percentiles_known(row);

		if (known == 0)
			continue;
		curves[count++] = (struct curve){.result = row, .count = known};
		low = fmin(low, row->percentiles_ns[0]);
		high = fmax(high, row->percentiles_ns[known - 1]);
		most = known > most ? known : most;
	}
	bottom = CURVE_TOP + fmax(220, NAME_ROW * (double)count);
	scale = svg_scale_make(low, high, bottom, CURVE_TOP);
	for (size_t i = 0; i < count; i++)
		curves[i].end_y =
			svg_at(&scale, curves[i].result->percentiles_ns[curves[i].count - 1]);
	place_names(curves, count, bottom);
	begin(out, bottom + 38, title,
	      "Age on arrival by percentile; the numbers are in the table below.");
	draw_curve_axes(out, &scale, most);
	for (size_t i = 0; i < count; i++)
		draw_curve(out, &curves[i], &scale, i);
	fputs("</svg>\n", out);
	free(curves);
}
