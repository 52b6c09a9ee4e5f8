/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller: one thread waits for many, misses nothing, and nobody starves. With real
 * guests, over both backends, both doorbells and both barriers. Waits are endless wherever a wake
 * must come; the test's time-out is the judge.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "poller/poller.h"

#define MS UINT64_C(1000000)

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static struct pair start(int index, uint64_t to_guest, uint64_t to_host, const char *mode,
			 const char *a, const char *b, const char *c)
{
	struct peal_channel_options options = config(index & 3, to_guest, to_host);

	return pair_start(&options, mode, a, b, c);
}

static void send_number(struct pair *pair, uint64_t number)
{
	assert_ok(peal_send(peal_tx(pair->channel), &number, sizeof(number), 0, PEAL_FOREVER));
}

static void receive_number(struct pair *pair, uint64_t number)
{
	uint64_t received = ~number;

	ck_assert_int_eq(
		peal_recv(peal_rx(pair->channel), &received, sizeof(received), NULL, PEAL_TRY),
		sizeof(received));
	ck_assert_uint_eq(received, number);
}

/* --- Data ------------------------------------------------------------------------------------ */

static void ping_pong(int index, int32_t spin_max_us, uint64_t count)
{
	struct pair pair = start(index, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(index), spin_max_us);

	assert_ok(peal_poller_watch_data(poller, pair.channel, 0, &pair, NULL));
	for (uint64_t i = 0; i < count; i++) {
		send_number(&pair, i);
		expect(poller, PEAL_EVENT_DATA, &pair);
		receive_number(&pair, i);
	}
	peal_poller_close(poller);
	pair_finish(&pair);
}

START_TEST(a_record_wakes_a_poller_that_sleeps)
{
	ping_pong(_i, PEAL_SPIN_NEVER, 10000);
}
END_TEST

START_TEST(a_record_is_seen_by_a_poller_that_spins)
{
	ping_pong(_i, 1000, 5000);
}
END_TEST

START_TEST(each_wait_reports_what_is_still_there)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);

	assert_ok(peal_poller_watch_data(poller, pair.channel, 0, &pair, NULL));
	expect_nothing(poller);
	send_number(&pair, 1);
	send_number(&pair, 2);
	for (int i = 0; i < 100; i++)
		expect(poller, PEAL_EVENT_DATA, &pair);
	/* And the guest was told that we are awake. */
	ck_assert_uint_eq(pair.channel->rx.wake.own_value % 2, 0);
	receive_number(&pair, 1);
	expect(poller, PEAL_EVENT_DATA, &pair);
	receive_number(&pair, 2);
	expect_nothing(poller);
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

/* --- Room ------------------------------------------------------------------------------------ */

/* Numbers of records of all sizes into the smallest ring, waiting for room by the poller alone. */
START_TEST(room_wakes_a_poller_that_sleeps)
{
	struct pair pair = start(_i, 4096, 4096, "receive", "20000", "1000", "500");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct peal_producer *tx = peal_tx(pair.channel);
	struct peal_watch *watch = NULL;
	void *payload;
	int rc;

	for (uint64_t i = 0; i < 20000; i++) {
		size_t size = stream_size(i, 1000);

		while ((rc = peal_reserve(tx, size, &payload)) == -EAGAIN) {
			if (watch)
				assert_ok(peal_watch_resume(watch, size));
			else
				assert_ok(peal_poller_watch_space(poller, pair.channel, size, 0, &i,
								  &watch));
			expect(poller, PEAL_EVENT_SPACE, &i);
			expect_nothing(poller);
		}
		assert_ok(rc);
		stream_fill(payload, size, i);
		/* Staged records must not be what the room is waited for. */
		assert_ok(peal_stage(tx, size, (uint16_t)i));
		if (i % 7 == 0)
			assert_ok(peal_publish(tx));
	}
	assert_ok(peal_publish(tx));
	ck_assert_ptr_nonnull(watch);
	ck_assert_int_eq(peal_recv(peal_rx(pair.channel), &rc, 4, NULL, PEAL_FOREVER), 0);
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

START_TEST(room_that_is_there_is_reported_at_once)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_watch *watch;

	assert_fails(peal_poller_watch_space(poller, pair.channel, 5000, 0, NULL, &watch), EMSGSIZE,
		     "5000");
	assert_ok(peal_poller_watch_space(poller, pair.channel, 3000, 0, &pair, &watch));
	expect(poller, PEAL_EVENT_SPACE, &pair);
	expect_nothing(poller);
	assert_fails(peal_watch_resume(watch, 5000), EMSGSIZE, "5000");
	expect_nothing(poller);
	assert_ok(peal_watch_resume(watch, 10));
	expect(poller, PEAL_EVENT_SPACE, &pair);
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

/* Nobody may wait for room that only records take up which the other side can not see. */
START_TEST(staged_records_are_published_before_room_is_waited_for)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_watch *watch;
	struct peal_record record;
	struct here here;
	void *payload;

	open_here(&here, _i, poller);
	assert_ok(peal_poller_watch_space(poller, here.host, 8, 0, &here, &watch));
	expect(poller, PEAL_EVENT_SPACE, &here);
	for (int i = 0; i < 2; i++) {
		assert_ok(peal_reserve(peal_tx(here.host), 1000, &payload));
		assert_ok(peal_stage(peal_tx(here.host), 1000, 0));
		if (i == 0) {
			assert_ok(peal_watch_resume(watch, 3500));
		} else {
			peal_watch_remove(watch);
			assert_ok(
				peal_poller_watch_space(poller, here.host, 3500, 0, &here, &watch));
		}
		expect_nothing(poller);
		ck_assert_int_eq(peal_next(peal_rx(here.guest), &record), 1);
		assert_ok(peal_release(peal_rx(here.guest)));
		expect(poller, PEAL_EVENT_SPACE, &here);
	}
	peal_watch_remove(watch);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(since_when_a_poller_waits_is_told)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	const struct peal_segment_header *own;
	struct peal_record record;
	struct peal_watch *watch;
	struct here here;
	uint64_t before;

	open_here(&here, _i, poller);
	own = here.host->own.header;
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	receive_here(&here);
	/* Full, behind a record that was read. */
	assert_ok(peal_send(peal_tx(here.host), NULL, 0, 0, PEAL_TRY));
	ck_assert_int_eq(peal_next(peal_rx(here.guest), &record), 1);
	assert_ok(peal_release(peal_rx(here.guest)));
	while (peal_send(peal_tx(here.host), NULL, 0, 0, PEAL_TRY) == 0)
		;
	assert_ok(peal_poller_watch_space(poller, here.host, 0, 0, &here, &watch));
	before = peal_now_ns();
	assert_ok(peal_poller_arm(poller));
	ck_assert_uint_gt(here.host->rx.next, 0);
	ck_assert_uint_eq(own->consumer_counters.position, here.host->rx.next);
	ck_assert_uint_ge(own->consumer_counters.since_ns, before);
	ck_assert_uint_gt(here.guest->own.header->head, 0);
	ck_assert_uint_eq(own->producer_counters.position, here.guest->own.header->head);
	ck_assert_uint_ge(own->producer_counters.since_ns, before);
	peal_watch_remove(watch);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* --- Children, wakes, removal ---------------------------------------------------------------- */

START_TEST(the_end_of_a_child_is_reported_once)
{
	struct pair pair = start(_i, 4096, 4096, "stall", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_child_status status;
	struct peal_watch *watch;

	assert_ok(peal_poller_watch_child(poller, pair.child, &pair, &watch));
	expect_nothing(poller);
	assert_ok(peal_child_kill(pair.child, SIGTERM));
	expect(poller, PEAL_EVENT_CHILD, &pair);
	assert_ok(peal_child_wait(pair.child, PEAL_TRY, &status));
	ck_assert_int_eq(status.value, SIGTERM);
	expect_nothing(poller);
	assert_fails(peal_watch_resume(watch, 0), EINVAL, "ends once");
	/* One that has ended before it is watched. */
	peal_watch_remove(watch);
	assert_ok(peal_poller_watch_child(poller, pair.child, NULL, NULL));
	expect(poller, PEAL_EVENT_CHILD, NULL);
	peal_poller_close(poller);
	pair_kill(&pair);
}
END_TEST

static void *wake_later(void *poller)
{
	pause_ms(20);
	ck_assert_int_eq(peal_poller_wake(poller), 0);
	return NULL;
}

START_TEST(another_thread_wakes_the_poller)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	pthread_t thread;

	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, poller), 0);
		expect(poller, PEAL_EVENT_WAKE, NULL);
		pthread_join(thread, NULL);
	}
	/* Several are one, and none is forgotten while nobody waits. */
	for (int i = 0; i < 3; i++)
		assert_ok(peal_poller_wake(poller));
	expect(poller, PEAL_EVENT_WAKE, NULL);
	expect_nothing(poller);
	peal_poller_close(poller);
}
END_TEST

