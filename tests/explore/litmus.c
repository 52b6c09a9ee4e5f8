/* SPDX-License-Identifier: MIT */
/*
 * litmus.c - the explorer itself on trial, in place of code.c and scenario.c: small programs of which it
 * is known what each machine may show. What is looked for is the weak outcome; the claim that fails
 * when it is there begins with "seen".
 *
 * Words of the producer are X and Y, one of the consumer is Z.
 */
#include <string.h>

#include <peal/detail/atomic.h>

#define X (&words[0])
#define Y (&words[1])
#define Z (&words[WORD_DATA_WAIT])

static uint64_t words[WORDS]; /* addresses only */

static struct {
	uint64_t first[THREADS], second[THREADS];
	uint64_t finished;
} got;

int scenario_word(const void *address)
{
	const uint64_t *word = address;

	return word >= words && word < words + WORDS ? (int)(word - words) : -1;
}

void scenario_stored(const uint64_t *address, uint64_t value)
{
	(void)address;
	(void)value;
}

void scenario_begin(uint64_t values[WORDS])
{
	memset(values, 0, WORDS * sizeof(*values));
	explore_keep(THREADS, &got, sizeof(got));
}

/* --- Store buffering: each stores, then loads what the other stores --------------------------- */

static void nothing(void)
{
}

static void full(void)
{
	peal_barrier_full();
}

static void heavy(void)
{
	explore_call(EXPLORE_MEMBARRIER);
}

static void light(void)
{
	peal_barrier_light();
}

static void store_load(uint64_t *own, const uint64_t *other, void (*barrier)(void))
{
	peal_store_release(own, 1);
	barrier();
	got.first[explore_running()] = peal_load_acquire(other);
}

static bool both_missed(void)
{
	return got.first[PRODUCER] == 0 && got.first[CONSUMER] == 0;
}

#define STORE_BUFFERING(name, barrier_p, barrier_c)                                                \
	static void name##_p(void)                                                                 \
	{                                                                                          \
		store_load(X, Z, barrier_p);                                                       \
	}                                                                                          \
	static void name##_c(void)                                                                 \
	{                                                                                          \
		store_load(Z, X, barrier_c);                                                       \
	}

STORE_BUFFERING(sb, nothing, nothing)
STORE_BUFFERING(sb_full, full, full)
STORE_BUFFERING(sb_one, full, nothing)
STORE_BUFFERING(sb_asym, light, heavy)
STORE_BUFFERING(sb_moved, nothing, heavy)
STORE_BUFFERING(sb_mixed, full, heavy)
STORE_BUFFERING(sb_wrong, light, full)

/* --- Message passing: data, then a flag ------------------------------------------------------- */

static void mp_p(void)
{
	peal_store_relaxed(X, 1);
	peal_store_release(Y, 1);
}

static void mp_relaxed_p(void)
{
	peal_store_relaxed(X, 1);
	peal_store_relaxed(Y, 1);
}

static void mp_fence_p(void)
{
	peal_store_relaxed(X, 1);
	peal_barrier_full();
	peal_store_relaxed(Y, 1);
}

static void mp_c(void)
{
	got.first[CONSUMER] = peal_load_acquire(Y);
	got.second[CONSUMER] = peal_load_relaxed(X);
}

static void mp_relaxed_c(void)
{
	got.first[CONSUMER] = peal_load_relaxed(Y);
	got.second[CONSUMER] = peal_load_relaxed(X);
}

static void mp_fence_c(void)
{
	got.first[CONSUMER] = peal_load_relaxed(Y);
	peal_barrier_full();
	got.second[CONSUMER] = peal_load_relaxed(X);
}

static bool flag_without_data(void)
{
	return got.first[CONSUMER] == 1 && got.second[CONSUMER] == 0;
}

/* One word, read twice: never back. */
static void twice_p(void)
{
	peal_store_relaxed(X, 1);
	peal_store_relaxed(X, 2);
}

static void twice_c(void)
{
	got.first[CONSUMER] = peal_load_relaxed(X);
	got.second[CONSUMER] = peal_load_relaxed(X);
}

static bool went_back(void)
{
	return got.second[CONSUMER] < got.first[CONSUMER];
}

/* The outcome that is not weak, so that a pass of mp is no accident. */
static bool data_came(void)
{
	return got.first[CONSUMER] == 1 && got.second[CONSUMER] == 1;
}

/* --- Plain data: only ordered accesses ------------------------------------------------------- */

static void plain_p(void)
{
	explore_store(X, 1, EXPLORE_PLAIN);
	peal_store_release(Y, 1);
	/* Only once the reader has said that it is done. */
	if (peal_load_acquire(Z) == 1)
		explore_store(X, 2, EXPLORE_PLAIN);
}

