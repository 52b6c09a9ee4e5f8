/* SPDX-License-Identifier: MIT */
/*
 * turn.c - one benchmark at a time on this machine.
 *
 * Two that run at once measure each other. Whoever holds the name has his turn; it is the name of
 * a socket without a file, which the kernel takes back however the holder ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run.h"

/* The first byte 0: in the abstract namespace. */
static const char name[] = "\0peal-bench";

static int try_turn(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, name, sizeof(name) - 1);
	if (bind(fd, (const struct sockaddr *)&address, size) == 0)
		return fd;
	close(fd);
	return -EADDRINUSE;
}

int bench_wait_turn(void)
{
	int fd = try_turn();

	if (fd == -EADDRINUSE)
		fputs("peal-bench: another one runs on this machine; waiting for its end\n",
		      stderr);
	while (fd == -EADDRINUSE && !bench_interrupted()) {
		usleep(200000);
		fd = try_turn();
	}
	return fd;
}
