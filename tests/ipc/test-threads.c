/* SPDX-License-Identifier: MIT */
/*
 * Promises about threads: an endpoint belongs to one at a time, and to which one may change. The
 * guests are in the same process, so that a race detector can watch (./dev sanitize): a process that
 * spawned shows ghosts, since what runs between clone and exec is on its books.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"

/* Loop index: bit 0 the doorbell, bit 1 the barrier, bit 2 the backend. */
#define THREAD_CONFIGS 8

#define CHANNELS 6
#define COUNT    3000
#define MAX      100

static struct peal_poller *make_poller(int index)
{
	struct peal_poller_options options = {
		.size = sizeof(options),
		.backend = index & 4 ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING,
		.spin_max_us = PEAL_SPIN_NEVER,
	};
	struct peal_poller *poller;
	int rc = peal_poller_create(&poller, &options);

	if (options.backend == PEAL_POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
		harness_skip("io_uring is not allowed here");
	assert_ok(rc);
	return poller;
}

/* A channel whose guest is a thread that sends back what comes. */
struct line {
	struct peal_channel *host, *guest;
	pthread_t echo;
	struct peal_watch *data, *space;
	uint64_t sent, received;
	int done;             /* atomic; for who only looks on */
	struct line *next[2]; /* in the queue of those that may receive; that may send */
};

static void *echo(void *guest)
{
	char buffer[MAX];
	uint16_t type = 0;
	int64_t size;

	while ((size = peal_recv(peal_rx(guest), buffer, MAX, &type, PEAL_FOREVER)) >= 0)
		ck_assert_int_eq(
			peal_send(peal_tx(guest), buffer, (size_t)size, type, PEAL_FOREVER), 0);
	ck_assert_int_eq(size, -EPIPE);
	return NULL;
}

static void open_line(struct line *line, int index)
{
	struct peal_channel_options options = config(index & 3, 4096, 4096);

	*line = (struct line){0};
	options.spin_max_us = PEAL_SPIN_NEVER;
	assert_ok(peal_channel_create(&line->host, &options));
	line->guest = pair_attach_here(line->host);
	ck_assert_int_eq(pthread_create(&line->echo, NULL, echo, line->guest), 0);
}

static void close_line(struct line *line)
{
	peal_channel_close(line->host);
	pthread_join(line->echo, NULL);
	peal_channel_close(line->guest);
}

/* Return: 0, or what peal_reserve() said. */
static int send_one(struct line *line, uint64_t deadline_ns)
{
	struct peal_producer *tx = peal_tx(line->host);
	size_t size = stream_size(line->sent, MAX);
	void *payload;
	int rc = peal_reserve(tx, size, &payload);

	if (rc == -EAGAIN && deadline_ns != PEAL_TRY)
		rc = peal_reserve_wait(tx, size, &payload, deadline_ns);
	if (rc < 0)
		return rc;
	stream_fill(payload, size, line->sent);
	ck_assert_int_eq(peal_commit(tx, size, (uint16_t)line->sent), 0);
	line->sent++;
	return 0;
}

/* All that is there now. */
static void receive_some(struct line *line)
{
	struct peal_consumer *rx = peal_rx(line->host);
	struct peal_record record;
	int rc;

	while ((rc = peal_next(rx, &record)) == 1) {
		ck_assert_uint_eq(record.size, stream_size(line->received, MAX));
		ck_assert_uint_eq(record.type, (uint16_t)line->received);
		ck_assert(stream_is(record.data, record.size, line->received));
		ck_assert_int_eq(peal_release(rx), 0);
		line->received++;
	}
	ck_assert_int_eq(rc, 0);
}

/* --- Three threads, many channels ------------------------------------------------------------ */

enum { RECEIVE, SEND };

/* Lines that wait for the receiver, or for the sender. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct line *first;
};

struct office {
	struct peal_poller *poller;
	struct line lines[CHANNELS];
	struct queue queues[2];
};

static void put(struct office *office, int which, struct line *line)
{
	struct queue *queue = &office->queues[which];

	pthread_mutex_lock(&queue->lock);
	line->next[which] = queue->first;
	queue->first = line;
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

static struct line *get(struct office *office, int which)
{
	struct queue *queue = &office->queues[which];
	struct line *line;

	pthread_mutex_lock(&queue->lock);
	while (!queue->first)
		pthread_cond_wait(&queue->changed, &queue->lock);
	line = queue->first;
	queue->first = line->next[which];
	pthread_mutex_unlock(&queue->lock);
	return line;
}

static void *receive_for_all(void *argument)
{
	struct office *office = argument;

	for (int left = CHANNELS; left > 0;) {
		struct line *line = get(office, RECEIVE);

		receive_some(line);
		if (line->received < COUNT)
			ck_assert_int_eq(peal_watch_resume(line->data, 0), 0);
		else
			left--;
	}
	ck_assert_int_eq(peal_poller_wake(office->poller), 0);
	return NULL;
}

static void *send_for_all(void *argument)
{
	struct office *office = argument;

	for (int left = CHANNELS; left > 0;) {
		struct line *line = get(office, SEND);
		size_t size;

		while (line->sent < COUNT && send_one(line, PEAL_TRY) == 0)
			;
		size = stream_size(line->sent, MAX);
		if (line->sent < COUNT)
			ck_assert_int_eq(peal_watch_resume(line->space, size), 0);
		else
			left--;
	}
	return NULL;
}

static void hand_out(struct office *office)
{
	struct peal_event events[4];

	for (;;) {
		int count = peal_poller_wait(office->poller, events, 4, PEAL_FOREVER);

		assert_ok(count);
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PEAL_EVENT_WAKE)
				return;
			put(office, events[i].kind == PEAL_EVENT_DATA ? RECEIVE : SEND,
			    events[i].user);
		}
	}
}

START_TEST(a_sender_a_receiver_and_a_poller_serve_many_channels)
{
	static struct office office;
	pthread_t sender, receiver;

	office.poller = make_poller(_i);
	for (int i = 0; i < 2; i++)
		office.queues[i] = (struct queue){.lock = PTHREAD_MUTEX_INITIALIZER,
						  .changed = PTHREAD_COND_INITIALIZER};
	for (int i = 0; i < CHANNELS; i++) {
		struct line *line = &office.lines[i];

		open_line(line, _i);
		assert_ok(peal_poller_watch_data(office.poller, line->host, PEAL_WATCH_ONCE, line,
						 &line->data));
		assert_ok(peal_poller_watch_space(office.poller, line->host, MAX, 0, line,
						  &line->space));
	}
	ck_assert_int_eq(pthread_create(&receiver, NULL, receive_for_all, &office), 0);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_for_all, &office), 0);
	hand_out(&office);
	pthread_join(receiver, NULL);
	pthread_join(sender, NULL);
	peal_poller_close(office.poller);
	for (int i = 0; i < CHANNELS; i++)
		close_line(&office.lines[i]);
}
END_TEST

/* --- One end watched, the other not ---------------------------------------------------------- */

static void *send_blocking(void *argument)
{
	struct line *line = argument;

	while (line->sent < COUNT)
		ck_assert_int_eq(send_one(line, PEAL_FOREVER), 0);
	return NULL;
}

static void *look_on(void *argument)
{
	struct line *line = argument;
	struct peal_side_stats own, peer;
	uint64_t taken = 0, rung = 0;

	do {
		peal_channel_stats(line->host, &own, &peer);
		ck_assert_uint_ge(peer.rx.position, taken);
		ck_assert_uint_ge(own.tx.wakes, rung);
		taken = peer.rx.position;
		rung = own.tx.wakes;
	} while (!__atomic_load_n(&line->done, __ATOMIC_RELAXED));
	/* All has come back, so nothing is under way. */
	peal_channel_stats(line->host, &own, &peer);
	ck_assert_uint_eq(own.tx.position, peer.rx.position);
	ck_assert_uint_gt(own.tx.position, 0);
	return NULL;
}

static void send_beside_poller(int index, void *(*look)(void *))
{
	struct peal_poller *poller = make_poller(index);
	pthread_t sender, onlooker;
	struct peal_event event;
	struct line line;

	open_line(&line, index);
	assert_ok(peal_poller_watch_data(poller, line.host, 0, &line, &line.data));
	ck_assert_int_eq(pthread_create(&sender, NULL, send_blocking, &line), 0);
	if (look)
		ck_assert_int_eq(pthread_create(&onlooker, NULL, look, &line), 0);
	while (line.received < COUNT) {
		ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_FOREVER), 1);
		ck_assert_ptr_eq(event.user, &line);
		receive_some(&line);
	}
	__atomic_store_n(&line.done, 1, __ATOMIC_RELAXED);
	pthread_join(sender, NULL);
	if (look)
		pthread_join(onlooker, NULL);
	peal_poller_close(poller);
	close_line(&line);
}

