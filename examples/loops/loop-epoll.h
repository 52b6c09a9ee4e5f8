/* SPDX-License-Identifier: MIT */
#ifndef LOOP_EPOLL_H
#define LOOP_EPOLL_H

#include <stdint.h>

#include "loop.h"

/* A loop around epoll, as everybody writes it. */
struct epoll_loop {
	int fd;
	uint32_t trigger; /* EPOLLET, or 0 for levels */
	struct epoll_source *sources;
};

/* Add what loop_channel() or loop_poller() made. 0 or a negative errno. */
int epoll_add(struct epoll_loop *loop, struct loop_source what, struct loop_source **source);
void epoll_remove(struct loop_source *source);

/* One turn: sleeps until something happens, at most @timeout_ms (-1: for ever). */
int epoll_turn(struct epoll_loop *loop, int timeout_ms);

/* Needed after the last removal, before the loop goes. */
void epoll_sweep(struct epoll_loop *loop);

#endif
