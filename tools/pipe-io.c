/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipe.h"

#define NS_PER_S 1000000000

int io_open(struct io *io, unsigned int max)
{
	/* Waiting with a time-out, pipes without a thread for each: Linux 5.11. */
	const unsigned int needed = IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL;
	struct io_uring_params params = {0};

	*io = (struct io){.max = max};
	/* Twice: each may be cancelled. */
	io->is_uring = io_uring_queue_init_params(2 * max, &io->ring, &params) == 0;
	if (io->is_uring && (params.features & needed) != needed) {
		io_uring_queue_exit(&io->ring);
		io->is_uring = false;
	}
	if (io->is_uring)
		return 0;
	io->pending = calloc(max, sizeof(struct io_op *));
	io->fds = calloc(max, sizeof(*io->fds));
	return io->pending && io->fds ? 0 : -ENOMEM;
}

void io_close(struct io *io)
{
	if (io->is_uring)
		io_uring_queue_exit(&io->ring);
	free(io->pending);
	free(io->fds);
	*io = (struct io){0};
}

void io_adopt(const struct io *io, int fd)
{
	/* io_uring waits for a blocking descriptor by itself, and for no other. */
	if (!io->is_uring)
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

static struct io_uring_sqe *next_sqe(struct io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);

	while (!sqe) {
		io_uring_submit(&io->ring);
		sqe = io_uring_get_sqe(&io->ring);
	}
	return sqe;
}

static void uring_start(struct io *io, struct io_op *op)
{
	const uint64_t here = UINT64_MAX; /* the file's own position */
	struct io_uring_sqe *sqe = next_sqe(io);

	if (op->kind == IO_GONE || op->kind == IO_READABLE)
		io_uring_prep_poll_add(sqe, op->fd, op->kind == IO_GONE ? 0 : POLLIN);
	else if (op->waits_first)
		io_uring_prep_poll_add(sqe, op->fd, op->kind == IO_READ ? POLLIN : POLLOUT);
	else if (op->kind == IO_READ)
		io_uring_prep_readv(sqe, op->fd, op->parts, op->part_count, here);
	else
		io_uring_prep_writev(sqe, op->fd, op->parts, op->part_count, here);
	io_uring_sqe_set_data(sqe, op);
}

void io_start(struct io *io, struct io_op *op)
{
	op->is_pending = true;
	op->is_cancelled = false;
	op->waits_first = false;
	op->revents = 0;
	if (io->is_uring)
		uring_start(io, op);
	else
		io->pending[io->count++] = op;
}

void io_cancel(struct io *io, struct io_op *op)
{
	struct io_uring_sqe *sqe;

	if (!op->is_pending || op->is_cancelled)
		return;
	op->is_cancelled = true;
	if (!io->is_uring)
		return;
	sqe = next_sqe(io);
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void finish(struct io_op *op, int result)
{
	op->is_pending = false;
	op->result = result;
	op->done(op);
}

static struct timespec time_until(uint64_t deadline_ns)
{
	uint64_t now = peal_now_ns(), left = deadline_ns > now ? deadline_ns - now : 0;

	return (struct timespec){(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
}

/* --- io_uring -------------------------------------------------------------------------------- */

static void uring_done(struct io *io, struct io_op *op, int result)
{
	bool waited = op->waits_first;

	if (op->is_cancelled || (result < 0 && result != -EAGAIN && result != -EINTR)) {
		finish(op, op->is_cancelled ? -ECANCELED : result);
	} else if (result < 0 || waited) {
		op->waits_first = !waited && result == -EAGAIN;
		uring_start(io, op);
	} else {
		finish(op, result);
	}
}

static int uring_wait(struct io *io, uint64_t deadline_ns)
{
	struct timespec left = time_until(deadline_ns);
	struct __kernel_timespec timeout = {.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
	struct io_uring_cqe *cqe;
	struct io_op *op;
	int rc, result;

	rc = io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1,
					      deadline_ns == PEAL_FOREVER ? NULL : &timeout, NULL);
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
		op = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&io->ring, cqe);
		if (op)
			uring_done(io, op, result);
	}
	return 0;
}

/* --- poll(2) --------------------------------------------------------------------------------- */

/* Standard streams are shared with others and stay blocking. A pipe that poll(2) calls writable
 * takes so much at once. */
static ssize_t write_some(const struct io_op *op)
{
	size_t first = op->parts[0].iov_len;

	if (op->fd > STDERR_FILENO)
		return writev(op->fd, op->parts, (int)op->part_count);
	return write(op->fd, op->parts[0].iov_base, first < PIPE_BUF ? first : PIPE_BUF);
}

/* Return: false if it must go on waiting. */
static bool try(struct io_op *op, int *result)
{
	ssize_t rc = op->revents;

	if (op->is_cancelled) {
		*result = -ECANCELED;
		return true;
	}
	if (op->revents == 0)
		return false;
	if (op->kind == IO_READ)
		rc = readv(op->fd, op->parts, (int)op->part_count);
	else if (op->kind == IO_WRITE)
		rc = write_some(op);
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	*result = rc < 0 ? -errno : (int)rc;
	return true;
}

static int sleep_in_poll(struct io *io, uint64_t deadline_ns)
{
	struct timespec timeout;

	for (unsigned int i = 0; i < io->count; i++) {
		const struct io_op *op = io->pending[i];

		io->fds[i] = (struct pollfd){.fd = op->fd};
		if (op->kind != IO_GONE)
			io->fds[i].events = op->kind == IO_WRITE ? POLLOUT : POLLIN;
		if (op->is_cancelled)
			deadline_ns = PEAL_TRY;
	}
	timeout = time_until(deadline_ns);
	if (ppoll(io->fds, io->count, deadline_ns == PEAL_FOREVER ? NULL : &timeout, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < io->count; i++)
		io->pending[i]->revents = io->fds[i].revents;
	return 0;
}

static int poll_wait(struct io *io, uint64_t deadline_ns)
{
	int result, rc = sleep_in_poll(io, deadline_ns);

	/* What done() starts has no revents yet. */
	for (unsigned int i = 0; rc == 0 && i < io->count;) {
		struct io_op *op = io->pending[i];

		if (!try(op, &result)) {
			op->revents = 0;
			i++;
			continue;
		}
		io->pending[i] = io->pending[--io->count];
		finish(op, result);
	}
	return rc;
}

int io_wait(struct io *io, uint64_t deadline_ns)
{
	return io->is_uring ? uring_wait(io, deadline_ns) : poll_wait(io, deadline_ns);
}
