/* SPDX-License-Identifier: MIT */
/*
 * Promises about cancelled threads: only what waits is a cancellation point; what was published is
 * told, what was taken is handed over, and the other side is woken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"

struct ends {
	struct peal_channel *host, *guest;
	long result;
	pthread_barrier_t barrier;
};

static void open_ends(struct ends *ends, int index)
{
	struct peal_channel_options options = config(index, 4096, 4096);

	assert_ok(peal_channel_create(&ends->host, &options));
	ends->guest = pair_attach_here(ends->host);
	ends->result = 1000; /* what no call returns */
	ck_assert_int_eq(pthread_barrier_init(&ends->barrier, NULL, 2), 0);
}

static void close_ends(struct ends *ends)
{
	pthread_barrier_destroy(&ends->barrier);
	peal_channel_close(ends->host);
	peal_channel_close(ends->guest);
}

/* Cancelled, and not to end before the first cancellation point. */
static void await_cancellation(struct ends *ends)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_barrier_wait(&ends->barrier);
	pthread_barrier_wait(&ends->barrier);
	pthread_setcancelstate(state, NULL);
}

static void *send_one(void *data)
{
	struct ends *ends = data;

	await_cancellation(ends);
	ends->result = peal_send(peal_tx(ends->host), "12345678", 8, 0, PEAL_FOREVER);
	return NULL;
}

static void *receive_one(void *data)
{
	struct ends *ends = data;
	char buffer[1000];

	await_cancellation(ends);
	ends->result = peal_recv(peal_rx(ends->guest), buffer, sizeof(buffer), NULL, PEAL_FOREVER);
	return NULL;
}

static void run_cancelled(struct ends *ends, void *(*what)(void *))
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, what, ends), 0);
	pthread_barrier_wait(&ends->barrier);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	pthread_barrier_wait(&ends->barrier);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(a_cancelled_sender_wakes_for_what_it_published)
{
	struct peal_record record;
	struct ends ends;

	open_ends(&ends, _i);
	ck_assert_int_eq(peal_arm_data(peal_rx(ends.guest)), 0);
	run_cancelled(&ends, send_one);
	ck_assert_int_eq(ends.result, 0);
	/* A wait, as if of the sleeper that was armed: the bell is there. */
	ck_assert_int_eq(peal_disarm_data(peal_rx(ends.guest)), 0);
	ck_assert_int_eq(peal_next_wait(peal_rx(ends.guest), &record, PEAL_TRY), 1);
	close_ends(&ends);
}
END_TEST

START_TEST(a_cancelled_receiver_hands_over_what_it_took)
{
	char block[1000] = "";
	struct ends ends;

	open_ends(&ends, _i);
	while (peal_send(peal_tx(ends.host), block, sizeof(block), 0, PEAL_TRY) == 0)
		;
	ck_assert_int_eq(peal_arm_space(peal_tx(ends.host), sizeof(block)), 0);
	run_cancelled(&ends, receive_one);
	ck_assert_int_eq(ends.result, sizeof(block));
	assert_ok(peal_disarm_space(peal_tx(ends.host)));
	close_ends(&ends);
}
END_TEST

static void *receive_until_cancelled(void *data)
{
	struct ends *ends = data;
	uint64_t number, *next = (uint64_t *)&ends->result;

	for (;;) {
		int64_t size = peal_recv(peal_rx(ends->guest), &number, sizeof(number), NULL,
					 PEAL_FOREVER);

		/* Not a cancellation point: what was received is accounted for. */
		if (size != sizeof(number) || number != *next)
			return (void *)1;
		++*next;
	}
}

/* A stream that is received by one thread after the other, each cancelled somewhere. */
START_TEST(a_stream_goes_on_after_each_cancellation)
{
	const uint64_t count = 20000;
	uint64_t dice = (uint64_t)_i, sent = 0;
	struct ends ends;
	pthread_t thread;
	void *result;

	open_ends(&ends, _i);
	ends.result = 0;
	while (sent < count) {
		uint64_t burst = stream_random(&dice) % 1000;

		ck_assert_int_eq(pthread_create(&thread, NULL, receive_until_cancelled, &ends), 0);
		for (; burst > 0; burst--, sent++)
			assert_ok(peal_send(peal_tx(ends.host), &sent, sizeof(sent), 0,
					    PEAL_FOREVER));
		pthread_cancel(thread);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	}
	while ((uint64_t)ends.result < sent) {
		uint64_t number;

		ck_assert_int_eq(
			peal_recv(peal_rx(ends.guest), &number, sizeof(number), NULL, PEAL_FOREVER),
			sizeof(number));
		ck_assert_uint_eq(number, (uint64_t)ends.result++);
	}
	close_ends(&ends);
}
END_TEST

int main(void)
{
	return harness_main("cancel",
			    (struct harness_case[]){
				    {a_cancelled_sender_wakes_for_what_it_published, CONFIGS},
				    {a_cancelled_receiver_hands_over_what_it_took, CONFIGS},
				    {a_stream_goes_on_after_each_cancellation, CONFIGS},
				    HARNESS_END,
			    });
}
