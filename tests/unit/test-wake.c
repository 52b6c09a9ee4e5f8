/* SPDX-License-Identifier: MIT */
/*
 * Promises of ring/: nobody sleeps through a record, nobody is woken for nothing, every wait ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <peal/ring.h>

#include "base/cpu.h"
#include "harness.h"
#include "ring-fixture.h"
#include "ring/wake.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MILLISECOND   UINT64_C(1000000)

static struct ring_fixture f;

static void open_variant(int i)
{
	const struct ring_variant variant = ring_variant(i);

	ring_open(&f, &variant);
}

static void send_one(void)
{
	assert_ok(peal_send(&f.tx, NULL, 0, 0, PEAL_TRY));
}

/* Release the oldest record. */
static void release_one(void)
{
	struct peal_record record = {0};

	ck_assert_int_eq(peal_next(&f.rx, &record), 1);
	assert_ok(peal_release_to(&f.rx, &record));
}

/*
 * The two sides wait alike; so most promises are checked for both, by _i / RING_VARIANTS. "One" is
 * what the sleeper waits for: a record for the consumer, room for the producer.
 */
enum side { CONSUMER, PRODUCER };
#define BOTH_SIDES (2 * RING_VARIANTS)

struct waiter {
	enum side side;
	struct stub_bell *bell;       /* on which it sleeps */
	struct stub_bell *waker_bell; /* with which it is woken */
	uint64_t *word;               /* its own, writable */
	struct peal_wake *wake, *waker;
	struct peal_counters *counters, *waker_counters;
};

static struct waiter open_waiter(int i)
{
	open_variant(i % RING_VARIANTS);
	if (i / RING_VARIANTS == CONSUMER)
		return (struct waiter){CONSUMER,
				       &f.rx_bell,
				       &f.tx_bell,
				       &f.guest_rw.header->data_wait,
				       &f.rx.wake,
				       &f.tx.wake,
				       &f.guest_rw.header->consumer_counters,
				       &f.host_rw.header->producer_counters};
	fill_ring(&f);
	return (struct waiter){PRODUCER,
			       &f.tx_bell,
			       &f.rx_bell,
			       &f.host_rw.header->space_wait,
			       &f.tx.wake,
			       &f.rx.wake,
			       &f.host_rw.header->producer_counters,
			       &f.guest_rw.header->consumer_counters};
}

static void give_one(enum side side)
{
	if (side == CONSUMER)
		send_one();
	else
		release_one();
}

/* Wait for one and leave things as they were: 0 or a negative errno. */
static int take_one(enum side side, uint64_t deadline_ns)
{
	struct peal_record record = {0};
	void *payload;
	int rc;

	if (side == CONSUMER) {
		rc = peal_next_wait(&f.rx, &record, deadline_ns);
		return rc == 1 ? peal_release_to(&f.rx, &record) : rc;
	}
	rc = peal_reserve_wait(&f.tx, 0, &payload, deadline_ns);
	return rc == 0 ? peal_commit(&f.tx, 0, 0) : rc;
}

static int arm(enum side side)
{
	return side == CONSUMER ? peal_arm_data(&f.rx) : peal_arm_space(&f.tx, 0);
}

static int disarm(enum side side)
{
	return side == CONSUMER ? peal_disarm_data(&f.rx) : peal_disarm_space(&f.tx);
}

/* --- Waking ------------------------------------------------------------------------------------ */

START_TEST(one_bell_for_each_sleep)
{
	struct waiter w = open_waiter(_i);
	const struct {
		uint64_t word;
		int rings; /* from the first on */
	} steps[] = {
		{0, 0}, {1, 1}, {1, 1}, {2, 1},          {2, 1},
		{3, 2}, {3, 2}, {7, 3}, {UINT64_MAX, 4}, {UINT64_MAX - 1, 4},
	};

	if (w.side == PRODUCER) /* room for all the releases to come is not needed, records are */
		ck_assert_uint_gt(f.variant.capacity / f.variant.align, LENGTH(steps));
	for (size_t i = 0; i < LENGTH(steps); i++) {
		*w.word = steps[i].word;
		give_one(w.side);
		ck_assert_int_eq(w.waker_bell->rings, steps[i].rings);
	}
	ck_assert_uint_eq(w.waker_counters->wakes, 4);
	*w.word = 0;
	ring_close(&f);
}
END_TEST

START_TEST(a_bell_that_failed_is_an_error_and_still_owed)
{
	struct waiter w = open_waiter(_i);
	struct peal_record record = {0};
	int rc;

	*w.word = 5;
	w.waker_bell->ring_result = -ENOMEM;
	if (w.side == CONSUMER) {
		rc = peal_send(&f.tx, NULL, 0, 0, PEAL_TRY);
	} else {
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		rc = peal_release(&f.rx);
	}
	assert_fails(rc, ENOMEM, "could not be woken");
	ck_assert_uint_eq(w.waker->last_rung, 0);
	ck_assert_uint_eq(w.waker_counters->wakes, 0);
	/* For good: the sleeper might never wake, so nobody may rely on it. */
	w.waker_bell->ring_result = 0;
	if (w.side == CONSUMER)
		rc = peal_send(&f.tx, NULL, 0, 0, PEAL_TRY);
	else
		rc = peal_release(&f.rx);
	assert_fails(rc, ENOMEM, "could not be woken");
	ck_assert_int_eq(w.waker_bell->rings, 1);
	ring_close(&f);
}
END_TEST

START_TEST(a_consumer_that_is_gone_ends_the_producer)
{
	struct peal_record record = {0};
	void *payload;

	open_variant(_i);
	f.guest_rw.header->data_wait = 1;
	f.tx_bell.ring_result = -EPIPE;
	assert_fails(peal_send(&f.tx, NULL, 0, 0, PEAL_TRY), EPIPE, "consumer is gone");
	ck_assert_int_eq(peal_next(&f.rx, &record), 1); /* published all the same */
	assert_fails(peal_reserve(&f.tx, 0, &payload), EPIPE, "consumer is gone");
	assert_fails(peal_commit(&f.tx, 0, 0), EPIPE, "consumer is gone");
	assert_fails(peal_publish(&f.tx), EPIPE, "consumer is gone");
	ring_close(&f);
}
END_TEST

START_TEST(a_producer_that_is_gone_does_not_hinder_releasing)
{
	open_variant(_i);
	send_one();
	send_one();
	f.host_rw.header->space_wait = 1;
	f.rx_bell.ring_result = -EPIPE;
	release_one();
	release_one();
	ck_assert_uint_eq(f.guest_ro.header->head, f.tx.tail);
	ring_close(&f);
}
END_TEST