/* What is not watched is whose you like: he may sleep there, while the poller sleeps for the other
 * end. */
START_TEST(a_sender_may_sleep_at_its_ring_beside_the_poller)
{
	send_beside_poller(_i, NULL);
}
END_TEST

/* Not for a race detector: to find the end of a ring, who looks on reads words that may be payload
 * by now. */
START_TEST(any_thread_may_look_at_the_figures_meanwhile)
{
	send_beside_poller(_i, look_on);
}
END_TEST

/* --- A poller that changes hands ------------------------------------------------------------- */

struct relay {
	pthread_mutex_t baton;
	struct peal_poller *poller;
	struct line line;
	int waits[3];
};

struct runner {
	struct relay *relay;
	int number;
};

static void *run(void *argument)
{
	struct runner *runner = argument;
	struct relay *relay = runner->relay;
	struct peal_event event;

	for (bool done = false; !done;) {
		pthread_mutex_lock(&relay->baton);
		if (relay->line.received < COUNT) {
			/* Whatever the wait before, by another thread, has asked the kernel for. */
			ck_assert_int_eq(peal_poller_wait(relay->poller, &event, 1, PEAL_FOREVER),
					 1);
			receive_some(&relay->line);
			relay->waits[runner->number]++;
		}
		done = relay->line.received == COUNT;
		pthread_mutex_unlock(&relay->baton);
		sched_yield();
	}
	return NULL;
}

START_TEST(a_poller_goes_from_thread_to_thread)
{
	struct relay relay = {.baton = PTHREAD_MUTEX_INITIALIZER, .poller = make_poller(_i)};
	struct runner runners[3];
	pthread_t threads[3], sender;

	open_line(&relay.line, _i);
	assert_ok(peal_poller_watch_data(relay.poller, relay.line.host, 0, &relay.line, NULL));
	ck_assert_int_eq(pthread_create(&sender, NULL, send_blocking, &relay.line), 0);
	for (int i = 0; i < 3; i++) {
		runners[i] = (struct runner){&relay, i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	pthread_join(sender, NULL);
	peal_poller_close(relay.poller);
	close_line(&relay.line);
}
END_TEST

int main(void)
{
	return harness_main(
		"threads",
		(struct harness_case[]){
			{a_sender_a_receiver_and_a_poller_serve_many_channels, THREAD_CONFIGS},
			{a_sender_may_sleep_at_its_ring_beside_the_poller, THREAD_CONFIGS},
			{any_thread_may_look_at_the_figures_meanwhile, THREAD_CONFIGS},
			{a_poller_goes_from_thread_to_thread, THREAD_CONFIGS},
			HARNESS_END,
		});
}
