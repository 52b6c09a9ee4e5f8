/* SPDX-License-Identifier: MIT */
/*
 * Promises of the poller about what happens just then: between two of its steps, as it makes a call into
 * the kernel, something comes.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "poller/poller.h"

/* As many as epoll gives at once. */
#define BATCH 64

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

int main(void)
{
	return harness_main("between", (struct harness_case[]){
					       {who_is_called_while_arming_does_not_sleep, 2},
					       {endless_bells_end_in_time, 4},
					       {all_that_rang_is_fetched, 4},
					       HARNESS_END,
				       });
}
