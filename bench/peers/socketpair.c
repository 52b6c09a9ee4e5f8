/* SPDX-License-Identifier: MIT */
/*
 * socketpair.c - a pair of Unix sockets that keep the boundaries of messages (SOCK_SEQPACKET).
 *
 * The usual choice for messages: none has to be put together again. One by one with send() and
 * recv(), batches with sendmmsg() and recvmmsg(). Send buffers of 1 MiB beside the message.
 * socketstream.c is the faster pair without boundaries.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "adapter.h"
#include "peers/pause.h"

/* Messages that one sendmmsg() or recvmmsg() takes at most. */
#define MOST 256

struct tx {
	unsigned char *bytes;
	size_t payload;
	unsigned int count, most;
	int fd, flags;
	struct mmsghdr *messages;
};

struct rx {
	unsigned char *bytes;
	size_t payload;
	unsigned int next, count, most;
	int fd, flags;
	struct mmsghdr *messages;
};

struct ends {
	struct tx to;
	struct rx from;
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
	return tx->bytes + tx->count * size;
}

static inline void again(const char *what)
{
	if (errno == EAGAIN)
		bench_pause();
	else if (errno != EINTR)
		bench_die(what);
}

static inline void tx_flush(struct tx *tx)
{
	unsigned int done = 0;

	while (done < tx->count) {
		int r = sendmmsg(tx->fd, tx->messages + done, tx->count - done, tx->flags);

		if (r < 0)
			again("sendmmsg");
		else
			done += (unsigned int)r;
	}
	tx->count = 0;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	if (tx->most > 1) {
		if (++tx->count == tx->most)
			tx_flush(tx);
	} else {
		while (send(tx->fd, tx->bytes, size, tx->flags) < 0)
			again("send");
	}
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	if (rx->most == 1) {
		ssize_t r;

		while ((r = recv(rx->fd, rx->bytes, rx->payload, rx->flags)) <= 0) {
			if (r == 0)
				bench_die("recv: the other process is gone");
			again("recv");
		}
		*size = (size_t)r;
		return rx->bytes;
	}
	while (rx->next == rx->count) {
		int r = recvmmsg(rx->fd, rx->messages, rx->most, rx->flags | MSG_WAITFORONE, NULL);

		rx->next = rx->count = 0;
		if (r < 0)
			again("recvmmsg");
		else
			rx->count = (unsigned int)r;
	}
	*size = rx->messages[rx->next].msg_len;
	if (*size == 0)
		bench_die("recvmmsg: the other process is gone");
	return rx->bytes + rx->next * rx->payload;
}

static inline void rx_end(struct rx *rx)
{
	rx->next++;
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

struct pair {
	int fd[2];
};

static int create(struct bench_run *run)
{
	const int bytes = (int)(run->control->config.payload + 1048576);
	struct pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair->fd) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int real = 0;
		socklen_t size = sizeof(real);

		/* Beyond the limit for all when allowed, else up to it. */
		if (setsockopt(pair->fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
			setsockopt(pair->fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		getsockopt(pair->fd[i], SOL_SOCKET, SO_SNDBUF, &real, &size);
		/* The kernel's own part of a message is less than a page. */
		if ((uint64_t)real < run->control->config.payload + 4096) {
			snprintf(run->control->first.error, sizeof(run->control->first.error),
				 "net.core.wmem_max is too small for this payload");
			return -EMSGSIZE;
		}
	}
	run->state = pair;
	return 0;
}

/* One block of @most messages, with headers that point to them. */
static int messages_new(size_t payload, unsigned int most, unsigned char **bytes,
			struct mmsghdr **messages)
{
	struct iovec *parts = calloc(most, sizeof(*parts));

	*messages = calloc(most, sizeof(**messages));
	*bytes = aligned_alloc(4096, (most * payload + 4095) & ~(size_t)4095);
	if (!parts || !*messages || !*bytes)
		return -ENOMEM;
	for (unsigned int i = 0; i < most; i++) {
		parts[i] = (struct iovec){*bytes + i * payload, payload};
		(*messages)[i].msg_hdr.msg_iov = &parts[i];
		(*messages)[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

static void messages_free(unsigned char *bytes, struct mmsghdr *messages)
{
	free(messages[0].msg_hdr.msg_iov);
	free(messages);
	free(bytes);
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct ends *ends = calloc(1, sizeof(*ends));
	struct pair *pair = run->state;
	const int fd = pair->fd[role == BENCH_FIRST ? 0 : 1];
	unsigned int most = 1;
	int r;

	if (!ends)
		return -ENOMEM;
	close(pair->fd[role == BENCH_FIRST ? 1 : 0]);
	free(pair);
	if (config->kind == BENCH_BATCH && config->batch)
		most = config->batch < MOST ? config->batch : MOST;
	while (most > 1 && most * config->payload > 1048576)
		most /= 2;
	ends->to.fd = ends->from.fd = fd;
	ends->to.flags = config->wait == BENCH_SPIN ? MSG_DONTWAIT : 0;
	ends->to.payload = ends->from.payload = config->payload;
	ends->to.most = ends->from.most = most;
	ends->from.flags = ends->to.flags;
	r = messages_new(config->payload, most, &ends->to.bytes, &ends->to.messages);
	if (r == 0)
		r = messages_new(config->payload, most, &ends->from.bytes, &ends->from.messages);
	run->state = ends;
	return r;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	close(ends->to.fd);
	messages_free(ends->to.bytes, ends->to.messages);
	messages_free(ends->from.bytes, ends->from.messages);
	free(ends);
}

extern const struct bench_adapter bench_adapter_socketpair;
const struct bench_adapter bench_adapter_socketpair = {
	.name = "socketpair, SOCK_SEQPACKET",
	.slug = "socketpair",
	.how = "AF_UNIX SOCK_SEQPACKET, send and recv; batches with sendmmsg and recvmmsg",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BLOCK | BENCH_CAN_BATCH,
	.payload_max = 8388608,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
