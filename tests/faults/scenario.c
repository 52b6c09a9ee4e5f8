/* SPDX-License-Identifier: MIT */
/*
 * scenario.c - what goes around a scenario: what is there before must be there after.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/scenario.h"
#include "harness.h"

/* A descriptor that nothing else complains about, and the complaint. */
#define UNHEARD_OF (-7)
#define SENTENCE   "descriptor -7 is below"

struct report *report;
char scenario_guest[PATH_MAX];

/* --- Allocations: the library's can be made to fail, and are counted -------------------------- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void __libc_free(void *memory);

static bool is_library(const void *back)
{
	return report && (uintptr_t)back >= report->library_begin &&
	       (uintptr_t)back < report->library_end;
}

/* Return: may it succeed? */
static bool note_allocation(void *back)
{
	if (!is_library(back))
		return true;
	if (report->allocation_count < ALLOCATIONS_MAX)
		report->allocations[report->allocation_count++] =
			(struct allocation){report->step, back};
	if (report->failing_step == report->step && report->failing_back == back) {
		report->failing_step = 0;
		report->allocations_failed++;
		errno = ENOMEM;
		return false;
	}
	report->allocations_held++;
	return true;
}

void *malloc(size_t size)
{
	return note_allocation(__builtin_return_address(0)) ? __libc_malloc(size) : NULL;
}

void *calloc(size_t count, size_t size)
{
	return note_allocation(__builtin_return_address(0)) ? __libc_calloc(count, size) : NULL;
}

void free(void *memory)
{
	if (memory && is_library(__builtin_return_address(0)))
		report->allocations_held--;
	__libc_free(memory);
}

/* --- What is there --------------------------------------------------------------------------- */

struct holdings {
	uint64_t fds[4];      /* a bit each */
	unsigned long mapped; /* bytes, without heap and stack */
	bool has_segment;
};

static void see_fds(struct holdings *holdings)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		unsigned int fd = (unsigned int)atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != (unsigned int)dirfd(directory) && fd < 256)
			holdings->fds[fd / 64] |= UINT64_C(1) << fd % 64;
	}
	closedir(directory);
}

static void see_mappings(struct holdings *holdings)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "memfd:peal"))
			holdings->has_segment = true;
		if (!strstr(line, "[heap]") && !strstr(line, "[stack]") &&
		    sscanf(line, "%lx-%lx", &begin, &end) == 2)
			holdings->mapped += end - begin;
	}
	fclose(maps);
}

static struct holdings see_holdings(void)
{
	struct holdings holdings = {0};

	see_fds(&holdings);
	see_mappings(&holdings);
	return holdings;
}

static void compare(const struct holdings *before, const struct holdings *now)
{
	for (int fd = 0; fd < 256; fd++) {
		uint64_t bit = UINT64_C(1) << fd % 64;

		if ((before->fds[fd / 64] ^ now->fds[fd / 64]) & bit)
			scenario_wrong("descriptor %d was %s", fd,
				       now->fds[fd / 64] & bit ? "left open" : "closed");
	}
	if (now->has_segment && !report->ignores_mappings)
		scenario_wrong("a segment is still mapped");
	if (now->mapped != before->mapped && !report->ignores_mappings)
		scenario_wrong("%ld bytes are mapped that were not before",
			       (long)(now->mapped - before->mapped));
	if (report->allocations_held != 0)
		scenario_wrong("%ld allocations were not freed", report->allocations_held);
}

