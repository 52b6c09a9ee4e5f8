/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - a pipe in each direction.
 *
 * Of 1 MiB, filled by write() or, from 16 KiB at once, by vmsplice(), which saves one of the two
 * copies: three times as fast at 64 KiB, slower at 4 KiB.
 *
 * Tried: pipes of 64 KiB (the default) and 256 KiB - the same up to 256 B, slower above. Reads of
 * 256 KiB instead of 64 KiB: no difference.
 */
#define _GNU_SOURCE
#include "peers/stream.h"

/* The most that anybody may ask for. */
#define PIPE_BYTES 1048576

/* Pages are lent to the pipe from here on. */
#define LEND_FROM 16384

static int create(struct bench_run *run)
{
	struct stream_fds *fds = calloc(1, sizeof(*fds));
	int forth[2], back[2];

	if (!fds)
		return -ENOMEM;
	if (pipe2(forth, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		return -errno;
	/* Where less is allowed, the pipe stays as it is. */
	(void)fcntl(forth[1], F_SETPIPE_SZ, PIPE_BYTES);
	(void)fcntl(back[1], F_SETPIPE_SZ, PIPE_BYTES);
	*fds = (struct stream_fds){
		.first_in = back[0],
		.first_out = forth[1],
		.second_in = forth[0],
		.second_out = back[1],
		.lend_from = LEND_FROM,
	};
	run->state = fds;
	return 0;
}

extern const struct bench_adapter bench_adapter_pipe;
const struct bench_adapter bench_adapter_pipe = {
	.name = "pipe",
	.slug = "pipe",
	.how = "pipe of 1 MiB; one write per message or batch, vmsplice from 16 KiB; read of 64 KiB",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BLOCK | BENCH_CAN_BATCH,
	.create = create,
	.attach = stream_attach,
	.first = bench_first,
	.second = bench_second,
	.detach = stream_detach,
};
