/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* A guest for `peal run ./upper`: each record comes back in upper case. */
static int answer(struct peal_channel *channel)
{
	static unsigned char text[1 << 20];
	int64_t size = peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);

	for (int64_t i = 0; i < size; i++)
		text[i] = (unsigned char)toupper(text[i]);
	if (size < 0)
		return (int)size;
	return peal_send(peal_tx(channel), text, (size_t)size, 0, PEAL_FOREVER);
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	while (rc == 0)
		rc = answer(channel);
	if (rc == -EPIPE) /* the end of the input */
		return 0;
	return fprintf(stderr, "upper: %s\n", peal_last_error()), 1;
}
