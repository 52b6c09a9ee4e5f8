/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "not found; then ready". */
int main(int argc, char **argv)
{
	const struct peal_rlimit limits[] = {
		{RLIMIT_CORE, {0, 0}},
		{RLIMIT_NOFILE, {64, 64}},
	};
	struct peal_spawn_options limited = {
		.size = sizeof(limited),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT |
			 PEAL_SPAWN_NO_NEW_PRIVS,
		.rlimits = limits,
		.rlimit_count = 2,
	};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	char *missing[] = {"./no-such-program", NULL};
	struct peal_channel *channel;
	struct peal_child *child;
	char byte;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return peal_recv(peal_rx(channel), &byte, 1, NULL,
				 PEAL_FOREVER) != -EPIPE;
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0)
		return puts(peal_last_error()), 1;
	if (peal_spawn(&child, channel, missing, &limited) ==
	    -ENOENT)
		printf("not found; ");
	if (peal_spawn(&child, channel, argv, &limited) < 0 ||
	    peal_child_wait_ready(
		    child, channel,
		    peal_deadline_in_ns(10000000000)) < 0)
		return puts(peal_last_error()), 1;
	puts("then ready");
	peal_channel_close(channel);
	peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return 0;
}
