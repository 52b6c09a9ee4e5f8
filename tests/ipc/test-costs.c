/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller on what it costs, seen from inside: who is armed, who spins, and that a sleep
 * takes neither time nor memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"
#include "refuse.h"

#define MS UINT64_C(1000000)

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

/* Beside who is busy, nobody is armed who may be active still. */
START_TEST(who_is_new_is_not_armed_at_once)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here busy, here;
	uint64_t word;

	open_here(&busy, _i, poller);
	send_here(&busy);
	for (int i = 0; i < 200; i++)
		expect(poller, PEAL_EVENT_DATA, &busy);
	open_here(&here, _i, poller);
	word = peal_rx(here.host)->wake.own_value;
	for (int i = 0; i < 40; i++)
		expect(poller, PEAL_EVENT_DATA, &busy);
	ck_assert_uint_eq(peal_rx(here.host)->wake.own_value, word);
	close_here(&busy);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* How long this thread ran, and how long it would have liked to. */
static uint64_t wanted_time(void)
{
	unsigned long long ran, delay;
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	int read;

	ck_assert_ptr_nonnull(file);
	read = fscanf(file, "%llu %llu", &ran, &delay);
	fclose(file);
	ck_assert_int_eq(read, 2);
	return ran + delay;
}

/* Who spins wants all of the time, on a busy machine too; there a sleeper may once wait long until it is
 * let on, so a test asks TRIES times. */
#define TRIES 10

static bool sleeps(struct peal_poller *poller)
{
	uint64_t wanted = wanted_time(), begin = peal_now_ns();
	struct peal_event event;

	/* As if spinning had been worth it so far. */
	poller->pace.spin_ns = poller->pace.spin_cap_ns;
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(100 * MS)),
			 -ETIMEDOUT);
	return wanted_time() - wanted < (peal_now_ns() - begin) / 2;
}

/* Nobody; or one who can only run when we do not. A spin would use all of the time. */
START_TEST(nobody_spins_for_nobody_nor_for_who_needs_this_processor)
{
	struct peal_poller *poller;
	struct here here;
	cpu_set_t one;
	int tries = 0;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	poller = make_poller(BACKEND(_i * 4), 1000000);
	while (!sleeps(poller))
		ck_assert_int_lt(++tries, TRIES);
	for (bool slept = false; !slept; close_here(&here)) {
		open_here(&here, 0, poller);
		slept = sleeps(poller);
		ck_assert_int_lt(++tries, 2 * TRIES);
	}
	peal_poller_close(poller);
}
END_TEST

static void *send_soon(void *here)
{
	nanosleep(&(struct timespec){.tv_nsec = 2 * MS}, NULL);
	send_here(here);
	return NULL;
}

/* The spin would last an hour. It ends with what it finds: what is reported once is not found again;
 * and with what wakes another watch, where asking for that is free. */
START_TEST(a_spin_ends_with_what_it_finds)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), 1000000);
	struct here here, other;
	pthread_t sender;

	open_here(&here, _i, poller);
	open_here(&other, _i, poller);
	poller->pace.spin_cap_ns = 3600 * 1000 * MS;
	poller->pace.spin_ns = 0;
	for (int i = 0; i < 3; i++)
		expect_nothing(poller);
	watch_anew(&here, poller, PEAL_WATCH_ONCE);
	poller->pace.spin_ns = poller->pace.spin_cap_ns;
	ck_assert_int_eq(pthread_create(&sender, NULL, send_soon, &here), 0);
	expect(poller, PEAL_EVENT_DATA, &here);
	pthread_join(sender, NULL);
	receive_here(&here);
	assert_ok(peal_watch_resume(here.watch, 0));
	if (BACKEND(_i) == PEAL_POLLER_IO_URING) {
		poller->pace.spin_ns = poller->pace.spin_cap_ns;
		ck_assert_int_eq(pthread_create(&sender, NULL, send_soon, &other), 0);
		expect(poller, PEAL_EVENT_DATA, &other);
		pthread_join(sender, NULL);
	}
	close_here(&here);
	close_here(&other);
	peal_poller_close(poller);
}
END_TEST

/* Bells were rung and taken, and a wake came; then nothing happens. */
START_TEST(who_sleeps_costs_nothing)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct here here;
	int tries = 0;

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
	while (!sleeps(poller))
		ck_assert_int_lt(++tries, TRIES);
	/* Nor if nobody has armed it before. */
	do {
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
		receive_here(&here);
		ck_assert_int_lt(++tries, 2 * TRIES);
	} while (!sleeps(poller));
	close_here(&here);
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

int main(void)
{
	return harness_main("costs",
			    (struct harness_case[]){
				    {who_is_busy_is_not_armed, POLLER_CONFIGS},
				    {who_is_new_is_not_armed_at_once, POLLER_CONFIGS},
				    {nobody_spins_for_nobody_nor_for_who_needs_this_processor, 2},
				    {a_spin_ends_with_what_it_finds, POLLER_CONFIGS},
				    {who_sleeps_costs_nothing, POLLER_CONFIGS},
				    {watches_leave_no_memory, 2},
				    HARNESS_END,
			    });
}
