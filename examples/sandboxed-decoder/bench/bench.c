/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the same files three ways, in turn, and what a crash costs.
 *
 * All is started beforehand. Who comes first changes from round to round, and each round is compared with
 * itself, so that a machine that is slow for a while is slow for all three.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../misbehave.h"
#include "bench.h"
#include "figures.h"
#include "in-process.h"

#define ROUNDS_MAX SUMMARY_MAX
#define CRASHES    SUMMARY_MAX
/* No new round after this, but for the first. */
#define LONG_NS    UINT64_C(20000000000)

enum way { IN_PROCESS, RINGS, PIPES, WAYS };

struct run {
	struct file *files;
	size_t count;
	struct outside *outside;
	struct pool pool;
	struct pipes *pipes;
	struct in_process results[WAYS]; /* which must be the same */
	double ns[WAYS][ROUNDS_MAX], cpu_ns[WAYS][ROUNDS_MAX];
	int rounds;
};

/* --- The table ---------------------------------------------------------------------------------- */

/* How many times as much, round by round. */
static struct summary ratio(const struct run *run, const double *of, const double *against)
{
	double ratios[ROUNDS_MAX];

	for (int i = 0; i < run->rounds; i++)
		ratios[i] = of[i] / against[i];
	return summarize(ratios, run->rounds);
}

static uint64_t pixel_bytes(const struct run *run)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < run->count; i++)
		bytes += (uint64_t)run->files[i].size.width * run->files[i].size.height *
			 DECODER_PIXEL;
	return bytes;
}

static void print(const struct run *run)
{
	static const char *const names[] = {"in-process, threads", "guests, rings",
					    "guests, pipes"};
	double bytes = (double)pixel_bytes(run);

	printf("%zu files, %.1f MB of pixels, %u at once; %d rounds; medians and quartiles; decoding\n"
	       "in the threads of one process is 1\n\n",
	       run->count, bytes / 1e6, run->pool.options.guests, run->rounds);
	printf("%-20s %10s %6s   %-22s %s\n", "", "ms a round", "MB/s", "speed", "processor time");
	for (enum way way = IN_PROCESS; way < WAYS; way++) {
		double ns = summarize(run->ns[way], run->rounds).median;

		printf("%-20s %10.1f %6.0f   ", names[way], ns / 1e6, bytes * 1e3 / ns);
		print_summary(ratio(run, run->ns[IN_PROCESS], run->ns[way]));
		print_summary(ratio(run, run->cpu_ns[way], run->cpu_ns[IN_PROCESS]));
		putchar('\n');
	}
	printf("%-20s %10s %6s   ", "rings : pipes", "", "");
	print_summary(ratio(run, run->ns[PIPES], run->ns[RINGS]));
	print_summary(ratio(run, run->cpu_ns[RINGS], run->cpu_ns[PIPES]));
	putchar('\n');
}

/* --- One round ---------------------------------------------------------------------------------- */

static void forget(struct file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		files[i] = (struct file){.name = files[i].name};
}

static struct in_process add_up(const struct run *run)
{
	struct in_process result = {0};

	for (size_t i = 0; i < run->count; i++) {
		result.decoded += run->files[i].verdict == DECODED;
		result.sum += run->files[i].crc32;
	}
	return result;
}