START_TEST(staged_records_ring_once_when_they_are_published)
{
	void *payload;

	open_variant(_i);
	f.guest_rw.header->data_wait = 1;
	for (unsigned int i = 0; i < 5; i++) {
		assert_ok(peal_reserve(&f.tx, 0, &payload));
		assert_ok(peal_stage(&f.tx, 0, 0));
	}
	ck_assert_int_eq(f.tx_bell.rings, 0);
	assert_ok(peal_publish(&f.tx));
	ck_assert_int_eq(f.tx_bell.rings, 1);
	ring_close(&f);
}
END_TEST

/* The staged records are published then, and their consumer has to know. */
START_TEST(a_bell_that_fails_while_there_is_no_room_is_told)
{
	void *payload;
	int rc;

	open_variant(_i);
	f.guest_rw.header->data_wait = 1;
	f.tx_bell.ring_result = -ENOMEM;
	while ((rc = peal_reserve(&f.tx, 8, &payload)) == 0)
		assert_ok(peal_stage(&f.tx, 8, 0));
	assert_fails(rc, ENOMEM, "could not be woken");
	ring_close(&f);
}
END_TEST

/* --- Waiting ----------------------------------------------------------------------------------- */

START_TEST(trying_asks_for_the_peer_and_does_not_wait)
{
	struct waiter w = open_waiter(_i);

	ck_assert_int_eq(take_one(w.side, PEAL_TRY), -EAGAIN);
	ck_assert_str_eq(w.bell->log, "c");
	w.bell->check_result = -EPIPE;
	assert_fails(take_one(w.side, PEAL_TRY), EPIPE, "is gone");
	ck_assert_int_eq(w.bell->waits, 0);
	/* Known from now on. */
	w.bell->check_result = 0;
	assert_fails(take_one(w.side, PEAL_TRY), EPIPE, "is gone");
	assert_fails(take_one(w.side, PEAL_FOREVER), EPIPE, "is gone");
	ck_assert_str_eq(w.bell->log, "cc");
	ring_close(&f);
}
END_TEST

START_TEST(what_is_there_is_had_without_asking)
{
	struct waiter w = open_waiter(_i);

	give_one(w.side);
	assert_ok(take_one(w.side, PEAL_TRY));
	give_one(w.side);
	assert_ok(take_one(w.side, PEAL_FOREVER));
	ck_assert_str_eq(w.bell->log, "");
	ck_assert_uint_eq(*w.word, 0);
	ring_close(&f);
}
END_TEST

START_TEST(the_bell_gets_the_deadline_as_it_was_given)
{
	struct waiter w = open_waiter(_i);
	const uint64_t deadlines[] = {1, peal_deadline_in_ns(1000 * MILLISECOND), PEAL_FOREVER};

	w.bell->wait_result = -ETIMEDOUT;
	for (size_t i = 0; i < LENGTH(deadlines); i++) {
		ck_assert_int_eq(take_one(w.side, deadlines[i]), -ETIMEDOUT);
		ck_assert_uint_eq(w.bell->deadline_ns, deadlines[i]);
	}
	ring_close(&f);
}
END_TEST

START_TEST(a_flood_of_bells_does_not_hide_the_deadline)
{
	struct waiter w = open_waiter(_i);
	uint64_t end = peal_deadline_in_ns(10 * MILLISECOND);

	w.bell->wait_result = 0;
	ck_assert_int_eq(take_one(w.side, end), -ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns(), end);
	ck_assert_int_gt(w.bell->waits, 1);
	ck_assert_int_eq(w.bell->waits, w.bell->drains);
	ck_assert_uint_eq(w.counters->spurious, w.bell->waits);
	ck_assert_uint_eq(*w.word & 1, 0);
	ring_close(&f);
}
END_TEST

static int give_at_third_wait(struct ring_fixture *fixture, int nth)
{
	if (nth == 3)
		give_one(fixture->rx_bell.waits > 0 ? CONSUMER : PRODUCER);
	return 0;
}

START_TEST(the_word_is_odd_asleep_even_awake_and_never_the_same)
{
	struct waiter w = open_waiter(_i);

	/* Two spurious bells, then a true one; the stub checks the word at each step. */
	w.bell->on_wait = give_at_third_wait;
	assert_ok(take_one(w.side, PEAL_FOREVER));
	ck_assert_str_eq(w.bell->log, "wdwdwd");
	ck_assert_uint_eq(*w.word, 6);
	ck_assert_int_eq(w.waker_bell->rings, 1);
	ck_assert_uint_eq(w.counters->sleeps, 3);
	ck_assert_uint_eq(w.counters->spurious, 2);
	ck_assert_uint_eq(w.waker_counters->wakes, 1);
	ck_assert_uint_eq(w.waker_counters->sleeps, 0);
	ring_close(&f);
}
END_TEST

/* The time of a wait that begins now, at another position than the last one's. */
static uint64_t time_of_wait(const struct waiter *w)
{
	uint64_t before = peal_now_ns(), since;

	ck_assert_int_eq(take_one(w->side, peal_deadline_in_ns(MILLISECOND)), -ETIMEDOUT);
	since = w->counters->since_ns;
	ck_assert_uint_ge(since, before);
	ck_assert_uint_le(since, peal_now_ns());
	return since;
}

START_TEST(since_when_it_waits_is_told_until_the_other_side_moves)
{
	struct waiter w = open_waiter(_i);
	uint64_t since, position;

	w.bell->wait_result = -ETIMEDOUT;
	since = time_of_wait(&w);
	position = w.counters->position;
	ck_assert_uint_eq(position, w.side == CONSUMER ? f.rx.next : f.guest_ro.header->head);
	/* Through time-outs, and in a foreign loop. */
	ck_assert_int_eq(take_one(w.side, peal_deadline_in_ns(MILLISECOND)), -ETIMEDOUT);
	assert_ok(arm(w.side));
	assert_ok(disarm(w.side));
	ck_assert_uint_eq(w.counters->since_ns, since);
	ck_assert_uint_eq(w.counters->position, position);
	while (peal_now_ns() == since)
		;
	give_one(w.side);
	assert_ok(take_one(w.side, PEAL_TRY));
	ck_assert_uint_gt(time_of_wait(&w), since);
	ck_assert_uint_ne(w.counters->position, position);
	ring_close(&f);
}
END_TEST

START_TEST(without_a_clock_nothing_is_told)
{
	struct waiter w = open_waiter(_i);

	w.wake->no_clock = 1;
	w.bell->wait_result = -ETIMEDOUT;
	ck_assert_int_eq(take_one(w.side, PEAL_FOREVER), -ETIMEDOUT);
	ck_assert_uint_eq(w.counters->since_ns, 0);
	ck_assert_uint_eq(w.counters->position, 0);
	ring_close(&f);
}
END_TEST

