/* SPDX-License-Identifier: MIT */
/*
 * loop-sd-event.c - Peal in sd-event:
 *
 *      post's prepare   before it sleeps     defer   enabled: do not sleep
 *      io               it woke us           post    after any other source: our turn
 *
 * The hook of prepare is with the post source because that one is enabled all the time; an io source
 * is not, and would not be asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "loop-sd-event.h"

struct sdevent_source {
	struct loop_source loop; /* first */
	sd_event_source *post, *defer, *ios[LOOP_FDS];
};

static int on_io(sd_event_source *io, int fd, uint32_t events, void *data)
{
	struct sdevent_source *self = data;

	(void)fd;
	(void)events;
	for (int i = 0; i < LOOP_FDS; i++) {
		if (self->ios[i] == io)
			loop_fired(&self->loop, i);
	}
	return 0;
}

static int on_defer(sd_event_source *defer, void *data)
{
	(void)defer; /* the post source follows */
	(void)data;
	return 0;
}

static int on_post(sd_event_source *post, void *data)
{
	struct sdevent_source *self = data;

	(void)post;
	loop_dispatch(&self->loop);
	return 0;
}

static int on_prepare(sd_event_source *post, void *data)
{
	struct sdevent_source *self = data;
	bool ready = loop_prepare(&self->loop);
	int rc = sd_event_source_set_enabled(self->defer, ready ? SD_EVENT_ONESHOT : SD_EVENT_OFF);

	(void)post;
	for (int i = 0; i < LOOP_FDS && rc >= 0; i++) {
		if (self->ios[i])
			rc = sd_event_source_set_enabled(self->ios[i], loop_wants(&self->loop, i)
									       ? SD_EVENT_ON
									       : SD_EVENT_OFF);
	}
	return rc < 0 ? rc : 0;
}

/* The post source holds our memory, and sd-event holds it until on_post() has returned. */
void sdevent_remove(struct loop_source *source)
{
	struct sdevent_source *self = (struct sdevent_source *)source;

	for (int i = 0; i < LOOP_FDS; i++)
		self->ios[i] = sd_event_source_disable_unref(self->ios[i]);
	self->defer = sd_event_source_disable_unref(self->defer);
	loop_leave(source);
	sd_event_source_disable_unref(self->post);
}

int sdevent_add(sd_event *event, struct loop_source what, struct loop_source **source)
{
	struct sdevent_source *self = calloc(1, sizeof(*self));
	int fd, rc;

	if (!self)
		return -ENOMEM;
	self->loop = what;
	rc = sd_event_add_post(event, &self->post, on_post, self);
	if (rc < 0) {
		free(self);
		return rc;
	}
	sd_event_source_set_destroy_callback(self->post, free);
	rc = sd_event_source_set_prepare(self->post, on_prepare);
	if (rc >= 0)
		rc = sd_event_add_defer(event, &self->defer, on_defer, self);
	/* Among equals a defer source goes first, each time, and all others would starve. */
	if (rc >= 0)
		rc = sd_event_source_set_priority(self->defer, SD_EVENT_PRIORITY_IDLE);
	for (int i = 0; i < LOOP_FDS && rc >= 0; i++) {
		fd = loop_fd(&self->loop, i);
		if (fd >= 0)
			rc = sd_event_add_io(event, &self->ios[i], fd, EPOLLIN, on_io, self);
	}
	if (rc < 0) {
		sdevent_remove(&self->loop);
		return rc;
	}
	*source = &self->loop;
	return 0;
}
