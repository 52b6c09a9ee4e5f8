/* SPDX-License-Identifier: MIT */
/*
 * system.c - what can happen next, and what comes of it: steps, bells, time-outs, death.
 *
 * A bell is an eventfd or a socket: rings coalesce until they are drained; a wait ends when one is
 * pending, when the peer has hung up, or, a few times, for nothing: the deadline, or a bell that
 * nobody of ours has rung. Ringing somebody who has hung up is told as such (socket) or not (eventfd).
 *
 * Calls of the bell order no memory unless the case says so. In the machines in which stores may
 * overtake, a drain may even take effect late: until the next release store, barrier or call of this
 * thread. A relaxed store does not wait for it.
 */
#include <errno.h>

#include "explore.h"

/* Ways for a wait to end. */
enum wait_way { WAIT_RUNG, WAIT_HUNG_UP, WAIT_STRAY, WAIT_LATE, WAIT_WAYS };

/* Ways for a ring to end. */
enum ring_way { RING_DONE, RING_GONE, RING_WAYS };

const struct explore_memory *explore_memory(void)
{
	return explore_options.machine == MACHINE_VIEWS ? &explore_views : &explore_flat;
}

static bool is_weak(void)
{
	return explore_options.machine == MACHINE_PSO || explore_options.machine == MACHINE_VIEWS;
}

static struct explore_side *side_of(unsigned int thread)
{
	return &explore_world.side[thread];
}

static bool has_hung_up(unsigned int thread)
{
	return side_of(thread)->hung_up;
}

static bool is_live(const struct explore_side *side)
{
	return !side->dead && !side->ended;
}

static bool may_crash(unsigned int thread)
{
	return explore_options.crash >> thread & 1 && is_live(side_of(thread)) &&
	       !side_of(explore_other(thread))->dead;
}

/* Does a step wait for a drain that has not taken effect? */
static bool is_held_up(const struct explore_side *side)
{
	const struct explore_step *step = &side->step;

	if (!side->draining || step->kind == EXPLORE_LOAD)
		return false;
	return step->kind != EXPLORE_STORE || step->order == EXPLORE_RELEASE;
}

static bool is_local(unsigned int thread)
{
	struct explore_side *side = side_of(thread);

	return is_live(side) && !is_held_up(side) && side->step.kind <= EXPLORE_MEMBARRIER &&
	       explore_memory()->is_local(thread, &side->step);
}

static bool wait_may_end(unsigned int thread, unsigned int way)
{
	const struct explore_side *side = side_of(thread);

	switch (way) {
	case WAIT_RUNG:
		return side->bell;
	case WAIT_HUNG_UP:
		return has_hung_up(explore_other(thread));
	case WAIT_STRAY:
	case WAIT_LATE:
		return explore_world.returns < explore_options.returns;
	default:
		return false;
	}
}

/* --- What can happen ------------------------------------------------------------------------- */

struct list {
	struct explore_action *actions;
	unsigned int count;
};

static void add(struct list *list, enum explore_act act, unsigned int thread, unsigned int way,
		bool idle)
{
	if (list->count < ACTIONS_MAX)
		list->actions[list->count++] =
			(struct explore_action){(uint8_t)act, (uint8_t)thread, (uint8_t)way, idle};
}

static void add_steps(struct list *list, unsigned int thread)
{
	const struct explore_side *side = side_of(thread);
	unsigned int ways = 1;

	if (!is_live(side) || is_held_up(side))
		return;
	if (side->step.kind <= EXPLORE_MEMBARRIER)
		ways = explore_memory()->ways(thread, &side->step);
	else if (explore_options.calls_order && !explore_memory()->is_settled(thread))
		ways = 0;
	else if (side->step.kind == EXPLORE_WAIT)
		ways = WAIT_WAYS;
	else if (side->step.kind == EXPLORE_RING)
		ways = has_hung_up(explore_other(thread)) ? RING_WAYS : 1;
	for (unsigned int way = 0; way < ways; way++) {
		if (side->step.kind != EXPLORE_WAIT)
			add(list, ACT_STEP, thread, way, false);
		else if (wait_may_end(thread, way))
			add(list, ACT_STEP, thread, way, way == WAIT_STRAY || way == WAIT_LATE);
	}
}

