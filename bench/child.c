/* SPDX-License-Identifier: MIT */
/*
 * child.c - the process that the spawn bench starts: sends eight bytes and ends.
 *
 * usage: peal-bench-child               the guest of a channel
 *        peal-bench-child PIPE          a descriptor to write them to
 *        peal-bench-child HOST GUEST TO_GUEST TO_HOST PIDFD
 *                                       two segments and doorbells, for the kernel calls alone
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/peal.h>

#include "bare.h"

static int bare(char **argv, uint8_t word)
{
	int guest = atoi(argv[2]), bell = atoi(argv[4]);
	unsigned char *host_map = bare_map(atoi(argv[1]), PROT_READ);
	unsigned char *own = bare_map(guest, PROT_READ | PROT_WRITE), *ring = own + BARE_HEADER;

	if (!host_map || !own || bare_seal_written(guest) < 0 || bare_membarrier() < 0)
		return 1;
	own[64] = host_map[64];
	ring[8] = word;
	__atomic_store_n(&ring[0], 1, __ATOMIC_RELEASE);
	return send(bell, "", 1, MSG_NOSIGNAL) != 1;
}

int main(int argc, char **argv)
{
	const uint64_t word = 42;
	struct peal_channel *channel;

	if (peal_attach_args(&channel, &argc, argv, NULL) == 0)
		return peal_send(peal_tx(channel), &word, sizeof(word), 0, PEAL_FOREVER) < 0;
	if (argc == 6)
		return bare(argv, (uint8_t)word);
	return argc != 2 || write(atoi(argv[1]), &word, sizeof(word)) != sizeof(word);
}
