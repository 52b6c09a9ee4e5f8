/* SPDX-License-Identifier: MIT */
/*
 * nng.c - nng, a pair of sockets over ipc.
 *
 * nng 1.5.2, pair0. Messages are allocated by nng_msg_alloc() and filled in place, and read where
 * they arrived (nng_sendmsg, nng_recvmsg). nng's own threads do the transfers and share the
 * processors that the process may use, so this adapter only blocks. It has no batches; its queues
 * let one side run ahead.
 *
 * The address is abstract, so nothing is left behind in a file system.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include "adapter.h"

struct tx {
	nng_socket socket;
	nng_msg *message;
};

struct rx {
	nng_socket socket;
	nng_msg *message;
};

struct ends {
	struct tx to;
	struct rx from;
};

/* In shared memory. */
struct shared {
	char address[64];
};

static inline void bench_die(const char *what);

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct ends *)run->state)->to;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct ends *)run->state)->from;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	if (nng_msg_alloc(&tx->message, size))
		bench_die("nng_msg_alloc");
	return nng_msg_body(tx->message);
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	if (nng_sendmsg(tx->socket, tx->message, 0))
		bench_die("nng_sendmsg");
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	if (nng_recvmsg(rx->socket, &rx->message, 0))
		bench_die("nng_recvmsg");
	*size = nng_msg_len(rx->message);
	return nng_msg_body(rx->message);
}

static inline void rx_end(struct rx *rx)
{
	nng_msg_free(rx->message);
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

static size_t shared_bytes(const struct bench_config *config)
{
	(void)config;
	return sizeof(struct shared);
}

static int create(struct bench_run *run)
{
	struct shared *shared = run->shared;

	snprintf(shared->address, sizeof(shared->address), "abstract://bench-nng-%d",
		 (int)getpid());
	return 0;
}

/* nng's threads do not survive a fork: all is made in the process that uses it. */
static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	uint64_t messages = config->capacity / config->payload;
	const struct shared *shared = run->shared;
	struct ends *ends = calloc(1, sizeof(*ends));
	nng_socket socket;
	int depth, r;

	if (!ends)
		return -ENOMEM;
	depth = messages < 4 ? 4 : messages > 8192 ? 8192 : (int)messages; /* 8192: nng's limit */
	r = nng_pair0_open(&socket);
	if (r == 0)
		r = nng_socket_set_int(socket, NNG_OPT_SENDBUF, depth);
	if (r == 0)
		r = nng_socket_set_int(socket, NNG_OPT_RECVBUF, depth);
	if (r == 0)
		r = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
	if (r == 0)
		r = role == BENCH_FIRST
			    ? nng_listen(socket, shared->address, NULL, 0)
			    : nng_dial(socket, shared->address, NULL, NNG_FLAG_NONBLOCK);
	if (r) {
		struct bench_side *side =
			role == BENCH_FIRST ? &run->control->first : &run->control->second;

		snprintf(side->error, sizeof(side->error), "nng: %s", nng_strerror(r));
		return -EIO;
	}
	ends->to.socket = ends->from.socket = socket;
	run->state = ends;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	nng_close(ends->to.socket);
	free(ends);
}

extern const struct bench_adapter bench_adapter_nng;
const struct bench_adapter bench_adapter_nng = {
	.name = "nng pair0, ipc",
	.slug = "nng",
	.how = "nng 1.5.2, pair0 over ipc, messages filled and read in place",
	.flags = BENCH_CAN_BLOCK,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
