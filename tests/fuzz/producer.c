/* SPDX-License-Identifier: MIT */
/*
 * producer.c - a producer whose consumer lies in every word.
 *
 * The model knows what the consumer has claimed and which claims are possible. From that follows what
 * each call must answer, where it may write, and how often it may look.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "ring/wake.h"

/* For who waits: spinning within the longest spin of this file, and the sleeps that a bell allows. */
#define LOADS_MAX_WAITING 96
#define LOADS_MAX         6
#define SPIN_CAP_NS       4000

static struct {
	struct peal_producer tx;
	struct fuzz_segment own, peer;
	struct fuzz_bell bell;
	struct fuzz_wake wake;
	uint64_t align;

	uint64_t tail, head; /* of what the consumer may have */
	uint64_t staged;     /* bytes behind the tail */
	uint64_t committing; /* bytes that this call may publish beyond those */
	bool has_reservation;
	uint64_t reserved;
	bool armed;
	int error; /* sticky; 0: none */

	/* In this call. */
	bool head_is_false;
	bool was_gone;
	unsigned int published;
} m;

static uint64_t span_of(uint64_t size)
{
	return m.align + (size + m.align - 1) / m.align * m.align;
}

/* --- What the consumer claims ----------------------------------------------------------------- */

static uint64_t false_or_true_head(void)
{
	switch (fuzz_byte() & 7) {
	case 0:
	case 1:
		return m.tail; /* it has released all */
	case 2:
		return m.head; /* nothing more */
	case 3:
		return m.head + m.align * fuzz_byte();
	case 4:
		return m.head + (m.tail - m.head) * fuzz_byte() / 255;
	case 5:
		return m.tail + (uint64_t)(int64_t)(int8_t)fuzz_byte();
	case 6:
		return m.head + (uint64_t)(int64_t)(int8_t)fuzz_byte();
	default:
		return fuzz_u64();
	}
}

static uint64_t claim_head(void)
{
	uint64_t head = false_or_true_head();

	FUZZ_CHECK(!m.head_is_false, "a false head was looked at again");
	if (head - m.head > m.tail - m.head || head % m.align != 0)
		m.head_is_false = true;
	else
		m.head = head;
	return head;
}

static uint64_t claim(const uint64_t *word, uint64_t real)
{
	FUZZ_CHECK(m.error == 0, "a broken ring looks at its peer");
	if (word == &m.peer.ro->head)
		return claim_head();
	if (word == &m.peer.ro->data_wait)
		return fuzz_wake_look(&m.wake);
	FUZZ_CHECK(word == &m.peer.ro->cpu, "a look at offset %td of the consumer's segment",
		   (const char *)word - (const char *)m.peer.ro);
	return fuzz_claim(real);
}

/* --- What the producer writes ----------------------------------------------------------------- */

static void stored_data(uint64_t index, uint64_t value, int order)
{
	uint64_t free = m.own.capacity - (m.tail - m.head);
	uint64_t behind_tail = (index - m.tail) & (m.own.capacity - 1);

	FUZZ_CHECK(behind_tail + sizeof(uint64_t) <= free,
		   "a record that is not released is overwritten");
	if (order != __ATOMIC_RELEASE)
		return;
	FUZZ_CHECK(behind_tail == 0 && value >> 48 == 0x8000, "what is published is no header");
	m.published++;
}

static void stored_tail(uint64_t tail)
{
	uint64_t bytes = tail - m.tail;

	FUZZ_CHECK(bytes > 0 && (bytes == m.staged || bytes == m.staged + m.committing),
		   "%llu bytes were published", (unsigned long long)bytes);
	if (bytes != m.staged)
		m.committing = 0;
	m.tail = tail;
	m.staged = 0;
}

static void stored(uint64_t *word, uint64_t value, int order)
{
	const uint64_t index = (uintptr_t)word - (uintptr_t)fuzz_data(m.own.rw);
	const struct peal_segment_header *own = m.own.rw;

	if (index < 2 * m.own.capacity)
		stored_data(index, value, order);
	else if (word == &m.tx.tail)
		stored_tail(value);
	else
		FUZZ_CHECK(word == &own->tail || word == &own->space_wait ||
				   word == &own->producer_counters.sleeps ||
				   word == &own->producer_counters.wakes ||
				   word == &own->producer_counters.spurious ||
				   word == &own->producer_counters.since_ns ||
				   word == &own->producer_counters.position,
			   "a store that is none of the producer's");
}

/* --- One call --------------------------------------------------------------------------------- */

