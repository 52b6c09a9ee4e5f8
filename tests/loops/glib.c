/* SPDX-License-Identifier: MIT */
#include "loop-glib.h"
#include "loops/test-loop.h"

struct loop {
	GMainContext *context;
	GSource *timer;
	void (*tick)(void *user);
	void *user;
};

static void *loop_open(int variant)
{
	struct loop *loop = g_new0(struct loop, 1);

	(void)variant;
	loop->context = g_main_context_new();
	return loop;
}

static void loop_close(void *data)
{
	struct loop *loop = data;

	g_main_context_unref(loop->context);
	g_free(loop);
}

static struct loop_source *loop_add(void *loop, struct loop_source what)
{
	return glib_add(((struct loop *)loop)->context, what);
}

static void loop_turn(void *loop)
{
	g_main_context_iteration(((struct loop *)loop)->context, TRUE);
}

static gboolean on_timer(gpointer data)
{
	struct loop *loop = data;

	loop->tick(loop->user);
	return G_SOURCE_CONTINUE;
}

static void loop_timer(void *data, int period_ms, void (*tick)(void *user), void *user)
{
	struct loop *loop = data;

	if (loop->timer) {
		g_source_destroy(loop->timer);
		g_source_unref(loop->timer);
		loop->timer = NULL;
	}
	if (!period_ms)
		return;
	loop->tick = tick;
	loop->user = user;
	loop->timer = g_timeout_source_new((guint)period_ms);
	g_source_set_callback(loop->timer, on_timer, loop, NULL);
	g_source_attach(loop->timer, loop->context);
}

const struct test_loop test_loop = {
	"glib", 1, loop_open, loop_close, loop_add, glib_remove, loop_turn, loop_timer,
};
