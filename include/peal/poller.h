/* SPDX-License-Identifier: MIT */
/*
 * poller.h - one thread that waits for many: records, room, and the end of children.
 *
 *      peal_poller_create()
 *      peal_poller_watch_data() … watch_space() … watch_child()        one each, once
 *      ┌▶ peal_poller_wait() ──▶ { user, watch, kind } …               as often as you like
 *      │       DATA: peal_next() … peal_release()
 *      │       SPACE: peal_reserve() … peal_commit(), peal_watch_resume() when it is full again
 *      │       CHILD: peal_child_wait(PEAL_TRY), peal_watch_remove(), peal_channel_close()
 *      └───────┘
 *
 * Rings that were active lately are looked at in memory, without a system call; all others are
 * armed and sleep in io_uring or epoll, where they cost nothing until their doorbell rings. So a
 * wait costs what the active ones cost, however many are idle.
 *
 * Threads: a poller belongs to one thread at a time. peal_poller_wake() and peal_watch_resume() may
 * be called from any. An endpoint (a consumer, a producer) that is watched belongs to the poller's
 * thread, which may use it between two waits, but neither wait at it nor arm it; nor may that thread
 * call peal_channel_wait_ready() while its channel is watched: get ready first, then watch. An
 * endpoint whose watch is PEAL_WATCH_ONCE belongs, from its event to peal_watch_resume(), to whoever
 * got the event, for all that ring.h offers, waiting included.
 *
 * Remove a watch before you close its channel or free its child.
 *
 * The peer: its death or closing is an event of kind DATA or SPACE; the call that follows says
 * -EPIPE, after the last record. A hostile one that floods its doorbell is drained by a bounded read
 * a wait and delays nobody else; a false word breaks its ring, which is an event too.
 *
 * Fork: a child made by fork() without exec can not use the poller (-EBADFD).
 *
 * Cost: a poller holds two descriptors. A watch holds none; with epoll the second watch of one
 * channel holds one (the peer's pidfd once more). Memory: docs/poller.md.
 */
#ifndef PEAL_POLLER_H
#define PEAL_POLLER_H

#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>
#include <peal/channel.h>
#include <peal/spawn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque. */
struct peal_poller;
struct peal_watch; /* one thing that is waited for; lives in the poller */

enum peal_poller_backend {
	PEAL_POLLER_AUTO = 0,     /* io_uring, or epoll where io_uring is refused */
	PEAL_POLLER_IO_URING = 1, /* a wake and its drain are one system call */
	PEAL_POLLER_EPOLL = 2,
};

struct peal_poller_options {
	size_t size;         /* sizeof(struct peal_poller_options); tells versions apart */
	uint32_t backend;    /* enum peal_poller_backend */
	int32_t spin_max_us; /* the longest spin before sleeping, as in struct peal_channel_options */
};

enum peal_event_kind {
	PEAL_EVENT_DATA = 1, /* a record, or the end: peal_next() says which */
	PEAL_EVENT_SPACE =
		2, /* the room that was asked for, or the end: peal_reserve() says which */
	PEAL_EVENT_CHILD = 3, /* the child has ended: peal_child_wait() says how */
	PEAL_EVENT_WAKE = 4,  /* somebody called peal_poller_wake() */
};

struct peal_event {
	void *user;               /* as given to the watch; NULL for WAKE */
	struct peal_watch *watch; /* NULL for WAKE */
	uint32_t kind;            /* enum peal_event_kind */
};

/**
 * peal_poller_create() - make a poller
 * @options: NULL for the defaults
 *
 * Return: 0; -EINVAL for options that make no sense; -EMFILE, -ENFILE, -ENOMEM; with
 * PEAL_POLLER_IO_URING the errno of io_uring_setup(2): -ENOSYS, -EPERM where it is forbidden.
 */
PEAL_API int peal_poller_create(struct peal_poller **poller,
				const struct peal_poller_options *options);

/**
 * peal_poller_close() - remove all watches and free the poller
 *
 * The channels and children are as before. NULL is fine. Return: NULL.
 */
PEAL_API struct peal_poller *peal_poller_close(struct peal_poller *poller);

/** peal_poller_backend() - PEAL_POLLER_IO_URING or PEAL_POLLER_EPOLL; -EBADFD after fork. */
PEAL_API int peal_poller_backend(const struct peal_poller *poller);

/* --- What is waited for ---------------------------------------------------------------------- */

/* Report it once. It is then the receiver's until he calls peal_watch_resume(). */
#define PEAL_WATCH_ONCE        1u
/* While this watch exists, bells that this process owes the channel's peer go out together with the
 * poller's others, when it next waits, is armed or flushed; with io_uring all by one system call. Only
 * where all that is done with the channel is done in the poller's thread, and none of it blocks. */
#define PEAL_WATCH_BATCH_WAKES 2u

