/* SPDX-License-Identifier: MIT */
/*
 * Promises of ring/: what is sent arrives, what is full is refused, what is false is found out.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/ring.h>

#include "harness.h"
#include "ring-fixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct ring_fixture f;

static void open_variant(int i)
{
	const struct ring_variant variant = ring_variant(i);

	ring_open(&f, &variant);
}

static void send_pattern(size_t size, uint16_t type)
{
	void *payload;

	assert_ok(peal_reserve(&f.tx, size, &payload));
	pattern_fill(payload, size, type);
	assert_ok(peal_commit(&f.tx, size, type));
}

static void stage_pattern(size_t size, uint16_t type)
{
	void *payload;

	assert_ok(peal_reserve(&f.tx, size, &payload));
	pattern_fill(payload, size, type);
	assert_ok(peal_stage(&f.tx, size, type));
}

/* The next record is this one; it stays handed out. */
static struct peal_record expect_pattern(size_t size, uint16_t type)
{
	struct peal_record record;

	ck_assert_int_eq(peal_next(&f.rx, &record), 1);
	ck_assert_uint_eq(record.size, size);
	ck_assert_uint_eq(record.type, type);
	pattern_check(record.data, size, type);
	return record;
}

static void expect_nothing(void)
{
	struct peal_record record;

	ck_assert_int_eq(peal_next(&f.rx, &record), 0);
}

/* --- Records ----------------------------------------------------------------------------------- */

