/* SPDX-License-Identifier: MIT */
/*
 * Promises under want and noise, with the real kernel and the library as it is installed: too few
 * descriptors, too little memory, no files, signals all the time, a dead peer, a cancelled thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/scenario.h"
#include "faults/tell.h"
#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"

#define MS UINT64_C(1000000)

/* Shared with the forked lives. */
static struct {
	unsigned long signals;
} * figures;

/* Let @scenario live in a process of its own; @before is called in there. */
static void live(const struct scenario *scenario, void (*before)(void))
{
	int status;
	pid_t pid;

	report->scenario = scenario;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close_range(3, ~0u, 0);
		if (before)
			before();
		scenario_live(false);
		_exit(0);
	}
	ck_assert_int_eq(TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "%s: ended with status %#x (line %d)", scenario->name, status, report->step);
	ck_assert_msg(report->wrong[0] == '\0', "%s: %s", scenario->name, report->wrong);
}

static void assert_complete(const struct scenario *scenario)
{
	ck_assert_msg(report->is_complete, "%s: line %d, %s gives %ld, \"%s\"", scenario->name,
		      report->failed_step, report->failed_call, report->failed_rc,
		      report->sentence);
}

/* --- Want ------------------------------------------------------------------------------------ */

struct want {
	unsigned long lives, told, as_itself;
};

/* Return: did it live to its end? */
static bool live_in_want(const struct scenario *scenario, int resource, uint64_t limit,
			 struct want *want, int error)
{
	struct rlimit both = {limit, RLIM_INFINITY};

	getrlimit((__rlimit_resource_t)resource, &both);
	both.rlim_cur = limit;
	memset(report, 0, sizeof(*report));
	report->limit = &both;
	report->limited = resource;
	live(scenario, NULL);
	want->lives++;
	want->told += !report->is_complete;
	want->as_itself += !report->is_complete && report->failed_rc == -error;
	return report->is_complete;
}

START_TEST(with_any_number_of_descriptors_it_works_or_says_so)
{
	struct want want = {0};

	scenario_find_guests();
	for (size_t i = 0; i < scenario_count; i++) {
		unsigned int limit = 2;

		while (!live_in_want(&scenarios[i], RLIMIT_NOFILE, limit, &want, EMFILE)) {
			ck_assert_msg(limit < 64, "%s: %s gives %ld, \"%s\"", scenarios[i].name,
				      report->failed_call, report->failed_rc, report->sentence);
			limit++;
		}
	}
	tell("descriptors: %lu lives with too few or just enough, %lu said so, %lu by EMFILE",
	     want.lives, want.told, want.as_itself);
	ck_assert_uint_gt(want.as_itself, want.told / 2);
}
END_TEST

/* Bytes of address space of this process. */
static uint64_t address_space(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	return (uint64_t)pages * 4096;
}

START_TEST(with_any_amount_of_memory_it_works_or_says_so)
{
	const uint64_t step = is_full() ? 4096 : 8192;
	struct want want = {0};

	scenario_find_guests();
	for (size_t i = 0; i < scenario_count; i++) {
		uint64_t begin = address_space(), limit = begin;

		while (!live_in_want(&scenarios[i], RLIMIT_AS, limit, &want, ENOMEM)) {
			ck_assert_msg(limit < begin + (64 << 20), "%s: %s gives %ld, \"%s\"",
				      scenarios[i].name, report->failed_call, report->failed_rc,
				      report->sentence);
			limit += step;
		}
	}
	tell("memory: %lu lives with too little or just enough, %lu said so, %lu by ENOMEM",
	     want.lives, want.told, want.as_itself);
	ck_assert_uint_gt(want.as_itself, want.told / 2);
}
END_TEST

