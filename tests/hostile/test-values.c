/* SPDX-License-Identifier: MIT */
/*
 * Every value of the two words that a host lives by, from a guest that is a process of its own: what
 * is false breaks that end for good, what could be true is served, and nothing else happens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "hostile/beside.h"

/* Long enough that a host which waits is seen to wait. */
#define PATIENCE_NS UINT64_C(2000000)

#define ALIGN 8

/* Records on their way to the innocent guest and back. */
#define INNOCENT 4

/* Of records of 8 bytes: their span, and where a full ring ends. One header stays free. */
#define SPAN UINT64_C(16)
#define FULL ((RING_BYTES - ALIGN) / SPAN * SPAN)

/* Around all powers of two, and so around 2^32, 2^63 and 2^64 (T9), and around the ring's size. */
static const int64_t offsets[] = {-4096, -16, -8, -1, 0, 1, 8, 16};
#define OFFSETS ((int)(sizeof(offsets) / sizeof(offsets[0])))
#define POWERS  64

static uint64_t value_number(int i)
{
	return (UINT64_C(1) << i / OFFSETS) + (uint64_t)offsets[i % OFFSETS];
}

/* The hostile guest is served by the test itself; meanwhile the innocent one must get on as well. */
static void serve_innocent(struct host *host)
{
	uint64_t target = host->innocent.received + 1;

	while (host->innocent.received < target)
		host_step(host);
}

/* One channel and one guest for each value, since what breaks stays broken. */
static void open_lane(struct host *host, const char *mode, uint64_t value)
{
	host->accounts[1] = (struct account){.value = value};
	host->hostile = (struct lane){.ends = {EPIPE, EPIPE}}; /* not host_step()'s */
	lane_start(&host->hostile, host, 1, mode, false, true);
	while (!account_is(&host->hostile.account->begun))
		serve_innocent(host);
}

static void close_lane(struct host *host)
{
	lane_unwatch(&host->hostile);
	peal_channel_close(host->hostile.channel);
	peal_child_free(host->hostile.child);
	host->hostile.channel = NULL;
	host->hostile.child = NULL;
	totals->values++;
}

/* --- T1, T9: head ---------------------------------------------------------------------------- */

/* Send small records until that fails; 0 if it never does. */
static int fill(struct lane *lane, uint64_t patience_ns)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < 2 * RING_BYTES; i++)
		rc = peal_send(peal_tx(lane->channel), "12345678", 8, 0,
			       patience_ns ? peal_deadline_in_ns(patience_ns) : PEAL_TRY);
	return rc;
}

/* For an event of this watch. The innocent one has nothing more to say than that there is room. */
static int wait_for(struct host *host, struct peal_watch *watch)
{
	struct peal_event event;
	int count;

	host_settle_innocent(host);
	host->innocent.window = INNOCENT;
	do {
		count = peal_poller_wait(host->poller, &event, 1, peal_deadline_in_ns(PATIENCE_NS));
		if (count == 1 && event.kind == PEAL_EVENT_SPACE && event.watch != watch)
			host->innocent.is_reported = true;
	} while (count == 1 && event.watch != watch);
	ck_assert(count == -ETIMEDOUT || count == 1);
	return count;
}

static int fill_by_poller(struct host *host)
{
	struct lane *lane = &host->hostile;
	struct peal_watch *watch = NULL;
	/* Full first, for the head is looked at when a watch begins. */
	int rc = fill(lane, PEAL_TRY);

	if (rc == -EAGAIN)
		assert_ok(peal_poller_watch_space(host->poller, lane->channel, 8, 0, lane, &watch));
	while (rc == -EAGAIN) {
		rc = wait_for(host, watch);
		if (rc < 0)
			break;
		rc = fill(lane, PEAL_TRY);
		if (rc == -EAGAIN)
			assert_ok(peal_watch_resume(watch, 8));
	}
	peal_watch_remove(watch);
	return rc;
}

/* It is looked at when the ring is full for the first time. */
static bool could_be_a_head(uint64_t value)
{
	return value <= FULL && value % ALIGN == 0;
}

static void try_head(struct host *host, uint64_t value)
{
	int rc;

	open_lane(host, "false-head", value);
	rc = host->way == BY_WAIT ? fill(&host->hostile, PATIENCE_NS) : fill_by_poller(host);
	ck_assert_msg(rc == (could_be_a_head(value) ? -ETIMEDOUT : -EPROTO),
		      "head %#llx by %s: %d (%s)", (unsigned long long)value, way_names[host->way],
		      rc, peal_last_error());
	if (rc == -EPROTO)
		assert_fails(peal_send(peal_tx(host->hostile.channel), "", 0, 0, PEAL_FOREVER),
			     EPROTO, "the consumer wrote a position that is not in the ring");
	close_lane(host);
}

