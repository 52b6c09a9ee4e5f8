/* SPDX-License-Identifier: MIT */
/*
 * part.c - what the two processes of a run do: attach, warm up, measure, leave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "part.h"

/* Long enough to go around a ring several times, to fault all pages in and to train the branch
 * predictors. */
#define WARM_UP_NS          UINT64_C(10000000)
#define WARM_UP_INTERVAL_NS UINT64_C(1000000)

enum { WARM_UP = 1, MEASURE = 2 };

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct bench_arena *arena_of(struct bench_run *run)
{
	return (struct bench_arena *)(void *)run->control;
}

static struct bench_side *side_of(struct bench_run *run, enum bench_role role)
{
	return role == BENCH_FIRST ? &run->control->first : &run->control->second;
}

/* Unless the adapter has said more. */
static void set_error(struct bench_side *side, const char *what, int rc)
{
	if (side->error[0] == '\0')
		snprintf(side->error, sizeof(side->error), "%s: %s", what, strerror(-rc));
}

static void wait_for(const uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value)
		sched_yield();
}

static void pin_to(int cpu)
{
	if (!bench_pin(cpu)) {
		fprintf(stderr, "pinning to processor %d: %s\n", cpu, strerror(errno));
		_exit(71);
	}
}

/* fork() copies no page tables of shared memory, so each process faults everything in by itself. */
static void populate(struct bench_run *run)
{
	const volatile unsigned char *bytes = run->shared;

	if (run->shared_bytes == 0 ||
	    madvise(run->shared, run->shared_bytes, MADV_POPULATE_WRITE) == 0)
		return;
	for (size_t i = 0; i < run->shared_bytes; i += 4096)
		(void)bytes[i];
}

struct usage {
	uint64_t cpu_ns;
	uint64_t sleeps;
};

/* Of the process with all threads that a library started; of the thread alone where both sides are
 * threads of one process. */
static struct usage usage_now(bool in_process)
{
	struct rusage rusage;
	struct timespec cpu;

	clock_gettime(in_process ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &cpu);
	getrusage(in_process ? RUSAGE_THREAD : RUSAGE_SELF, &rusage);
	return (struct usage){
		.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec,
		.sleeps = (uint64_t)rusage.ru_nvcsw,
	};
}

static void measure(struct bench_run *run, const struct bench_adapter *adapter,
		    enum bench_role role)
{
	bool in_process = adapter->flags & BENCH_IN_PROCESS;
	struct bench_side *side = side_of(run, role);
	struct usage before = usage_now(in_process), after;

	side->end_ns = 0;
	/* The tracer counts what comes between these two. */
	__atomic_store_n(&side->begin_ns, bench_now_ns(), __ATOMIC_RELEASE);
	if (role == BENCH_FIRST)
		adapter->first(run);
	else
		adapter->second(run);
	__atomic_store_n(&side->end_ns, bench_now_ns(), __ATOMIC_RELEASE);
	after = usage_now(in_process);
	side->cpu_ns = after.cpu_ns - before.cpu_ns;
	side->sleeps = after.sleeps - before.sleeps;
}

/* The first process sets the terms of a phase while the second waits. */
static void prepare_phase(struct bench_control *control, const struct bench_config *config,
			  uint32_t phase)
{
	control->config = *config;
	if (phase != WARM_UP)
		return;
	if (config->duration_ns > WARM_UP_NS)
		control->config.duration_ns = WARM_UP_NS;
	if (config->interval_ns > WARM_UP_INTERVAL_NS)
		control->config.interval_ns = WARM_UP_INTERVAL_NS;
}

static void reset_side(struct bench_side *side)
{
	side->begin_ns = 0;
	side->end_ns = 0;
	side->messages = 0;
}

static void run_phase(struct bench_run *run, const struct bench_adapter *adapter,
		      enum bench_role role, const struct bench_config *config, uint32_t phase)
{
	struct bench_control *control = run->control;
	struct bench_side *side = side_of(run, role);
	/* What came wrong while warming up is wrong too. */
	uint64_t wrong = side->wrong;

	reset_side(side);
	if (role == BENCH_FIRST) {
		wait_for(&control->second.ready, phase);
		prepare_phase(control, config, phase);
		memset(control->ages, 0, sizeof(control->ages));
		__atomic_store_n(&side->ready, phase, __ATOMIC_RELEASE);
		__atomic_store_n(&control->go, phase, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&side->ready, phase, __ATOMIC_RELEASE);
		wait_for(&control->go, phase);
	}
	measure(run, adapter, role);
	side->wrong += wrong;
}

