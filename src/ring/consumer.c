/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - the cold half of the consumer: empty, broken, asleep.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "ring/ring.h"
#include "ring/wake.h"

void peal_consumer_init(struct peal_consumer *rx, const struct peal_ring_spec *spec)
{
	memset(rx, 0, sizeof(*rx));
	rx->data = spec->data;
	rx->mask = spec->capacity - 1;
	rx->align = spec->align;
	rx->next = spec->start;
	rx->head = spec->start;
	rx->waited_at = spec->start;
	rx->waited_end = spec->start;
	/* The producer keeps one header free for the terminator. */
	rx->span = spec->capacity - spec->align;
	rx->shared_head = &spec->own->head;
	peal_wake_init(&rx->wake, spec, false);
	peal_store_release(rx->shared_head, spec->start);
	rx->open = 1;
}

__attribute__((cold)) static int break_ring(struct peal_consumer *rx, int error, const char *reason)
{
	rx->open = 0;
	rx->error = -error;
	rx->reason = reason;
	return peal_fail(error, "%s", reason);
}

static int refuse(const struct peal_consumer *rx)
{
	if (rx->error == 0) /* all zero: wiped by fork */
		return peal_fail(EBADFD,
				 "this consumer belongs to the process that forked this one");
	return peal_fail(-rx->error, "%s", rx->reason);
}

int peal_next_cold(struct peal_consumer *rx, uint64_t header)
{
	if (!rx->open)
		return refuse(rx);
	if (header == 0)
		return peal_fail(EPIPE, "the producer is gone");
	if (header >> 48 != PEAL_HEADER_VALID)
		return break_ring(rx, EPROTO,
				  "the producer wrote a record header that is not valid");
	return break_ring(rx, EPROTO, "the producer wrote a record that is larger than the ring");
}

int peal_release_cold(struct peal_consumer *rx, uint64_t position)
{
	if (!rx->open)
		return refuse(rx);
	return peal_fail(EINVAL,
			 "the record ends at %llu; records from %llu to %llu are handed out now",
			 (unsigned long long)position, (unsigned long long)rx->head,
			 (unsigned long long)rx->next);
}

int peal_recv_cold(struct peal_consumer *rx, const struct peal_record *record, size_t size)
{
	if (!rx->open)
		return refuse(rx);
	if (!record)
		return peal_fail(EBUSY, "records from peal_next() are not released yet");
	rx->next = rx->head;
	return peal_fail(EMSGSIZE, "the record has %u bytes, the buffer %zu", record->size, size);
}

int peal_wake_producer(struct peal_consumer *rx, uint64_t word)
{
	int rc = peal_wake_peer(&rx->wake, word);

	/* A producer that is gone needs no waking, and what it left is still to be read. */
	if (rc == 0 || rc == -EPIPE)
		return 0;
	return break_ring(rx, -rc, "the producer could not be woken");
}

/* The producer is gone. What an empty ring means from now on; -errno if even that can not be told. */
static int producer_gone(struct peal_consumer *rx)
{
	/* Its last stores come before the look that finds the ring empty. */
	int rc = peal_wake_heavy(&rx->wake);

	if (rc == 0)
		rx->ended = 1;
	return rc;
}

/* C4…C6. 0 armed; 1 not armed, because of what is in @header; -errno not armed either. */
static int arm_data(struct peal_consumer *rx, uint64_t *header)
{
	int rc = peal_wake_arm(&rx->wake, rx->next); /* C4, C5 */
	bool closed;

	if (rc < 0)
		return rc;
	/* The bell of the closing may have been taken by a wait before this one. */
	closed = rx->wake.bell->is_closed(rx->wake.bell);
	*header = peal_next_header(rx); /* C6 */
	if (*header == 0 && !rx->ended && !closed)
		return 0;
	peal_wake_disarm(&rx->wake);
	if (*header != 0)
		return 1;
	rx->ended = 1;
	return peal_next_cold(rx, 0);
}

bool peal_consumer_is_ready(const struct peal_consumer *rx)
{
	return !rx->open || rx->ended || peal_next_header(rx) != 0; /* C0, C6 */
}

int peal_arm_data(struct peal_consumer *rx)
{
	uint64_t header;

	return rx->open ? arm_data(rx, &header) : refuse(rx);
}

int peal_disarm_data(struct peal_consumer *rx)
{
	int rc;

	if (!rx->open && rx->error == 0)
		return refuse(rx); /* wiped by fork: there is no word to write */
	/* On every way out, also if the ring broke meanwhile. */
	rc = peal_wake_leave(&rx->wake);
	if (!rx->open)
		return refuse(rx);
	return rc == -EPIPE ? producer_gone(rx) : rc;
}

