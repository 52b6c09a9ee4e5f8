/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"

/* Quick enough for eyes, slow enough for a slow terminal. */
#define PROGRESS_NS UINT64_C(100000000)

static uint64_t next_progress_ns;
static bool line_stands;

/* The reader of a pipe or socket has closed it. */
static bool output_is_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};

	return poll(&output, 1, 0) == 1 && output.revents & (POLLERR | POLLHUP);
}

static int output_failed(int error)
{
	if (output_is_gone())
		return STATUS_OUTPUT_GONE;
	complain("standard output: %s", error ? strerror(error) : "a write failed");
	return STATUS_FAILED;
}

int output_error(int error)
{
	if (error == EPIPE)
		return STATUS_OUTPUT_GONE;
	complain("standard output: %s", strerror(error));
	return STATUS_FAILED;
}

json_t *json_text(const char *text)
{
	json_t *string = json_string(text);
	const size_t size = strlen(text), room = 4 * size + 1;
	char *escaped = string ? NULL : malloc(room);

	if (escaped) {
		escape_text(escaped, room, text, size);
		string = json_string(escaped);
	}
	free(escaped);
	return string;
}

int print_json(json_t *object)
{
	int rc;

	errno = 0;
	rc = object ? json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) : -1;
	json_decref(object);
	/* Line by line, so that a reader need not wait for a buffer to fill. */
	if (rc == 0 && putchar('\n') != EOF && fflush(stdout) != EOF)
		return STATUS_OK;
	return output_failed(errno);
}

int finish_output(int status)
{
	progress_end();
	errno = 0;
	if ((fflush(stdout) == EOF || ferror(stdout)) && status == STATUS_OK)
		return output_failed(errno);
	return status;
}

bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

const char *colour(bool wanted, enum colour which)
{
	static const char *const sequences[] = {
		[COLOUR_NONE] = "\033[0m",   [COLOUR_BOLD] = "\033[1m",
		[COLOUR_DIM] = "\033[2m",    [COLOUR_RED] = "\033[31m",
		[COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m",
	};

	return wanted ? sequences[which] : "";
}

bool progress_is_wanted(void)
{
	return isatty(STDERR_FILENO) == 1;
}

bool progress_is_due(void)
{
	uint64_t now = peal_now_ns();

	if (now < next_progress_ns)
		return false;
	next_progress_ns = now + PROGRESS_NS;
	return progress_is_wanted();
}

void progress(const char *format, ...)
{
	struct winsize size;
	char line[512];
	va_list arguments;
	size_t width = 80;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		width = size.ws_col;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	/* The last column stays free: some terminals wrap when it is written. */
	fprintf(stderr, "\r%.*s\033[K", (int)width - 1, line);
	line_stands = true;
}

void progress_end(void)
{
	if (line_stands)
		fputs("\r\033[K", stderr);
	line_stands = false;
}
