/* SPDX-License-Identifier: MIT */
/*
 * watch.c - one thing that is waited for.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/barrier.h"
#include "base/error.h"
#include "poller/poller.h"

/* --- Lists ----------------------------------------------------------------------------------- */

/* At the end, which is just before the beginning. */
static void list_add(struct peal_watch *watch, int list)
{
	struct peal_watch *at = watch->poller->lists[list].at;

	if (!at) {
		watch->in[list].prev = watch->in[list].next = watch;
		watch->poller->lists[list].at = watch;
	} else {
		watch->in[list].prev = at->in[list].prev;
		watch->in[list].next = at;
		at->in[list].prev->in[list].next = watch;
		at->in[list].prev = watch;
	}
	watch->poller->lists[list].count++;
}

static void list_remove(struct peal_watch *watch, int list)
{
	struct peal_watch *next = watch->in[list].next;

	watch->in[list].prev->in[list].next = next;
	next->in[list].prev = watch->in[list].prev;
	if (watch->poller->lists[list].at == watch)
		watch->poller->lists[list].at = next == watch ? NULL : next;
	watch->poller->lists[list].count--;
}

/* --- From state to state --------------------------------------------------------------------- */

bool peal_watch_is_ready(struct peal_watch *watch)
{
	if (watch->rx)
		return peal_consumer_is_ready(watch->rx);
	if (watch->tx)
		return peal_producer_is_ready(watch->tx, watch->span);
	return watch->gone;
}

/* The backend saw a hang-up, or the pidfd. Let the ring ask the kernel itself and draw its
 * conclusions, so that the next call of its user says so; it also drains, and makes the word even. */
static void bury(struct peal_watch *watch)
{
	if (watch->rx)
		peal_disarm_data(watch->rx);
	else if (watch->tx)
		peal_disarm_space(watch->tx);
}

static void drain(struct peal_watch *watch)
{
	/* An end that it meets is an event of its own for the backend. */
	peal_doorbell_drain(&watch->bell->doorbell);
	watch->undrained = false;
}

static void make_hot(struct peal_watch *watch)
{
	watch->state = WATCH_HOT;
	watch->last_ready = watch->poller->waits;
	list_add(watch, HOT);
}

void peal_watch_fired(struct peal_watch *watch, enum fired what)
{
	if (what == FIRED_GONE)
		watch->gone = true;
	if (what == FIRED_RUNG)
		watch->undrained = true;
	if (watch->state == WATCH_OFF)
		return; /* somebody else's now; what it was is looked at when it is resumed */
	if (watch->state == WATCH_ARMED) {
		if (watch->wake)
			peal_wake_disarm(watch->wake); /* P10, C8 */
		make_hot(watch);
	}
	/* P11, C9: only now that the word is even. io_uring has drained before, docs/doorbell.md. */
	if (watch->undrained)
		drain(watch);
	if (watch->gone)
		bury(watch);
	else if (!peal_watch_is_ready(watch))
		peal_wake_spurious(watch->wake);
}

void peal_watch_report(struct peal_watch *watch, struct peal_event *event)
{
	*event = (struct peal_event){watch->user, watch, watch->kind};
	if (!watch->once)
		return;
	list_remove(watch, HOT);
	watch->state = WATCH_OFF;
	/* Release: who resumes it, on whatever thread, comes after all that we did with it. */
	__atomic_store_n(&watch->resumed, 0, __ATOMIC_RELEASE);
}

/* P7, C5: one barrier for all words. Each peer counts on the kind that it was promised, so if there
 * are both kinds, both are passed. */
static int heavy(const struct peal_watch *arming)
{
	bool membarrier = false, fence = false;

	for (; arming; arming = arming->next_resumed) {
		if (arming->wake->membarrier)
			membarrier = true;
		else
			fence = true;
	}
	if (fence)
		peal_barrier_full();
	return membarrier ? peal_membarrier() : 0;
}

