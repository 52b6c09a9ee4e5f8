/* SPDX-License-Identifier: MIT */
/*
 * Promises about the end: the survivor gets exactly what was committed, then -EPIPE, at once and
 * with endless waits; and it can tell a crash from a good-bye.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"

static struct pair start(int index, const char *mode, const char *a, const char *b)
{
	struct peal_channel_options options = config(index, 1 << 16, 1 << 16);

	return pair_start(&options, mode, a, b, "");
}

START_TEST(a_killed_guest_leaves_what_it_committed)
{
	struct pair pair = start(_i, "send-and-die", "100", "400");
	struct peal_child_status status;
	struct peal_record record;

	/* Dead and buried before the first look. */
	assert_ok(peal_child_wait(pair.child, PEAL_FOREVER, &status));
	ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
	ck_assert_int_eq(status.value, SIGKILL);
	assert_ok(stream_receive(peal_rx(pair.channel), 0, 100, 400, 0));
	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_FOREVER), -EPIPE);
	ck_assert_int_eq(peal_next(peal_rx(pair.channel), &record), -EPIPE);
	ck_assert_int_eq(peal_channel_peer(pair.channel), PEAL_PEER_DEAD);
	pair_kill(&pair);
}
END_TEST

START_TEST(a_waiting_consumer_learns_of_the_death)
{
	struct pair pair = start(_i, "stall", "", "");
	struct peal_record record;

	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_channel_peer(pair.channel), PEAL_PEER_ATTACHED);
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_FOREVER), -EPIPE);
	pair_kill(&pair);
}
END_TEST

START_TEST(trying_learns_of_the_death)
{
	struct pair pair = start(_i, "stall", "", "");
	struct peal_record record;
	struct peal_producer *tx = peal_tx(pair.channel);
	void *payload;

	assert_ok(peal_child_kill(pair.child, SIGKILL));
	assert_ok(peal_child_wait(pair.child, PEAL_FOREVER, NULL));
	ck_assert_int_eq(peal_next(peal_rx(pair.channel), &record), 0);
	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_TRY), -EPIPE);
	/* There is room: no reason to ask. */
	assert_ok(peal_reserve_wait(tx, 8, &payload, PEAL_TRY));
	while (peal_reserve(tx, 8, &payload) == 0)
		assert_ok(peal_commit(tx, 8, 0));
	assert_fails(peal_reserve_wait(tx, 8, &payload, PEAL_TRY), EPIPE, "gone");
	assert_fails(peal_reserve(tx, 8, &payload), EPIPE, "gone");
	pair_kill(&pair);
}
END_TEST

START_TEST(a_waiting_producer_learns_of_the_death)
{
	struct pair pair = start(_i, "stall", "", "");
	struct peal_producer *tx = peal_tx(pair.channel);

	while (peal_send(tx, "12345678", 8, 0, PEAL_TRY) == 0)
		;
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	assert_fails(peal_send(tx, "12345678", 8, 0, PEAL_FOREVER), EPIPE, "gone");
	pair_kill(&pair);
}
END_TEST

START_TEST(a_good_bye_is_told_from_a_crash)
{
	struct pair pair = start(_i, "close", "", "");
	struct peal_record record;
	char text[4] = "";

	ck_assert_int_eq(peal_recv(peal_rx(pair.channel), text, 3, NULL, PEAL_FOREVER), 3);
	ck_assert_str_eq(text, "bye");
	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_FOREVER), -EPIPE);
	ck_assert_int_eq(peal_channel_peer(pair.channel), PEAL_PEER_CLOSED);
	pair_finish(&pair);
}
END_TEST

START_TEST(a_grandchild_with_our_descriptors_hides_nothing)
{
	struct pair pair = start(_i, "leave-grandchild", "", "");
	struct peal_record record;
	char text[8] = "";

	ck_assert_int_eq(peal_recv(peal_rx(pair.channel), text, 6, NULL, PEAL_FOREVER), 6);
	ck_assert_int_eq(peal_next_wait(peal_rx(pair.channel), &record, PEAL_FOREVER), -EPIPE);
	pair_kill(&pair);
}
END_TEST

/* In a foreign loop the death comes by the doorbell or by the pidfd. */
START_TEST(a_foreign_loop_learns_of_the_death)
{
	struct pair pair = start(_i, "stall", "", "");
	struct peal_record record;
	struct pollfd polled[2] = {
		{.fd = peal_rx_fd(pair.channel), .events = POLLIN},
		{.fd = peal_channel_peer_fd(pair.channel), .events = POLLIN},
	};

	ck_assert_int_eq(peal_arm_data(peal_rx(pair.channel)), 0);
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	ck_assert_int_ge(poll(&polled[1], 1, -1), 1);
	assert_ok(peal_disarm_data(peal_rx(pair.channel)));
	ck_assert_int_eq(peal_next(peal_rx(pair.channel), &record), -EPIPE);
	ck_assert_int_eq(peal_arm_data(peal_rx(pair.channel)), -EPIPE);
	/* A socket tells it by itself. */
	if (config(_i, 1, 1).doorbell == PEAL_DOORBELL_SOCKET)
		ck_assert_int_eq(poll(&polled[0], 1, 0), 1);
	pair_kill(&pair);
}
END_TEST