/* One thread wakes, the other says that it woke, and so on, as closely as they can. */
struct turns {
	struct peal_poller *poller;
	int seen; /* atomic */
};

enum { TURNS = 10000 };

static void *wake_in_turn(void *argument)
{
	struct turns *turns = argument;

	for (int i = 1; i <= TURNS; i++) {
		/* Now before the other has begun to sleep, now after. */
		for (volatile int pause = i % 50 * 10; pause > 0; pause--)
			;
		ck_assert_int_eq(peal_poller_wake(turns->poller), 0);
		while (__atomic_load_n(&turns->seen, __ATOMIC_ACQUIRE) < i)
			sched_yield();
	}
	return NULL;
}

START_TEST(no_wake_of_another_thread_is_lost)
{
	struct turns turns = {make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT), 0};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, wake_in_turn, &turns), 0);
	for (int i = 1; i <= TURNS; i++) {
		expect(turns.poller, PEAL_EVENT_WAKE, NULL);
		__atomic_store_n(&turns.seen, i, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	peal_poller_close(turns.poller);
}
END_TEST

START_TEST(what_was_removed_is_not_reported)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here a, b;
	char text[8];

	open_here(&a, _i, poller);
	open_here(&b, _i, poller);
	for (int i = 0; i < 3; i++) /* attaching rang */
		expect_nothing(poller);
	/* Both were armed and are rung; one is forgotten. */
	send_here(&a);
	send_here(&b);
	peal_watch_remove(a.watch);
	/* To its peer, nobody sleeps there. */
	ck_assert_uint_eq(peal_rx(a.host)->wake.own_value % 2, 0);
	expect(poller, PEAL_EVENT_DATA, &b);
	expect(poller, PEAL_EVENT_DATA, &b);
	receive_here(&b);
	expect_nothing(poller);
	/* It can be watched again, and finds what came meanwhile. */
	assert_ok(peal_poller_watch_data(poller, a.host, 0, &a, &a.watch));
	expect(poller, PEAL_EVENT_DATA, &a);
	ck_assert_int_eq(peal_recv(peal_rx(a.host), text, 8, NULL, PEAL_TRY), 8);
	close_here(&a);
	close_here(&b);
	peal_poller_close(poller);
}
END_TEST

START_TEST(what_was_resumed_may_be_removed)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here a, b;

	open_here(&a, _i, poller);
	open_here(&b, _i, poller);
	peal_watch_remove(a.watch);
	assert_ok(peal_poller_watch_data(poller, a.host, PEAL_WATCH_ONCE, &a, &a.watch));
	send_here(&a);
	expect(poller, PEAL_EVENT_DATA, &a);
	assert_ok(peal_watch_resume(a.watch, 0));
	peal_watch_remove(a.watch);
	ck_assert_ptr_null(poller->resumed);
	ck_assert_uint_eq(poller->lists[ALL].count, 1);
	a.watch = NULL;
	send_here(&b);
	expect(poller, PEAL_EVENT_DATA, &b);
	close_here(&a);
	close_here(&b);
	peal_poller_close(poller);
}
END_TEST

/* An operation that is still under way would take the bells of the next waiter. */
START_TEST(a_removed_watch_leaves_the_bells_to_others)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_watch *watch;
	uint64_t back;

	for (uint64_t i = 0; i < 300; i++) {
		assert_ok(peal_poller_watch_data(poller, pair.channel, 0, &pair, &watch));
		expect_nothing(poller); /* armed now */
		peal_watch_remove(watch);
		pair.channel->rx.wake.spin_ns = 0; /* it will sleep */
		send_number(&pair, i);
		ck_assert_int_eq(peal_recv(peal_rx(pair.channel), &back, 8, NULL, PEAL_FOREVER), 8);
		ck_assert_uint_eq(back, i);
	}
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

START_TEST(an_end_has_one_waiter)
{
	struct peal_channel_options simplex = config(_i & 3, 4096, 0);
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_poller *other = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_channel *channel;
	struct peal_event event;
	struct here here;

	open_here(&here, _i, poller);
	assert_fails(peal_poller_watch_data(poller, here.host, 0, NULL, NULL), EBUSY, "already");
	assert_fails(peal_poller_watch_data(other, here.host, 0, NULL, NULL), EBUSY, "already");
	assert_fails(peal_poller_watch_data(other, here.host, 8, NULL, NULL), EINVAL, "flags");
	assert_fails(peal_watch_resume(here.watch, 0), EBUSY, "has this watch");
	assert_ok(peal_channel_create(&channel, &simplex));
	assert_fails(peal_poller_watch_data(poller, channel, 0, NULL, NULL), EINVAL, "no ring");
	assert_fails(peal_poller_wait(poller, &event, 0, PEAL_TRY), EINVAL, "at least 1");
	peal_channel_close(channel);
	close_here(&here);
	peal_poller_close(other);
	peal_poller_close(poller);
}
END_TEST

/* --- Bells that are rung together ------------------------------------------------------------ */

START_TEST(batched_wakes_go_out_with_the_next_wait)
{
	enum { MANY = 300 };
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	int count = _i & 1 ? 20 : MANY; /* eventfds are asked through /proc, which takes long */
	static struct here many[MANY];

	for (int i = 0; i < count; i++) {
		open_here(&many[i], _i, poller);
		peal_watch_remove(many[i].watch);
		assert_ok(peal_poller_watch_data(poller, many[i].host, PEAL_WATCH_BATCH_WAKES,
						 &many[i], &many[i].watch));
	}
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < count; i++) {
			owe_a_bell(&many[i]);
			owe_a_bell(&many[i]); /* it slept once more before we rang */
			ck_assert_int_eq(bells_at(&many[i]), 0);
			/* Once for a sleep. */
			assert_ok(peal_send(peal_tx(many[i].host), "2", 1, 0, PEAL_TRY));
		}
		if (round == 0)
			expect_nothing(poller);
		else if (round == 1)
			assert_ok(peal_poller_flush(poller));
		else if (round == 2)
			assert_ok(peal_poller_arm(poller));
		else
			peal_watch_remove(many[0].watch);
		for (int i = 0; i < count; i++)
			ck_assert_int_eq(bells_at(&many[i]), 1);
	}
	/* From now on at once. */
	owe_a_bell(&many[0]);
	ck_assert_int_eq(bells_at(&many[0]), 1);
	many[0].watch = NULL;
	for (int i = 0; i < count; i++)
		close_here(&many[i]);
	peal_poller_close(poller);
}
END_TEST

