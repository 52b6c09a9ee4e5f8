/* SPDX-License-Identifier: MIT */
/*
 * Promises of the machine code: what the peer wrote is loaded once a call.
 *
 * The library is the one that is installed, the hot functions are once inlined here and once the
 * library's own. Each case is one call in one situation, with the loads that it may make: exactly
 * these, of exactly these words. A word that is loaded twice in one call stands in the second list,
 * with the reason why the second look is a new question.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/channel.h>

#include "channel/channel.h"
#include "fetch.h"
#include "harness.h"
#include "unit/ring-fixture.h"

static struct ring_fixture f;
static struct peal_record record;
static unsigned char buffer[64];

/* --- The hot functions, inlined and not ------------------------------------------------------- */

struct hot {
	int (*reserve)(struct peal_producer *tx, size_t size, void **payload);
	int (*commit)(struct peal_producer *tx, size_t size, uint16_t type);
	int (*stage)(struct peal_producer *tx, size_t size, uint16_t type);
	int (*publish)(struct peal_producer *tx);
	int (*send)(struct peal_producer *tx, const void *data, size_t size, uint16_t type,
		    uint64_t deadline_ns);
	int (*next)(struct peal_consumer *rx, struct peal_record *record);
	int (*release)(struct peal_consumer *rx);
	int (*release_to)(struct peal_consumer *rx, const struct peal_record *record);
	int64_t (*recv)(struct peal_consumer *rx, void *buffer, size_t size, uint16_t *type,
			uint64_t deadline_ns);
};

static int reserve(struct peal_producer *tx, size_t size, void **payload)
{
	return peal_reserve(tx, size, payload);
}

static int commit(struct peal_producer *tx, size_t size, uint16_t type)
{
	return peal_commit(tx, size, type);
}

static int stage(struct peal_producer *tx, size_t size, uint16_t type)
{
	return peal_stage(tx, size, type);
}

static int publish(struct peal_producer *tx)
{
	return peal_publish(tx);
}

static int send(struct peal_producer *tx, const void *data, size_t size, uint16_t type,
		uint64_t deadline_ns)
{
	return peal_send(tx, data, size, type, deadline_ns);
}

static int next(struct peal_consumer *rx, struct peal_record *filled)
{
	return peal_next(rx, filled);
}

static int release(struct peal_consumer *rx)
{
	return peal_release(rx);
}

static int release_to(struct peal_consumer *rx, const struct peal_record *last)
{
	return peal_release_to(rx, last);
}

static int64_t receive(struct peal_consumer *rx, void *into, size_t size, uint16_t *type,
		       uint64_t deadline_ns)
{
	return peal_recv(rx, into, size, type, deadline_ns);
}

static const struct hot hot_functions[] = {
	{reserve, commit, stage, publish, send, next, release, release_to, receive},
	/* Their addresses are the library's: a C99 inline function has no other. */
	{peal_reserve, peal_commit, peal_stage, peal_publish, peal_send, peal_next, peal_release,
	 peal_release_to, peal_recv},
};
static const struct hot *hot;

/* --- Situations ------------------------------------------------------------------------------- */

static void nothing(void)
{
}

static void reserved(void)
{
	void *payload;

	assert_ok(peal_reserve(&f.tx, 8, &payload));
}

static void staged(void)
{
	reserved();
	assert_ok(peal_stage(&f.tx, 8, 0));
}

static void consumer_asleep(void)
{
	reserved();
	f.guest_rw.header->data_wait = 7;
}

static void full(void)
{
	fill_ring(&f);
}

static void full_of_staged(void)
{
	void *payload;

	while (peal_reserve(&f.tx, 8, &payload) == 0 &&
	       f.tx.limit - f.tx.tail - f.tx.staged >= 4 * f.variant.align)
		assert_ok(peal_stage(&f.tx, 8, 0));
	peal_abort(&f.tx);
	f.guest_rw.header->data_wait = 7;
}

static void false_head(void)
{
	fill_ring(&f);
	f.guest_rw.header->head = 12345;
}

static void one_record(void)
{
	assert_ok(peal_send(&f.tx, "12345678", 8, 3, PEAL_TRY));
}

