/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller that are only seen from inside: who is registered, and who is rung for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"

/* --- Batches --------------------------------------------------------------------------------- */

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
	struct peal_event event;
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
	/* Trying, for a spin would hand it over as well. */
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_TRY), 1);
	ck_assert_ptr_eq(event.user, &closing);
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

START_TEST(a_child_may_live_on_unwatched)
{
	struct peal_poller *poller = make_poller(BACKEND(_i * 4), PEAL_SPIN_NEVER);
	char *argv[] = {strdupa("/bin/sleep"), strdupa("1000"), NULL};
	struct peal_child *child;
	struct peal_watch *watch;

	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	assert_ok(peal_poller_watch_child(poller, child, NULL, &watch));
	expect_nothing(poller);
	peal_watch_remove(watch);
	peal_child_free(child);
	expect_nothing(poller);
	peal_poller_close(poller);
}
END_TEST

/* --- What was removed ------------------------------------------------------------------------ */

/* HOT, or armed with all that a watch can wait for. What is freed is filled with nonsense. */
START_TEST(nothing_is_left_of_what_was_removed)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct peal_side_stats own;
	struct here here;
	uint64_t spurious;

	mallopt(M_PERTURB, 0x55);
	open_here(&here, _i, poller);
	assert_ok(peal_channel_watch(here.host, pidfd));
	close(pidfd);
	watch_anew(&here, poller, 0);
	peal_watch_remove(here.watch);
	expect_nothing(poller);
	assert_ok(peal_poller_watch_data(poller, here.host, 0, &here, &here.watch));
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	peal_channel_stats(here.host, &own, NULL);
	spurious = own.rx.spurious;
	peal_watch_remove(here.watch);
	here.watch = NULL;
	peal_channel_stats(here.host, &own, NULL);
	ck_assert_uint_eq(own.rx.spurious, spurious); /* to be removed is no wake */
	ck_assert_ptr_null(poller->held);
	expect_nothing(poller);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(what_a_closed_poller_watched_is_free)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here here;

	open_here(&here, _i, poller);
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value % 2, 1);
	peal_poller_close(poller);
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value % 2, 0);
	poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	assert_ok(peal_poller_watch_data(poller, here.host, 0, &here, &here.watch));
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
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

int main(void)
{
	return harness_main(
		"watch",
		(struct harness_case[]){
			{a_batched_wake_for_the_dead_says_so, POLLER_CONFIGS},
			{a_batched_wake_learns_of_the_death, POLLER_CONFIGS},
			{two_watches_of_a_channel_batch_together, POLLER_CONFIGS},
			{what_is_owed_goes_out_when_the_last_look_finds_something, POLLER_CONFIGS},
			{only_a_poller_that_sleeps_is_rung_and_once, 4},
			{what_was_given_back_is_armed_as_well, POLLER_CONFIGS},
			{a_child_that_has_ended_is_not_armed, 2},
			{a_child_may_live_on_unwatched, 2},
			{nothing_is_left_of_what_was_removed, POLLER_CONFIGS},
			{what_a_closed_poller_watched_is_free, POLLER_CONFIGS},
			{each_watch_takes_what_is_its_own_from_epoll, 0},
			{a_pollers_descriptor_goes_no_further, 2},
			{a_removed_watch_leaves_the_bells_to_other_threads, POLLER_CONFIGS},
			HARNESS_END,
		});
}