/* Also when there is always something to report. */
START_TEST(batched_wakes_wait_for_no_sleep)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here busy, here;

	open_here(&busy, _i, poller);
	open_here(&here, _i, poller);
	peal_watch_remove(here.watch);
	assert_ok(peal_poller_watch_space(poller, here.host, 8, PEAL_WATCH_BATCH_WAKES, NULL,
					  &here.watch));
	expect(poller, PEAL_EVENT_SPACE, NULL);
	send_here(&busy);
	for (int i = 0; i < 50; i++) {
		owe_a_bell(&here);
		ck_assert_int_eq(bells_at(&here), 0);
		expect(poller, PEAL_EVENT_DATA, &busy);
		ck_assert_int_eq(bells_at(&here), 1);
	}
	close_here(&here);
	close_here(&busy);
	peal_poller_close(poller);
}
END_TEST

/* A queue that is full has a bell in it, and a peer that is gone needs none. */
START_TEST(a_batched_wake_that_fails_is_no_error_of_the_others)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here full, gone, good;
	struct here *all[] = {&full, &gone, &good};
	void *payload;
	int rc;

	for (int i = 0; i < 3; i++) {
		open_here(all[i], _i, poller);
		peal_watch_remove(all[i]->watch);
		assert_ok(peal_poller_watch_data(poller, all[i]->host, PEAL_WATCH_BATCH_WAKES,
						 all[i], &all[i]->watch));
		owe_a_bell(all[i]);
	}
	for (int i = 0; i < 300; i++)
		assert_ok(peal_doorbell_signal(&full.host->bells[TO_GUEST].doorbell));
	gone.guest = peal_channel_close(gone.guest);
	expect(poller, PEAL_EVENT_DATA, &gone); /* its end */
	expect(poller, PEAL_EVENT_DATA, &gone);
	ck_assert_int_eq(bells_at(&good), 1);
	/* The ring says so when there is reason to ask. */
	while ((rc = peal_reserve_wait(peal_tx(gone.host), 8, &payload, PEAL_TRY)) == 0)
		peal_commit(peal_tx(gone.host), 8, 0);
	ck_assert_int_eq(rc, -EPIPE);
	for (int i = 0; i < 3; i++)
		close_here(all[i]);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_host_that_batches_and_many_guests_lose_no_wake)
{
	enum { GUESTS = 8, COUNT = 1000 };
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	struct pair pairs[GUESTS];
	struct peal_watch *watch;
	struct peal_event events[3];

	for (int i = 0; i < GUESTS; i++) {
		pairs[i] = start(_i, 4096, 4096, "echo", "", "", "");
		assert_fails(peal_poller_watch_data(poller, pairs[i].channel,
						    PEAL_WATCH_BATCH_WAKES | PEAL_WATCH_ONCE, NULL,
						    &watch),
			     EINVAL, "batch");
		assert_ok(peal_poller_watch_data(poller, pairs[i].channel, PEAL_WATCH_BATCH_WAKES,
						 &pairs[i], NULL));
	}
	for (uint64_t n = 0; n < COUNT; n++) {
		for (int i = 0; i < GUESTS; i++)
			send_number(&pairs[i], n);
		for (int left = GUESTS; left > 0;) {
			int count = peal_poller_wait(poller, events, 3, PEAL_FOREVER);

			assert_ok(count);
			for (int i = 0; i < count; i++, left--)
				receive_number(events[i].user, n);
		}
	}
	peal_poller_close(poller);
	for (int i = 0; i < GUESTS; i++)
		pair_finish(&pairs[i]);
}
END_TEST

/* --- Once, and other threads ----------------------------------------------------------------- */

START_TEST(once_means_once_until_it_is_resumed)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_watch *watch;
	uint64_t back;

	assert_ok(peal_poller_watch_data(poller, pair.channel, PEAL_WATCH_ONCE, &pair, &watch));
	for (uint64_t i = 0; i < 300; i++) {
		if (i % 2)
			expect_nothing(poller); /* armed before, or not */
		send_number(&pair, i);
		expect(poller, PEAL_EVENT_DATA, &pair);
		expect_nothing(poller);
		receive_number(&pair, i);
		/* It is ours now, and we may sleep there. */
		pair.channel->rx.wake.spin_ns = 0;
		send_number(&pair, i);
		ck_assert_int_eq(peal_recv(peal_rx(pair.channel), &back, 8, NULL, PEAL_FOREVER), 8);
		expect_nothing(poller);
		assert_ok(peal_watch_resume(watch, 0));
		assert_fails(peal_watch_resume(watch, 0), EBUSY, "already");
	}
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

/* By another thread, while the poller's is in the kernel and could take what is not for it. */
static void *sleep_for_number(void *pair)
{
	uint64_t back;

	ck_assert_int_eq(
		peal_recv(peal_rx(((struct pair *)pair)->channel), &back, 8, NULL, PEAL_FOREVER),
		8);
	return NULL;
}

/* One that was reported before it was ever armed: nothing must be asked for in its name. */
START_TEST(a_new_watch_that_is_reported_at_once_takes_no_bells)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_watch *watch;
	pthread_t thread, sender;

	for (uint64_t i = 0; i < 10; i++) {
		send_number(&pair, i);
		while (!peal_consumer_is_ready(peal_rx(pair.channel)))
			sched_yield();
		assert_ok(peal_poller_watch_data(poller, pair.channel, PEAL_WATCH_ONCE, &pair,
						 &watch));
		expect(poller, PEAL_EVENT_DATA, &pair);
		receive_number(&pair, i);
		pair.channel->rx.wake.spin_ns = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, sleep_for_number, &pair), 0);
		pause_ms(2);
		ck_assert_int_eq(pthread_create(&sender, NULL, wake_later, poller), 0);
		send_number(&pair, i);
		expect(poller, PEAL_EVENT_WAKE, NULL);
		pthread_join(sender, NULL);
		pthread_join(thread, NULL);
		peal_watch_remove(watch);
	}
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

/* Else the queue were full one day, and the peer took its next bell for one that is pending. */
START_TEST(bells_that_were_for_somebody_else_do_not_pile_up)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here here;

	open_here(&here, _i, poller);
	peal_watch_remove(here.watch);
	assert_ok(peal_poller_watch_data(poller, here.host, PEAL_WATCH_ONCE, &here, &here.watch));
	for (int i = 0; i < 300; i++) {
		send_here(&here);
		expect(poller, PEAL_EVENT_DATA, &here);
		receive_here(&here);
		/* One for whoever had it, which came too late for him. */
		assert_ok(peal_doorbell_signal(&here.guest->bells[TO_HOST].doorbell));
		expect_nothing(poller);
		assert_ok(peal_watch_resume(here.watch, 0));
	}
	for (int i = 0; i < 3; i++)
		expect_nothing(poller); /* armed */
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* One channel, three threads. */
struct trio {
	struct peal_channel *channel;
	struct peal_poller *poller;
	struct peal_watch *data, *space;
	sem_t may_receive, may_send;
	uint64_t count;
};