START_TEST(a_file_size_limit_is_told_and_raises_no_signal)
{
	static const uint64_t limits[] = {0, 1, 4095, 4096, 8191};
	struct want want = {0};

	scenario_find_guests();
	for (size_t i = 0; i < scenario_count; i++) {
		for (size_t j = 0; j < sizeof(limits) / sizeof(limits[0]); j++)
			live_in_want(&scenarios[i], RLIMIT_FSIZE, limits[j], &want, EFBIG);
		ck_assert(live_in_want(&scenarios[i], RLIMIT_FSIZE, 8192, &want, EFBIG));
	}
	ck_assert_uint_gt(want.told, 0);
	ck_assert_uint_eq(want.told, want.as_itself);
}
END_TEST

/* --- Signals --------------------------------------------------------------------------------- */

static void count_signal(int signal)
{
	(void)signal;
	__atomic_fetch_add(&figures->signals, 1, __ATOMIC_RELAXED);
}

static void begin_storm(void)
{
	const struct itimerval often = {{.tv_usec = 100}, {.tv_usec = 100}};
	struct sigaction action = {.sa_handler = count_signal}; /* no SA_RESTART */

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void end_storm(void)
{
	const struct itimerval never = {0};

	setitimer(ITIMER_REAL, &never, NULL);
}

START_TEST(in_a_storm_of_signals_all_works)
{
	unsigned long before = figures->signals;
	int lives = is_full() ? 500 : 20;

	scenario_find_guests();
	for (int i = 0; i < lives; i++) {
		memset(report, 0, sizeof(*report));
		live(&scenarios[_i], begin_storm);
		assert_complete(&scenarios[_i]);
	}
	ck_assert_uint_gt(figures->signals, before);
}
END_TEST

/* A wait for nothing: it ends, and not before its time. A wait that began anew with each signal would
 * go on for ever, and Check's time-out would end it. */
static void assert_ends(long rc, uint64_t deadline_ns)
{
	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_ge(peal_now_ns(), deadline_ns);
}

static void wait_in_vain_by_poller(struct peal_channel *channel, uint32_t backend)
{
	struct peal_poller_options options = {.size = sizeof(options), .backend = backend};
	struct peal_poller *poller;
	struct peal_event event;
	uint64_t deadline;
	int rc = peal_poller_create(&poller, &options);

	if (backend == PEAL_POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
		return;
	assert_ok(rc);
	assert_ok(peal_poller_watch_data(poller, channel, 0, NULL, NULL));
	deadline = peal_deadline_in_ns(50 * MS);
	assert_ends(peal_poller_wait(poller, &event, 1, deadline), deadline);
	peal_poller_close(poller);
}

START_TEST(in_a_storm_of_signals_each_wait_keeps_its_deadline)
{
	struct peal_channel_options options = config(_i & 1, 4096, 4096);
	char *argv[] = {harness_helper("../guest"), strdupa("stall"), NULL};
	struct peal_channel *channel;
	struct peal_child *child;
	char buffer[64], block[1000] = "";
	uint64_t deadline;

	assert_ok(peal_channel_create(&channel, &options));
	begin_storm();
	deadline = peal_deadline_in_ns(50 * MS);
	assert_ends(peal_channel_wait_ready(channel, deadline), deadline);
	assert_ok(peal_spawn(&child, channel, argv, NULL));
	assert_ok(peal_child_wait_ready(child, channel, PEAL_FOREVER));
	deadline = peal_deadline_in_ns(50 * MS);
	assert_ends(peal_recv(peal_rx(channel), buffer, sizeof(buffer), NULL, deadline), deadline);
	while (peal_send(peal_tx(channel), block, sizeof(block), 0, PEAL_TRY) == 0)
		;
	deadline = peal_deadline_in_ns(50 * MS);
	assert_ends(peal_send(peal_tx(channel), block, sizeof(block), 0, deadline), deadline);
	deadline = peal_deadline_in_ns(50 * MS);
	assert_ends(peal_child_wait(child, deadline, NULL), deadline);
	wait_in_vain_by_poller(channel, PEAL_POLLER_IO_URING);
	wait_in_vain_by_poller(channel, PEAL_POLLER_EPOLL);
	end_storm();
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(in_a_storm_of_signals_a_stream_arrives_whole)
{
	struct peal_channel_options options = config(_i, 1 << 13, 1 << 13);
	const char *count = is_full() ? "1000000" : "30000";
	struct pair pair;
	char *argv[] = {harness_helper("../guest"),
			strdupa("send"),
			strdupa(count),
			strdupa("500"),
			strdupa("1"),
			NULL};

	assert_ok(peal_channel_create(&pair.channel, &options));
	begin_storm();
	assert_ok(peal_spawn(&pair.child, pair.channel, argv, NULL));
	ck_assert_int_eq(
		stream_receive(peal_rx(pair.channel), 0, strtoull(count, NULL, 10), 500, 1000), 0);
	end_storm();
	pair_finish(&pair);
	tell("storms: %lu signals so far", figures->signals);
}
END_TEST

/* --- A dead peer ----------------------------------------------------------------------------- */

/* A channel whose guest sleeps, and is then killed without our having looked. */
static struct pair make_widow(int index)
{
	struct peal_channel_options options = config(index, 4096, 4096);
	char *argv[] = {harness_helper("../guest"), strdupa("wait"), NULL};
	struct peal_side_stats peer = {0};
	struct pair pair;
	siginfo_t info;

	assert_ok(peal_channel_create(&pair.channel, &options));
	assert_ok(peal_spawn(&pair.child, pair.channel, argv, NULL));
	assert_ok(peal_child_wait_ready(pair.child, pair.channel, PEAL_FOREVER));
	while (peer.rx.sleeps == 0) {
		usleep(100);
		peal_channel_stats(pair.channel, NULL, &peer);
	}
	assert_ok(peal_child_kill(pair.child, SIGKILL));
	ck_assert_int_eq(waitid(P_PID, (id_t)peal_child_pid(pair.child), &info, WEXITED | WNOWAIT),
			 0);
	return pair;
}

START_TEST(a_dead_peer_raises_no_sigpipe)
{
	static const uint32_t backends[] = {PEAL_POLLER_IO_URING, PEAL_POLLER_EPOLL};
	struct pair pair = make_widow(0);

	ck_assert_ptr_ne(signal(SIGPIPE, SIG_DFL), SIG_ERR);
	ck_assert_int_eq(peal_send(peal_tx(pair.channel), "x", 1, 0, PEAL_TRY), -EPIPE);
	pair_kill(&pair);
	for (int i = 0; i < 2; i++) {
		struct peal_poller_options options = {.size = sizeof(options),
						      .backend = backends[i]};
		struct peal_poller *poller;

		pair = make_widow(0);
		if (peal_poller_create(&poller, &options) == 0) {
			assert_ok(peal_poller_watch_data(poller, pair.channel,
							 PEAL_WATCH_BATCH_WAKES, NULL, NULL));
			assert_ok(peal_send(peal_tx(pair.channel), "x", 1, 0, PEAL_TRY));
			assert_ok(peal_poller_flush(poller));
			peal_poller_close(poller);
		}
		pair_kill(&pair);
	}
	/* Nor does leaving. */
	pair = make_widow(0);
	pair_kill(&pair);
}
END_TEST

int main(void)
{
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (report == MAP_FAILED || figures == MAP_FAILED)
		return EXIT_FAILURE;
	return harness_main("storms",
			    (struct harness_case[]){
				    {with_any_number_of_descriptors_it_works_or_says_so, 0},
				    {with_any_amount_of_memory_it_works_or_says_so, 0},
				    {a_file_size_limit_is_told_and_raises_no_signal, 0},
				    {in_a_storm_of_signals_all_works, (int)scenario_count},
				    {in_a_storm_of_signals_each_wait_keeps_its_deadline, 2},
				    {in_a_storm_of_signals_a_stream_arrives_whole, CONFIGS},
				    {a_dead_peer_raises_no_sigpipe, 0},
				    HARNESS_END,
			    });
}
