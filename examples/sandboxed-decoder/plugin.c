/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - the guest: in a cage it can do nothing but decode, and write into its ring.
 *
 *	attach       needs mmap, fcntl and others: still free, but no file has been seen
 *	enter_cage   from here on the kernel ends this process for any call that is not on the list
 *	serve        one file after the other, until the host closes the channel or dies
 *
 * usage: decode-plugin [--misbehave]      started by decode
 */
#define _GNU_SOURCE
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../sandboxed/cage.h"
#include "codec.h"

struct link {
	struct peal_channel *channel;
};

/* Without its host a guest has nothing to live for. The cage allows no tidying up. */
static void leave_if(int rc)
{
	if (rc < 0)
		_exit(rc == -EPIPE ? 0 : 1);
}

bool link_next(struct link *link, const unsigned char **data, size_t *size)
{
	struct peal_consumer *rx = peal_rx(link->channel);
	struct peal_record record;

	/* The room of what was used up: the host may need it for what we wait for. */
	leave_if(peal_release(rx));
	leave_if(peal_next_wait(rx, &record, PEAL_FOREVER));
	*data = record.data;
	*size = record.size;
	return record.type != DECODER_END;
}

void *link_room(struct link *link, size_t size)
{
	void *room;

	leave_if(peal_reserve_wait(peal_tx(link->channel), size, &room, PEAL_FOREVER));
	return room;
}

void link_send(struct link *link, size_t size, uint16_t type)
{
	leave_if(peal_commit(peal_tx(link->channel), size, type));
}

void link_stage(struct link *link, size_t size, uint16_t type)
{
	leave_if(peal_stage(peal_tx(link->channel), size, type));
}

/* Memory, within RLIMIT_AS, for the libraries, whose first malloc(3) asks for a random number; the
 * clock for Peal. */
static int enter_cage(void)
{
	static const int more[] = {SYS_brk,       SYS_mmap,          SYS_munmap, SYS_mremap,
				   SYS_getrandom, SYS_clock_gettime, -1};

	/* Not even a line on the user's terminal. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	return cage_enter(CAGE_FILTER, more);
}

static void ready(struct link *link, int32_t error)
{
	memcpy(link_room(link, sizeof(error)), &error, sizeof(error));
	link_send(link, sizeof(error), DECODER_READY);
	if (error < 0)
		_exit(1);
}

/* There are more of us than processors: who spins takes one from who works. And a record is large here, or
 * waited for: beside that a fence is nothing, and membarrier a system call more to allow. */
static int attach(struct peal_channel **channel, int *argc, char **argv)
{
	const struct peal_attach_options options = {.size = sizeof(options),
						    .flags = PEAL_CHANNEL_NO_MEMBARRIER,
						    .spin_max_us = PEAL_SPIN_NEVER};

	return peal_attach_args(channel, argc, argv, &options);
}

int main(int argc, char **argv)
{
	struct link link;
	int rc = attach(&link.channel, &argc, argv);

	if (rc < 0) {
		fprintf(stderr, "decode-plugin: %s\n", peal_last_error());
		if (rc == -ENOENT)
			fprintf(stderr, "decode-plugin: decode starts it\n");
		return 2;
	}
	ready(&link, enter_cage());
	for (;;)
		codec_serve(&link, argc > 1 && strcmp(argv[1], "--misbehave") == 0);
}
