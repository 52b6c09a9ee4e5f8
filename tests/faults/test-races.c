/* SPDX-License-Identifier: MIT */
/*
 * Promises about descriptors while many threads start processes at once: each guest has exactly its
 * own, nobody else has any of them, and in this process none ever loses its close-on-exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/peal.h>

#include "faults/tell.h"
#include "harness.h"

#define SPAWNERS 8
#define FORKERS  3
#define OPENERS  2
#define THREADS  (SPAWNERS + FORKERS + OPENERS + 1)

/* What the threads share. Counts are atomic. */
struct storm {
	char *guest;
	unsigned long spawns_wanted; /* by each spawner */
	unsigned long spawns, forks, opens, looks, flags_seen;
	unsigned long wrong_guests, wrong_strangers, cleared;
	int spawners; /* that are not done */
	int next;
};

static void add(unsigned long *count, unsigned long by)
{
	__atomic_fetch_add(count, by, __ATOMIC_RELAXED);
}

static bool goes_on(struct storm *storm)
{
	return __atomic_load_n(&storm->spawners, __ATOMIC_RELAXED) > 0;
}

/* --- Spawners -------------------------------------------------------------------------------- */

static bool spawn_one(char *guest, int number, bool eventfds)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 4096,
		.to_host = number % 3 ? 4096 : 0,
		.doorbell = eventfds ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
	};
	char name[24], streams[] = "7", *argv[] = {guest, streams, name, NULL};
	struct peal_child_status status = {-1, -1};
	struct peal_channel *channel = NULL;
	struct peal_child *child = NULL;

	snprintf(name, sizeof(name), "race-%d", number);
	options.name = name;
	if (peal_channel_create(&channel, &options) == 0 &&
	    peal_spawn(&child, channel, argv, NULL) == 0)
		peal_child_wait(child, PEAL_FOREVER, &status);
	peal_channel_close(channel);
	peal_child_free(child);
	return status.state == PEAL_CHILD_EXITED && status.value == 0;
}

static void *spawn_many(void *data)
{
	struct storm *storm = data;

	for (unsigned long i = 0; i < storm->spawns_wanted; i++) {
		int number = __atomic_fetch_add(&storm->next, 1, __ATOMIC_RELAXED);

		add(&storm->wrong_guests, !spawn_one(storm->guest, number, number & 1));
		add(&storm->spawns, 1);
	}
	__atomic_fetch_sub(&storm->spawners, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* --- Everybody else -------------------------------------------------------------------------- */

/* As other code in the process does: fork, exec, no care for descriptors. */
static void *fork_many(void *data)
{
	struct storm *storm = data;
	char streams[] = "7", none[] = "none";
	char *argv[] = {storm->guest, streams, none, NULL};

	while (goes_on(storm)) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			execv(storm->guest, argv);
			_exit(97);
		}
		if (pid > 0 && waitpid(pid, &status, 0) == pid)
			add(&storm->wrong_strangers, status != 0);
		add(&storm->forks, pid > 0);
	}
	return NULL;
}

/* Numbers are taken and given back, so that the library's change all the time. */
static void *open_many(void *data)
{
	struct storm *storm = data;

	while (goes_on(storm)) {
		int fds[3], pair[2];

		for (int i = 0; i < 3; i++)
			fds[i] = eventfd(0, EFD_CLOEXEC);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
			close(pair[0]);
			close(pair[1]);
		}
		for (int i = 0; i < 3; i++)
			close(fds[i]);
		add(&storm->opens, 5);
		usleep(50);
	}
	return NULL;
}

/* Every descriptor of this process beyond the standard streams, again and again. */
static void *look_many(void *data)
{
	struct storm *storm = data;

	while (goes_on(storm)) {
		for (int fd = 3; fd < 160; fd++) {
			int flags = fcntl(fd, F_GETFD);

			add(&storm->flags_seen, flags >= 0);
			if (flags >= 0 && !(flags & FD_CLOEXEC))
				add(&storm->cleared, 1);
		}
		add(&storm->looks, 1);
		usleep(20);
	}
	return NULL;
}

