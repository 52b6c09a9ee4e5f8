/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Prints "the guest says 42". A poller sleeps in another loop. */
static int take(struct peal_poller *poller, int *number)
{
	struct peal_event event;
	int rc;

	while ((rc = peal_poller_arm(poller)) == 1) {
		rc = peal_poller_wait(poller, &event, 1, PEAL_TRY);
		if (rc < 1)
			continue;
		rc = (int)peal_recv(peal_rx(event.user), number,
				    sizeof(*number), NULL,
				    PEAL_TRY);
		if (rc != -EAGAIN) /* a number, or the end */
			return rc;
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 4096};
	struct epoll_event event = {.events = EPOLLIN};
	struct peal_channel *channel;
	struct peal_poller *poller;
	struct peal_child *child;
	int loop = epoll_create1(EPOLL_CLOEXEC), number = 42;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return peal_send(peal_tx(channel), &number,
				 sizeof(number), 0,
				 PEAL_FOREVER) < 0;
	if (attach != -ENOENT ||
	    peal_poller_create(&poller, NULL) < 0 ||
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0 ||
	    peal_child_wait_ready(child, channel, PEAL_FOREVER) ||
	    peal_poller_watch_data(poller, channel, 0, channel,
				   NULL) < 0)
		return puts(peal_last_error()), 1;
	epoll_ctl(loop, EPOLL_CTL_ADD, peal_poller_fd(poller),
		  &event);
	number = 0;
	while (take(poller, &number) == 0)
		epoll_wait(loop, &event, 1, -1);
	printf("the guest says %d\n", number);
	peal_poller_close(poller);
	peal_channel_close(channel);
	peal_child_free(child);
	close(loop);
	return 0;
}
