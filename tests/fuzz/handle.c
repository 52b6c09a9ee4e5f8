/* SPDX-License-Identifier: MIT */
/*
 * handle.c - the text of a doorbell's handle, and what may lie behind it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal/doorbell.h>

#include "files.h"
#include "fuzz.h"

#define FIRST 100

static int fds[FUZZ_KINDS];

/* The number that @text should be read as, or the negative errno. */
static int number_of(const char *text)
{
	uint64_t value = 0;

	if (strncmp(text, "--doorbell-fd=", 14) == 0)
		text += 14;
	if (*text == '\0')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > INT32_MAX)
			return -ERANGE;
	}
	if (*text != '\0' || value < 3)
		return -EINVAL;
	return fuzz_is_open((int)value) ? (int)value : -EBADF;
}

/* Only a connected Unix stream socket is a doorbell. */
static void take(struct peal_doorbell_handle handle)
{
	struct peal_doorbell doorbell = {.wait_fd = -1, .signal_fd = -1, .watch_fd = -1};
	int rc = peal_doorbell_from_handle(&doorbell, handle);

	FUZZ_CHECK((rc == 0) == (handle.fd == fds[FUZZ_STREAM]), "%d for descriptor %d", rc,
		   handle.fd);
	FUZZ_CHECK(fuzz_is_open(handle.fd), "descriptor %d was closed", handle.fd);
	if (rc < 0)
		return;
	FUZZ_CHECK(fcntl(handle.fd, F_GETFL) & O_NONBLOCK, "a doorbell that blocks");
	FUZZ_CHECK(peal_doorbell_signal(&doorbell) == PEAL_SIGNAL_PEER_DEAD, "the peer is gone");
	FUZZ_CHECK(peal_doorbell_wait(&doorbell, PEAL_FOREVER) == -EPIPE, "a wait for the dead");
	peal_doorbell_close(&doorbell);
	fds[FUZZ_STREAM] = -1;
}

static void parse(void)
{
	struct peal_doorbell_handle handle = {-7};
	char text[40] = {0};
	int expected, rc;

	if (fuzz_byte() & 1)
		snprintf(text, sizeof(text), "--doorbell-fd=%d", FIRST + (fuzz_byte() & 15));
	else
		fuzz_bytes(text, sizeof(text) - 1);
	expected = number_of(text);
	rc = peal_doorbell_handle_from_arg(&handle, text);
	FUZZ_CHECK(rc == (expected < 0 ? expected : 0), "'%s': %d, expected %d", text, rc,
		   expected);
	FUZZ_CHECK(handle.fd == (rc < 0 ? -7 : expected), "'%s' is %d", text, handle.fd);
	/* Descriptors of this program's own are no material for a doorbell. */
	if (rc == 0 && handle.fd >= FIRST && handle.fd < FIRST + FUZZ_KINDS)
		take(handle);
}

static void print(void)
{
	struct peal_doorbell_handle handle = peal_doorbell_handle_from_fd((int)fuzz_u64());
	char text[40], expected[40];
	size_t size = fuzz_byte() % sizeof(text);
	int length = snprintf(expected, sizeof(expected), "--doorbell-fd=%d", handle.fd), rc;

	memset(text, '#', sizeof(text));
	rc = peal_doorbell_handle_to_arg(handle, text, size);
	FUZZ_CHECK(rc == ((size_t)length < size ? length : -ENOSPC), "%d for %zu bytes", rc, size);
	FUZZ_CHECK(rc < 0 ? text[0] == '#' : strcmp(text, expected) == 0, "the text");
	FUZZ_CHECK(text[size] == '#', "a byte behind the buffer");
}

void fuzz_handle(void)
{
	for (int kind = 0; kind < FUZZ_CLOSED; kind++)
		fds[kind] = fuzz_open((enum fuzz_kind)kind, FIRST);
	while (fuzz_more()) {
		if (fuzz_byte() & 3)
			parse();
		else
			print();
		if (fds[FUZZ_STREAM] < 0)
			fds[FUZZ_STREAM] = fuzz_open(FUZZ_STREAM, FIRST);
	}
	for (int kind = 0; kind < FUZZ_CLOSED; kind++)
		close(fds[kind]);
}
