/* SPDX-License-Identifier: MIT */
#include <peal/peal.h>
#include <stdio.h>

/* Prints "48 of 4096 bytes in use". Records wait for a guest that is
 * still to come: three headers and payloads of 8 bytes. */
int main(void)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	struct peal_side_stats own, peer;
	struct peal_channel *channel;

	if (peal_channel_create(&channel, &options) < 0)
		return puts(peal_last_error()), 1;
	for (uint64_t i = 0; i < 3; i++)
		peal_send(peal_tx(channel), &i, sizeof(i), 0,
			  PEAL_FOREVER);
	peal_channel_stats(channel, &own, &peer);
	printf("%llu of %llu bytes in use\n",
	       (unsigned long long)(own.tx.position -
				    peer.rx.position),
	       (unsigned long long)own.tx.capacity);
	peal_channel_close(channel);
	return 0;
}
