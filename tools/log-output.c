/* SPDX-License-Identifier: MIT */
/*
 * log-output.c - writing blocks, several under way at once, by io_uring or by pwrite(2).
 *
 *	fill slot 2 ─▶ asked: write slot 2 at 7340032        slots 0, 1 are being written meanwhile
 *
 * Each write begins when the one before has ended (IOSQE_IO_DRAIN): whenever this process is killed,
 * what is in the file is a prefix of what was asked for. It costs nothing, as the kernel lets one
 * write at a time into a file anyway.
 *
 * What io_uring left undone, a short write or an error, is tried once more by pwrite(2), whose answer
 * counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

#include <peal/base.h>

#include "log.h"

struct slot {
	struct log_buffer buffer; /* first, so that it is found by its buffer */
	uint64_t offset;
	size_t size;
	bool under_way;
};

struct log_output {
	struct io_uring ring;
	bool has_uring;
	int fd;
	int error; /* of the first write that failed */
	uint64_t offset;
	uint64_t failed_at; /* where that was */
	unsigned int under_way;
	struct slot slots[LOG_SLOTS];
};

bool log_buffer_reserve(struct log_buffer *buffer, size_t size)
{
	uint8_t *data;

	if (size <= buffer->capacity)
		return true;
	data = realloc(buffer->data, size);
	if (!data)
		return false;
	*buffer = (struct log_buffer){.data = data, .capacity = size};
	return true;
}

/* Does the kernel do what is asked there? A filter may allow to make one and nothing else. */
static bool works(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(sqe);
	if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_peek_cqe(ring, &cqe) < 0)
		return false;
	io_uring_cqe_seen(ring, cqe);
	return true;
}

struct log_output *log_output_new(void)
{
	struct log_output *output = calloc(1, sizeof(*output));

	if (!output)
		return NULL;
	output->fd = -1;
	output->has_uring = io_uring_queue_init(2 * LOG_SLOTS, &output->ring, 0) == 0;
	if (output->has_uring && !works(&output->ring)) {
		io_uring_queue_exit(&output->ring);
		output->has_uring = false;
	}
	return output;
}

struct log_output *log_output_free(struct log_output *output)
{
	if (!output)
		return NULL;
	if (output->has_uring)
		io_uring_queue_exit(&output->ring);
	for (size_t i = 0; i < LOG_SLOTS; i++)
		free(output->slots[i].buffer.data);
	free(output);
	return NULL;
}

bool log_output_has_uring(const struct log_output *output)
{
	return output->has_uring;
}

void log_output_set(struct log_output *output, int fd, uint64_t offset)
{
	output->fd = fd;
	output->offset = offset;
	output->error = 0;
}

uint64_t log_output_end(const struct log_output *output)
{
	return output->error ? output->failed_at : output->offset;
}

/* All that is left of a slot from @done on. 0 or a negative errno. */
static int write_rest(const struct log_output *output, const struct slot *slot, size_t done)
{
	while (done < slot->size) {
		ssize_t n = pwrite(output->fd, slot->buffer.data + done, slot->size - done,
				   (off_t)(slot->offset + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A slot was written up to @done. What is behind a block that failed does not count. */
static void written(struct log_output *output, struct slot *slot, size_t done)
{
	int rc = write_rest(output, slot, done);

	if (rc < 0 && (!output->error || slot->offset < output->failed_at)) {
		output->error = rc;
		output->failed_at = slot->offset;
	}
}

static void take_completion(struct log_output *output, struct io_uring_cqe *cqe)
{
	struct slot *slot = io_uring_cqe_get_data(cqe);
	int result = cqe->res;

	io_uring_cqe_seen(&output->ring, cqe);
	slot->under_way = false;
	output->under_way--;
	written(output, slot, result > 0 ? (size_t)result : 0);
}

/* Wait for one write. 0 or a negative errno: the kernel does not tell any more. */
static int wait_for_one(struct log_output *output)
{
	struct io_uring_cqe *cqe;
	int rc;

	do {
		rc = io_uring_wait_cqe(&output->ring, &cqe);
	} while (rc == -EINTR || rc == -EAGAIN);
	if (rc < 0)
		return rc;
	take_completion(output, cqe);
	return 0;
}

static struct slot *free_slot(struct log_output *output)
{
	for (size_t i = 0; i < LOG_SLOTS; i++)
		if (!output->slots[i].under_way)
			return &output->slots[i];
	return NULL;
}

struct log_buffer *log_output_buffer(struct log_output *output, int *error)
{
	struct slot *slot;
	int rc = 0;

	while (!(slot = free_slot(output)) && rc == 0)
		rc = wait_for_one(output);
	if (rc == 0)
		rc = output->error;
	*error = rc;
	return rc < 0 ? NULL : &slot->buffer;
}

/* 0 or a negative errno. */
static int ask(struct log_output *output, struct slot *slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&output->ring);
	int rc;

	io_uring_prep_write(sqe, output->fd, slot->buffer.data, (unsigned int)slot->size,
			    slot->offset);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_DRAIN);
	io_uring_sqe_set_data(sqe, slot);
	do {
		rc = io_uring_submit(&output->ring);
	} while (rc == -EINTR || rc == -EAGAIN);
	if (rc < 0)
		return rc;
	slot->under_way = true;
	output->under_way++;
	return 0;
}

int log_output_write(struct log_output *output, struct log_buffer *buffer, size_t size)
{
	struct slot *slot = (struct slot *)(void *)buffer;
	int rc = 0;

	if (output->error)
		return output->error;
	slot->offset = output->offset;
	slot->size = size;
	output->offset += size;
	if (output->has_uring)
		rc = ask(output, slot);
	else
		written(output, slot, 0);
	return rc < 0 ? rc : output->error;
}

int log_output_finish(struct log_output *output)
{
	int rc = 0;

	while (output->under_way > 0 && rc == 0)
		rc = wait_for_one(output);
	return rc < 0 ? rc : output->error;
}