/* --- T2: header ------------------------------------------------------------------------------ */

/* 1 and a record, 0 for nothing, or the error. */
static int look(struct host *host, struct peal_record *record)
{
	struct lane *lane = &host->hostile;
	struct peal_watch *watch;
	int rc;

	if (host->way == BY_WAIT) {
		rc = peal_next_wait(peal_rx(lane->channel), record,
				    peal_deadline_in_ns(PATIENCE_NS));
		return rc == -ETIMEDOUT ? 0 : rc;
	}
	assert_ok(peal_poller_watch_data(host->poller, lane->channel, 0, lane, &watch));
	wait_for(host, watch);
	rc = peal_next(peal_rx(lane->channel), record);
	peal_watch_remove(watch);
	return rc;
}

static bool could_be_a_header(uint64_t value)
{
	return value >> 48 == 0x8000 && (uint32_t)value <= RING_BYTES - 2 * ALIGN;
}

static void try_header(struct host *host, uint64_t value)
{
	struct peal_record record = {0};
	int rc;

	open_lane(host, "false-header", value);
	rc = look(host, &record);
	if (could_be_a_header(value))
		ck_assert_msg(rc == 1 && record.size == (uint32_t)value &&
				      record.type == (uint16_t)(value >> 32),
			      "header %#llx by %s: %d", (unsigned long long)value,
			      way_names[host->way], rc);
	else
		ck_assert_msg(rc == (value == 0 ? 0 : -EPROTO), "header %#llx by %s: %d (%s)",
			      (unsigned long long)value, way_names[host->way], rc,
			      peal_last_error());
	if (rc == -EPROTO)
		assert_fails(peal_next_wait(peal_rx(host->hostile.channel), &record, PEAL_FOREVER),
			     EPROTO,
			     value >> 48 == 0x8000 ? "larger than the ring" : "that is not valid");
	close_lane(host);
}

/* --- Tests ----------------------------------------------------------------------------------- */

START_TEST(every_false_position_breaks_the_producer)
{
	struct host host;

	host_open(&host, (enum way)_i);
	for (int i = _i; i < POWERS * OFFSETS; i += WAYS)
		try_head(&host, value_number(i));
	for (uint64_t value = (uint64_t)_i; value < RING_BYTES + 64; value += 64 * WAYS + 4)
		try_head(&host, value);
	host_close(&host);
}
END_TEST

START_TEST(every_false_header_breaks_the_consumer)
{
	const uint64_t valid = UINT64_C(0x8000) << 48;
	struct host host;

	host_open(&host, (enum way)_i);
	/* Each bit of a valid one turned, reserved bits among them, and with each bit alone. */
	for (int bit = _i; bit < 64; bit += WAYS) {
		try_header(&host, (valid | 8) ^ UINT64_C(1) << bit);
		try_header(&host, UINT64_C(1) << bit);
		try_header(&host, UINT64_MAX << bit);
	}
	/* All sizes around powers of two, and so around the largest record and 2^32. */
	for (int i = _i; i < 33 * OFFSETS; i += WAYS)
		try_header(&host, valid | (value_number(i) & UINT32_MAX));
	for (uint64_t size = RING_BYTES - 24 + (uint64_t)_i; size < RING_BYTES + 8; size += WAYS)
		try_header(&host, valid | size);
	host_close(&host);
}
END_TEST

/* All that is handed out and not released must have fitted in: a bounded number, then the end. */
START_TEST(more_headers_than_fit_break_a_consumer_that_holds_them)
{
	struct peal_record record;
	struct host host;
	uint64_t held = 0;
	int rc;

	host_open(&host, (enum way)_i);
	open_lane(&host, "more-than-fits", 0);
	rc = look(&host, &record);
	for (; rc == 1 && held < RING_BYTES; held++)
		rc = peal_next(peal_rx(host.hostile.channel), &record);
	ck_assert_int_eq(rc, -EPROTO);
	ck_assert_uint_eq(held, (RING_BYTES - ALIGN) / ALIGN);
	assert_fails(peal_next(peal_rx(host.hostile.channel), &record), EPROTO,
		     "larger than the ring");
	close_lane(&host);
	host_close(&host);
}
END_TEST

int main(void)
{
	int rc = totals_open();

	if (rc != 0)
		return rc;
	rc = harness_main("hostile-values",
			  (struct harness_case[]){
				  {every_false_position_breaks_the_producer, WAYS},
				  {every_false_header_breaks_the_consumer, WAYS},
				  {more_headers_than_fit_break_a_consumer_that_holds_them, WAYS},
				  HARNESS_END,
			  });
	totals_print("%llu values of head and of headers\n", totals->values);
	return rc;
}
