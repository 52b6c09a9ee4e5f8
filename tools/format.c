/* SPDX-License-Identifier: MIT */
#include "command.h"

/* Three digits, whatever the size. @whole: what has no prefix is a whole number. */
static char *with_prefix(char text[FORMAT_MAX], double value, double step,
			 const char *const prefixes[], bool whole)
{
	size_t i = 0;

	while (value >= (step > 1000 ? 1023.5 : 999.5) && prefixes[i + 1]) {
		value /= step;
		i++;
	}
	snprintf(text, FORMAT_MAX, "%.*f%s",
		 whole && i == 0 ? 0
		 : value < 9.995 ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, prefixes[i]);
	return text;
}

char *format_bytes(char text[FORMAT_MAX], uint64_t bytes)
{
	static const char *const units[] = {" B",   " KiB", " MiB", " GiB",
					    " TiB", " PiB", " EiB", NULL};

	return with_prefix(text, (double)bytes, 1024, units, true);
}

char *format_rate(char text[FORMAT_MAX], double bytes_per_s)
{
	static const char *const units[] = {" B/s", " KiB/s", " MiB/s", " GiB/s", " TiB/s", NULL};

	return with_prefix(text, bytes_per_s, 1024, units, true);
}

char *format_count(char text[FORMAT_MAX], double count)
{
	static const char *const units[] = {"", " k", " M", " G", " T", NULL};

	return with_prefix(text, count, 1000, units, true);
}

char *format_duration(char text[FORMAT_MAX], uint64_t ns)
{
	static const char *const units[] = {" ns", " us", " ms", " s", NULL};

	if (ns < UINT64_C(1000000000))
		return with_prefix(text, (double)ns, 1000, units, true);
	snprintf(text, FORMAT_MAX, ns < UINT64_C(10000000000) ? "%.1f s" : "%.0f s",
		 (double)ns / 1e9);
	return text;
}

void escape_text(char *escaped, size_t room, const char *text, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < size && text[i] != '\0' && at + 5 <= room; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			escaped[at++] = (char)c;
		else
			at += (size_t)sprintf(escaped + at, "\\x%02x", c);
	}
	escaped[at] = '\0';
}
