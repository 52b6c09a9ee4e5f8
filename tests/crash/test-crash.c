/* SPDX-License-Identifier: MIT */
/*
 * The promise about death, at every instruction: whoever is killed between any two instructions of
 * any operation, the other gets exactly what was committed, then -EPIPE, though it waits without end.
 *
 * For each cell one victim is stepped through its whole operation, what is shared being checked after
 * each instruction; then others are killed at its instructions: at some here, at all of them by
 * ./dev test crash-full. PEAL_CRASH_SEED says which some.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/crash.h"
#include "harness.h"
#include "ipc/ipc.h"

/* Each test's, of which there are five, one of them for io_uring alone. By instructions counted when
 * this was written, all are 250,000. */
#define SAMPLE_POINTS    1300
#define ALL_POINTS_LEAST 20000

/* How many of one cell's. */
#define CELL_POINTS 12

#define SECOND UINT64_C(1000000000)

static uint64_t seed;
static bool all_points;

struct run {
	struct scene scene;
	struct trace trace;
	struct delays delays;
	uint64_t dice;
	uint64_t points, instructions, cells;
	uint64_t points_of[STEPPED_OPS];
	uint64_t told_ns;
	bool done[STEPS_MAX + 1];
};

/* --- One point ------------------------------------------------------------------------------- */

static void end(struct run *run)
{
	struct scene *scene = &run->scene;
	struct truth truth = judge_look(scene);
	struct report report;

	scene_kill(scene);
	report = scene_report(scene);
	judge_report(scene, &truth, &report);
	delays_add(&run->delays, scene, &report);
	scene_bury(scene);
	run->points++;
	run->points_of[scene->cell.op]++;
}

static void begin(struct run *run, const struct cell *cell)
{
	scene_start(&run->scene, cell, true);
	scene_prepared(&run->scene);
	step_begin(&run->scene);
	if (cell->asleep)
		scene_await_sleep(&run->scene);
}

static void kill_at(struct run *run, const struct cell *cell, const struct point *point)
{
	struct scene *scene = &run->scene;
	size_t length;

	begin(run, cell);
	length = strlen(scene->what);
	snprintf(scene->what + length, sizeof(scene->what) - length, ", instruction %u%s",
		 point->step, point->asleep ? ", asleep" : "");
	step_to(scene, &run->trace, point);
	end(run);
}

/* --- One cell -------------------------------------------------------------------------------- */

static void trace_step(struct run *run, unsigned int step)
{
	struct trace *trace = &run->trace;
	struct scene *scene = &run->scene;

	if (step == STEPS_MAX)
		scene_fail(scene, "the operation does not end");
	trace->kinds[step] = step_is_syscall(scene) ? STEP_IS_SYSCALL : 0;
}

/* All of the operation, looking after each instruction. */
static void follow(struct run *run, const struct cell *cell)
{
	struct trace *trace = &run->trace;
	struct scene *scene = &run->scene;
	unsigned int step = 0;
	enum at at = AT_STEP;

	begin(run, cell);
	trace->sleep = STEPS_MAX;
	judge_look(scene);
	while (at != AT_END) {
		trace_step(run, step);
		at = step_once(scene, true);
		if (at == AT_SLEEP) {
			trace->sleep = step;
			scene_act(scene);
			at = step_wait(scene);
		}
		if (judge_look(scene).changed)
			trace->kinds[step] |= STEP_CHANGES;
		step++;
	}
	trace->steps = step;
	run->instructions += step;
	run->cells++;
	if (op_sleeps(cell->op) && trace->sleep == STEPS_MAX)
		scene_fail(scene, "it was to sleep, and did not");
	end(run);
}

static void try_point(struct run *run, const struct cell *cell, unsigned int step)
{
	if (step > run->trace.steps || run->done[step])
		return;
	run->done[step] = true;
	kill_at(run, cell, &(struct point){.step = step});
}

/* The victim's instructions are the same whatever the survivor sleeps in, so in one manner all. */
static void kill_at_all(struct run *run, const struct cell *cell)
{
	unsigned int every = cell->manner == MANNER_WAIT ? 1 : 2;

	for (unsigned int step = run->cells % every; step <= run->trace.steps; step += every)
		try_point(run, cell, step);
}

/* Half of them around an instruction that changes what is shared, for there it is decided. */
static void kill_at_some(struct run *run, const struct cell *cell)
{
	unsigned int changes[STEPS_MAX / 64], count = 0;

	for (unsigned int step = 0; step < run->trace.steps; step++) {
		if (run->trace.kinds[step] & STEP_CHANGES && count < STEPS_MAX / 64)
			changes[count++] = step;
	}
	for (int i = 0; i < CELL_POINTS / 4 && count > 0; i++) {
		unsigned int step = changes[stream_random(&run->dice) % count];

		try_point(run, cell, step);
		try_point(run, cell, step + 1);
	}
	for (int i = 0; i < CELL_POINTS / 2; i++)
		try_point(run, cell,
			  (unsigned int)(stream_random(&run->dice) % (run->trace.steps + 1)));
}