static void begin_call(unsigned int loads_max)
{
	m.head_is_false = false;
	m.was_gone = m.bell.gone;
	m.bell.gone = false;
	m.bell.waits = 0;
	m.published = 0;
	m.committing = 0;
	m.wake.looks = 0;
	m.wake.failed = 0;
	fuzz_peer.loads = 0;
	fuzz_peer.loads_max = loads_max;
}

static void broke(int error, const char *words)
{
	m.error = error;
	m.staged = 0;
	m.has_reservation = false;
	FUZZ_CHECK(strstr(peal_last_error(), words) != NULL, "the sentence is \"%s\", not \"%s\"",
		   peal_last_error(), words);
}

/* @rc: what the call returned, or would if it could. @tells: death is its result, not the next one's. */
static void end_call(int rc, bool tells)
{
	if (m.error != 0) {
		FUZZ_CHECK(rc == m.error, "%d after the ring broke with %d", rc, m.error);
	} else if (m.head_is_false) {
		FUZZ_CHECK(rc == -EPROTO, "%d for a false head", rc);
		broke(-EPROTO, "consumer wrote a position that is not in the ring");
	} else if (m.wake.failed != 0) {
		FUZZ_CHECK(rc == m.wake.failed, "%d for a bell that failed", rc);
		broke(rc, rc == -EPIPE ? "consumer is gone" : "could not be woken");
	} else if (rc == -EPIPE || (!tells && m.bell.gone)) {
		FUZZ_CHECK(m.bell.gone, "a peer that is there is called gone");
		broke(-EPIPE, "consumer is gone");
	}
	FUZZ_CHECK(rc != -EPROTO || m.error == -EPROTO, "an honest peer is called false");
	FUZZ_CHECK(!m.tx.open == (m.error != 0), "open is %d after %d", (int)m.tx.open, m.error);
	FUZZ_CHECK(!m.wake.is_owed, "a sleeping peer was not woken");
	FUZZ_CHECK(m.wake.looks == m.published, "%u looks at the wait word for %u publications",
		   m.wake.looks, m.published);
	FUZZ_CHECK(m.armed || (m.own.rw->space_wait & 1) == 0, "awake with an odd word");
	FUZZ_CHECK(m.tail - m.head + m.staged <= m.own.capacity - m.align,
		   "more than the ring holds");
	FUZZ_CHECK(m.tx.tail == m.tail && m.tx.staged == m.staged, "tail and staged");
	m.bell.gone |= m.was_gone;
}

/* --- The calls -------------------------------------------------------------------------------- */

static size_t some_size(void)
{
	size_t max = peal_record_max(&m.tx);

	switch (fuzz_byte() & 7) {
	case 0:
		return 0;
	case 1:
	case 2:
		return fuzz_byte();
	case 3:
		return (size_t)fuzz_byte() * 16;
	case 4:
		return max - (fuzz_byte() & 15);
	case 5:
		return max + 1;
	case 6:
		return max / 2 - (fuzz_byte() & 15);
	default:
		return fuzz_u64();
	}
}

static void took(int rc, size_t size, void *payload)
{
	uint64_t position = m.tail + m.staged;
	unsigned char *data = fuzz_data(m.own.rw);

	m.has_reservation = rc == 0;
	m.reserved = size;
	if (rc < 0) {
		/* Whether an older reservation outlives this is not promised. */
		peal_abort(&m.tx);
		return;
	}
	FUZZ_CHECK(size <= peal_record_max(&m.tx), "a record that never fits");
	FUZZ_CHECK(position + span_of(size) + m.align - m.head <= m.own.capacity,
		   "a record and its terminator do not fit");
	FUZZ_CHECK(payload == data + (position & (m.own.capacity - 1)) + m.align,
		   "the payload's place");
	memset(payload, 0xa5, size);
}

static void reserve(void)
{
	size_t size = some_size();
	void *payload = NULL;
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_reserve(&m.tx, size, &payload);
	end_call(rc, true);
	took(rc, size, payload);
}

static void reserve_wait(void)
{
	size_t size = some_size();
	uint64_t deadline = fuzz_deadline();
	void *payload = NULL;
	int rc;

	begin_call(LOADS_MAX_WAITING);
	rc = peal_reserve_wait(&m.tx, size, &payload, deadline);
	end_call(rc, true);
	took(rc, size, payload);
}