/* One that comes without a bell, as when the waker saw the word before it turned odd. */
static int give_and_time_out(struct ring_fixture *fixture, int nth)
{
	(void)nth;
	give_one(fixture->rx_bell.waits > 0 ? CONSUMER : PRODUCER);
	return -ETIMEDOUT;
}

START_TEST(what_came_by_the_deadline_is_delivered)
{
	struct waiter w = open_waiter(_i);

	w.bell->on_wait = give_and_time_out;
	assert_ok(take_one(w.side, peal_deadline_in_ns(MILLISECOND)));
	ck_assert_str_eq(w.bell->log, "w");
	ring_close(&f);
}
END_TEST

START_TEST(every_way_out_of_a_wait_leaves_the_word_even)
{
	const struct {
		int result;
		const char *log;
	} ways[] = {{-ETIMEDOUT, "w"}, {-EPIPE, "w"}, {-ENOMEM, "w"}, {-EINTR, "w"}};
	struct waiter w = open_waiter(_i % BOTH_SIDES);
	const int way = _i / BOTH_SIDES;

	w.bell->wait_result = ways[way].result;
	ck_assert_int_eq(take_one(w.side, PEAL_FOREVER), ways[way].result);
	ck_assert_str_eq(w.bell->log, ways[way].log); /* not drained: no bell woke us */
	ck_assert_uint_eq(*w.word, 2);
	ring_close(&f);
}
END_TEST
#define WAYS_OUT 4

START_TEST(a_bell_that_can_not_be_drained_is_an_error)
{
	struct waiter w = open_waiter(_i);

	w.bell->wait_result = 0;
	w.bell->drain_result = -EIO;
	ck_assert_int_eq(take_one(w.side, PEAL_FOREVER), -EIO);
	ck_assert_uint_eq(*w.word, 2);
	ring_close(&f);
}
END_TEST

static jmp_buf out;

static int jump_out(struct ring_fixture *fixture, int nth)
{
	(void)fixture;
	if (nth == 1)
		longjmp(out, 1);
	return -ETIMEDOUT;
}

START_TEST(a_wait_left_by_longjmp_does_no_harm)
{
	struct waiter w = open_waiter(_i);

	w.bell->on_wait = jump_out;
	if (setjmp(out) == 0) {
		take_one(w.side, PEAL_FOREVER);
		ck_abort_msg("the wait came back");
	}
	/* Odd still; so the next wait takes the next odd value, or its bell would not be rung. */
	ck_assert_uint_eq(*w.word, 1);
	give_one(w.side);
	ck_assert_int_eq(w.waker_bell->rings, 1);
	assert_ok(take_one(w.side, PEAL_FOREVER));
	ck_assert_int_eq(take_one(w.side, PEAL_FOREVER), -ETIMEDOUT);
	ck_assert_uint_eq(w.bell->last_odd, 3);
	ck_assert_uint_eq(*w.word, 4);
	ring_close(&f);
}
END_TEST

/* --- Hang-up ----------------------------------------------------------------------------------- */

static int commit_two_and_die(struct ring_fixture *fixture, int nth)
{
	(void)fixture;
	(void)nth;
	send_one();
	send_one();
	return -EPIPE;
}

START_TEST(what_a_dead_producer_committed_is_delivered_first)
{
	struct peal_record record = {0};
	char buffer[8];

	open_variant(_i);
	f.rx_bell.on_wait = commit_two_and_die;
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
	ck_assert_int_eq(peal_arm_data(&f.rx), 1);
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_fails(peal_next(&f.rx, &record), EPIPE, "the producer is gone");
		assert_fails(peal_next_wait(&f.rx, &record, PEAL_TRY), EPIPE, "is gone");
		assert_fails(peal_next_wait(&f.rx, &record, PEAL_FOREVER), EPIPE, "is gone");
		assert_fails(peal_arm_data(&f.rx), EPIPE, "the producer is gone");
		assert_ok(peal_release(&f.rx));
		assert_fails(peal_recv(&f.rx, buffer, 8, NULL, PEAL_FOREVER), EPIPE, "is gone");
	}
	ck_assert_uint_eq(*f.rx.wake.own_word & 1, 0);
	ck_assert_int_eq(f.rx_bell.waits, 1);
	ring_close(&f);
}
END_TEST

START_TEST(trying_delivers_what_a_dead_producer_committed)
{
	struct peal_record record = {0};

	open_variant(_i);
	f.rx_bell.check_result = -EPIPE;
	send_one();
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_TRY), 1);
	assert_fails(peal_next_wait(&f.rx, &record, PEAL_TRY), EPIPE, "the producer is gone");
	assert_fails(peal_next_wait(&f.rx, &record, PEAL_FOREVER), EPIPE, "the producer is gone");
	assert_fails(peal_next(&f.rx, &record), EPIPE, "the producer is gone");
	ring_close(&f);
}
END_TEST

static int release_one_and_die(struct ring_fixture *fixture, int nth)
{
	(void)fixture;
	(void)nth;
	release_one();
	return -EPIPE;
}

static int send_and_die(struct peal_bell *bell)
{
	(void)bell;
	send_one();
	return -EPIPE;
}

START_TEST(trying_looks_again_after_asking_for_the_peer)
{
	struct peal_record record = {0};

	open_variant(_i);
	f.rx_bell.bell.check = send_and_die;
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_TRY), 1);
	assert_fails(peal_next(&f.rx, &record), EPIPE, "the producer is gone");
	ring_close(&f);
}
END_TEST

START_TEST(room_that_a_dead_consumer_made_is_room)
{
	void *payload;

	open_variant(_i);
	fill_ring(&f);
	f.tx_bell.on_wait = release_one_and_die;
	assert_ok(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER));
	assert_ok(peal_commit(&f.tx, 0, 0));
	f.tx_bell.on_wait = NULL;
	f.tx_bell.wait_result = -EPIPE;
	assert_fails(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER), EPIPE, "is gone");
	release_one(); /* too late: for good */
	assert_fails(peal_reserve(&f.tx, 0, &payload), EPIPE, "the consumer is gone");
	ring_close(&f);
}
END_TEST

/* --- A peer that closes ------------------------------------------------------------------------ */

static int close_and_ring(struct ring_fixture *fixture, int nth)
{
	(void)nth;
	fixture->tx_bell.is_closed = fixture->rx_bell.is_closed = true;
	return 0;
}

