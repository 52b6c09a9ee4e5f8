/* SPDX-License-Identifier: MIT */
/*
 * Promises of examples/loops/: Peal in somebody else's loop misses nothing, and neither starves the
 * loop nor keeps it awake. With real guests that never spin; the loop does not either. Waits are
 * endless, the time-out judges. Linked once with each loop.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "loops/test-loop.h"

/* What is in the loop: one channel, or a poller over either backend. */
enum { CHANNEL, POLLER_IO_URING, POLLER_EPOLL, KINDS };

/* Loop index: the doorbell, the kind, the variant of the loop. */
#define DOORBELL(index) ((index) % 2)
#define KIND(index)     ((index) / 2 % KINDS)
#define VARIANT(index)  ((index) / 2 / KINDS)

#define PERIOD_MS 3

struct host {
	void *loop;
	struct pair pair;
	struct loop_source *source;
	struct peal_poller *poller; /* NULL: the channel itself is in the loop */
	struct peal_watch *data, *space, *child;
	void (*on_record)(struct host *host, const struct peal_record *record);
	/* A stream that the guest sends back. */
	uint64_t sent, received, count, window;
	size_t max, room_size;
	bool wants_room;
	/* What was told. */
	uint64_t records;
	int rooms, exits, ends, room_status, end_status;
	/* What the loop did. */
	int ticks, turns, kill_at, ask_every;
};

/* --- What the user of either kind sees ------------------------------------------------------- */

static void on_record(void *user, const struct peal_record *record)
{
	struct host *host = user;

	ck_assert_int_eq(host->ends, 0);
	host->records++;
	if (host->on_record)
		host->on_record(host, record);
}

static void send_more(struct host *host);

static void on_room(void *user, int status)
{
	struct host *host = user;

	ck_assert(host->wants_room);
	host->wants_room = false;
	host->rooms++;
	host->room_status = status;
	if (status == 0)
		send_more(host);
}

static void on_exit_of_child(void *user)
{
	struct host *host = user;

	host->exits++;
	assert_ok(peal_child_wait(host->pair.child, PEAL_TRY, NULL));
}

static void on_end(void *user, int status)
{
	struct host *host = user;

	host->ends++;
	host->end_status = status;
}

static void on_data_event(struct host *host)
{
	struct peal_consumer *rx = peal_rx(host->pair.channel);
	struct peal_record record;
	int rc = 0;

	for (int i = 0; i < 64 && (rc = peal_next(rx, &record)) == 1; i++) {
		on_record(host, &record);
		if (!host->pair.channel)
			return;
		assert_ok(peal_release(rx));
	}
	if (rc >= 0)
		return;
	peal_watch_remove(host->data);
	on_end(host, rc);
}

static void on_event(void *user, const struct peal_event *event)
{
	struct host *host = user;
	void *payload;
	int rc;

	if (event->kind == PEAL_EVENT_DATA) {
		on_data_event(host);
	} else if (event->kind == PEAL_EVENT_SPACE) {
		rc = peal_reserve(peal_tx(host->pair.channel), host->room_size, &payload);
		peal_abort(peal_tx(host->pair.channel));
		on_room(host, rc);
	} else {
		ck_assert_uint_eq(event->kind, PEAL_EVENT_CHILD);
		peal_watch_remove(event->watch);
		on_exit_of_child(host);
	}
}

static void on_poller_failed(void *user, int status)
{
	(void)user;
	ck_abort_msg("the poller: %s", peal_strerror(status));
}

static void want_room(struct host *host, size_t size)
{
	host->wants_room = true;
	host->room_size = size;
	if (!host->poller)
		loop_want_room(host->source, size);
	else if (host->space)
		assert_ok(peal_watch_resume(host->space, size));
	else
		assert_ok(peal_poller_watch_space(host->poller, host->pair.channel, size, 0, host,
						  &host->space));
}

/* --- Setting up ------------------------------------------------------------------------------ */

