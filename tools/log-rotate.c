/* SPDX-License-Identifier: MIT */
/*
 * log-rotate.c - FILE becomes FILE.1, what was FILE.1 becomes FILE.2, and so on.
 *
 * From the oldest on, so that at each instant every recording has a name of its own. After a crash in
 * between there is a gap in the numbers, which the next time is filled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "log.h"

static void name(char *text, size_t size, const char *path, uint64_t number)
{
	if (number == 0)
		snprintf(text, size, "%s", path);
	else
		snprintf(text, size, "%s.%llu", path, (unsigned long long)number);
}

/* The first number that is free; @keep if none of those before is. */
static uint64_t first_free(char *text, size_t size, const char *path, uint64_t keep)
{
	uint64_t number = 1;

	for (; keep == 0 || number < keep; number++) {
		name(text, size, path, number);
		if (access(text, F_OK) < 0)
			break;
	}
	return number;
}

int log_rotate(const char *path, uint64_t keep)
{
	size_t size = strlen(path) + 24; /* a point and 20 digits */
	char *from = malloc(size), *to = malloc(size);
	uint64_t number;
	int status = 0;

	if (!from || !to) {
		complain("out of memory");
		status = STATUS_FAILED;
	}
	for (number = status ? 0 : first_free(from, size, path, keep); number > 0; number--) {
		name(from, size, path, number - 1);
		name(to, size, path, number);
		if (rename(from, to) < 0) {
			complain("renaming %s to %s: %s", from, to, strerror(errno));
			status = STATUS_FAILED;
			break;
		}
	}
	free(from);
	free(to);
	return status;
}