/* A wait takes the bell, but its deadline has passed. The next one must not need another. */
START_TEST(a_bell_of_closing_that_came_with_the_deadline_is_not_forgotten)
{
	struct waiter w = open_waiter(_i);

	w.bell->on_wait = close_and_ring;
	ck_assert_int_eq(take_one(w.side, 1), -ETIMEDOUT);
	ck_assert_int_eq(w.bell->drains, 1);
	assert_fails(arm(w.side), EPIPE, "is gone");
	ck_assert_uint_eq(*w.word & 1, 0);
	/* For good, whatever its word says later. */
	w.bell->is_closed = false;
	assert_fails(arm(w.side), EPIPE, "is gone");
	assert_fails(take_one(w.side, PEAL_FOREVER), EPIPE, "is gone");
	ck_assert_int_eq(w.bell->waits, 1);
	ring_close(&f);
}
END_TEST

START_TEST(what_came_before_the_closing_is_had_first)
{
	struct waiter w = open_waiter(_i);

	give_one(w.side);
	w.bell->is_closed = true;
	ck_assert_int_eq(arm(w.side), 1);
	ck_assert_uint_eq(*w.word & 1, 0);
	assert_ok(take_one(w.side, PEAL_FOREVER));
	assert_fails(arm(w.side), EPIPE, "is gone");
	ring_close(&f);
}
END_TEST

/* --- A hostile peer ---------------------------------------------------------------------------- */

static int write_false_word(struct ring_fixture *fixture, int nth)
{
	(void)nth;
	if (fixture->rx_bell.waits > 0)
		*peal_word_at(&f.tx, f.tx.tail) = 1;
	else
		f.guest_rw.header->head = f.tx.tail + f.variant.align;
	return 0;
}

START_TEST(a_false_word_seen_on_waking_breaks_the_ring)
{
	struct waiter w = open_waiter(_i);

	w.bell->on_wait = write_false_word;
	assert_fails(take_one(w.side, PEAL_FOREVER), EPROTO, "wrote a");
	ck_assert_uint_eq(*w.word, 2);
	assert_fails(take_one(w.side, PEAL_FOREVER), EPROTO, "wrote a");
	ck_assert_int_eq(w.bell->waits, 1);
	ring_close(&f);
}
END_TEST

/* --- Foreign event loops ----------------------------------------------------------------------- */

START_TEST(arming_promises_a_bell)
{
	struct waiter w = open_waiter(_i);

	for (int round = 1; round <= 3; round++) {
		ck_assert_int_eq(arm(w.side), 0);
		ck_assert_uint_eq(*w.word, 2 * round - 1);
		ck_assert_str_eq(w.bell->log, ""); /* the doorbell was not touched */
		give_one(w.side);
		ck_assert_int_eq(w.waker_bell->rings, round);
		assert_ok(disarm(w.side));
		ck_assert_uint_eq(*w.word, 2 * round);
		ck_assert_str_eq(w.bell->log, "dc");
		memset(w.bell->log, 0, sizeof(w.bell->log));
		assert_ok(take_one(w.side, PEAL_TRY));
	}
	ring_close(&f);
}
END_TEST

START_TEST(arming_is_refused_when_there_is_no_need_to_sleep)
{
	struct waiter w = open_waiter(_i);

	give_one(w.side);
	ck_assert_int_eq(arm(w.side), 1);
	ck_assert_uint_eq(*w.word & 1, 0);
	assert_ok(take_one(w.side, PEAL_TRY));
	ck_assert_int_eq(arm(w.side), 0);
	assert_ok(disarm(w.side));
	ck_assert_uint_eq(*w.word & 1, 0);
	ring_close(&f);
}
END_TEST

/* A poller asks this rather than to arm. */
static bool is_ready(enum side side)
{
	return side == CONSUMER ? peal_consumer_is_ready(&f.rx)
				: peal_producer_is_ready(&f.tx, f.variant.align);
}

START_TEST(what_ends_a_sleep_is_ready)
{
	struct waiter w = open_waiter(_i);

	ck_assert(!is_ready(w.side));
	give_one(w.side);
	ck_assert(is_ready(w.side));
	ring_close(&f);
	/* A false word that it sees itself. */
	w = open_waiter(_i);
	if (w.side == CONSUMER)
		*peal_word_at(&f.tx, f.tx.tail) = 1;
	else
		f.guest_rw.header->head = f.tx.tail + f.variant.align;
	ck_assert(is_ready(w.side));
	ring_close(&f);
	/* A ring that broke, since the next call must say so. */
	w = open_waiter(_i);
	w.bell->on_wait = write_false_word;
	assert_fails(take_one(w.side, PEAL_FOREVER), EPROTO, "wrote a");
	if (w.side == CONSUMER)
		*peal_word_at(&f.tx, f.tx.tail) = 0;
	else
		f.guest_rw.header->head = f.tx.limit + f.variant.align - f.variant.capacity;
	ck_assert(is_ready(w.side));
	ring_close(&f);
}
END_TEST

START_TEST(arming_gives_up_what_was_reserved)
{
	void *payload;

	open_variant(_i);
	assert_ok(peal_reserve(&f.tx, 8, &payload));
	ck_assert_int_eq(peal_arm_space(&f.tx, 8), 1);
	assert_fails(peal_commit(&f.tx, 8, 0), EINVAL, "nothing is reserved");
	ring_close(&f);
}
END_TEST

START_TEST(disarming_learns_of_death_and_the_next_call_tells)
{
	struct waiter w = open_waiter(_i);
	struct peal_record record = {0};
	void *payload;

	ck_assert_int_eq(arm(w.side), 0);
	w.bell->check_result = -EPIPE;
	assert_ok(disarm(w.side));
	ck_assert_uint_eq(*w.word, 2);
	if (w.side == CONSUMER)
		assert_fails(peal_next(&f.rx, &record), EPIPE, "the producer is gone");
	else
		assert_fails(peal_reserve(&f.tx, 0, &payload), EPIPE, "the consumer is gone");
	assert_fails(arm(w.side), EPIPE, "is gone");
	ck_assert_uint_eq(*w.word & 1, 0);
	ring_close(&f);
}
END_TEST

START_TEST(a_dead_producers_records_survive_disarming)
{
	struct peal_record record = {0};

	open_variant(_i);
	ck_assert_int_eq(peal_arm_data(&f.rx), 0);
	send_one();
	f.rx_bell.check_result = -EPIPE;
	assert_ok(peal_disarm_data(&f.rx));
	ck_assert_int_eq(peal_next(&f.rx, &record), 1);
	assert_fails(peal_next(&f.rx, &record), EPIPE, "the producer is gone");
	ring_close(&f);
}
END_TEST

START_TEST(disarming_hands_on_other_errors)
{
	struct waiter w = open_waiter(_i);

	ck_assert_int_eq(arm(w.side), 0);
	w.bell->drain_result = -EIO;
	ck_assert_int_eq(disarm(w.side), -EIO);
	ck_assert_uint_eq(*w.word, 2);
	w.bell->drain_result = 0;
	assert_ok(disarm(w.side)); /* harmless when nothing is armed */
	ck_assert_uint_eq(*w.word, 2);
	ring_close(&f);
}
END_TEST