/* Sleep until there is a header, in @header. 0 or a negative errno. */
static int sleep_for_data(struct peal_consumer *rx, uint64_t deadline_ns, uint64_t *header)
{
	for (;;) {
		int slept, rc = arm_data(rx, header);

		if (rc != 0)
			return rc < 0 ? rc : 0;
		slept = peal_wake_sleep(&rx->wake, deadline_ns);
		if (slept == -EPIPE) {
			rc = producer_gone(rx);
			if (rc < 0)
				return rc;
		}
		/* C0: loaded once; what is seen here is what is taken. */
		*header = peal_next_header(rx);
		if (*header != 0)
			return 0;
		if (slept == -EPIPE)
			return peal_next_cold(rx, 0);
		if (slept < 0)
			return slept;
		peal_wake_spurious(&rx->wake);
		if (peal_deadline_passed(deadline_ns)) /* a flood of bells must not hide it */
			return -ETIMEDOUT;
	}
}

/* Looks without a pause before those with one: a pause is a good part of a round trip. */
#define QUICK_LOOKS 128
/* The longest stagger in pauses, some microseconds. */
#define STAGGER_MAX 256

/*
 * A consumer that is faster than its producer empties the ring again and again, and its looks then
 * take away the very line that the producer is writing, for every few records. It does better to
 * stay away for a moment and to find many lines complete, which the prefetcher then streams.
 *
 * Only for a real stream: since the last wait there was more than one record, and so many bytes for
 * the pauses made that it was well over half a gigabyte a second. Ping-pong and slow streams are
 * never delayed, and one that slows down halves the stagger with each wait. So does one that fills
 * half the ring meanwhile, such as large frames which nobody touches: the producer had to wait for
 * us, or soon will.
 */
static void stagger(struct peal_consumer *rx)
{
	uint64_t came = rx->next - rx->waited_at;

	if (rx->next == rx->waited_end || came < 256 + 16 * (uint64_t)rx->stagger ||
	    came > (rx->mask + 1) / 2)
		rx->stagger /= 2;
	else if (rx->stagger < STAGGER_MAX)
		rx->stagger = rx->stagger * 2 + 1;
	for (unsigned int i = 0; i < rx->stagger; i++)
		peal_cpu_relax();
}

/* The way from a record's arrival to its user is short here: nothing is counted, timed or learnt. */
static uint64_t look_quickly(const struct peal_consumer *rx)
{
	uint64_t header = peal_next_header(rx); /* C0 */

	for (int i = 1; i < QUICK_LOOKS && header == 0; i++) {
		peal_cpu_finish_loads();
		header = peal_next_header(rx); /* C0 */
	}
	return header;
}

/* Look at the ring for a while, then sleep. 0 with the header in @header, or a negative errno. */
static int wait_for_data(struct peal_consumer *rx, uint64_t deadline_ns, uint64_t *header)
{
	struct peal_spin spin;
	int rc;

	peal_spin_begin(&spin, &rx->wake, deadline_ns);
	*header = 0;
	if (spin.budget_ns > 0) {
		stagger(rx);
		if (rx->stagger == 0)
			*header = look_quickly(rx);
		if (*header != 0)
			return 0;
	}
	do
		*header = peal_next_header(rx); /* C0 */
	while (*header == 0 && peal_spin(&spin, 1));
	if (*header != 0) {
		peal_spin_learn(&rx->wake, true);
		return 0;
	}
	rc = sleep_for_data(rx, deadline_ns, header);
	peal_spin_learn(&rx->wake, peal_spin_was_short(&spin, &rx->wake));
	return rc;
}

/* PEAL_TRY: nothing is there, but is there anybody? */
static int try_once_more(struct peal_consumer *rx, struct peal_record *record)
{
	int rc;

	if (rx->wake.bell->check(rx->wake.bell) != -EPIPE)
		return -EAGAIN;
	rc = producer_gone(rx);
	return rc < 0 ? rc : peal_next(rx, record);
}

int peal_next_wait(struct peal_consumer *rx, struct peal_record *record, uint64_t deadline_ns)
{
	uint64_t header;
	int rc = peal_next(rx, record);

	if (rc != 0)
		return rc;
	if (deadline_ns == PEAL_TRY)
		return try_once_more(rx, record);
	rc = wait_for_data(rx, deadline_ns, &header);
	if (rc < 0)
		return rc;
	rx->waited_at = rx->next;
	rc = peal_take(rx, header, record);
	rx->waited_end = rx->next;
	return rc;
}