static void false_record(void)
{
	*(uint64_t *)(void *)(peal_segment_data(&f.host_rw) +
			      (f.variant.start & (f.variant.capacity - 1))) = 12345;
}

static void producer_gone(void)
{
	f.rx_bell.check_result = -EPIPE;
}

static void one_taken(void)
{
	one_record();
	ck_assert_int_eq(peal_next(&f.rx, &record), 1);
}

static void producer_asleep(void)
{
	one_taken();
	f.host_rw.header->space_wait = 7;
}

static void one_to_receive(void)
{
	one_record();
	f.host_rw.header->space_wait = 7;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void call_reserve(void)
{
	void *payload;

	hot->reserve(&f.tx, 8, &payload);
}

static void call_reserve_much(void)
{
	void *payload;

	hot->reserve(&f.tx, 2048, &payload);
}

static void call_commit(void)
{
	hot->commit(&f.tx, 8, 0);
}

static void call_stage(void)
{
	hot->stage(&f.tx, 8, 0);
}

static void call_publish(void)
{
	hot->publish(&f.tx);
}

static void call_send(void)
{
	hot->send(&f.tx, buffer, 8, 0, PEAL_TRY);
}

static void call_reserve_wait(void)
{
	void *payload;

	peal_reserve_wait(&f.tx, 8, &payload, PEAL_TRY);
}

static void call_reserve_sleep(void)
{
	void *payload;

	f.tx_bell.wait_result = -ETIMEDOUT;
	peal_reserve_wait(&f.tx, 8, &payload, PEAL_FOREVER);
}

static void call_arm_space(void)
{
	peal_arm_space(&f.tx, 8);
}

static void call_disarm_space(void)
{
	peal_disarm_space(&f.tx);
}

static void call_producer_is_ready(void)
{
	peal_producer_is_ready(&f.tx, 8);
}

static void call_next(void)
{
	hot->next(&f.rx, &record);
}

static void call_next_wait(void)
{
	peal_next_wait(&f.rx, &record, PEAL_FOREVER);
}

static void call_next_try(void)
{
	peal_next_wait(&f.rx, &record, PEAL_TRY);
}

static void call_next_sleep(void)
{
	f.rx_bell.wait_result = -ETIMEDOUT;
	peal_next_wait(&f.rx, &record, PEAL_FOREVER);
}

static void call_release(void)
{
	hot->release(&f.rx);
}

static void call_release_to(void)
{
	hot->release_to(&f.rx, &record);
}

static void call_recv(void)
{
	hot->recv(&f.rx, buffer, sizeof(buffer), NULL, PEAL_TRY);
}

static void call_arm_data(void)
{
	peal_arm_data(&f.rx);
}

static void call_disarm_data(void)
{
	peal_disarm_data(&f.rx);
}

static void call_consumer_is_ready(void)
{
	peal_consumer_is_ready(&f.rx);
}

static void call_tail(void)
{
	peal_segment_tail(&f.host_ro);
}

/* --- What each may load ----------------------------------------------------------------------- */

/* Offsets in a segment; RECORD is where the first record begins. */
#define HEAD       offsetof(struct peal_segment_header, head)
#define DATA_WAIT  offsetof(struct peal_segment_header, data_wait)
#define SPACE_WAIT offsetof(struct peal_segment_header, space_wait)
#define TAIL       offsetof(struct peal_segment_header, tail)
#define ALIGN      offsetof(struct peal_segment_header, record_align)
#define CPU        offsetof(struct peal_segment_header, cpu)
#define RECORD     (1 << 16)
#define PAYLOAD    (RECORD + 1) /* its 8 bytes; memcpy() may load them in pieces that overlap */

#define LOADS_MAX 4
#define ANY       1

struct look {
	size_t word;
	unsigned int loads;
};

struct fetch_case {
	const char *name;
	void (*before)(void);
	void (*call)(void);
	struct look looks[LOADS_MAX];
};

static const struct fetch_case producer_once[] = {
	{"reserve", nothing, call_reserve, {{0, 0}}},
	{"reserve, full", full, call_reserve, {{HEAD, 1}}},
	{"reserve, full of staged", full_of_staged, call_reserve_much, {{HEAD, 1}, {DATA_WAIT, 1}}},
	{"reserve, false head", false_head, call_reserve, {{HEAD, 1}}},
	{"commit", reserved, call_commit, {{DATA_WAIT, 1}}},
	{"commit, asleep", consumer_asleep, call_commit, {{DATA_WAIT, 1}}},
	{"stage", reserved, call_stage, {{0, 0}}},
	{"publish", staged, call_publish, {{DATA_WAIT, 1}}},
	{"send", nothing, call_send, {{DATA_WAIT, 1}}},
	{"reserve_wait, full", full, call_reserve_wait, {{HEAD, 1}}},
	{"disarm_space", full, call_disarm_space, {{0, 0}}},
	{"is_ready", full, call_producer_is_ready, {{HEAD, 1}}},
};

static const struct fetch_case consumer_once[] = {
	{"next, empty", nothing, call_next, {{RECORD, 1}}},
	{"next", one_record, call_next, {{RECORD, 1}}},
	{"next, false header", false_record, call_next, {{RECORD, 1}}},
	{"next_wait", one_record, call_next_wait, {{RECORD, 1}}},
	{"next_wait, empty", nothing, call_next_try, {{RECORD, 1}}},
	{"release", one_taken, call_release, {{SPACE_WAIT, 1}}},
	{"release, asleep", producer_asleep, call_release, {{SPACE_WAIT, 1}}},
	{"release_to, asleep", producer_asleep, call_release_to, {{SPACE_WAIT, 1}}},
	{"release_to, false", nothing, call_release_to, {{0, 0}}},
	{"recv", one_to_receive, call_recv, {{RECORD, 1}, {PAYLOAD, ANY}, {SPACE_WAIT, 1}}},
	{"recv, records held", one_taken, call_recv, {{0, 0}}},
	{"arm_data, empty", nothing, call_arm_data, {{RECORD, 1}}},
	{"arm_data", one_record, call_arm_data, {{RECORD, 1}}},
	{"disarm_data", nothing, call_disarm_data, {{0, 0}}},
	{"is_ready", one_record, call_consumer_is_ready, {{RECORD, 1}}},
};

/* Those that look again, because there was nothing before; what they find last is all they use. */
static const struct fetch_case producer_again[] = {
	/* Full; and once more by the call that may wait. */
	{"send, full", full, call_send, {{HEAD, 2}}},
	/* P0, and P8 after the word turned odd. */
	{"arm_space, full", full, call_arm_space, {{HEAD, 2}}},
	/* P0 twice (the spin's first look), P8, and after the sleep. */
	{"reserve_wait, sleeps", full, call_reserve_sleep, {{HEAD, 4}}},
};

static const struct fetch_case consumer_again[] = {
	/* C0, and once more by the call that may wait. */
	{"recv, empty", nothing, call_recv, {{RECORD, 2}}},
	/* C0, before and after the question whether the producer lives. */
	{"next_wait, gone", producer_gone, call_next_try, {{RECORD, 2}}},
	/* C0 twice (the spin's first look), C6, and after the sleep. */
	{"next_wait, sleeps", nothing, call_next_sleep, {{RECORD, 4}}},
	/* An observer's walk is believed only if both its ends are as before. */
	{"tail", nothing, call_tail, {{ALIGN, 1}, {TAIL, 2}, {RECORD, 2}}},
};

/* --- Running ---------------------------------------------------------------------------------- */

static uintptr_t address_of(size_t word, const struct peal_segment *segment)
{
	uint64_t index = f.variant.start & (f.variant.capacity - 1);
	uintptr_t data = (uintptr_t)peal_segment_data(segment) + index;

	switch (word) {
	case RECORD:
		return data;
	case PAYLOAD:
		return data + f.variant.align;
	default:
		return (uintptr_t)segment->header + word;
	}
}

static unsigned int loads_of(const struct fetches *fetches, uintptr_t at)
{
	for (size_t i = 0; i < fetches->count; i++)
		if (fetches->words[i].at == at)
			return fetches->words[i].loads;
	return 0;
}

static void check_case(const struct fetch_case *c, const struct fetches *fetches,
		       const struct peal_segment *segment)
{
	/* Where this process may run on one processor only, a wait asks for the peer's. */
	unsigned int cpu = loads_of(fetches, address_of(CPU, segment)), expected = cpu;

	ck_assert_msg(cpu <= 1, "%s: cpu is loaded %u times", c->name, cpu);
	for (const struct look *look = c->looks; look < c->looks + LOADS_MAX; look++) {
		unsigned int loads = look->loads;

		if (loads == 0)
			continue;
		if (look->word == PAYLOAD)
			loads = loads_of(fetches, address_of(PAYLOAD, segment));
		ck_assert_msg(loads_of(fetches, address_of(look->word, segment)) == loads,
			      "%s: the word at %#zx is loaded %u times, expected %u", c->name,
			      look->word, loads_of(fetches, address_of(look->word, segment)),
			      loads);
		expected += loads;
	}
	ck_assert_msg(fetches->loads == expected, "%s: %u loads, expected %u", c->name,
		      fetches->loads, expected);
}

static void print_case(const struct fetch_case *c, const struct fetches *fetches,
		       const struct peal_segment *segment)
{
	printf("%-26s", c->name);
	for (size_t i = 0; i < fetches->count; i++) {
		uintptr_t at = fetches->words[i].at;

		printf(" %s+%ju: %u",
		       at < (uintptr_t)peal_segment_data(segment) ? "header" : "data",
		       (uintmax_t)(at - (uintptr_t)segment->header) % PEAL_HEADER_BYTES,
		       fetches->words[i].loads);
	}
	printf("\n");
}

/* @_i: alignment, position and barrier of the fixture, times inlined or not. */
static void run(const struct fetch_case *cases, size_t count, bool is_producer, int i)
{
	const struct ring_variant variant = ring_variant(i % RING_VARIANTS);
	const struct peal_segment *segment = is_producer ? &f.guest_ro : &f.host_ro;
	const struct fetches *fetches;

	hot = &hot_functions[i / RING_VARIANTS];
	for (const struct fetch_case *c = cases; c < cases + count; c++) {
		memset(&record, 0, sizeof(record));
		ring_open(&f, &variant);
		c->before();
		fetch_begin(segment->header, PEAL_HEADER_BYTES + 2 * segment->capacity);
		c->call();
		fetches = fetch_end();
		print_case(c, fetches, segment);
		check_case(c, fetches, segment);
		ring_close(&f);
	}
}

/* A line that ./dev shows. */
static void note(const char *text)
{
	const char *path = getenv("PEAL_TALLY");
	FILE *file = path ? fopen(path, "ae") : NULL;

	printf("%s\n", text);
	if (!file)
		return;
	fprintf(file, "# %s\n", text);
	fclose(file);
}

#define RUNS          (2 * RING_VARIANTS)
#define COUNT(cases)  (sizeof(cases) / sizeof((cases)[0]))
#define RUN(cases, p) run(cases, COUNT(cases), p, _i)

START_TEST(a_producer_loads_each_word_once)
{
	RUN(producer_once, true);
}
END_TEST

START_TEST(a_consumer_loads_each_word_once)
{
	RUN(consumer_once, false);
}
END_TEST

START_TEST(who_waits_looks_again_and_is_known)
{
	char text[200];

	RUN(producer_again, true);
	RUN(consumer_again, false);
	if (_i > 0)
		return;
	snprintf(text, sizeof(text),
		 "single fetch: %zu calls load no word of the peer twice, %zu look again; in %d "
		 "variants",
		 COUNT(producer_once) + COUNT(consumer_once),
		 COUNT(producer_again) + COUNT(consumer_again), RUNS);
	note(text);
}
END_TEST

/* --- A channel: what host and guest ask of each other's header -------------------------------- */

static struct peal_channel *host, *guest;

static void open_channel(void)
{
	const struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};
	struct peal_guest_fds fds, copies;

	assert_ok(peal_channel_create(&host, &options));
	assert_ok(peal_channel_guest_fds(host, &fds));
	copies = fds;
	copies.host_segment = dup(fds.host_segment);
	copies.guest_segment = dup(fds.guest_segment);
	copies.host_pidfd = dup(fds.host_pidfd);
	for (unsigned int i = 0; i < fds.doorbell_count; i++)
		copies.doorbells[i] = dup(fds.doorbells[i]);
	assert_ok(peal_attach_fds(&guest, &copies, NULL));
}