static void *trio_send(void *argument)
{
	struct trio *trio = argument;
	struct peal_producer *tx = peal_tx(trio->channel);
	void *payload;
	int rc;

	sem_wait(&trio->may_send);
	for (uint64_t i = 0; i < trio->count; i++) {
		size_t size = stream_size(i, 100);

		while ((rc = peal_reserve(tx, size, &payload)) == -EAGAIN) {
			ck_assert_int_eq(peal_watch_resume(trio->space, size), 0);
			sem_wait(&trio->may_send);
		}
		ck_assert_int_eq(rc, 0);
		stream_fill(payload, size, i);
		ck_assert_int_eq(peal_commit(tx, size, (uint16_t)i), 0);
	}
	return NULL;
}

static void *trio_receive(void *argument)
{
	struct trio *trio = argument;
	struct peal_consumer *rx = peal_rx(trio->channel);
	struct peal_record record;

	for (uint64_t i = 0; i < trio->count;) {
		sem_wait(&trio->may_receive);
		while (peal_next(rx, &record) == 1) {
			ck_assert_uint_eq(record.size, stream_size(i, 100));
			ck_assert(stream_is(record.data, record.size, i));
			ck_assert_int_eq(peal_release(rx), 0);
			i++;
		}
		if (i < trio->count)
			ck_assert_int_eq(peal_watch_resume(trio->data, 0), 0);
	}
	ck_assert_int_eq(peal_poller_wake(trio->poller), 0);
	return NULL;
}

static void *echo_here(void *guest)
{
	char buffer[100];
	uint16_t type = 0;
	int64_t size;

	while ((size = peal_recv(peal_rx(guest), buffer, sizeof(buffer), &type, PEAL_FOREVER)) >= 0)
		ck_assert_int_eq(
			peal_send(peal_tx(guest), buffer, (size_t)size, type, PEAL_FOREVER), 0);
	ck_assert_int_eq(size, -EPIPE);
	return NULL;
}

/* The guest is a fourth, so that a race detector can watch: one that spawned sees ghosts. */
START_TEST(sender_receiver_and_poller_may_be_three_threads)
{
	struct peal_channel_options options = config(_i & 3, 4096, 4096);
	struct trio trio = {.count = 20000};
	struct peal_event events[2];
	struct peal_channel *guest;
	pthread_t sender, receiver, echo;

	assert_ok(peal_channel_create(&trio.channel, &options));
	guest = pair_attach_here(trio.channel);
	ck_assert_int_eq(pthread_create(&echo, NULL, echo_here, guest), 0);

	sem_init(&trio.may_receive, 0, 0);
	sem_init(&trio.may_send, 0, 0);
	trio.poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	assert_ok(peal_poller_watch_data(trio.poller, trio.channel, PEAL_WATCH_ONCE,
					 &trio.may_receive, &trio.data));
	assert_ok(peal_poller_watch_space(trio.poller, trio.channel, 100, 0, &trio.may_send,
					  &trio.space));
	ck_assert_int_eq(pthread_create(&sender, NULL, trio_send, &trio), 0);
	ck_assert_int_eq(pthread_create(&receiver, NULL, trio_receive, &trio), 0);
	for (bool done = false; !done;) {
		int count = peal_poller_wait(trio.poller, events, 2, PEAL_FOREVER);

		assert_ok(count);
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PEAL_EVENT_WAKE)
				done = true;
			else
				sem_post(events[i].user);
		}
	}
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	peal_poller_close(trio.poller);
	peal_channel_close(trio.channel);
	pthread_join(echo, NULL);
	peal_channel_close(guest);
}
END_TEST

/* Many channels, one poller, some workers; a channel is with one worker at a time. */
#define WORKERS  3
#define CHANNELS 8
#define ROUNDS   1500

struct job {
	struct pair pair;
	struct peal_watch *watch;
	uint64_t number;
	struct job *next;
};

struct pool {
	struct peal_poller *poller;
	sem_t waiting; /* as many as there are jobs; one more for each worker in the end */
	pthread_mutex_t lock;
	struct job *jobs;
	int left; /* channels that are not done; atomic */
};

static struct job *take_job(struct pool *pool)
{
	struct job *job;

	sem_wait(&pool->waiting);
	pthread_mutex_lock(&pool->lock);
	job = pool->jobs;
	if (job)
		pool->jobs = job->next;
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void do_job(struct pool *pool, struct job *job)
{
	uint64_t back;

	receive_number(&job->pair, job->number);
	/* Now and then sleep at the ring oneself. */
	for (int i = 0; i < 3 && ++job->number < ROUNDS; i++) {
		send_number(&job->pair, job->number);
		if (job->number % 5 != 0) {
			ck_assert_int_eq(peal_watch_resume(job->watch, 0), 0);
			return;
		}
		ck_assert_int_eq(
			peal_recv(peal_rx(job->pair.channel), &back, 8, NULL, PEAL_FOREVER), 8);
		ck_assert_uint_eq(back, job->number);
	}
	if (job->number < ROUNDS) {
		job->number++;
		send_number(&job->pair, job->number);
		ck_assert_int_eq(peal_watch_resume(job->watch, 0), 0);
		return;
	}
	__atomic_fetch_sub(&pool->left, 1, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(peal_poller_wake(pool->poller), 0);
}

static void *work(void *argument)
{
	struct job *job;

	while ((job = take_job(argument)))
		do_job(argument, job);
	return NULL;
}

static void hand_out(struct pool *pool, struct job *job)
{
	pthread_mutex_lock(&pool->lock);
	job->next = pool->jobs;
	pool->jobs = job;
	pthread_mutex_unlock(&pool->lock);
	sem_post(&pool->waiting);
}

START_TEST(any_thread_may_take_a_channel_and_give_it_back)
{
	static struct job jobs[CHANNELS];
	struct pool pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = CHANNELS};
	struct peal_event events[3];
	pthread_t workers[WORKERS];

	sem_init(&pool.waiting, 0, 0);
	pool.poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	for (int i = 0; i < CHANNELS; i++) {
		jobs[i].pair = start(_i, 4096, 4096, "echo", "", "", "");
		jobs[i].pair.channel->rx.wake.spin_ns = 0;
		assert_ok(peal_poller_watch_data(pool.poller, jobs[i].pair.channel, PEAL_WATCH_ONCE,
						 &jobs[i], &jobs[i].watch));
		send_number(&jobs[i].pair, 0);
	}
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&workers[i], NULL, work, &pool), 0);
	while (__atomic_load_n(&pool.left, __ATOMIC_SEQ_CST) > 0) {
		int count = peal_poller_wait(pool.poller, events, 3, PEAL_FOREVER);

		assert_ok(count);
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PEAL_EVENT_DATA)
				hand_out(&pool, events[i].user);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		sem_post(&pool.waiting);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	peal_poller_close(pool.poller);
	for (int i = 0; i < CHANNELS; i++)
		pair_finish(&jobs[i].pair);
}
END_TEST

static void *wait_for_a_moment(void *poller)
{
	struct peal_event event;

	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(5 * MS)),
			 -ETIMEDOUT);
	return NULL;
}

