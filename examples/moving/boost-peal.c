/* SPDX-License-Identifier: MIT */
/* docs/moving.md: the same with Peal. */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

struct tick {
	int id;
	double price;
};

/* Each can write to its own part alone. */
static int make(struct peal_channel **channel)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 65536};

	return peal_channel_create(channel, &options);
}

static int put(struct peal_producer *tx, const struct tick *what)
{
	/* Sleeps for room; -EPIPE if it died. */
	return peal_send(tx, what, sizeof(*what), 0,
			 PEAL_FOREVER);
}

static int get(struct peal_consumer *rx, struct tick *what)
{
	/* Sleeps; -EPIPE if it died. */
	int64_t n = peal_recv(rx, what, sizeof(*what), NULL,
			      PEAL_FOREVER);

	return n == sizeof(*what) ? 0 : -1;
}

static int guest(struct peal_channel *channel)
{
	int rc = 0;

	for (int i = 1; i <= 100 && rc == 0; i++) {
		struct tick t = {i, i * 0.5};

		rc = put(peal_tx(channel), &t);
	}
	return rc < 0;
}

static int host(char **argv)
{
	struct peal_channel *channel;
	struct peal_child *child;
	struct tick t = {0};
	double sum = 0;
	int rc = 0;

	if (make(&channel) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return 1;
	for (int i = 0; i < 100 && rc == 0; i++) {
		rc = get(peal_rx(channel), &t);
		sum += t.price;
	}
	printf("%.1f\n", sum);
	peal_channel_close(channel);
	peal_child_free(child);
	return rc < 0;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0)
		return guest(channel);
	return rc == -ENOENT ? host(argv) : 1;
}
