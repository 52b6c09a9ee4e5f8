/* SPDX-License-Identifier: MIT */
/*
 * eventfd.c - the wake signal, and the doorbell over two of them.
 *
 *	end A   wait_fd ◄── "space" ── signal_fd   end B
 *	      signal_fd ─── "data" ──► wait_fd
 *
 * The counter has two properties that make it a doorbell: notifications add up while nobody reads,
 * and it is readable exactly while it is not zero. It has no hang-up: a peer's death shows in a
 * watched pidfd only. Both processes share one open file description, hence the flag O_NONBLOCK;
 * a peer that clears it makes our read block. That is why this kind is for trusted peers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <peal/doorbell.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "doorbell/doorbell.h"

/* The kernel counts to 2^64 - 2; our results are signed, and nobody counts that far. */
static int64_t clamp(uint64_t count)
{
	return count < INT64_MAX ? (int64_t)count : INT64_MAX;
}

int peal_wake_create(void)
{
	/* Not EFD_SEMAPHORE: one read must take all, or a burst would cost a wake for each. */
	int fd = peal_fd_move_up_take(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	return fd < 0 ? peal_fail(-fd, "making an eventfd: %s", peal_strerror(fd)) : fd;
}

int peal_eventfd_ring(int fd)
{
	uint64_t one = 1;
	ssize_t written;

	do
		written = write(fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
	if (written >= 0)
		return PEAL_SIGNAL_SENT;
	/* Saturated, hence not zero, hence readable: the wake is pending. */
	if (errno == EAGAIN)
		return PEAL_SIGNAL_COALESCED;
	return peal_fail_errno("notifying an eventfd");
}

int peal_wake_notify(int fd)
{
	int rc = peal_eventfd_ring(fd);

	return rc < 0 ? rc : 0;
}

int64_t peal_wake_try_read(int fd)
{
	uint64_t count;
	ssize_t got;

	do
		got = read(fd, &count, sizeof(count));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : peal_fail_errno("reading an eventfd");
	/* Eight bytes or none: anything else would leave @count unset, so it is no eventfd. */
	if (got != sizeof(count))
		return peal_fail(EINVAL, "descriptor %d gave %zd bytes; an eventfd gives 8", fd,
				 got);
	return clamp(count);
}

int peal_wake_pair_create(struct peal_wake_pair *pair)
{
	PEAL_FD_AUTO producer = peal_wake_create();
	PEAL_FD_AUTO consumer = producer < 0 ? producer : peal_wake_create();

	if (consumer < 0)
		return consumer;
	pair->producer_wake = peal_fd_steal(&producer);
	pair->consumer_wake = peal_fd_steal(&consumer);
	return 0;
}

void peal_wake_pair_close(struct peal_wake_pair *pair)
{
	peal_fd_close(&pair->producer_wake);
	peal_fd_close(&pair->consumer_wake);
}

/* Only questions, so that a wrong descriptor stays as it was. */
static int check_eventfd(int fd)
{
	int rc = peal_fd_validate(fd);

	if (rc == 0 && !peal_fd_is_anon(fd, "[eventfd]"))
		rc = peal_fail(ENOTTY, "descriptor %d is not an eventfd", fd);
	return rc;
}

int peal_doorbell_from_wakes_take(struct peal_doorbell *db, int wait_fd, int signal_fd)
{
	int rc;

	/* An end that rings itself would wake itself and never the peer. */
	if (wait_fd == signal_fd)
		return peal_fail(EINVAL,
				 "descriptor %d can not be both the wake to wait on and the one to "
				 "ring",
				 wait_fd);
	rc = check_eventfd(wait_fd);
	if (rc == 0)
		rc = check_eventfd(signal_fd);
	/* Both are known to be right before the first flag changes. */
	if (rc == 0)
		rc = peal_fd_set_nonblocking(wait_fd);
	if (rc == 0)
		rc = peal_fd_set_nonblocking(signal_fd);
	if (rc == 0)
		rc = peal_fd_set_cloexec(wait_fd);
	if (rc == 0)
		rc = peal_fd_set_cloexec(signal_fd);
	if (rc == 0)
		*db = (struct peal_doorbell){
			.wait_fd = wait_fd,
			.signal_fd = signal_fd,
			.watch_fd = -1,
			.kind = PEAL_DOORBELL_EVENTFD,
		};
	return rc;
}

int peal_eventfd_drain(int fd)
{
	int64_t count = peal_wake_try_read(fd);

	if (count < 0)
		return (int)count;
	return count > 0 ? PEAL_DRAIN_RUNG : 0;
}

int64_t peal_eventfd_pending(int fd)
{
	static const char name[] = "\neventfd-count:";
	char path[40], text[512]; /* about 120 bytes are there; the line is the fifth */
	const char *line;
	ssize_t length;

	/* Reading the eventfd is the only other way to see its count, and would take it. */
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);

	PEAL_FD_AUTO info = peal_fd_move_up_take(open(path, O_RDONLY | O_CLOEXEC));

	if (info < 0)
		return peal_fail(-info, "%s: %s", path, peal_strerror(info));
	length = TEMP_FAILURE_RETRY(read(info, text, sizeof(text) - 1));
	if (length < 0)
		return peal_fail_errno(path);
	text[length] = '\0';
	line = strstr(text, name);
	if (!line)
		return peal_fail(ENOTTY, "%s has no eventfd-count", path);
	/* In hexadecimal, and without a 0x that would say so. */
	return clamp(strtoull(line + strlen(name), NULL, 16));
}
