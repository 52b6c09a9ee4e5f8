/* SPDX-License-Identifier: MIT */
/*
 * zmq.c - ZeroMQ, a PAIR of sockets over ipc.
 *
 * libzmq 4.3.4. Messages are allocated by zmq_msg_init_size() and filled in place, and read where
 * they arrived. One thread does the transfers in each process; it shares the processors that the
 * process may use, so spinning would only keep them from it, and this adapter only blocks. That
 * thread batches by itself what the sender has queued.
 *
 * The address is abstract (ipc://@), so nothing is left behind in a file system.
 *
 * Tried: a batch as one multipart message, ZeroMQ's way to hand over several frames together - half
 * as fast as frames one by one, so there are no batches here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "adapter.h"

struct tx {
	void *socket;
	zmq_msg_t message;
};

struct rx {
	void *socket;
	zmq_msg_t message;
};

struct ends {
	struct tx to;
	struct rx from;
	void *context;
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
	if (zmq_msg_init_size(&tx->message, size) < 0)
		bench_die("zmq_msg_init_size");
	return zmq_msg_data(&tx->message);
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	while (zmq_msg_send(&tx->message, tx->socket, 0) < 0) {
		if (errno != EINTR)
			bench_die("zmq_msg_send");
	}
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	while (zmq_msg_recv(&rx->message, rx->socket, 0) < 0) {
		if (errno != EINTR)
			bench_die("zmq_msg_recv");
	}
	*size = zmq_msg_size(&rx->message);
	return zmq_msg_data(&rx->message);
}

/* The next zmq_msg_recv() releases what it finds in the message. */
static inline void rx_end(struct rx *rx)
{
	(void)rx;
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

	snprintf(shared->address, sizeof(shared->address), "ipc://@bench-zmq-%d", (int)getpid());
	return 0;
}

/* ZeroMQ's threads do not survive a fork: all is made in the process that uses it. */
static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	uint64_t messages = config->capacity / config->payload;
	const struct shared *shared = run->shared;
	struct ends *ends = calloc(1, sizeof(*ends));
	int mark, r;

	if (!ends)
		return -ENOMEM;
	mark = messages < 4 ? 4 : messages > 1000000 ? 1000000 : (int)messages;
	ends->context = zmq_ctx_new();
	if (!ends->context)
		return -errno;
	ends->to.socket = ends->from.socket = zmq_socket(ends->context, ZMQ_PAIR);
	if (!ends->to.socket)
		return -errno;
	zmq_msg_init(&ends->from.message);
	zmq_setsockopt(ends->to.socket, ZMQ_SNDHWM, &mark, sizeof(mark));
	zmq_setsockopt(ends->to.socket, ZMQ_RCVHWM, &mark, sizeof(mark));
	r = role == BENCH_FIRST ? zmq_bind(ends->to.socket, shared->address)
				: zmq_connect(ends->to.socket, shared->address);
	if (r < 0)
		return -errno;
	run->state = ends;
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	zmq_msg_close(&ends->from.message);
	zmq_close(ends->to.socket);
	zmq_ctx_term(ends->context);
	free(ends);
}

extern const struct bench_adapter bench_adapter_zmq;
const struct bench_adapter bench_adapter_zmq = {
	.name = "ZeroMQ PAIR, ipc",
	.slug = "zmq",
	.how = "libzmq 4.3.4, PAIR over ipc, zmq_msg_t filled and read in place, one I/O thread each",
	.flags = BENCH_CAN_BLOCK,
	.shared_bytes = shared_bytes,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
