/* SPDX-License-Identifier: MIT */
/*
 * Promises of a channel between two real processes: everything arrives, once, in order, unharmed,
 * whoever is slow and whoever sleeps. All waits are endless; the test's time-out is the judge.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "ring/wake.h"

static struct pair start(int index, uint64_t to_guest, uint64_t to_host, const char *mode,
			 const char *a, const char *b, const char *c)
{
	struct peal_channel_options options = config(index, to_guest, to_host);

	return pair_start(&options, mode, a, b, c);
}

static void expect_answer(struct peal_channel *channel)
{
	char none;

	ck_assert_int_eq(peal_recv(peal_rx(channel), &none, sizeof(none), NULL, PEAL_FOREVER), 0);
}

START_TEST(a_guest_echoes_every_record)
{
	struct pair pair = start(_i, 1 << 16, 1 << 16, "echo", "", "", "");
	static unsigned char buffer[4096];
	uint16_t type;

	for (uint64_t i = 0; i < 2000; i++) {
		size_t size = stream_size(i, sizeof(buffer));

		stream_fill(buffer, size, i);
		assert_ok(
			peal_send(peal_tx(pair.channel), buffer, size, (uint16_t)i, PEAL_FOREVER));
		memset(buffer, 0, sizeof(buffer));
		ck_assert_int_eq(peal_recv(peal_rx(pair.channel), buffer, sizeof(buffer), &type,
					   PEAL_FOREVER),
				 (int64_t)size);
		ck_assert(type == (uint16_t)i && stream_is(buffer, size, i));
	}
	pair_finish(&pair);
}
END_TEST

START_TEST(ten_million_records_arrive_in_order)
{
	const uint64_t count = 10000000;
	struct pair pair = start(_i, 1 << 18, 4096, "receive", "10000000", "40", "0");

	assert_ok(stream_send(peal_tx(pair.channel), 0, count, 40, 1));
	expect_answer(pair.channel);
	pair_finish(&pair);
}
END_TEST

START_TEST(ten_million_records_arrive_in_batches)
{
	struct pair pair = start(_i, 0, 1 << 18, "send", "10000000", "40", "32");

	assert_ok(stream_receive(peal_rx(pair.channel), 0, 10000000, 40, 0));
	pair_finish(&pair);
}
END_TEST

START_TEST(simplex_needs_no_ring_back)
{
	struct pair pair = start(_i, 1 << 16, 0, "receive", "10000", "500", "0");

	ck_assert_ptr_null(peal_rx(pair.channel));
	ck_assert_int_eq(peal_rx_fd(pair.channel), -1);
	assert_ok(stream_send(peal_tx(pair.channel), 0, 10000, 500, 1));
	pair_finish(&pair);

	pair = start(_i, 0, 1 << 16, "send", "10000", "500", "1");
	ck_assert_ptr_null(peal_tx(pair.channel));
	ck_assert_int_eq(peal_tx_fd(pair.channel), -1);
	assert_ok(stream_receive(peal_rx(pair.channel), 0, 10000, 500, 0));
	pair_finish(&pair);
}
END_TEST

/* The smallest ring and a consumer that dawdles: the producer sleeps for room all the time. */
START_TEST(a_slow_consumer_loses_nothing)
{
	struct pair pair = start(_i, 4096, 4096, "receive", "20000", "1000", "50");
	struct peal_side_stats own;

	assert_ok(stream_send(peal_tx(pair.channel), 0, 20000, 1000, 1));
	expect_answer(pair.channel);
	peal_channel_stats(pair.channel, &own, NULL);
	ck_assert_uint_gt(own.tx.sleeps, 0);
	pair_finish(&pair);

	pair = start(_i, 0, 4096, "send", "20000", "1000", "8");
	assert_ok(stream_receive(peal_rx(pair.channel), 0, 20000, 1000, 50));
	pair_finish(&pair);
}
END_TEST

START_TEST(a_slow_producer_wakes_its_consumer_each_time)
{
	const struct timespec little = {.tv_nsec = 200000};
	struct pair pair = start(_i, 4096, 4096, "receive", "2000", "100", "0");
	struct peal_side_stats peer;

	for (uint64_t i = 0; i < 2000; i++) {
		assert_ok(stream_send(peal_tx(pair.channel), i, i + 1, 100, 1));
		nanosleep(&little, NULL);
	}
	expect_answer(pair.channel);
	peal_channel_stats(pair.channel, NULL, &peer);
	ck_assert_uint_gt(peer.rx.sleeps, 0);
	pair_finish(&pair);
}
END_TEST

