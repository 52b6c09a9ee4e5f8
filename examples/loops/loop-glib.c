/* SPDX-License-Identifier: MIT */
/*
 * loop-glib.c - Peal as a GSource: its prepare, check and dispatch are exactly the places that we need.
 */
#include "loop-glib.h"

struct glib_source {
	GSource source; /* first */
	struct loop_source loop;
	gpointer tags[LOOP_FDS]; /* of those that are polled now */
};

/* Out entirely: poll(2) tells of a hang-up even where nothing is asked for. */
static void watch(struct glib_source *self)
{
	for (int i = 0; i < LOOP_FDS; i++) {
		int fd = loop_fd(&self->loop, i);
		bool wanted = fd >= 0 && loop_wants(&self->loop, i);

		if (wanted && !self->tags[i]) {
			self->tags[i] = g_source_add_unix_fd(&self->source, fd, G_IO_IN);
		} else if (!wanted && self->tags[i]) {
			g_source_remove_unix_fd(&self->source, self->tags[i]);
			self->tags[i] = NULL;
		}
	}
}

static gboolean prepare(GSource *source, gint *timeout)
{
	struct glib_source *self = (struct glib_source *)source;
	bool ready = loop_prepare(&self->loop);

	watch(self);
	*timeout = -1;
	return ready;
}

static gboolean check(GSource *source)
{
	struct glib_source *self = (struct glib_source *)source;
	gboolean fired = FALSE;

	for (int i = 0; i < LOOP_FDS; i++) {
		if (!self->tags[i] || !g_source_query_unix_fd(source, self->tags[i]))
			continue;
		loop_fired(&self->loop, i);
		fired = TRUE;
	}
	return fired;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
	(void)callback; /* the handler has several */
	(void)data;
	loop_dispatch(&((struct glib_source *)source)->loop);
	return G_SOURCE_CONTINUE;
}

struct loop_source *glib_add(GMainContext *context, struct loop_source what)
{
	static GSourceFuncs hooks = {.prepare = prepare, .check = check, .dispatch = dispatch};
	GSource *source = g_source_new(&hooks, sizeof(struct glib_source));
	struct glib_source *self = (struct glib_source *)source;

	self->loop = what;
	g_source_set_static_name(source, "peal");
	g_source_attach(source, context);
	return &self->loop;
}

/* GLib keeps the memory until dispatch() has returned. */
void glib_remove(struct loop_source *source)
{
	struct glib_source *self =
		(struct glib_source *)((char *)source - offsetof(struct glib_source, loop));

	loop_leave(source);
	g_source_destroy(&self->source);
	g_source_unref(&self->source);
}
