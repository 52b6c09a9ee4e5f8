/* SPDX-License-Identifier: MIT */
/*
 * producer.c - the cold half of the producer: full, broken, asleep.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "ring/ring.h"
#include "ring/wake.h"

void peal_producer_init(struct peal_producer *tx, const struct peal_ring_spec *spec)
{
	memset(tx, 0, sizeof(*tx));
	tx->data = spec->data;
	tx->mask = spec->capacity - 1;
	tx->align = spec->align;
	tx->tail = spec->start;
	/* One header stays free for the terminator behind the last record (P2). */
	tx->limit = spec->start + spec->capacity - spec->align;
	tx->size_end = spec->capacity - 2 * spec->align + 1;
	if (tx->size_end > UINT64_C(1) << 32)
		tx->size_end = UINT64_C(1) << 32; /* the header has 32 bits for it */
	tx->shared_tail = &spec->own->tail;
	tx->head = &spec->peer->head;
	peal_wake_init(&tx->wake, spec, true);
	peal_store_relaxed(tx->shared_tail, spec->start);
	tx->open = 1;
}

/* From now on every call is refused: no room, no reservation, nothing staged. */
__attribute__((cold)) static int close_ring(struct peal_producer *tx, int error, const char *reason)
{
	tx->open = 0;
	tx->error = -error;
	tx->reason = reason;
	tx->staged = 0;
	tx->limit = tx->tail;
	tx->reserved = 0;
	return peal_fail(error, "%s", reason);
}

static int refuse(const struct peal_producer *tx)
{
	if (tx->error == 0) /* all zero: wiped by fork */
		return peal_fail(EBADFD,
				 "this producer belongs to the process that forked this one");
	return peal_fail(-tx->error, "%s", tx->reason);
}

size_t peal_record_max(const struct peal_producer *tx)
{
	return tx->size_end > 0 ? tx->size_end - 1 : 0;
}

static bool has_room(const struct peal_producer *tx, uint64_t span)
{
	return span <= tx->limit - tx->tail - tx->staged;
}

/* What the ring can hold, which is how far the limit is in front of the head. */
static uint64_t span_of_ring(const struct peal_producer *tx)
{
	return tx->mask + 1 - tx->align;
}

uint64_t peal_producer_seen(const struct peal_producer *tx)
{
	return tx->limit - span_of_ring(tx);
}

/* P0, P8: load the consumer's head, once; it is a claim. 0 or -EPROTO. */
static int reload_head(struct peal_producer *tx)
{
	uint64_t seen = peal_producer_seen(tx);
	uint64_t head = peal_load_acquire(tx->head); /* acquire, pairs with C3 */

	/* Forward from the last one, not beyond what was published, on a record's boundary. */
	if (head - seen > tx->tail - seen || (head & (tx->align - 1)) != 0)
		return close_ring(tx, EPROTO,
				  "the consumer wrote a position that is not in the ring");
	tx->limit = head + span_of_ring(tx);
	return 0;
}

int peal_reserve_cold(struct peal_producer *tx, size_t size, void **payload)
{
	int rc;

	if (!tx->open)
		return refuse(tx);
	if (size >= tx->size_end)
		return peal_fail(EMSGSIZE, "a record of %zu bytes; this ring takes at most %zu",
				 size, peal_record_max(tx));
	rc = reload_head(tx);
	if (rc < 0)
		return rc;
	if (has_room(tx, peal_record_span(size, tx->align)))
		return peal_reserve(tx, size, payload);
	/* Never let the caller wait for room that only unseen records take up. */
	rc = peal_publish(tx);
	return rc < 0 ? rc : -EAGAIN;
}

static int check_reservation(const struct peal_producer *tx, size_t size)
{
	uint64_t position = tx->tail + tx->staged;

	if (!tx->open)
		return refuse(tx);
	if (peal_not_reserved(tx, position, 0))
		return peal_fail(EINVAL, "nothing is reserved");
	if (peal_not_reserved(tx, position, size))
		return peal_fail(EINVAL, "%zu bytes to commit, but only %llu reserved", size,
				 (unsigned long long)(tx->reserved ^ position << 30) - 1);
	return 0;
}

int peal_stage_cold(struct peal_producer *tx, size_t size, uint16_t type)
{
	int rc = check_reservation(tx, size);

	return rc < 0 ? rc : peal_stage(tx, size, type);
}

int peal_commit_cold(struct peal_producer *tx, size_t size, uint16_t type)
{
	int rc = peal_stage_cold(tx, size, type);

	return rc < 0 ? rc : peal_publish(tx);
}

int peal_wake_consumer(struct peal_producer *tx, uint64_t word)
{
	int rc = peal_wake_peer(&tx->wake, word);

	if (rc == 0)
		return 0;
	if (rc == -EPIPE)
		return close_ring(tx, EPIPE, "the consumer is gone");
	return close_ring(tx, -rc, "the consumer could not be woken");
}

