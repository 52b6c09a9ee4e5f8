/* SPDX-License-Identifier: MIT */
/* docs/moving.md: the same with Peal. */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>

static int send_record(struct peal_producer *tx, const void *data,
		       size_t size)
{
	return peal_send(tx, data, size, 0, PEAL_FOREVER);
}

static int64_t receive(struct peal_consumer *rx, void *data,
		       size_t most)
{
	/* -EMSGSIZE: it stays; come with a larger buffer. */
	return peal_recv(rx, data, most, NULL, PEAL_FOREVER);
}

static int child(struct peal_channel *channel)
{
	char text[64];
	int64_t n;

	while ((n = receive(peal_rx(channel), text,
			    sizeof(text))) >= 0)
		printf("%.*s ", (int)n, text);
	puts("end");
	return n != -EPIPE;
}

static int parent(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 65536};
	const char *texts[] = {"one", "two", "three"};
	struct peal_channel *channel;
	struct peal_child *guest;
	int rc = 0;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&guest, channel, argv, NULL) < 0)
		return 1;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = send_record(peal_tx(channel), texts[i],
				 strlen(texts[i]));
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
		return child(channel);
	return rc == -ENOENT ? parent(argv) : 1;
}
