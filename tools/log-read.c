/* SPDX-License-Identifier: MIT */
/*
 * log-read.c - blocks back into records. Nothing in the file is believed before its check sum is
 * right, and then only what makes sense.
 *
 * A file ends behind its last whole block. What is behind that was torn when a recorder was killed or
 * the power failed; unless there are more blocks behind, which only damage explains.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "command.h"
#include "log.h"

/* What is read at once in search of a block. */
#define SEARCH_BYTES (UINT32_C(1) << 20)

static int read_failed(const struct log_reader *reader, int error)
{
	complain("%s: %s", reader->path, strerror(error));
	return -STATUS_FAILED;
}

/* Up to @size bytes from @offset on. Return: how many, fewer only at the end; or a negative status
 * after a complaint. */
static ssize_t read_at(const struct log_reader *reader, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(reader->fd, (uint8_t *)buffer + done, size - done,
				  (off_t)(offset + done));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return read_failed(reader, errno);
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

/* --- From the first byte ------------------------------------------------------------------------- */

/* A recorder may be making it larger. */
static int measure(struct log_reader *reader)
{
	struct stat stat;

	if (fstat(reader->fd, &stat) < 0)
		return read_failed(reader, errno);
	if (!S_ISREG(stat.st_mode)) {
		complain("%s: a regular file was expected", reader->path);
		return -STATUS_FAILED;
	}
	reader->size = (uint64_t)stat.st_size;
	return 0;
}

static int open_file(struct log_reader *reader)
{
	reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return reader->fd < 0 ? read_failed(reader, errno) : measure(reader);
}

static int check_file_header(struct log_reader *reader)
{
	uint8_t header[LOG_FILE_HEADER], expected[LOG_FILE_HEADER];
	ssize_t n = read_at(reader, header, sizeof(header), 0);
	const char *why;

	if (n <= 0)
		return (int)n;
	if (n < LOG_FILE_HEADER) {
		/* Its recorder was killed in its first instant; or it is somebody else's file. */
		log_put_file_header(expected, 0);
		if (memcmp(header, expected, (size_t)n < 16 ? (size_t)n : 16) == 0) {
			reader->why = "the file's header is torn";
			return 0;
		}
		memset(header + n, 0, sizeof(header) - (size_t)n);
	}
	why = log_get_file_header(header, &reader->id);
	if (why) {
		complain("%s is %s", reader->path, why);
		return -STATUS_FAILED;
	}
	reader->at = LOG_FILE_HEADER;
	return 0;
}

int log_open(struct log_reader *reader, const char *path)
{
	int rc;

	*reader = (struct log_reader){.path = path, .fd = -1};
	rc = open_file(reader);
	if (rc == 0)
		rc = check_file_header(reader);
	reader->zstd = rc == 0 ? ZSTD_createDCtx() : NULL;
	if (rc == 0 && !reader->zstd)
		rc = read_failed(reader, ENOMEM);
	if (rc < 0)
		log_shut(reader);
	return -rc;
}

void log_shut(struct log_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->stored.data);
	free(reader->raw.data);
	ZSTD_freeDCtx(reader->zstd);
	*reader = (struct log_reader){.fd = -1};
}

/* --- Blocks -------------------------------------------------------------------------------------- */

/* What begins at reader->at: 1 if it is a whole block; 0 if not, with the reason in reader->why. */
static int read_block(struct log_reader *reader)
{
	uint8_t header[LOG_BLOCK_HEADER];
	struct log_block *block = &reader->block;
	ssize_t n = read_at(reader, header, sizeof(header), reader->at);

	if (n < LOG_BLOCK_HEADER) {
		reader->why = n > 0 ? "the file ends within a block's header" : NULL;
		return n < 0 ? (int)n : 0;
	}
	reader->why = log_get_block(header, reader->id, block);
	if (!reader->why && block->sequence != reader->next_block)
		reader->why = "that block belongs elsewhere";
	if (reader->why)
		return 0;
	if (!log_buffer_reserve(&reader->stored, block->stored_size))
		return read_failed(reader, ENOMEM);
	n = read_at(reader, reader->stored.data, block->stored_size, reader->at + LOG_BLOCK_HEADER);
	if (n < 0)
		return (int)n;
	if (n < block->stored_size)
		reader->why = "the file ends within a block";
	else if (log_crc(0, reader->stored.data, block->stored_size) != block->stored_crc)
		reader->why = "the check sum of the block is wrong";
	return !reader->why;
}