static void run_cell(struct run *run, const struct cell *cell)
{
	memset(run->done, 0, sizeof(run->done));
	follow(run, cell);
	if (all_points)
		kill_at_all(run, cell);
	else
		kill_at_some(run, cell);
	if (run->trace.sleep != STEPS_MAX)
		kill_at(run, cell, &(struct point){.step = run->trace.sleep, .asleep = true});
}

/* --- All ------------------------------------------------------------------------------------- */

static void print_figures(const struct run *run, const char *end_of_line)
{
	printf("  %llu kills in %llu cells, %llu instructions looked at%s",
	       (unsigned long long)run->points, (unsigned long long)run->cells,
	       (unsigned long long)run->instructions, end_of_line);
	fflush(stdout);
}

static void show_progress(struct run *run)
{
	if (!isatty(STDOUT_FILENO) || peal_now_ns() - run->told_ns < SECOND)
		return;
	run->told_ns = peal_now_ns();
	print_figures(run, "\r");
}

/* The survivors of one test: those that look later, or those asleep in one manner. */
static bool is_in(const struct cell *cell, int test)
{
	return cell->asleep ? test == 1 + (int)cell->manner : test == 0;
}

static void run_cells(struct run *run, int test)
{
	/* A prime, so that a walk in such strides comes everywhere once. */
	const uint64_t stride = 100003, start = stream_random(&run->dice) % CELLS;
	struct cell cell;

	for (uint64_t i = 0; i < CELLS && (all_points || run->points < SAMPLE_POINTS); i++) {
		unsigned int index = (unsigned int)(all_points ? i : (start + i * stride) % CELLS);

		if (!cell_at(index, &cell) || !is_in(&cell, test))
			continue;
		run_cell(run, &cell);
		show_progress(run);
	}
}

/* Test and victim take turns, which is quicker on one processor. Not the survivor, who is there
 * already: it would believe that it must not spin. */
static void stay_here(void)
{
	cpu_set_t here;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return;
	CPU_ZERO(&here);
	CPU_SET((size_t)cpu, &here);
	sched_setaffinity(0, sizeof(here), &here);
}

static void skip_if_refused(int test)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = PEAL_POLLER_IO_URING};
	struct peal_poller *poller;

	if (test != 1 + MANNER_IO_URING)
		return;
	if (peal_poller_create(&poller, &options) < 0)
		harness_skip("io_uring is not allowed here");
	peal_poller_close(poller);
}

/* Loop index: 0 the survivor looks later, 1 … it is asleep in each manner. */
START_TEST(who_is_killed_at_any_instruction_leaves_exactly_what_it_committed)
{
	static const char *const names[] = {"later", "a wait", "poll", "epoll", "io_uring"};
	static struct run run;
	char line[128];
	uint64_t least = all_points ? ALL_POINTS_LEAST : SAMPLE_POINTS;

	skip_if_refused(_i);
	run.dice = seed + (uint64_t)_i;
	printf("crash: survivors in %s, seed %llu\n", names[_i], (unsigned long long)seed);
	scene_open(&run.scene);
	stay_here();
	run_cells(&run, _i);
	scene_close(&run.scene);
	print_figures(&run, "\n");
	for (int op = 0; op < STEPPED_OPS; op++) {
		if (run.points_of[op] > 0)
			printf("    %6llu %s\n", (unsigned long long)run.points_of[op],
			       op_name((enum op)op));
	}
	delays_print(&run.delays);
	snprintf(line, sizeof(line), "crash: survivors in %s: %llu kills in %llu cells, seed %llu",
		 names[_i], (unsigned long long)run.points, (unsigned long long)run.cells,
		 (unsigned long long)seed);
	figures_tell(line);
	ck_assert_uint_ge(run.points, least);
	delays_check(&run.delays);
}
END_TEST

/* The C library may copy by one instruction that is stepped byte by byte, thousands of times. */
static void copy_by_vectors(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1048576", 1);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	const char *text = getenv("PEAL_CRASH_SEED"), *all = getenv("PEAL_CRASH_ALL");

	(void)argc;
	copy_by_vectors(argv);
	seed = text && *text ? strtoull(text, NULL, 0) : peal_now_ns();
	all_points = all && *all;
	if (all_points) /* half an hour for all of them, on a machine that does nothing else */
		setenv("CK_TIMEOUT_MULTIPLIER", "24", 0);
	return harness_main(
		"crash",
		(struct harness_case[]){
			{who_is_killed_at_any_instruction_leaves_exactly_what_it_committed, 5},
			HARNESS_END,
		});
}
