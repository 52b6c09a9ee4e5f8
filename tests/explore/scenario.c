/* SPDX-License-Identifier: MIT */
/*
 * scenario.c - a producer and a consumer, as a user of the library would write them, and what must
 * come of it: every record in order, intact, once; what was committed and no more when one of them
 * dies; nobody asleep for ever (which the search sees).
 */
#include <errno.h>

#include "channel/channel.h"

/* Any deadline: the bell decides whether it passes. */
#define DEADLINE 1000

/* Where the library finds a segment. Of the words that the sides share only the addresses count: their
 * values are the explorer's. */
static union {
	struct peal_segment_header header;
	struct {
		unsigned char page[PEAL_HEADER_BYTES];
		uint64_t data[2 * WORDS_MAX]; /* mirrored */
	} all;
} segments[THREADS];
static struct peal_channel channels[THREADS];
static struct peal_producer *const tx = &channels[PRODUCER].tx;
static struct peal_consumer *const rx = &channels[CONSUMER].rx;
static uint64_t *const ring = segments[PRODUCER].all.data;
static bool is_set_up; /* before that there are no threads, and memory is memory */

/* What the producer meant, for the consumer to compare with. */
static struct {
	uint64_t finished;  /* records committed, or staged behind them */
	uint64_t committed; /* those of them that the consumer may see */
	uint64_t closed;    /* bits: sides */
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

static int header_word(const void *address)
{
	const struct {
		const uint64_t *at;
		enum explore_word word;
		bool is_shared;
	} words[] = {
		{&segments[PRODUCER].header.space_wait, WORD_SPACE_WAIT, true},
		{&segments[CONSUMER].header.head, WORD_HEAD, true},
		{&segments[CONSUMER].header.data_wait, WORD_DATA_WAIT, true},
		/* Without closing they never change. */
		{&segments[PRODUCER].header.state, WORD_PRODUCER_STATE, explore_options.close != 0},
		{&segments[CONSUMER].header.state, WORD_CONSUMER_STATE, explore_options.close != 0},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (address == words[i].at)
			return words[i].is_shared ? (int)words[i].word : -1;
	}
	return -1;
}

int scenario_word(const void *address)
{
	const unsigned char *at = address, *data = (const unsigned char *)ring;
	size_t capacity = explore_options.words * sizeof(uint64_t);

	if (!is_set_up)
		return -1;
	if (at >= data && at < data + 2 * capacity)
		return (int)((size_t)(at - data) % capacity / sizeof(uint64_t));
	return header_word(address);
}

void scenario_stored(const uint64_t *address, uint64_t value)
{
	/* P3: the first header, where the tail still is. */
	if (explore_running() == PRODUCER && address == ring + (tx->tail & tx->mask) / 8 &&
	    value >> 63)
		book.committed = book.finished;
}

/* Can the other side know that this one is gone? */
static bool is_gone(enum explore_thread side)
{
	return explore_world.side[side].hung_up || (book.closed >> side & 1) != 0;
}

static void leave(enum explore_thread side)
{
	if (!(explore_options.close >> side & 1))
		return;
	book.closed |= 1u << side;
	peal_channel_close(&channels[side]);
}

/* --- Producer -------------------------------------------------------------------------------- */

/* Room as an event loop gets it. */
static int room_in_a_loop(size_t size, void **payload)
{
	int rc;

	while ((rc = peal_reserve(tx, size, payload)) == -EAGAIN) {
		rc = peal_arm_space(tx, size);
		if (rc == 0) {
			explore_call(EXPLORE_WAIT);
			rc = peal_disarm_space(tx);
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int get_room(size_t size, void **payload)
{
	int rc;

	if (explore_options.timed) {
		rc = peal_reserve_wait(tx, size, payload, DEADLINE);
		if (rc != -ETIMEDOUT)
			return rc;
	}
	if (explore_options.loop || explore_options.timed)
		return room_in_a_loop(size, payload);
	if (explore_options.once) {
		rc = peal_reserve_wait(tx, size, payload, PEAL_TRY);
		if (rc != -EAGAIN)
			return rc;
	}
	do
		rc = peal_reserve_wait(tx, size, payload, DEADLINE);
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
		rc = peal_send(tx, payload, 8 * length, type_of(record), DEADLINE);
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
		return peal_stage(tx, 8 * length, type_of(record));
	return peal_commit(tx, 8 * length, type_of(record));
}

void scenario_producer(void)
{
	int rc = 0;

	for (uint64_t record = 0; record < explore_options.records && rc == 0; record++)
		rc = explore_options.copy ? send_record(record) : write_record(record);
	if (rc < 0) {
		explore_claim(rc == -EPIPE, "wrong: the producer got an error");
		explore_claim(is_gone(CONSUMER),
			      "wrong: the producer was told that a living consumer is gone");
	}
	leave(PRODUCER);
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

	while ((rc = peal_next(rx, record)) == 0) {
		rc = peal_arm_data(rx);
		if (rc == 0) {
			explore_call(EXPLORE_WAIT);
			rc = peal_disarm_data(rx);
		}
		if (rc < 0 && rc != -EPIPE)
			return rc;
	}
	return rc;
}

static int get_record(struct peal_record *record)
{
	int rc;

	if (explore_options.timed) {
		rc = peal_next_wait(rx, record, DEADLINE);
		if (rc != -ETIMEDOUT)
			return rc;
	}
	if (explore_options.loop || explore_options.timed)
		return next_in_a_loop(record);
	if (explore_options.once) {
		rc = peal_next_wait(rx, record, PEAL_TRY);
		if (rc != -EAGAIN)
			return rc;
	}
	do
		rc = peal_next_wait(rx, record, DEADLINE);
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
		size = peal_recv(rx, payload, sizeof(payload), &type, DEADLINE);
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
	} while ((unsigned int)count < explore_options.hold && peal_next(rx, &record) == 1);
	rc = peal_release(rx);
	return rc < 0 ? rc : count;
}

void scenario_consumer(void)
{
	bool to_the_end = (explore_options.crash | explore_options.close) >> PRODUCER & 1;
	/* One that closes leaves early, while the producer may wait for room. */
	uint64_t wanted = explore_options.close >> CONSUMER & 1 ? 1 : explore_options.records;
	uint64_t count = 0;
	int rc = 0;

	while (to_the_end || count < wanted) {
		rc = explore_options.copy ? receive_copy(count) : receive_views(count);
		if (rc < 0)
			break;
		count += (uint64_t)rc;
	}
	if (rc < 0) {
		explore_claim(rc == -EPIPE, "wrong: the consumer got an error");
		explore_claim(is_gone(PRODUCER),
			      "wrong: the consumer was told that a living producer is gone");
	}
	explore_claim(count == book.committed || !to_the_end,
		      "wrong: the end came before all that was committed");
	leave(CONSUMER);
}

/* --- Setting up ------------------------------------------------------------------------------ */

static struct peal_segment segment_of(enum explore_thread side)
{
	return (struct peal_segment){
		.header = &segments[side].header,
		.capacity = side == PRODUCER ? explore_options.words * sizeof(uint64_t) : 0,
	};
}

/* As host and guest do; only the producer's segment has a ring. */
static void start_channel(enum explore_thread side)
{
	struct peal_channel *channel = &channels[side];

	*channel = (struct peal_channel){
		.has_ring = {[TO_GUEST] = true},
		.open = true,
		.is_host = side == PRODUCER,
		.membarrier = explore_options.mode != MODE_FENCE,
		.own = segment_of(side),
		.peer = segment_of(explore_other(side)),
	};
	segments[side].header.state = PEAL_STATE_ATTACHED;
	peal_channel_start(channel, 8, explore_options.mode == MODE_ASYM);
}

/* As if so many bytes had gone through already. */
static void move_on(uint64_t position)
{
	tx->tail += position;
	tx->limit += position;
	rx->next += position;
	rx->head += position;
	rx->waited_at += position;
	rx->waited_end += position;
}

void scenario_begin(uint64_t values[WORDS])
{
	/* Only the first word has to be 0 at the beginning; old payload is in the others. */
	for (unsigned int word = 0; word < explore_options.words; word++)
		values[word] = payload_of(99, word);
	start_channel(PRODUCER);
	start_channel(CONSUMER);
	move_on(explore_options.start);
	is_set_up = true;
	values[(tx->tail & tx->mask) / 8] = 0;
	values[WORD_HEAD] = explore_options.start;
	values[WORD_PRODUCER_STATE] = PEAL_STATE_ATTACHED;
	values[WORD_CONSUMER_STATE] = PEAL_STATE_ATTACHED;
	explore_keep(PRODUCER, tx, sizeof(*tx));
	explore_keep(CONSUMER, rx, sizeof(*rx));
	explore_keep(THREADS, &book, sizeof(book));
}
