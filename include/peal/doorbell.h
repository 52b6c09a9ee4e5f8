/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h - waking another process, with or without a ring.
 *
 * A doorbell joins two processes. Either end can signal (wake the other) and wait (sleep until
 * woken). A signal is a hint: several may coalesce into one wake, and a wake may come with nothing
 * to do. One is never lost: what was signalled before a wait ends that wait at once.
 *
 *     end A  -- signal -->  end B        one waiter per end: a doorbell serves one ring only,
 *     end B  -- signal -->  end A        as two waiters on one end would drain each other's wakes
 *
 * Two kinds:
 *  - socket   a stream socketpair. Tells of the peer's death by hang-up, and the peer can not make
 *             our calls block. For any guest.
 *  - eventfd  a pair of eventfds. Cheaper, but has no hang-up (give it a pidfd to watch), and the
 *             peer shares the O_NONBLOCK flag: only for a guest that is trusted.
 *
 * Threads: an end may be signalled from one thread while another waits on and drains it; each of
 * these two roles belongs to one thread at a time. Only peal_doorbell_wait() blocks.
 */
#ifndef PEAL_DOORBELL_H
#define PEAL_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Wake signal: one eventfd, the raw descriptor is the object ------------------------------ */

/** peal_wake_create() - a counting, non-blocking, close-on-exec eventfd. Return: fd or -errno. */
PEAL_API int peal_wake_create(void);

/**
 * peal_wake_notify() - add one to the signal's count
 *
 * Return: 0, also when the count is saturated (a wake is pending then, which is all that is
 * promised); otherwise a negative errno. EINTR is retried.
 */
PEAL_API int peal_wake_notify(int fd);

/**
 * peal_wake_try_read() - take all pending notifications
 *
 * Return: how many were taken, 0 when none was pending (at most INT64_MAX), or a negative errno.
 */
PEAL_API int64_t peal_wake_try_read(int fd);

/* A wake pair: the two directions between a producer and a consumer. */
struct peal_wake_pair {
	int producer_wake; /* the consumer notifies it, the producer waits on it: "space" */
	int consumer_wake; /* the producer notifies it, the consumer waits on it: "data" */
};

/** peal_wake_pair_create() - make both signals. Return: 0, or -errno with nothing left open. */
PEAL_API int peal_wake_pair_create(struct peal_wake_pair *pair);

/** peal_wake_pair_close() - close both and set them to -1; a member that is -1 is skipped. */
PEAL_API void peal_wake_pair_close(struct peal_wake_pair *pair);

/* --- Doorbell -------------------------------------------------------------------------------- */

enum peal_doorbell_kind {
	PEAL_DOORBELL_SOCKET = 0,
	PEAL_DOORBELL_EVENTFD = 1,
};

/* One end of a doorbell. The caller places it where he likes; the members are the library's. */
struct peal_doorbell {
	int wait_fd;   /* readable when rung; owned */
	int signal_fd; /* where we ring; owned. The same as wait_fd for a socket */
	int watch_fd;  /* a pidfd whose readiness means "the peer is dead", or -1; borrowed */
	int kind;      /* enum peal_doorbell_kind */
	int dead; /* sticky; atomic, because the signalling and the waiting thread both set it */
};

/* What becomes of a signal. */
enum peal_signal {
	PEAL_SIGNAL_SENT = 0,      /* the peer will wake */
	PEAL_SIGNAL_COALESCED = 1, /* the queue is full, so a wake is already pending */
	PEAL_SIGNAL_PEER_DEAD = 2, /* nobody is there to wake */
};

/* What a drain found; a set of bits. */
#define PEAL_DRAIN_RUNG   1 /* at least one signal was pending and has been taken */
#define PEAL_DRAIN_CLOSED 2 /* the peer closed its end or died */

/* The other end while it is on its way to the guest: one inert descriptor. */
struct peal_doorbell_handle {
	int fd;
};

/* The argument that carries a doorbell's descriptor number to a guest. */
#define PEAL_DOORBELL_ARG "--doorbell-fd"

/**
 * peal_doorbell_create() - make a socket doorbell
 * @host: the near end, ready for use
 * @guest: the far end, to be inherited by or sent to the other process, then closed here with
 *         peal_doorbell_handle_close(): while this process holds it, no hang-up can arrive
 *
 * All descriptors are close-on-exec and non-blocking from birth, and at least 3.
 *
 * Return: 0, or a negative errno with nothing left open.
 */
PEAL_API int peal_doorbell_create(struct peal_doorbell *host, struct peal_doorbell_handle *guest);

/**
 * peal_doorbell_from_handle() - open the far end, in the process that received it
 *
 * Takes ownership of the descriptor; sets close-on-exec and O_NONBLOCK on it.
 *
 * Return: 0, also when the peer is dead already (the first wait tells); -EINVAL or -EBADF (see
 * peal_fd_validate()); -ENOTSOCK or -EPROTOTYPE if it is not a Unix stream socket; -ENOTCONN if
 * that is not connected. On failure the descriptor is still the caller's and untouched.
 */
PEAL_API int peal_doorbell_from_handle(struct peal_doorbell *db,
				       struct peal_doorbell_handle handle);

/** peal_doorbell_from_fd_take() - the same from a raw descriptor. */
PEAL_API int peal_doorbell_from_fd_take(struct peal_doorbell *db, int fd);

