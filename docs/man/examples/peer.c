/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

static const char *const states[] = {
	[PEAL_PEER_ABSENT] = "absent",
	[PEAL_PEER_ATTACHED] = "attach",
	[PEAL_PEER_CLOSED] = "closed",
	[PEAL_PEER_DEAD] = "dead",
};

static void tell(struct peal_channel *channel, const char *after)
{
	printf("%s%s", states[peal_channel_peer(channel)], after);
}

/* Prints "absent, attach, dead". */
int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	struct pollfd gone;
	char byte;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return peal_recv(peal_rx(channel), &byte, 1, NULL,
				 PEAL_FOREVER) < 0;
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0)
		return puts(peal_last_error()), 1;
	tell(channel, ", ");
	if (peal_spawn(&child, channel, argv, NULL) < 0 ||
	    peal_child_wait_ready(child, channel, PEAL_FOREVER) < 0)
		return puts(peal_last_error()), 1;
	tell(channel, ", ");
	peal_child_kill(child, SIGKILL);
	gone = (struct pollfd){.fd = peal_channel_peer_fd(channel),
			       .events = POLLIN};
	poll(&gone, 1, -1);
	tell(channel, "\n");
	peal_channel_close(channel);
	peal_child_free(child);
	return 0;
}
