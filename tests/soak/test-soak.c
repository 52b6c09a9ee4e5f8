/* SPDX-License-Identifier: MIT */
/*
 * Promises that only time can show: whatever guests do and suffer, each record that one committed
 * arrives once, whole and in order, and nothing is left of anybody.
 *
 * PEAL_SOAK_SECONDS (or the first argument): how long, all three together; PEAL_SOAK_SEED (or the
 * second): which lives. A terminal gets a line each second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "soak/soak.h"

#define PLACES            200
/* What one place has at most: a channel by eventfds, its child, a second number for a pidfd; and what
 * is there besides: a channel's other half while it starts, the pollers, the test's own. */
#define PLACE_DESCRIPTORS 7
#define OTHER_DESCRIPTORS 64
/* Three of them in CI. */
#define DEFAULT_SECONDS   6

#define SECOND UINT64_C(1000000000)

#define SECONDS_MAX 6000

static uint64_t total_ns, seed;

/* --- Before ---------------------------------------------------------------------------------- */

static void raise_limit(void)
{
	const rlim_t needed = PLACES * PLACE_DESCRIPTORS + OTHER_DESCRIPTORS;
	struct rlimit limit;
	char why[128];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < needed) {
		snprintf(why, sizeof(why),
			 "%d channels need %llu descriptors; the hard RLIMIT_NOFILE is %llu",
			 PLACES, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
		harness_skip(why);
	}
	if (limit.rlim_cur < needed)
		limit.rlim_cur = needed;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void open_places(struct soak *soak)
{
	size_t size = (size_t)soak->place_count * sizeof(*soak->ledgers);

	soak->ledger_fd = memfd_create("ledgers", MFD_CLOEXEC);
	ck_assert_int_ge(soak->ledger_fd, 0);
	ck_assert_int_eq(ftruncate(soak->ledger_fd, (off_t)size), 0);
	soak->ledgers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, soak->ledger_fd, 0);
	ck_assert_ptr_ne(soak->ledgers, MAP_FAILED);
	soak->places = calloc((size_t)soak->place_count, sizeof(*soak->places));
	ck_assert_ptr_nonnull(soak->places);
	for (int i = 0; i < soak->place_count; i++)
		soak->places[i] = (struct place){
			.soak = soak,
			.station = &soak->stations[i % soak->station_count],
			.ledger = &soak->ledgers[i],
			.dice = stream_random(&soak->dice),
		};
}

static void close_places(struct soak *soak)
{
	munmap(soak->ledgers, (size_t)soak->place_count * sizeof(*soak->ledgers));
	close(soak->ledger_fd);
	free(soak->places);
}

/* --- Meanwhile ------------------------------------------------------------------------------- */

static bool is_free(struct place *place)
{
	/* Acquire: the poller's thread has buried the last one. */
	return __atomic_load_n(&place->state, __ATOMIC_ACQUIRE) == PLACE_FREE;
}

static void start_one(struct place *place)
{
	if (place_start(place))
		assert_ok(peal_poller_wake(place->station->poller));
}

/* Something happens to somebody, and a place that is free gets a new guest. */
static void stir(struct soak *soak)
{
	int at = (int)(stream_random(&soak->dice) % (uint64_t)soak->place_count);
	struct timespec moment = {.tv_nsec = (long)(stream_random(&soak->dice) % 4000000)};

	if (!is_free(&soak->places[at])) {
		__atomic_store_n(&soak->places[at].shake, 1, __ATOMIC_RELEASE);
		assert_ok(peal_poller_wake(soak->places[at].station->poller));
	}
	for (int i = 0; i < soak->place_count; i++, at = (at + 1) % soak->place_count) {
		if (is_free(&soak->places[at])) {
			start_one(&soak->places[at]);
			return;
		}
	}
	nanosleep(&moment, NULL);
}

