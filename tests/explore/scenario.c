/* SPDX-License-Identifier: MIT */
/*
 * scenario.c - a producer and a consumer, as a user of the library would write them, and what must
 * come of it: every record in order, intact, once; what was committed and no more when one of them
 * dies; nobody asleep for ever (which the search sees).
 */
#include <errno.h>

#include <peal/ring.h>

#include "ring/bell.h"
#include "ring/ring.h"

/* Any deadline: the bell decides whether it passes. */
#define DEADLINE 1000

static struct peal_producer tx;
static struct peal_consumer rx;
static struct peal_segment_header headers[THREADS];
static uint64_t ring[2 * WORDS_MAX]; /* addresses only: the values are the explorer's */
static bool is_set_up;               /* before that there are no threads, and memory is memory */

/* What the producer meant, for the consumer to compare with. */
static struct {
	uint64_t finished;  /* records committed, or staged behind them */
	uint64_t committed; /* those of them that the consumer may see */
} book;

static uint64_t length_of(uint64_t record)
{
	return (uint64_t)(explore_options.lengths[record % strlen(explore_options.lengths)] - '0');
}

static uint16_t type_of(uint64_t record)
{
	return (uint16_t)(0x100 + record);
}

/* All payload looks like headers, for who takes it for one. */
static uint64_t payload_of(uint64_t record, uint64_t index)
{
	return PEAL_HEADER_VALID << 48 | (0x1000 + record * 16 + index) << 32;
}

int scenario_word(const void *address)
{
	const unsigned char *at = address, *data = (const unsigned char *)ring;
	size_t capacity = explore_options.words * sizeof(uint64_t);

	if (!is_set_up)
		return -1;
	if (at >= data && at < data + 2 * capacity)
		return (int)((size_t)(at - data) % capacity / sizeof(uint64_t));
	if (address == &headers[PRODUCER].space_wait)
		return WORD_SPACE_WAIT;
	if (address == &headers[CONSUMER].head)
		return WORD_HEAD;
	return address == &headers[CONSUMER].data_wait ? WORD_DATA_WAIT : -1;
}

void scenario_stored(const uint64_t *address, uint64_t value)
{
	/* P3: the first header, where the tail still is. */
	if (explore_running() == PRODUCER && address == ring + (tx.tail & tx.mask) / 8 &&
	    value >> 63)
		book.committed = book.finished;
}

/* --- Bells ----------------------------------------------------------------------------------- */

static int ring_bell(struct peal_bell *bell)
{
	(void)bell;
	return explore_call(EXPLORE_RING);
}

static int wait_bell(struct peal_bell *bell, uint64_t deadline_ns)
{
	(void)bell;
	explore_claim(deadline_ns == DEADLINE, "wrong: a deadline that nobody asked for");
	return explore_call(EXPLORE_WAIT);
}

static int drain_bell(struct peal_bell *bell)
{
	(void)bell;
	return explore_call(EXPLORE_DRAIN);
}

static int check_bell(struct peal_bell *bell)
{
	(void)bell;
	return explore_call(EXPLORE_CHECK);
}

static struct peal_bell bells[THREADS] = {
	{ring_bell, wait_bell, drain_bell, check_bell},
	{ring_bell, wait_bell, drain_bell, check_bell},
};

/* --- Producer -------------------------------------------------------------------------------- */

