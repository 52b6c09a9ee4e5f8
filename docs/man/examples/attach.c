/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "the guest has 2 arguments: -n 3". Started by hand, this
 * guest would say that it needs a host; here it is its own host. */
static int host(char *program)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 4096};
	char *argv[] = {program, "-n", "3", NULL}, text[64] = "";
	struct peal_channel *channel;
	struct peal_child *child;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0 ||
	    peal_recv(peal_rx(channel), text, sizeof(text) - 1,
		      NULL, PEAL_FOREVER) < 0)
		return puts(peal_last_error()), 1;
	printf("the guest has %s\n", text);
	peal_channel_close(channel);
	peal_child_free(child);
	return 0;
}

int main(int argc, char **argv)
{
	struct peal_attach_options options = {
		.size = sizeof(options),
		.spin_max_us = PEAL_SPIN_NEVER,
	};
	struct peal_channel *channel;
	char text[64];
	int n, rc;

	rc = peal_attach_args(&channel, &argc, argv, &options);
	if (rc == -ENOENT)
		return host(argv[0]);
	if (rc < 0)
		return puts(peal_last_error()), 1;
	/* Peal's arguments are gone, these are ours. */
	n = snprintf(text, sizeof(text), "%d arguments: %s %s",
		     argc - 1, argv[1], argv[2]);
	rc = peal_send(peal_tx(channel), text, (size_t)n, 0,
		       PEAL_FOREVER);
	peal_channel_close(channel);
	return rc < 0;
}
