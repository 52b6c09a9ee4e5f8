/* SPDX-License-Identifier: MIT */
/*
 * guest.c - one guest's life. Nothing here waits: the file goes into the ring as far as there is room, the
 * answer is taken as far as it has come, and the poller calls again.
 */
#include <errno.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define MIB (UINT64_C(1) << 20)

/* So much can be under way, and no more: who has nothing to work on, or no room, sleeps. */
#define TO_GUEST (1 * MIB)
#define TO_HOST  (2 * MIB)

/* Of processor time, for all the files of its life. One that has used half is replaced, between two
 * files, so that it never hits an honest guest: a file may take as long as the deadline lets it. */
#ifndef GUEST_CPU_S
#	define GUEST_CPU_S 60
#endif

/* Records at a time, so that one guest does not keep us from the others. */
#define TURN 8

/* A program that takes longer to start will not start. */
#define START_NS UINT64_C(30000000000)

/* --- Life and death ----------------------------------------------------------------------------- */

static int spawn(struct guest *guest)
{
	static const struct peal_rlimit limits[] = {
		{RLIMIT_CORE, {0, 0}},
		{RLIMIT_AS, {512 * MIB, 512 * MIB}},
		{RLIMIT_CPU, {GUEST_CPU_S, GUEST_CPU_S + 1}},
		{RLIMIT_NOFILE, {16, 16}},
	};
	const struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = PEAL_SPAWN_NO_NEW_PRIVS | PEAL_SPAWN_DIE_WITH_PARENT,
		.envp = (char *[]){NULL}, /* our environment is none of its business */
		.rlimits = limits,
		.rlimit_count = sizeof(limits) / sizeof(limits[0]),
	};
	static char misbehave[] = "--misbehave";
	char *argv[] = {beside_us("decode-plugin"),
			guest->pool->options.misbehave ? misbehave : NULL, NULL};

	return peal_spawn(&guest->child, guest->channel, argv, &options);
}

int guest_start(struct guest *guest)
{
	const struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = TO_GUEST, .to_host = TO_HOST, .name = PROGRAM};
	struct peal_poller *poller = guest->pool->poller;
	int rc = peal_channel_create(&guest->channel, &options);

	guest->fd = -1;
	guest->deadline_ns = peal_deadline_in_ns(START_NS);
	if (rc == 0)
		rc = spawn(guest);
	if (rc == 0)
		rc = peal_poller_watch_data(poller, guest->channel, 0, guest, &guest->data);
	if (rc == 0)
		rc = peal_poller_watch_child(poller, guest->child, guest, &guest->end);
	return rc;
}

static void unwatch(struct peal_watch **watch)
{
	peal_watch_remove(*watch);
	*watch = NULL;
}

void guest_stop(struct guest *guest)
{
	unwatch(&guest->data);
	unwatch(&guest->space);
	unwatch(&guest->end);
	guest->channel = peal_channel_close(guest->channel);
	guest->child = peal_child_free(guest->child);
	if (guest->fd >= 0)
		close(guest->fd);
	image_drop(&guest->image);
	*guest = (struct guest){.pool = guest->pool, .fd = -1};
}

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
		unwatch(&guest->data); /* nothing more will come, but how it ended */
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

bool guest_is_worn(const struct guest *guest)
{
	struct timespec used;
	clockid_t clock;

	return clock_getcpuclockid(peal_child_pid(guest->child), &clock) == 0 &&
	       clock_gettime(clock, &used) == 0 &&
	       2 * (used.tv_sec * 1000 + used.tv_nsec / 1000000) >= GUEST_CPU_S * 1000;
}