int bench_take_part(struct bench_run *run, const struct bench_adapter *adapter,
		    enum bench_role role)
{
	const struct bench_config config = run->control->config;
	const struct bench_arena *arena = arena_of(run);
	struct bench_side *side = side_of(run, role);
	int rc;

	populate(run);
	rc = adapter->attach ? adapter->attach(run, role) : 0;
	if (rc < 0) {
		set_error(side, "attaching", rc);
		return rc;
	}
	/* After attaching: the threads that a library starts of itself may go where they like. */
	if (arena->place == BENCH_TWO_CPUS)
		pin_to(arena->cpus[role]);
	run_phase(run, adapter, role, &config, WARM_UP);
	run_phase(run, adapter, role, &config, MEASURE);
	__atomic_store_n(&side->finished, 1, __ATOMIC_RELEASE);
	return 0;
}

int bench_be_second(struct bench_run *run, const struct bench_adapter *adapter)
{
	struct bench_arena *arena = arena_of(run);

	__atomic_store_n(&arena->pids[BENCH_SECOND], (int32_t)getpid(), __ATOMIC_RELEASE);
	if (bench_take_part(run, adapter, BENCH_SECOND) < 0)
		return 72;
	if (adapter->detach)
		adapter->detach(run, BENCH_SECOND);
	__atomic_store_n(&arena->gone, 1, __ATOMIC_RELEASE);
	return 0;
}

static pid_t fork_second(struct bench_run *run, const struct bench_adapter *adapter)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(73);
	_exit(bench_be_second(run, adapter));
}

struct second_thread {
	struct bench_run run; /* of its own: the states of two processes would be two as well */
	const struct bench_adapter *adapter;
};

static void *second_thread(void *data)
{
	struct second_thread *thread = data;

	if (bench_be_second(&thread->run, thread->adapter) != 0)
		_exit(72);
	return NULL;
}

/* Both sides as threads of this process. */
static int be_both(struct bench_run *run, const struct bench_adapter *adapter)
{
	struct second_thread second = {.run = *run, .adapter = adapter};
	pthread_t thread;

	if (pthread_create(&thread, NULL, second_thread, &second) != 0)
		return 74;
	if (bench_take_part(run, adapter, BENCH_FIRST) < 0)
		return 72;
	pthread_join(thread, NULL);
	if (adapter->detach)
		adapter->detach(run, BENCH_FIRST);
	return 0;
}

static int with_second_process(struct bench_run *run, const struct bench_adapter *adapter,
			       int control_fd)
{
	struct bench_arena *arena = arena_of(run);
	pid_t second;
	int status;

	second = adapter->start ? adapter->start(run, control_fd) : fork_second(run, adapter);
	if (second < 0) {
		fprintf(stderr, "starting the second process: %s\n", strerror((int)-second));
		return 75;
	}
	__atomic_store_n(&arena->pids[BENCH_SECOND], (int32_t)second, __ATOMIC_RELEASE);
	if (bench_take_part(run, adapter, BENCH_FIRST) < 0)
		return 72;
	wait_for(&arena->gone, 1);
	if (adapter->detach)
		adapter->detach(run, BENCH_FIRST);
	/* Who started it may have reaped it. */
	if (waitpid(second, &status, 0) == second && status != 0)
		return 76;
	return 0;
}

int bench_be_first(struct bench_run *run, const struct bench_adapter *adapter, int control_fd)
{
	const struct bench_arena *arena = arena_of(run);
	int rc;

	/* Before anything else, as taskset would; the second process inherits it. */
	if (arena->place == BENCH_ONE_CPU)
		pin_to(arena->cpus[0]);
	/* Before the second process: what is faulted in here is at least allocated for both. */
	populate(run);
	rc = adapter->create ? adapter->create(run) : 0;
	if (rc < 0) {
		set_error(&run->control->first, "creating", rc);
		return 77;
	}
	if (adapter->flags & BENCH_IN_PROCESS)
		return be_both(run, adapter);
	return with_second_process(run, adapter, control_fd);
}

struct bench_arena *bench_arena_map(int fd)
{
	struct bench_arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_POPULATE, fd, 0);

	return arena == MAP_FAILED ? NULL : arena;
}

const struct bench_adapter *bench_adapter_find(const char *slug)
{
	for (size_t i = 0; bench_adapters[i]; i++)
		if (strcmp(bench_adapters[i]->slug, slug) == 0)
			return bench_adapters[i];
	return NULL;
}
