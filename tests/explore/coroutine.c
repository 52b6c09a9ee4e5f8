/* SPDX-License-Identifier: MIT */
/*
 * coroutine.c - two threads of control on stacks of their own, which can be saved and brought back.
 *
 * A thread is entered once, by makecontext(). From then on the compiler's own setjmp switches: it
 * saves three words and leaves the rest of the state on the stack, so that a copy of the used part of
 * the stack and of these words is all of the thread.
 */
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "explore.h"

#define STACK_SIZE 65536
/* Where a leaf function may keep things below the stack pointer (System V ABI of x86-64). */
#define RED_ZONE   128
/* Below that, what ended calls have left is wiped, so that it does not make equal states differ. */
#define WIPE       1024

static _Alignas(64) unsigned char stacks[THREADS][STACK_SIZE];
static void *scheduler[5];
static ucontext_t main_context;

/* The compiler's setjmp stores frame, label and stack pointer in this order (GCC internals,
 * "builtin_setjmp_setup"). */
static unsigned char *stack_pointer(unsigned int thread)
{
	return (unsigned char *)explore_world.side[thread].context[2] - RED_ZONE;
}

__attribute__((noipa, noreturn)) static void jump(void **context)
{
	__builtin_longjmp(context, 1);
}

/* noipa: the caller must not count on any register that calls may change, since others run meanwhile.
 * The running thread waits here until its step has been taken. */
__attribute__((noipa)) static void give_way(struct explore_side *side)
{
	if (__builtin_setjmp(side->context) == 0)
		jump(scheduler);
}

__attribute__((noipa)) static void run(struct explore_side *side)
{
	if (__builtin_setjmp(scheduler) == 0)
		jump(side->context);
}

static void step(const struct explore_step *next)
{
	struct explore_side *side = &explore_world.side[explore_world.running];

	side->step = *next;
	give_way(side);
}

void explore_resume(unsigned int thread)
{
	unsigned char *end;

	explore_world.running = thread;
	run(&explore_world.side[thread]);
	explore_world.side[thread].ended = explore_world.side[thread].step.kind == EXPLORE_END;
	end = stack_pointer(thread);
	memset(end - WIPE, 0, WIPE);
}

void *explore_stack(unsigned int thread, size_t *size)
{
	unsigned char *begin = stack_pointer(thread);

	*size = (size_t)(stacks[thread] + STACK_SIZE - begin);
	return begin;
}

static void (*bodies[THREADS])(void);

static void enter(void)
{
	/* Back at once: the first step comes when all is set up. */
	struct explore_side *side = &explore_world.side[explore_world.running];

	if (__builtin_setjmp(side->context) == 0)
		setcontext(&main_context);
	bodies[explore_world.running]();
	explore_call(EXPLORE_END);
	abort();
}

void explore_start(unsigned int thread, void (*body)(void))
{
	static ucontext_t context;

	memset(stacks[thread], 0, STACK_SIZE);
	bodies[thread] = body;
	explore_world.running = thread;
	getcontext(&context);
	context.uc_stack.ss_sp = stacks[thread];
	context.uc_stack.ss_size = STACK_SIZE;
	context.uc_link = NULL;
	makecontext(&context, enter, 0);
	swapcontext(&main_context, &context);
	explore_resume(thread);
}

/* --- What the code under test calls ---------------------------------------------------------- */

static uint64_t access(enum explore_kind kind, enum explore_order order, int word, uint64_t value)
{
	step(&(struct explore_step){
		.kind = kind, .order = order, .word = (uint64_t)word, .value = value});
	return explore_world.side[explore_world.running].result;
}

uint64_t explore_load(const uint64_t *address, enum explore_order order)
{
	int word = scenario_word(address);

	return word < 0 ? *address : access(EXPLORE_LOAD, order, word, 0);
}

void explore_store(uint64_t *address, uint64_t value, enum explore_order order)
{
	int word = scenario_word(address);

	if (word < 0) {
		*address = value;
		return;
	}
	access(EXPLORE_STORE, order, word, value);
	scenario_stored(address, value);
}

/* Into or out of the ring, in whole words. */
void *explore_memcpy(void *to, const void *from, size_t size)
{
	uint64_t *target = to;
	const uint64_t *source = from;

	for (size_t i = 0; i < size / sizeof(uint64_t); i++)
		explore_store(&target[i], explore_load(&source[i], EXPLORE_PLAIN), EXPLORE_PLAIN);
	return to;
}

void explore_light(void)
{
	explore_memory()->light((unsigned int)explore_world.running);
}

int explore_call(enum explore_kind kind)
{
	step(&(struct explore_step){.kind = kind});
	return (int)(int64_t)explore_world.side[explore_world.running].result;
}

enum explore_thread explore_running(void)
{
	return (enum explore_thread)explore_world.running;
}

void explore_claim(bool holds, const char *sentence)
{
	if (holds)
		return;
	explore_world.failure = sentence;
	explore_call(EXPLORE_END);
	abort();
}
