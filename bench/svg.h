/* SPDX-License-Identifier: MIT */
/*
 * svg.h - what plots are made of: escaped text, numbers for people, and axes.
 */
#ifndef PEAL_BENCH_SVG_H
#define PEAL_BENCH_SVG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SVG_TICKS_MAX 16

/* Logarithmic: what is twice as fast is everywhere as far away. */
struct svg_scale {
	double low, high; /* values, 0 < low < high */
	double from, to;  /* where these are, in pixels */
};

/* @text with whatever HTML and XML would take for markup made harmless. */
void svg_text(FILE *out, const char *text);

/* From @from to @to, for values from @low to @high: widened to round numbers. */
struct svg_scale svg_scale_make(double low, double high, double from, double to);
double svg_at(const struct svg_scale *scale, double value);

/* Round numbers that lie at least @gap pixels apart, into @ticks. Returns how many. */
size_t svg_ticks(const struct svg_scale *scale, double gap, double ticks[SVG_TICKS_MAX]);

/* Whatever is written for any terminal, with the sign that a page can show. Returns @text. */
char *svg_micro(char *text, size_t size);

/* The next three return @text; @unit is "msg/s", "ns", "GB/s", "x" or "calls/msg". */

/* "17.1 M/s", "1.24 µs": short, for plots. */
char *svg_value(char *text, size_t size, double value, const char *unit);

/* "17.1 M msg/s": complete, for tables. */
char *svg_value_long(char *text, size_t size, double value, const char *unit);

/* "10 M", "1 µs": of an axis which says what it shows. */
char *svg_tick(char *text, size_t size, double value, const char *unit);

#endif
