/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <poll.h>
#include <stdio.h>

/* Prints "3 records". The guest sleeps in a poll of its own. */
static int sleep_in_poll(struct peal_channel *channel)
{
	struct pollfd fds[2] = {
		{.fd = peal_rx_fd(channel), .events = POLLIN},
		{.fd = peal_channel_peer_fd(channel),
		 .events = POLLIN},
	};
	int rc = peal_arm_data(peal_rx(channel));

	if (rc < 0)
		return rc;
	if (rc == 0)
		poll(fds, 2, -1);
	return peal_disarm_data(peal_rx(channel));
}

static int guest(struct peal_channel *channel)
{
	struct peal_record record;
	int rc, count = 0;

	for (;;) {
		while ((rc = peal_next(peal_rx(channel),
				       &record)) == 1)
			count++;
		if (rc == 0)
			rc = peal_release(peal_rx(channel));
		if (rc == 0)
			rc = sleep_in_poll(channel);
		if (rc < 0)
			break;
	}
	printf("%d records\n", count);
	return rc != -EPIPE;
}

int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return guest(channel);
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return puts(peal_last_error()), 1;
	for (int i = 0; i < 3; i++)
		peal_send(peal_tx(channel), &i, sizeof(i), 0,
			  PEAL_FOREVER);
	peal_channel_close(channel);
	peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return 0;
}