static void add_poller(struct host *host, int kind)
{
	static const struct loop_handler handler = {.event = on_event, .end = on_poller_failed};
	struct peal_poller_options options = {
		.size = sizeof(options),
		.backend = kind == POLLER_EPOLL ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING};
	int rc = peal_poller_create(&host->poller, &options);

	if (kind == POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
		harness_skip("io_uring is not allowed here");
	assert_ok(rc);
	assert_ok(peal_poller_watch_data(host->poller, host->pair.channel, 0, host, &host->data));
	assert_ok(peal_poller_watch_child(host->poller, host->pair.child, host, &host->child));
	host->source = test_loop.add(host->loop, loop_poller(host->poller, &handler, host));
}

static void add(struct host *host, int kind)
{
	static const struct loop_handler handler = {
		.record = on_record, .room = on_room, .exited = on_exit_of_child, .end = on_end};

	if (kind == CHANNEL)
		host->source =
			test_loop.add(host->loop, loop_channel(host->pair.channel, host->pair.child,
							       &handler, host));
	else
		add_poller(host, kind);
}

/* A guest and its channel, not yet in the loop. */
static void start(struct host *host, int index, uint64_t to_guest, uint64_t to_host,
		  const char *mode, const char *a, const char *b)
{
	struct peal_channel_options options = config(DOORBELL(index), to_guest, to_host);

	*host = (struct host){
		.loop = test_loop.open(VARIANT(index)),
		.pair = pair_start(&options, mode, a, b, "no-spin"),
	};
}

static void take_out(struct host *host)
{
	test_loop.remove(host->source);
	host->poller = peal_poller_close(host->poller);
	host->data = host->space = host->child = NULL;
	host->source = NULL;
}

static void on_tick(void *user)
{
	struct host *host = user;

	if (++host->ticks == host->kill_at)
		assert_ok(peal_child_kill(host->pair.child, SIGKILL));
	if (host->ask_every && host->ticks % host->ask_every == 0)
		want_room(host, 8);
}

static void start_timer(struct host *host)
{
	test_loop.timer(host->loop, PERIOD_MS, on_tick, host);
}

static void stop(struct host *host)
{
	test_loop.timer(host->loop, 0, NULL, NULL);
	if (host->source)
		take_out(host);
	test_loop.close(host->loop);
}

static void turn(struct host *host)
{
	host->turns++;
	test_loop.turn(host->loop);
}

/* The loop sleeps but for its timer: some turns a tick, not thousands. */
static void is_idle(struct host *host)
{
	int from = host->ticks + 2;

	while (host->ticks < from) /* what is under way may come to its end */
		turn(host);
	host->turns = 0;
	while (host->ticks < from + 10)
		turn(host);
	ck_assert_int_le(host->turns, 100);
}

/* --- Records and room ------------------------------------------------------------------------ */

static void send_more(struct host *host)
{
	struct peal_producer *tx = peal_tx(host->pair.channel);
	void *payload;
	int rc;

	while (host->sent < host->count && host->sent - host->received < host->window) {
		size_t size = stream_size(host->sent, host->max);

		rc = peal_reserve(tx, size, &payload);
		if (rc == -EAGAIN) {
			want_room(host, size);
			return;
		}
		assert_ok(rc);
		stream_fill(payload, size, host->sent);
		assert_ok(peal_commit(tx, size, (uint16_t)host->sent));
		host->sent++;
	}
}

static void on_echo(struct host *host, const struct peal_record *record)
{
	ck_assert_uint_eq(record->size, stream_size(host->received, host->max));
	ck_assert_uint_eq(record->type, (uint16_t)host->received);
	ck_assert(stream_is(record->data, record->size, host->received));
	host->received++;
	if (!host->wants_room)
		send_more(host);
}

static void echo(int index, uint64_t count, size_t max, uint64_t window, const char *pause_every,
		 uint64_t wakes)
{
	struct peal_side_stats own, peer;
	struct host host;

	start(&host, index, 4096, 4096, "echo-late", pause_every, "");
	host.on_record = on_echo;
	host.count = count;
	host.max = max;
	host.window = window;
	add(&host, KIND(index));
	send_more(&host);
	while (host.received < count)
		turn(&host);
	/* Who was never asleep shows nothing. */
	peal_channel_stats(host.pair.channel, &own, &peer);
	ck_assert_uint_ge(own.tx.wakes, wakes);
	ck_assert_uint_ge(peer.tx.wakes, wakes);
	if (window > 1) {
		ck_assert_uint_ge(own.rx.wakes, wakes);
		ck_assert_uint_ge(peer.rx.wakes, wakes);
		ck_assert_int_ge(host.rooms, (int)wakes);
	}
	stop(&host);
	pair_finish(&host.pair);
}

START_TEST(a_record_wakes_a_loop_that_sleeps)
{
	echo(_i, 3000, 100, 1, "1", 1000);
}
END_TEST

/* Both rings are full or empty all the time. */
START_TEST(a_stream_both_ways_loses_no_wake)
{
	echo(_i, 20000, 1000, UINT64_MAX, "20", 100);
}
END_TEST

/* A poller needs a ring from the guest to be asked for data; a channel in a loop needs neither. */
#define CHANNEL_ONLY(i) ((i) % 2 + (i) / 2 * 2 * KINDS)

START_TEST(a_ring_one_way_is_enough)
{
	struct host host;

	start(&host, CHANNEL_ONLY(_i), 4096, 0, "receive", "1000", "1000");
	host.count = 1000;
	host.max = 1000;
	host.window = UINT64_MAX;
	add(&host, CHANNEL);
	send_more(&host);
	while (host.ends == 0 || host.exits == 0)
		turn(&host);
	ck_assert_uint_eq(host.sent, 1000);
	ck_assert_int_eq(host.end_status, -EPIPE);
	start_timer(&host);
	is_idle(&host);
	ck_assert_int_eq(host.ends, 1);
	stop(&host);
	pair_finish(&host.pair);

	start(&host, CHANNEL_ONLY(_i), 0, 4096, "send", "1000", "1000");
	host.on_record = on_echo;
	host.max = 1000;
	add(&host, CHANNEL);
	while (host.ends == 0 || host.exits == 0)
		turn(&host);
	ck_assert_uint_eq(host.received, 1000);
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

/* A question from a timer, when all is armed. */
START_TEST(what_is_asked_for_between_two_turns_is_answered)
{
	struct host host;

	start(&host, _i, 4096, 4096, "stall", "", "");
	host.ask_every = 3;
	add(&host, KIND(_i));
	start_timer(&host);
	while (host.rooms < 3)
		turn(&host);
	ck_assert_int_eq(host.room_status, 0);
	stop(&host);
	pair_kill(&host.pair);
}
END_TEST

static void take_out_here(struct host *host, const struct peal_record *record)
{
	ck_assert_uint_eq(record->size, sizeof(uint64_t));
	take_out(host);
}

static void fill(struct host *host)
{
	while (peal_send(peal_tx(host->pair.channel), "12345678", 8, 0, PEAL_TRY) == 0)
		;
}

static void is_awake(struct host *host)
{
	/* An odd word would be rung. */
	ck_assert_uint_eq(peal_rx(host->pair.channel)->wake.own_value % 2, 0);
	ck_assert_uint_eq(peal_tx(host->pair.channel)->wake.own_value % 2, 0);
}

/* By whoever had it before, and back; left when it sleeps, and in a callback. */
START_TEST(a_channel_that_is_taken_out_is_as_before)
{
	struct host host;
	uint64_t number;

	start(&host, _i, 4096, 4096, "echo", "", "");
	for (uint64_t i = 0; i < 20; i++) {
		add(&host, KIND(_i));
		start_timer(&host);
		host.on_record = i % 2 ? take_out_here : NULL;
		assert_ok(peal_send(peal_tx(host.pair.channel), &i, sizeof(i), 0, PEAL_FOREVER));
		while (host.records <= i)
			turn(&host);
		if (host.source) {
			for (int from = host.ticks; host.ticks < from + 2;) /* armed now */
				turn(&host);
			take_out(&host);
		}
		is_awake(&host);
		assert_ok(peal_send(peal_tx(host.pair.channel), &i, sizeof(i), 0, PEAL_FOREVER));
		ck_assert_int_eq(peal_recv(peal_rx(host.pair.channel), &number, sizeof(number),
					   NULL, PEAL_FOREVER),
				 sizeof(number));
		ck_assert_uint_eq(number, i);
		test_loop.timer(host.loop, 0, NULL, NULL);
	}
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

START_TEST(who_was_taken_out_wants_no_room)
{
	struct host host;

	start(&host, _i, 4096, 4096, "stall", "", "");
	fill(&host);
	add(&host, KIND(_i));
	want_room(&host, 8);
	start_timer(&host);
	while (host.ticks < 2)
		turn(&host);
	take_out(&host);
	is_awake(&host);
	ck_assert_int_eq(host.rooms, 0);
	stop(&host);
	pair_kill(&host.pair);
}
END_TEST

static void leave(struct host *host, const struct peal_record *record)
{
	(void)record;
	take_out(host);
	pair_kill(&host->pair);
}

/* The way a user leaves: from his callback, closing all. */
START_TEST(all_may_be_closed_in_a_callback)
{
	struct host host;

	start(&host, _i, 4096, 4096, "send", "100", "10");
	host.on_record = leave;
	add(&host, KIND(_i));
	start_timer(&host);
	while (host.records == 0)
		turn(&host);
	is_idle(&host);
	ck_assert_uint_eq(host.records, 1);
	ck_assert_int_eq(host.ends + host.exits, 0);
	stop(&host);
}
END_TEST

/* --- The loop is not ours -------------------------------------------------------------------- */

START_TEST(an_idle_channel_lets_the_loop_sleep)
{
	struct host host;

	start(&host, _i, 4096, 4096, "stall", "", "");
	add(&host, KIND(_i));
	start_timer(&host);
	is_idle(&host);
	stop(&host);
	pair_kill(&host.pair);
}
END_TEST

/* Nor does one that was active a moment ago. */
START_TEST(a_channel_that_falls_silent_lets_the_loop_sleep)
{
	struct host host;

	start(&host, _i, 4096, 4096, "echo", "", "");
	host.on_record = on_echo;
	host.count = 100;
	host.max = 1000;
	host.window = UINT64_MAX;
	add(&host, KIND(_i));
	start_timer(&host);
	send_more(&host);
	while (host.received < host.count)
		turn(&host);
	is_idle(&host);
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

START_TEST(an_endless_sender_starves_no_timer)
{
	struct host host;

	start(&host, _i, 4096, 1 << 20, "endless", "", "");
	add(&host, KIND(_i));
	start_timer(&host);
	while (host.ticks < 10)
		turn(&host);
	ck_assert_uint_gt(host.records, 0);
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

/* Only sockets can be flooded. */
START_TEST(a_flood_of_bells_starves_no_timer)
{
	struct host host;

	start(&host, 2 * _i, 4096, 4096, "flood", "", "");
	add(&host, KIND(2 * _i));
	want_room(&host, 4000);
	start_timer(&host);
	while (host.ticks < 10)
		turn(&host);
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

/* --- Ends ------------------------------------------------------------------------------------ */

/* All is told, once, and nothing keeps the loop awake. */
static void expect_end(struct host *host)
{
	while (host->ends == 0 || host->exits == 0)
		turn(host);
	ck_assert_int_eq(host->end_status, -EPIPE);
	is_idle(host);
	ck_assert_int_eq(host->ends, 1);
	ck_assert_int_eq(host->exits, 1);
	if (!host->poller) /* which does not tell the producer */
		ck_assert_int_eq(peal_send(peal_tx(host->pair.channel), "x", 1, 0, PEAL_TRY),
				 -EPIPE);
	stop(host);
	pair_kill(&host->pair);
}

START_TEST(a_guest_that_is_killed_is_noticed)
{
	struct host host;

	start(&host, _i, 4096, 4096, "stall", "", "");
	host.kill_at = 3;
	add(&host, KIND(_i));
	start_timer(&host);
	expect_end(&host);
}
END_TEST

START_TEST(who_waits_for_room_learns_of_the_end)
{
	struct host host;

	start(&host, _i, 4096, 4096, "stall", "", "");
	fill(&host);
	host.kill_at = 3;
	add(&host, KIND(_i));
	want_room(&host, 8);
	start_timer(&host);
	while (host.rooms == 0)
		turn(&host);
	ck_assert_int_eq(host.room_status, -EPIPE);
	ck_assert_int_ge(host.ticks, 3);
	expect_end(&host);
}
END_TEST

/* No hang-up comes here; the pidfd alone tells. */
START_TEST(a_grandchild_that_holds_everything_hides_no_end)
{
	struct host host;

	start(&host, _i, 4096, 4096, "leave-grandchild", "", "");
	add(&host, KIND(_i));
	start_timer(&host);
	expect_end(&host);
	ck_assert_uint_eq(host.records, 1);
}
END_TEST

START_TEST(what_a_dead_guest_sent_comes_before_its_end)
{
	struct host host;

	start(&host, _i, 4096, 1 << 16, "send-and-die", "1000", "10");
	assert_ok(waitid(P_PID, (id_t)peal_child_pid(host.pair.child), NULL, WEXITED | WNOWAIT));
	add(&host, KIND(_i));
	start_timer(&host);
	expect_end(&host);
	ck_assert_uint_eq(host.records, 1000);
}
END_TEST

START_TEST(a_guest_that_closes_is_noticed)
{
	struct host host;

	start(&host, _i, 4096, 4096, "close", "", "");
	add(&host, KIND(_i));
	start_timer(&host);
	expect_end(&host);
	ck_assert_uint_eq(host.records, 1);
}
END_TEST

/* It says nothing any more and lives on: told once, then it is none of the loop's business. Only
 * sockets hang up. */
START_TEST(a_guest_that_only_hangs_up_is_noticed)
{
	struct host host;

	start(&host, 2 * _i, 4096, 4096, "half-close", "", "");
	add(&host, KIND(2 * _i));
	start_timer(&host);
	while (host.ends == 0)
		turn(&host);
	is_idle(&host);
	ck_assert_int_eq(host.ends, 1);
	ck_assert_int_eq(host.exits, 0);
	stop(&host);
	pair_finish(&host.pair);
}
END_TEST

/* The kernel tells our socket of an error then, ECONNRESET, and there is no death to be told. */
START_TEST(a_guest_that_closes_with_bells_unread_is_noticed)
{
	struct host host;
	struct peal_record record;
	struct pollfd hang_up;

	start(&host, 2 * _i, 4096, 4096, "close-unread", "", "");
	hang_up = (struct pollfd){.fd = peal_rx_fd(host.pair.channel)};
	/* Until it is rung, and has closed; by calls that do not ask the kernel how it fares. */
	while (poll(&hang_up, 1, 0) == 0) {
		if (peal_next(peal_rx(host.pair.channel), &record) == 1)
			assert_ok(peal_release(peal_rx(host.pair.channel)));
	}
	ck_assert_int_ne(hang_up.revents & POLLERR, 0);
	add(&host, KIND(2 * _i));
	start_timer(&host);
	while (host.ends == 0)
		turn(&host);
	ck_assert_int_eq(host.end_status, -EPIPE);
	is_idle(&host);
	ck_assert_int_eq(host.ends, 1);
	ck_assert_int_eq(host.exits, 0);
	stop(&host);
	pair_kill(&host.pair);
}
END_TEST

int main(void)
{
	const int all = 2 * KINDS * test_loop.variants;
	const struct harness_case cases[] = {
		{a_record_wakes_a_loop_that_sleeps, all},
		{a_stream_both_ways_loses_no_wake, all},
		{a_ring_one_way_is_enough, all / KINDS},
		{what_is_asked_for_between_two_turns_is_answered, all},
		{a_channel_that_is_taken_out_is_as_before, all},
		{who_was_taken_out_wants_no_room, all},
		{all_may_be_closed_in_a_callback, all},
		{an_idle_channel_lets_the_loop_sleep, all},
		{a_channel_that_falls_silent_lets_the_loop_sleep, all},
		{an_endless_sender_starves_no_timer, all},
		{a_flood_of_bells_starves_no_timer, all / 2},
		{a_guest_that_is_killed_is_noticed, all},
		{who_waits_for_room_learns_of_the_end, all},
		{a_grandchild_that_holds_everything_hides_no_end, all},
		{what_a_dead_guest_sent_comes_before_its_end, all},
		{a_guest_that_closes_is_noticed, all},
		{a_guest_that_only_hangs_up_is_noticed, all / 2},
		{a_guest_that_closes_with_bells_unread_is_noticed, all / 2},
		HARNESS_END,
	};

	return harness_main(test_loop.name, cases);
}