/* Room as an event loop gets it. */
static int room_in_a_loop(size_t size, void **payload)
{
	int rc;

	while ((rc = peal_reserve(&tx, size, payload)) == -EAGAIN) {
		rc = peal_arm_space(&tx, size);
		if (rc == 0) {
			wait_bell(NULL, DEADLINE);
			rc = peal_disarm_space(&tx);
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int get_room(size_t size, void **payload)
{
	int rc;

	if (explore_options.loop)
		return room_in_a_loop(size, payload);
	if (explore_options.once) {
		rc = peal_reserve_wait(&tx, size, payload, PEAL_TRY);
		if (rc != -EAGAIN)
			return rc;
	}
	do
		rc = peal_reserve_wait(&tx, size, payload, DEADLINE);
	while (rc == -ETIMEDOUT);
	return rc;
}

/* The record as a whole, by copy. */
static int send_record(uint64_t record)
{
	uint64_t payload[WORDS_MAX];
	uint64_t length = length_of(record);
	int rc;

	for (uint64_t i = 0; i < length; i++)
		payload[i] = payload_of(record, i);
	do {
		book.finished = record + 1;
		rc = peal_send(&tx, payload, 8 * length, type_of(record), DEADLINE);
	} while (rc == -ETIMEDOUT);
	return rc;
}

static int write_record(uint64_t record)
{
	uint64_t length = length_of(record);
	void *payload;
	int rc = get_room(8 * length, &payload);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < length; i++)
		explore_store((uint64_t *)payload + i, payload_of(record, i), EXPLORE_PLAIN);
	book.finished = record + 1;
	if ((record + 1) % explore_options.batch != 0 && record + 1 < explore_options.records)
		return peal_stage(&tx, 8 * length, type_of(record));
	return peal_commit(&tx, 8 * length, type_of(record));
}

void scenario_producer(void)
{
	int rc = 0;

	for (uint64_t record = 0; record < explore_options.records && rc == 0; record++)
		rc = explore_options.copy ? send_record(record) : write_record(record);
	if (rc < 0) {
		explore_claim(rc == -EPIPE, "wrong: the producer got an error");
		explore_claim(explore_world.side[CONSUMER].hung_up,
			      "wrong: the producer was told that a living consumer is gone");
	}
}

/* --- Consumer -------------------------------------------------------------------------------- */

static void check_record(uint64_t record, uint64_t size, uint16_t type)
{
	explore_claim(record < book.committed, "wrong: a record that was not committed");
	explore_claim(type == type_of(record) && size == 8 * length_of(record),
		      "wrong: not the record that was to come");
}

static void check_payload(uint64_t record, uint64_t index, uint64_t value)
{
	explore_claim(value == payload_of(record, index), "wrong: a payload is not intact");
}

static int next_in_a_loop(struct peal_record *record)
{
	int rc;

	while ((rc = peal_next(&rx, record)) == 0) {
		rc = peal_arm_data(&rx);
		if (rc == 0) {
			wait_bell(NULL, DEADLINE);
			rc = peal_disarm_data(&rx);
		}
		if (rc < 0 && rc != -EPIPE)
			return rc;
	}
	return rc;
}

static int get_record(struct peal_record *record)
{
	int rc;

	if (explore_options.loop)
		return next_in_a_loop(record);
	if (explore_options.once) {
		rc = peal_next_wait(&rx, record, PEAL_TRY);
		if (rc != -EAGAIN)
			return rc;
	}
	do
		rc = peal_next_wait(&rx, record, DEADLINE);
	while (rc == -ETIMEDOUT);
	return rc;
}

/* Return: how many records were received, or a negative errno. */
static int receive_copy(uint64_t record)
{
	uint64_t payload[WORDS_MAX];
	uint16_t type = 0;
	int64_t size;

	do
		size = peal_recv(&rx, payload, sizeof(payload), &type, DEADLINE);
	while (size == -ETIMEDOUT);
	if (size < 0)
		return (int)size;
	check_record(record, (uint64_t)size, type);
	for (uint64_t i = 0; i < length_of(record); i++)
		check_payload(record, i, payload[i]);
	return 1;
}

static void look_at(uint64_t number, const struct peal_record *record)
{
	const uint64_t *payload = record->data;

	check_record(number, record->size, record->type);
	for (uint64_t i = 0; i < length_of(number); i++)
		check_payload(number, i, explore_load(payload + i, EXPLORE_PLAIN));
}

static int receive_views(uint64_t number)
{
	struct peal_record record;
	int count = 0, rc = get_record(&record);

	if (rc < 0)
		return rc;
	do {
		look_at(number + (uint64_t)count, &record);
		count++;
	} while ((unsigned int)count < explore_options.hold && peal_next(&rx, &record) == 1);
	rc = peal_release(&rx);
	return rc < 0 ? rc : count;
}

void scenario_consumer(void)
{
	bool to_the_end = explore_options.crash >> PRODUCER & 1;
	uint64_t count = 0;
	int rc = 0;

	while (to_the_end || count < explore_options.records) {
		rc = explore_options.copy ? receive_copy(count) : receive_views(count);
		if (rc < 0)
			break;
		count += (uint64_t)rc;
	}
	if (rc < 0) {
		explore_claim(rc == -EPIPE, "wrong: the consumer got an error");
		explore_claim(explore_world.side[PRODUCER].hung_up,
			      "wrong: the consumer was told that a living producer is gone");
	}
	explore_claim(count == book.committed || !to_the_end,
		      "wrong: the end came before all that was committed");
}

/* --- Setting up ------------------------------------------------------------------------------ */

static struct peal_ring_spec spec_of(enum explore_thread side)
{
	return (struct peal_ring_spec){
		.data = ring,
		.capacity = explore_options.words * sizeof(uint64_t),
		.align = 8,
		.own = &headers[side],
		.peer = &headers[explore_other(side)],
		.bell = &bells[side],
		.membarrier = explore_options.mode != MODE_FENCE,
		.peer_membarrier = explore_options.mode == MODE_ASYM,
		.spin_cap_ns = 0,
		.start = explore_options.start,
	};
}

/* Straight into memory, before there is any thread. */
static void init_both(void)
{
	struct peal_ring_spec producer = spec_of(PRODUCER), consumer = spec_of(CONSUMER);

	peal_producer_init(&tx, &producer);
	peal_consumer_init(&rx, &consumer);
}

void scenario_begin(uint64_t values[WORDS])
{
	/* Only the first word has to be 0 at the beginning; old payload is in the others. */
	for (unsigned int word = 0; word < explore_options.words; word++)
		values[word] = payload_of(99, word);
	init_both();
	is_set_up = true;
	values[(tx.tail & tx.mask) / 8] = 0;
	values[WORD_HEAD] = explore_options.start;
	explore_keep(PRODUCER, &tx, sizeof(tx));
	explore_keep(CONSUMER, &rx, sizeof(rx));
	explore_keep(THREADS, &book, sizeof(book));
}
