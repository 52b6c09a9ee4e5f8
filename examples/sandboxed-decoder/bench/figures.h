/* SPDX-License-Identifier: MIT */
#ifndef FIGURES_H
#define FIGURES_H

struct summary {
	double low, median, high; /* quartiles */
};

#define SUMMARY_MAX 31 /* values */

struct summary summarize(const double *values, int count);

/* In 23 columns. */
void print_summary(struct summary summary);

#endif