START_TEST(a_record_arrives_as_it_was_sent)
{
	char sent[100];

	open_variant(_i);
	pattern_fill(sent, sizeof(sent), 0xbeef);
	assert_ok(peal_send(&f.tx, sent, sizeof(sent), 0xbeef, PEAL_TRY));
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.tx.tail);
	expect_pattern(sizeof(sent), 0xbeef);
	expect_nothing();
	assert_ok(peal_release(&f.rx));
	ck_assert_uint_eq(f.guest_ro.header->head, f.tx.tail);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(no_bytes_are_a_record_too)
{
	struct peal_record record;

	open_variant(_i);
	for (uint16_t type = 0; type < 3; type++)
		assert_ok(peal_send(&f.tx, NULL, 0, type, PEAL_TRY));
	for (uint16_t type = 0; type < 3; type++) {
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		ck_assert_uint_eq(record.size, 0);
		ck_assert_uint_eq(record.type, type);
	}
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(the_largest_record_fits)
{
	size_t largest;

	open_variant(_i);
	largest = peal_record_max(&f.tx);
	ck_assert_uint_eq(largest, f.variant.capacity - 2 * f.variant.align);
	for (uint16_t type = 1; type < 20; type++) {
		send_pattern(largest, type);
		expect_pattern(largest, type);
		expect_nothing();
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

START_TEST(what_can_never_fit_is_refused_at_once)
{
	size_t largest;
	void *payload = &largest;

	open_variant(_i);
	largest = peal_record_max(&f.tx);
	const size_t sizes[] = {largest + 1,
				f.variant.capacity,
				(size_t)1 << 32, /* zero in the header's 32 bits */
				SIZE_MAX,
				SIZE_MAX - f.variant.align,
				SIZE_MAX - 2 * f.variant.align + 1,
				SIZE_MAX - 2 * f.variant.align + 2, /* its span wraps to 0 */
				(size_t)1 << 63};

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		assert_fails(peal_reserve(&f.tx, sizes[i], &payload), EMSGSIZE, "takes at most");
		assert_fails(peal_reserve_wait(&f.tx, sizes[i], &payload, PEAL_FOREVER), EMSGSIZE,
			     "takes at most");
		assert_fails(peal_send(&f.tx, "", sizes[i], 0, PEAL_FOREVER), EMSGSIZE,
			     "takes at most");
		assert_fails(peal_arm_space(&f.tx, sizes[i]), EMSGSIZE, "takes at most");
		ck_assert_ptr_eq(payload, &largest);
	}
	expect_nothing();
	send_pattern(largest, 1);
	ring_close(&f);
}
END_TEST

START_TEST(payloads_are_aligned_to_the_record_alignment)
{
	void *payload;

	open_variant(_i);
	for (size_t size = 0; size < 200; size++) {
		assert_ok(peal_reserve(&f.tx, size, &payload));
		ck_assert_uint_eq((uintptr_t)payload % f.variant.align, 0);
		pattern_fill(payload, size, size);
		assert_ok(peal_commit(&f.tx, size, (uint16_t)size));
		ck_assert_uint_eq(
			(uintptr_t)expect_pattern(size, (uint16_t)size).data % f.variant.align, 0);
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

START_TEST(thousands_of_records_of_any_size_arrive_in_order)
{
	enum { RECORDS = 5000 };
	size_t sizes[RECORDS];
	uint64_t random = 42;
	unsigned int sent = 0, seen = 0;
	void *payload;

	open_variant(_i);
	for (unsigned int i = 0; i < RECORDS; i++)
		sizes[i] = next_random(&random) % (i % 8 == 0 ? 3900 : 200);
	while (seen < RECORDS) {
		/* As many as fit, then some of them back. */
		while (sent < RECORDS && peal_reserve(&f.tx, sizes[sent], &payload) == 0) {
			pattern_fill(payload, sizes[sent], (uint16_t)sent);
			assert_ok(peal_commit(&f.tx, sizes[sent], (uint16_t)sent));
			sent++;
		}
		ck_assert_uint_gt(sent, seen);
		for (uint64_t take = 1 + next_random(&random) % (sent - seen); take > 0; take--) {
			expect_pattern(sizes[seen], (uint16_t)seen);
			seen++;
		}
		assert_ok(peal_release(&f.rx));
	}
	expect_nothing();
	ring_close(&f);
}
END_TEST

/* From one page to beyond what 32 bits can address, across that border and to the last byte. */
static void carry(uint64_t capacity)
{
	struct ring_variant variant = ring_variant(2); /* begins just below 2^32 */
	const size_t across = capacity / 4 < 1 << 20 ? capacity / 4 : 1 << 20;
	struct peal_record record = {0};
	unsigned char *payload;
	size_t largest;

	variant.capacity = capacity;
	ring_open(&f, &variant);
	send_pattern(across, 1);
	send_pattern(0, 2);
	expect_pattern(across, 1);
	expect_pattern(0, 2);
	assert_ok(peal_release(&f.rx));

	largest = peal_record_max(&f.tx);
	assert_ok(peal_reserve(&f.tx, largest, (void **)&payload));
	payload[0] = 'a';
	payload[largest - 1] = 'z';
	assert_ok(peal_commit(&f.tx, largest, 3));
	ck_assert_int_eq(peal_next(&f.rx, &record), 1);
	ck_assert_uint_eq(record.size, largest);
	ck_assert_uint_eq(((const unsigned char *)record.data)[0], 'a');
	ck_assert_uint_eq(((const unsigned char *)record.data)[largest - 1], 'z');
	assert_ok(peal_release(&f.rx));
	expect_nothing();
	ring_close(&f);
}

START_TEST(every_capacity_carries_records)
{
	const uint64_t capacities[] = {4096, 65536, UINT64_C(1) << 30};

	carry(capacities[_i]);
}
END_TEST

static uint64_t available_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024;
}

START_TEST(a_ring_of_8_gib_carries_records_of_almost_4)
{
	/* The memory is really taken, so leave some to the others. */
	if (available_bytes() < UINT64_C(10) << 30)
		harness_skip("less than 10 GiB of memory available");
	carry(UINT64_C(8) << 30);
	ck_assert_uint_eq(peal_record_max(&f.tx), UINT32_MAX);
}
END_TEST

/* --- Reserve, commit, stage -------------------------------------------------------------------- */

START_TEST(less_may_be_committed_than_was_reserved)
{
	void *payload;

	open_variant(_i);
	assert_ok(peal_reserve(&f.tx, peal_record_max(&f.tx), &payload));
	pattern_fill(payload, 10, 1);
	assert_ok(peal_commit(&f.tx, 10, 1));
	/* The rest is not used up. */
	send_pattern(f.variant.capacity / 2, 2);
	expect_pattern(10, 1);
	expect_pattern(f.variant.capacity / 2, 2);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(an_aborted_reservation_leaves_nothing)
{
	void *payload;

	open_variant(_i);
	assert_ok(peal_reserve(&f.tx, 1000, &payload));
	memset(payload, 0xff, 1000);
	peal_abort(&f.tx);
	expect_nothing();
	assert_fails(peal_commit(&f.tx, 1, 0), EINVAL, "nothing is reserved");
	expect_nothing();
	send_pattern(100, 1);
	expect_pattern(100, 1);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(staged_records_survive_an_abort)
{
	void *payload;

	open_variant(_i);
	stage_pattern(10, 1);
	assert_ok(peal_reserve(&f.tx, 1000, &payload));
	peal_abort(&f.tx);
	assert_ok(peal_publish(&f.tx));
	expect_pattern(10, 1);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(reserving_again_gives_up_the_first)
{
	void *first, *second;

	open_variant(_i);
	assert_ok(peal_reserve(&f.tx, 1000, &first));
	assert_ok(peal_reserve(&f.tx, 10, &second));
	ck_assert_ptr_eq(first, second);
	assert_fails(peal_commit(&f.tx, 11, 0), EINVAL, "only 10 reserved");
	pattern_fill(second, 10, 1);
	assert_ok(peal_commit(&f.tx, 10, 1));
	expect_pattern(10, 1);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(only_what_was_reserved_can_be_committed)
{
	int (*const finish[])(struct peal_producer *, size_t, uint16_t) = {peal_commit, peal_stage};
	void *payload;

	open_variant(_i);
	for (size_t i = 0; i < LENGTH(finish); i++) {
		assert_fails(finish[i](&f.tx, 0, 0), EINVAL, "nothing is reserved");
		assert_fails(finish[i](&f.tx, SIZE_MAX, 0), EINVAL, "nothing is reserved");
		assert_ok(peal_reserve(&f.tx, 20, &payload));
		assert_fails(finish[i](&f.tx, 21, 0), EINVAL, "only 20 reserved");
		assert_fails(finish[i](&f.tx, SIZE_MAX, 0), EINVAL, "only 20 reserved");
		assert_ok(peal_publish(&f.tx));
		expect_nothing();
		/* The refusals did not take the reservation away; finishing it does. */
		pattern_fill(payload, 20, 9);
		assert_ok(finish[i](&f.tx, 20, 9));
		assert_fails(finish[i](&f.tx, 20, 9), EINVAL, "nothing is reserved");
		assert_ok(peal_publish(&f.tx));
		expect_pattern(20, 9);
		expect_nothing();
	}
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.tx.tail);
	ring_close(&f);
}
END_TEST

START_TEST(staged_records_are_seen_all_at_once)
{
	void *payload;

	open_variant(_i);
	/* Published by peal_publish(), then by the commit of a last one. Beyond one lap, so that
	 * old headers lie where the new ones are staged. */
	for (unsigned int lap = 0; lap < 50; lap++) {
		for (uint16_t type = 0; type < 5; type++) {
			stage_pattern(17 * type, type);
			expect_nothing();
		}
		if (lap & 1) {
			assert_ok(peal_publish(&f.tx));
		} else {
			assert_ok(peal_reserve(&f.tx, 0, &payload));
			expect_nothing();
			assert_ok(peal_commit(&f.tx, 0, 5));
		}
		for (uint16_t type = 0; type < 5; type++)
			expect_pattern(17 * type, type);
		if (!(lap & 1))
			expect_pattern(0, 5);
		expect_nothing();
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

START_TEST(staged_records_are_published_when_the_ring_is_full)
{
	const size_t third = 1200;
	void *payload = NULL;

	open_variant(_i);
	for (uint16_t type = 1; type <= 3; type++)
		stage_pattern(third, type);
	expect_nothing();
	/* Otherwise the caller would wait for room that nobody can ever give back. */
	ck_assert_int_eq(peal_reserve(&f.tx, third, &payload), -EAGAIN);
	ck_assert_ptr_null(payload);
	for (uint16_t type = 1; type <= 3; type++)
		expect_pattern(third, type);
	expect_nothing();
	assert_ok(peal_release(&f.rx));
	send_pattern(third, 4);
	expect_pattern(third, 4);
	ring_close(&f);
}
END_TEST

/* --- Peek and release -------------------------------------------------------------------------- */

START_TEST(records_are_released_in_part_and_at_once)
{
	struct peal_record records[6];

	open_variant(_i);
	for (uint16_t type = 0; type < 6; type++)
		send_pattern(100, type);
	for (uint16_t type = 0; type < 6; type++)
		records[type] = expect_pattern(100, type);
	for (unsigned int i = 0; i < 3; i++) {
		assert_ok(peal_release_to(&f.rx, &records[i]));
		ck_assert_uint_eq(f.guest_ro.header->head, records[i].end);
	}
	assert_ok(peal_release_to(&f.rx, &records[4])); /* takes number 3 with it */
	ck_assert_uint_eq(f.guest_ro.header->head, records[4].end);
	pattern_check(records[5].data, 100, 5);
	assert_ok(peal_release(&f.rx));
	ck_assert_uint_eq(f.guest_ro.header->head, records[5].end);
	ck_assert_uint_eq(f.guest_ro.header->head, f.tx.tail);
	ring_close(&f);
}
END_TEST

START_TEST(only_what_is_handed_out_can_be_released)
{
	struct peal_record first, second, forged;

	open_variant(_i);
	send_pattern(100, 1);
	send_pattern(100, 2);
	send_pattern(100, 3);
	first = expect_pattern(100, 1);
	second = expect_pattern(100, 2);
	forged = second;
	forged.end += f.variant.align; /* the third, which was not asked for yet */
	assert_fails(peal_release_to(&f.rx, &forged), EINVAL, "are handed out now");
	forged.end = first.end - UINT64_C(0x8000000000000000);
	assert_fails(peal_release_to(&f.rx, &forged), EINVAL, "are handed out now");
	assert_ok(peal_release_to(&f.rx, &first));
	assert_fails(peal_release_to(&f.rx, &first), EINVAL, "are handed out now");
	assert_ok(peal_release_to(&f.rx, &second));
	assert_fails(peal_release_to(&f.rx, &first), EINVAL, "are handed out now");
	assert_fails(peal_release_to(&f.rx, &second), EINVAL, "are handed out now");
	ck_assert_uint_eq(f.guest_ro.header->head, second.end);
	expect_pattern(100, 3);
	ring_close(&f);
}
END_TEST

START_TEST(room_comes_back_only_by_release)
{
	struct peal_record record;
	unsigned int count;
	void *payload;

	open_variant(_i);
	count = fill_ring(&f);
	for (unsigned int i = 0; i < count; i++)
		record = expect_pattern(0, (uint16_t)i);
	expect_nothing();
	ck_assert_int_eq(peal_reserve(&f.tx, 0, &payload), -EAGAIN);
	ck_assert_int_eq(peal_reserve_wait(&f.tx, 0, &payload, PEAL_TRY), -EAGAIN);
	assert_ok(peal_release_to(&f.rx, &record));
	ck_assert_uint_eq(fill_ring(&f), count);
	ring_close(&f);
}
END_TEST

/* --- Recv -------------------------------------------------------------------------------------- */

START_TEST(recv_copies_and_releases)
{
	uint16_t type = 0;
	char buffer[100];

	open_variant(_i);
	for (unsigned int i = 0; i < 200; i++) {
		send_pattern(100, (uint16_t)i);
		ck_assert_int_eq(
			peal_recv(&f.rx, buffer, sizeof(buffer), i & 1 ? &type : NULL, PEAL_TRY),
			100);
		ck_assert_uint_eq(type, i & 1 ? i : i ? i - 1 : 0);
		pattern_check(buffer, 100, (uint16_t)i);
		ck_assert_uint_eq(f.guest_ro.header->head, f.tx.tail);
	}
	assert_ok(peal_send(&f.tx, NULL, 0, 7, PEAL_TRY));
	ck_assert_int_eq(peal_recv(&f.rx, buffer, 0, &type, PEAL_TRY), 0);
	ck_assert_uint_eq(type, 7);
	ck_assert_int_eq(peal_recv(&f.rx, buffer, sizeof(buffer), &type, PEAL_TRY), -EAGAIN);
	ring_close(&f);
}
END_TEST

START_TEST(a_record_too_large_to_copy_stays)
{
	uint16_t type = 99;
	char buffer[100] = "untouched";

	open_variant(_i);
	send_pattern(100, 1);
	assert_fails(peal_recv(&f.rx, buffer, 99, &type, PEAL_TRY), EMSGSIZE,
		     "100 bytes, the buffer 99");
	assert_fails(peal_recv(&f.rx, buffer, 0, &type, PEAL_TRY), EMSGSIZE, "100 bytes");
	ck_assert_str_eq(buffer, "untouched");
	ck_assert_uint_eq(type, 99);
	ck_assert_uint_eq(f.guest_ro.header->head, f.variant.start);
	ck_assert_int_eq(peal_recv(&f.rx, buffer, 100, &type, PEAL_TRY), 100);
	pattern_check(buffer, 100, 1);
	ring_close(&f);
}
END_TEST

START_TEST(recv_does_not_mix_with_records_handed_out)
{
	char buffer[100];

	open_variant(_i);
	send_pattern(100, 1);
	send_pattern(100, 2);
	expect_pattern(100, 1);
	assert_fails(peal_recv(&f.rx, buffer, sizeof(buffer), NULL, PEAL_TRY), EBUSY,
		     "not released");
	ck_assert_uint_eq(f.guest_ro.header->head, f.variant.start);
	assert_ok(peal_release(&f.rx));
	ck_assert_int_eq(peal_recv(&f.rx, buffer, sizeof(buffer), NULL, PEAL_TRY), 100);
	pattern_check(buffer, 100, 2);
	ring_close(&f);
}
END_TEST

/* --- The terminator ---------------------------------------------------------------------------- */

START_TEST(payload_that_looks_like_a_header_is_never_taken_for_one)
{
	uint64_t random = 7;

	open_variant(_i);
	for (unsigned int i = 0; i < 3000; i++) {
		size_t words = next_random(&random) % (i % 4 ? 20 : 400);
		struct peal_record record;
		uint64_t *payload;

		assert_ok(peal_reserve(&f.tx, words * 8, (void **)&payload));
		for (size_t at = 0; at < words; at++)
			payload[at] = PEAL_HEADER_VALID << 48;
		assert_ok(peal_commit(&f.tx, words * 8, (uint16_t)i));
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		ck_assert_uint_eq(record.type, (uint16_t)i);
		ck_assert_uint_eq(record.size, words * 8);
		expect_nothing();
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

START_TEST(the_terminator_never_wipes_an_unread_header)
{
	const size_t align = ring_variant(_i).align;
	const size_t whole = ring_variant(_i).capacity - 2 * align;

	/* Two records that leave no byte, the first of each size; then all of no bytes. */
	open_variant(_i);
	for (size_t size = 0; size + align <= whole; size += align) {
		void *payload;

		send_pattern(size, 1);
		send_pattern(whole - size - align, 2);
		ck_assert_int_eq(peal_reserve(&f.tx, 0, &payload), -EAGAIN);
		expect_pattern(size, 1);
		expect_pattern(whole - size - align, 2);
		expect_nothing();
		assert_ok(peal_release(&f.rx));
	}
	for (unsigned int lap = 0; lap < 3; lap++) {
		unsigned int count = fill_ring(&f);

		ck_assert_uint_eq(count, f.variant.capacity / align - 1);
		for (unsigned int i = 0; i < count; i++)
			expect_pattern(0, (uint16_t)i);
		expect_nothing();
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

START_TEST(observers_see_all_that_is_published)
{
	static const char bytes[200];
	uint64_t random = 7;

	open_variant(_i);
	for (int i = 0; i < 5000; i++) {
		size_t size = next_random(&random) % 200;
		struct peal_record record;

		assert_ok(peal_send(&f.tx, bytes, size, 3, PEAL_TRY));
		ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.tx.tail);
		ck_assert_uint_lt(f.tx.tail - f.host_ro.header->tail, PEAL_TAIL_LAG);
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		assert_ok(peal_release(&f.rx));
	}
	ring_close(&f);
}
END_TEST

/* Payloads that look like headers, so that who follows one of them goes astray. */
static void *stream(void *data)
{
	uint64_t words[40];
	const int *stop = data;
	struct peal_record record;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = peal_header(4000, 1);
	for (uint64_t n = 0; !__atomic_load_n(stop, __ATOMIC_RELAXED); n++) {
		assert_ok(peal_send(&f.tx, words, n % sizeof(words), 1, PEAL_TRY));
		ck_assert_int_eq(peal_next(&f.rx, &record), 1);
		assert_ok(peal_release(&f.rx));
	}
	return NULL;
}

START_TEST(observers_of_a_busy_ring_are_never_led_astray)
{
	const int64_t record_span = (int64_t)peal_record_span(320, 64);
	pthread_t thread;
	int stop = 0;

	open_variant(_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, stream, &stop), 0);
	for (int i = 0; i < 200000; i++) {
		uint64_t before = peal_load_acquire(&f.tx.tail), seen, after;

		seen = peal_segment_tail(&f.host_ro);
		after = peal_load_acquire(&f.tx.tail);
		/* One record may be there, and not counted by its producer yet, here or there. */
		ck_assert_int_gt((int64_t)(seen - before), -(int64_t)PEAL_TAIL_LAG - record_span);
		ck_assert_int_le((int64_t)(seen - after), record_span);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ring_close(&f);
}
END_TEST

/* Whatever the producer wrote, an observer comes to an end and reads nothing outside. */
START_TEST(a_false_tail_ends_an_observers_walk)
{
	const uint64_t header = peal_header(8, 0);
	uint64_t tail;

	open_variant(_i);
	for (uint64_t i = 0; i < f.variant.capacity; i += sizeof(uint64_t))
		*peal_word_at(&f.tx, i) = peal_header(0, 0);
	f.host_rw.header->tail = f.variant.start;
	/* Headers without an end. */
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.variant.start);
	*peal_word_at(&f.tx, f.variant.start + 2 * f.variant.align) = 0;
	tail = peal_segment_tail(&f.host_ro);
	ck_assert_uint_eq(tail, f.variant.start + 2 * f.variant.align);
	/* One that leads out of sight. */
	*peal_word_at(&f.tx, f.variant.start) = peal_header(UINT32_MAX, 0);
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.variant.start);
	/* Not on a record's boundary, even if something like a header is there. */
	f.host_rw.header->tail = f.variant.start + 1;
	memcpy((char *)peal_word_at(&f.tx, f.variant.start) + 1, &header, sizeof(header));
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.variant.start + 1);
	f.host_rw.header->record_align = 4711;
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), f.variant.start + 1);
	ring_close(&f);
}
END_TEST

/* --- A hostile peer ---------------------------------------------------------------------------- */

/* Every call of the producer fails like this, and nothing more is published. */
static void expect_broken_producer(int error, const char *words)
{
	uint64_t tail = peal_segment_tail(&f.host_ro);
	void *payload = NULL;

	assert_fails(peal_reserve(&f.tx, 0, &payload), error, words);
	assert_fails(peal_reserve(&f.tx, 100, &payload), error, words);
	assert_fails(peal_reserve_wait(&f.tx, 0, &payload, PEAL_FOREVER), error, words);
	assert_fails(peal_reserve_wait(&f.tx, 1, &payload, PEAL_TRY), error, words);
	assert_fails(peal_commit(&f.tx, 0, 0), error, words);
	assert_fails(peal_stage(&f.tx, 0, 0), error, words);
	assert_fails(peal_publish(&f.tx), error, words);
	assert_fails(peal_send(&f.tx, "x", 1, 0, PEAL_FOREVER), error, words);
	assert_fails(peal_send(&f.tx, NULL, 0, 0, PEAL_FOREVER), error, words);
	assert_fails(peal_arm_space(&f.tx, 0), error, words);
	assert_fails(peal_arm_space(&f.tx, 1), error, words);
	assert_fails(peal_disarm_space(&f.tx), error, words);
	peal_abort(&f.tx);
	ck_assert_ptr_null(payload);
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), tail);
}

static void expect_broken_consumer(int error, const char *words)
{
	struct peal_record record = {.size = 4711};
	uint64_t head = f.guest_ro.header->head;
	char buffer[8];

	assert_fails(peal_next(&f.rx, &record), error, words);
	assert_fails(peal_next_wait(&f.rx, &record, PEAL_FOREVER), error, words);
	assert_fails(peal_next_wait(&f.rx, &record, PEAL_TRY), error, words);
	assert_fails(peal_recv(&f.rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), error, words);
	assert_fails(peal_release(&f.rx), error, words);
	assert_fails(peal_release_to(&f.rx, &record), error, words);
	assert_fails(peal_arm_data(&f.rx), error, words);
	assert_fails(peal_disarm_data(&f.rx), error, words);
	ck_assert_uint_eq(record.size, 4711);
	ck_assert_uint_eq(f.guest_ro.header->head, head);
}

/* What a hostile consumer may write as its position, when the last one seen is @seen. */
static uint64_t false_head(int i, uint64_t seen, uint64_t tail)
{
	const struct ring_variant *v = &f.variant;
	const uint64_t heads[] = {
		tail + v->align,            /* ahead: would make room that is not there */
		tail + v->capacity,         /* the same index as tail */
		seen - v->align,            /* behind */
		seen - v->capacity,         /* the same index as seen */
		seen + 1,                   /* misaligned */
		seen + v->align / 2,        /* misaligned */
		seen + (UINT64_C(1) << 32), /* far away */
		seen + (UINT64_C(1) << 63), /* as far as can be */
	};

	ck_assert_uint_eq(LENGTH(heads), 8);
	return heads[i];
}
#define FALSE_HEADS 8

START_TEST(a_false_head_breaks_the_producer_for_good)
{
	static const char words[] = "a position that is not in the ring";
	uint64_t honest;
	void *payload;

	open_variant(_i % RING_VARIANTS);
	send_pattern(1000, 1);
	expect_pattern(1000, 1);
	assert_ok(peal_release(&f.rx));
	fill_ring(&f); /* the producer has seen this head now */
	expect_pattern(0, 0);
	assert_ok(peal_release(&f.rx));
	honest = f.guest_rw.header->head;
	f.guest_rw.header->head =
		false_head(_i / RING_VARIANTS, honest - f.variant.align, f.tx.tail);
	assert_fails(peal_reserve(&f.tx, 100, &payload), EPROTO, words);
	f.guest_rw.header->head = honest;
	expect_broken_producer(EPROTO, words);
	ring_close(&f);
}
END_TEST

START_TEST(what_was_begun_is_not_published_to_a_false_peer)
{
	void *payload;

	open_variant(_i);
	stage_pattern(2000, 1);
	assert_ok(peal_reserve(&f.tx, 10, &payload)); /* not to be committed later either */
	f.guest_rw.header->head = f.variant.start + 1;
	assert_fails(peal_reserve(&f.tx, 3000, &payload), EPROTO, "a position");
	expect_broken_producer(EPROTO, "a position");
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(what_was_reserved_is_not_committed_to_a_false_peer)
{
	void *payload;

	open_variant(_i);
	send_pattern(2000, 1);
	assert_ok(peal_reserve(&f.tx, 10, &payload));
	f.guest_rw.header->head = f.variant.start + 1;
	assert_fails(peal_reserve(&f.tx, 3000, &payload), EPROTO, "a position");
	assert_fails(peal_commit(&f.tx, 10, 0), EPROTO, "a position");
	expect_pattern(2000, 1);
	expect_nothing();
	ring_close(&f);
}
END_TEST

START_TEST(a_head_does_not_move_back_in_an_empty_ring_either)
{
	void *payload;

	open_variant(_i);
	fill_ring(&f);
	f.guest_rw.header->head = f.tx.tail;
	assert_ok(peal_reserve(&f.tx, 0, &payload)); /* that was seen */
	f.guest_rw.header->head -= f.variant.align;
	assert_ok(peal_commit(&f.tx, 0, 0));
	assert_fails(peal_reserve(&f.tx, peal_record_max(&f.tx), &payload), EPROTO, "a position");
	ring_close(&f);
}
END_TEST

/* What a hostile producer may write as a header, where up to @most bytes of payload could be. */
static const struct {
	const char *words;
	uint64_t header;
	bool plus_most; /* the size is this much larger than the most */
} false_headers[] = {
	{"header that is not valid", UINT64_C(1), false},
	{"header that is not valid", UINT64_C(0x7fff000000000000), false},
	{"header that is not valid", UINT64_C(0x0000ffff00000008), false},
	{"header that is not valid", UINT64_C(0x8001000000000008), false},
	{"header that is not valid", UINT64_C(0xc000000000000008), false},
	{"header that is not valid", UINT64_C(0xffffffffffffffff), false},
	{"larger than the ring", UINT64_C(0x8000000000000001), true},
	{"larger than the ring", UINT64_C(0x80000000ffffffff), false},
	{"larger than the ring", UINT64_C(0x80000000fffffff8), false},
};
#define FALSE_HEADERS 9

static uint64_t false_header(int i, uint64_t most)
{
	ck_assert_uint_eq(LENGTH(false_headers), FALSE_HEADERS);
	return false_headers[i].header + (false_headers[i].plus_most ? most : 0);
}

START_TEST(a_false_header_breaks_the_consumer_for_good)
{
	const int i = _i / RING_VARIANTS;
	struct peal_record record;

	open_variant(_i % RING_VARIANTS);
	*peal_word_at(&f.tx, f.tx.tail) = false_header(i, peal_record_max(&f.tx));
	assert_fails(peal_next(&f.rx, &record), EPROTO, false_headers[i].words);
	*peal_word_at(&f.tx, f.tx.tail) = peal_header(8, 0);
	expect_broken_consumer(EPROTO, false_headers[i].words);
	ring_close(&f);
}
END_TEST

START_TEST(more_records_than_fit_break_the_consumer)
{
	struct peal_record record;
	size_t most;

	open_variant(_i);
	send_pattern(1000, 1);
	send_pattern(1000, 2);
	expect_pattern(1000, 1);
	expect_pattern(1000, 2);
	/* Not too large in itself, but too large beside what is handed out. */
	most = f.variant.capacity - (f.tx.tail - f.variant.start) - 2 * f.variant.align;
	*peal_word_at(&f.tx, f.tx.tail) = peal_header(most + 1, 3);
	assert_fails(peal_next(&f.rx, &record), EPROTO, "larger than the ring");
	expect_broken_consumer(EPROTO, "larger than the ring");
	ring_close(&f);
}
END_TEST

START_TEST(a_ring_full_of_headers_ends)
{
	struct peal_record record;
	unsigned int count = 0;

	/* Not one word reads "nothing here yet": looking at records must end all the same. */
	open_variant(_i);
	for (uint64_t at = 0; at < f.variant.capacity; at += f.variant.align)
		*peal_word_at(&f.tx, at) = peal_header(0, 0);
	while (peal_next(&f.rx, &record) == 1)
		ck_assert_uint_lt(count++, f.variant.capacity / f.variant.align);
	assert_fails(peal_next(&f.rx, &record), EPROTO, "larger than the ring");
	ring_close(&f);
}
END_TEST

START_TEST(a_false_header_found_by_waiting_breaks_the_consumer)
{
	struct peal_record record;
	char buffer[8];

	open_variant(_i);
	*peal_word_at(&f.tx, f.tx.tail) = 1;
	if (_i & 1)
		assert_fails(peal_next_wait(&f.rx, &record, PEAL_FOREVER), EPROTO, "not valid");
	else
		assert_fails(peal_recv(&f.rx, buffer, 8, NULL, PEAL_FOREVER), EPROTO, "not valid");
	expect_broken_consumer(EPROTO, "not valid");
	ring_close(&f);
}
END_TEST

/* --- Fork -------------------------------------------------------------------------------------- */

START_TEST(a_handle_wiped_by_fork_refuses_every_call)
{
	open_variant(_i);
	memset(&f.tx, 0, sizeof(f.tx));
	memset(&f.rx, 0, sizeof(f.rx));
	ck_assert_uint_eq(peal_record_max(&f.tx), 0);
	expect_broken_producer(EBADFD, "forked");
	expect_broken_consumer(EBADFD, "forked");
	ring_close(&f);
}
END_TEST

int main(void)
{
	return harness_main(
		"ring",
		(struct harness_case[]){
			{a_record_arrives_as_it_was_sent, RING_VARIANTS},
			{no_bytes_are_a_record_too, RING_VARIANTS},
			{the_largest_record_fits, RING_VARIANTS},
			{what_can_never_fit_is_refused_at_once, RING_VARIANTS},
			{payloads_are_aligned_to_the_record_alignment, RING_VARIANTS},
			{thousands_of_records_of_any_size_arrive_in_order, RING_VARIANTS},
			{every_capacity_carries_records, 3},
			{a_ring_of_8_gib_carries_records_of_almost_4, 0},
			{less_may_be_committed_than_was_reserved, RING_VARIANTS},
			{an_aborted_reservation_leaves_nothing, RING_VARIANTS},
			{staged_records_survive_an_abort, RING_VARIANTS},
			{reserving_again_gives_up_the_first, RING_VARIANTS},
			{only_what_was_reserved_can_be_committed, RING_VARIANTS},
			{staged_records_are_seen_all_at_once, RING_VARIANTS},
			{staged_records_are_published_when_the_ring_is_full, RING_VARIANTS},
			{records_are_released_in_part_and_at_once, RING_VARIANTS},
			{only_what_is_handed_out_can_be_released, RING_VARIANTS},
			{room_comes_back_only_by_release, RING_VARIANTS},
			{recv_copies_and_releases, RING_VARIANTS},
			{a_record_too_large_to_copy_stays, RING_VARIANTS},
			{recv_does_not_mix_with_records_handed_out, RING_VARIANTS},
			{payload_that_looks_like_a_header_is_never_taken_for_one, RING_VARIANTS},
			{the_terminator_never_wipes_an_unread_header, RING_VARIANTS},
			{a_false_head_breaks_the_producer_for_good, RING_VARIANTS * FALSE_HEADS},
			{what_was_begun_is_not_published_to_a_false_peer, RING_VARIANTS},
			{what_was_reserved_is_not_committed_to_a_false_peer, RING_VARIANTS},
			{a_head_does_not_move_back_in_an_empty_ring_either, RING_VARIANTS},
			{a_false_header_breaks_the_consumer_for_good,
			 RING_VARIANTS * FALSE_HEADERS},
			{more_records_than_fit_break_the_consumer, RING_VARIANTS},
			{a_ring_full_of_headers_ends, RING_VARIANTS},
			{a_false_header_found_by_waiting_breaks_the_consumer, RING_VARIANTS},
			{observers_see_all_that_is_published, RING_VARIANTS},
			{observers_of_a_busy_ring_are_never_led_astray, RING_VARIANTS},
			{a_false_tail_ends_an_observers_walk, RING_VARIANTS},
			{a_handle_wiped_by_fork_refuses_every_call, RING_VARIANTS},
			HARNESS_END,
		});
}
