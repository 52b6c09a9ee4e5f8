/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop-epoll.h"
#include "harness.h"
#include "loops/test-loop.h"

struct loop {
	struct epoll_loop epoll;
	int period_ms;
	uint64_t due_ns;
	void (*tick)(void *user);
	void *user;
};

static void *loop_open(int variant)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	loop->epoll.fd = epoll_create1(EPOLL_CLOEXEC);
	loop->epoll.trigger = variant ? EPOLLET : 0;
	return loop;
}

static void loop_close(void *data)
{
	struct loop *loop = data;

	epoll_sweep(&loop->epoll);
	ck_assert_ptr_null(loop->epoll.sources);
	close(loop->epoll.fd);
	free(loop);
}

static struct loop_source *loop_add(void *loop, struct loop_source what)
{
	struct loop_source *source;

	ck_assert_int_eq(epoll_add(loop, what, &source), 0);
	return source;
}

static void loop_turn(void *data)
{
	struct loop *loop = data;
	uint64_t now = peal_now_ns();
	int timeout_ms = -1;

	if (loop->period_ms)
		timeout_ms =
			now < loop->due_ns ? (int)((loop->due_ns - now + 999999) / 1000000) : 0;
	ck_assert_int_eq(epoll_turn(&loop->epoll, timeout_ms), 0);
	if (!loop->period_ms || peal_now_ns() < loop->due_ns)
		return;
	loop->due_ns = peal_now_ns() + (uint64_t)loop->period_ms * 1000000;
	loop->tick(loop->user);
}

static void loop_timer(void *data, int period_ms, void (*tick)(void *user), void *user)
{
	struct loop *loop = data;

	loop->period_ms = period_ms;
	loop->due_ns = peal_now_ns() + (uint64_t)period_ms * 1000000;
	loop->tick = tick;
	loop->user = user;
}

const struct test_loop test_loop = {
	"epoll", 2, loop_open, loop_close, loop_add, epoll_remove, loop_turn, loop_timer,
};
