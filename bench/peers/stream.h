/* SPDX-License-Identifier: MIT */
/*
 * stream.h - messages of one size through a stream of bytes: pipe.c and socketpair.c.
 *
 * One write() per message, or per batch; read() takes whatever is there, up to a buffer, for a
 * stream has no boundaries and its users read that way. Descriptors are non-blocking when spinning.
 * Large messages can be lent to a pipe (vmsplice) instead of copied into it.
 */
#ifndef PEAL_BENCH_STREAM_H
#define PEAL_BENCH_STREAM_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "adapter.h"
#include "peers/pause.h"

/* What a read asks for at least, and what a batch is split into: larger ones gained nothing. */
#define STREAM_BUFFER 65536

/* Both ends of both directions, made before there is a second process. */
struct stream_fds {
	int first_in, first_out;
	int second_in, second_out;
	size_t lend_from; /* lend pages to the pipe from this many bytes; 0: never, no pipe */
};

struct tx {
	unsigned char *bytes;
	size_t used, room;
	int fd;
	bool batched;
	size_t lent;  /* bytes that a pipe holds of pages lent to it; 0: write() copies */
	size_t begin; /* of what is not yet handed over, when lending */
};

struct rx {
	unsigned char *bytes;
	size_t begin, end, room;
	size_t payload;
	int fd;
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
	(void)size;
	return tx->bytes + tx->begin + tx->used;
}

/* The pipe takes references to our pages, and the reader copies from them. They are free again when
 * as many bytes as the pipe holds went in after them: hence a buffer larger by that much. */
static inline void stream_lend(struct tx *tx)
{
	struct iovec part = {tx->bytes + tx->begin, tx->used};

	while (part.iov_len) {
		ssize_t r = vmsplice(tx->fd, &part, 1, 0);

		if (r > 0) {
			part.iov_base = (unsigned char *)part.iov_base + r;
			part.iov_len -= (size_t)r;
		} else if (errno == EAGAIN) {
			bench_pause();
		} else if (errno != EINTR) {
			bench_die("vmsplice");
		}
	}
	tx->begin += tx->used;
	if (tx->begin >= tx->lent + tx->room)
		tx->begin = 0;
	tx->used = 0;
}

static inline void tx_flush(struct tx *tx)
{
	size_t done = 0;

	if (tx->lent) {
		stream_lend(tx);
		return;
	}

	while (done < tx->used) {
		ssize_t r = write(tx->fd, tx->bytes + done, tx->used - done);

		if (r > 0)
			done += (size_t)r;
		else if (errno == EAGAIN)
			bench_pause();
		else if (errno != EINTR)
			bench_die("write");
	}
	tx->used = 0;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	tx->used += size;
	if (!tx->batched || tx->used + size > tx->room)
		tx_flush(tx);
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	while (rx->end - rx->begin < rx->payload) {
		ssize_t r;

		/* What is left is less than a message. */
		if (rx->begin + rx->payload > rx->room || rx->begin == rx->end) {
			memmove(rx->bytes, rx->bytes + rx->begin, rx->end - rx->begin);
			rx->end -= rx->begin;
			rx->begin = 0;
		}
		r = read(rx->fd, rx->bytes + rx->end, rx->room - rx->end);
		if (r > 0)
			rx->end += (size_t)r;
		else if (r == 0)
			bench_die("read: the other process is gone");
		else if (errno == EAGAIN)
			bench_pause();
		else if (errno != EINTR)
			bench_die("read");
	}
	return rx->bytes + rx->begin;
}

static inline void rx_end(struct rx *rx)
{
	rx->begin += rx->payload;
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

/* Bytes handed over together; 0 if they are not whole pages. */
static inline size_t stream_handed(const struct bench_config *config)
{
	size_t bytes = config->payload;

	if (config->payload % 4096)
		return 0;
	if (config->kind == BENCH_BATCH && config->batch)
		bytes *= config->batch;
	return bytes;
}

static inline void *stream_bytes(size_t bytes)
{
	void *block = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);

	/* Present before the clock runs. */
	if (block)
		memset(block, 0, bytes);
	return block;
}

static inline int stream_attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	struct stream_fds *fds = run->state;
	const bool first = role == BENCH_FIRST;
	struct ends *ends = calloc(1, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	ends->to.fd = first ? fds->first_out : fds->second_out;
	ends->from.fd = first ? fds->first_in : fds->second_in;
	close(first ? fds->second_in : fds->first_in);
	if (fds->first_in != fds->first_out)
		close(first ? fds->second_out : fds->first_out);
	if (config->wait == BENCH_SPIN) {
		fcntl(ends->to.fd, F_SETFL, O_NONBLOCK);
		fcntl(ends->from.fd, F_SETFL, O_NONBLOCK);
	}
	ends->to.batched = config->kind == BENCH_BATCH;
	ends->to.room = config->payload > STREAM_BUFFER ? config->payload : STREAM_BUFFER;
	if (fds->lend_from && stream_handed(config) >= fds->lend_from)
		ends->to.lent = (size_t)fcntl(ends->to.fd, F_GETPIPE_SZ);
	ends->to.bytes = stream_bytes(2 * ends->to.room + ends->to.lent);
	ends->from.payload = config->payload;
	/* A multiple of the payload, so that whole messages are seldom moved. */
	ends->from.room = ends->to.room / config->payload * config->payload;
	ends->from.bytes = stream_bytes(ends->from.room);
	free(fds);
	run->state = ends;
	return ends->to.bytes && ends->from.bytes ? 0 : -ENOMEM;
}

static inline void stream_detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	close(ends->to.fd);
	if (ends->from.fd != ends->to.fd)
		close(ends->from.fd);
	free(ends->to.bytes);
	free(ends->from.bytes);
	free(ends);
}

#endif
