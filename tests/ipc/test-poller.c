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
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "poller/poller.h"

/* Loop index: bit 0 the doorbell, bit 1 the barrier, bit 2 the backend. */
#define POLLER_CONFIGS 8
#define BACKEND(index) ((index)&4 ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING)

#define MS UINT64_C(1000000)

__attribute__((unused)) static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static struct peal_poller *make_poller(uint32_t backend, int32_t spin_max_us)
{
	struct peal_poller_options options = {
		.size = sizeof(options), .backend = backend, .spin_max_us = spin_max_us};
	struct peal_poller *poller;
	int rc = peal_poller_create(&poller, &options);

	if (backend == PEAL_POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
		harness_skip("io_uring is not allowed here");
	assert_ok(rc);
	return poller;
}

static struct pair start(int index, uint64_t to_guest, uint64_t to_host, const char *mode,
			 const char *a, const char *b, const char *c)
{
	struct peal_channel_options options = config(index & 3, to_guest, to_host);

	return pair_start(&options, mode, a, b, c);
}

/* The next event, which must be of this kind, with nothing else beside it. */
static void expect(struct peal_poller *poller, uint32_t kind, void *user)
{
	struct peal_event events[4];

	ck_assert_int_eq(peal_poller_wait(poller, events, 4, PEAL_FOREVER), 1);
	ck_assert_uint_eq(events[0].kind, kind);
	ck_assert_ptr_eq(events[0].user, user);
}

static void expect_nothing(struct peal_poller *poller)
{
	struct peal_event event;

	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_TRY), -EAGAIN);
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
	ping_pong(_i, PEAL_SPIN_NEVER, 20000);
}
END_TEST

START_TEST(a_record_is_seen_by_a_poller_that_spins)
{
	ping_pong(_i, 1000, 20000);
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
	receive_number(&pair, 1);
	expect(poller, PEAL_EVENT_DATA, &pair);
	receive_number(&pair, 2);
	expect_nothing(poller);
	peal_poller_close(poller);
	pair_finish(&pair);
}
END_TEST

int main(void)
{
	return harness_main("poller",
			    (struct harness_case[]){
				    {a_record_wakes_a_poller_that_sleeps, POLLER_CONFIGS},
				    {a_record_is_seen_by_a_poller_that_spins, POLLER_CONFIGS},
				    {each_wait_reports_what_is_still_there, POLLER_CONFIGS},
				    HARNESS_END,
			    });
}