/* --- The barrier ------------------------------------------------------------------------------- */

static void forbid_membarrier(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {LENGTH(filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		harness_skip("no seccomp filters here");
}

START_TEST(a_promised_membarrier_that_fails_is_an_error)
{
	/* The asymmetric variants are the upper half. */
	struct waiter w = open_waiter(_i / 8 * RING_VARIANTS + 8 + _i % 8);

	forbid_membarrier();
	/* A fence in its place would lose wakes: the peer has left out its own. */
	assert_fails(take_one(w.side, PEAL_FOREVER), EPERM, "membarrier");
	ck_assert_int_eq(w.bell->waits, 0);
	ck_assert_uint_eq(*w.word & 1, 0);
	assert_fails(arm(w.side), EPERM, "membarrier");
	ck_assert_uint_eq(*w.word & 1, 0);
	ring_close(&f);
}
END_TEST

static int die_with_the_barrier(struct ring_fixture *fixture, int nth)
{
	(void)fixture;
	(void)nth;
	forbid_membarrier();
	return -EPIPE;
}

START_TEST(a_membarrier_that_fails_after_a_death_is_an_error)
{
	struct peal_record record;

	open_variant(8 + _i % 8); /* the asymmetric ones */
	if (_i < 8) {
		/* Nothing is known of what it committed last, so this is not the end. */
		f.rx_bell.on_wait = die_with_the_barrier;
		assert_fails(peal_next_wait(&f.rx, &record, PEAL_FOREVER), EPERM, "membarrier");
	} else {
		forbid_membarrier();
		f.rx_bell.check_result = -EPIPE;
		assert_fails(peal_next_wait(&f.rx, &record, PEAL_TRY), EPERM, "membarrier");
		assert_fails(peal_disarm_data(&f.rx), EPERM, "membarrier");
	}
	ck_assert_int_eq(f.rx.ended, 0);
	ring_close(&f);
}
END_TEST

/* --- Spinning ---------------------------------------------------------------------------------- */

static void open_spinning(uint64_t cap_ns)
{
	struct ring_variant variant = ring_variant(0);

	variant.spin_cap_ns = cap_ns;
	ring_open(&f, &variant);
}

/* As if all waits so far had been short. */
static void open_spinning_long(uint64_t cap_ns)
{
	open_spinning(cap_ns);
	f.rx.wake.spin_ns = cap_ns;
	f.tx.wake.spin_ns = cap_ns;
}

START_TEST(the_first_spin_is_short)
{
	open_spinning(8 * MILLISECOND);
	ck_assert_uint_eq(f.rx.wake.spin_ns, 1000);
	ck_assert_uint_eq(f.tx.wake.spin_ns, 1000);
	ring_close(&f);
}
END_TEST

static int sleep_long(struct ring_fixture *fixture, int nth)
{
	uint64_t end = peal_deadline_in_ns(2 * fixture->variant.spin_cap_ns);

	(void)nth;
	while (peal_now_ns() < end)
		usleep(1000);
	return -ETIMEDOUT;
}

/* A cap beyond the test's time-out: whoever spins here never comes back. */
START_TEST(a_peer_on_this_processor_is_not_spun_for)
{
	struct peal_record record = {0};
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(here), &here), 0);
	open_spinning_long(1000 * 1000 * (uint64_t)MILLISECOND);
	f.host_rw.header->cpu = (uint64_t)sched_getcpu() + 1;
	f.rx_bell.wait_result = -ETIMEDOUT;
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), -ETIMEDOUT);
	/* And we say where we are. */
	ck_assert_uint_eq(f.guest_rw.header->cpu, (uint64_t)sched_getcpu() + 1);
	ring_close(&f);
}
END_TEST

static int send_on_wait(struct ring_fixture *fixture, int nth)
{
	(void)nth;
	assert_ok(peal_send(&fixture->tx, "12345678", 8, 0, PEAL_TRY));
	return 0;
}

/* One wait that ends at once, after @records more have been taken. */
static void wait_after(int records)
{
	struct peal_record record;

	for (int i = 0; i < records; i++) {
		assert_ok(peal_send(&f.tx, "12345678", 8, 0, PEAL_TRY));
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		assert_ok(peal_release(&f.rx));
	}
	f.rx_bell.on_wait = send_on_wait;
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
	assert_ok(peal_release(&f.rx));
}

static int send_large_on_wait(struct ring_fixture *fixture, int nth)
{
	static const char large[1000];

	(void)nth;
	assert_ok(peal_send(&fixture->tx, large, sizeof(large), 0, PEAL_TRY));
	return 0;
}

/* Ping-pong of records that are as many bytes as a stream. */
START_TEST(a_lone_record_is_not_staggered_however_large)
{
	struct peal_record record;

	open_spinning_long(MILLISECOND / 1000);
	f.rx_bell.on_wait = send_large_on_wait;
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
		assert_ok(peal_release(&f.rx));
		ck_assert_uint_eq(f.rx.stagger, 0);
	}
	ring_close(&f);
}
END_TEST

START_TEST(only_a_stream_is_staggered)
{
	struct ring_variant variant = ring_variant(0);
	unsigned int most;

	variant.capacity = 65536;
	variant.spin_cap_ns = MILLISECOND / 1000;
	ring_open(&f, &variant);
	for (int i = 0; i < 10; i++) {
		wait_after(0);
		ck_assert_uint_eq(f.rx.stagger, 0);
	}
	/* Several records, but too few bytes for a stream. */
	wait_after(5);
	ck_assert_uint_eq(f.rx.stagger, 0);
	wait_after(30);
	ck_assert_uint_eq(f.rx.stagger, 1);
	wait_after(30);
	ck_assert_uint_eq(f.rx.stagger, 3);
	for (int i = 0; i < 20; i++)
		wait_after(600);
	ck_assert_uint_gt(f.rx.stagger, 200);
	ck_assert_uint_lt(f.rx.stagger, 600);
	/* More than half a ring: a producer that meets a full one has waited for us. */
	most = f.rx.stagger;
	wait_after(65536 / 2 / 16 + 1);
	ck_assert_uint_eq(f.rx.stagger, most / 2);
	/* The ping-pong after it is free of it soon. */
	for (int i = 0; i < 10; i++)
		wait_after(0);
	ck_assert_uint_eq(f.rx.stagger, 0);
	ring_close(&f);
}
END_TEST

