/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <peal/base.h>

#include "command.h"

const char *command_name = "peal";

__attribute__((format(printf, 1, 0))) static void complain_with(const char *format,
								va_list arguments)
{
	progress_end();
	fflush(stdout);
	fprintf(stderr, "%s: ", command_name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_with(format, arguments);
	va_end(arguments);
}

int wrong_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_with(format, arguments);
	va_end(arguments);
	return STATUS_USAGE;
}

int peal_failed(const char *what)
{
	complain("%s: %s", what, peal_last_error());
	return STATUS_FAILED;
}

int spawn_failed(int rc)
{
	complain("%s", peal_last_error());
	return rc == -ENOENT                     ? STATUS_NO_PROGRAM
	       : rc == -EACCES || rc == -ENOEXEC ? STATUS_NO_EXEC
						 : STATUS_FAILED;
}

/* Decimal digits; @end is behind them. False if there is none, or it is too large. */
static bool digits(const char *text, const char **end, uint64_t *value)
{
	uint64_t sum = 0;

	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
			return false;
	*end = text;
	*value = sum;
	return true;
}

bool parse_number(const char *text, uint64_t *value)
{
	uint64_t sum;

	if (!digits(text, &text, &sum) || *text != '\0')
		return false;
	*value = sum;
	return true;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t sum;

	if (!digits(text, &text, &sum))
		return false;
	if (*text != '\0') {
		unit = strchr(units, toupper((unsigned char)*text));
		if (!unit || text[1] != '\0' ||
		    __builtin_mul_overflow(sum, UINT64_C(1) << 10 * (unit - units + 1), &sum))
			return false;
	}
	*bytes = sum;
	return true;
}

/* What is behind the point, in units of @unit_ns. */
static uint64_t fraction(const char *text, const char **end, uint64_t unit_ns)
{
	uint64_t sum = 0;

	for (; isdigit((unsigned char)*text); text++) {
		unit_ns /= 10;
		sum += unit_ns * (uint64_t)(*text - '0');
	}
	*end = text;
	return sum;
}

static uint64_t unit_of(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"", 1000000000}, {"s", 1000000000},     {"ms", 1000000},         {"us", 1000},
		{"ns", 1},        {"m", 60000000000ull}, {"h", 3600000000000ull},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].ns;
	return 0;
}

bool parse_duration(const char *text, uint64_t *ns)
{
	const char *end, *point = NULL;
	uint64_t sum, unit_ns;

	if (!digits(text, &end, &sum))
		return false;
	if (*end == '.') {
		point = end + 1;
		if (!isdigit((unsigned char)*point))
			return false;
		for (end = point; isdigit((unsigned char)*end); end++)
			;
	}
	unit_ns = unit_of(end);
	if (unit_ns == 0 || __builtin_mul_overflow(sum, unit_ns, &sum) ||
	    __builtin_add_overflow(sum, point ? fraction(point, &end, unit_ns) : 0, &sum))
		return false;
	*ns = sum;
	return true;
}

int take_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number;

	if (!parse_number(text, &number) || number < min || number > max)
		return wrong_usage("%s: a number from %llu to %llu was expected, not '%s'", option,
				   (unsigned long long)min, (unsigned long long)max, text);
	*value = number;
	return 0;
}

int take_size(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *bytes)
{
	char least[FORMAT_MAX], most[FORMAT_MAX];
	uint64_t size;

	if (!parse_size(text, &size))
		return wrong_usage("%s: a size such as 4096, 64K or 1M was expected, not '%s'",
				   option, text);
	if (size < min || size > max)
		return wrong_usage("%s: a size from %s to %s was expected, not '%s'", option,
				   format_bytes(least, min), format_bytes(most, max), text);
	*bytes = size;
	return 0;
}

int take_duration(const char *option, const char *text, uint64_t *ns)
{
	if (!parse_duration(text, ns))
		return wrong_usage("%s: a time such as 2s, 0.5s or 100ms was expected, not '%s'",
				   option, text);
	return 0;
}

int take_word(const char *option, const char *text, const char *first, const char *second,
	      uint32_t *value)
{
	if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
		return wrong_usage("%s: '%s' or '%s' was expected, not '%s'", option, first, second,
				   text);
	*value = strcmp(text, second) == 0;
	return 0;
}

char **split_program(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			argv[i] = NULL;
			*argc = i;
			return argv + i + 1;
		}
	return NULL;
}
