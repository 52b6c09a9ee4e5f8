/* SPDX-License-Identifier: MIT */
/*
 * log-file.c - the file that is being written: made, gone on with, finished, rotated.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "log-writer.h"

/* For so long another recorder may hold the file, in its death. */
#define LOCK_NS       UINT64_C(5000000000)
#define LOCK_PAUSE_NS 10000000

int log_failed(struct log_writer *writer, int error)
{
	writer->failed = true;
	complain("%s: %s", writer->path, strerror(-error));
	return STATUS_FAILED;
}

static int write_file_header(struct log_writer *writer)
{
	uint8_t header[LOG_FILE_HEADER];
	ssize_t n;

	if (getrandom(&writer->id, sizeof(writer->id), 0) != sizeof(writer->id))
		return log_failed(writer, -errno);
	log_put_file_header(header, writer->id);
	n = pwrite(writer->fd, header, sizeof(header), 0);
	if (n != sizeof(header))
		return log_failed(writer, n < 0 ? -errno : -ENOSPC);
	writer->file_size = sizeof(header);
	writer->totals.stored += sizeof(header);
	writer->block.sequence = 0;
	return 0;
}

static int open_flags(const struct log_writer *writer)
{
	return O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
	       (writer->options.sync ? O_DSYNC : 0);
}

/*
 * Two recorders would write over each other. One that was killed holds its lock until its last write has
 * ended, which the kernel does not wait for before it reports its death.
 */
static int lock(struct log_writer *writer)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	uint64_t end_ns = peal_deadline_in_ns(LOCK_NS);

	while (flock(writer->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return log_failed(writer, -errno);
		if (peal_now_ns() >= end_ns) {
			complain("%s: another process records to it", writer->path);
			return STATUS_FAILED;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

int log_make_file(struct log_writer *writer)
{
	int status;

	writer->fd = open(writer->path, open_flags(writer) | O_EXCL, 0666);
	if (writer->fd < 0 && errno == EEXIST) {
		complain("%s is there already; --append goes on behind its last record",
			 writer->path);
		return STATUS_FAILED;
	}
	if (writer->fd < 0)
		return log_failed(writer, -errno);
	status = lock(writer);
	return status ? status : write_file_header(writer);
}

/* Cut off what is torn, go on behind it. */
static int continue_file(struct log_writer *writer)
{
	struct log_reader reader;
	int rc, status;

	status = log_open(&reader, writer->path);
	if (status)
		return status;
	while ((rc = log_next_block(&reader)) == 1)
		;
	status = rc < 0 ? -rc : log_end(&reader);
	if (status == 0 && reader.at < reader.size && ftruncate(writer->fd, (off_t)reader.at) < 0)
		status = log_failed(writer, -errno);
	writer->id = reader.id;
	writer->file_size = reader.at;
	writer->block.sequence = reader.next_block;
	log_shut(&reader);
	if (status)
		return status;
	return writer->file_size == 0 ? write_file_header(writer) : 0;
}

int log_append_file(struct log_writer *writer)
{
	int status;

	writer->fd = open(writer->path, open_flags(writer), 0666);
	if (writer->fd < 0)
		return log_failed(writer, -errno);
	status = lock(writer);
	return status ? status : continue_file(writer);
}

int log_finish_file(struct log_writer *writer)
{
	int rc = log_output_finish(writer->output);

	if (rc < 0) {
		if (!writer->failed)
			log_failed(writer, rc);
		/* Where this fails as well, readers find the torn block. */
		if (ftruncate(writer->fd, (off_t)log_output_end(writer->output)) < 0)
			return STATUS_FAILED;
	}
	/* There is none when the next one of a rotation could not be made. */
	if (writer->fd >= 0 && fdatasync(writer->fd) < 0 && rc == 0)
		rc = log_failed(writer, -errno);
	return rc ? STATUS_FAILED : 0;
}

int log_rotate_file(struct log_writer *writer)
{
	int status = log_finish_file(writer);

	if (status == 0)
		status = log_rotate(writer->path, writer->options.keep);
	if (status) {
		writer->failed = true;
		return status;
	}
	close(writer->fd);
	status = log_make_file(writer);
	writer->failed = status != 0;
	log_output_set(writer->output, writer->fd, writer->file_size);
	return status;
}