static void commit(bool publish)
{
	size_t size = some_size();
	bool fits = m.has_reservation && size <= m.reserved;
	int rc;

	begin_call(LOADS_MAX);
	if (fits && publish)
		m.committing = span_of(size);
	if (fits && !publish)
		m.staged += span_of(size);
	rc = publish ? peal_commit(&m.tx, size, 7) : peal_stage(&m.tx, size, 7);
	if (m.error == 0)
		FUZZ_CHECK(fits ? m.published == publish : rc == -EINVAL, "%d for %s size", rc,
			   fits ? "a good" : "too large a");
	FUZZ_CHECK(m.error != 0 || m.committing == 0, "a record was left behind");
	if (fits)
		m.has_reservation = false;
	end_call(rc, true);
}

static void publish(void)
{
	unsigned int expected = m.staged > 0;
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_publish(&m.tx);
	FUZZ_CHECK(m.published == expected, "%u publications", m.published);
	end_call(rc, true);
}

static void send(void)
{
	static const unsigned char bytes[256] = {1, 2, 3};
	size_t size = fuzz_byte();
	uint64_t deadline = fuzz_deadline();
	int rc;

	begin_call(LOADS_MAX_WAITING);
	m.committing = span_of(size);
	rc = peal_send(&m.tx, bytes, size, 9, deadline);
	FUZZ_CHECK(rc != 0 || m.committing == 0, "a record was left behind");
	end_call(rc, true);
	m.has_reservation = false;
	peal_abort(&m.tx);
}

static void arm(void)
{
	size_t size = some_size();
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_arm_space(&m.tx, size);
	m.has_reservation = false;
	if (rc == 0)
		m.armed = true;
	FUZZ_CHECK(rc != 0 || (m.own.rw->space_wait & 1), "armed with an even word");
	end_call(rc, true);
}

static void disarm(void)
{
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_disarm_space(&m.tx);
	m.armed = m.armed && m.error == -EBADFD; /* no word to write */
	end_call(rc, false);
}

static void look(void)
{
	bool ready;

	begin_call(LOADS_MAX);
	ready = peal_producer_is_ready(&m.tx, span_of(fuzz_byte()));
	FUZZ_CHECK(ready || m.error == 0, "nothing to say after the ring broke");
	end_call(m.error != 0 ? m.error : m.head_is_false ? -EPROTO : 0, true);
	FUZZ_CHECK(ready || m.error == 0, "nothing to say after the ring broke");
}

/* What a child of fork() finds: zeros, which must refuse everything. */
static void wipe(void)
{
	memset(&m.tx, 0, sizeof(m.tx));
	m.tail = m.head = m.staged = 0;
	m.has_reservation = false;
	m.error = -EBADFD;
}

static void one_call(void)
{
	uint8_t which = fuzz_byte();

	if (which == 0xda)
		return wipe();
	switch (which % 12) {
	case 0:
	case 1:
		return reserve();
	case 2:
	case 3:
		return commit(true);
	case 4:
		return commit(false);
	case 5:
		return publish();
	case 6:
	case 7:
		return send();
	case 8:
		return reserve_wait();
	case 9:
		return arm();
	case 10:
		return disarm();
	default:
		if (which & 0x80)
			return peal_wake_drop_fence(&m.tx.wake);
		look();
	}
}

void fuzz_producer(void)
{
	static const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 128, (UINT64_C(1) << 63) - 128,
					  -UINT64_C(128)};
	uint8_t how = fuzz_byte();
	struct peal_ring_spec spec = {
		.capacity = how & 1 ? 16384 : 4096,
		.align = how & 2 ? 64 : 8,
		.start = starts[how >> 2 & 3],
		.peer_membarrier = how & 16,
		.membarrier = how & 32,
		.spin_cap_ns = how & 64 ? SPIN_CAP_NS : 0,
	};

	memset(&m, 0, sizeof(m));
	m.own = fuzz_segment(0, spec.capacity);
	m.peer = fuzz_segment(1, spec.capacity);
	m.align = spec.align;
	m.tail = m.head = spec.start;
	fuzz_bell_init(&m.bell, &m.own.rw->space_wait, &m.wake);
	spec.data = fuzz_data(m.own.rw);
	spec.own = m.own.rw;
	spec.peer = m.peer.ro;
	spec.bell = &m.bell.bell;
	peal_producer_init(&m.tx, &spec);
	m.tx.wake.cpu = how >> 7; /* pinned, so that it asks where the peer is */
	fuzz_peer = (struct fuzz_peer){.base = (uintptr_t)m.peer.ro,
				       .bytes = PEAL_HEADER_BYTES,
				       .claim = claim,
				       .stored = stored};
	while (fuzz_more())
		one_call();
}