static void look_for_children(void)
{
	siginfo_t info = {0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return;
	if (!report->ignores_child)
		scenario_wrong("a %s is left", info.si_pid ? "zombie" : "child");
	if (report->guest > 0)
		kill(report->guest, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* "guest-fds" is found in the second directory. */
void scenario_find_guests(void)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "/nowhere:%s", harness_helper(".."));
	setenv("PATH", path, 1);
	snprintf(scenario_guest, PATH_MAX, "%s", harness_helper("../guest"));
}

/* --- One life -------------------------------------------------------------------------------- */

void scenario_wrong(const char *format, ...)
{
	va_list args;

	if (report->wrong[0] != '\0')
		return; /* the first tells most */
	va_start(args, format);
	vsnprintf(report->wrong, sizeof(report->wrong), format, args);
	va_end(args);
}

void scenario_enter(int line)
{
	/* A sentence that no other failure has, to see whether the next one writes its own. No system
	 * call is made for it. */
	peal_fd_validate(UNHEARD_OF);
	report->step = line;
}

bool scenario_leave(const char *call, long rc, long expected)
{
	int step = report->step;

	report->step = 0;
	if (rc == expected || (expected == 0 && rc >= 0))
		return true;
	report->failed_step = step;
	report->failed_rc = rc;
	snprintf(report->failed_call, sizeof(report->failed_call), "%s", call);
	snprintf(report->sentence, sizeof(report->sentence), "%s", peal_last_error());
	if ((rc >= 0 && !report->may_be_otherwise) || rc < -4095)
		scenario_wrong("%s gives %ld, neither %ld nor an errno", call, rc, expected);
	else if (rc < 0 && rc != -EAGAIN && rc != -ETIMEDOUT && strstr(report->sentence, SENTENCE))
		scenario_wrong("%s fails with %ld (%s) and says nothing", call, rc, strerror(-rc));
	return false;
}

void scenario_close_guest(struct world *world)
{
	struct peal_channel *guest = world->guest;
	bool is_strict = guest && report->scenario->is_strict;
	const int left[] = {is_strict ? peal_tx_fd(guest) : -1, is_strict ? peal_rx_fd(guest) : -1,
			    is_strict ? peal_channel_peer_fd(guest) : -1};

	world->guest = peal_channel_close(guest);
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		if (left[i] >= 0)
			close(left[i]);
	}
	report->ignores_mappings |= is_strict; /* there is no way to give those back */
}

static void release(struct world *world)
{
	scenario_enter(__LINE__);
	peal_poller_close(world->poller);
	scenario_enter(__LINE__);
	scenario_close_guest(world);
	scenario_enter(__LINE__);
	peal_channel_close(world->host);
	report->guest = world->child ? peal_child_pid(world->child) : 0;
	scenario_enter(__LINE__);
	peal_child_free(world->child);
	scenario_enter(__LINE__);
	peal_doorbell_close(&world->near);
	scenario_enter(__LINE__);
	peal_doorbell_close(&world->far);
	scenario_enter(__LINE__);
	peal_wake_pair_close(&world->wakes);
	report->step = 0;
	for (int i = 0; i < 8; i++) {
		/* What a call was given and did not take is still there. */
		if (world->fds[i] >= 0 && close(world->fds[i]) < 0)
			scenario_wrong("descriptor %d was closed by a call that failed",
				       world->fds[i]);
	}
}

static void set_the_stage(const struct scenario *scenario)
{
	cpu_set_t one;

	if (scenario->on_one_cpu) {
		CPU_ZERO(&one);
		CPU_SET(sched_getcpu(), &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	for (int fd = 0; scenario->without_streams && fd < 3; fd++)
		close(fd);
}

static void live(const struct scenario *scenario)
{
	struct peal_doorbell closed = {.wait_fd = -1, .signal_fd = -1, .watch_fd = -1};
	struct world world = {.near = closed,
			      .far = closed,
			      .wakes = {-1, -1},
			      .fds = {-1, -1, -1, -1, -1, -1, -1, -1}};

	report->is_complete = scenario->live(&world, scenario);
	report->step = 0;
	release(&world);
	report->is_finished = true;
}

/* So that the stack need not grow where there is no more room for it. */
static void touch_stack(void)
{
	volatile char deep[256 << 10];

	for (size_t i = 0; i < sizeof(deep); i += 4096)
		deep[i] = 0;
}

static void live_within_limit(const struct scenario *scenario)
{
	__rlimit_resource_t resource = (__rlimit_resource_t)report->limited;
	struct rlimit before;

	if (!report->limit) {
		live(scenario);
		return;
	}
	touch_stack();
	getrlimit(resource, &before);
	setrlimit(resource, report->limit);
	live(scenario);
	setrlimit(resource, &before);
}
void scenario_live(bool traced)
{
	const struct scenario *scenario = report->scenario;
	struct holdings before, now;

	set_the_stage(scenario);
	/* Once for the buffers that the C library keeps for good. */
	see_holdings();
	before = see_holdings();
	if (traced) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
	}
	live_within_limit(scenario);
	/* From the next system call on, the tracer has let go. */
	now = see_holdings();
	look_for_children();
	compare(&before, &now);
}
