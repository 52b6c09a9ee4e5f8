/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller about what happens just then: between two of its steps, as it makes a call into
 * the kernel, something comes; or the kernel takes nothing for a moment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"
#include "refuse.h"

/* Both doorbells, both barriers. */
#define CONFIGS_HERE 4
/* More than io_uring hands over at once. */
#define MANY         200
/* As many as epoll gives at once. */
#define BATCH        64

static int submits, submits_to_fail, submit_error;
static unsigned int completed; /* by the last one */
static int fetches, bells_to_ring;
static struct here many[3 * BATCH];
static struct peal_poller *to_wake;
static struct peal_watch *to_resume;

/* While a bell is rung. */
ssize_t send(int fd, const void *data, size_t size, int flags)
{
	if (to_resume)
		assert_ok(peal_watch_resume(to_resume, 0));
	if (to_wake)
		assert_ok(peal_poller_wake(to_wake));
	to_resume = NULL;
	to_wake = NULL;
	return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

/* Before anything is fetched, some ring. */
int epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
	/* So many times; for ever would only be worse. */
	if (fetches++ < 100) {
		for (int i = 0; i < bells_to_ring; i++)
			assert_ok(peal_doorbell_signal(&many[i].guest->bells[TO_HOST].doorbell));
	}
	return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, NULL, (size_t)8);
}

int io_uring_submit(struct io_uring *ring)
{
	int rc;

	submits++;
	if (submits_to_fail > 0) {
		submits_to_fail--;
		return -submit_error;
	}
	rc = io_uring_submit_and_wait(ring, 0);
	completed = io_uring_cq_ready(ring);
	return rc;
}

/* After it took what was given back, and before it says that it sleeps: nobody rings for it. */
START_TEST(who_is_called_while_arming_does_not_sleep)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);
	struct here here, other;

	open_here(&here, 0, poller);
	watch_anew(&here, poller, PEAL_WATCH_ONCE);
	open_here(&other, 0, poller);
	watch_anew(&other, poller, PEAL_WATCH_BATCH_WAKES);
	for (int i = 0; i < 3; i++) /* attaching rang */
		expect_nothing(poller);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	receive_here(&here);
	owe_a_bell(&other);
	if (_i == 0)
		to_resume = here.watch;
	else
		to_wake = poller;
	ck_assert_int_eq(peal_poller_arm(poller), 1);
	ck_assert(!to_resume && !to_wake);
	if (_i == 0) {
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
	} else {
		expect(poller, PEAL_EVENT_WAKE, NULL);
	}
	close_here(&here);
	close_here(&other);
	peal_poller_close(poller);
}
END_TEST

static void open_many(struct peal_poller *poller, int index, int count)
{
	for (int i = 0; i < count; i++)
		open_here(&many[i], index, poller);
	for (int i = 0; i < 5; i++) /* attaching rang */
		expect_nothing(poller);
}

static void close_many(int count)
{
	for (int i = 0; i < count; i++)
		close_here(&many[i]);
}

START_TEST(endless_bells_end_in_time)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, PEAL_SPIN_NEVER);

	open_many(poller, _i, BATCH);
	fetches = 0;
	bells_to_ring = BATCH;
	expect_nothing(poller);
	ck_assert_int_le(fetches, 10);
	bells_to_ring = 0;
	close_many(BATCH);
	peal_poller_close(poller);
}
END_TEST

/* As many as epoll gives at once, and more. */
START_TEST(all_that_rang_is_fetched)
{
	const int count = _i & 1 ? 2 * BATCH + BATCH / 2 : BATCH;
	struct peal_poller *poller = make_poller(BACKEND(_i / 2 * 4), PEAL_SPIN_NEVER);
	struct peal_event events[3 * BATCH];

	open_many(poller, 0, count);
	for (int i = 0; i < count; i++)
		send_here(&many[i]);
	ck_assert_int_eq(peal_poller_wait(poller, events, count, PEAL_FOREVER), count);
	close_many(count);
	peal_poller_close(poller);
}
END_TEST

