/* SPDX-License-Identifier: MIT */
/*
 * log-write.c - records into blocks.
 *
 *	log_add ─▶ raw: the block that is being filled ─▶ zstd ─▶ a slot of the output ─▶ FILE
 *	                                                                 full: FILE ─▶ FILE.1 ─▶ FILE.2
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "log-writer.h"

/* --- Blocks -------------------------------------------------------------------------------------- */

/* The records as a zstd frame into @buffer. Return: its size; 0: that is not smaller, or failed. */
static size_t compress(struct log_writer *writer, struct log_buffer *buffer)
{
	size_t raw_size = writer->raw_size - LOG_BLOCK_HEADER, size;

	if (writer->options.level == 0)
		return 0;
	size = ZSTD_compress2(writer->zstd, buffer->data + LOG_BLOCK_HEADER, raw_size,
			      writer->raw.data + LOG_BLOCK_HEADER, raw_size);
	return ZSTD_isError(size) ? 0 : size;
}

/* Move the block's records into @buffer as they are to be stored, and say so in its header. */
static void pack(struct log_writer *writer, struct log_buffer *buffer)
{
	struct log_block *block = &writer->block;
	struct log_buffer kept = writer->raw;
	size_t size = compress(writer, buffer);

	block->raw_size = (uint32_t)(writer->raw_size - LOG_BLOCK_HEADER);
	block->stored_size = size > 0 ? (uint32_t)size : block->raw_size;
	if (size > 0) {
		block->flags |= LOG_ZSTD;
	} else {
		writer->raw = *buffer;
		*buffer = kept;
	}
	block->stored_crc = log_crc(0, buffer->data + LOG_BLOCK_HEADER, block->stored_size);
	block->duration_ns = writer->last_ns - block->time_ns;
}

static void begin_block(struct log_writer *writer)
{
	writer->block = (struct log_block){.sequence = writer->block.sequence + 1};
	writer->raw_size = LOG_BLOCK_HEADER;
	writer->due_ns = PEAL_FOREVER;
}

/* A file has one block at least, however large that is. */
static bool is_full(const struct log_writer *writer, size_t size)
{
	return writer->options.rotate_bytes > 0 && writer->file_size > LOG_FILE_HEADER &&
	       writer->file_size + size > writer->options.rotate_bytes;
}

int log_flush(struct log_writer *writer)
{
	struct log_buffer *buffer;
	size_t size;
	int rc, status;

	if (writer->failed || writer->block.records == 0)
		return writer->failed ? STATUS_FAILED : 0;
	buffer = log_output_buffer(writer->output, &rc);
	if (!buffer)
		return log_failed(writer, rc);
	/* As large as what was filled: the two may be swapped. */
	if (!log_buffer_reserve(buffer, writer->raw.capacity))
		return log_failed(writer, -ENOMEM);
	pack(writer, buffer);
	size = LOG_BLOCK_HEADER + writer->block.stored_size;
	if (is_full(writer, size)) {
		status = log_rotate_file(writer);
		if (status)
			return status;
	}
	log_put_block(buffer->data, &writer->block, writer->id);
	rc = log_output_write(writer->output, buffer, size);
	if (rc < 0)
		return log_failed(writer, rc);
	writer->file_size += size;
	writer->totals.stored += size;
	begin_block(writer);
	return 0;
}

/* --- Records ------------------------------------------------------------------------------------- */

/* Small files have small blocks, so that they come near their size. */
static size_t block_max(const struct log_writer *writer)
{
	uint64_t quarter = writer->options.rotate_bytes / 4;

	return quarter > 0 && quarter < LOG_BLOCK_RAW ? quarter : LOG_BLOCK_RAW;
}

static void append(struct log_writer *writer, const void *data, size_t size)
{
	if (size > 0)
		memcpy(writer->raw.data + writer->raw_size, data, size);
	writer->raw_size += size;
}

int log_add(struct log_writer *writer, uint64_t now_ns, uint16_t type, const void *data,
	    size_t size)
{
	uint64_t time_ns = now_ns + writer->epoch_ns;
	struct log_block *block = &writer->block;
	uint8_t head[LOG_HEAD_MAX];
	int status;

	if (block->records > 0 && writer->raw_size + LOG_HEAD_MAX + size > block_max(writer)) {
		status = log_flush(writer);
		if (status)
			return status;
	}
	if (writer->failed)
		return STATUS_FAILED;
	if (!log_buffer_reserve(&writer->raw, writer->raw_size + LOG_HEAD_MAX + size))
		return log_failed(writer, -ENOMEM);
	if (block->records == 0) {
		block->time_ns = time_ns;
		writer->last_ns = time_ns;
		if (__builtin_add_overflow(now_ns, writer->options.flush_ns, &writer->due_ns))
			writer->due_ns = PEAL_FOREVER;
	}
	append(writer, head, log_put_head(head, time_ns - writer->last_ns, type, (uint32_t)size));
	append(writer, data, size);
	writer->last_ns = time_ns;
	block->records++;
	block->bytes += size;
	writer->totals.records++;
	writer->totals.bytes += size;
	return 0;
}

uint64_t log_due_ns(const struct log_writer *writer)
{
	return writer->due_ns;
}

struct log_totals log_totals(const struct log_writer *writer)
{
	return writer->totals;
}

/* --- From first to last -------------------------------------------------------------------------- */

static bool prepare(struct log_writer *writer)
{
	writer->output = log_output_new();
	writer->zstd = ZSTD_createCCtx();
	if (!writer->output || !writer->zstd ||
	    !log_buffer_reserve(&writer->raw, LOG_BLOCK_HEADER + LOG_BLOCK_RAW))
		return false;
	ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, writer->options.level);
	ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
	return true;
}

static void free_writer(struct log_writer *writer)
{
	log_output_free(writer->output);
	ZSTD_freeCCtx(writer->zstd);
	free(writer->raw.data);
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer);
}

static uint64_t time_since_1970_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int log_create(struct log_writer **result, const char *path, const struct log_options *options)
{
	struct log_writer *writer = calloc(1, sizeof(*writer));
	int status = STATUS_FAILED;

	/* Beyond RLIMIT_FSIZE a write is to fail, which is reported, and not to kill. */
	signal(SIGXFSZ, SIG_IGN);
	if (!writer) {
		complain("out of memory");
		return STATUS_FAILED;
	}
	writer->options = *options;
	writer->path = path;
	writer->fd = -1;
	if (prepare(writer))
		status = options->append ? log_append_file(writer) : log_make_file(writer);
	else
		complain("out of memory");
	if (status) {
		free_writer(writer);
		return status;
	}
	log_output_set(writer->output, writer->fd, writer->file_size);
	writer->block.flags = LOG_SESSION;
	writer->raw_size = LOG_BLOCK_HEADER;
	writer->due_ns = PEAL_FOREVER;
	/* One clock that never goes back, and its distance from the one that people read. */
	writer->epoch_ns = time_since_1970_ns() - peal_now_ns();
	*result = writer;
	return 0;
}

int log_close(struct log_writer *writer, struct log_totals *totals)
{
	int status = log_flush(writer), end = log_finish_file(writer);

	*totals = writer->totals;
	free_writer(writer);
	return status ? status : end;
}
