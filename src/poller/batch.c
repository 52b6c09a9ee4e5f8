/* SPDX-License-Identifier: MIT */
/*
 * batch.c - bells that are rung together.
 *
 * A host that hands something to many sleeping guests owes each of them a bell: a system call each.
 * Here they are kept until the host waits, and go out with the call that it makes anyhow. The ring
 * does not know: it takes a bell that is owed for one that was rung, and owes no second one for the
 * same sleep. So a bell that was taken on must be rung, or its failure told.
 */
#include <errno.h>

#include "base/error.h"
#include "doorbell/doorbell.h"
#include "poller/poller.h"

static int ring_later(struct peal_bell *bell)
{
	struct channel_bell *self = (struct channel_bell *)(void *)bell; /* its first member */

	if (peal_doorbell_is_dead(&self->doorbell))
		return -EPIPE;
	if (!self->is_owed) {
		self->is_owed = true;
		self->next_owed = self->batch->owed;
		self->batch->owed = self;
	}
	return 0;
}

void peal_batch_begin(struct peal_watch *watch)
{
	for (int ring = 0; ring < RINGS; ring++) {
		struct channel_bell *bell = &watch->batched->bells[ring];

		if (!watch->batched->has_ring[ring] || bell->batchers++ > 0)
			continue;
		bell->batch = watch->poller;
		bell->ring_now = bell->bell.ring;
		bell->bell.ring = ring_later;
	}
}

void peal_batch_end(struct peal_watch *watch)
{
	/* All of them: the list is short, and has one direction. */
	peal_poller_flush(watch->poller);
	for (int ring = 0; ring < RINGS; ring++) {
		struct channel_bell *bell = &watch->batched->bells[ring];

		if (watch->batched->has_ring[ring] && --bell->batchers == 0)
			bell->bell.ring = bell->ring_now;
	}
}

int peal_batch_ring(struct peal_poller *poller)
{
	int rc = 0;

	while (poller->owed && rc == 0) {
		struct channel_bell *bell = poller->owed;

		poller->owed = bell->next_owed;
		bell->is_owed = false;
		rc = poller->backend->ring(poller, bell);
	}
	if (rc == 0)
		rc = poller->owed_error;
	poller->owed_error = 0;
	return rc;
}

void peal_batch_rung(struct peal_poller *poller, struct channel_bell *bell, int rc)
{
	if (rc == -EPIPE || rc == -ECONNRESET) {
		peal_doorbell_mark_dead(&bell->doorbell); /* the next bell for it says so */
		return;
	}
	if (rc >= 0 || rc == -EAGAIN) /* full: then there is one pending */
		return;
	/* Nothing was queued; this tries harder. */
	rc = bell->ring_now(&bell->bell);
	if (rc < 0 && rc != -EPIPE)
		poller->owed_error = rc;
}

int peal_poller_flush(struct peal_poller *poller)
{
	int rc;

	if (!poller->open)
		return peal_poller_refuse();
	rc = peal_batch_ring(poller);
	/* Those that were handed to it are on their way only after this. */
	if (rc == 0 && poller->backend->tries_free)
		rc = poller->backend->wait(poller, PEAL_TRY);
	return rc;
}
