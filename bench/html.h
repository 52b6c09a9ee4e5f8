/* SPDX-License-Identifier: MIT */
/*
 * html.h - the parts of the page, each in a file of its own.
 */
#ifndef PEAL_BENCH_HTML_H
#define PEAL_BENCH_HTML_H

#include "plot.h"
#include "report.h"

extern const char bench_html_style[];

/* Who is ahead where, in words, in a table, and in plots. 0 or a negative errno. */
int bench_html_summary(FILE *out, const struct bench_report *report);

/* All numbers of @blocks, which are of one bench. */
void bench_html_table(FILE *out, const struct bench_block *blocks, size_t count);

/* What was measured and what was not. */
void bench_html_implementations(FILE *out, const struct bench_report *report);

#endif