static void close_channel(void)
{
	peal_channel_close(guest);
	peal_channel_close(host);
}

static const struct fetches *watch_channel(const struct peal_channel *channel, int (*call)(void))
{
	const struct fetches *fetches;
	int rc;

	fetch_begin(channel->peer.header, PEAL_HEADER_BYTES + 2 * channel->peer.capacity);
	rc = call();
	fetches = fetch_end();
	assert_ok(rc);
	return fetches;
}

static int wait_ready(void)
{
	return peal_channel_wait_ready(host, PEAL_TRY);
}

static int ask_peer(void)
{
	return peal_channel_peer(host);
}

static int ask_stats(void)
{
	struct peal_side_stats peer;

	peal_channel_stats(host, NULL, &peer);
	return 0;
}

START_TEST(a_host_asks_once_for_how_its_guest_fares)
{
	const uintptr_t flags_at = offsetof(struct peal_segment_header, compatible_flags);
	const uintptr_t state_at = offsetof(struct peal_segment_header, state);
	const struct fetches *fetches;
	uintptr_t base;

	open_channel();
	base = (uintptr_t)host->peer.header;
	fetches = watch_channel(host, wait_ready);
	ck_assert_uint_eq(fetches->loads, 2);
	ck_assert_uint_eq(loads_of(fetches, base + state_at), 1);
	ck_assert_uint_eq(loads_of(fetches, base + flags_at), 1);
	fetches = watch_channel(host, ask_peer);
	ck_assert_uint_eq(fetches->loads, 1);
	ck_assert_uint_eq(loads_of(fetches, base + state_at), 1);
	/* Figures; but for the walk behind the tail, see above. */
	fetches = watch_channel(host, ask_stats);
	for (size_t i = 0; i < fetches->count; i++) {
		uintptr_t at = fetches->words[i].at - base;

		ck_assert_msg(
			fetches->words[i].loads == (at == TAIL || at == PEAL_HEADER_BYTES ? 2 : 1),
			"offset %ju is loaded %u times", (uintmax_t)at, fetches->words[i].loads);
	}
	close_channel();
}
END_TEST

