/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "5 bytes, then -EPIPE". One ring, to the guest. */
static int guest(struct peal_channel *channel)
{
	char text[16];
	int64_t n = peal_recv(peal_rx(channel), text, sizeof(text),
			      NULL, PEAL_FOREVER);
	int64_t end = peal_recv(peal_rx(channel), text,
				sizeof(text), NULL, PEAL_FOREVER);

	printf("%lld bytes, then %s\n", (long long)n,
	       end == -EPIPE ? "-EPIPE" : "?");
	peal_channel_close(channel);
	return 0;
}

int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 1 << 16,
		.name = "example",
	};
	struct peal_channel *channel;
	struct peal_child *child;
	int rc;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return guest(channel);
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return puts(peal_last_error()), 1;
	rc = peal_send(peal_tx(channel), "hello", 5, 0,
		       PEAL_FOREVER);
	peal_channel_close(channel); /* the guest still gets it */
	peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return rc < 0;
}