/* io_uring ends what a thread has asked for when that thread ends. */
START_TEST(a_poller_outlives_the_thread_that_waited)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	pthread_t thread;

	assert_ok(peal_poller_watch_data(poller, pair.channel, 0, &pair, NULL));
	assert_ok(peal_poller_watch_child(poller, pair.child, &pair.child, NULL));
	for (uint64_t i = 0; i < 20; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_moment, poller), 0);
		pthread_join(thread, NULL);
		send_number(&pair, i);
		expect(poller, PEAL_EVENT_DATA, &pair);
		receive_number(&pair, i);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_moment, poller), 0);
	pthread_join(thread, NULL);
	/* The first wakes by ending what the other thread had asked for. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, poller), 0);
		expect(poller, PEAL_EVENT_WAKE, NULL);
		pthread_join(thread, NULL);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_moment, poller), 0);
	pthread_join(thread, NULL);
	/* Whichever of its two ends is first. */
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	for (bool data = false, child = false; !data || !child;) {
		struct peal_event event;

		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
		data |= event.kind == PEAL_EVENT_DATA;
		child |= event.kind == PEAL_EVENT_CHILD;
	}
	peal_poller_close(poller);
	pair_kill(&pair);
}
END_TEST

/* --- Fairness, and the cost of many ---------------------------------------------------------- */

START_TEST(all_are_reported_in_turn)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct here many[10];
	int reported[10] = {0};
	struct peal_event events[3];

	for (int i = 0; i < 10; i++) {
		open_here(&many[i], _i, poller);
		send_here(&many[i]);
	}
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(peal_poller_wait(poller, events, 3, PEAL_FOREVER), 3);
		for (int k = 0; k < 3; k++)
			reported[(struct here *)events[k].user - many]++;
	}
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(reported[i], 30);
	for (int i = 0; i < 10; i++)
		close_here(&many[i]);
	peal_poller_close(poller);
}
END_TEST

/* Beside one that always has something, those that sleep are heard within so many waits. */
START_TEST(an_endless_sender_starves_nobody)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_event event;
	struct here busy, idle;

	open_here(&busy, _i, poller);
	open_here(&idle, _i, poller);
	for (int round = 0; round < 50; round++) {
		int waits = 0;

		expect_nothing(poller); /* both armed */
		send_here(&busy);
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
		send_here(&idle);
		do {
			ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
			waits++;
		} while (event.user == &busy);
		ck_assert_int_le(waits, 20);
		receive_here(&idle);
		receive_here(&busy);
	}
	close_here(&busy);
	close_here(&idle);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_dripping_guest_is_heard_beside_an_endless_one)
{
	struct pair fast = start(_i, 4096, 4096, "endless", "", "", "");
	struct pair slow = start(_i, 4096, 4096, "drip", "100", "300", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	uint64_t seen = 0, fast_seen = 0, number;
	struct peal_event event;

	assert_ok(peal_poller_watch_data(poller, fast.channel, 0, &fast, NULL));
	assert_ok(peal_poller_watch_data(poller, slow.channel, 0, &slow, NULL));
	while (seen < 100) {
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
		if (event.user == &fast) {
			receive_number(&fast, fast_seen++);
			continue;
		}
		while (peal_recv(peal_rx(slow.channel), &number, 8, NULL, PEAL_TRY) == 8)
			ck_assert_uint_eq(number, seen++);
	}
	peal_poller_close(poller);
	pair_finish(&fast);
	pair_finish(&slow);
}
END_TEST

/* Neither looked at nor armed anew: their words do not change, and they are in no list. */
START_TEST(idle_channels_cost_nothing)
{
	enum { IDLE = 100 };
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	static struct here idle[IDLE];
	uint64_t words[IDLE];
	struct here active;

	for (int i = 0; i < IDLE; i++)
		open_here(&idle[i], _i, poller);
	open_here(&active, _i, poller);
	for (int i = 0; i < 3; i++) /* attaching rang */
		expect_nothing(poller);
	for (int i = 0; i < IDLE; i++)
		words[i] = idle[i].host->rx.wake.own_value;
	for (int i = 0; i < 500; i++) {
		send_here(&active);
		expect(poller, PEAL_EVENT_DATA, &active);
		receive_here(&active);
		ck_assert_uint_le(poller->lists[HOT].count, 1);
		if (i % 3 == 0)
			expect_nothing(poller);
	}
	for (int i = 0; i < IDLE; i++)
		ck_assert_uint_eq(idle[i].host->rx.wake.own_value, words[i]);
	for (int i = 0; i < IDLE; i++)
		close_here(&idle[i]);
	close_here(&active);
	peal_poller_close(poller);
}
END_TEST

/* Also when the poller never gets to sleep. */
START_TEST(those_that_fall_silent_are_looked_at_no_longer)
{
	enum { MANY = 20 };
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_event events[MANY];
	static struct here many[MANY];

	for (int i = 0; i < MANY; i++) {
		open_here(&many[i], _i, poller);
		send_here(&many[i]);
	}
	ck_assert_int_eq(peal_poller_wait(poller, events, MANY, PEAL_FOREVER), MANY);
	for (int i = 1; i < MANY; i++)
		receive_here(&many[i]);
	for (int i = 0; i < 200; i++)
		expect(poller, PEAL_EVENT_DATA, &many[0]);
	ck_assert_uint_eq(poller->lists[HOT].count, 1);
	/* And come back. */
	for (int i = 0; i < MANY; i++)
		send_here(&many[i]);
	for (int i = 0, count = 0; i < 20 && count < MANY; i++)
		count = peal_poller_wait(poller, events, MANY, PEAL_FOREVER);
	ck_assert_uint_eq(poller->lists[HOT].count, MANY);
	for (int i = 0; i < MANY; i++)
		close_here(&many[i]);
	peal_poller_close(poller);
}
END_TEST

/* --- Everything at once ---------------------------------------------------------------------- */

struct stream {
	struct pair pair;
	struct peal_watch *watch;
	uint64_t received;
	bool ended;
};

/* Take some of what is there. */
static void receive_some(struct stream *stream, uint64_t count, size_t max)
{
	struct peal_consumer *rx = peal_rx(stream->pair.channel);
	struct peal_record record;
	int rc = 0;

	for (int i = 0; i < 20 && (rc = peal_next(rx, &record)) == 1; i++) {
		ck_assert_uint_eq(record.size, stream_size(stream->received, max));
		ck_assert(stream_is(record.data, record.size, stream->received));
		stream->received++;
		ck_assert_int_eq(peal_release(rx), 0);
	}
	if (rc == -EPIPE) {
		ck_assert_uint_eq(stream->received, count);
		stream->ended = true;
		peal_watch_remove(stream->watch);
	}
}

static void receive_from_many(int index, int guests, uint64_t count, size_t max, int32_t spin)
{
	struct peal_poller *poller = make_poller(BACKEND(index), spin);
	struct stream *streams = calloc((size_t)guests, sizeof(*streams));
	struct peal_event events[16];
	char number[24], size[24];
	int children = 0, ended = 0;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)count);
	snprintf(size, sizeof(size), "%zu", max);
	for (int i = 0; i < guests; i++) {
		streams[i].pair = start(index, 0, 4096, "send", number, size, "1");
		assert_ok(peal_poller_watch_data(poller, streams[i].pair.channel, 0, &streams[i],
						 &streams[i].watch));
		assert_ok(
			peal_poller_watch_child(poller, streams[i].pair.child, &streams[i], NULL));
	}
	while (children < guests || ended < guests) {
		int got = peal_poller_wait(poller, events, 16, PEAL_FOREVER);

		assert_ok(got);
		for (int i = 0; i < got; i++) {
			struct stream *stream = events[i].user;

			if (events[i].kind == PEAL_EVENT_CHILD) {
				children++;
				continue;
			}
			ck_assert(!stream->ended);
			receive_some(stream, count, max);
			ended += stream->ended;
		}
	}
	peal_poller_close(poller);
	for (int i = 0; i < guests; i++)
		pair_finish(&streams[i].pair);
	free(streams);
}

