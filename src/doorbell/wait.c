/* SPDX-License-Identifier: MIT */
/*
 * wait.c - sleeping until rung, until the peer is gone, or until the deadline.
 *
 *	watch_fd ── any event ─► dead, and go on below
 *	wait_fd ─┬─ POLLIN ────► rung
 *	         └─ POLLRDHUP ─► dead; still rung if a bell came before the end
 *
 * Why no wake is lost between a check and this wait: ppoll looks at the level, not at the edge. A
 * bell stays in the queue until a drain takes it, and while it is there no ppoll sleeps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>

#include <peal/doorbell.h>

#include "base/clock.h"
#include "base/error.h"
#include "doorbell/doorbell.h"

enum { WATCH, BELL };

/* What did ppoll see? Return: 0 when rung; 1 when not, which may mean dead; -EBADF. */
static int judge(struct peal_doorbell *db, const struct pollfd fds[2])
{
	/* A pidfd that its owner closed too early tells nothing about the peer. */
	if ((fds[WATCH].revents | fds[BELL].revents) & POLLNVAL)
		return peal_fail(EBADF, "descriptor %d of the doorbell is not open",
				 fds[WATCH].revents & POLLNVAL ? db->watch_fd : db->wait_fd);
	if (fds[WATCH].revents)
		peal_doorbell_mark_dead(db);
	/* The peer rings no more; POLLHUP never comes without it. Sockets only. It makes the socket
	 * readable too, so POLLIN does not tell whether a bell is left: that takes a look. */
	if (fds[BELL].revents & POLLRDHUP) {
		peal_doorbell_mark_dead(db);
		return peal_socket_is_rung(db->wait_fd) ? 0 : 1;
	}
	return fds[BELL].revents ? 0 : 1;
}

int peal_doorbell_wait(struct peal_doorbell *db, uint64_t deadline_ns)
{
	/*
	 * The order is part of the protocol. The kernel asks one after the other: when it finds the
	 * peer dead, all that the peer ever rang is already there for the second question. The other
	 * way round, a peer that rings and dies between the two would be dead with nothing pending.
	 */
	struct pollfd fds[2] = {
		[WATCH] = {.fd = db->watch_fd, .events = POLLIN},
		[BELL] = {.fd = db->wait_fd, .events = POLLIN | POLLRDHUP},
	};
	struct timespec left;
	int rc;

	/* ppoll skips negative numbers: a closed doorbell would sleep for ever. */
	if (db->wait_fd < 0)
		return peal_fail(EBADF, "the doorbell is closed");
	do {
		/* What is pending comes first even from the dead, so they are asked too; but the
		 * next bell of a dead peer is not worth waiting for. */
		if (peal_doorbell_is_dead(db))
			deadline_ns = PEAL_TRY;
		/* Anew in each round: interrupted or not, the wait keeps its end. */
		rc = ppoll(fds, 2, peal_time_left(deadline_ns, &left), NULL);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return peal_fail_errno("waiting at the doorbell");
	rc = judge(db, fds);
	if (rc <= 0)
		return rc;
	if (peal_doorbell_is_dead(db))
		return peal_fail(EPIPE, "the peer closed its end of the doorbell or died");
	return deadline_ns == PEAL_TRY ? -EAGAIN : -ETIMEDOUT;
}
