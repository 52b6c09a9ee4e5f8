/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "format.h"
#include "svg.h"

void svg_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			/* Control characters are no text in XML, however they are written. */
			fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
		}
	}
}

/* The greatest of 1, 2, 5, 10, 20, … that is at most @value. */
static double round_down(double value)
{
	static const double steps[] = {5, 2, 1};
	double decade = pow(10, floor(log10(value)));

	/* The little that is added makes up for what log10() and pow() lose. */
	for (size_t i = 0; i < 3; i++)
		if (steps[i] * decade <= value * (1 + 1e-9))
			return steps[i] * decade;
	return decade / 2;
}

static double round_up(double value)
{
	static const double steps[] = {1, 2, 5};
	double decade = pow(10, floor(log10(value)));

	for (size_t i = 0; i < 3; i++)
		if (steps[i] * decade >= value * (1 - 1e-9))
			return steps[i] * decade;
	return decade * 10;
}

struct svg_scale svg_scale_make(double low, double high, double from, double to)
{
	struct svg_scale scale = {.from = from, .to = to};

	/* Nothing, or nothing that has a logarithm: any axis will do. */
	if (!(low > 0) || !(high >= low) || !isfinite(high)) {
		low = 1;
		high = 10;
	}
	scale.low = round_down(low);
	scale.high = round_up(high);
	if (scale.high <= scale.low * 1.01)
		scale.high = round_up(scale.low * 1.5);
	return scale;
}

double svg_at(const struct svg_scale *scale, double value)
{
	double part = log(value / scale->low) / log(scale->high / scale->low);

	return scale->from + (scale->to - scale->from) * part;
}

/* The tick after @value: the next of @steps within a decade, or @decades further. */
static double next_tick(double value, const double *steps, int decades)
{
	double decade = pow(10, floor(log10(value * (1 + 1e-9))));

	for (size_t i = 0; steps[i] > 0; i++)
		if (steps[i] * decade > value * (1 + 1e-9))
			return steps[i] * decade;
	return decade * pow(10, decades);
}

size_t svg_ticks(const struct svg_scale *scale, double gap, double ticks[SVG_TICKS_MAX])
{
	static const struct {
		double steps[4];
		int decades;
	} densities[] = {{{1, 2, 5}, 1}, {{1, 3}, 1}, {{1}, 1}, {{1}, 2}, {{1}, 3}};
	const size_t last = sizeof(densities) / sizeof(densities[0]) - 1;
	size_t count = 0;

	for (size_t i = 0; i <= last; i++) {
		double tick = pow(10, floor(log10(scale->low)));
		double before = NAN;
		int fits = 1;

		count = 0;
		for (; tick <= scale->high * (1 + 1e-9) && count < SVG_TICKS_MAX;
		     tick = next_tick(tick, densities[i].steps, densities[i].decades)) {
			if (tick < scale->low * (1 - 1e-9))
				continue;
			if (fabs(svg_at(scale, tick) - before) < gap)
				fits = 0;
			before = svg_at(scale, tick);
			ticks[count++] = tick;
		}
		if (fits)
			break;
	}
	return count;
}

char *svg_micro(char *text, size_t size)
{
	char *unit = strstr(text, " us");
	char rest[64];

	if (unit) {
		snprintf(rest, sizeof(rest), "%s", unit + 3);
		snprintf(unit, size - (size_t)(unit - text), " µs%s", rest);
	}
	return text;
}

static int digits(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

char *svg_value(char *text, size_t size, double value, const char *unit)
{
	if (isnan(value))
		snprintf(text, size, "–");
	else if (strcmp(unit, "x") == 0)
		snprintf(text, size, "%.*f×", digits(value), value);
	else if (strcmp(unit, "GB/s") == 0)
		snprintf(text, size, "%.*f GB/s", value < 0.1 ? 3 : digits(value), value);
	else
		svg_micro(bench_format_value(text, size, value, unit), size);
	return text;
}

char *svg_value_long(char *text, size_t size, double value, const char *unit)
{
	char *end;

	svg_value(text, size, value, unit);
	end = strcmp(unit, "msg/s") == 0 ? strstr(text, "/s") : NULL;
	if (end)
		snprintf(end, size - (size_t)(end - text), "%smsg/s", end[-1] == ' ' ? "" : " ");
	return text;
}

char *svg_tick(char *text, size_t size, double value, const char *unit)
{
	static const char *const rates[] = {"", " k", " M", " G"};
	static const char *const times[] = {" ns", " µs", " ms", " s"};
	const char *const *prefixes = strcmp(unit, "ns") == 0 ? times : rates;
	size_t i = 0;

	if (strcmp(unit, "ns") != 0 && strcmp(unit, "msg/s") != 0) {
		snprintf(text, size, "%.3g%s", value, strcmp(unit, "x") == 0 ? "×" : "");
		return text;
	}
	while (i < 3 && value >= 1000 * (1 - 1e-9)) {
		value /= 1000;
		i++;
	}
	snprintf(text, size, "%.3g%s", value, prefixes[i]);
	return text;
}
