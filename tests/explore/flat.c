/* SPDX-License-Identifier: MIT */
/*
 * flat.c - memory with one value a word, and store buffers in front of it.
 *
 *      producer ──▶ buffer ──┐        ┌── buffer ◀── consumer
 *          ▲                 ▼        ▼                 ▲
 *          └───────────────── memory ───────────────────┘
 *
 * SC: no buffers. TSO: each is a queue; a thread sees its own stores at once. PSO: a store that is not
 * a release may overtake older ones to other words; a release leaves when it is the oldest. Loads keep
 * their order in all three, so that acquire means nothing here; views.c is for that.
 *
 * To put a store into one's own buffer commutes with everything the other thread does and with every
 * flush, so it is taken at once, without a choice (a persistent set of one).
 */
#include <string.h>

#include "explore.h"

#define PLACES_MAX 16

struct buffered {
	uint64_t word;
	uint64_t value;
	uint64_t release;
};

static struct {
	uint64_t memory[WORDS];
	struct buffered buffer[THREADS][PLACES_MAX];
	uint64_t count[THREADS];
} flat;

static void reset(const uint64_t values[WORDS])
{
	memset(&flat, 0, sizeof(flat));
	memcpy(flat.memory, values, sizeof(flat.memory));
}

static bool is_settled(unsigned int thread)
{
	return flat.count[thread] == 0;
}

static bool has_place(unsigned int thread)
{
	return explore_options.machine == MACHINE_SC || flat.count[thread] < explore_options.places;
}

static unsigned int ways(unsigned int thread, const struct explore_step *step)
{
	switch (step->kind) {
	case EXPLORE_STORE:
		return has_place(thread);
	case EXPLORE_FENCE:
		return is_settled(thread);
	case EXPLORE_MEMBARRIER: /* at one moment: ours was before, and the other's is now */
		return is_settled(thread) && is_settled(explore_other(thread));
	default:
		return 1;
	}
}

static uint64_t load(unsigned int thread, uint64_t word)
{
	for (uint64_t i = flat.count[thread]; i > 0; i--) {
		if (flat.buffer[thread][i - 1].word == word)
			return flat.buffer[thread][i - 1].value;
	}
	return flat.memory[word];
}

static uint64_t take(unsigned int thread, const struct explore_step *step, unsigned int way,
		     const char **failure)
{
	(void)way;
	(void)failure;
	if (step->kind == EXPLORE_LOAD)
		return load(thread, step->word);
	if (step->kind == EXPLORE_STORE && explore_options.machine == MACHINE_SC)
		flat.memory[step->word] = step->value;
	else if (step->kind == EXPLORE_STORE)
		flat.buffer[thread][flat.count[thread]++] =
			(struct buffered){step->word, step->value, step->order == EXPLORE_RELEASE};
	return 0;
}

static bool is_local(unsigned int thread, const struct explore_step *step)
{
	return step->kind == EXPLORE_STORE && explore_options.machine != MACHINE_SC &&
	       has_place(thread);
}

static unsigned int flushes(unsigned int thread)
{
	if (explore_options.machine == MACHINE_PSO)
		return (unsigned int)flat.count[thread];
	return flat.count[thread] > 0;
}

static bool may_flush(unsigned int thread, unsigned int way)
{
	const struct buffered *buffer = flat.buffer[thread];

	if (way > 0 && buffer[way].release)
		return false;
	for (unsigned int i = 0; i < way; i++) {
		if (buffer[i].word == buffer[way].word)
			return false;
	}
	return true;
}

static void flush(unsigned int thread, unsigned int way)
{
	struct buffered *buffer = flat.buffer[thread];

	flat.memory[buffer[way].word] = buffer[way].value;
	flat.count[thread]--;
	for (unsigned int i = way; i < flat.count[thread]; i++)
		buffer[i] = buffer[i + 1];
	buffer[flat.count[thread]] = (struct buffered){0};
}

static void nothing(unsigned int thread)
{
	(void)thread;
}

static void hash(struct explore_hash *sum)
{
	for (unsigned int word = 0; word < WORDS; word++)
		explore_mix(sum, flat.memory[word]);
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		explore_mix(sum, flat.count[thread]);
		for (unsigned int i = 0; i < flat.count[thread]; i++) {
			explore_mix(sum, flat.buffer[thread][i].word << 1 |
						 flat.buffer[thread][i].release);
			explore_mix(sum, flat.buffer[thread][i].value);
		}
	}
}

static bool is_over(void)
{
	return false;
}

const struct explore_memory explore_flat = {
	.reset = reset,
	.ways = ways,
	.take = take,
	.is_local = is_local,
	.flushes = flushes,
	.may_flush = may_flush,
	.flush = flush,
	.is_settled = is_settled,
	.fence = nothing,
	.light = nothing,
	.bury = nothing,
	.hash = hash,
	.is_over = is_over,
	.state = &flat,
	.state_size = sizeof(flat),
};
