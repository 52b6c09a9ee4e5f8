/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct summary summarize(const double *values, int count)
{
	double sorted[SUMMARY_MAX];

	memcpy(sorted, values, (size_t)count * sizeof(*values));
	qsort(sorted, (size_t)count, sizeof(*sorted), compare);
	return (struct summary){sorted[count / 4], sorted[count / 2], sorted[count * 3 / 4]};
}

void print_summary(struct summary summary)
{
	printf("%5.2f (%5.2f … %5.2f) ", summary.median, summary.low, summary.high);
}
