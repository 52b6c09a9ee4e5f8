/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller's io_uring that are only seen from inside: what is under way, how often, and
 * what the kernel says of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"

/* Both doorbells, both barriers. */
#define CONFIGS_HERE 4
/* More than fit into the queue of completions. */
#define TOO_MANY     5000

/* What an operation was for, as uring.c writes it. */
enum { OP_PIDFD = 1, OP_OTHER = 2 };

/* --- What the kernel says -------------------------------------------------------------------- */

static int sleeps;

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned int count, struct __kernel_timespec *time,
				     sigset_t *mask)
{
	static int (*real)(struct io_uring * ring, struct io_uring_cqe * *cqe, unsigned int count,
			   struct __kernel_timespec *time, sigset_t *mask);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit_and_wait_timeout");
	sleeps++;
	return real(ring, cqe, count, time, mask);
}

/* --- What is watched ------------------------------------------------------------------------- */

static struct peal_poller *make(void)
{
	return make_poller(PEAL_POLLER_IO_URING, PEAL_SPIN_NEVER);
}

/* A channel whose peer is, as far as pidfds go, this child. */
static void open_with_child(struct here *here, int index, struct peal_poller *poller,
			    struct peal_child *child)
{
	open_here(here, index, poller);
	assert_ok(peal_channel_watch(here->host, peal_child_pidfd(child)));
	watch_anew(here, poller, 0);
	for (int i = 0; i < 3; i++) /* attaching rang */
		expect_nothing(poller);
	ck_assert(here->watch->bell_asked && here->watch->pidfd_asked);
}

/* As a kernel does with what a thread had asked for that has ended. */
static void end_operation(struct peal_poller *poller, struct peal_watch *watch, uint64_t op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&poller->ring);

	ck_assert_ptr_nonnull(sqe);
	io_uring_prep_cancel64(sqe, (uintptr_t)watch | op, 0);
	io_uring_sqe_set_data64(sqe, UINT64_C(8) | OP_OTHER);
	ck_assert_int_eq(io_uring_submit(&poller->ring), 1);
}

/* --- What is under way ----------------------------------------------------------------------- */

/* It is no death, is asked for again, and what else is under way stays so once. */
START_TEST(a_cancelled_operation_is_no_end_and_asked_for_again)
{
	struct peal_poller *poller = make();
	struct peal_child *child = start_child();
	struct peal_watch *watch;
	struct here here;

	open_with_child(&here, _i, poller, child);
	assert_ok(peal_poller_watch_child(poller, child, child, &watch));
	expect_nothing(poller);
	for (int i = 0; i < 3; i++) {
		end_operation(poller, here.watch, OP_PIDFD);
		end_operation(poller, watch, OP_PIDFD);
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
		ck_assert(here.watch->pidfd_asked && watch->pidfd_asked);
		ck_assert_int_eq(peal_poller_arm(poller), 0);
	}
	peal_watch_remove(here.watch);
	here.watch = NULL;
	/* Nobody takes it any more. */
	ck_assert_int_eq(peal_doorbell_drain(&here.host->bells[TO_HOST].doorbell), 0);
	ck_assert_int_eq(peal_doorbell_signal(&here.guest->bells[TO_HOST].doorbell),
			 PEAL_SIGNAL_SENT);
	expect_nothing(poller);
	ck_assert_int_eq(peal_doorbell_pending(&here.host->bells[TO_HOST].doorbell), 1);
	end_child(child);
	expect(poller, PEAL_EVENT_CHILD, child);
	close_here(&here);
	peal_poller_close(poller);
	peal_child_free(child);
}
END_TEST

START_TEST(the_end_of_a_peer_is_one_completion)
{
	struct peal_poller *poller = make();
	struct peal_child *child = start_child();
	struct here here;

	open_with_child(&here, _i, poller, child);
	for (int i = 0; i < 5; i++) {
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
		receive_here(&here);
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
	}
	ck_assert_int_eq(peal_poller_arm(poller), 0);
	end_child(child);
	ck_assert_uint_le(io_uring_cq_ready(&poller->ring), 1);
	expect(poller, PEAL_EVENT_DATA, &here);
	close_here(&here);
	peal_poller_close(poller);
	peal_child_free(child);
}
END_TEST