START_TEST(back_pressure_is_told_and_ends)
{
	struct pair pair = start(_i, 4096, 4096, "stall", "", "", "");
	struct peal_producer *tx = peal_tx(pair.channel);
	void *payload;
	int rc, sent = 0;

	while ((rc = peal_send(tx, "12345678", 8, 0, PEAL_TRY)) == 0)
		sent++;
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_eq(sent, config(_i, 1, 1).align == 8 ? 4096 / 16 - 1 : 4096 / 128 - 1);
	ck_assert_int_eq(peal_reserve(tx, 8, &payload), -EAGAIN);
	ck_assert_int_eq(peal_reserve_wait(tx, 8, &payload, peal_deadline_in_ns(20000000)),
			 -ETIMEDOUT);
	pair_kill(&pair);
}
END_TEST

static void *send_all(void *channel)
{
	ck_assert_int_eq(stream_send(peal_tx(channel), 0, 200000, 64, 4), 0);
	return NULL;
}

/* One process, two threads: one sends, the other receives what comes back. */
START_TEST(sending_and_receiving_may_be_two_threads)
{
	struct pair pair = start(_i, 1 << 14, 1 << 14, "echo", "", "", "");
	pthread_t sender;

	ck_assert_int_eq(pthread_create(&sender, NULL, send_all, pair.channel), 0);
	assert_ok(stream_receive(peal_rx(pair.channel), 0, 200000, 64, 0));
	pthread_join(sender, NULL);
	pair_finish(&pair);
}
END_TEST

START_TEST(a_stopped_guest_goes_on_where_it_was)
{
	struct pair pair = start(_i, 4096, 4096, "receive", "5000", "100", "0");
	uint64_t sent = 1000;

	assert_ok(stream_send(peal_tx(pair.channel), 0, sent, 100, 1));
	assert_ok(peal_child_kill(pair.child, SIGSTOP));
	/* What fits goes in; the stopped guest takes nothing out. */
	while (peal_tx(pair.channel)->limit - peal_tx(pair.channel)->tail > 512) {
		assert_ok(stream_send(peal_tx(pair.channel), sent, sent + 1, 100, 1));
		sent++;
	}
	assert_ok(peal_child_kill(pair.child, SIGCONT));
	assert_ok(stream_send(peal_tx(pair.channel), sent, 5000, 100, 1));
	expect_answer(pair.channel);
	pair_finish(&pair);
}
END_TEST

/* All that a foreign loop does: arm, wait on the descriptor, disarm, take what is there. */
static void receive_by_epoll(struct peal_channel *channel, uint32_t events, uint64_t count)
{
	struct epoll_event event = {.events = events};
	struct peal_consumer *rx = peal_rx(channel);
	struct peal_record record;
	int epoll = epoll_create1(EPOLL_CLOEXEC), rc;

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, peal_rx_fd(channel), &event), 0);
	for (uint64_t i = 0; i < count;) {
		while ((rc = peal_next(rx, &record)) == 1) {
			ck_assert_uint_eq(record.size, stream_size(i, 100));
			ck_assert(stream_is(record.data, record.size, i));
			assert_ok(peal_release(rx));
			i++;
		}
		if (i == count)
			break; /* the guest may be gone already */
		assert_ok(rc);
		rc = peal_arm_data(rx);
		assert_ok(rc);
		if (rc == 0)
			ck_assert_int_eq(epoll_wait(epoll, &event, 1, -1), 1);
		assert_ok(peal_disarm_data(rx));
	}
	close(epoll);
}

START_TEST(a_level_triggered_loop_misses_nothing)
{
	struct pair pair = start(_i, 0, 4096, "send", "20000", "100", "1");

	receive_by_epoll(pair.channel, EPOLLIN, 20000);
	pair_finish(&pair);
}
END_TEST

START_TEST(an_edge_triggered_loop_misses_nothing)
{
	struct pair pair = start(_i, 0, 4096, "send", "20000", "100", "1");

	receive_by_epoll(pair.channel, EPOLLIN | EPOLLET, 20000);
	pair_finish(&pair);
}
END_TEST

