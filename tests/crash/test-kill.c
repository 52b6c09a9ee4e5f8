/* SPDX-License-Identifier: MIT */
/*
 * The promise about death at full speed: a stream without end, and kill -9 at any moment.
 *
 * PEAL_CRASH_KILLS says how many, PEAL_CRASH_SEED which: that of the first case; the next has one more.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "crash/crash.h"
#include "harness.h"
#include "ipc/ipc.h"

#define KILLS 3000

/* So many a case: Check can not bear one that takes more than 2^31 µs. */
#define KILLS_A_CASE 50000

/* The longest life, in nanoseconds after all is ready. */
#define LIFE_NS 300000

#define SECOND UINT64_C(1000000000)

static uint64_t kills, seed;

struct run {
	struct scene scene;
	struct delays delays;
	uint64_t dice, wanted, kills, records, begin_ns, told_ns;
	unsigned int manners;
};

static struct cell any_cell(struct run *run)
{
	uint64_t bits = stream_random(&run->dice);

	return (struct cell){
		.op = bits & 1 ? OP_STREAM_TX : OP_STREAM_RX,
		.manner = (enum manner)((bits >> 8) % run->manners),
		.asleep = true,
		.victim_is_host = bits & 2,
		.eventfds = bits & 4,
		.fences = (bits & 0x18) == 0,
		.wide = bits & 0x20,
		.grandchild = (bits & 0x1c0) == 0,
	};
}

/* Asleep: the two others need the processors. */
static void let_it_live(struct run *run)
{
	struct timespec life = {.tv_nsec = (long)(stream_random(&run->dice) % LIFE_NS)};

	nanosleep(&life, NULL);
}

static void kill_one(struct run *run)
{
	struct scene *scene = &run->scene;
	struct cell cell = any_cell(run);
	struct report report;

	scene_start(scene, &cell, false);
	scene_streaming(scene);
	let_it_live(run);
	scene_kill(scene);
	report = scene_report(scene);
	judge_stream(scene, &report);
	delays_add(&run->delays, scene, &report);
	scene_bury(scene);
	run->kills++;
	run->records += report.next;
}

static void print_figures(const struct run *run, const char *end_of_line)
{
	uint64_t ns = peal_now_ns() - run->begin_ns;

	printf("  %llu of %llu kills, %llu records, %.0f kills/s%s", (unsigned long long)run->kills,
	       (unsigned long long)run->wanted, (unsigned long long)run->records,
	       (double)run->kills * 1e9 / (double)(ns > 0 ? ns : 1), end_of_line);
	fflush(stdout);
}

static void show_progress(struct run *run)
{
	if (!isatty(STDOUT_FILENO) || peal_now_ns() - run->told_ns < SECOND)
		return;
	run->told_ns = peal_now_ns();
	print_figures(run, "\r");
}

/* Without io_uring where it is refused; the stepped test says so. */
static unsigned int count_manners(void)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = PEAL_POLLER_IO_URING};
	struct peal_poller *poller;

	if (peal_poller_create(&poller, &options) < 0)
		return MANNER_IO_URING;
	peal_poller_close(poller);
	return MANNERS;
}

static uint64_t part_of_kills(int part)
{
	uint64_t before = (uint64_t)part * KILLS_A_CASE;

	return kills - before < KILLS_A_CASE ? kills - before : KILLS_A_CASE;
}

START_TEST(who_is_killed_at_full_speed_leaves_exactly_what_it_committed)
{
	static struct run run;
	char line[128];

	run.dice = seed + (uint64_t)_i;
	run.wanted = part_of_kills(_i);
	run.manners = count_manners();
	run.begin_ns = peal_now_ns();
	printf("kill: seed %llu\n", (unsigned long long)run.dice);
	/* Else a sleep is 50 µs longer, and no life shorter. */
	ck_assert_int_eq(prctl(PR_SET_TIMERSLACK, 1), 0);
	scene_open(&run.scene);
	while (run.kills < run.wanted) {
		kill_one(&run);
		show_progress(&run);
	}
	scene_close(&run.scene);
	print_figures(&run, "\n");
	delays_print(&run.delays);
	snprintf(line, sizeof(line), "kill: %llu kills, %llu records, seed %llu",
		 (unsigned long long)run.kills, (unsigned long long)run.records,
		 (unsigned long long)seed + (unsigned)_i);
	figures_tell(line);
	ck_assert_uint_gt(run.records, run.kills);
	delays_check(&run.delays);
}
END_TEST

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
	kills = setting("PEAL_CRASH_KILLS", KILLS);
	seed = setting("PEAL_CRASH_SEED", peal_now_ns());
	if (kills == 0 || kills > INT_MAX) {
		fprintf(stderr, "kill: PEAL_CRASH_KILLS is from 1 to %d\n", INT_MAX);
		return EXIT_FAILURE;
	}
	/* 600 s for 50,000 of them: a seventh of the speed that there is. */
	setenv("CK_TIMEOUT_MULTIPLIER", "2", 0);
	return harness_main("kill",
			    (struct harness_case[]){
				    {who_is_killed_at_full_speed_leaves_exactly_what_it_committed,
				     (int)((kills + KILLS_A_CASE - 1) / KILLS_A_CASE)},
				    HARNESS_END,
			    });
}
