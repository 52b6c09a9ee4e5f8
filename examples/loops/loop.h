/* SPDX-License-Identifier: MIT */
/*
 * loop.h - a channel, or a whole poller, in an event loop that is not ours.
 *
 * Every loop has the same four places; what is to be done there is the same, too:
 *
 *      before it sleeps          loop_prepare()    arm; if that is refused, do not sleep
 *      what it sleeps on         loop_fd()         while loop_wants() it
 *      it woke us                loop_fired()      disarm
 *      our turn                  loop_dispatch()   call the user back, a bounded number of times
 *
 * To use Peal in a loop, copy loop.h, loop.c and the file of that loop, which maps its own hooks to
 * these and has two functions: one that adds, and one that removes.
 *
 * What was added belongs to the loop's thread, and stays armed while others have their turn; let
 * nobody else wait at it. Remove it before you close the channel or the poller, also from within a
 * callback.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>

#include <peal/peal.h>

/* How the user is called. Those for which there is no cause may be NULL. */
struct loop_handler {
	/* Of a channel: a record, in place. It is given back when this returns. */
	void (*record)(void *user, const struct peal_record *record);
	/* The answer to loop_want_room(), once: 0, or a negative errno when there will be none. */
	void (*room)(void *user, int status);
	/* The child has ended; once. Records of it may still be to come. */
	void (*exited)(void *user);
	/* Nothing more will come, once: -EPIPE, after the last record, when the peer is gone;
	 * otherwise what went wrong. */
	void (*end)(void *user, int status);
	/* Of a poller: one event. */
	void (*event)(void *user, const struct peal_event *event);
};

/* The descriptors of a channel. A poller has one, the first. */
enum loop_fd { LOOP_RX, LOOP_TX, LOOP_PEER, LOOP_CHILD, LOOP_FDS };

enum loop_state {
	LOOP_OFF,   /* nothing is waited for */
	LOOP_LOOK,  /* to be armed before the loop sleeps */
	LOOP_ARMED, /* the loop may sleep */
	LOOP_READY, /* to be dispatched */
};

/* One thing that is waited for. @status: the error that ends it, or 0. */
struct loop_wait {
	enum loop_state state;
	int status;
};

struct loop_source {
	struct peal_channel *channel; /* or */
	struct peal_poller *poller;
	struct peal_child *child; /* of the channel; may be NULL */
	const struct loop_handler *handler;
	void *user;
	struct loop_wait data; /* records, or the poller's events */
	struct loop_wait room;
	struct loop_wait peer; /* its pidfd */
	struct loop_wait exit; /* the child's */
	size_t size;           /* of the record that room is wanted for */
	bool removed;
};

/* What to add to a loop: this channel with, if you like, the child at its other end; */
struct loop_source loop_channel(struct peal_channel *channel, struct peal_child *child,
				const struct loop_handler *handler, void *user);
/* or this poller with all that it watches. */
struct loop_source loop_poller(struct peal_poller *poller, const struct loop_handler *handler,
			       void *user);

/* Ask for room for a record of @size bytes, after peal_reserve() said -EAGAIN. In the loop's thread. */
void loop_want_room(struct loop_source *source, size_t size);

/* --- For the file of a loop ------------------------------------------------------------------ */

/* Before the loop sleeps. True: there is something to do, so let it poll without sleeping. */
bool loop_prepare(struct loop_source *source);

/* Descriptor @i, the same for ever; -1: there is none. */
int loop_fd(const struct loop_source *source, int i);

/* Is it to be waited for? After loop_prepare(). One that is not must be taken out, for a peer that
 * is dead leaves its descriptors readable for ever. */
bool loop_wants(const struct loop_source *source, int i);

/* Descriptor @i is readable, or has hung up, or has an error. */
void loop_fired(struct loop_source *source, int i);

/* Call the user back. @source must outlive this call, even if it is removed meanwhile. */
void loop_dispatch(struct loop_source *source);

/* It is removed: give the channel back to the user as if it had never been here. */
void loop_leave(struct loop_source *source);

#endif