START_TEST(a_hundred_guests_lose_no_record)
{
	receive_from_many(_i, 100, 500, 200, PEAL_SPIN_DEFAULT);
}
END_TEST

/* Rings that are full or empty all the time, and nobody spins here. */
START_TEST(hundreds_of_thousands_of_sleeps_lose_no_wake)
{
	receive_from_many(_i, 4, 40000, 40, PEAL_SPIN_NEVER);
}
END_TEST

/* --- Ends ------------------------------------------------------------------------------------ */

/* An end at a watch that is armed, or HOT. */
static void expect_end(struct peal_poller *poller, struct pair *pair, uint64_t left)
{
	struct peal_record record;

	for (uint64_t i = 0; i < left; i++) {
		expect(poller, PEAL_EVENT_DATA, pair);
		ck_assert_int_eq(peal_next(peal_rx(pair->channel), &record), 1);
		assert_ok(peal_release(peal_rx(pair->channel)));
	}
	expect(poller, PEAL_EVENT_DATA, pair);
	assert_fails(peal_next(peal_rx(pair->channel), &record), EPIPE, "gone");
}

static void ends_with(int index, const char *mode, int signal, uint64_t left)
{
	for (int armed = 0; armed < 2; armed++) {
		struct pair pair = start(index, 4096, 4096, mode, "3", "10", "1");
		struct peal_poller *poller = make_poller(BACKEND(index), PEAL_SPIN_DEFAULT);
		struct peal_event event;
		struct peal_watch *watch;

		assert_ok(peal_poller_watch_data(poller, pair.channel, 0, &pair, &watch));
		if (armed)
			peal_poller_wait(poller, &event, 1, PEAL_TRY);
		if (signal)
			assert_ok(peal_child_kill(pair.child, signal));
		expect_end(poller, &pair, left);
		/* Until it is removed; then nothing keeps the poller awake. */
		expect(poller, PEAL_EVENT_DATA, &pair);
		peal_watch_remove(watch);
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(2 * MS)),
				 -ETIMEDOUT);
		peal_poller_close(poller);
		pair_kill(&pair);
	}
}

START_TEST(a_killed_guest_is_reported)
{
	ends_with(_i, "stall", SIGKILL, 0);
}
END_TEST

START_TEST(what_a_dead_guest_sent_comes_before_its_end)
{
	ends_with(_i, "send-and-die", 0, 3);
}
END_TEST

START_TEST(a_guest_that_exits_is_reported)
{
	ends_with(_i, "send", 0, 3);
}
END_TEST

START_TEST(a_guest_that_closes_is_reported)
{
	ends_with(_i, "close", 0, 1);
}
END_TEST

START_TEST(a_grandchild_that_holds_everything_hides_no_end)
{
	ends_with(_i, "leave-grandchild", 0, 1);
}
END_TEST

START_TEST(a_guest_that_stops_writing_is_reported)
{
	if (!(_i & 1))
		ends_with(_i, "half-close", 0, 0);
}
END_TEST

START_TEST(a_producer_that_waits_for_room_learns_of_the_end)
{
	for (int armed = 0; armed < 2; armed++) {
		struct pair pair = start(_i, 4096, 4096, "stall", "", "", "");
		struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
		struct peal_producer *tx = peal_tx(pair.channel);
		struct peal_watch *watch;
		void *payload;

		while (peal_send(tx, "12345678", 8, 0, PEAL_TRY) == 0)
			;
		/* Both ends of the channel, so that both hear of the pidfd. */
		assert_ok(peal_poller_watch_space(poller, pair.channel, 8, 0, tx, &watch));
		if (armed)
			expect_nothing(poller);
		assert_ok(peal_child_kill(pair.child, SIGKILL));
		expect(poller, PEAL_EVENT_SPACE, tx);
		assert_fails(peal_reserve(tx, 8, &payload), EPIPE, "gone");
		expect_nothing(poller);
		peal_poller_close(poller);
		pair_kill(&pair);
	}
}
END_TEST

/* The death comes while the endpoint is somebody else's; it is told when he gives it back. */
START_TEST(an_end_that_nobody_heard_is_told_on_resuming)
{
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_record record;
	struct peal_watch *watch;

	assert_ok(peal_poller_watch_data(poller, pair.channel, PEAL_WATCH_ONCE, &pair, &watch));
	send_number(&pair, 1);
	expect(poller, PEAL_EVENT_DATA, &pair);
	receive_number(&pair, 1);
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	assert_ok(peal_child_wait(pair.child, PEAL_FOREVER, NULL));
	expect_nothing(poller); /* the backend hears of it, and it is nobody's business yet */
	ck_assert_int_eq(peal_next(peal_rx(pair.channel), &record), 0);
	assert_ok(peal_watch_resume(watch, 0));
	expect(poller, PEAL_EVENT_DATA, &pair);
	assert_fails(peal_next(peal_rx(pair.channel), &record), EPIPE, "gone");
	peal_poller_close(poller);
	pair_kill(&pair);
}
END_TEST

/* A peer that closed, and whose bell somebody else took, while its descriptors live on. */
START_TEST(a_closing_whose_bell_was_taken_is_seen_on_arming)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_record record;
	struct peal_watch *watch;
	struct here here;
	int held;

	open_here(&here, _i, poller);
	peal_watch_remove(here.watch);
	assert_ok(peal_poller_watch_data(poller, here.host, PEAL_WATCH_ONCE, &here, &watch));
	here.watch = watch;
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	receive_here(&here);
	held = fcntl(peal_tx_fd(here.guest), F_DUPFD_CLOEXEC, 3);
	here.guest = peal_channel_close(here.guest);
	assert_ok(peal_doorbell_drain(&here.host->bells[TO_HOST].doorbell));
	assert_ok(peal_watch_resume(watch, 0));
	expect(poller, PEAL_EVENT_DATA, &here);
	assert_fails(peal_next(peal_rx(here.host), &record), EPIPE, "gone");
	close(held);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(a_flood_of_bells_delays_nobody)
{
	struct pair hostile = start(_i & ~1, 4096, 4096, "flood", "", "", "");
	struct pair good = start(_i & ~1, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_NEVER);
	uint64_t deadline = peal_deadline_in_ns(50 * MS);
	struct peal_side_stats own;
	struct peal_event event;

	assert_ok(peal_poller_watch_data(poller, hostile.channel, 0, &hostile, NULL));
	assert_ok(peal_poller_watch_data(poller, good.channel, 0, &good, NULL));
	for (uint64_t i = 0; i < 500; i++) {
		send_number(&good, i);
		expect(poller, PEAL_EVENT_DATA, &good);
		receive_number(&good, i);
	}
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, deadline), -ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns(), deadline);
	/* It is heard, and counted. */
	do
		peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(MS));
	while (peal_channel_stats(hostile.channel, &own, NULL), own.rx.spurious == 0);
	peal_poller_close(poller);
	pair_finish(&hostile);
	pair_finish(&good);
}
END_TEST

/* --- Deadlines and interruptions ------------------------------------------------------------- */

