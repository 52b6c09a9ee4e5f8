/* SPDX-License-Identifier: MIT */
/*
 * start.c - starting a guest, with all that it must not do; and ending it.
 */
#include <peal/peal.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define MIB (UINT64_C(1) << 20)

/* So much can be under way, and no more: who has nothing to work on, or no room, sleeps. */
#define TO_GUEST (1 * MIB)
#define TO_HOST  (2 * MIB)

/* Of processor time, for all the files of its life. One that has used half is replaced between two
 * files, so that each file can have the other half. */
#ifndef GUEST_CPU_S
#	define GUEST_CPU_S 60
#endif

/* A program that takes longer to start will not start. */
#define START_NS UINT64_C(30000000000)

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
		.size = sizeof(options),
		.to_guest = TO_GUEST,
		.to_host = TO_HOST,
		.flags = PEAL_CHANNEL_NO_MEMBARRIER, /* plugin.c says why */
		.name = PROGRAM};
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

uint64_t child_cpu_ns(const struct peal_child *child)
{
	struct timespec used;
	clockid_t clock;

	if (!child || clock_getcpuclockid(peal_child_pid(child), &clock) != 0 ||
	    clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

bool guest_is_worn(const struct guest *guest)
{
	return child_cpu_ns(guest->child) >= GUEST_CPU_S * UINT64_C(1000000000) / 2;
}
