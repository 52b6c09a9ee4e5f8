/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller where the kernel refuses something, or it does itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"
#include "refuse.h"

#define MS UINT64_C(1000000)

/* --- What the kernel says -------------------------------------------------------------------- */

static int sends_to_fail, epoll_waits;

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	if (sends_to_fail > 0) {
		sends_to_fail--;
		errno = ENOBUFS;
		return -1;
	}
	return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
	epoll_waits++;
	return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, NULL, (size_t)8);
}

static int create(uint32_t backend)
{
	struct peal_poller_options options = {.size = sizeof(options), .backend = backend};
	struct peal_poller *poller = (void *)&options;
	int rc = peal_poller_create(&poller, &options);

	ck_assert_ptr_eq(poller, (void *)&options);
	return rc;
}

START_TEST(without_an_eventfd_there_is_no_poller)
{
	refuse_all(SYS_eventfd2, ENFILE);
	assert_fails(create(BACKEND(_i * 4)), ENFILE, "eventfd");
}
END_TEST

START_TEST(what_fork_would_share_is_no_io_uring)
{
	refuse(SYS_madvise, 2, MADV_DONTFORK, EINVAL);
	assert_fails(create(PEAL_POLLER_IO_URING), EINVAL, "forks");
}
END_TEST

START_TEST(what_epoll_does_not_take_is_an_error)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	struct peal_watch *watch = (void *)&poller;
	struct here here;

	open_here(&here, 0, poller);
	peal_watch_remove(here.watch);
	here.watch = NULL;
	refuse(SYS_epoll_ctl, 1, EPOLL_CTL_ADD, ENOSPC);
	assert_fails(create(PEAL_POLLER_EPOLL), ENOSPC, "watching an eventfd");
	assert_fails(peal_poller_watch_data(poller, here.host, 0, NULL, &watch), ENOSPC,
		     "adding to an epoll");
	ck_assert_ptr_eq(watch, (void *)&poller);
	ck_assert_uint_eq(poller->lists[ALL].count, 0);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_promised_membarrier_that_fails_is_told)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	struct peal_event event;
	struct here here;

	open_here(&here, 0, poller);
	if (!here.host->membarrier)
		harness_skip("no membarrier here");
	expect_nothing(poller);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	receive_here(&here);
	refuse_all(SYS_membarrier, EPERM);
	assert_fails(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), EPERM, "membarrier");
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value % 2, 0);
	assert_fails(peal_poller_arm(poller), EPERM, "membarrier");
	/* It hides nothing. */
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

static void *wake_soon(void *poller)
{
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
	peal_poller_wake(poller);
	return NULL;
}

/* An old kernel, and a filter that does not know the call: milliseconds must do. */
START_TEST(an_epoll_of_milliseconds_keeps_its_deadlines)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	struct peal_event event;
	uint64_t deadline;
	pthread_t thread;

	refuse_all(SYS_epoll_pwait2, _i == 0 ? ENOSYS : EPERM);
	deadline = peal_deadline_in_ns(10 * MS + MS / 2);
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, deadline), -ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns(), deadline);
	ck_assert_int_le(epoll_waits, 3);
	for (int i = 0; i < 2; i++) {
		epoll_waits = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, wake_soon, poller), 0);
		/* For ever; and a time whose milliseconds, in 32 bits, are ten. */
		deadline = i == 0 ? PEAL_FOREVER : peal_deadline_in_ns(UINT64_C(4294967306) * MS);
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, deadline), 1);
		ck_assert_int_eq(epoll_waits, 1);
		pthread_join(thread, NULL);
	}
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_wait_that_fails_is_an_error)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	struct peal_event event;

	refuse_all(_i ? SYS_epoll_pwait2 : SYS_io_uring_enter, EBADF);
	assert_fails(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(10 * MS)), EBADF,
		     "waiting in an");
	if (_i == 0)
		assert_fails(peal_poller_wait(poller, &event, 1, PEAL_TRY), EBADF,
			     "asking an io_uring");
	peal_poller_close(poller);
}
END_TEST

START_TEST(what_io_uring_lacks_for_a_moment_is_no_error)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	uint64_t deadline;
	struct peal_event event;

	refuse_all(SYS_io_uring_enter, _i == 0 ? EBUSY : EAGAIN);
	deadline = peal_deadline_in_ns(10 * MS);
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, deadline), -ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns(), deadline);
	peal_poller_close(poller);
}
END_TEST