static void nothing(int signal)
{
	(void)signal;
}

START_TEST(a_deadline_is_kept_through_interruptions)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct sigaction action = {.sa_handler = nothing};
	struct itimerspec often = {{0, 1000000}, {0, 1000000}};
	struct peal_event event;
	struct here here;
	timer_t timer;

	open_here(&here, _i, poller);
	sigaction(SIGALRM, &action, NULL);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
	for (int i = 0; i < 5; i++) {
		uint64_t deadline = peal_deadline_in_ns(10 * MS);

		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, deadline), -ETIMEDOUT);
		ck_assert_uint_ge(peal_now_ns(), deadline);
	}
	timer_delete(timer);
	/* One that has passed does not wait, but looks. */
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, 1), -ETIMEDOUT);
	send_here(&here);
	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, 1), 1);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

/* --- Foreign loops --------------------------------------------------------------------------- */

/* io_uring interrupts the thread that asked, to complete what it asked for. */
static int outer_wait(int outer, int ms)
{
	struct epoll_event event;
	int rc;

	do
		rc = epoll_wait(outer, &event, 1, ms);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* All that a foreign loop does, for three guests. */
static void ping_pong_nested(int index, uint32_t flags)
{
	enum { GUESTS = 3, COUNT = 3000 };
	struct peal_poller *poller = make_poller(BACKEND(index), PEAL_SPIN_DEFAULT);
	struct epoll_event outer_event = {.events = EPOLLIN | flags};
	int outer = epoll_create1(EPOLL_CLOEXEC), left = GUESTS, rc;
	struct pair pairs[GUESTS];
	uint64_t numbers[GUESTS] = {0};
	struct peal_event event;

	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, peal_poller_fd(poller), &outer_event), 0);
	for (int i = 0; i < GUESTS; i++) {
		pairs[i] = start(index, 4096, 4096, "echo", "", "", "");
		assert_ok(peal_poller_watch_data(poller, pairs[i].channel, 0, &pairs[i], NULL));
		send_number(&pairs[i], 0);
	}
	for (;;) {
		while ((rc = peal_poller_arm(poller)) == 1) {
			while (peal_poller_wait(poller, &event, 1, PEAL_TRY) == 1) {
				struct pair *pair = event.user;
				uint64_t *number = &numbers[pair - pairs];

				receive_number(pair, *number);
				if (++*number < COUNT)
					send_number(pair, *number);
				else
					left--;
			}
		}
		ck_assert_int_eq(rc, 0);
		if (left == 0)
			break;
		ck_assert_int_eq(outer_wait(outer, -1), 1);
	}
	close(outer);
	peal_poller_close(poller);
	for (int i = 0; i < GUESTS; i++)
		pair_finish(&pairs[i]);
}

START_TEST(a_poller_sleeps_in_a_level_triggered_loop)
{
	ping_pong_nested(_i, 0);
}
END_TEST

START_TEST(a_poller_sleeps_in_an_edge_triggered_loop)
{
	ping_pong_nested(_i, EPOLLET);
}
END_TEST

START_TEST(an_armed_poller_is_readable_only_when_there_is_something)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct pair pair = start(_i, 4096, 4096, "stall", "", "", "");
	struct epoll_event event = {.events = EPOLLIN};
	int outer = epoll_create1(EPOLL_CLOEXEC);
	struct here here;
	pthread_t thread;

	open_here(&here, _i, poller);
	assert_ok(peal_poller_watch_child(poller, pair.child, &pair, NULL));
	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, peal_poller_fd(poller), &event), 0);
	while (peal_poller_arm(poller) == 1)
		expect_nothing(poller);
	ck_assert_int_eq(outer_wait(outer, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, poller), 0);
	ck_assert_int_eq(outer_wait(outer, -1), 1);
	pthread_join(thread, NULL);
	expect(poller, PEAL_EVENT_WAKE, NULL);
	while (peal_poller_arm(poller) == 1)
		expect_nothing(poller);
	ck_assert_int_eq(outer_wait(outer, 2), 0);
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	ck_assert_int_eq(outer_wait(outer, -1), 1);
	expect(poller, PEAL_EVENT_CHILD, &pair);
	close(outer);
	close_here(&here);
	peal_poller_close(poller);
	pair_kill(&pair);
}
END_TEST

/* --- Backends, forks, limits ----------------------------------------------------------------- */

START_TEST(a_backend_can_be_chosen)
{
	struct peal_poller_options options = {.size = sizeof(options), .backend = 3};
	struct peal_poller *poller = make_poller(PEAL_POLLER_EPOLL, 0);

	ck_assert_int_eq(peal_poller_backend(poller), PEAL_POLLER_EPOLL);
	peal_poller_close(poller);
	assert_fails(peal_poller_create(&poller, &options), EINVAL, "backend 3");
	options = (struct peal_poller_options){.size = sizeof(options), .spin_max_us = -2};
	assert_fails(peal_poller_create(&poller, &options), EINVAL, "spin_max_us");
	ck_assert_ptr_null(peal_poller_close(NULL));
	peal_watch_remove(NULL);
	poller = make_poller(PEAL_POLLER_IO_URING, 0);
	ck_assert_int_eq(peal_poller_backend(poller), PEAL_POLLER_IO_URING);
	peal_poller_close(poller);
	assert_ok(peal_poller_create(&poller, NULL));
	ck_assert_int_eq(peal_poller_backend(poller), PEAL_POLLER_IO_URING);
	peal_poller_close(poller);
}
END_TEST

/* As the profiles of containers do. */
static void forbid_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(where_io_uring_is_forbidden_there_is_epoll)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = PEAL_POLLER_IO_URING};
	struct peal_poller *poller;
	struct here here;

	forbid_io_uring();
	assert_fails(peal_poller_create(&poller, &options), EPERM, "io_uring");
	assert_ok(peal_poller_create(&poller, NULL));
	ck_assert_int_eq(peal_poller_backend(poller), PEAL_POLLER_EPOLL);
	open_here(&here, 0, poller);
	expect_nothing(poller);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

