/* SPDX-License-Identifier: MIT */
/*
 * search.c - depth first through everything that can happen, each state once.
 *
 * A state is the whole of both threads (the used part of their stacks, where they go on, their handles)
 * with memory, bells and lives. It is saved before each choice and brought back for the next one. A
 * state that was seen before is not gone through again; what is kept of it is a hash of 128 bits.
 * Nothing is left out by that, because what can follow depends on the state alone.
 *
 * It also counts the executions, which nobody could list: those of a state are the sum of those of
 * its successors. They end, since a state that can come back to itself is reported (cycle).
 */
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define KEPT_MAX  8
#define DEPTH_MAX 4000

struct explore_options explore_options;
struct explore_world explore_world;

/* --- States ---------------------------------------------------------------------------------- */

static struct {
	unsigned int owner;
	void *memory;
	size_t size;
} kept[KEPT_MAX];
static unsigned int kept_count;

void explore_keep(unsigned int owner, void *memory, size_t size)
{
	kept[kept_count].owner = owner;
	kept[kept_count].memory = memory;
	kept[kept_count++].size = size;
}

/* One level of the search: a state and what is still to be tried in it. */
struct level {
	unsigned char *saved;
	size_t saved_size;
	struct explore_action actions[ACTIONS_MAX];
	unsigned int count, next;
	struct explore_step step; /* of the action that was taken, for the trace */
	struct explore_hash hash;
	double executions;
};

static struct level levels[DEPTH_MAX];

static size_t put(struct level *level, size_t at, const void *memory, size_t size)
{
	if (at + size > level->saved_size) {
		level->saved_size = 2 * (at + size);
		level->saved = realloc(level->saved, level->saved_size);
		if (!level->saved)
			abort();
	}
	memcpy(level->saved + at, memory, size);
	return at + size;
}

static void save(struct level *level)
{
	const struct explore_memory *memory = explore_memory();
	size_t at = put(level, 0, &explore_world, sizeof(explore_world));

	at = put(level, at, memory->state, memory->state_size);
	for (unsigned int i = 0; i < kept_count; i++)
		at = put(level, at, kept[i].memory, kept[i].size);
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		size_t size;
		void *stack = explore_stack(thread, &size);

		at = put(level, at, stack, size);
	}
}

static const unsigned char *get(const unsigned char *from, void *memory, size_t size)
{
	memcpy(memory, from, size);
	return from + size;
}

static void bring_back(const struct level *level)
{
	const struct explore_memory *memory = explore_memory();
	const unsigned char *from = get(level->saved, &explore_world, sizeof(explore_world));

	from = get(from, memory->state, memory->state_size);
	for (unsigned int i = 0; i < kept_count; i++)
		from = get(from, kept[i].memory, kept[i].size);
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		size_t size;
		void *stack = explore_stack(thread, &size); /* the world says where */

		from = get(from, stack, size);
	}
}

static void mix_memory(struct explore_hash *hash, const void *memory, size_t size)
{
	const uint64_t *words = memory;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		explore_mix(hash, words[i]);
}

static bool is_over(unsigned int thread)
{
	return explore_world.side[thread].dead || explore_world.side[thread].ended;
}

/* The dead and the returned have no future: where they stopped makes no difference. */
static void mix_thread(struct explore_hash *hash, unsigned int thread)
{
	const struct explore_side *side = &explore_world.side[thread];
	size_t size;
	void *stack;

	mix_memory(hash, &side->ended, sizeof(uint64_t)); /* and all that follows it */
	if (is_over(thread))
		return;
	mix_memory(hash, &side->step, sizeof(side->step));
	mix_memory(hash, side->context, sizeof(side->context));
	stack = explore_stack(thread, &size);
	mix_memory(hash, stack, size);
}

static struct explore_hash hash_state(void)
{
	struct explore_hash hash = {1, 2};

