/* SPDX-License-Identifier: MIT */
/*
 * child.c - the process that the spawn bench starts: sends eight bytes and ends.
 *
 * usage: peal-bench-child [PIPE]    with the number of a descriptor to write them to; otherwise it
 *                                   is the guest of a channel
 */
#include <stdlib.h>
#include <unistd.h>

#include <peal/peal.h>

int main(int argc, char **argv)
{
	const uint64_t word = 42;
	struct peal_channel *channel;

	if (peal_attach_args(&channel, &argc, argv, NULL) == 0)
		return peal_send(peal_tx(channel), &word, sizeof(word), 0, PEAL_FOREVER) < 0;
	return argc != 2 || write(atoi(argv[1]), &word, sizeof(word)) != sizeof(word);
}