/* The kernel may still speak of it, so its memory stays until the poller goes. */
START_TEST(a_removal_that_io_uring_refuses_ends)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	struct peal_watch *watch;
	struct here here;

	open_here(&here, _i, poller);
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	ck_assert(here.watch->bell_asked);
	refuse_all(SYS_io_uring_enter, EPERM);
	watch = here.watch;
	peal_watch_remove(watch);
	ck_assert_ptr_eq(poller->held, watch);
	here.watch = NULL;
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* With io_uring the kernel itself sends. */
START_TEST(a_batched_wake_that_can_not_be_rung_is_told_once)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	struct peal_event event;
	struct here here;

	open_here(&here, 0, poller);
	watch_anew(&here, poller, PEAL_WATCH_BATCH_WAKES);
	expect_nothing(poller);
	owe_a_bell(&here);
	sends_to_fail = 1000; /* as often as one ringing tries */
	expect_nothing(poller);
	ck_assert_int_eq(bells_at(&here), 1);
	owe_a_bell(&here);
	sends_to_fail = 1 << 20;
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_TRY), -ENOBUFS);
	sends_to_fail = 0;
	expect_nothing(poller);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* --- What is refused ------------------------------------------------------------------------- */

START_TEST(room_is_watched_only_where_it_can_be)
{
	struct peal_channel_options options = config(_i & 3, 0, 4096);
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct peal_channel *channel;
	struct peal_watch *watch;
	struct here here;

	open_here(&here, _i, poller);
	assert_fails(peal_poller_watch_space(poller, here.host, 8, 8, NULL, NULL), EINVAL, "flags");
	assert_ok(peal_poller_watch_space(poller, here.host, 8, 0, NULL, &watch));
	/* What was reserved to ask is given up. */
	assert_fails(peal_commit(peal_tx(here.host), 8, 0), EINVAL, "nothing is reserved");
	peal_watch_remove(watch);
	assert_ok(peal_channel_create(&channel, &options));
	assert_fails(peal_poller_watch_space(poller, channel, 8, 0, NULL, NULL), EINVAL, "no ring");
	peal_channel_close(channel);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* Each of the two may be the one that belongs to the parent. */
static int uses_what_is_the_parents(struct peal_poller *poller, struct here *here,
				    struct peal_child *child)
{
	struct peal_channel_options options = config(0, 4096, 4096);
	struct peal_poller *fresh_poller;
	struct peal_channel *fresh;

	if (peal_channel_create(&fresh, &options) < 0 ||
	    peal_poller_create(&fresh_poller, NULL) < 0)
		return 2;
	return peal_poller_watch_data(poller, fresh, 0, NULL, NULL) != -EBADFD ||
	       peal_poller_watch_data(fresh_poller, here->host, 0, NULL, NULL) != -EBADFD ||
	       peal_poller_watch_child(poller, child, NULL, NULL) != -EBADFD;
}

START_TEST(a_forked_child_watches_nothing_of_its_parents)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	char *argv[] = {strdupa("/bin/true"), NULL};
	struct peal_child *child;
	struct here here;
	int status;
	pid_t forked;

	open_here(&here, 0, poller);
	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	forked = fork();
	if (forked == 0)
		_exit(uses_what_is_the_parents(poller, &here, child));
	ck_assert_int_eq(waitpid(forked, &status, 0), forked);
	ck_assert_int_eq(status, 0);
	peal_child_free(child);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

int main(void)
{
	return harness_main("denied",
			    (struct harness_case[]){
				    {without_an_eventfd_there_is_no_poller, 2},
				    {what_fork_would_share_is_no_io_uring, 0},
				    {what_epoll_does_not_take_is_an_error, 0},
				    {a_promised_membarrier_that_fails_is_told, 2},
				    {an_epoll_of_milliseconds_keeps_its_deadlines, 2},
				    {a_wait_that_fails_is_an_error, 2},
				    {what_io_uring_lacks_for_a_moment_is_no_error, 2},
				    {a_removal_that_io_uring_refuses_ends, 4},
				    {a_batched_wake_that_can_not_be_rung_is_told_once, 0},
				    {room_is_watched_only_where_it_can_be, POLLER_CONFIGS},
				    {a_forked_child_watches_nothing_of_its_parents, 2},
				    HARNESS_END,
			    });
}