START_TEST(the_spin_shrinks_when_waits_are_long_and_grows_when_short)
{
	const uint64_t cap = 8 * MILLISECOND;
	uint64_t expected = cap;
	struct peal_record record = {0};

	open_spinning_long(cap);
	ck_assert_uint_eq(f.rx.wake.spin_ns, cap);
	f.rx_bell.on_wait = sleep_long;
	for (unsigned int i = 0; i < 15; i++) {
		ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), -ETIMEDOUT);
		expected = expected / 2 < 1000 ? 1000 : expected / 2;
		ck_assert_uint_eq(f.rx.wake.spin_ns, expected);
	}
	ck_assert_uint_eq(expected, 1000);
	f.rx_bell.on_wait = NULL;
	f.rx_bell.wait_result = -ETIMEDOUT;
	/* Thirteen would do; on a busy machine a short wait may take long now and then. */
	for (unsigned int i = 0; i < 1000 && f.rx.wake.spin_ns < cap; i++)
		ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), -ETIMEDOUT);
	ck_assert_uint_eq(f.rx.wake.spin_ns, cap);
	ring_close(&f);
}
END_TEST

START_TEST(a_cap_of_zero_never_spins)
{
	struct peal_record record = {0};
	struct peal_spin spin;

	open_spinning(0);
	f.rx_bell.wait_result = -ETIMEDOUT;
	for (unsigned int i = 0; i < 3; i++) {
		peal_spin_begin(&spin, &f.rx.wake, PEAL_FOREVER);
		ck_assert(!peal_spin(&spin, 1));
		ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), -ETIMEDOUT);
		ck_assert_uint_eq(f.rx.wake.spin_ns, 0);
	}
	ring_close(&f);
}
END_TEST

START_TEST(spinning_ends_at_the_deadline)
{
	uint64_t begin = peal_now_ns();
	void *payload;
	struct peal_record record = {0};

	open_spinning_long(60000 * MILLISECOND);
	f.tx_bell.wait_result = f.rx_bell.wait_result = -ETIMEDOUT;
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, begin + 10 * MILLISECOND), -ETIMEDOUT);
	fill_ring(&f);
	ck_assert_int_eq(peal_reserve_wait(&f.tx, 0, &payload, begin + 20 * MILLISECOND),
			 -ETIMEDOUT);
	ck_assert_uint_lt(peal_now_ns() - begin, 30000 * MILLISECOND);
	ring_close(&f);
}
END_TEST

/* The consumer acts when the producer, finding the ring full, publishes what it had staged. */
static void release_one_on_ring(struct ring_fixture *fixture)
{
	(void)fixture;
	release_one();
}

static void release_half_on_ring(struct ring_fixture *fixture)
{
	for (unsigned int i = 0; i < fixture->variant.capacity / fixture->variant.align / 2; i++)
		release_one();
}

/* Leaves the ring full, with one record staged and the consumer asleep. */
static void stage_until_full(void)
{
	void *payload;

	assert_ok(peal_reserve(&f.tx, 0, &payload));
	assert_ok(peal_stage(&f.tx, 0, 0));
	while (f.tx.limit - f.tx.tail - f.tx.staged > 0) {
		assert_ok(peal_reserve(&f.tx, 0, &payload));
		assert_ok(peal_stage(&f.tx, 0, 0));
	}
	ck_assert_int_eq(peal_arm_data(&f.rx), 0);
}

static void write_false_head_on_ring(struct ring_fixture *fixture)
{
	fixture->guest_rw.header->head = fixture->tx.tail + fixture->variant.align;
}

static void release_one_and_close(struct ring_fixture *fixture)
{
	release_one_on_ring(fixture);
	fixture->tx_bell.is_closed = true;
}

START_TEST(room_that_was_made_before_the_closing_is_room)
{
	void *payload;

	open_variant(_i);
	stage_until_full();
	f.tx_bell.on_ring = release_one_and_close;
	ck_assert_int_eq(peal_arm_space(&f.tx, 0), 1);
	ck_assert_uint_eq(f.host_rw.header->space_wait, 2);
	assert_ok(peal_reserve(&f.tx, 0, &payload));
	ring_close(&f);
}
END_TEST

START_TEST(room_that_comes_while_arming_keeps_awake)
{
	open_variant(_i);
	stage_until_full();
	f.tx_bell.on_ring = release_one_on_ring;
	ck_assert_int_eq(peal_arm_space(&f.tx, 0), 1);
	ck_assert_int_eq(f.tx_bell.rings, 1);
	ck_assert_uint_eq(f.host_rw.header->space_wait, 2);
	ring_close(&f);
}
END_TEST

START_TEST(a_false_head_seen_on_arming_leaves_the_word_even)
{
	open_variant(_i);
	stage_until_full();
	f.tx_bell.on_ring = write_false_head_on_ring;
	assert_fails(peal_arm_space(&f.tx, 0), EPROTO, "wrote a position");
	ck_assert_int_eq(f.tx_bell.rings, 1);
	ck_assert_uint_eq(f.host_rw.header->space_wait, 2);
	ring_close(&f);
}
END_TEST

START_TEST(room_that_comes_while_spinning_costs_no_sleep)
{
	void *payload;

	open_spinning(MILLISECOND);
	f.tx.wake.spin_ns = 1000;
	stage_until_full();
	f.tx_bell.on_ring = release_half_on_ring;
	assert_ok(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER));
	ck_assert_int_eq(f.tx_bell.waits, 0);
	ck_assert_uint_eq(f.tx.wake.spin_ns, 2000); /* it was worth while */
	ring_close(&f);
}
END_TEST

static void *send_one_soon(void *unused)
{
	const struct timespec soon = {.tv_nsec = 2000000};

	(void)unused;
	nanosleep(&soon, NULL);
	send_one();
	return NULL;
}

START_TEST(a_record_that_comes_while_spinning_costs_no_sleep)
{
	struct peal_record record;
	pthread_t sender;

	open_spinning_long(UINT64_C(60000) * MILLISECOND);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_one_soon, NULL), 0);
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
	ck_assert_uint_eq(f.guest_rw.header->data_wait, 0); /* not even armed */
	pthread_join(sender, NULL);
	ring_close(&f);
}
END_TEST

static void *lie_soon(void *unused)
{
	const struct timespec soon = {.tv_nsec = 2000000};

	nanosleep(&soon, NULL);
	peal_store_release(&f.guest_rw.header->head, f.tx.tail + f.variant.align);
	return unused;
}

START_TEST(a_false_head_ends_the_spin)
{
	void *payload;
	pthread_t liar;

	open_spinning_long(UINT64_C(3600000) * MILLISECOND);
	fill_ring(&f);
	ck_assert_int_eq(pthread_create(&liar, NULL, lie_soon, NULL), 0);
	assert_fails(peal_reserve_wait(&f.tx, 8, &payload, PEAL_FOREVER), EPROTO, "wrote a");
	ck_assert_uint_eq(f.host_rw.header->space_wait, 0); /* not even armed */
	pthread_join(liar, NULL);
	ring_close(&f);
}
END_TEST

