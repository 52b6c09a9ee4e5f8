/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller where the kernel refuses something, and what is only seen from inside: who is
 * registered, who is rung for, what it costs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
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
	/* For ever; and a time whose milliseconds, in 32 bits, are four. */
	const uint64_t far[] = {PEAL_FOREVER, peal_deadline_in_ns(UINT64_C(4294967300) * MS)};
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
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, far[i]), 1);
		ck_assert_int_le(epoll_waits, 3);
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

/* --- Batches --------------------------------------------------------------------------------- */

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

START_TEST(a_batched_wake_for_the_dead_says_so)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here here;

	open_here(&here, _i, poller);
	watch_anew(&here, poller, PEAL_WATCH_BATCH_WAKES);
	owe_a_bell(&here);
	assert_ok(peal_poller_flush(poller));
	/* It sleeps anew, and dies. */
	assert_ok(peal_disarm_data(peal_rx(here.guest)));
	while (peal_next(peal_rx(here.guest), &(struct peal_record){0}) == 1)
		assert_ok(peal_release(peal_rx(here.guest)));
	ck_assert_int_eq(peal_arm_data(peal_rx(here.guest)), 0);
	peal_doorbell_mark_dead(&here.host->bells[TO_GUEST].doorbell);
	ck_assert_int_eq(peal_send(peal_tx(here.host), "", 1, 0, PEAL_TRY), -EPIPE);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_batched_wake_learns_of_the_death)
{
	struct peal_poller *poller = make_poller(BACKEND(_i & ~1), PEAL_SPIN_NEVER);
	struct peal_event event;
	struct here here;

	open_here(&here, _i & ~1, poller);
	watch_anew(&here, poller, PEAL_WATCH_BATCH_WAKES);
	owe_a_bell(&here);
	here.guest = peal_channel_close(here.guest);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
	ck_assert(peal_doorbell_is_dead(&here.host->bells[TO_GUEST].doorbell));
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(two_watches_of_a_channel_batch_together)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct peal_watch *space;
	struct here here;

	open_here(&here, _i, poller);
	watch_anew(&here, poller, PEAL_WATCH_BATCH_WAKES);
	assert_ok(peal_poller_watch_space(poller, here.host, 8, PEAL_WATCH_BATCH_WAKES, &space,
					  &space));
	expect(poller, PEAL_EVENT_SPACE, &space);
	for (int i = 0; i < 2; i++) {
		owe_a_bell(&here);
		ck_assert_int_eq(bells_at(&here), 0);
		expect_nothing(poller);
		ck_assert_int_eq(bells_at(&here), 1);
		if (i == 0)
			peal_watch_remove(space); /* the other goes on */
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* A closing that only the last look sees: nobody sleeps, and what is owed goes out all the same. */
START_TEST(what_is_owed_goes_out_when_the_last_look_finds_something)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here closing, other;
	int held;

	open_here(&closing, _i, poller);
	watch_anew(&closing, poller, PEAL_WATCH_ONCE);
	open_here(&other, _i, poller);
	watch_anew(&other, poller, PEAL_WATCH_BATCH_WAKES);
	send_here(&closing);
	expect(poller, PEAL_EVENT_DATA, &closing);
	receive_here(&closing);
	held = fcntl(peal_tx_fd(closing.guest), F_DUPFD_CLOEXEC, 3);
	closing.guest = peal_channel_close(closing.guest);
	assert_ok(peal_doorbell_drain(&closing.host->bells[TO_HOST].doorbell));
	owe_a_bell(&other);
	assert_ok(peal_watch_resume(closing.watch, 0));
	expect(poller, PEAL_EVENT_DATA, &closing);
	ck_assert_int_eq(bells_at(&other), 1);
	close(held);
	close_here(&closing);
	close_here(&other);
	peal_poller_close(poller);
}
END_TEST

/* --- Who is rung for ------------------------------------------------------------------------- */

static bool is_rung(const struct peal_poller *poller)
{
	return poll(&(struct pollfd){.fd = poller->wake_fd, .events = POLLIN}, 1, 0) == 1;
}

/* With epoll nobody takes these bells, so they can be counted. */
START_TEST(only_a_poller_that_sleeps_is_rung_and_once)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	eventfd_t count;
	struct here here;

	open_here(&here, _i, poller);
	assert_ok(peal_poller_wake(poller));
	ck_assert(!is_rung(poller));
	ck_assert_int_eq(peal_poller_arm(poller), 1);
	expect(poller, PEAL_EVENT_WAKE, NULL);
	expect_nothing(poller);
	assert_ok(peal_poller_wake(poller)); /* it slept, but has woken up */
	ck_assert(!is_rung(poller));
	expect(poller, PEAL_EVENT_WAKE, NULL);
	send_here(&here);
	ck_assert_int_eq(peal_poller_arm(poller), 1);
	assert_ok(peal_poller_wake(poller));
	ck_assert(!is_rung(poller));
	receive_here(&here);
	expect(poller, PEAL_EVENT_WAKE, NULL);
	close_here(&here);
	ck_assert_int_eq(peal_poller_arm(poller), 0);
	for (int i = 0; i < 3; i++)
		assert_ok(peal_poller_wake(poller));
	ck_assert_int_eq(eventfd_read(poller->wake_fd, &count), 0);
	ck_assert_uint_eq(count, 1);
	peal_poller_close(poller);
}
END_TEST