static void read_plain(void (*say_done)(uint64_t *, uint64_t))
{
	if (peal_load_acquire(Y) == 1)
		got.first[CONSUMER] = explore_load(X, EXPLORE_PLAIN);
	say_done(Z, 1);
}

static void release_to(uint64_t *word, uint64_t value)
{
	peal_store_release(word, value);
}

static void relaxed_to(uint64_t *word, uint64_t value)
{
	peal_store_relaxed(word, value);
}

static void plain_c(void)
{
	read_plain(release_to);
}

static void plain_reused_c(void)
{
	read_plain(relaxed_to);
}

static void plain_relaxed_p(void)
{
	explore_store(X, 1, EXPLORE_PLAIN);
	peal_store_relaxed(Y, 1);
}

static bool never(void)
{
	return false;
}

/* --- A drain, then a store that says that it was made ----------------------------------------- */

static void drain_release_c(void)
{
	explore_call(EXPLORE_DRAIN);
	peal_store_release(Z, 1);
	got.first[CONSUMER] = (uint64_t)(explore_world.side[CONSUMER].draining != 0);
}

static void drain_relaxed_c(void)
{
	explore_call(EXPLORE_DRAIN);
	peal_store_relaxed(Z, 1);
	got.first[CONSUMER] = (uint64_t)(explore_world.side[CONSUMER].draining != 0);
}

static bool stored_before_drained(void)
{
	return got.first[CONSUMER] == 1;
}

/* Three steps each: there are 20 orders of them, and the search must have gone through all. */
static void three_p(void)
{
	for (int i = 0; i < 3; i++)
		peal_load_relaxed(Z);
}

static void three_c(void)
{
	for (int i = 0; i < 3; i++)
		peal_load_relaxed(X);
}

/* --- What ends a search ---------------------------------------------------------------------- */

static void set_p(void)
{
	peal_store_relaxed(X, 1);
}

static void spin_c(void)
{
	while (peal_load_relaxed(X) == 0)
		;
}

static void ring_p(void)
{
	explore_call(EXPLORE_RING);
}

static void sleep_c(void)
{
	explore_call(EXPLORE_WAIT);
}

static void sleep_twice_c(void)
{
	explore_call(EXPLORE_WAIT);
	explore_call(EXPLORE_DRAIN);
	explore_call(EXPLORE_WAIT);
}

/* --- The programs ---------------------------------------------------------------------------- */

static const struct program {
	const char *name;
	void (*body[THREADS])(void);
	bool (*weak)(void);
} programs[] = {
	{"sb", {sb_p, sb_c}, both_missed},
	{"sb-full", {sb_full_p, sb_full_c}, both_missed},
	{"sb-one", {sb_one_p, sb_one_c}, both_missed},
	{"sb-asym", {sb_asym_p, sb_asym_c}, both_missed},
	{"sb-moved", {sb_moved_p, sb_moved_c}, both_missed},
	{"sb-mixed", {sb_mixed_p, sb_mixed_c}, both_missed},
	{"sb-wrong", {sb_wrong_p, sb_wrong_c}, both_missed},
	{"mp", {mp_p, mp_c}, flag_without_data},
	{"mp-store", {mp_relaxed_p, mp_c}, flag_without_data},
	{"mp-load", {mp_p, mp_relaxed_c}, flag_without_data},
	{"mp-fence", {mp_fence_p, mp_fence_c}, flag_without_data},
	{"mp-arrives", {mp_p, mp_c}, data_came},
	{"twice", {twice_p, twice_c}, went_back},
	{"plain", {plain_p, plain_c}, never},
	{"plain-store", {plain_relaxed_p, plain_c}, never},
	{"plain-reused", {plain_p, plain_reused_c}, never},
	{"drain", {nothing, drain_release_c}, stored_before_drained},
	{"drain-relaxed", {nothing, drain_relaxed_c}, stored_before_drained},
	{"spin", {set_p, spin_c}, never},
	{"sleep", {ring_p, sleep_c}, never},
	{"sleep-twice", {ring_p, sleep_twice_c}, never},
	{"three", {three_p, three_c}, never},
};

static void run(void)
{
	const struct program *program = programs;

	while (program < programs + sizeof(programs) / sizeof(programs[0]) &&
	       strcmp(program->name, explore_options.litmus) != 0)
		program++;
	explore_claim(program < programs + sizeof(programs) / sizeof(programs[0]),
		      "unknown: no such litmus");
	program->body[explore_running()]();
	got.finished++;
	explore_claim(got.finished < THREADS || !program->weak(), "seen: the weak outcome");
}

void scenario_producer(void)
{
	run();
}

void scenario_consumer(void)
{
	run();
}
