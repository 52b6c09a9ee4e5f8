/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

static bool drawn; /* the line of progress */

static void clear(void)
{
	if (drawn)
		fputs("\r\033[K", stderr);
	drawn = false;
}

void complain(const char *format, ...)
{
	va_list arguments;

	clear();
	fputs(PROGRAM ": ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* Each character is two pixels, one above the other. */
static void show_thumbnail(const struct thumbnail *thumbnail)
{
	static const unsigned char black[DECODER_PIXEL];

	for (unsigned int y = 0; y < thumbnail->height; y += 2) {
		for (unsigned int x = 0; x < thumbnail->width; x++) {
			const unsigned char *upper = thumbnail->pixels[y][x], *lower = black;

			if (y + 1 < thumbnail->height)
				lower = thumbnail->pixels[y + 1][x];
			printf("\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um▀", upper[0], upper[1],
			       upper[2], lower[0], lower[1], lower[2]);
		}
		puts("\033[0m");
	}
}

void show_file(const struct file *file)
{
	static const char *const words[] = {
		[REFUSED] = "refused", [KILLED] = "killed", [UNREAD] = "unread"};
	char size[32];

	clear();
	if (file->verdict != DECODED) {
		printf("%-8s %-11s %-8s  %s: %s\n", words[file->verdict], "-", "-", file->name,
		       file->why);
		return;
	}
	snprintf(size, sizeof(size), "%ux%u", file->size.width, file->size.height);
	printf("%-8s %-11s %08" PRIx32 "  %s\n", "decoded", size, file->crc32, file->name);
	if (file->thumbnail)
		show_thumbnail(file->thumbnail);
}

void show_progress(const struct pool *pool)
{
	static size_t done;
	const char *terminal = getenv("TERM");

	if (drawn && done == pool->done)
		return;
	done = pool->done;
	if (!isatty(STDERR_FILENO) || !terminal || strcmp(terminal, "dumb") == 0)
		return;
	fprintf(stderr, "\r%zu of %zu files, %u guests, %u lost\033[K", pool->done, pool->count,
		pool->options.guests, pool->lost);
	drawn = true;
}

void show_end(void)
{
	clear();
}