START_TEST(its_descriptors_are_private_and_no_standard_streams)
{
	struct peal_poller *poller;

	close(STDIN_FILENO);
	close(STDERR_FILENO);
	poller = make_poller(BACKEND(_i), 0);
	ck_assert_int_ge(poller->fd, 3);
	ck_assert_int_ge(poller->wake_fd, 3);
	ck_assert_int_eq(fcntl(poller->fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(poller->wake_fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	peal_poller_close(poller);
	ck_assert_int_eq(open("/dev/null", O_RDWR), STDIN_FILENO);
	ck_assert_int_eq(dup(STDIN_FILENO), STDERR_FILENO);
}
END_TEST

START_TEST(a_forked_child_can_use_no_poller)
{
	struct peal_poller *poller = make_poller(BACKEND(_i), PEAL_SPIN_DEFAULT);
	struct peal_event event;
	struct here here;
	int status;
	pid_t child;

	open_here(&here, _i, poller);
	expect_nothing(poller);
	child = fork();
	if (child == 0) {
		bool refused =
			peal_poller_wait(poller, &event, 1, PEAL_FOREVER) == -EBADFD &&
			peal_poller_arm(poller) == -EBADFD && peal_poller_wake(poller) == -EBADFD &&
			peal_poller_flush(poller) == -EBADFD &&
			peal_poller_backend(poller) == -EBADFD && peal_poller_fd(poller) == -1 &&
			peal_watch_resume(here.watch, 0) == -EBADFD &&
			peal_poller_watch_data(poller, here.host, 0, NULL, NULL) == -EBADFD &&
			strstr(peal_last_error(), "forked") != NULL;

		peal_watch_remove(here.watch);
		peal_poller_close(poller);
		_exit(refused ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	send_here(&here);
	expect(poller, PEAL_EVENT_DATA, &here);
	close_here(&here);
	peal_poller_close(poller);
}
END_TEST

static int free_descriptor(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	close(fd);
	return fd;
}

/* So many can be opened, where the free numbers have no gaps. Return: the limit. */
static int leave_descriptors(const struct rlimit *limit, int count)
{
	struct rlimit low = *limit;

	setrlimit(RLIMIT_NOFILE, limit);
	low.rlim_cur = (rlim_t)(free_descriptor() + count);
	setrlimit(RLIMIT_NOFILE, &low);
	return (int)low.rlim_cur;
}

START_TEST(too_few_descriptors_are_told_with_the_limit)
{
	struct peal_channel_options options = config(_i & 3, 4096, 4096);
	struct peal_poller_options wanted = {.size = sizeof(wanted), .backend = BACKEND(_i)};
	struct pair pair = start(_i, 4096, 4096, "echo", "", "", "");
	struct peal_poller *poller = make_poller(BACKEND(_i), 0), *refused;
	char *argv[] = {harness_helper("guest"), NULL};
	struct rlimit limit;
	struct peal_channel *channel;
	struct peal_child *child;
	char words[64];
	int padding[10];

	assert_ok(peal_poller_watch_data(poller, pair.channel, 0, NULL, NULL));
	assert_ok(peal_channel_create(&channel, &options));
	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(words, sizeof(words), "(RLIMIT_NOFILE is %d)", leave_descriptors(&limit, 0));
	assert_fails(peal_spawn(&child, channel, argv, NULL), EMFILE, words);
	peal_channel_close(channel);
	for (int i = 0; i < 3; i++) {
		leave_descriptors(&limit, i);
		assert_fails(peal_channel_create(&channel, &options), EMFILE, "(RLIMIT_NOFILE is ");
	}
	/* No gaps from here on. */
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < 10; i++)
		padding[i] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	/* An eventfd, the backend's, and with io_uring another number for that. */
	for (int i = 0; i < (BACKEND(_i) == PEAL_POLLER_EPOLL ? 2 : 3); i++) {
		leave_descriptors(&limit, i);
		assert_fails(peal_poller_create(&refused, &wanted), EMFILE, "(RLIMIT_NOFILE is ");
	}
	/* The second watch of a channel needs one with epoll. */
	leave_descriptors(&limit, 0);
	if (BACKEND(_i) == PEAL_POLLER_EPOLL)
		assert_fails(peal_poller_watch_space(poller, pair.channel, 8, 0, NULL, NULL),
			     EMFILE, "(RLIMIT_NOFILE is ");
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < 10; i++)
		close(padding[i]);
	assert_ok(peal_poller_watch_space(poller, pair.channel, 8, 0, &pair, NULL));
	expect(poller, PEAL_EVENT_SPACE, &pair);
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

int main(void)
{
	return harness_main(
		"poller",
		(struct harness_case[]){
			{a_record_wakes_a_poller_that_sleeps, POLLER_CONFIGS},
			{a_record_is_seen_by_a_poller_that_spins, POLLER_CONFIGS},
			{each_wait_reports_what_is_still_there, POLLER_CONFIGS},
			{room_wakes_a_poller_that_sleeps, POLLER_CONFIGS},
			{room_that_is_there_is_reported_at_once, POLLER_CONFIGS},
			{staged_records_are_published_before_room_is_waited_for, POLLER_CONFIGS},
			{since_when_a_poller_waits_is_told, POLLER_CONFIGS},
			{the_end_of_a_child_is_reported_once, POLLER_CONFIGS},
			{another_thread_wakes_the_poller, POLLER_CONFIGS},
			{no_wake_of_another_thread_is_lost, POLLER_CONFIGS},
			{what_was_removed_is_not_reported, POLLER_CONFIGS},
			{what_was_resumed_may_be_removed, POLLER_CONFIGS},
			{a_removed_watch_leaves_the_bells_to_others, POLLER_CONFIGS},
			{an_end_has_one_waiter, POLLER_CONFIGS},
			{batched_wakes_go_out_with_the_next_wait, POLLER_CONFIGS},
			{batched_wakes_wait_for_no_sleep, POLLER_CONFIGS},
			{a_batched_wake_that_fails_is_no_error_of_the_others, POLLER_CONFIGS},
			{a_host_that_batches_and_many_guests_lose_no_wake, POLLER_CONFIGS},
			{once_means_once_until_it_is_resumed, POLLER_CONFIGS},
			{a_new_watch_that_is_reported_at_once_takes_no_bells, POLLER_CONFIGS},
			{bells_that_were_for_somebody_else_do_not_pile_up, POLLER_CONFIGS},
			{sender_receiver_and_poller_may_be_three_threads, POLLER_CONFIGS},
			{any_thread_may_take_a_channel_and_give_it_back, POLLER_CONFIGS},
			{a_poller_outlives_the_thread_that_waited, POLLER_CONFIGS},
			{all_are_reported_in_turn, POLLER_CONFIGS},
			{an_endless_sender_starves_nobody, POLLER_CONFIGS},
			{a_dripping_guest_is_heard_beside_an_endless_one, POLLER_CONFIGS},
			{idle_channels_cost_nothing, POLLER_CONFIGS},
			{those_that_fall_silent_are_looked_at_no_longer, POLLER_CONFIGS},
			{a_hundred_guests_lose_no_record, POLLER_CONFIGS},
			{hundreds_of_thousands_of_sleeps_lose_no_wake, POLLER_CONFIGS},
			{a_killed_guest_is_reported, POLLER_CONFIGS},
			{what_a_dead_guest_sent_comes_before_its_end, POLLER_CONFIGS},
			{a_guest_that_exits_is_reported, POLLER_CONFIGS},
			{a_guest_that_closes_is_reported, POLLER_CONFIGS},
			{a_grandchild_that_holds_everything_hides_no_end, POLLER_CONFIGS},
			{a_guest_that_stops_writing_is_reported, POLLER_CONFIGS},
			{a_producer_that_waits_for_room_learns_of_the_end, POLLER_CONFIGS},
			{an_end_that_nobody_heard_is_told_on_resuming, POLLER_CONFIGS},
			{a_closing_whose_bell_was_taken_is_seen_on_arming, POLLER_CONFIGS},
			{a_flood_of_bells_delays_nobody, POLLER_CONFIGS},
			{a_deadline_is_kept_through_interruptions, POLLER_CONFIGS},
			{a_poller_sleeps_in_a_level_triggered_loop, POLLER_CONFIGS},
			{a_poller_sleeps_in_an_edge_triggered_loop, POLLER_CONFIGS},
			{an_armed_poller_is_readable_only_when_there_is_something, POLLER_CONFIGS},
			{a_backend_can_be_chosen, 1},
			{where_io_uring_is_forbidden_there_is_epoll, 1},
			{its_descriptors_are_private_and_no_standard_streams, POLLER_CONFIGS},
			{a_forked_child_can_use_no_poller, POLLER_CONFIGS},
			{too_few_descriptors_are_told_with_the_limit, POLLER_CONFIGS},
			HARNESS_END,
		});
}
