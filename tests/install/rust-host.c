/* SPDX-License-Identifier: MIT */
/*
 * A host in C for a guest in another language, which is to send back what it gets.
 *
 * usage: rust-host GUEST
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ipc/ipc.h"

static int fail(int index, const char *what)
{
	fprintf(stderr, "configuration %d: %s: %s\n", index, what, peal_last_error());
	return 1;
}

/* Every record comes back whole; @end: how the guest ends then. */
static int talk(char *guest, int index, const struct peal_child_status *end)
{
	struct peal_channel_options options = config(index, 4096, 4096);
	char *argv[] = {guest, NULL};
	struct peal_child_status status;
	struct peal_channel *channel;
	struct peal_record record;
	struct peal_child *child;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return fail(index, "starting");
	if (peal_child_wait_ready(child, channel, PEAL_FOREVER) < 0)
		return fail(index, "attaching");
	for (uint64_t i = 0; i < 1000; i++) {
		if (stream_send(peal_tx(channel), i, i + 1, 2000, 1) < 0 ||
		    stream_receive(peal_rx(channel), i, i + 1, 2000, 0) < 0)
			return fail(index, "echo");
	}
	if (end->state == PEAL_CHILD_EXITED)
		channel = peal_channel_close(channel);
	else
		peal_child_kill(child, end->value);
	if (channel && peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) != -EPIPE)
		return fail(index, "the end");
	peal_channel_close(channel);
	if (peal_child_wait(child, PEAL_FOREVER, &status) < 0 ||
	    memcmp(&status, end, sizeof(status)) != 0)
		return fail(index, "its status");
	peal_child_free(child);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct peal_child_status good = {PEAL_CHILD_EXITED, 0};
	static const struct peal_child_status killed = {PEAL_CHILD_KILLED, SIGKILL};

	if (argc != 2)
		return 2;
	for (int index = 0; index < CONFIGS; index++) {
		if (talk(argv[1], index, &good) != 0 || talk(argv[1], index, &killed) != 0)
			return 1;
	}
	return 0;
}
