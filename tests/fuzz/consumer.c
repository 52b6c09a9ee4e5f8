/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - a consumer whose producer lies in every word.
 *
 * As producer.c; and a header that was seen once, whatever it says, must not be looked at again in the
 * same call, because it would say something else.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "ring/wake.h"

/* For who waits: 128 quick looks, the longest spin of this file, the sleeps that a bell allows. */
#define LOADS_MAX_WAITING 640
#define LOADS_MAX         4
#define SPIN_CAP_NS       4000

#define RECORDS_KEPT 4

static struct {
	struct peal_consumer rx;
	struct fuzz_segment own, peer;
	struct fuzz_bell bell;
	struct fuzz_wake wake;
	uint64_t align;

	uint64_t next, head; /* what is handed out lies between */
	struct peal_record kept[RECORDS_KEPT];
	unsigned int taken;
	bool armed;
	int error; /* sticky; 0: none */

	/* In this call. */
	uint64_t header; /* as it was shown last */
	bool is_valid;   /* and what is to be thought of it */
	bool receiving;  /* what it shows is taken and released at once */
	unsigned int released;
} m;

static uint64_t span_of(uint64_t size)
{
	return m.align + (size + m.align - 1) / m.align * m.align;
}

/* What can still be handed out: all of the ring but the terminator's header. */
static uint64_t room(void)
{
	return m.own.capacity - m.align - (m.next - m.head);
}

/* --- What the producer claims ----------------------------------------------------------------- */

static uint64_t false_or_true_header(uint64_t real)
{
	const uint64_t valid = UINT64_C(0x8000) << 48 | (uint64_t)0x2345 << 32;

	switch (fuzz_byte() & 7) {
	case 0:
		return 0;
	case 1:
	case 2:
		return valid | fuzz_byte();
	case 3:
		return valid | (uint64_t)fuzz_byte() * 16;
	case 4: /* as large as can be, or a little larger */
		return valid |
		       (uint32_t)(room() - m.align + (uint64_t)(int64_t)(int8_t)fuzz_byte());
	case 5:
		return (valid | 8) ^ UINT64_C(1) << (48 + (fuzz_byte() & 15));
	case 6:
		return fuzz_u64();
	default:
		return real;
	}
}

static uint64_t claim(const uint64_t *word, uint64_t real)
{
	const uint64_t index = (uintptr_t)word - (uintptr_t)fuzz_data(m.peer.ro);

	FUZZ_CHECK(m.error == 0, "a broken ring looks at its peer");
	if (word == &m.peer.ro->space_wait)
		return fuzz_wake_look(&m.wake);
	if (word == &m.peer.ro->cpu)
		return fuzz_claim(real);
	FUZZ_CHECK(index == (m.next & (m.own.capacity - 1)), "a look at index %lld of the data",
		   (long long)index);
	FUZZ_CHECK(m.header == 0, "a header that was seen is looked at again");
	m.header = false_or_true_header(real);
	m.is_valid = m.header >> 48 == 0x8000 && span_of((uint32_t)m.header) <= room();
	return m.header;
}

static void stored(uint64_t *word, uint64_t value, int order)
{
	const struct peal_segment_header *own = m.own.rw;

	if (word == &own->head) {
		FUZZ_CHECK(order == __ATOMIC_RELEASE, "a head that is not released");
		if (m.receiving)
			m.next += m.is_valid ? span_of((uint32_t)m.header) : 0;
		FUZZ_CHECK(value - m.head <= m.next - m.head,
			   "more is released than was handed out");
		m.head = value;
		m.released++;
		return;
	}
	FUZZ_CHECK(word == &own->data_wait || word == &own->consumer_counters.sleeps ||
			   word == &own->consumer_counters.wakes ||
			   word == &own->consumer_counters.spurious ||
			   word == &own->consumer_counters.since_ns ||
			   word == &own->consumer_counters.position,
		   "a store that is none of the consumer's");
}

/* --- One call --------------------------------------------------------------------------------- */

static void begin_call(unsigned int loads_max)
{
	m.header = 0;
	m.is_valid = false;
	m.receiving = false;
	m.released = 0;
	m.bell.waits = 0;
	m.wake.looks = 0;
	m.wake.failed = 0;
	fuzz_peer.loads = 0;
	fuzz_peer.loads_max = loads_max;
}

static void says(const char *words)
{
	FUZZ_CHECK(strstr(peal_last_error(), words) != NULL, "the sentence is \"%s\", not \"%s\"",
		   peal_last_error(), words);
}

