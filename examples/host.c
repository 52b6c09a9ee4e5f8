/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Five plugins at once. This program is its own plugin; one of the five fails. */
struct plugin {
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_watch *data;
};

static int start(struct plugin *p, struct peal_poller *poller, char **argv, int n)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};

	return peal_channel_create(&p->channel, &options) == 0 &&
	       peal_spawn(&p->child, p->channel, argv, NULL) == 0 &&
	       peal_child_wait_ready(p->child, p->channel, PEAL_FOREVER) == 0 &&
	       peal_poller_watch_data(poller, p->channel, 0, p, &p->data) == 0 &&
	       peal_poller_watch_child(poller, p->child, p, NULL) == 0 &&
	       peal_send(peal_tx(p->channel), &n, sizeof(n), 0, PEAL_FOREVER) == 0;
}

int main(int argc, char **argv)
{
	struct plugin plugins[5], *p = plugins;
	struct peal_poller *poller;
	struct peal_event event;
	char text[256];
	int n, rc, left = 5;

	rc = peal_attach_args(&p->channel, &argc, argv, NULL);
	if (rc == 0) /* the plugin */
		return peal_recv(peal_rx(p->channel), &n, sizeof(n), NULL, PEAL_FOREVER) < 0 ||
		       n == 4 || peal_send(peal_tx(p->channel), &n, sizeof(n), 0, PEAL_FOREVER) < 0;
	if (rc == -ENOENT) /* nobody's plugin, so the host */
		rc = peal_poller_create(&poller, NULL);
	for (n = 0; n < 5; n++)
		if (rc < 0 || !start(&plugins[n], poller, argv, n))
			return fprintf(stderr, "%s\n", peal_last_error()), 1;
	while (left > 0 && peal_poller_wait(poller, &event, 1, PEAL_FOREVER) == 1) {
		p = event.user;
		while ((rc = peal_recv(peal_rx(p->channel), &n, sizeof(n), NULL, PEAL_TRY)) > 0)
			printf("answer %d\n", n);
		if (rc != -EAGAIN) /* the end, which is told until nobody listens */
			p->data = (peal_watch_remove(p->data), NULL);
		if (event.kind != PEAL_EVENT_CHILD)
			continue;
		printf("%s\n", peal_child_describe(p->child, text, sizeof(text)));
		peal_watch_remove(p->data);
		peal_watch_remove(event.watch);
		peal_channel_close(p->channel);
		peal_child_free(p->child);
		left--;
	}
	peal_poller_close(poller);
	return left;
}
