/* SPDX-License-Identifier: MIT */
/*
 * test-loop.h - one face for all the loops of examples/loops/, so that one set of promises is
 * checked in each.
 */
#ifndef PEAL_TESTS_LOOP_H
#define PEAL_TESTS_LOOP_H

#include "loop.h"

struct test_loop {
	const char *name;
	int variants; /* of the loop, such as level and edge */
	void *(*open)(int variant);
	void (*close)(void *loop);
	struct loop_source *(*add)(void *loop, struct loop_source what);
	void (*remove)(struct loop_source *source);
	/* Once round: sleeps until something happens. */
	void (*turn)(void *loop);
	/* A timer of the loop's own; one at a time. 0: stop. */
	void (*timer)(void *loop, int period_ms, void (*tick)(void *user), void *user);
};

/* Of the file that this program was linked with. */
extern const struct test_loop test_loop;

#endif
