/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "harness.h"
#include "loop-libuv.h"
#include "loops/test-loop.h"

struct loop {
	uv_loop_t uv;
	uv_timer_t timer;
	void (*tick)(void *user);
	void *user;
};

static void *loop_open(int variant)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	(void)variant;
	ck_assert_int_eq(uv_loop_init(&loop->uv), 0);
	uv_timer_init(&loop->uv, &loop->timer);
	loop->timer.data = loop;
	return loop;
}

static void loop_close(void *data)
{
	struct loop *loop = data;

	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop->uv), 0); /* refused while a handle is open */
	free(loop);
	uv_library_shutdown(); /* a pipe for signals */
}

static struct loop_source *loop_add(void *data, struct loop_source what)
{
	struct loop_source *source;
	struct loop *loop = data;

	ck_assert_int_eq(libuv_add(&loop->uv, what, &source), 0);
	return source;
}

static void loop_turn(void *data)
{
	struct loop *loop = data;

	uv_run(&loop->uv, UV_RUN_ONCE);
}

static void on_timer(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	loop->tick(loop->user);
}

static void loop_timer(void *data, int period_ms, void (*tick)(void *user), void *user)
{
	struct loop *loop = data;

	uv_timer_stop(&loop->timer);
	if (!period_ms)
		return;
	loop->tick = tick;
	loop->user = user;
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->timer, on_timer, (uint64_t)period_ms, (uint64_t)period_ms);
}

const struct test_loop test_loop = {
	"libuv", 1, loop_open, loop_close, loop_add, libuv_remove, loop_turn, loop_timer,
};
