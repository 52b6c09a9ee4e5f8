/* SPDX-License-Identifier: MIT */
/*
 * poller.c - one wait: look at what is hot, spin a little, arm all, sleep.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/options.h"
#include "base/private.h"
#include "poller/poller.h"

/* While there is always something to report, the doorbells of the armed are asked every so many
 * waits: they may be late by that, but must not starve. */
#define TEND_EVERY 16
/* What had nothing in so many waits is armed even though others are busy, so that a wait does not go
 * on looking at rings that have fallen silent. */
#define IDLE_WAITS 64
/* Looks without a pause before those with one, as for a single ring. */
#define BARE_LOOKS 48

int peal_poller_refuse(void)
{
	return peal_fail(EBADFD,
			 "this poller or channel belongs to the process that forked this one");
}

/* --- Setting up and tearing down ------------------------------------------------------------- */

static struct peal_poller *allocate(void)
{
	struct peal_poller *poller = peal_private_alloc(sizeof(*poller));

	if (!poller)
		return NULL;
	poller->fd = -1;
	poller->wake_fd = -1;
	return poller;
}

/* Where io_uring is refused, for whatever reason, epoll may still do. What fails for both is told in
 * epoll's words. */
static int open_backend(struct peal_poller *poller, uint32_t backend)
{
	int rc = -ENOSYS;

	if (backend != PEAL_POLLER_EPOLL) {
		poller->backend = &peal_backend_uring;
		rc = poller->backend->open(poller);
	}
	if (rc < 0 && backend != PEAL_POLLER_IO_URING) {
		poller->backend = &peal_backend_epoll;
		rc = poller->backend->open(poller);
	}
	return rc;
}

int peal_poller_create(struct peal_poller **poller, const struct peal_poller_options *options)
{
	struct peal_poller_options checked;
	struct peal_poller *made;
	uint64_t spin_cap_ns;
	int rc = peal_options_copy(&checked, sizeof(checked), sizeof(checked), options);

	if (rc == 0 && checked.backend > PEAL_POLLER_EPOLL)
		rc = peal_fail(EINVAL, "unknown poller backend %u", checked.backend);
	if (rc == 0)
		rc = peal_channel_spin_cap(checked.spin_max_us, &spin_cap_ns);
	if (rc < 0)
		return rc;
	made = allocate();
	if (!made)
		return peal_fail_errno("allocating a poller");
	made->pace.spin_cap_ns = spin_cap_ns;
	made->pace.spin_ns = spin_cap_ns;
	made->wake_fd = peal_wake_create();
	rc = made->wake_fd < 0 ? made->wake_fd : open_backend(made, checked.backend);
	if (rc < 0) {
		peal_fd_close(&made->wake_fd);
		peal_private_free(made, sizeof(*made));
		return rc;
	}
	made->open = true;
	*poller = made;
	return 0;
}

struct peal_poller *peal_poller_close(struct peal_poller *poller)
{
	struct peal_watch *next;

	if (!poller)
		return NULL;
	if (poller->open) {
		while (poller->lists[ALL].at)
			peal_watch_remove(poller->lists[ALL].at);
		poller->backend->close(poller);
		for (; poller->held; poller->held = next) {
			next = poller->held->next_resumed;
			free(poller->held);
		}
		peal_fd_close(&poller->wake_fd);
	}
	peal_private_free(poller, sizeof(*poller));
	return NULL;
}

int peal_poller_backend(const struct peal_poller *poller)
{
	return poller->open ? poller->backend->id : peal_poller_refuse();
}

int peal_poller_fd(const struct peal_poller *poller)
{
	return poller->open ? poller->fd : -1;
}

/* --- Other threads --------------------------------------------------------------------------- */

/*
 *      poller                        other thread
 *      asleep = 1                    push, or woken = 1
 *      look at both                  asleep == 1? then 0, and ring
 *
 * All seq_cst, so at least one of the two sees what the other stored: the poller does not sleep, or
 * it is rung. A bell that comes late, when it is awake again, is one look for nothing.
 */
int peal_poller_rouse(struct peal_poller *poller)
{
	if (__atomic_exchange_n(&poller->asleep, 0, __ATOMIC_SEQ_CST))
		return peal_wake_notify(poller->wake_fd);
	return 0;
}

int peal_poller_wake(struct peal_poller *poller)
{
	if (!poller->open)
		return peal_poller_refuse();
	__atomic_store_n(&poller->woken, 1, __ATOMIC_SEQ_CST);
	return peal_poller_rouse(poller);
}

static bool is_called(const struct peal_poller *poller)
{
	return __atomic_load_n(&poller->resumed, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&poller->woken, __ATOMIC_SEQ_CST);
}

/* --- Waiting --------------------------------------------------------------------------------- */

/* Each HOT one once, from where the last look ended. Return: the number of events. */
static int look(struct peal_poller *poller, struct peal_event *events, int max)
{
	int count = 0;

	peal_watches_take_resumed(poller);
	if (__atomic_load_n(&poller->woken, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&poller->woken, 0, __ATOMIC_SEQ_CST))
		events[count++] = (struct peal_event){.kind = PEAL_EVENT_WAKE};
	for (size_t i = poller->lists[HOT].count; i > 0 && count < max; i--) {
		struct peal_watch *watch = poller->lists[HOT].at;

		poller->lists[HOT].at = watch->in[HOT].next;
		if (!peal_watch_is_ready(watch))
			continue;
		watch->last_ready = poller->waits;
		peal_watch_report(watch, &events[count++]);
	}
	return count;
}

