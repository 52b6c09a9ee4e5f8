/* SPDX-License-Identifier: MIT */
/*
 * plain.c - an end that needs read(2) and write(2) alone, for who is about to lose all other calls.
 *
 *	ring   write: one byte into a socket, one to the count of an eventfd
 *	wait   read: sleeps until there is something, and takes it
 *
 * So sleeping and draining are one step here, and it is done while the wait word is odd. Why that
 * loses no wake, though a drain of its own must not come so early: docs/doorbell.md.
 *
 * O_NONBLOCK sits in the open file. A socket's end has one of its own. An eventfd has one for both
 * processes, so only the one that we wait on changes: the peer rings it, and would have to add
 * 2^64 - 2 bells to feel it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "doorbell/doorbell.h"

/* As much as one drain takes; an eventfd gives 8 bytes. */
#define BELLS 512

static int clear_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return peal_fail_errno("clearing O_NONBLOCK");
	return 0;
}

int peal_doorbell_make_plain(struct peal_doorbell *db)
{
	/* A socket that blocks to be read blocks to be written too, when the peer leaves its queue
	 * full. The shortest time that there is, one tick, after which it is EAGAIN: coalesced. */
	const struct timeval tick = {.tv_usec = 1};

	if (db->kind == PEAL_DOORBELL_SOCKET &&
	    setsockopt(db->signal_fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick)) < 0)
		return peal_fail_errno("setting SO_SNDTIMEO");
	return clear_nonblocking(db->wait_fd);
}

int peal_doorbell_signal_plain(struct peal_doorbell *db)
{
	int rc;

	if (db->kind == PEAL_DOORBELL_EVENTFD)
		return peal_doorbell_signal(db);
	if (peal_doorbell_is_dead(db))
		return PEAL_SIGNAL_PEER_DEAD;
	rc = peal_socket_ring_plain(db->signal_fd);
	if (rc == PEAL_SIGNAL_PEER_DEAD)
		peal_doorbell_mark_dead(db);
	return rc;
}

int peal_doorbell_wait_plain(struct peal_doorbell *db)
{
	char bells[BELLS];
	ssize_t got;

	/* A peer that only stopped reading is dead to a signal, but would let this read sleep. */
	if (peal_doorbell_is_dead(db))
		return peal_fail(EPIPE, "the peer closed its end of the doorbell or died");
	do
		got = read(db->wait_fd, bells, sizeof(bells));
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return 0;
	/* The end; or, once, that the peer left with our bells unread. */
	if (got < 0 && errno != ECONNRESET)
		return peal_fail_errno("waiting at the doorbell");
	peal_doorbell_mark_dead(db);
	return peal_fail(EPIPE, "the peer closed its end of the doorbell or died");
}