/* P8, C6: the last look; but nobody is armed whose barrier was not passed. */
static void settle(struct peal_watch *watch, bool passed)
{
	/* The bell of the closing may have been taken by whoever had the endpoint before us. */
	bool closed = passed && watch->wake->bell->is_closed(watch->wake->bell);
	bool ready = passed && peal_watch_is_ready(watch);

	if (passed && !ready && !closed) {
		list_remove(watch, HOT);
		watch->state = WATCH_ARMED;
		watch->poller->backend->arm(watch);
		return;
	}
	peal_wake_disarm(watch->wake);
	if (closed)
		bury(watch);
}

int peal_watches_arm(struct peal_poller *poller, unsigned int min_idle)
{
	struct peal_watch *watch = poller->lists[HOT].at, *arming = NULL, *next;
	int rc;

	/* P6, C4 for all. The child of a watch is HOT only when it has something to report. */
	for (size_t i = poller->lists[HOT].count; i > 0; i--, watch = watch->in[HOT].next) {
		if (!watch->wake || poller->waits - watch->last_ready < min_idle)
			continue;
		peal_wake_announce(watch->wake,
				   watch->rx ? watch->rx->next : peal_producer_seen(watch->tx));
		watch->next_resumed = arming;
		arming = watch;
	}
	if (!arming)
		return 0;
	rc = heavy(arming);
	for (watch = arming; watch; watch = next) {
		next = watch->next_resumed;
		settle(watch, rc == 0);
	}
	return rc;
}

void peal_watches_take_resumed(struct peal_poller *poller)
{
	struct peal_watch *watch, *next;

	if (!__atomic_load_n(&poller->resumed, __ATOMIC_SEQ_CST))
		return;
	watch = __atomic_exchange_n(&poller->resumed, NULL, __ATOMIC_SEQ_CST);
	for (; watch; watch = next) {
		next = watch->next_resumed;
		make_hot(watch);
		/* What came while it was somebody else's. A bell that is left in the queue for good
		 * would one day let the peer find it full. */
		if (watch->undrained)
			drain(watch);
		if (watch->gone)
			bury(watch);
	}
}

/* --- The API --------------------------------------------------------------------------------- */

static int add(struct peal_watch *template, struct peal_watch **out)
{
	struct peal_watch *watch = malloc(sizeof(*watch));
	int rc;

	if (!watch)
		return peal_fail_errno("allocating a watch");
	*watch = *template;
	watch->pidfd_copy = -1;
	watch->resumed = 1;
	rc = watch->poller->backend->add(watch);
	if (rc < 0) {
		free(watch);
		return rc;
	}
	list_add(watch, ALL);
	if (watch->bell) {
		watch->bell->watched = true;
		if (watch->batched)
			peal_batch_begin(watch);
		make_hot(watch);
	} else {
		watch->state = WATCH_ARMED;
	}
	if (out)
		*out = watch;
	return 0;
}

/* What a watch of either ring begins with. @ring: the doorbell's; its end must be there and free. */
static int prepare(struct peal_watch *watch, struct peal_poller *poller,
		   struct peal_channel *channel, bool is_tx)
{
	int ring = channel->is_host == is_tx ? TO_GUEST : TO_HOST;

	if (!poller->open || !channel->open)
		return peal_poller_refuse();
	if (!channel->has_ring[ring])
		return peal_fail(EINVAL, "the channel has no ring %s the %s", is_tx ? "to" : "from",
				 channel->is_host ? "guest" : "host");
	if (channel->is_plain)
		return peal_fail(EINVAL, "the channel was attached for strict seccomp, where "
					 "nobody can poll");
	if (channel->bells[ring].watched)
		return peal_fail(EBUSY, "this end of the channel is watched already");
	*watch = (struct peal_watch){
		.poller = poller,
		.bell = &channel->bells[ring],
		.pidfd = channel->peer_pidfd,
	};
	return 0;
}