/* There is something to report without asking the kernel; but what about those that sleep? An error
 * here must not hide the events; it comes again when the poller wants to sleep. */
static void tend(struct peal_poller *poller)
{
	bool due = poller->waits % TEND_EVERY == 0;

	if (due)
		peal_watches_arm(poller, IDLE_WAITS);
	if (due || poller->backend->tries_free)
		poller->backend->wait(poller, PEAL_TRY);
}

/* May any of those that were active lately be worth a spin? */
static bool is_worth_a_spin(const struct peal_poller *poller)
{
	const struct peal_watch *watch = poller->lists[HOT].at;

	for (size_t i = poller->lists[HOT].count; i > 0; i--, watch = watch->in[HOT].next) {
		if (watch->wake && peal_wake_is_apart(watch->wake))
			return true;
	}
	return false;
}

/* Look again and again for a while. Return: the number of events. */
static int spin(struct peal_poller *poller, struct peal_spin *spin, struct peal_event *events,
		int max)
{
	int count;

	do {
		if (poller->backend->tries_free)
			poller->backend->wait(poller, PEAL_TRY);
		count = look(poller, events, max);
		spin->effort += (unsigned int)poller->lists[HOT].count;
	} while (count == 0 && peal_spin(spin, spin->rounds >= BARE_LOOKS));
	return count;
}

/* Sleep until the deadline or until there is something HOT. 0 or a negative errno. */
static int sleep_once(struct peal_poller *poller, uint64_t deadline_ns)
{
	int rc;

	__atomic_store_n(&poller->asleep, 1, __ATOMIC_SEQ_CST);
	if (is_called(poller))
		deadline_ns = PEAL_TRY;
	rc = poller->backend->wait(poller, deadline_ns);
	__atomic_store_n(&poller->asleep, 0, __ATOMIC_RELAXED);
	return rc;
}

/* The last look found something; what is to be asked and rung goes out all the same. */
static int do_not_sleep(struct peal_poller *poller)
{
	return poller->backend->tries_free ? poller->backend->wait(poller, PEAL_TRY) : 0;
}

static int sleep_for_events(struct peal_poller *poller, struct peal_event *events, int max,
			    uint64_t deadline_ns)
{
	int rc, count;

	for (;;) {
		rc = peal_watches_arm(poller, 0);
		/* What is HOT still has something. */
		if (rc == 0)
			rc = poller->lists[HOT].count == 0 ? sleep_once(poller, deadline_ns)
							   : do_not_sleep(poller);
		if (rc < 0)
			return rc;
		count = look(poller, events, max);
		if (count > 0)
			return count;
		/* A flood of bells must not hide it. */
		if (deadline_ns == PEAL_TRY)
			return -EAGAIN;
		if (peal_deadline_passed(deadline_ns))
			return -ETIMEDOUT;
	}
}

int peal_poller_wait(struct peal_poller *poller, struct peal_event *events, int max,
		     uint64_t deadline_ns)
{
	struct peal_spin state = {.budget_ns = poller->pace.spin_ns, .deadline_ns = deadline_ns};
	int count, rc;

	if (!poller->open)
		return peal_poller_refuse();
	if (max < 1)
		return peal_fail(EINVAL, "room for %d events; expected at least 1", max);
	rc = peal_batch_ring(poller);
	if (rc < 0)
		return rc;
	poller->waits++;
	__atomic_store_n(&poller->asleep, 0, __ATOMIC_RELAXED); /* after peal_poller_arm() */
	count = look(poller, events, max);
	if (count > 0) {
		tend(poller);
		return count;
	}
	if (deadline_ns != PEAL_TRY && is_worth_a_spin(poller)) {
		count = spin(poller, &state, events, max);
		if (count > 0) {
			peal_spin_learn(&poller->pace, true);
			return count;
		}
	}
	count = sleep_for_events(poller, events, max, deadline_ns);
	if (state.begin_ns != 0)
		peal_spin_learn(&poller->pace, peal_spin_was_short(&state, &poller->pace));
	return count;
}

int peal_poller_arm(struct peal_poller *poller)
{
	int rc;

	if (!poller->open)
		return peal_poller_refuse();
	peal_watches_take_resumed(poller);
	rc = peal_batch_ring(poller);
	if (rc == 0)
		rc = peal_watches_arm(poller, 0);
	__atomic_store_n(&poller->asleep, 1, __ATOMIC_SEQ_CST);
	/* What happened up to here is asked for, so that a loop which looks for edges needs none of
	 * the past. */
	if (rc == 0)
		rc = poller->backend->wait(poller, PEAL_TRY);
	if (rc == 0 && poller->lists[HOT].count == 0 && !is_called(poller))
		return 0;
	__atomic_store_n(&poller->asleep, 0, __ATOMIC_RELAXED);
	return rc < 0 ? rc : 1;
}
