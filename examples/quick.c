/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* One program, both roles: it starts itself as its own plugin. */
int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	char text[64] = "";
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0) { /* the plugin */
		peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);
		return peal_send(peal_tx(channel), text, sizeof(text), 0, PEAL_FOREVER) < 0;
	}
	if (rc != -ENOENT || /* nobody's plugin, so the host */
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), 1;
	peal_send(peal_tx(channel), "hello, ring", 12, 0, PEAL_FOREVER);
	peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);
	printf("the plugin says: %s\n", text);
	peal_channel_close(channel);
	peal_child_free(child);
	return 0;
}