/**
 * peal_doorbell_from_wakes_take() - a doorbell over two eventfds
 * @wait_fd: the one that this end waits on
 * @signal_fd: the one that this end rings
 *
 * Takes ownership of both, like peal_doorbell_from_handle().
 *
 * Return: 0; -EINVAL or -EBADF (see peal_fd_validate()), -EINVAL also when both are the same
 * number; -ENOTTY if one is not an eventfd. On failure both are still the caller's and untouched.
 */
PEAL_API int peal_doorbell_from_wakes_take(struct peal_doorbell *db, int wait_fd, int signal_fd);

/**
 * peal_doorbell_watch() - from now on, @pidfd becoming readable means that the peer is dead
 *
 * For the waiting thread, between two waits. Finds also a peer whose child still holds the other
 * end. Borrowed: the caller keeps it open for as long as the doorbell lives. -1 stops watching.
 */
PEAL_API void peal_doorbell_watch(struct peal_doorbell *db, int pidfd);

/**
 * peal_doorbell_close() - close what is owned; the peer sees a hang-up. Twice is harmless.
 *
 * Signal, wait and drain say -EBADF from then on (a signal to a peer known as dead says that).
 */
PEAL_API void peal_doorbell_close(struct peal_doorbell *db);

/**
 * peal_doorbell_signal() - wake the peer
 *
 * Return: an enum peal_signal. Any other negative errno is itself and not the peer's death
 * (-ENOMEM, -ENOBUFS: the kernel had no memory and nothing was queued). Never blocks on a socket,
 * never raises SIGPIPE.
 */
PEAL_API int peal_doorbell_signal(struct peal_doorbell *db);

/**
 * peal_doorbell_wait() - sleep until rung, until the peer is gone, or until the deadline
 *
 * Consumes nothing: peal_doorbell_drain() does. A signal sent before this call ends it at once.
 * An interrupting signal handler runs and the wait goes on with the same deadline. What a peer rang
 * before it died comes first: drain, and wait again. A live peer that merely stopped reading
 * (shutdown(2) with SHUT_RD) wakes nobody: only peal_doorbell_signal() can find that out.
 *
 * Return: 0 when rung; -EPIPE when the peer is dead and no signal is pending; -ETIMEDOUT at the
 * deadline; -EAGAIN for PEAL_TRY when there is nothing; another negative errno from ppoll(2).
 * Cancellation point.
 */
PEAL_API int peal_doorbell_wait(struct peal_doorbell *db, uint64_t deadline_ns);

/**
 * peal_doorbell_drain() - take what is pending, in one bounded read
 *
 * Return: a set of PEAL_DRAIN_* bits, 0 when nothing was there, or a negative errno. CLOSED comes
 * with every drain once the peer is known as dead, by whichever call. What a flooding peer queued
 * beyond one read stays and costs one more wake. Descriptors that the peer stuffed into the socket
 * are discarded by the kernel.
 */
PEAL_API int peal_doorbell_drain(struct peal_doorbell *db);

/**
 * peal_doorbell_pending() - exactly how many signals are queued for this end
 *
 * Reads the eventfd's count from /proc/self/fdinfo, so that kind needs /proc.
 *
 * Return: the number (at most INT64_MAX) or a negative errno.
 */
PEAL_API int64_t peal_doorbell_pending(const struct peal_doorbell *db);

/**
 * peal_doorbell_is_dead() - has any call on this end learned that the peer is gone?
 *
 * Sticky, asks no one. To learn it now, call peal_doorbell_wait() with PEAL_TRY first.
 */
PEAL_API bool peal_doorbell_is_dead(const struct peal_doorbell *db);

/**
 * peal_doorbell_fd() - the descriptor to poll for readability in a foreign event loop
 *
 * Stays owned by the doorbell. -1 once closed.
 */
PEAL_API int peal_doorbell_fd(const struct peal_doorbell *db);

/**
 * peal_doorbell_accept() - nothing to do on Linux; for code shared with systems that connect
 *
 * Return: 0.
 */
PEAL_API int peal_doorbell_accept(struct peal_doorbell *db);

/* --- Handle ---------------------------------------------------------------------------------- */

/** peal_doorbell_handle_from_fd() - wrap a descriptor; checks nothing, owns nothing yet. */
PEAL_API struct peal_doorbell_handle peal_doorbell_handle_from_fd(int fd);

/** peal_doorbell_handle_to_fd() - the descriptor inside. */
PEAL_API int peal_doorbell_handle_to_fd(struct peal_doorbell_handle handle);

/**
 * peal_doorbell_handle_to_arg() - write "--doorbell-fd=N"
 * @buffer: where to; @size: its bytes, 32 are always enough
 *
 * Return: the length without the NUL, or -ENOSPC with @buffer untouched.
 */
PEAL_API int peal_doorbell_handle_to_arg(struct peal_doorbell_handle handle, char *buffer,
					 size_t size);

/**
 * peal_doorbell_handle_from_arg() - read "--doorbell-fd=N", or the bare number
 *
 * Strict: decimal digits only, no sign, space, hex or trailing text; at least 3; and open.
 *
 * Return: 0; -EINVAL for a text that is no descriptor number; -ERANGE for one that is too large;
 * -EBADF for one that is not open.
 */
PEAL_API int peal_doorbell_handle_from_arg(struct peal_doorbell_handle *handle, const char *text);

/** peal_doorbell_handle_close() - close the guest's end in the host; sets it to -1. */
PEAL_API void peal_doorbell_handle_close(struct peal_doorbell_handle *handle);

#ifdef __cplusplus
}
#endif

#endif