static void add_rest(struct list *list, unsigned int thread)
{
	const struct explore_memory *memory = explore_memory();
	const struct explore_side *side = side_of(thread);
	unsigned int flushes = memory->flushes(thread);

	for (unsigned int way = 0; way < flushes; way++) {
		if (memory->may_flush(thread, way))
			add(list, ACT_FLUSH, thread, way, false);
	}
	if (side->draining && !side->dead)
		add(list, ACT_DRAINED, thread, 0, false);
	/* The dead hang up, and where one may die, who ends hangs up as well. */
	if (!is_live(side) && explore_options.crash >> thread & 1 && !side->hung_up &&
	    (memory->is_settled(thread) || explore_options.early))
		add(list, ACT_HANG_UP, thread, 0, false);
	if (may_crash(thread))
		add(list, ACT_CRASH, thread, 0, true);
}

unsigned int explore_actions(struct explore_action actions[ACTIONS_MAX])
{
	struct list list = {actions, 0};

	/* To take such a step or to die before it: nothing else needs to come in between. */
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		if (!is_local(thread))
			continue;
		add(&list, ACT_STEP, thread, 0, false);
		if (may_crash(thread))
			add(&list, ACT_CRASH, thread, 0, true);
		return list.count;
	}
	for (unsigned int thread = 0; thread < THREADS; thread++)
		add_steps(&list, thread);
	for (unsigned int thread = 0; thread < THREADS; thread++)
		add_rest(&list, thread);
	return list.count;
}

/* --- What comes of it ------------------------------------------------------------------------ */

static int end_wait(struct explore_side *side, unsigned int way)
{
	switch (way) {
	case WAIT_RUNG:
		if (!side->fresh)
			explore_world.failure = "busy: one bell woke twice";
		side->fresh = 0;
		return 0;
	case WAIT_HUNG_UP:
		return -EPIPE;
	case WAIT_STRAY:
		explore_world.returns++;
		return 0;
	default:
		explore_world.returns++;
		return -ETIMEDOUT;
	}
}

static int call(unsigned int thread, unsigned int way)
{
	struct explore_side *side = side_of(thread), *other = side_of(explore_other(thread));

	if (explore_options.calls_order)
		explore_memory()->fence(thread);
	switch (side->step.kind) {
	case EXPLORE_RING:
		other->bell = 1;
		other->fresh = 1;
		return way == RING_GONE ? -EPIPE : 0;
	case EXPLORE_WAIT:
		return end_wait(side, way);
	case EXPLORE_DRAIN:
		if (is_weak() && !explore_options.calls_order)
			side->draining = 1;
		else
			side->bell = 0;
		return 0;
	case EXPLORE_CHECK:
		return other->hung_up ? -EPIPE : 0;
	default:
		return 0;
	}
}

static void take_step(unsigned int thread, unsigned int way)
{
	struct explore_side *side = side_of(thread);

	if (side->step.kind <= EXPLORE_MEMBARRIER)
		side->result =
			explore_memory()->take(thread, &side->step, way, &explore_world.failure);
	else
		side->result = (uint64_t)(int64_t)call(thread, way);
	if (explore_world.failure)
		return;
	explore_resume(thread);
	side->result = 0; /* it has been read */
}

void explore_act(const struct explore_action *action)
{
	struct explore_side *side = side_of(action->thread);

	switch ((enum explore_act)action->act) {
	case ACT_STEP:
		take_step(action->thread, action->way);
		break;
	case ACT_FLUSH:
		explore_memory()->flush(action->thread, action->way);
		break;
	case ACT_DRAINED:
		side->draining = 0;
		side->bell = 0;
		break;
	case ACT_HANG_UP:
		side->hung_up = 1;
		/* On its way out it went through the scheduler. */
		if (!explore_options.early)
			explore_memory()->bury(action->thread);
		break;
	case ACT_CRASH:
		side->dead = 1;
		break;
	}
}

void explore_settle(void)
{
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		while (!explore_world.failure && is_local(thread) && !may_crash(thread))
			take_step(thread, 0);
	}
}