START_TEST(a_wake_is_one_completion)
{
	struct peal_poller *poller = make();
	struct here here;

	open_here(&here, _i, poller);
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
		watch_anew(&here, poller, 0); /* a cancellation completes as well */
	}
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 3; k++)
			expect_nothing(poller);
		ck_assert_int_eq(peal_poller_arm(poller), 0);
		assert_ok(peal_poller_wake(poller));
		ck_assert_uint_le(io_uring_cq_ready(&poller->ring), 1);
		expect(poller, PEAL_EVENT_WAKE, NULL);
	}
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* The cancellation of what was under way is no reason to ask for it again. */
START_TEST(nothing_is_to_be_asked_for_what_was_removed)
{
	struct peal_poller *poller = make();
	struct peal_child *child = start_child();
	struct here here;

	open_with_child(&here, _i, poller, child);
	peal_watch_remove(here.watch);
	here.watch = NULL;
	ck_assert_ptr_null(poller->to_ask);
	close_here(&here);
	peal_poller_close(poller);
	end_child(child);
	peal_child_free(child);
}
END_TEST

static void *wake_soon(void *poller)
{
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
	assert_ok(peal_poller_wake(poller));
	return NULL;
}

START_TEST(who_sleeps_for_ever_sleeps_once)
{
	struct peal_poller *poller = make();
	pthread_t waker;

	expect_nothing(poller);
	sleeps = 0;
	ck_assert_int_eq(pthread_create(&waker, NULL, wake_soon, poller), 0);
	expect(poller, PEAL_EVENT_WAKE, NULL);
	ck_assert_int_le(sleeps, 1);
	pthread_join(waker, NULL);
	peal_poller_close(poller);
}
END_TEST

/* --- Where the kernel lacks something -------------------------------------------------------- */

START_TEST(completions_that_did_not_fit_are_told)
{
	struct peal_poller *poller = make();
	struct peal_child *child = start_child();
	struct peal_event event;

	for (int i = 0; i < TOO_MANY; i++)
		assert_ok(peal_poller_watch_child(poller, child, child, NULL));
	expect_nothing(poller);
	end_child(child);
	for (int i = 0; i < TOO_MANY;) {
		int rc = peal_poller_wait(poller, &event, 1, PEAL_TRY);

		ck_assert(rc == 1 || rc == -EAGAIN);
		i += rc == 1;
	}
	expect_nothing(poller);
	peal_poller_close(poller);
	peal_child_free(child);
}
END_TEST

/* --- Forks ----------------------------------------------------------------------------------- */

static bool is_mapped(void *address)
{
	return msync(address, 4096, MS_ASYNC) == 0;
}

START_TEST(a_forked_child_shares_no_io_uring)
{
	struct peal_poller *poller = make();
	void *queue = poller->ring.sq.ring_ptr, *entries = poller->ring.sq.sqes;
	pid_t child;
	int status;

	ck_assert(is_mapped(queue) && is_mapped(entries));
	child = fork();
	if (child == 0)
		_exit(is_mapped(queue) || is_mapped(entries));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	peal_poller_close(poller);
}
END_TEST

int main(void)
{
	return harness_main(
		"uring",
		(struct harness_case[]){
			{a_cancelled_operation_is_no_end_and_asked_for_again, CONFIGS_HERE},
			{the_end_of_a_peer_is_one_completion, CONFIGS_HERE},
			{a_wake_is_one_completion, CONFIGS_HERE},
			{nothing_is_to_be_asked_for_what_was_removed, CONFIGS_HERE},
			{who_sleeps_for_ever_sleeps_once, 0},
			{completions_that_did_not_fit_are_told, 0},
			{a_forked_child_shares_no_io_uring, 0},
			HARNESS_END,
		});
}