START_TEST(a_loop_that_waits_for_room_misses_nothing)
{
	struct pair pair = start(_i, 4096, 4096, "receive", "20000", "100", "100");
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct peal_producer *tx = peal_tx(pair.channel);
	int epoll = epoll_create1(EPOLL_CLOEXEC), rc;
	void *payload;

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, peal_tx_fd(pair.channel), &event), 0);
	for (uint64_t i = 0; i < 20000; i++) {
		size_t size = stream_size(i, 100);

		while ((rc = peal_reserve(tx, size, &payload)) == -EAGAIN) {
			rc = peal_arm_space(tx, size);
			assert_ok(rc);
			if (rc == 0)
				ck_assert_int_eq(epoll_wait(epoll, &event, 1, -1), 1);
			assert_ok(peal_disarm_space(tx));
		}
		assert_ok(rc);
		stream_fill(payload, size, i);
		assert_ok(peal_commit(tx, size, (uint16_t)i));
	}
	expect_answer(pair.channel);
	close(epoll);
	pair_finish(&pair);
}
END_TEST

START_TEST(records_as_large_as_the_ring_take_turns)
{
	struct pair pair = start(_i, 1 << 16, 1 << 16, "echo", "", "", "");
	size_t max = peal_record_max(peal_tx(pair.channel));
	static unsigned char sent[1 << 16], received[1 << 16];

	for (uint64_t i = 0; i < 50; i++) {
		stream_fill(sent, max, i);
		assert_ok(peal_send(peal_tx(pair.channel), sent, max, 0, PEAL_FOREVER));
		ck_assert_int_eq(peal_recv(peal_rx(pair.channel), received, sizeof(received), NULL,
					   PEAL_FOREVER),
				 (int64_t)max);
		ck_assert_int_eq(memcmp(sent, received, max), 0);
	}
	pair_finish(&pair);
}
END_TEST

START_TEST(a_guest_without_membarrier_is_served_with_fences)
{
	struct pair pair = start(_i & ~2, 1 << 14, 1 << 14, "echo", "no-membarrier", "", "");

	ck_assert(peal_wake_is_fenced(&peal_tx(pair.channel)->wake));
	ck_assert(peal_wake_is_fenced(&peal_rx(pair.channel)->wake));
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t back = 0;

		assert_ok(peal_send(peal_tx(pair.channel), &i, sizeof(i), 0, PEAL_FOREVER));
		assert_ok(
			peal_recv(peal_rx(pair.channel), &back, sizeof(back), NULL, PEAL_FOREVER));
		ck_assert_uint_eq(back, i);
	}
	pair_finish(&pair);
}
END_TEST

START_TEST(a_guest_with_membarrier_drops_the_fence)
{
	struct pair pair = start(_i & ~2, 1 << 14, 1 << 14, "echo", "", "", "");

	ck_assert(!peal_wake_is_fenced(&peal_tx(pair.channel)->wake));
	ck_assert(!peal_wake_is_fenced(&peal_rx(pair.channel)->wake));
	pair_finish(&pair);

	pair = start(_i | 2, 1 << 14, 1 << 14, "echo", "", "", "");
	ck_assert(peal_wake_is_fenced(&peal_tx(pair.channel)->wake));
	pair_finish(&pair);
}
END_TEST

int main(void)
{
	return harness_main("stream",
			    (struct harness_case[]){
				    {a_guest_echoes_every_record, CONFIGS},
				    {ten_million_records_arrive_in_order, CONFIGS},
				    {ten_million_records_arrive_in_batches, CONFIGS},
				    {simplex_needs_no_ring_back, CONFIGS},
				    {a_slow_consumer_loses_nothing, CONFIGS},
				    {a_slow_producer_wakes_its_consumer_each_time, CONFIGS},
				    {back_pressure_is_told_and_ends, CONFIGS},
				    {sending_and_receiving_may_be_two_threads, CONFIGS},
				    {a_stopped_guest_goes_on_where_it_was, CONFIGS},
				    {a_level_triggered_loop_misses_nothing, CONFIGS},
				    {an_edge_triggered_loop_misses_nothing, CONFIGS},
				    {a_loop_that_waits_for_room_misses_nothing, CONFIGS},
				    {records_as_large_as_the_ring_take_turns, CONFIGS},
				    {a_guest_without_membarrier_is_served_with_fences, CONFIGS},
				    {a_guest_with_membarrier_drops_the_fence, CONFIGS},
				    HARNESS_END,
			    });
}
