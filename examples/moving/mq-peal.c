/* SPDX-License-Identifier: MIT */
/* docs/moving.md: the same with Peal. */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>

enum { END = 0, TEXT = 1 };

static int make(struct peal_channel **channel)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};

	/* No name; it goes with the last process. */
	return peal_channel_create(channel, &options);
}

static int64_t receive(struct peal_consumer *rx, char *text,
		       size_t size, uint16_t *type)
{
	const uint64_t s = 1000000000;

	/* CLOCK_MONOTONIC. In the order of sending. */
	return peal_recv(rx, text, size, type,
			 peal_deadline_in_ns(10 * s));
}

static int child(struct peal_consumer *rx)
{
	uint16_t type = TEXT;
	char text[64];
	int64_t n;

	/* -EPIPE as soon as the parent has died. */
	while (type == TEXT) {
		n = receive(rx, text, sizeof(text), &type);
		if (n < 0)
			return 1;
		printf("%.*s ", (int)n, text);
	}
	puts("");
	return 0;
}

static int parent(char **argv)
{
	const char *texts[] = {"one", "two", "three"};
	struct peal_channel *channel;
	struct peal_child *guest;
	int rc = 0;

	if (make(&channel) < 0 ||
	    peal_spawn(&guest, channel, argv, NULL) < 0)
		return 1;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = peal_send(peal_tx(channel), texts[i],
			       strlen(texts[i]), TEXT,
			       PEAL_FOREVER);
	if (rc == 0)
		rc = peal_send(peal_tx(channel), "end", 3, END,
			       PEAL_FOREVER);
	peal_channel_close(channel);
	peal_child_wait(guest, PEAL_FOREVER, NULL);
	peal_child_free(guest);
	return rc < 0;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0)
		return child(peal_rx(channel));
	return rc == -ENOENT ? parent(argv) : 1;
}