int peal_poller_watch_data(struct peal_poller *poller, struct peal_channel *channel,
			   unsigned int flags, void *user, struct peal_watch **watch)
{
	struct peal_watch made;
	int rc;

	/* Who gets such an event may be in another thread. */
	if ((flags & PEAL_WATCH_ONCE) && (flags & PEAL_WATCH_BATCH_WAKES))
		return peal_fail(EINVAL, "a watch that reports once can not batch wakes");
	if (flags & ~(PEAL_WATCH_ONCE | PEAL_WATCH_BATCH_WAKES))
		return peal_fail(EINVAL, "unknown watch flags %#x", flags);
	rc = prepare(&made, poller, channel, false);
	if (rc < 0)
		return rc;
	made.kind = PEAL_EVENT_DATA;
	made.once = flags & PEAL_WATCH_ONCE;
	made.user = user;
	made.batched = flags & PEAL_WATCH_BATCH_WAKES ? channel : NULL;
	made.rx = peal_rx(channel);
	made.wake = &made.rx->wake;
	return add(&made, watch);
}

/* What peal_arm_space() does first: publish what is staged, for nobody may wait for room that only
 * unseen records take up; and refuse what never fits. Other errors are for the event. */
static int ask_for_room(struct peal_watch *watch, size_t size)
{
	void *payload;
	int rc = peal_reserve(watch->tx, size, &payload);

	peal_abort(watch->tx);
	if (rc == -EMSGSIZE)
		return rc;
	watch->span = peal_record_span(size, watch->tx->align);
	return 0;
}

int peal_poller_watch_space(struct peal_poller *poller, struct peal_channel *channel, size_t size,
			    unsigned int flags, void *user, struct peal_watch **watch)
{
	struct peal_watch made;
	int rc;

	if (flags & ~PEAL_WATCH_BATCH_WAKES)
		return peal_fail(EINVAL, "unknown watch flags %#x", flags);
	rc = prepare(&made, poller, channel, true);
	if (rc < 0)
		return rc;
	made.kind = PEAL_EVENT_SPACE;
	made.once = true;
	made.user = user;
	made.batched = flags & PEAL_WATCH_BATCH_WAKES ? channel : NULL;
	made.tx = peal_tx(channel);
	made.wake = &made.tx->wake;
	rc = ask_for_room(&made, size);
	return rc < 0 ? rc : add(&made, watch);
}

int peal_poller_watch_child(struct peal_poller *poller, struct peal_child *child, void *user,
			    struct peal_watch **watch)
{
	struct peal_watch made = {
		.poller = poller,
		.user = user,
		.kind = PEAL_EVENT_CHILD,
		.once = true,
		.pidfd = peal_child_pidfd(child),
	};

	if (!poller->open)
		return peal_poller_refuse();
	return add(&made, watch);
}

void peal_watch_remove(struct peal_watch *watch)
{
	struct peal_poller *poller;
	bool is_free;

	if (!watch || !watch->poller->open)
		return;
	poller = watch->poller;
	/* It may be among them. */
	peal_watches_take_resumed(poller);
	if (watch->batched)
		peal_batch_end(watch);
	/* First the word, then the doorbell is somebody else's. */
	if (watch->state == WATCH_ARMED && watch->wake)
		peal_wake_disarm(watch->wake);
	is_free = poller->backend->remove(watch);
	/* Looked at only now: while the backend waited for its last word, the bell may have rung. */
	if (watch->state == WATCH_HOT)
		list_remove(watch, HOT);
	list_remove(watch, ALL);
	if (watch->bell)
		watch->bell->watched = false;
	if (is_free) {
		free(watch);
	} else {
		watch->next_resumed = poller->held;
		poller->held = watch;
	}
}

int peal_watch_resume(struct peal_watch *watch, size_t size)
{
	struct peal_poller *poller = watch->poller;
	int rc = 0;

	if (!poller->open)
		return peal_poller_refuse();
	if (watch->kind == PEAL_EVENT_CHILD)
		return peal_fail(EINVAL, "a child ends once; there is nothing to resume");
	/* Acquire: pairs with the release of the report. */
	if (__atomic_load_n(&watch->resumed, __ATOMIC_ACQUIRE))
		return peal_fail(EBUSY, "the poller has this watch already");
	if (watch->tx)
		rc = ask_for_room(watch, size);
	if (rc < 0)
		return rc;
	__atomic_store_n(&watch->resumed, 1, __ATOMIC_RELAXED);
	watch->next_resumed = __atomic_load_n(&poller->resumed, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&poller->resumed, &watch->next_resumed, watch, true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return peal_poller_rouse(poller);
}