static void print_figures(const struct soak *soak, uint64_t begin_ns, const char *end)
{
	const struct figures *f = &soak->figures;

	printf("%4llu s  %d channels  %llu restarts  %llu kills  %llu stops  %llu closings  "
	       "%.2f M records  %.1f MB%s",
	       (unsigned long long)((peal_now_ns() - begin_ns) / SECOND), soak->place_count,
	       (unsigned long long)f->lives - (unsigned long long)soak->place_count,
	       (unsigned long long)f->kills, (unsigned long long)f->stops,
	       (unsigned long long)f->closes, (double)f->records / 1e6, (double)f->bytes / 1e6,
	       end);
	fflush(stdout);
}

/* However slow the machine is. */
static bool is_enough(const struct soak *soak)
{
	uint64_t places = (uint64_t)soak->place_count;
	const struct figures *f = &soak->figures;

	return __atomic_load_n(&f->lives, __ATOMIC_RELAXED) >= places + places / 2 &&
	       __atomic_load_n(&f->kills, __ATOMIC_RELAXED) >= places / 4 &&
	       __atomic_load_n(&f->stops, __ATOMIC_RELAXED) >= places / 4 &&
	       __atomic_load_n(&f->closes, __ATOMIC_RELAXED) >= places / 4;
}

static void run(struct soak *soak, uint64_t duration_ns, bool show)
{
	uint64_t begin_ns = peal_now_ns(), told_ns = begin_ns, now_ns;

	soak->dice = soak->seed;
	open_places(soak);
	crew_start(soak);
	for (int i = 0; i < soak->place_count; i++)
		start_one(&soak->places[i]);
	while ((now_ns = peal_now_ns()) - begin_ns < duration_ns || !is_enough(soak)) {
		stir(soak);
		if (show && isatty(STDOUT_FILENO) && now_ns - told_ns >= SECOND) {
			told_ns = now_ns;
			print_figures(soak, begin_ns, "\r");
		}
	}
	__atomic_store_n(&soak->is_finishing, 1, __ATOMIC_RELEASE);
	crew_join(soak);
	if (show)
		print_figures(soak, begin_ns, "\n");
	close_places(soak);
}

/* Loop index: 0 io_uring, 1 epoll, 2 one poller of each. */
START_TEST(each_record_is_accounted_for_and_nothing_is_left)
{
	static const char *const names[] = {"io_uring", "epoll", "both"};
	struct soak shape = {.seed = seed, .place_count = 24, .station_count = _i == 2 ? 2 : 1};
	struct soak warm_up, soak;
	struct baseline before;

	raise_limit();
	mallopt(M_ARENA_MAX, 1); /* else it would depend on chance how much each keeps */
	/* What a guest might have started is to be found here. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	shape.backends[0] = _i == 1 ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING;
	shape.backends[1] = PEAL_POLLER_EPOLL;
	printf("soak: %s, seed %llu\n", names[_i], (unsigned long long)seed);
	/* So that the C library has what it keeps for good: stacks of threads, buffers. */
	warm_up = shape;
	run(&warm_up, SECOND / 4, false);
	before = baseline_take();
	soak = shape;
	soak.place_count = PLACES;
	run(&soak, total_ns / 3, true);
	baseline_check(&before);
}
END_TEST

static uint64_t setting(int argc, char **argv, int index, const char *name, uint64_t otherwise)
{
	const char *text = argc > index ? argv[index] : getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t seconds = setting(argc, argv, 1, "PEAL_SOAK_SECONDS", DEFAULT_SECONDS);
	char factor[24];

	/* A third of it each case, and Check can not bear one of more than 2^31 µs. */
	if (seconds > SECONDS_MAX) {
		fprintf(stderr, "soak: PEAL_SOAK_SECONDS is %llu, and at most %d\n",
			(unsigned long long)seconds, SECONDS_MAX);
		return EXIT_FAILURE;
	}
	seed = setting(argc, argv, 2, "PEAL_SOAK_SEED", peal_now_ns());
	total_ns = seconds * SECOND;
	/* The time-out is for what comes on top of that. */
	snprintf(factor, sizeof(factor), "%llu", (unsigned long long)seconds / 300 + 1);
	setenv("CK_TIMEOUT_MULTIPLIER", factor, 0);
	return harness_main("soak", (struct harness_case[]){
					    {each_record_is_accounted_for_and_nothing_is_left, 3},
					    HARNESS_END,
				    });
}
