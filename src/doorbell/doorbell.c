/* SPDX-License-Identifier: MIT */
/*
 * doorbell.c - one object over two kinds, and the memory of the peer's death.
 */
#include <peal/doorbell.h>

#include "base/fd.h"
#include "doorbell/doorbell.h"

/*
 * Relaxed on both sides: the mark publishes no data, it only goes from 0 to 1, and a thread that
 * still reads 0 makes one more system call, from which it learns the same.
 */
void peal_doorbell_mark_dead(struct peal_doorbell *db)
{
	__atomic_store_n(&db->dead, 1, __ATOMIC_RELAXED);
}

bool peal_doorbell_is_dead(const struct peal_doorbell *db)
{
	return __atomic_load_n(&db->dead, __ATOMIC_RELAXED);
}

int peal_doorbell_signal(struct peal_doorbell *db)
{
	int rc;

	/* Sticky also where the kernel would still take it: from a grandchild that holds the dead
	 * peer's end, and from an eventfd, which does not know who reads it. */
	if (peal_doorbell_is_dead(db))
		return PEAL_SIGNAL_PEER_DEAD;
	rc = db->kind == PEAL_DOORBELL_SOCKET ? peal_socket_ring(db->signal_fd)
					      : peal_eventfd_ring(db->signal_fd);
	if (rc == PEAL_SIGNAL_PEER_DEAD)
		peal_doorbell_mark_dead(db);
	return rc;
}

int peal_doorbell_drain(struct peal_doorbell *db)
{
	int bits = db->kind == PEAL_DOORBELL_SOCKET ? peal_socket_drain(db->wait_fd)
						    : peal_eventfd_drain(db->wait_fd);

	if (bits < 0)
		return bits;
	if (bits & PEAL_DRAIN_CLOSED)
		peal_doorbell_mark_dead(db);
	/* What a watched pidfd or a failed signal told counts as well: whoever drains after each
	 * wait learns of every death here. */
	return peal_doorbell_is_dead(db) ? bits | PEAL_DRAIN_CLOSED : bits;
}

int64_t peal_doorbell_pending(const struct peal_doorbell *db)
{
	return db->kind == PEAL_DOORBELL_SOCKET ? peal_socket_pending(db->wait_fd)
						: peal_eventfd_pending(db->wait_fd);
}

void peal_doorbell_watch(struct peal_doorbell *db, int pidfd)
{
	db->watch_fd = pidfd;
}

void peal_doorbell_close(struct peal_doorbell *db)
{
	/* A socket is both: closing its number twice could hit what another thread just opened. */
	if (db->signal_fd != db->wait_fd)
		peal_fd_close(&db->signal_fd);
	peal_fd_close(&db->wait_fd);
	db->signal_fd = -1;
	db->watch_fd = -1; /* borrowed */
}

int peal_doorbell_fd(const struct peal_doorbell *db)
{
	return db->wait_fd;
}

int peal_doorbell_accept(struct peal_doorbell *db)
{
	(void)db; /* a socketpair is born connected */
	return 0;
}