	explore_mix(&hash, explore_world.returns);
	explore_memory()->hash(&hash);
	for (unsigned int thread = 0; thread < THREADS; thread++)
		mix_thread(&hash, thread);
	for (unsigned int i = 0; i < kept_count; i++) {
		if (kept[i].owner == THREADS || !is_over(kept[i].owner))
			mix_memory(&hash, kept[i].memory, kept[i].size);
	}
	return hash;
}

/* --- The search ------------------------------------------------------------------------------ */

static struct explore_found found;

static bool find(const char *verdict, const char *sentence)
{
	found.verdict = verdict;
	found.sentence = sentence;
	return false;
}

/* The word before the colon. */
static bool fail(void)
{
	static char verdict[16];
	const char *sentence = explore_world.failure;
	size_t length = strcspn(sentence, ":");

	if (length >= sizeof(verdict))
		length = sizeof(verdict) - 1;
	memcpy(verdict, sentence, length);
	verdict[length] = 0;
	return find(verdict, sentence);
}

static bool nothing_happens(const struct level *level)
{
	for (unsigned int i = 0; i < level->count; i++) {
		if (!level->actions[i].idle)
			return false;
	}
	return true;
}

/* A state is reached, by way of @from. Return: whether the search goes on; *@is_new: below here. */
static bool arrive(struct level *level, struct level *from, bool *is_new)
{
	double executions;

	*is_new = false;
	if (explore_world.failure)
		return fail();
	if (explore_memory()->is_over())
		return find("bound", "a history has more messages than there is room for");
	level->hash = hash_state();
	if (!explore_is_new(&level->hash, &executions)) {
		if (executions == 0)
			return find("cycle", "a state can come back to itself");
		from->executions += executions;
		return true;
	}
	if (++found.states > explore_options.limit)
		return find("bound", "more states than the limit");
	level->count = explore_actions(level->actions);
	level->next = 0;
	level->executions = 0;
	*is_new = true;
	if (!nothing_happens(level))
		return true;
	if (!is_over(PRODUCER) || !is_over(CONSUMER))
		return find("hang", "somebody sleeps for ever");
	found.ends++;
	level->count = 0;
	level->executions = 1;
	return true;
}

/* Go on from the state of the level. */
static void act(struct level *level)
{
	const struct explore_action *action = &level->actions[level->next];

	if (level->next++ > 0)
		bring_back(level);
	level->step = explore_world.side[action->thread].step;
	found.transitions++;
	explore_act(action);
	explore_settle();
}

static bool search(unsigned int *depth)
{
	bool is_new;

	*depth = 0;
	if (!arrive(&levels[0], NULL, &is_new))
		return false;
	save(&levels[0]);
	for (;;) {
		struct level *level = &levels[*depth];

		if (level->next < level->count) {
			act(level);
			if (*depth + 1 == DEPTH_MAX)
				return find("bound", "an execution of too many steps");
			if (!arrive(level + 1, level, &is_new))
				return false;
			if (!is_new)
				continue;
			++*depth;
			if (*depth > found.depth)
				found.depth = *depth;
			if (level[1].count > 0)
				save(level + 1);
			continue;
		}
		explore_leads_to(&level->hash, level->executions);
		if (*depth == 0) {
			found.verdict = "pass";
			return true;
		}
		level[-1].executions += level->executions;
		--*depth;
	}
}

static void begin(void)
{
	uint64_t values[WORDS] = {0};

	scenario_begin(values);
	explore_memory()->reset(values);
	explore_start(PRODUCER, scenario_producer);
	explore_start(CONSUMER, scenario_consumer);
	explore_settle();
}

struct explore_found explore_search(explore_tell *tell)
{
	unsigned int depth;
	bool complete;

	begin();
	complete = search(&depth);
	if (complete)
		found.executions = levels[0].executions;
	for (unsigned int i = 0; explore_options.trace && !complete && i <= depth; i++)
		tell(&levels[i].actions[levels[i].next - 1], &levels[i].step);
	return found;
}