/* P6…P8 for a record of @span bytes. 0 armed, 1 there is room and nothing is armed, -errno. */
static int arm_space(struct peal_producer *tx, uint64_t span)
{
	int rc = peal_wake_arm(&tx->wake, peal_producer_seen(tx)); /* P6, P7 */
	bool closed;

	if (rc < 0)
		return rc;
	/* The bell of the closing may have been taken by a wait before this one. */
	closed = tx->wake.bell->is_closed(tx->wake.bell);
	rc = reload_head(tx); /* P8 */
	if (rc == 0 && !has_room(tx, span) && !closed)
		return 0;
	peal_wake_disarm(&tx->wake);
	if (rc < 0 || has_room(tx, span))
		return rc < 0 ? rc : 1;
	return close_ring(tx, EPIPE, "the consumer is gone");
}

bool peal_producer_is_ready(struct peal_producer *tx, uint64_t span)
{
	return !tx->open || reload_head(tx) < 0 || has_room(tx, span); /* P8 */
}

int peal_arm_space(struct peal_producer *tx, size_t size)
{
	void *payload;
	int rc = peal_reserve(tx, size, &payload);

	peal_abort(tx);
	if (rc != -EAGAIN)
		return rc < 0 ? rc : 1;
	return arm_space(tx, peal_record_span(size, tx->align));
}

int peal_disarm_space(struct peal_producer *tx)
{
	int rc;

	if (!tx->open && tx->error == 0)
		return refuse(tx); /* wiped by fork: there is no word to write */
	/* On every way out, also if the ring broke meanwhile. */
	rc = peal_wake_leave(&tx->wake);
	if (!tx->open)
		return refuse(tx);
	if (rc == -EPIPE)
		close_ring(tx, EPIPE, "the consumer is gone");
	return rc == -EPIPE ? 0 : rc;
}

/* Sleep until there is room for @span. 0 or a negative errno. */
static int sleep_for_space(struct peal_producer *tx, uint64_t span, uint64_t deadline_ns)
{
	for (;;) {
		int slept = 0, rc = arm_space(tx, span);

		if (rc < 0)
			return rc;
		if (rc == 0)
			slept = peal_wake_sleep(&tx->wake, deadline_ns);
		rc = reload_head(tx);
		if (rc < 0)
			return rc;
		if (has_room(tx, span))
			return 0;
		if (slept == -EPIPE)
			return close_ring(tx, EPIPE, "the consumer is gone");
		if (slept < 0)
			return slept;
		peal_wake_spurious(&tx->wake);
		if (peal_deadline_passed(deadline_ns)) /* a flood of bells must not hide it */
			return -ETIMEDOUT;
	}
}

/* At most 32 pauses, less than a microsecond, between two looks at the head. */
#define PAUSE_SHIFT_MAX 5

/*
 * Wait for room for @span: spin, then sleep. 0 or a negative errno.
 *
 * The spin waits for an eighth of the ring rather than for one record: a producer that goes on at
 * the first freed record runs into the full ring again at once, and the two then pass one cache
 * line to and fro for every record. This is a delay and no more: before sleeping, and while
 * asleep, exactly what is needed decides, because the consumer may never release more.
 */
static int wait_for_space(struct peal_producer *tx, uint64_t span, uint64_t deadline_ns)
{
	uint64_t eighth = (tx->mask + 1) / 8;
	uint64_t wanted = span > eighth ? span : eighth;
	struct peal_spin spin;
	int rc;

	peal_spin_begin(&spin, &tx->wake, deadline_ns);
	/* Rarer and rarer: each look takes the line away that the consumer writes its head to. */
	do
		rc = reload_head(tx); /* P0 */
	while (rc == 0 && !has_room(tx, wanted) &&
	       peal_spin(&spin,
			 1u << (spin.rounds < PAUSE_SHIFT_MAX ? spin.rounds : PAUSE_SHIFT_MAX)));
	if (rc < 0)
		return rc;
	if (has_room(tx, span)) {
		/* To spin in vain for an eighth while there was room was not worth while. */
		peal_spin_learn(&tx->wake, has_room(tx, wanted));
		return 0;
	}
	rc = sleep_for_space(tx, span, deadline_ns);
	peal_spin_learn(&tx->wake, peal_spin_was_short(&spin, &tx->wake));
	return rc;
}

int peal_reserve_wait(struct peal_producer *tx, size_t size, void **payload, uint64_t deadline_ns)
{
	uint64_t span = peal_record_span(size, tx->align);
	int rc = peal_reserve(tx, size, payload);

	if (rc != -EAGAIN)
		return rc;
	if (deadline_ns == PEAL_TRY) {
		if (tx->wake.bell->check(tx->wake.bell) == -EPIPE)
			return close_ring(tx, EPIPE, "the consumer is gone");
		return -EAGAIN;
	}
	rc = wait_for_space(tx, span, deadline_ns);
	return rc < 0 ? rc : peal_reserve(tx, size, payload);
}