/**
 * peal_poller_watch_data() - wait for records of this channel
 * @flags: 0: as long as there is a record, or the end to be told, each wait reports it.
 *         PEAL_WATCH_ONCE, PEAL_WATCH_BATCH_WAKES: see there
 * @user: for the caller; comes with each event
 * @watch: the new watch; may be NULL
 *
 * The peer's pidfd is watched as well, if the channel knows it by now.
 *
 * Return: 0; -EINVAL without such a ring; -EBUSY when it is watched already; -EBADFD; -ENOMEM,
 * -EMFILE, -ENOSPC (epoll's limit of watches).
 */
PEAL_API int peal_poller_watch_data(struct peal_poller *poller, struct peal_channel *channel,
				    unsigned int flags, void *user, struct peal_watch **watch);

/**
 * peal_poller_watch_space() - wait for room for a record of @size bytes
 * @flags: 0 or PEAL_WATCH_BATCH_WAKES; a watch for room always reports once
 *
 * Staged records are published and a reservation is given up, as by peal_arm_space(). After the
 * event the producer is the receiver's; peal_watch_resume() asks again.
 *
 * Return: as peal_poller_watch_data(); -EMSGSIZE for a record that never fits.
 */
PEAL_API int peal_poller_watch_space(struct peal_poller *poller, struct peal_channel *channel,
				     size_t size, unsigned int flags, void *user,
				     struct peal_watch **watch);

/**
 * peal_poller_watch_child() - wait for the end of a child; reported once
 *
 * Return: as peal_poller_watch_data().
 */
PEAL_API int peal_poller_watch_child(struct peal_poller *poller, struct peal_child *child,
				     void *user, struct peal_watch **watch);

/**
 * peal_watch_remove() - wait for it no longer, and free the watch
 *
 * For the poller's thread. No later wait reports it; events that a wait has returned already are in
 * the caller's array. Nobody may resume it any more. NULL is fine.
 */
PEAL_API void peal_watch_remove(struct peal_watch *watch);

/**
 * peal_watch_resume() - wait for it again, after it was reported once
 * @size: the payload that is wanted, for a watch for room; else ignored
 *
 * Any thread, but no signal handler. From here on the endpoint is the poller's.
 *
 * Return: 0; -EBUSY when the poller has it already; -EINVAL for the watch of a child; -EMSGSIZE for
 * a record that never fits; -EBADFD.
 */
PEAL_API int peal_watch_resume(struct peal_watch *watch, size_t size);

/* --- Waiting --------------------------------------------------------------------------------- */

/**
 * peal_poller_wait() - wait until something happens
 * @events: where to; @max: how many fit, at least 1
 *
 * At most one event a watch. Where not all fit, the next wait goes on where this one stopped, so
 * that nobody starves; an endless sender delays the others by a bounded number of waits.
 *
 * A deadline may be PEAL_TRY: looks, asks the kernel, does not sleep. Interrupting signal handlers
 * run, and the wait goes on.
 *
 * Return: the number of events, at least 1; -EAGAIN for PEAL_TRY, -ETIMEDOUT at the deadline;
 * -EINVAL, -EBADFD; another negative errno of the kernel.
 */
PEAL_API int peal_poller_wait(struct peal_poller *poller, struct peal_event *events, int max,
			      uint64_t deadline_ns);

/**
 * peal_poller_wake() - let the wait return, with PEAL_EVENT_WAKE
 *
 * Any thread, also from a signal handler. Several before the wait returns are one. Return: 0 or a
 * negative errno.
 */
PEAL_API int peal_poller_wake(struct peal_poller *poller);

/**
 * peal_poller_flush() - ring now what PEAL_WATCH_BATCH_WAKES has kept
 *
 * For the poller's thread, before it does something that takes long. A peer that is gone is no
 * error here; the ring says so. Return: 0 or a negative errno: a bell was not rung.
 */
PEAL_API int peal_poller_flush(struct peal_poller *poller);

/* --- Foreign event loops --------------------------------------------------------------------- */

/*
 * A poller can sleep inside another loop, level- or edge-triggered:
 *
 *     while (peal_poller_arm(poller) == 1)
 *             while ((n = peal_poller_wait(poller, events, max, PEAL_TRY)) > 0) …
 *     … sleep until peal_poller_fd() is readable, then the same again …
 */

/**
 * peal_poller_fd() - readable when an armed poller has something to do. Stays the poller's.
 *
 * With io_uring the kernel may interrupt the loop's own wait first (EINTR, from epoll_wait(2) for
 * one), as a signal handler would: wait again.
 */
PEAL_API int peal_poller_fd(const struct peal_poller *poller);

/**
 * peal_poller_arm() - let the poller sleep in a foreign loop
 *
 * Return: 0 when armed: sleep; 1 when there may be events, so call peal_poller_wait() with PEAL_TRY
 * and arm again; a negative errno.
 */
PEAL_API int peal_poller_arm(struct peal_poller *poller);

#ifdef __cplusplus
}
#endif

#endif