START_TEST(a_little_room_is_spun_for_more_but_not_slept_for)
{
	const uint64_t budget = 20 * MILLISECOND;
	uint64_t begin;
	void *payload;

	open_spinning_long(budget);
	stage_until_full();
	f.tx_bell.on_ring = release_one_on_ring;
	begin = peal_now_ns();
	assert_ok(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER));
	/* An eighth of the ring never came; the one record that fits decides in the end. */
	ck_assert_uint_ge(peal_now_ns() - begin, budget);
	ck_assert_int_eq(f.tx_bell.waits, 0);
	ck_assert_uint_eq(f.host_rw.header->space_wait, 0); /* not even armed */
	/* In vain, so the next time for half as long. */
	ck_assert_uint_eq(f.tx.wake.spin_ns, budget / 2);
	ring_close(&f);
}
END_TEST

START_TEST(a_large_room_is_spun_for_as_a_whole)
{
	const uint64_t budget = 20 * MILLISECOND;
	uint64_t begin;
	void *payload;

	open_spinning_long(budget);
	stage_until_full();
	f.tx_bell.on_ring = release_half_on_ring;
	f.tx_bell.wait_result = -ETIMEDOUT;
	begin = peal_now_ns();
	ck_assert_int_eq(
		peal_reserve_wait(&f.tx, f.variant.capacity / 4 * 3, &payload, PEAL_FOREVER),
		-ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns() - begin, budget);
	ck_assert_int_eq(f.tx_bell.waits, 1);
	ring_close(&f);
}
END_TEST

static int release_one_and_ring(struct ring_fixture *fixture, int nth)
{
	(void)fixture;
	ck_assert_int_le(nth, 1);
	release_one();
	return 0;
}

START_TEST(asleep_exactly_what_is_needed_decides)
{
	void *payload;

	open_variant(_i);
	fill_ring(&f);
	/* One record's room, and nobody will ever release another. */
	f.tx_bell.on_wait = release_one_and_ring;
	assert_ok(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER));
	ck_assert_int_eq(f.tx_bell.waits, 1);
	ring_close(&f);
}
END_TEST

/* --- Two threads ------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#	define RECORDS 200000
#	define RACES   100000
#else
#	define RECORDS 1000000
#	define RACES   400000
#endif

/* The plainest bell that can be: an eventfd each way, and no end of patience. */
struct event_bell {
	struct peal_bell bell;
	int wait_fd, ring_fd;
};

static int event_ring(struct peal_bell *bell)
{
	return eventfd_write(((struct event_bell *)bell)->ring_fd, 1) == 0 ? 0 : -errno;
}

static int event_wait(struct peal_bell *bell, uint64_t deadline_ns)
{
	struct pollfd poller = {.fd = ((struct event_bell *)bell)->wait_fd, .events = POLLIN};

	ck_assert_uint_eq(deadline_ns, PEAL_FOREVER); /* a time-out would hide a lost wake */
	while (poll(&poller, 1, -1) < 0)
		ck_assert_int_eq(errno, EINTR);
	return 0;
}

static int event_drain(struct peal_bell *bell)
{
	eventfd_t count;

	return eventfd_read(((struct event_bell *)bell)->wait_fd, &count) == 0 || errno == EAGAIN
		       ? 0
		       : -errno;
}

static bool event_is_closed(struct peal_bell *bell)
{
	(void)bell;
	return false;
}

static int event_check(struct peal_bell *bell)
{
	(void)bell;
	return 0;
}

static struct event_bell event_bell(int wait_fd, int ring_fd)
{
	return (struct event_bell){.bell = {.ring = event_ring,
					    .wait = event_wait,
					    .drain = event_drain,
					    .is_closed = event_is_closed,
					    .check = event_check},
				   .wait_fd = wait_fd,
				   .ring_fd = ring_fd};
}

/* Mostly small, some large, some empty. */
static size_t size_of(uint64_t number)
{
	uint64_t random = number + 1, value = next_random(&random);

	return value % 64 == 0 ? value / 64 % 3000 : value % 100;
}

static void *produce(void *unused)
{
	uint64_t random = 3, batch = 0;
	void *payload;

	for (uint64_t number = 0; number < RECORDS; number++) {
		size_t size = size_of(number);

		assert_ok(peal_reserve_wait(&f.tx, size, &payload, PEAL_FOREVER));
		pattern_fill(payload, size, number);
		if (batch == 0)
			batch = 1 + next_random(&random) % 8;
		if (--batch > 0 && number + 1 < RECORDS)
			assert_ok(peal_stage(&f.tx, size, (uint16_t)number));
		else
			assert_ok(peal_commit(&f.tx, size, (uint16_t)number));
	}
	return unused;
}

static void check_record(const struct peal_record *record, uint64_t number)
{
	ck_assert_uint_eq(record->type, (uint16_t)number);
	ck_assert_uint_eq(record->size, size_of(number));
	pattern_check(record->data, record->size, number);
}

/* By copy; or in place, all that are there, released together or one by one. */
static uint64_t consume_some(uint64_t number, uint64_t how)
{
	static char buffer[4096];
	struct peal_record record = {0};

	if (how % 3 == 0) {
		int64_t size = peal_recv(&f.rx, buffer, sizeof(buffer), &record.type, PEAL_FOREVER);

		assert_ok(size);
		record.size = (uint32_t)size;
		record.data = buffer;
		check_record(&record, number);
		return number + 1;
	}
	ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
	do {
		check_record(&record, number++);
		if (how % 3 == 1)
			assert_ok(peal_release_to(&f.rx, &record));
	} while (peal_next(&f.rx, &record) == 1);
	assert_ok(peal_release(&f.rx));
	return number;
}

static void *consume(void *unused)
{
	uint64_t random = 5;

	for (uint64_t number = 0; number < RECORDS;)
		number = consume_some(number, next_random(&random));
	return unused;
}

/* Run both, each with an eventfd to sleep on. */
static void run_two_threads(struct ring_variant variant, void *(*producer)(void *),
			    void *(*consumer)(void *))
{
	int data = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int space = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct event_bell tx_bell = event_bell(space, data), rx_bell = event_bell(data, space);
	pthread_t thread;

	/* One pair of mappings: to a race detector the other one is other memory. */
	variant.one_mapping = true;
	ring_open_with(&f, &variant, &tx_bell.bell, &rx_bell.bell);
	ck_assert_int_eq(pthread_create(&thread, NULL, producer, NULL), 0);
	consumer(NULL);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(f.guest_ro.header->head, peal_segment_tail(&f.host_ro));
	/* Otherwise this run has shown nothing about waking. */
	ck_assert_uint_gt(f.guest_ro.header->consumer_counters.sleeps, 100);
	close(data);
	close(space);
}

