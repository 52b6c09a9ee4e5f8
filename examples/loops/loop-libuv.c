/* SPDX-License-Identifier: MIT */
/*
 * loop-libuv.c - Peal in libuv:
 *
 *      uv_prepare   before it sleeps     uv_idle    running: do not sleep
 *      uv_poll      it woke us           uv_check   our turn
 */
#include <stdlib.h>

#include "loop-libuv.h"

struct libuv_source {
	struct loop_source loop; /* first */
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_check_t check;
	uv_poll_t polls[LOOP_FDS]; /* those whose data is set */
	int handles;               /* that are not closed yet */
};

static void nothing(uv_idle_t *handle)
{
	(void)handle; /* that it is there is enough */
}

/* An error is an event as any other: a peer that closes with bells unread leaves one at the socket,
 * which libuv tells as UV_EBADF. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct libuv_source *self = handle->data;

	(void)status;
	(void)events;
	loop_fired(&self->loop, (int)(handle - self->polls));
}

static void on_prepare(uv_prepare_t *handle)
{
	struct libuv_source *self = handle->data;

	if (loop_prepare(&self->loop))
		uv_idle_start(&self->idle, nothing);
	else
		uv_idle_stop(&self->idle);
	for (int i = 0; i < LOOP_FDS; i++) {
		uv_poll_t *poll = &self->polls[i];
		bool wanted = poll->data && loop_wants(&self->loop, i);

		if (wanted && !uv_is_active((uv_handle_t *)poll))
			uv_poll_start(poll, UV_READABLE, on_poll);
		else if (!wanted && poll->data)
			uv_poll_stop(poll);
	}
}

static void on_check(uv_check_t *handle)
{
	struct libuv_source *self = handle->data;

	loop_dispatch(&self->loop);
}

static void on_closed(uv_handle_t *handle)
{
	struct libuv_source *self = handle->data;

	if (--self->handles == 0)
		free(self);
}

static void close_handle(struct libuv_source *self, void *handle)
{
	((uv_handle_t *)handle)->data = self;
	self->handles++;
	uv_close(handle, on_closed);
}

void libuv_remove(struct loop_source *source)
{
	struct libuv_source *self = (struct libuv_source *)source;

	close_handle(self, &self->prepare);
	close_handle(self, &self->idle);
	close_handle(self, &self->check);
	for (int i = 0; i < LOOP_FDS; i++) {
		if (self->polls[i].data)
			close_handle(self, &self->polls[i]);
	}
	loop_leave(source);
}

int libuv_add(uv_loop_t *uv, struct loop_source what, struct loop_source **source)
{
	struct libuv_source *self = calloc(1, sizeof(*self));
	int rc = 0;

	if (!self)
		return UV_ENOMEM;
	self->loop = what;
	uv_prepare_init(uv, &self->prepare); /* these can not fail */
	uv_idle_init(uv, &self->idle);
	uv_check_init(uv, &self->check);
	self->prepare.data = self->idle.data = self->check.data = self;
	for (int i = 0; i < LOOP_FDS && rc == 0; i++) {
		int fd = loop_fd(&self->loop, i);

		if (fd < 0)
			continue;
		rc = uv_poll_init(uv, &self->polls[i], fd);
		if (rc == 0)
			self->polls[i].data = self;
	}
	if (rc < 0) {
		libuv_remove(&self->loop);
		return rc;
	}
	uv_prepare_start(&self->prepare, on_prepare);
	uv_check_start(&self->check, on_check);
	*source = &self->loop;
	return 0;
}
