/* SPDX-License-Identifier: MIT */
/*
 * pool.c - guests side by side on one poller. Each has one file at a time; a guest that is lost is
 * replaced.
 */
#include <errno.h>
#include <peal/peal.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define EVENTS 16

int pool_open(struct pool *pool, const struct options *options)
{
	const struct peal_poller_options poller = {.size = sizeof(poller),
						   .spin_max_us = PEAL_SPIN_NEVER};
	int rc;

	*pool = (struct pool){.options = *options};
	pool->guests = calloc(options->guests, sizeof(*pool->guests));
	if (!pool->guests)
		return complain("%s", strerror(ENOMEM)), -ENOMEM;
	for (unsigned int i = 0; i < options->guests; i++)
		pool->guests[i] = (struct guest){.pool = pool, .fd = -1};
	rc = peal_poller_create(&pool->poller, &poller);
	if (rc < 0) {
		complain("%s", peal_last_error());
		pool_close(pool);
	}
	return rc;
}

void pool_close(struct pool *pool)
{
	for (unsigned int i = 0; i < pool->options.guests; i++)
		guest_stop(&pool->guests[i]);
	free(pool->guests);
	peal_poller_close(pool->poller);
	*pool = (struct pool){0};
}

/* The next file that can be read at all. */
static void give(struct pool *pool, struct guest *guest)
{
	struct file *again = guest->again;

	guest->again = NULL;
	if (again && guest_give(guest, again))
		return;
	pool->done += again != NULL;
	while (pool->next < pool->count) {
		if (guest_give(guest, &pool->files[pool->next++]))
			return;
		pool->done++;
	}
}

static bool is_needed(const struct pool *pool, const struct guest *guest)
{
	return guest->again || pool->next < pool->count;
}

/* One that was no good before it had any file will be no better next time. */
static int lose(struct pool *pool, struct guest *guest)
{
	bool hopeless = guest->files == 0;
	struct file *again = guest->again;

	guest_stop(guest);
	guest->again = again;
	guest->lost_ns = is_needed(pool, guest) ? peal_now_ns() : 0;
	pool->lost++;
	return hopeless ? -EPIPE : 0;
}

static void note_ready(struct pool *pool, struct guest *guest)
{
	uint64_t ns = peal_now_ns() - guest->lost_ns;

	if (guest->lost_ns && ns > pool->longest_lost_ns)
		pool->longest_lost_ns = ns;
	guest->lost_ns = 0;
}

static int start(struct guest *guest)
{
	int rc = guest_start(guest);

	if (rc < 0)
		complain("starting a guest: %s", peal_last_error());
	return rc;
}

static int tend(struct pool *pool, struct guest *guest)
{
	int rc = 0;

	if (guest->channel && !guest_check(guest))
		rc = lose(pool, guest);
	if (guest->ready && !guest->image.file && guest_is_worn(guest))
		guest_stop(guest);
	if (rc == 0 && !guest->channel && is_needed(pool, guest))
		rc = start(guest);
	if (guest->ready && !guest->image.file) {
		note_ready(pool, guest);
		give(pool, guest);
	}
	return rc;
}

/* The time that we take ourselves is not the guests': we may have waited for a disk, or for somebody to
 * read what we print. */
static void excuse(struct pool *pool)
{
	uint64_t now_ns = peal_now_ns(), own_ns = now_ns - pool->excused_ns;

	for (unsigned int i = 0; i < pool->options.guests; i++) {
		struct guest *guest = &pool->guests[i];

		if (!guest->condemned && guest->deadline_ns != PEAL_FOREVER)
			guest->deadline_ns += own_ns;
	}
	pool->excused_ns = now_ns;
}

static uint64_t next_deadline(const struct pool *pool)
{
	uint64_t next_ns = PEAL_FOREVER;

	for (unsigned int i = 0; i < pool->options.guests; i++) {
		const struct guest *guest = &pool->guests[i];

		if (guest->channel && guest->deadline_ns < next_ns)
			next_ns = guest->deadline_ns;
	}
	return next_ns;
}

/* Replaces nobody: other events may be about the same guest. */
static int wait(struct pool *pool)
{
	struct peal_event events[EVENTS];
	int count;

	excuse(pool);
	count = peal_poller_wait(pool->poller, events, EVENTS, next_deadline(pool));
	pool->excused_ns = peal_now_ns();
	for (int i = 0; i < count; i++)
		guest_handle(events[i].user, events[i].kind);
	excuse(pool);
	return count < 0 && count != -ETIMEDOUT && count != -EAGAIN ? count : 0;
}

static size_t show(const struct pool *pool, size_t shown)
{
	if (pool->options.quiet)
		return shown;
	while (shown < pool->count && pool->files[shown].verdict != UNKNOWN)
		show_file(&pool->files[shown++]);
	show_progress(pool);
	return shown;
}

int pool_run(struct pool *pool, struct file *files, size_t count)
{
	size_t shown = 0;
	int rc = 0;

	pool->files = files;
	pool->count = count;
	pool->next = pool->done = 0;
	pool->longest_lost_ns = 0;
	pool->excused_ns = peal_now_ns();
	for (;;) {
		for (unsigned int i = 0; i < pool->options.guests && rc == 0; i++)
			rc = tend(pool, &pool->guests[i]);
		shown = show(pool, shown);
		if (rc < 0 || pool->done == count)
			break;
		rc = wait(pool);
	}
	show_end();
	return rc;
}