START_TEST(two_threads_lose_no_record_and_no_wake)
{
	struct ring_variant variant = ring_variant(_i & 1 ? 15 : 6);

	/* Fences or membarrier; asleep at once, or spinning just long enough to miss. */
	variant.asymmetric = _i & 1;
	variant.spin_cap_ns = _i & 2 ? 2000 : 0;
	run_two_threads(variant, produce, consume);
	ck_assert_uint_gt(f.host_ro.header->producer_counters.sleeps, 100);
	ring_close(&f);
}
END_TEST

/* Some nanoseconds more or less, so that the two meet at every step of each other. */
static void dawdle(uint64_t *random)
{
	for (uint64_t delay = next_random(random) % 512; delay > 0; delay--)
		peal_barrier_light();
}

/* Who waits for a processor for each record would need hours for all. */
#define ENOUGH_NS (UINT64_C(60) * 1000000000)

enum { MORE, LAST };

static void wait_until_all_is_released(void)
{
	for (unsigned int i = 1; peal_load_acquire(f.tx.head) != f.tx.tail; i++) {
		peal_cpu_relax();
		/* The consumer may need this very processor. */
		if (i % 4096 == 0)
			sched_yield();
	}
}

/* One record at a time, sent in the very moment in which the consumer falls asleep. */
static void *send_to_the_drowsy(void *unused)
{
	uint64_t random = 9, end = peal_now_ns() + ENOUGH_NS;
	uint16_t type = MORE;

	for (unsigned int i = 1; type == MORE; i++) {
		wait_until_all_is_released();
		dawdle(&random);
		if (i == RACES || (i % 64 == 0 && peal_now_ns() > end))
			type = LAST;
		assert_ok(peal_send(&f.tx, NULL, 0, type, PEAL_FOREVER));
	}
	return unused;
}

static void *sleep_for_each(void *unused)
{
	struct peal_record record = {0};
	uint64_t random = 11;

	while (record.type == MORE) {
		ck_assert_int_eq(peal_next_wait(&f.rx, &record, PEAL_FOREVER), 1);
		assert_ok(peal_release(&f.rx));
		/* The news of the release takes as long to the producer as falling asleep does. */
		dawdle(&random);
	}
	return unused;
}

START_TEST(a_record_sent_while_falling_asleep_is_seen_or_rung_for)
{
	run_two_threads(ring_variant(_i & 1 ? 8 : 0), send_to_the_drowsy, sleep_for_each);
	ring_close(&f);
}
END_TEST

int main(void)
{
	return harness_main(
		"wake",
		(struct harness_case[]){
			{one_bell_for_each_sleep, BOTH_SIDES},
			{a_bell_that_failed_is_an_error_and_still_owed, BOTH_SIDES},
			{a_consumer_that_is_gone_ends_the_producer, RING_VARIANTS},
			{a_producer_that_is_gone_does_not_hinder_releasing, RING_VARIANTS},
			{staged_records_ring_once_when_they_are_published, RING_VARIANTS},
			{a_bell_that_fails_while_there_is_no_room_is_told, RING_VARIANTS},
			{trying_asks_for_the_peer_and_does_not_wait, BOTH_SIDES},
			{what_is_there_is_had_without_asking, BOTH_SIDES},
			{the_bell_gets_the_deadline_as_it_was_given, BOTH_SIDES},
			{a_flood_of_bells_does_not_hide_the_deadline, BOTH_SIDES},
			{the_word_is_odd_asleep_even_awake_and_never_the_same, BOTH_SIDES},
			{since_when_it_waits_is_told_until_the_other_side_moves, BOTH_SIDES},
			{without_a_clock_nothing_is_told, BOTH_SIDES},
			{what_came_by_the_deadline_is_delivered, BOTH_SIDES},
			{every_way_out_of_a_wait_leaves_the_word_even, WAYS_OUT * BOTH_SIDES},
			{a_bell_that_can_not_be_drained_is_an_error, BOTH_SIDES},
			{a_wait_left_by_longjmp_does_no_harm, BOTH_SIDES},
			{what_a_dead_producer_committed_is_delivered_first, RING_VARIANTS},
			{trying_delivers_what_a_dead_producer_committed, RING_VARIANTS},
			{trying_looks_again_after_asking_for_the_peer, RING_VARIANTS},
			{room_that_a_dead_consumer_made_is_room, RING_VARIANTS},
			{a_bell_of_closing_that_came_with_the_deadline_is_not_forgotten,
			 BOTH_SIDES},
			{what_came_before_the_closing_is_had_first, BOTH_SIDES},
			{a_false_word_seen_on_waking_breaks_the_ring, BOTH_SIDES},
			{a_false_head_seen_on_arming_leaves_the_word_even, RING_VARIANTS},
			{room_that_was_made_before_the_closing_is_room, RING_VARIANTS},
			{room_that_comes_while_arming_keeps_awake, RING_VARIANTS},
			{arming_promises_a_bell, BOTH_SIDES},
			{arming_is_refused_when_there_is_no_need_to_sleep, BOTH_SIDES},
			{what_ends_a_sleep_is_ready, BOTH_SIDES},
			{arming_gives_up_what_was_reserved, RING_VARIANTS},
			{disarming_learns_of_death_and_the_next_call_tells, BOTH_SIDES},
			{a_dead_producers_records_survive_disarming, RING_VARIANTS},
			{disarming_hands_on_other_errors, BOTH_SIDES},
			{a_membarrier_that_fails_after_a_death_is_an_error, 16},
			{a_promised_membarrier_that_fails_is_an_error, 16},
			{the_first_spin_is_short, 0},
			{the_spin_shrinks_when_waits_are_long_and_grows_when_short, 0},
			{a_cap_of_zero_never_spins, 0},
			{spinning_ends_at_the_deadline, 0},
			{a_record_that_comes_while_spinning_costs_no_sleep, 0},
			{room_that_comes_while_spinning_costs_no_sleep, 0},
			{a_peer_on_this_processor_is_not_spun_for, 0},
			{a_lone_record_is_not_staggered_however_large, 0},
			{only_a_stream_is_staggered, 0},
			{a_false_head_ends_the_spin, 0},
			{a_little_room_is_spun_for_more_but_not_slept_for, 0},
			{a_large_room_is_spun_for_as_a_whole, 0},
			{asleep_exactly_what_is_needed_decides, RING_VARIANTS},
			{two_threads_lose_no_record_and_no_wake, 4},
			{a_record_sent_while_falling_asleep_is_seen_or_rung_for, 2},
			HARNESS_END,
		});
}