START_TEST(what_was_given_back_is_armed_as_well)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here here;

	open_here(&here, _i, poller);
	watch_anew(&here, poller, PEAL_WATCH_ONCE);
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	receive_here(&here);
	assert_ok(peal_watch_resume(here.watch, 0));
	ck_assert_int_eq(peal_poller_arm(poller), 0);
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value % 2, 1);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_child_that_has_ended_is_not_armed)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	char *argv[] = {strdupa("/bin/true"), NULL};
	struct peal_child *child;

	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	assert_ok(peal_poller_watch_child(poller, child, child, NULL));
	assert_ok(peal_child_wait(child, PEAL_FOREVER, NULL));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(peal_poller_arm(poller), 1);
	expect(poller, PEAL_EVENT_CHILD, child);
	ck_assert_int_eq(peal_poller_arm(poller), 0);
	peal_poller_close(poller);
	peal_child_free(child);
}
END_TEST

/* --- What it costs --------------------------------------------------------------------------- */

START_TEST(who_is_busy_is_not_armed)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here here;
	uint64_t word;

	open_here(&here, _i, poller);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	word = peal_rx(here.host)->wake.own_value;
	for (int i = 0; i < 300; i++)
		expect(poller, PEAL_EVENT_DATA, &here);
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value, word);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* --- Other threads --------------------------------------------------------------------------- */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void *receive_soon(void *here)
{
	((struct here *)here)->host->rx.wake.spin_ns = 0;
	ck_assert_int_eq(peal_recv(peal_rx(((struct here *)here)->host), (char[8]){0}, 8, NULL,
				   PEAL_FOREVER),
			 8);
	return NULL;
}

static void *send_soon(void *here)
{
	pause_ms(2);
	send_here(here);
	return NULL;
}

/* What is still under way for this thread would take the bells of another one. */
START_TEST(a_removed_watch_leaves_the_bells_to_other_threads)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	pthread_t receiver, sender;
	struct here here;

	open_here(&here, _i, poller);
	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < 3; k++)
			expect_nothing(poller); /* armed */
		peal_watch_remove(here.watch);
		ck_assert_int_eq(pthread_create(&receiver, NULL, receive_soon, &here), 0);
		pause_ms(2);
		ck_assert_int_eq(pthread_create(&sender, NULL, send_soon, &here), 0);
		pause_ms(5);
		pthread_join(sender, NULL);
		pthread_join(receiver, NULL);
		assert_ok(peal_poller_watch_data(poller, here.host, 0, &here, &here.watch));
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

static uint64_t cpu_time(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000 * MS + (uint64_t)used.tv_nsec;
}

/* Nobody; or one who can only run when we do not. A spin would use all of the time. */
START_TEST(nobody_spins_for_nobody_nor_for_who_needs_this_processor)
{
	const uint64_t time = 200 * MS;
	struct peal_poller *poller;
	struct peal_event event;
	struct here here;
	cpu_set_t one;
	uint64_t begin;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	poller = make_poller(BACKEND(_i * 4), 1000000);
	begin = cpu_time();
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(time)),
			 -ETIMEDOUT);
	ck_assert_uint_lt(cpu_time() - begin, time / 2);
	open_here(&here, 0, poller);
	begin = cpu_time();
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(time)),
			 -ETIMEDOUT);
	ck_assert_uint_lt(cpu_time() - begin, time / 2);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* Bells were rung and taken, and a wake came; then nothing happens. */
START_TEST(who_sleeps_costs_nothing)
{
	const uint64_t time = 100 * MS;
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct peal_event event;
	struct here here;
	uint64_t begin;

	open_here(&here, _i, poller);
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
		receive_here(&here);
		ck_assert_int_eq(peal_poller_arm(poller), 0);
		assert_ok(peal_poller_wake(poller));
		expect(poller, PEAL_EVENT_WAKE, NULL);
	}
	begin = cpu_time();
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(time)),
			 -ETIMEDOUT);
	ck_assert_uint_lt(cpu_time() - begin, time / 2);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* As many as epoll gives at once, and more. */
