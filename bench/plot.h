/* SPDX-License-Identifier: MIT */
/*
 * plot.h - the plots of the report, each one <svg>.
 *
 * All are as wide as a telephone, and are put side by side where there is more room; so text is of
 * the same size everywhere. Colours are those of html-style.c, but none is the only sign of
 * anything: shapes and words say the same.
 */
#ifndef PEAL_BENCH_PLOT_H
#define PEAL_BENCH_PLOT_H

#include "report.h"

/* One setting, best first; count > 0. */
struct bench_block {
	const struct bench_result **rows;
	size_t count;
};

/* A row for each implementation: median, and a line from least to greatest. */
void bench_plot_dots(FILE *out, const struct bench_block *block, const char *title);

/* Percentiles of ages: a line for each implementation. */
void bench_plot_curves(FILE *out, const struct bench_block *block, const char *title);

/* How many times as fast as the best other ring Peal is: a row for each of the @count @leads. */
void bench_plot_leads(FILE *out, const struct bench_result *const *leads, size_t count,
		      double least, double greatest, const char *title);

/* The value in which @result is shown: @unit by @factor. */
struct bench_shown {
	const char *unit;
	double factor;
};
struct bench_shown bench_shown_as(const struct bench_result *result);

/* A ratio as speed: more than 1 is better, for a latency too. */
struct bench_summary bench_speed(const struct bench_result *result,
				 const struct bench_summary *ratio);

/* "64 B, spinning", "gap 1 ms, 8 B, blocking". Returns @text. */
char *bench_describe_setting(char *text, size_t size, const struct bench_result *result);

/* "peal", "limit", "thread" or "peer": for CSS. */
const char *bench_class_of(const struct bench_result *result);

#endif