/* Is there a block of this file in @bytes? */
static bool holds_block(const struct log_reader *reader, const uint8_t *bytes, size_t size)
{
	const uint8_t *found = bytes;
	struct log_block block;

	while ((size_t)(bytes + size - found) >= LOG_BLOCK_HEADER &&
	       (found = memmem(found, size - (size_t)(found - bytes), "PBLK", 4))) {
		if ((size_t)(bytes + size - found) >= LOG_BLOCK_HEADER &&
		    !log_get_block(found, reader->id, &block))
			return true;
		found++;
	}
	return false;
}

/* Search all that is behind reader->at. 0 or a negative status. */
static int search(struct log_reader *reader)
{
	uint64_t at = reader->at + 1;
	ssize_t n;

	if (!log_buffer_reserve(&reader->stored, SEARCH_BYTES))
		return read_failed(reader, ENOMEM);
	/* Each time from so far back that no header is cut in two. */
	for (; !reader->damaged; at += (uint64_t)n - (LOG_BLOCK_HEADER - 1)) {
		n = read_at(reader, reader->stored.data, SEARCH_BYTES, at);
		if (n < LOG_BLOCK_HEADER)
			return n < 0 ? (int)n : 0;
		reader->damaged = holds_block(reader, reader->stored.data, (size_t)n);
	}
	return 0;
}

int log_next_block(struct log_reader *reader)
{
	int rc;

	reader->block.records = 0;
	if (reader->why)
		return 0;
	rc = read_block(reader);
	if (rc == 1) {
		reader->at += LOG_BLOCK_HEADER + reader->block.stored_size;
		reader->next_block++;
	} else if (rc == 0) {
		reader->block.records = 0;
		if (reader->why)
			rc = search(reader);
		if (rc == 0)
			rc = measure(reader);
	}
	return rc;
}

uint64_t log_left(const struct log_reader *reader)
{
	return reader->why ? reader->size - reader->at : 0;
}

int log_end(const struct log_reader *reader)
{
	unsigned long long left = log_left(reader), at = reader->at;

	if (!reader->why)
		return 0;
	if (!reader->damaged) {
		complain("%s is torn: its last %llu bytes, from byte %llu on, are no whole block "
			 "(%s) and were dropped",
			 reader->path, left, at, reader->why);
		return 0;
	}
	complain("%s is damaged at byte %llu (%s); %llu bytes from there on, with whole blocks "
		 "among them, were left out",
		 reader->path, at, reader->why, left);
	return STATUS_FAILED;
}

/* --- Records ------------------------------------------------------------------------------------- */

static int block_is_false(const struct log_reader *reader)
{
	complain("%s: the block before byte %llu has a right check sum and false contents: no "
		 "peal wrote it",
		 reader->path, (unsigned long long)reader->at);
	return -STATUS_FAILED;
}

/* The block's records, as they were before they were stored, into reader->raw. */
static int unpack(struct log_reader *reader)
{
	struct log_block *block = &reader->block;
	struct log_buffer kept = reader->raw;

	reader->raw_at = 0;
	reader->time_ns = block->time_ns;
	if (!(block->flags & LOG_ZSTD)) {
		reader->raw = reader->stored;
		reader->stored = kept;
		return 0;
	}
	if (!log_buffer_reserve(&reader->raw, block->raw_size))
		return read_failed(reader, ENOMEM);
	if (ZSTD_decompressDCtx(reader->zstd, reader->raw.data, block->raw_size,
				reader->stored.data, block->stored_size) != block->raw_size)
		return block_is_false(reader);
	return 0;
}

int log_next(struct log_reader *reader, struct log_record *record)
{
	struct log_block *block = &reader->block;
	bool begins_session = false;
	int rc;

	if (block->records == 0) {
		rc = log_next_block(reader);
		if (rc == 1)
			rc = unpack(reader) < 0 ? -STATUS_FAILED : 1;
		if (rc < 1)
			return rc;
		begins_session = block->flags & LOG_SESSION;
	}
	if (!log_get_record(reader->raw.data, block->raw_size, &reader->raw_at, &reader->time_ns,
			    record))
		return block_is_false(reader);
	record->begins_session = begins_session;
	block->records--;
	if (block->records == 0 && reader->raw_at != block->raw_size)
		return block_is_false(reader);
	return 1;
}