/* A header was shown to a call that takes records, and there it is false. */
static void judge_false_header(int64_t rc)
{
	FUZZ_CHECK(rc == -EPROTO, "%lld for a false header", (long long)rc);
	m.error = -EPROTO;
	says(m.header >> 48 != 0x8000 ? "record header that is not valid"
				      : "record that is larger than the ring");
}

static void end_call(int64_t rc)
{
	if (m.wake.failed == -ENOMEM) {
		m.error = -ENOMEM;
		says("could not be woken");
	}
	FUZZ_CHECK(rc != -EPROTO || m.error == -EPROTO, "an honest peer is called false");
	FUZZ_CHECK(rc != -EPIPE || m.bell.gone, "a peer that is there is called gone");
	FUZZ_CHECK(!m.rx.ended || m.bell.gone, "a peer that is there is taken for gone");
	FUZZ_CHECK(!m.rx.open == (m.error != 0), "open is %d after %d", (int)m.rx.open, m.error);
	FUZZ_CHECK(!m.wake.is_owed, "a sleeping peer was not woken");
	FUZZ_CHECK(m.wake.looks == m.released, "%u looks at the wait word for %u releases",
		   m.wake.looks, m.released);
	FUZZ_CHECK(m.armed || (m.own.rw->data_wait & 1) == 0, "awake with an odd word");
	FUZZ_CHECK(m.next - m.head <= m.own.capacity - m.align, "more is handed out than fits");
	FUZZ_CHECK(m.rx.next == m.next && m.rx.head == m.head, "next and head");
}

/* Sticky: a call on a broken ring answers as the first did, and looks at nothing. */
static bool was_refused(int64_t rc)
{
	if (m.error == 0)
		return false;
	FUZZ_CHECK(rc == m.error, "%lld after the ring broke with %d", (long long)rc, m.error);
	return true;
}

/* --- The calls -------------------------------------------------------------------------------- */

static void read_all(const void *data, size_t size)
{
	const volatile unsigned char *bytes = data;

	for (size_t i = 0; i < size; i += 61)
		(void)bytes[i];
	if (size > 0)
		(void)bytes[size - 1];
}

static void took(const struct peal_record *record)
{
	const unsigned char *data = fuzz_data(m.peer.ro);

	FUZZ_CHECK(record->size == (uint32_t)m.header && record->type == (uint16_t)(m.header >> 32),
		   "the record is not what its header said");
	FUZZ_CHECK((const unsigned char *)record->data ==
			   data + (m.next & (m.own.capacity - 1)) + m.align,
		   "the record's place");
	m.next += span_of(record->size);
	FUZZ_CHECK(record->end == m.next, "the record's end");
	read_all(record->data, record->size);
	m.kept[m.taken++ % RECORDS_KEPT] = *record;
}

static void take(int rc, const struct peal_record *record)
{
	if (was_refused(rc))
		;
	else if (m.header == 0)
		FUZZ_CHECK(rc <= 0 && (rc != 0 || !m.rx.ended), "%d without a header", rc);
	else if (!m.is_valid)
		judge_false_header(rc);
	else if (rc == 1)
		took(record);
	else
		fuzz_fail("%d for a valid header", rc);
	end_call(rc);
}

static void next(void)
{
	struct peal_record record = {0};
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_next(&m.rx, &record);
	take(rc, &record);
}

static void next_wait(void)
{
	struct peal_record record = {0};
	uint64_t deadline = fuzz_deadline();
	int rc;

	begin_call(LOADS_MAX_WAITING);
	rc = peal_next_wait(&m.rx, &record, deadline);
	FUZZ_CHECK(rc != 0, "a wait that ends with nothing");
	take(rc, &record);
}

/* One record, or the reason why there is none. */
static void judge_received(int64_t rc, uint16_t type, size_t size)
{
	uint32_t bytes = (uint32_t)m.header;

	if (m.header == 0) {
		FUZZ_CHECK(rc < 0 && m.released == 0, "%lld without a header", (long long)rc);
	} else if (!m.is_valid) {
		judge_false_header(rc);
	} else if (bytes > size) {
		FUZZ_CHECK(rc == -EMSGSIZE && m.released == 0, "%lld for a small buffer",
			   (long long)rc);
	} else {
		FUZZ_CHECK(rc == bytes && type == (uint16_t)(m.header >> 32) && m.released == 1 &&
				   m.head == m.next,
			   "%lld for a record of %u bytes", (long long)rc, bytes);
	}
}

