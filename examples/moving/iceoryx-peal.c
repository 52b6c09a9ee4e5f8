/* SPDX-License-Identifier: MIT */
/* docs/moving.md: the same with Peal. */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>

/* The guest of this channel, and nobody else. */
static int put(struct peal_producer *tx, int color)
{
	void *pixels;
	int rc = peal_reserve_wait(tx, 1020, &pixels,
				   PEAL_FOREVER);

	if (rc < 0)
		return rc; /* -EPIPE: it is gone */
	memset(pixels, color, 1000);
	return peal_commit(tx, 1000, 0);
}

static int get(struct peal_consumer *rx)
{
	struct peal_record frame;
	const unsigned char *pixels;
	int sum = 0;
	int rc = peal_next_wait(rx, &frame, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	pixels = frame.data;
	for (uint32_t i = 0; i < frame.size; i++)
		sum += pixels[i];
	peal_release(rx);
	return sum;
}

static int host(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 65536};
	struct peal_channel *channel;
	struct peal_child *child;
	int sum;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return 1;
	sum = get(peal_rx(channel));
	if (sum >= 0)
		printf("%d\n", sum);
	peal_channel_close(channel);
	peal_child_free(child);
	return sum < 0;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0)
		return put(peal_tx(channel), 7) < 0;
	return rc == -ENOENT ? host(argv) : 1;
}
