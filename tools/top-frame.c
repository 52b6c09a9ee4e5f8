/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "top.h"

/* The columns in front of the sparkline. */
#define FIGURES 64

struct row {
	const struct top_channel *channel;
	enum look_who to;
	uint64_t stall_ns;
	double rate;
	size_t index;
};

struct frame {
	const struct top_view *view;
	void (*line)(int row, enum top_style style, const char *text);
	int used; /* lines so far */
	int end;  /* for rows */
};

/* --- Order ------------------------------------------------------------------------------------------- */

static int compare_rates(const struct row *a, const struct row *b)
{
	if (a->rate != b->rate)
		return a->rate > b->rate ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

static int by_traffic(const void *a, const void *b)
{
	return compare_rates(a, b);
}

static int by_stall(const void *a, const void *b)
{
	const struct row *one = a, *other = b;

	if (one->stall_ns != other->stall_ns)
		return one->stall_ns > other->stall_ns ? -1 : 1;
	return compare_rates(one, other);
}

static struct row *order_rows(const struct top_channels *channels, enum top_order order,
			      size_t *count)
{
	struct row *rows = calloc(LOOK_SIDES * channels->count + 1, sizeof(*rows));

	*count = 0;
	for (size_t i = 0; rows && i < channels->count; i++)
		for (int to = 0; to < LOOK_SIDES; to++) {
			const struct top_channel *channel = &channels->list[i];
			const struct look_flow *flow = &channel->flows[to];

			if (channel->channel.capacity[to] == 0)
				continue;
			/* A pause that is short is none: it would make the order restless. */
			rows[*count] = (struct row){
				channel, to,
				flow->stalled_ns >= LOOK_STUCK_NS ? flow->stalled_ns : 0,
				flow->bytes_per_s, *count};
			*count += 1;
		}
	if (rows)
		qsort(rows, *count, sizeof(*rows), order == TOP_BY_STALL ? by_stall : by_traffic);
	return rows;
}

/* --- Lines ------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void put(struct frame *frame, enum top_style style,
						      const char *format, ...)
{
	char text[TOP_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	frame->line(frame->used++, style, text);
}

/* The newest rates that fit, each in eighths of the highest of them. */
static void draw_rates(char *text, const struct top_ring *ring, int width, bool has_blocks)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
	unsigned int count = ring->count < (unsigned int)width ? ring->count : (unsigned int)width;
	const float *rates = ring->rates + ring->count - count;
	float highest = 0;

	*text = '\0';
	for (unsigned int i = 0; i < count; i++)
		highest = rates[i] > highest ? rates[i] : highest;
	for (unsigned int i = 0; i < count; i++) {
		/* Whatever moves is seen. */
		int level = rates[i] > 0 ? 1 + (int)(rates[i] / highest * 7) : 0;

		text = stpcpy(text, (has_blocks ? blocks : ascii)[level]);
	}
}

static void put_row(struct frame *frame, const struct row *row)
{
	const struct top_channel *channel = row->channel;
	const struct look_flow *flow = &channel->flows[row->to];
	const int columns = frame->view->columns;
	const int width = columns <= FIGURES                ? 0
			  : columns - FIGURES > TOP_HISTORY ? TOP_HISTORY
							    : columns - FIGURES;
	char from[LOOK_TEXT_MAX], to[LOOK_TEXT_MAX], complaint[LOOK_TEXT_MAX];
	char full[FORMAT_MAX], rate[FORMAT_MAX] = "-", figures[FIGURES * 4], rates[4 * 256];

	look_side_text(from, &channel->now.side[look_peer(row->to)], 16);
	look_side_text(to, &channel->now.side[row->to], 16);
	if (flow->has_rate)
		format_rate(rate, flow->bytes_per_s);
	snprintf(figures, sizeof(figures), "%-11.11s %-16.16s %-16.16s %4s%% %10s ",
		 channel->channel.name[0] ? channel->channel.name : "-", from, to,
		 look_percent_text(full, &channel->channel, &channel->now, row->to), rate);
	draw_rates(rates, &channel->rings[row->to], width, frame->view->has_blocks);
	look_complaint(complaint, &channel->channel, &channel->now, row->to, flow);
	put(frame, complaint[0] ? TOP_STUCK : TOP_PLAIN, "%.*s%s", columns, figures, rates);
	if (complaint[0] && frame->used < frame->end)
		put(frame, TOP_STUCK, "  %.*s", columns > 2 ? columns - 2 : 0, complaint);
}

static void put_summary(struct frame *frame, const struct top_channels *channels,
			const struct row *rows, size_t count)
{
	char rate[FORMAT_MAX], interval[FORMAT_MAX], text[LOOK_TEXT_MAX];
	double sum = 0;
	size_t stuck = 0;

	for (size_t i = 0; i < count; i++) {
		sum += rows[i].rate;
		stuck += rows[i].stall_ns > 0;
	}
	snprintf(text, sizeof(text), "%zu channel%s, %zu ring%s, %zu stuck, %s; every %s, by %s",
		 channels->count, channels->count == 1 ? "" : "s", count, count == 1 ? "" : "s",
		 stuck, format_rate(rate, sum), format_duration(interval, frame->view->interval_ns),
		 frame->view->order == TOP_BY_STALL ? "stall" : "traffic");
	put(frame, TOP_PLAIN, "%.*s", frame->view->columns, text);
	snprintf(text, sizeof(text), "%-11s %-16s %-16s %5s %10s %-*s", "CHANNEL", "FROM", "TO",
		 "FULL", "RATE", 240, "");
	put(frame, TOP_HEADING, "%.*s", frame->view->columns, text);
}

static void put_keys(struct frame *frame, size_t hidden)
{
	char text[LOOK_TEXT_MAX] = "s by stall   t by traffic   q quit";

	if (hidden > 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "   (%zu more rings do not fit)", hidden);
	frame->used = frame->view->rows - 1;
	put(frame, TOP_HEADING, "%.*s", frame->view->columns, text);
}

static void put_rows(struct frame *frame, const struct top_channels *channels,
		     const struct row *rows, size_t count)
{
	size_t shown = 0;

	put_summary(frame, channels, rows, count);
	for (; shown < count && frame->used < frame->end; shown++)
		put_row(frame, &rows[shown]);
	if (channels->count == 0)
		put(frame, TOP_PLAIN, "%.*s", frame->view->columns,
		    channels->secret   ? "There are channels that this user may not read."
		    : channels->denied ? "No channel in the processes that this user may look at."
				       : "No channel.");
	if (frame->view->rows > 0)
		put_keys(frame, count - shown);
}

int top_draw(const struct top_channels *channels, const struct top_view *view,
	     void (*line)(int row, enum top_style style, const char *text))
{
	struct frame frame = {view, line, 0, view->rows > 0 ? view->rows - 1 : INT_MAX};
	size_t count;
	struct row *rows = order_rows(channels, view->order, &count);

	if (!rows)
		return -ENOMEM;
	put_rows(&frame, channels, rows, count);
	free(rows);
	return 0;
}
