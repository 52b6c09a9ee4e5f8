/* SPDX-License-Identifier: MIT */
/*
 * loop-epoll.c - Peal in a loop of one's own around epoll, level- or edge-triggered.
 *
 * For edges nothing is different. A bell is an arrival and hence an edge, and what happened before
 * arming is seen by arming, so that the edge that is slept for lies in the future.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "loop-epoll.h"

struct epoll_source {
	struct loop_source loop; /* first */
	struct epoll_loop *owner;
	struct epoll_source *next;
	struct epoll_fd {
		struct epoll_source *source;
		bool watched;
	} fds[LOOP_FDS]; /* their addresses are what epoll gives back */
};

/* Bring epoll in line with what is wanted. 0 or a negative errno. */
static int watch(struct epoll_source *self)
{
	for (int i = 0; i < LOOP_FDS; i++) {
		struct epoll_fd *fd = &self->fds[i];
		struct epoll_event event = {.events = EPOLLIN | self->owner->trigger,
					    .data.ptr = fd};
		int number = loop_fd(&self->loop, i);
		bool wanted = number >= 0 && loop_wants(&self->loop, i);

		if (wanted == fd->watched)
			continue;
		if (epoll_ctl(self->owner->fd, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, number,
			      &event) < 0)
			return -errno;
		fd->watched = wanted;
	}
	return 0;
}

int epoll_add(struct epoll_loop *loop, struct loop_source what, struct loop_source **source)
{
	struct epoll_source *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	self->loop = what;
	self->owner = loop;
	for (int i = 0; i < LOOP_FDS; i++)
		self->fds[i].source = self;
	self->next = loop->sources;
	loop->sources = self;
	*source = &self->loop;
	return 0;
}

void epoll_remove(struct loop_source *source)
{
	struct epoll_source *self = (struct epoll_source *)source;

	for (int i = 0; i < LOOP_FDS; i++) {
		if (self->fds[i].watched)
			epoll_ctl(self->owner->fd, EPOLL_CTL_DEL, loop_fd(source, i), NULL);
	}
	loop_leave(source);
}

/* Only between two turns: within one, a callback may remove what the loop stands at. */
void epoll_sweep(struct epoll_loop *loop)
{
	struct epoll_source **at = &loop->sources, *self;

	while ((self = *at)) {
		if (!self->loop.removed) {
			at = &self->next;
			continue;
		}
		*at = self->next;
		free(self);
	}
}

int epoll_turn(struct epoll_loop *loop, int timeout_ms)
{
	struct epoll_event events[16];
	struct epoll_source *self;
	int count, rc;

	epoll_sweep(loop);
	for (self = loop->sources; self; self = self->next) {
		if (loop_prepare(&self->loop))
			timeout_ms = 0;
		rc = watch(self);
		if (rc < 0)
			return rc;
	}
	count = epoll_wait(loop->fd, events, 16, timeout_ms);
	if (count < 0 && errno != EINTR) /* also io_uring interrupts the thread that it works for */
		return -errno;
	for (int i = 0; i < count; i++) {
		struct epoll_fd *fd = events[i].data.ptr;

		loop_fired(&fd->source->loop, (int)(fd - fd->source->fds));
	}
	for (self = loop->sources; self; self = self->next)
		loop_dispatch(&self->loop);
	return 0;
}
