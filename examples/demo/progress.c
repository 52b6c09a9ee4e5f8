/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <peal/peal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host.h"

#define INTERVAL_NS UINT64_C(50000000)

#define BAR_MIN 4
#define BAR_MAX 60

static struct {
	const char *what;
	uint64_t total_bytes;
	uint64_t begin_ns;
	uint64_t next_ns; /* when to draw again; UINT64_MAX: there is no terminal */
	const char *full, *empty;
	const char *colour, *plain;
	bool drawn;
} progress = {.next_ns = UINT64_MAX};

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value != '\0';
}

static bool can_draw(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

void progress_begin(const char *what, uint64_t total_bytes)
{
	bool colours = !is_set("NO_COLOR"), utf8;

	if (!can_draw())
		return;
	setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	progress.what = what;
	progress.total_bytes = total_bytes;
	progress.begin_ns = peal_now_ns();
	/* What is over within an eye's blink need not flicker. */
	progress.next_ns = progress.begin_ns + INTERVAL_NS;
	progress.full = utf8 ? "━" : "#";
	progress.empty = utf8 && colours ? "━" : utf8 ? "┄" : "-";
	progress.colour = colours ? "\033[32m" : "";
	progress.plain = colours ? "\033[90m" : "";
}

bool progress_due(void)
{
	return progress.next_ns != UINT64_MAX && peal_now_ns() >= progress.next_ns;
}

static int terminal_width(void)
{
	struct winsize size;

	/* A terminal that does not know its size says 0. */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

/* Not for more than the total. */
static int percent_of(uint64_t bytes)
{
	return bytes == 0 ? 0 : (int)((double)bytes * 100 / (double)progress.total_bytes);
}

static void draw_bar(int width, int percent)
{
	int filled = width * percent / 100;

	fputs(progress.colour, stderr);
	for (int i = 0; i < width; i++) {
		if (i == filled)
			fputs(progress.plain, stderr);
		fputs(i < filled ? progress.full : progress.empty, stderr);
	}
	if (*progress.colour)
		fputs("\033[0m", stderr);
}

/* What stands behind the bar. */
static void describe(char *text, size_t size, uint64_t bytes, double rate, int ring_percent)
{
	char ring[32] = "";

	if (ring_percent >= 0)
		snprintf(ring, sizeof(ring), "  ring %3d%% full", ring_percent);
	/* A pipe tells no size, and a file may grow while it is read. */
	if (bytes > progress.total_bytes)
		snprintf(text, size, " %" PRIu64 " MiB  %5.2f GB/s%s", bytes / MIB, rate, ring);
	else
		snprintf(text, size, " %3d%%  %5.2f GB/s%s", percent_of(bytes), rate, ring);
}

void progress_update(uint64_t bytes, int ring_percent)
{
	uint64_t now = peal_now_ns();
	char before[32], after[96];
	int width;

	if (!progress_due())
		return;
	progress.next_ns = now + INTERVAL_NS;
	snprintf(before, sizeof(before), "%-10s ", progress.what);
	describe(after, sizeof(after), bytes, (double)bytes / (double)(now - progress.begin_ns),
		 ring_percent);
	/* The last column stays free: some terminals wrap as soon as it is written. */
	width = terminal_width() - 1 - (int)(strlen(before) + strlen(after));
	if (width < BAR_MIN)
		return;
	fprintf(stderr, "\r%s", before);
	if (bytes <= progress.total_bytes)
		draw_bar(width > BAR_MAX ? BAR_MAX : width, percent_of(bytes));
	/* To the end of the line, in case it was longer before. */
	fprintf(stderr, "%s\033[K", after);
	fflush(stderr);
	progress.drawn = true;
}

void progress_clear(void)
{
	if (!progress.drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress.drawn = false;
}

void progress_end(void)
{
	progress_clear();
	progress.next_ns = UINT64_MAX;
}
