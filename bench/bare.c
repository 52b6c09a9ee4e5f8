/* SPDX-License-Identifier: MIT */
/*
 * bare.c - the host's side of what bare.h says; the guest's is in child.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bare.h"
#include "start.h"

static int segment(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && fallocate(fd, 0, 0, BARE_HEADER + BARE_CAPACITY) == 0 &&
	    pwrite(fd, "bare", 4, 0) == 4 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		return fd;
	return -1;
}

/* In the order of creation; all are the kernel's to close if one fails, the bench ends then. */
static int prepare(struct bench_start *start, int inherited[5])
{
	int to_guest[2], to_host[2];

	if (bare_membarrier() < 0 || (inherited[0] = segment("bare:host")) < 0 ||
	    (inherited[1] = segment("bare:guest")) < 0 ||
	    !(start->own = bare_map(inherited[0], PROT_READ | PROT_WRITE)) ||
	    bare_seal_written(inherited[0]) < 0 ||
	    !(start->peer = bare_map(inherited[1], PROT_READ)) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to_guest) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to_host) < 0 ||
	    (inherited[4] = (int)syscall(SYS_pidfd_open, getpid(), 0)) < 0)
		return -errno;
	start->own[64] = 1;
	start->fd = to_host[0];
	start->other_fd = to_guest[0];
	inherited[2] = to_guest[1];
	inherited[3] = to_host[1];
	return 0;
}

int bench_bare_begin(struct bench_start *start, char *program)
{
	extern char **environ;
	char numbers[5][12];
	char *argv[] = {program, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], NULL};
	int inherited[5], rc = prepare(start, inherited);

	if (rc < 0)
		return rc;
	for (int i = 0; i < 5; i++) {
		fcntl(inherited[i], F_SETFD, 0);
		snprintf(numbers[i], sizeof(numbers[i]), "%d", inherited[i]);
	}
	rc = -posix_spawn(&start->pid, program, NULL, NULL, argv, environ);
	for (int i = 0; i < 5; i++)
		close(inherited[i]);
	return rc;
}

int bench_bare_finish(struct bench_start *start)
{
	const unsigned char *ring = start->peer + BARE_HEADER;
	char bell;

	while (__atomic_load_n(&ring[0], __ATOMIC_ACQUIRE) == 0)
		if (recv(start->fd, &bell, 1, 0) != 1)
			return -EBADMSG;
	return ring[8] == 42 ? 0 : -EBADMSG;
}

void bench_bare_end(struct bench_start *start)
{
	if (start->own)
		munmap(start->own, BARE_BYTES);
	if (start->peer)
		munmap(start->peer, BARE_BYTES);
	close(start->other_fd);
}