static void receive(void)
{
	static unsigned char buffer[256];
	size_t size = fuzz_byte();
	uint64_t deadline = fuzz_deadline();
	bool holds = m.next != m.head;
	uint16_t type = 0;
	int64_t rc;

	begin_call(LOADS_MAX_WAITING);
	m.receiving = true;
	rc = peal_recv(&m.rx, buffer, size, &type, deadline);
	if (was_refused(rc))
		;
	else if (holds)
		FUZZ_CHECK(rc == -EBUSY && fuzz_peer.loads == 0, "%lld while records are held",
			   (long long)rc);
	else
		judge_received(rc, type, size);
	end_call(rc);
}

static void release(void)
{
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_release(&m.rx);
	if (!was_refused(rc))
		FUZZ_CHECK(m.head == m.next && rc == (m.wake.failed == -ENOMEM ? -ENOMEM : 0),
			   "%d from a release", rc);
	end_call(rc);
}

static void release_to(void)
{
	uint8_t which = fuzz_byte();
	struct peal_record record = m.kept[which % RECORDS_KEPT];
	bool held;
	int rc;

	if (which & 0x40)
		record.end += (uint64_t)(int64_t)(int8_t)fuzz_byte();
	if (which & 0x80)
		record.end = fuzz_u64();
	held = record.end != m.head && record.end - m.head <= m.next - m.head;
	begin_call(LOADS_MAX);
	rc = peal_release_to(&m.rx, &record);
	if (was_refused(rc))
		;
	else if (held)
		FUZZ_CHECK(m.head == record.end && rc == (m.wake.failed == -ENOMEM ? -ENOMEM : 0),
			   "%d from a release", rc);
	else
		FUZZ_CHECK(rc == -EINVAL && m.released == 0, "%d for a record that is not held",
			   rc);
	end_call(rc);
}

static void arm(void)
{
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_arm_data(&m.rx);
	if (was_refused(rc))
		;
	else if (rc == 0)
		FUZZ_CHECK(m.header == 0 && (m.own.rw->data_wait & 1), "armed in vain");
	else
		FUZZ_CHECK((rc == 1) == (m.header != 0), "%d for the header %#llx", rc,
			   (unsigned long long)m.header);
	/* Not armed any more: where it has failed, it has made the word even. */
	if (m.error == 0)
		m.armed = rc == 0;
	end_call(rc);
}

static void disarm(void)
{
	int rc;

	begin_call(LOADS_MAX);
	rc = peal_disarm_data(&m.rx);
	m.armed = m.armed && m.error == -EBADFD; /* no word to write */
	was_refused(rc);
	end_call(rc);
}

static void look(void)
{
	bool ready;

	begin_call(LOADS_MAX);
	ready = peal_consumer_is_ready(&m.rx);
	FUZZ_CHECK(ready == (m.error != 0 || m.rx.ended || m.header != 0), "ready is %d", ready);
	end_call(m.error);
}

/* What a child of fork() finds: zeros, which must refuse everything. */
static void wipe(void)
{
	memset(&m.rx, 0, sizeof(m.rx));
	m.next = m.head = 0;
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
	case 2:
		return next();
	case 3:
		return next_wait();
	case 4:
	case 5:
		return receive();
	case 6:
		return release();
	case 7:
	case 8:
		return release_to();
	case 9:
		return arm();
	case 10:
		return disarm();
	default:
		if (which & 0x80)
			return peal_wake_drop_fence(&m.rx.wake);
		look();
	}
}

void fuzz_consumer(void)
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
	uint8_t more = fuzz_byte();

	memset(&m, 0, sizeof(m));
	m.own = fuzz_segment(0, spec.capacity);
	m.peer = fuzz_segment(1, spec.capacity);
	m.align = spec.align;
	m.next = m.head = spec.start;
	fuzz_bell_init(&m.bell, &m.own.rw->data_wait, &m.wake);
	/* What the truth is: records, and something else. */
	fuzz_bytes(fuzz_data(m.peer.rw), more & 2 ? 64 : 0);
	spec.data = fuzz_data(m.peer.ro);
	spec.own = m.own.rw;
	spec.peer = m.peer.ro;
	spec.bell = &m.bell.bell;
	peal_consumer_init(&m.rx, &spec);
	m.rx.wake.cpu = more & 1; /* pinned, so that it asks where the peer is */
	fuzz_peer = (struct fuzz_peer){.base = (uintptr_t)m.peer.ro,
				       .bytes = PEAL_HEADER_BYTES + 2 * spec.capacity,
				       .claim = claim,
				       .stored = stored};
	while (fuzz_more())
		one_call();
}
