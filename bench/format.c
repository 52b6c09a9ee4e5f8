/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

/* Three digits, whatever the size. */
static void with_prefix(char *text, size_t size, double value, const char *const prefixes[],
			const char *unit)
{
	size_t i = 0;

	while (value >= 999.5 && prefixes[i + 1]) {
		value /= 1000;
		i++;
	}
	snprintf(text, size, "%.*f %s%s",
		 value < 9.995   ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, prefixes[i], unit);
}

char *bench_format_value(char *text, size_t size, double value, const char *unit)
{
	static const char *const rates[] = {"", "k", "M", "G", NULL};
	static const char *const times[] = {"ns", "us", "ms", "s", NULL};

	if (isnan(value))
		snprintf(text, size, "-");
	else if (strcmp(unit, "msg/s") == 0)
		with_prefix(text, size, value, rates, "/s");
	else if (strcmp(unit, "ns") == 0)
		with_prefix(text, size, value, times, "");
	else
		snprintf(text, size, value > 0 && value < 0.01 ? "%.1e" : "%.2f", value);
	return text;
}

char *bench_format_bytes(char *text, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
	size_t i = 0;

	while (i < 3 && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	snprintf(text, size, "%llu %s", (unsigned long long)bytes, units[i]);
	return text;
}