/* --- That a second load would be seen --------------------------------------------------------- */

/* The mistake: what is checked is loaded once more to be used. */
static void call_checks_one_uses_another(void)
{
	const volatile uint64_t *header =
		(const volatile uint64_t *)(const volatile void *)peal_segment_data(&f.host_ro);

	if (*header >> 48 == PEAL_HEADER_VALID)
		record.size = (uint32_t)*header;
}

/* A copy of the whole identity, eight bytes or more at a time. */
static void call_copies_all(void)
{
	struct peal_segment_header copy;

	memcpy(&copy, f.host_ro.header, sizeof(copy));
	buffer[0] = copy.name[0];
}

START_TEST(a_second_load_would_be_seen)
{
	const struct ring_variant variant = ring_variant(0);
	const struct fetches *fetches;

	ring_open(&f, &variant);
	one_record();
	fetch_begin(f.host_ro.header, PEAL_HEADER_BYTES + 2 * variant.capacity);
	call_checks_one_uses_another();
	fetches = fetch_end();
	ck_assert_uint_eq(record.size, 8);
	ck_assert_uint_eq(fetches->loads, 2);
	ck_assert_uint_eq(loads_of(fetches, (uintptr_t)peal_segment_data(&f.host_ro)), 2);
	fetch_begin(f.host_ro.header, PEAL_HEADER_BYTES);
	call_copies_all();
	ck_assert_uint_gt(fetch_end()->count, 3);
	ring_close(&f);
}
END_TEST

int main(void)
{
	return harness_main("fetch", (struct harness_case[]){
					     {a_producer_loads_each_word_once, RUNS},
					     {a_consumer_loads_each_word_once, RUNS},
					     {who_waits_looks_again_and_is_known, RUNS},
					     {a_host_asks_once_for_how_its_guest_fares, 0},
					     {a_second_load_would_be_seen, 0},
					     HARNESS_END,
				     });
}
