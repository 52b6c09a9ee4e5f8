/* SPDX-License-Identifier: MIT */
/* docs/moving.md: the same with Peal. */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

#define WORKERS 2

static int worker(struct peal_channel *channel)
{
	int n;

	if (peal_recv(peal_rx(channel), &n, sizeof(n), NULL,
		      PEAL_FOREVER) != sizeof(n))
		return 1;
	n *= n;
	/* Is in the ring, and stays if we end. */
	return peal_send(peal_tx(channel), &n, sizeof(n), 0,
			 PEAL_FOREVER) < 0;
}

/* Answers from whoever has one. */
static int collect(struct peal_poller *poller)
{
	struct peal_event event;
	int n, sum = 0;

	for (int left = WORKERS; left > 0;) {
		/* A worker that has died is an event too. */
		if (peal_poller_wait(poller, &event, 1,
				     PEAL_FOREVER) < 0)
			return -1;
		if (peal_recv(peal_rx(event.user), &n, sizeof(n),
			      NULL, PEAL_TRY) == sizeof(n))
			sum += n;
		peal_watch_remove(event.watch);
		left--;
	}
	return sum;
}

static int host(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 4096,
		.to_host = 4096};
	struct peal_channel *channels[WORKERS];
	struct peal_child *children[WORKERS];
	struct peal_poller *poller;

	if (peal_poller_create(&poller, NULL) < 0)
		return 1;
	for (int i = 0, n = 2; i < WORKERS; i++, n++)
		if (peal_channel_create(&channels[i], &options) <
			    0 ||
		    peal_spawn(&children[i], channels[i], argv,
			       NULL) < 0 ||
		    peal_child_wait_ready(children[i],
					  channels[i],
					  PEAL_FOREVER) < 0 ||
		    peal_poller_watch_data(
			    poller, channels[i], PEAL_WATCH_ONCE,
			    channels[i], NULL) < 0 ||
		    peal_send(peal_tx(channels[i]), &n, sizeof(n),
			      0, PEAL_FOREVER) < 0)
			return 1;
	printf("%d\n", collect(poller));
	peal_poller_close(poller);
	for (int i = 0; i < WORKERS; i++) {
		peal_channel_close(channels[i]);
		peal_child_free(children[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0)
		return worker(channel);
	return rc == -ENOENT ? host(argv) : 1;
}