START_TEST(each_guest_has_exactly_its_own_descriptors)
{
	struct storm storm = {
		.guest = strdupa(harness_helper("race-guest")),
		.spawns_wanted = is_full() ? 4000 : 60,
		.spawners = SPAWNERS,
	};
	pthread_t threads[THREADS];

	/* What Check and the test's starter left open is not what this is about. */
	ck_assert_int_eq(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC), 0);
	for (int i = 0; i < THREADS; i++) {
		void *(*body)(void *) = i < SPAWNERS                       ? spawn_many
					: i < SPAWNERS + FORKERS           ? fork_many
					: i < SPAWNERS + FORKERS + OPENERS ? open_many
									   : look_many;

		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, &storm), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	tell("races: %lu guests by %d threads, %lu strangers, %lu descriptors opened beside, %lu "
	     "looks at %lu flags; wrong: %lu guests, %lu strangers, %lu flags",
	     storm.spawns, SPAWNERS, storm.forks, storm.opens, storm.looks, storm.flags_seen,
	     storm.wrong_guests, storm.wrong_strangers, storm.cleared);
	ck_assert_uint_eq(storm.spawns, SPAWNERS * storm.spawns_wanted);
	ck_assert_uint_gt(storm.forks, 0);
	ck_assert_uint_gt(storm.looks, 0);
	ck_assert_uint_eq(storm.wrong_guests, 0);
	ck_assert_uint_eq(storm.wrong_strangers, 0);
	ck_assert_uint_eq(storm.cleared, 0);
}
END_TEST

/* --- Started without standard streams -------------------------------------------------------- */

/* In a process of its own, which has those of the three that @streams has. Return: its status. */
static int be_started_with(unsigned int streams, bool eventfds, char *guest)
{
	struct peal_channel_options options = {.size = sizeof(options),
					       .to_guest = 4096,
					       .to_host = 4096,
					       .name = "streams",
					       .doorbell = eventfds ? PEAL_DOORBELL_EVENTFD
								    : PEAL_DOORBELL_SOCKET};
	char text[] = {(char)('0' + streams), '\0'}, name[] = "streams";
	char *argv[] = {guest, text, name, NULL};
	struct peal_poller_options polling = {.size = sizeof(polling)};
	struct peal_child_status status;
	struct peal_channel *channel;
	struct peal_poller *poller;
	struct peal_child *child;
	int lowest = 0;

	close_range(3, ~0u, 0);
	for (int fd = 0; fd < 3; fd++) {
		if (!(streams & 1u << fd))
			close(fd);
	}
	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_poller_create(&poller, &polling) < 0 ||
	    peal_poller_watch_data(poller, channel, 0, NULL, NULL) < 0)
		return 10;
	if (peal_spawn(&child, channel, argv, NULL) < 0 ||
	    peal_child_wait(child, PEAL_FOREVER, &status) < 0)
		return 11;
	while (lowest < 3 && (fcntl(lowest, F_GETFD) >= 0) == !!(streams & 1u << lowest))
		lowest++;
	if (lowest < 3)
		return 12; /* one of the three is something of ours */
	peal_poller_close(poller);
	peal_channel_close(channel);
	peal_child_free(child);
	if (fcntl(3, F_GETFD) >= 0)
		return 13;
	return status.state == PEAL_CHILD_EXITED ? status.value : 14;
}

/* Loop index: the eight combinations of open streams, for both doorbells. */
START_TEST(without_standard_streams_nothing_takes_their_place)
{
	char *guest = strdupa(harness_helper("race-guest"));
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(be_started_with((unsigned int)_i % 8, _i / 8, guest));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "streams %d: status %#x",
		      _i % 8, status);
}
END_TEST

int main(void)
{
	return harness_main("races",
			    (struct harness_case[]){
				    {each_guest_has_exactly_its_own_descriptors, 0},
				    {without_standard_streams_nothing_takes_their_place, 16},
				    HARNESS_END,
			    });
}
