/* SPDX-License-Identifier: MIT */
/*
 * guest.c - a guest at work. Nothing here waits: the file goes into the ring as far as there is room, the
 * answer is taken as far as it has come, and the poller calls again.
 */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

/* Records at a time, so that one guest does not keep us from the others. */
#define TURN 8

/* The file has its verdict. But of a guest that must go an earlier file may have taken hold: then this one
 * is tried again, by a guest that has seen no other. */
static void settle(struct guest *guest)
{
	struct file *file = guest->image.file;

	file->took_ns = peal_now_ns() - guest->given_ns;
	image_drop(&guest->image);
	if (guest->fd >= 0)
		close(guest->fd);
	guest->fd = -1;
	guest->deadline_ns = PEAL_FOREVER;
	if (guest->condemned && guest->files > 1) {
		file->verdict = UNKNOWN;
		guest->again = file;
	} else {
		guest->pool->done++;
	}
}

/* The guest can be used no more, because of this. */
static void condemn(struct guest *guest, enum verdict verdict, const char *why)
{
	guest->condemned = true;
	if (guest->image.file) {
		judge(guest->image.file, verdict, "%s", why);
		settle(guest);
	} else {
		complain("a guest that had no file: %s", why);
	}
	guest->deadline_ns = PEAL_TRY; /* no event will tell of it */
}

/* --- The file, to the guest --------------------------------------------------------------------- */

static void hand_over(struct guest *guest)
{
	int rc = feed(guest);

	if (rc == 1) {
		close(guest->fd);
		guest->fd = -1;
	}
	/* Of a death the poller tells; how it died, guest_check() finds out. */
	if (rc < 0 && rc != -EPIPE)
		condemn(guest, rc == -EPROTO ? KILLED : UNREAD, strerror(-rc));
}

bool guest_give(struct guest *guest, struct file *file)
{
	guest->fd = feed_open(file);
	if (guest->fd < 0)
		return false;
	guest->files++;
	guest->given_ns = peal_now_ns();
	image_begin(&guest->image, &guest->pool->options, file);
	guest->deadline_ns = guest->given_ns + guest->pool->options.deadline_ns;
	hand_over(guest);
	return true;
}

/* --- The answer, from the guest ----------------------------------------------------------------- */

/* The first word of a guest. */
static void take_ready(struct guest *guest, const struct peal_record *record)
{
	int32_t error = -EBADMSG;
	char text[128];

	if (record->type == DECODER_READY && record->size == sizeof(error))
		memcpy(&error, record->data, sizeof(error));
	if (error != 0) {
		snprintf(text, sizeof(text), "it has no cage: %s", strerror(-error));
		return condemn(guest, KILLED, text);
	}
	guest->ready = true;
	guest->deadline_ns = PEAL_FOREVER;
}

static void take_one(struct guest *guest, const struct peal_record *record)
{
	bool last = record->type == DECODER_DONE || record->type == DECODER_REFUSED;
	enum verdict verdict;

	if (!guest->ready)
		return take_ready(guest, record);
	if (!guest->image.file)
		return condemn(guest, KILLED, "it spoke out of turn");
	if (last && guest->fd >= 0)
		return condemn(guest, KILLED, "it answered before it had the whole file");
	verdict = image_take(&guest->image, record);
	if (verdict == UNKNOWN)
		return;
	/* One that still has something to say would say it about the next file. */
	guest->condemned = verdict == KILLED || !last;
	settle(guest);
}

/* The number of records that were taken. */
static int take(struct guest *guest)
{
	struct peal_consumer *rx = peal_rx(guest->channel);
	struct peal_record record;
	int rc = 0, count = 0;

	while (count < TURN && !guest->condemned && (rc = peal_next(rx, &record)) == 1) {
		take_one(guest, &record);
		count++;
	}
	peal_release(rx);
	if (rc == -EPIPE)
		guest->data =
			(peal_watch_remove(guest->data), NULL); /* how it ended is still to come */
	else if (rc < 0)
		condemn(guest, KILLED, peal_last_error());
	return count;
}

void guest_handle(struct guest *guest, uint32_t kind)
{
	if (guest->condemned)
		return;
	if (kind == PEAL_EVENT_DATA)
		take(guest);
	else if (kind == PEAL_EVENT_SPACE && guest->fd >= 0)
		hand_over(guest);
	else if (kind == PEAL_EVENT_CHILD)
		guest->ended = true;
}

/* How it died, and how soon we know. */
static void bury(struct guest *guest)
{
	uint64_t age_ns = peal_now_ns() - guest->given_ns;
	char how[256], text[320];

	/* It may have answered first. */
	while (!guest->condemned && take(guest) > 0)
		;
	peal_child_describe(guest->child, how, sizeof(how));
	snprintf(text, sizeof(text), "%s, %.1f ms after it was given the file", how,
		 (double)age_ns / 1e6);
	if (!guest->condemned)
		condemn(guest, KILLED, guest->image.file ? text : how);
}

bool guest_check(struct guest *guest)
{
	char text[64];

	if (guest->ended && !guest->condemned)
		bury(guest);
	if (!guest->condemned && peal_now_ns() >= guest->deadline_ns) {
		snprintf(text, sizeof(text), "no answer within %u ms",
			 (unsigned int)(guest->pool->options.deadline_ns / 1000000));
		condemn(guest, KILLED, guest->ready ? text : "it did not get ready");
	}
	return !guest->condemned;
}