/* The host dies, and the guest, which waits for it, ends by itself. Who watches is a third process,
 * through a pipe that only the guest still holds. */
static void host_dies_while_guest(int index, const char *mode)
{
	int pipes[2];
	pid_t host;
	char byte;

	ck_assert_int_eq(pipe(pipes), 0);
	host = fork();
	if (host == 0) {
		struct peal_channel_options options = config(index, 1 << 14, 1 << 14);
		char *argv[] = {harness_helper("guest"), strdupa(mode), NULL};
		struct peal_channel *channel;
		struct peal_child *child;

		/* Standard output is inherited: the guest's end of the pipe. */
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		if (peal_channel_create(&channel, &options) < 0 ||
		    peal_spawn(&child, channel, argv, NULL) < 0 ||
		    peal_child_wait_ready(child, channel, PEAL_FOREVER) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	close(pipes[1]);
	/* End of file: the guest is gone as well. */
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	ck_assert_int_eq(waitpid(host, NULL, 0), host);
}

START_TEST(a_guest_that_waits_for_data_learns_that_the_host_died)
{
	host_dies_while_guest(_i, "wait");
}
END_TEST

START_TEST(a_guest_that_waits_for_room_learns_that_the_host_died)
{
	host_dies_while_guest(_i, "wait-space");
}
END_TEST

START_TEST(a_host_that_closes_ends_its_guest)
{
	struct pair pair = start(_i, "wait", "", "");

	pair_finish(&pair);
	pair = start(_i, "echo", "", "");
	pair_finish(&pair);
}
END_TEST

/*
 * The guest's wait has a deadline. While it is stopped, the bell of the closing comes and the deadline
 * passes: it takes the bell, and is out of time. After that no bell will come.
 */
static void close_while_it_is_out_of_time(int index, const char *mode)
{
	const struct timespec deadline = {.tv_nsec = 150000000};
	struct pair pair = start(index, mode, "150", "");
	struct peal_child_status status;
	struct peal_side_stats guest;
	siginfo_t info;

	do {
		sched_yield();
		peal_channel_stats(pair.channel, NULL, &guest);
	} while (guest.rx.sleeps + guest.tx.sleeps == 0);
	assert_ok(peal_child_kill(pair.child, SIGSTOP));
	ck_assert_int_eq(waitid(P_PID, (id_t)peal_child_pid(pair.child), &info, WSTOPPED), 0);
	peal_channel_close(pair.channel);
	nanosleep(&deadline, NULL);
	assert_ok(peal_child_kill(pair.child, SIGCONT));
	assert_ok(peal_child_wait(pair.child, PEAL_FOREVER, &status));
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
	peal_child_free(pair.child);
}

START_TEST(a_guest_out_of_time_for_data_still_learns_of_the_closing)
{
	close_while_it_is_out_of_time(_i, "wait-briefly");
}
END_TEST

START_TEST(a_guest_out_of_time_for_room_still_learns_of_the_closing)
{
	close_while_it_is_out_of_time(_i, "wait-space-briefly");
}
END_TEST

START_TEST(a_forked_child_can_use_nothing)
{
	struct pair pair = start(_i, "echo", "", "");
	struct peal_record record;
	int status;
	void *payload;
	pid_t child = fork();

	if (child == 0) {
		bool refused =
			peal_reserve(peal_tx(pair.channel), 8, &payload) == -EBADFD &&
			peal_send(peal_tx(pair.channel), "x", 1, 0, PEAL_FOREVER) == -EBADFD &&
			peal_send(peal_tx(pair.channel), "", 0, 0, PEAL_FOREVER) == -EBADFD &&
			peal_next(peal_rx(pair.channel), &record) == -EBADFD &&
			peal_release(peal_rx(pair.channel)) == -EBADFD &&
			peal_channel_wait_ready(pair.channel, PEAL_TRY) == -EBADFD &&
			strstr(peal_last_error(), "forked") != NULL;

		/* Closing there must not touch the parent's channel. */
		peal_channel_close(pair.channel);
		_exit(refused ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(peal_channel_peer(pair.channel), PEAL_PEER_ATTACHED);
	pair_finish(&pair);
}
END_TEST

int main(void)
{
	return harness_main(
		"death",
		(struct harness_case[]){
			{a_killed_guest_leaves_what_it_committed, CONFIGS},
			{a_waiting_consumer_learns_of_the_death, CONFIGS},
			{trying_learns_of_the_death, CONFIGS},
			{a_waiting_producer_learns_of_the_death, CONFIGS},
			{a_good_bye_is_told_from_a_crash, CONFIGS},
			{a_grandchild_with_our_descriptors_hides_nothing, CONFIGS},
			{a_foreign_loop_learns_of_the_death, CONFIGS},
			{a_guest_that_waits_for_data_learns_that_the_host_died, CONFIGS},
			{a_guest_that_waits_for_room_learns_that_the_host_died, CONFIGS},
			{a_host_that_closes_ends_its_guest, CONFIGS},
			{a_guest_out_of_time_for_data_still_learns_of_the_closing, CONFIGS},
			{a_guest_out_of_time_for_room_still_learns_of_the_closing, CONFIGS},
			{a_forked_child_can_use_nothing, CONFIGS},
			HARNESS_END,
		});
}
