/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - sleeping in epoll.
 *
 * Everything is registered once, for edges. So arming costs no system call, a dead peer's hang-up
 * is told once, and what is still in a flooded queue after its bounded drain does not keep the
 * poller awake. No edge is missed: each bell is a new arrival, hence an edge, and stays in epoll's
 * list until it is fetched.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "poller/poller.h"

/* Events that are fetched at once. */
#define BATCH 64

/* A watch is aligned, so the lowest bit of its address is free to tell its pidfd from its bell. */
#define PIDFD_BIT UINT64_C(1)

static int watch_fd(const struct peal_poller *poller, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.u64 = data};

	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int epoll_open(struct peal_poller *poller)
{
	int rc;

	poller->fd = peal_fd_move_up_take(epoll_create1(EPOLL_CLOEXEC));
	if (poller->fd < 0) {
		rc = poller->fd;
		return peal_fail(-rc, "making an epoll: %s", peal_strerror(rc));
	}
	/* For edges too, so it is never read. It would take 2^64 wakes to fill it. */
	rc = watch_fd(poller, poller->wake_fd, EPOLLIN, 0);
	if (rc < 0) {
		peal_fd_close(&poller->fd);
		return peal_fail(-rc, "watching an eventfd: %s", peal_strerror(rc));
	}
	return 0;
}

static void epoll_close(struct peal_poller *poller)
{
	peal_fd_close(&poller->fd);
}

/* Explicitly: a forked child that holds the same file would keep what closing does not end. */
static bool epoll_remove(struct peal_watch *watch)
{
	int pidfd = watch->pidfd_copy >= 0 ? watch->pidfd_copy : watch->pidfd;

	if (watch->bell)
		epoll_ctl(watch->poller->fd, EPOLL_CTL_DEL, watch->bell->doorbell.wait_fd, NULL);
	if (pidfd >= 0)
		epoll_ctl(watch->poller->fd, EPOLL_CTL_DEL, pidfd, NULL);
	peal_fd_close(&watch->pidfd_copy);
	return true;
}

/* Two watches of one channel share its pidfd, which epoll takes once a number. */
static int add_pidfd(struct peal_watch *watch)
{
	uint64_t data = (uintptr_t)watch | PIDFD_BIT;
	int rc = watch_fd(watch->poller, watch->pidfd, EPOLLIN, data);

	if (rc != -EEXIST)
		return rc;
	watch->pidfd_copy = fcntl(watch->pidfd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	return watch->pidfd_copy < 0 ? -errno
				     : watch_fd(watch->poller, watch->pidfd_copy, EPOLLIN, data);
}

static int epoll_add(struct peal_watch *watch)
{
	int rc = 0;

	if (watch->bell)
		rc = watch_fd(watch->poller, watch->bell->doorbell.wait_fd, EPOLLIN | EPOLLRDHUP,
			      (uintptr_t)watch);
	if (rc == 0 && watch->pidfd >= 0)
		rc = add_pidfd(watch);
	if (rc == 0)
		return 0;
	epoll_remove(watch);
	return peal_fail(-rc, "adding to an epoll: %s", peal_strerror(rc));
}

static void epoll_arm(struct peal_watch *watch)
{
	(void)watch; /* it is registered all the time */
}

static int epoll_ring(struct peal_poller *poller, struct channel_bell *bell)
{
	peal_batch_rung(poller, bell, bell->ring_now(&bell->bell));
	return 0;
}

static void tell(const struct epoll_event *event)
{
	struct peal_watch *watch = (struct peal_watch *)(uintptr_t)(event->data.u64 & ~PIDFD_BIT);

	if (!watch)
		return; /* the wake: the poller looks at what it was for */
	if (event->data.u64 & PIDFD_BIT)
		peal_watch_fired(watch, FIRED_GONE);
	else if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		peal_watch_fired(watch, FIRED_GONE);
	else
		peal_watch_fired(watch, FIRED_RUNG);
}

/* To the nanosecond; to the next millisecond where the kernel is older than 5.11, or a filter does
 * not know the call. */
static int wait_once(int fd, struct epoll_event *events, uint64_t deadline_ns)
{
	struct timespec left;
	const struct timespec *timeout = peal_time_left(deadline_ns, &left);
	int rc, ms = -1;

	if (deadline_ns == PEAL_TRY)
		return epoll_wait(fd, events, BATCH, 0);
	rc = epoll_pwait2(fd, events, BATCH, timeout, NULL);
	if (rc >= 0 || (errno != ENOSYS && errno != EPERM))
		return rc;
	if (timeout)
		ms = left.tv_sec < 1000000
			     ? (int)(left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000)
			     : 1000000000;
	return epoll_wait(fd, events, BATCH, ms);
}

static int epoll_sleep(struct peal_poller *poller, uint64_t deadline_ns)
{
	struct epoll_event events[BATCH];
	/* All that there is, since a loop around us may look for edges; bounded, for there may always
	 * be more. */
	size_t rounds = poller->lists[ALL].count * 2 / BATCH + 1;
	int count;

	do {
		count = wait_once(poller->fd, events, deadline_ns);
		if (count < 0)
			return errno == EINTR ? 0 : peal_fail_errno("waiting in an epoll");
		for (int i = 0; i < count; i++)
			tell(&events[i]);
		deadline_ns = PEAL_TRY;
	} while (count == BATCH && rounds-- > 0);
	return 0;
}

const struct peal_backend peal_backend_epoll = {
	.id = PEAL_POLLER_EPOLL,
	.open = epoll_open,
	.close = epoll_close,
	.add = epoll_add,
	.remove = epoll_remove,
	.arm = epoll_arm,
	.ring = epoll_ring,
	.wait = epoll_sleep,
};