START_TEST(all_that_rang_is_fetched)
{
	enum { MANY = 150 };
	const int count = _i & 1 ? MANY : 64;
	struct peal_poller *poller = make_poller(BACKEND(_i / 2 * 4), PEAL_SPIN_NEVER);
	struct peal_event events[MANY];
	static struct here many[MANY];

	for (int i = 0; i < count; i++)
		open_here(&many[i], 0, poller);
	for (int i = 0; i < 5; i++) /* attaching rang */
		expect_nothing(poller);
	for (int i = 0; i < count; i++)
		send_here(&many[i]);
	ck_assert_int_eq(peal_poller_wait(poller, events, MANY, PEAL_FOREVER), count);
	for (int i = 0; i < count; i++)
		close_here(&many[i]);
	peal_poller_close(poller);
}
END_TEST

START_TEST(watches_leave_no_memory)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	struct here here;
	size_t before;

	open_here(&here, 0, poller);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 1000; i++)
		watch_anew(&here, poller, 0);
	ck_assert_uint_le(mallinfo2().uordblks, before + 10000);
	peal_watch_remove(here.watch);
	here.watch = NULL;
	if (_i == 1) {
		refuse(SYS_epoll_ctl, 1, EPOLL_CTL_ADD, ENOSPC);
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(peal_poller_watch_data(poller, here.host, 0, NULL, NULL),
					 -ENOSPC);
		ck_assert_uint_le(mallinfo2().uordblks, before + 10000);
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* --- Who is registered with epoll ------------------------------------------------------------ */

static bool is_registered(const struct peal_poller *poller, int fd)
{
	char path[40], line[200];
	bool found = false;
	FILE *file;
	int tfd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", poller->fd);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
	fclose(file);
	return found;
}

/* Two of one channel share its pidfd, which epoll takes once a number. */
START_TEST(each_watch_takes_what_is_its_own_from_epoll)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), copy;
	struct peal_watch *space;
	struct here here;

	open_here(&here, 0, poller);
	assert_ok(peal_channel_watch(here.host, pidfd));
	close(pidfd);
	watch_anew(&here, poller, 0);
	assert_ok(peal_poller_watch_space(poller, here.host, 8, 0, NULL, &space));
	copy = space->pidfd_copy;
	ck_assert_int_ge(copy, 3);
	ck_assert_int_eq(fcntl(copy, F_GETFD), FD_CLOEXEC);
	ck_assert(is_registered(poller, copy));
	ck_assert(is_registered(poller, here.watch->pidfd));
	peal_watch_remove(space);
	ck_assert_int_eq(fcntl(copy, F_GETFD), -1);
	ck_assert(!is_registered(poller, copy));
	ck_assert(is_registered(poller, here.watch->pidfd));
	peal_watch_remove(here.watch);
	here.watch = NULL;
	ck_assert(!is_registered(poller, peal_channel_peer_fd(here.host)));
	ck_assert(!is_registered(poller, peal_rx_fd(here.host)));
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_pollers_descriptor_goes_no_further)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);

	ck_assert_int_eq(fcntl(peal_poller_fd(poller), F_GETFD), FD_CLOEXEC);
	peal_poller_close(poller);
}
END_TEST

int main(void)
{
	return harness_main(
		"watch",
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
			{a_batched_wake_for_the_dead_says_so, POLLER_CONFIGS},
			{a_batched_wake_learns_of_the_death, POLLER_CONFIGS},
			{two_watches_of_a_channel_batch_together, POLLER_CONFIGS},
			{what_is_owed_goes_out_when_the_last_look_finds_something, POLLER_CONFIGS},
			{only_a_poller_that_sleeps_is_rung_and_once, 4},
			{what_was_given_back_is_armed_as_well, POLLER_CONFIGS},
			{a_child_that_has_ended_is_not_armed, 2},
			{who_is_busy_is_not_armed, POLLER_CONFIGS},
			{nobody_spins_for_nobody_nor_for_who_needs_this_processor, 2},
			{who_sleeps_costs_nothing, POLLER_CONFIGS},
			{a_removed_watch_leaves_the_bells_to_other_threads, POLLER_CONFIGS},
			{all_that_rang_is_fetched, 4},
			{watches_leave_no_memory, 2},
			{each_watch_takes_what_is_its_own_from_epoll, 0},
			{a_pollers_descriptor_goes_no_further, 2},
			HARNESS_END,
		});
}
