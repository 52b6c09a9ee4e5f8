/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "3 answers from 3 guests". */
struct guest {
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_watch *data;
};

static int start(struct guest *g, struct peal_poller *poller,
		 char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 4096};

	return peal_channel_create(&g->channel, &options) == 0 &&
	       peal_spawn(&g->child, g->channel, argv, NULL) == 0 &&
	       peal_child_wait_ready(g->child, g->channel,
				     PEAL_FOREVER) == 0 &&
	       peal_poller_watch_data(poller, g->channel, 0, g,
				      &g->data) == 0 &&
	       !peal_poller_watch_child(poller, g->child, g, NULL);
}

static int take_all(struct guest *g)
{
	int n, rc, count = 0;

	while ((rc = (int)peal_recv(peal_rx(g->channel), &n,
				    sizeof(n), NULL, PEAL_TRY)) > 0)
		count++;
	/* Else the end, which is told until nobody listens. */
	if (rc != -EAGAIN) {
		peal_watch_remove(g->data);
		g->data = NULL;
	}
	return count;
}

static void end(struct guest *g, struct peal_watch *watch)
{
	peal_watch_remove(g->data);
	peal_watch_remove(watch);
	peal_channel_close(g->channel);
	peal_child_free(g->child);
}

int main(int argc, char **argv)
{
	struct guest guests[3], *g = guests;
	struct peal_poller *poller;
	struct peal_event event;
	int answers = 0, ended = 0;
	int attach =
		peal_attach_args(&g->channel, &argc, argv, NULL);

	if (attach == 0)
		return peal_send(peal_tx(g->channel), &argc,
				 sizeof(argc), 0, PEAL_FOREVER) < 0;
	if (attach != -ENOENT ||
	    peal_poller_create(&poller, NULL) < 0)
		return puts(peal_last_error()), 1;
	for (int i = 0; i < 3; i++)
		if (!start(&guests[i], poller, argv))
			return puts(peal_last_error()), 1;
	while (ended < 3 && peal_poller_wait(poller, &event, 1,
					     PEAL_FOREVER) == 1) {
		g = event.user;
		answers += take_all(g);
		if (event.kind == PEAL_EVENT_CHILD) {
			end(g, event.watch);
			ended++;
		}
	}
	printf("%d answers from %d guests\n", answers, ended);
	peal_poller_close(poller);
	return 0;
}