/* Of all that work on it. It is disturbed less than the time is by what else the machine does. */
static uint64_t cpu_ns(const struct run *run, enum way way)
{
	struct timespec own;
	uint64_t sum;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	sum = (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
	if (way == IN_PROCESS)
		return sum + outside_cpu_ns(run->outside);
	if (way == PIPES)
		return sum + pipes_cpu_ns(run->pipes);
	for (unsigned int i = 0; i < run->pool.options.guests; i++)
		sum += child_cpu_ns(run->pool.guests[i].child);
	return sum;
}

static int once(struct run *run, enum way way, int round)
{
	uint64_t begin_ns, begin_cpu_ns = cpu_ns(run, way);
	int rc;

	forget(run->files, run->count);
	begin_ns = peal_now_ns();
	if (way == IN_PROCESS)
		rc = outside_run(run->outside, &run->results[way]);
	else if (way == RINGS)
		rc = pool_run(&run->pool, run->files, run->count);
	else
		rc = pipes_run(run->pipes, run->files, run->count);
	run->ns[way][round] = (double)(peal_now_ns() - begin_ns);
	run->cpu_ns[way][round] = (double)(cpu_ns(run, way) - begin_cpu_ns);
	if (way != IN_PROCESS)
		run->results[way] = add_up(run);
	return rc;
}

/* Three ways to the same pixels. */
static bool all_agree(const struct run *run)
{
	for (enum way way = IN_PROCESS; way < WAYS; way++) {
		if (run->results[way].decoded != run->count ||
		    run->results[way].sum != run->results[IN_PROCESS].sum)
			return complain("--bench: not all came to the same pixels"), false;
	}
	return true;
}

/* What can not be decoded can not be compared. It is also the round that warms up. */
static bool try_once(struct run *run)
{
	bool good = true;

	if (once(run, RINGS, 0) < 0)
		return false;
	for (size_t i = 0; i < run->count; i++) {
		if (run->files[i].verdict == DECODED)
			continue;
		complain("--bench: %s: %s", run->files[i].name, run->files[i].why);
		good = false;
	}
	return good;
}

static bool compare_ways(struct run *run)
{
	uint64_t end_ns = peal_deadline_in_ns(LONG_NS);

	if (!try_once(run))
		return false;
	for (int round = 0; round < ROUNDS_MAX && (round == 0 || peal_now_ns() < end_ns); round++) {
		for (unsigned int i = 0; i < WAYS; i++) {
			int rc = once(run, ((unsigned int)round + i) % WAYS, round);

			if (rc < 0)
				return complain("--bench: %s", strerror(-rc)), false;
		}
		if (!all_agree(run))
			return false;
		run->rounds = round + 1;
	}
	print(run);
	return true;
}

/* --- What a crash costs ------------------------------------------------------------------------- */

/* A file that crashes its guest, and a good one, which has to wait for the next guest. */
static bool crash(struct pool *pool, struct file *good, double *told_ns, double *ready_ns)
{
	static const char text[] = MISBEHAVE "crash\n";
	struct file files[2] = {{0}, {.name = good->name}};
	int fd = memfd_create("crash", MFD_CLOEXEC);
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	files[0].name = name;
	rc = fd < 0 || write(fd, text, sizeof(text)) < 0 ? -errno : pool_run(pool, files, 2);
	if (fd >= 0)
		close(fd);
	*told_ns = (double)files[0].took_ns;
	*ready_ns = (double)pool->longest_lost_ns;
	return rc == 0 && files[0].verdict == KILLED && files[1].verdict == DECODED;
}

static bool measure_crashes(const struct options *options, struct file *good)
{
	struct options alone = *options;
	double told_ns[CRASHES], ready_ns[CRASHES];
	struct summary told, ready;
	struct pool pool;
	bool all = true;

	alone.guests = 1;
	alone.misbehave = true;
	if (pool_open(&pool, &alone) < 0)
		return false;
	for (int i = 0; i < CRASHES && all; i++)
		all = crash(&pool, good, &told_ns[i], &ready_ns[i]);
	pool_close(&pool);
	if (!all)
		return complain("--bench: a guest did not crash as it should"), false;
	told = summarize(told_ns, CRASHES);
	ready = summarize(ready_ns, CRASHES);
	printf("\n%d crashes: known %.2f ms (%.2f … %.2f) after the guest was given the file,\n"
	       "the next guest ready %.2f ms (%.2f … %.2f) later\n",
	       CRASHES, told.median / 1e6, told.low / 1e6, told.high / 1e6, ready.median / 1e6,
	       ready.low / 1e6, ready.high / 1e6);
	return true;
}

bool bench(const struct options *options, struct file *files, size_t count)
{
	struct options quiet = *options;
	struct run run = {.files = files, .count = count};
	bool good;

	quiet.quiet = true;
	quiet.thumbnails = false;
	if (pool_open(&run.pool, &quiet) < 0)
		return false;
	run.outside = outside_open(&quiet, files, count);
	run.pipes = pipes_open(&quiet);
	good = run.outside && run.pipes;
	if (!good)
		complain("--bench: %s", peal_last_error());
	good = good && compare_ways(&run);
	if (run.outside)
		outside_close(run.outside);
	if (run.pipes)
		pipes_close(run.pipes);
	pool_close(&run.pool);
	return good && measure_crashes(&quiet, &files[0]);
}
