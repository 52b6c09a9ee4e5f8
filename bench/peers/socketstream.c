/* SPDX-License-Identifier: MIT */
/*
 * socketstream.c - a pair of Unix stream sockets.
 *
 * Beside socketpair.c because it is faster: about a fifth one by one, many times in batches, for a
 * stream keeps no boundaries that would have to be read one at a time. Send buffers of 1 MiB.
 *
 * Tried: send buffers as they are, and of 256 KiB - within the noise of these.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "peers/stream.h"

#define SOCK_BYTES 1048576

static int create(struct bench_run *run)
{
	struct stream_fds *fds = calloc(1, sizeof(*fds));
	const int bytes = SOCK_BYTES;
	int pair[2];

	if (!fds)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		/* Beyond the limit for all when allowed, else up to it. */
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
			(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	*fds = (struct stream_fds){
		.first_in = pair[0],
		.first_out = pair[0],
		.second_in = pair[1],
		.second_out = pair[1],
	};
	run->state = fds;
	return 0;
}

extern const struct bench_adapter bench_adapter_socketstream;
const struct bench_adapter bench_adapter_socketstream = {
	.name = "socketpair, SOCK_STREAM",
	.slug = "socketstream",
	.how = "AF_UNIX SOCK_STREAM; one write per message or batch, read takes all up to 64 KiB",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BLOCK | BENCH_CAN_BATCH,
	.create = create,
	.attach = stream_attach,
	.first = bench_first,
	.second = bench_second,
	.detach = stream_detach,
};