/* A socket's completes in the call that it goes along with, an eventfd is rung before. */
START_TEST(a_batched_bell_that_was_rung_completes_nothing)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	struct here here;

	open_here(&here, _i, poller);
	watch_anew(&here, poller, PEAL_WATCH_BATCH_WAKES);
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	for (int i = 0; i < 3; i++) {
		owe_a_bell(&here);
		ck_assert_int_eq(bells_at(&here), 0);
		completed = 0;
		assert_ok(peal_poller_flush(poller));
		ck_assert_int_eq(bells_at(&here), 1);
		if (here.host->bells[TO_GUEST].doorbell.kind == PEAL_DOORBELL_EVENTFD ||
		    poller->ring.features & IORING_FEAT_CQE_SKIP)
			ck_assert_uint_eq(completed, 0);
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

static void watch_often(struct peal_poller *poller, struct peal_child *child, int times)
{
	for (int i = 0; i < times; i++)
		assert_ok(peal_poller_watch_child(poller, child, child, NULL));
}

START_TEST(what_can_not_be_handed_over_for_a_moment_is_handed_over_again)
{
	const int errors[] = {EINTR, EBUSY, EAGAIN};
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	struct here here;

	open_here(&here, 0, poller);
	submit_error = errors[_i];
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
		watch_anew(&here, poller, 0);
		submits_to_fail = 3;
		submits = 0;
		ck_assert_int_eq(peal_poller_arm(poller), 0);
		ck_assert_int_gt(submits, 3);
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
		receive_here(&here);
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* It is told; and once it is over, nothing that was to be asked has been forgotten. */
START_TEST(what_could_not_be_asked_for_is_told_and_asked_for_later)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	struct peal_child *child = start_child();
	struct peal_event event;

	watch_often(poller, child, MANY);
	submit_error = ENOMEM;
	submits_to_fail = 1;
	assert_fails(peal_poller_wait(poller, &event, 1, PEAL_TRY), ENOMEM, "asking an io_uring");
	ck_assert_int_eq(submits_to_fail, 0);
	expect_nothing(poller);
	end_child(child);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
	expect_nothing(poller);
	peal_poller_close(poller);
	peal_child_free(child);
}
END_TEST

/* The queue is full, and nothing more can be handed over: then nothing is cancelled. */
START_TEST(a_removal_that_can_not_be_asked_for_ends)
{
	struct peal_poller *poller = make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
	struct peal_child *child = start_child();
	struct peal_watch *watch;
	struct peal_event event;
	struct here here;

	open_here(&here, _i, poller);
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	ck_assert(here.watch->bell_asked);
	watch_often(poller, child, MANY);
	refuse_all(SYS_io_uring_enter, EPERM);
	assert_fails(peal_poller_wait(poller, &event, 1, PEAL_TRY), EPERM, "asking an io_uring");
	watch = here.watch;
	peal_watch_remove(watch);
	here.watch = NULL;
	ck_assert_ptr_eq(poller->held, watch);
	close_here(&here);
	peal_poller_close(poller);
	end_child(child);
	peal_child_free(child);
}
END_TEST

int main(void)
{
	return harness_main(
		"between",
		(struct harness_case[]){
			{who_is_called_while_arming_does_not_sleep, 2},
			{endless_bells_end_in_time, 4},
			{all_that_rang_is_fetched, 4},
			{a_batched_bell_that_was_rung_completes_nothing, CONFIGS_HERE},
			{what_can_not_be_handed_over_for_a_moment_is_handed_over_again, 3},
			{what_could_not_be_asked_for_is_told_and_asked_for_later, 0},
			{a_removal_that_can_not_be_asked_for_ends, CONFIGS_HERE},
			HARNESS_END,
		});
}
