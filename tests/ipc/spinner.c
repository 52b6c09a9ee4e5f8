/* SPDX-License-Identifier: MIT */
/*
 * spinner.c - a million records go to a guest and come back, and nobody ever sleeps. For syscalls.sh.
 */
#include <errno.h>
#include <stdio.h>

#include <peal/peal.h>

#define RECORDS 1000000

/* The guest's program is the argument; it echoes, and spins as long as we do. */
int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 1 << 16,
		.to_host = 1 << 16,
		.spin_max_us = 1000000, /* longer than any preemption */
	};
	struct peal_channel *channel;
	struct peal_child *child;
	char echo[] = "echo", spin[] = "spin";
	char *guest[] = {argv[1], echo, spin, NULL};
	uint64_t back;
	int rc;

	if (argc != 2)
		return 2;
	rc = peal_channel_create(&channel, &options);
	if (rc == 0)
		rc = peal_spawn(&child, channel, guest, NULL);
	if (rc == 0)
		rc = peal_child_wait_ready(child, channel, PEAL_FOREVER);
	for (uint64_t i = 0; rc == 0 && i < RECORDS; i++) {
		rc = peal_send(peal_tx(channel), &i, sizeof(i), 0, PEAL_FOREVER);
		if (rc == 0 &&
		    peal_recv(peal_rx(channel), &back, sizeof(back), NULL, PEAL_FOREVER) < 0)
			rc = -EIO;
		if (rc == 0 && back != i)
			rc = -EBADMSG;
	}
	if (rc < 0) {
		fprintf(stderr, "spinner: %s (%s)\n", peal_strerror(rc), peal_last_error());
		return 1;
	}
	peal_channel_close(channel);
	rc = peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return rc < 0;
}
