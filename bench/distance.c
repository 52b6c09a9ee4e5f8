/* SPDX-License-Identifier: MIT */
/*
 * distance.c - how far apart are the two processors now?
 *
 * A virtual processor is moved from core to core by its host: what was a neighbour with a common
 * cache is on another chip a second later, and every ring is then several times slower. Two runs can
 * only be compared if they ran at the same distance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* The best of several: whoever else uses a processor for a moment has not moved it. */
#define BATCHES 10
#define ROUNDS  200
/* So many looks for one answer, many milliseconds; then the other one is gone or has no processor. */
#define LOOKS   10000000

struct court {
	uint64_t forth __attribute__((aligned(128)));
	uint64_t back __attribute__((aligned(128)));
	double ns;
};

static bool await(const uint64_t *flag, uint64_t value)
{
	for (int i = 0; i < LOOKS; i++)
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == value)
			return true;
	return false;
}

static void play(struct court *court, const int cpus[2])
{
	pid_t parent = getpid(), other;
	uint64_t begin_ns = 0;
	double best_ns = INFINITY;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		bench_pin(cpus[1]);
		for (uint64_t i = 1; i <= BATCHES * ROUNDS && await(&court->forth, i); i++)
			__atomic_store_n(&court->back, i, __ATOMIC_RELEASE);
		_exit(0);
	}
	bench_pin(cpus[0]);
	for (uint64_t i = 1; i <= BATCHES * ROUNDS && other > 0; i++) {
		if (i % ROUNDS == 1)
			begin_ns = bench_now_ns();
		__atomic_store_n(&court->forth, i, __ATOMIC_RELEASE);
		if (!await(&court->back, i))
			break;
		if (i % ROUNDS == 0)
			best_ns = fmin(best_ns, (double)(bench_now_ns() - begin_ns));
	}
	court->ns = best_ns / ROUNDS;
	_exit(0);
}

double bench_distance_ns(const int cpus[2])
{
	struct court *court = mmap(NULL, sizeof(*court), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double ns = NAN;
	pid_t first;

	if (court == MAP_FAILED)
		return NAN;
	first = fork();
	if (first == 0)
		play(court, cpus);
	while (first > 0 && waitpid(first, NULL, 0) < 0 && errno == EINTR)
		;
	if (court->ns > 0 && isfinite(court->ns))
		ns = court->ns;
	munmap(court, sizeof(*court));
	return ns;
}

bool bench_same_distance(double a, double b)
{
	return a <= b * 1.5 && b <= a * 1.5;
}
