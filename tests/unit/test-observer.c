/* SPDX-License-Identifier: MIT */
/*
 * Promises of peal_segment_tail() to who looks at a ring that is not his: the way from the tail that was
 * counted last to the end is followed only as far as it is one.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <peal/peal.h>

#include "harness.h"
#include "ring-fixture.h"

#define PAGE 4096

static struct ring_fixture f;

/* --- False ways ------------------------------------------------------------------------------ */

static void open_variant(int i)
{
	const struct ring_variant variant = ring_variant(i);

	ring_open(&f, &variant);
	f.host_rw.header->tail = f.variant.start;
}

START_TEST(a_way_ends_at_a_terminator)
{
	const uint64_t start = (open_variant(_i), f.variant.start);
	const uint64_t second = start + peal_record_span(8, f.variant.align);

	*peal_word_at(&f.tx, start) = peal_header(8, 0);
	*peal_word_at(&f.tx, second) = 0;
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), second);
	*peal_word_at(&f.tx, second) = 4711; /* neither header nor terminator */
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), start);
	ring_close(&f);
}
END_TEST

START_TEST(a_way_is_not_long)
{
	const uint64_t start = (open_variant(_i), f.variant.start);

	*peal_word_at(&f.tx, start) = peal_header(UINT32_MAX, 0);
	*peal_word_at(&f.tx, start + peal_record_span(UINT32_MAX, f.variant.align)) = 0;
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), start);
	ring_close(&f);
}
END_TEST

START_TEST(an_alignment_that_is_none_is_read_as_8)
{
	const uint64_t start = (open_variant(_i), f.variant.start);

	*peal_word_at(&f.tx, start) = peal_header(8, 0);
	*peal_word_at(&f.tx, start + 16) = 0;
	f.host_rw.header->record_align = 24;
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), start + 16);
	ring_close(&f);
}
END_TEST

START_TEST(without_a_ring_there_is_no_way)
{
	const struct peal_segment_spec spec = {.align = 8,
					       .role = PEAL_ROLE_HOST,
					       .channel_id =
						       (const unsigned char *)"0123456789abcdef"};
	const uint64_t far = UINT64_C(1) << 46; /* where nothing is mapped */
	int fd = peal_segment_create(&spec);
	struct peal_segment segment;

	assert_ok(fd);
	assert_ok(peal_segment_map(&segment, fd, 0, true));
	segment.header->tail = far;
	ck_assert_uint_eq(peal_segment_tail(&segment), far);
	peal_segment_unmap(&segment);
	close(fd);
}
END_TEST

/* --- Meanwhile ------------------------------------------------------------------------------- */

/* The producer does something just as the observer looks at this page. */
static unsigned char *watched_page;
static void (*meanwhile)(void);

static void at_the_page(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if ((unsigned char *)info->si_addr - watched_page >= PAGE)
		_exit(1);
	mprotect(watched_page, PAGE, PROT_READ);
	meanwhile();
}

/* One record at the end of the first page, its terminator at the beginning of the second. */
static uint64_t look_while(int page, void (*what)(void))
{
	const struct sigaction action = {.sa_sigaction = at_the_page, .sa_flags = SA_SIGINFO};
	const struct ring_variant variant = {
		.capacity = 2 * PAGE, .start = PAGE - 16, .align = 8, .spin_cap_ns = 0};
	uint64_t seen;

	ring_open(&f, &variant);
	f.host_rw.header->tail = PAGE - 16;
	*peal_word_at(&f.tx, PAGE - 16) = peal_header(8, 0);
	*peal_word_at(&f.tx, PAGE) = 0;
	ck_assert_uint_eq(peal_segment_tail(&f.host_ro), PAGE);
	watched_page = peal_segment_data(&f.host_ro) + page * PAGE;
	meanwhile = what;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	ck_assert_int_eq(mprotect(watched_page, PAGE, PROT_NONE), 0);
	seen = peal_segment_tail(&f.host_ro);
	ring_close(&f);
	return seen;
}

static void count_a_later_tail(void)
{
	f.host_rw.header->tail = 10 * PAGE;
}

static void overwrite_the_first(void)
{
	*peal_word_at(&f.tx, PAGE - 16) = peal_header(16, 0);
}

START_TEST(a_producer_that_comes_around_meanwhile_is_noticed)
{
	ck_assert_uint_eq(look_while(0, count_a_later_tail), 10 * PAGE);
	ck_assert_uint_eq(look_while(1, overwrite_the_first), PAGE - 16);
}
END_TEST

int main(void)
{
	return harness_main("observer",
			    (struct harness_case[]){
				    {a_way_ends_at_a_terminator, RING_VARIANTS},
				    {a_way_is_not_long, RING_VARIANTS},
				    {an_alignment_that_is_none_is_read_as_8, RING_VARIANTS},
				    {without_a_ring_there_is_no_way, 0},
				    {a_producer_that_comes_around_meanwhile_is_noticed, 0},
				    HARNESS_END,
			    });
}
