/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "loops/test-loop.h"
#include "loop-sd-event.h"

struct loop {
	sd_event *event;
	sd_event_source *timer;
	uint64_t period_us;
	void (*tick)(void *user);
	void *user;
};

static void *loop_open(int variant)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	(void)variant;
	ck_assert_int_ge(sd_event_new(&loop->event), 0);
	return loop;
}

static void loop_close(void *data)
{
	struct loop *loop = data;

	ck_assert_ptr_null(sd_event_unref(loop->event));
	free(loop);
}

static struct loop_source *loop_add(void *loop, struct loop_source what)
{
	struct loop_source *source;

	ck_assert_int_eq(sdevent_add(((struct loop *)loop)->event, what, &source), 0);
	return source;
}

static void loop_turn(void *loop)
{
	ck_assert_int_ge(sd_event_run(((struct loop *)loop)->event, UINT64_MAX), 0);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *data)
{
	struct loop *loop = data;

	(void)usec;
	sd_event_source_set_time_relative(timer, loop->period_us);
	loop->tick(loop->user);
	return 0;
}

static void loop_timer(void *data, int period_ms, void (*tick)(void *user), void *user)
{
	struct loop *loop = data;

	loop->timer = sd_event_source_disable_unref(loop->timer);
	if (!period_ms)
		return;
	loop->period_us = (uint64_t)period_ms * 1000;
	loop->tick = tick;
	loop->user = user;
	ck_assert_int_ge(sd_event_add_time_relative(loop->event, &loop->timer, CLOCK_MONOTONIC,
						    loop->period_us, 1, on_timer, loop),
			 0);
	ck_assert_int_ge(sd_event_source_set_enabled(loop->timer, SD_EVENT_ON), 0);
}

const struct test_loop test_loop = {
	"sd-event", 1, loop_open, loop_close, loop_add, sdevent_remove, loop_turn, loop_timer,
};
