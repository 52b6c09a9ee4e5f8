/* SPDX-License-Identifier: MIT */
/*
 * log.h - recordings: records with their types and times, in a file that may be torn at any byte.
 *
 *	log-format.c  file and block headers, one record inside a block
 *	log-crc.c     CRC-32C
 *	log-write.c   records into blocks
 *	log-file.c    blocks into files
 *	log-rotate.c  FILE, FILE.1, FILE.2
 *	log-output.c  several blocks under way to a file at once
 *	log-read.c    blocks back into records, and how a file ends
 *
 * The format is described byte by byte in docs/recording.md.
 */
#ifndef PEAL_TOOLS_LOG_H
#define PEAL_TOOLS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- log-format.c -------------------------------------------------------------------------------- */

#define LOG_VERSION      1
#define LOG_FILE_HEADER  32
#define LOG_BLOCK_HEADER 64
/* The largest record: what a reader and a writer have to hold several of. */
#define LOG_RECORD_MAX   (UINT32_C(64) << 20)
/* Time, type and size of a record, at most: three numbers of 7 bits a byte. */
#define LOG_HEAD_MAX     (10 + 3 + 5)
/* A block is closed before it grows beyond this, unless one record alone is larger. */
#define LOG_BLOCK_RAW    (UINT32_C(1) << 20)
#define LOG_RAW_MAX      (LOG_RECORD_MAX + LOG_HEAD_MAX)

enum log_flag {
	LOG_ZSTD = 1, /* stored as a zstd frame, otherwise as it is */
	LOG_SESSION =
		2, /* the first block that its recorder wrote: no time is to be waited before it */
};

struct log_block {
	uint32_t flags;
	uint64_t sequence;    /* counts a file's blocks from 0 */
	uint64_t time_ns;     /* of the first record, since 1970 */
	uint64_t duration_ns; /* from there to the last one */
	uint64_t bytes;       /* sum of the records' sizes */
	uint32_t records;
	uint32_t raw_size;    /* of the records with their heads */
	uint32_t stored_size; /* of what follows the header */
	uint32_t stored_crc;
};

struct log_record {
	uint64_t time_ns; /* since 1970 */
	const void *data;
	uint32_t size;
	uint16_t type;
	bool begins_session; /* set by log_next() */
};

void log_put_file_header(uint8_t header[LOG_FILE_HEADER], uint64_t id);
/* Return: NULL, or what is wrong. */
const char *log_get_file_header(const uint8_t header[LOG_FILE_HEADER], uint64_t *id);

void log_put_block(uint8_t header[LOG_BLOCK_HEADER], const struct log_block *block, uint64_t id);
/* Is this the header of a block of the file @id? Return: NULL, or what is wrong. */
const char *log_get_block(const uint8_t header[LOG_BLOCK_HEADER], uint64_t id,
			  struct log_block *block);

/* The head of a record, @delta_ns after the one before. Return: its length. */
size_t log_put_head(uint8_t head[LOG_HEAD_MAX], uint64_t delta_ns, uint16_t type, uint32_t size);
/* One record of @raw, from @at on, which moves behind it; @time_ns: of the record before, then of
 * this one. False if this is no record. */
bool log_get_record(const uint8_t *raw, size_t raw_size, size_t *at, uint64_t *time_ns,
		    struct log_record *record);

/* --- log-crc.c ----------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli) of what @crc was of, and then this; 0 to begin. */
uint32_t log_crc(uint32_t crc, const void *data, size_t size);

/* --- log-output.c -------------------------------------------------------------------------------- */

/* Blocks that may be under way at once: one is filled while the others are written. */
#define LOG_SLOTS 4

struct log_buffer {
	uint8_t *data;
	size_t capacity;
};

/* At least @size bytes; what was in it is kept. False: no memory. */
bool log_buffer_reserve(struct log_buffer *buffer, size_t size);

struct log_output;

/* Return: NULL without memory. */
struct log_output *log_output_new(void);
struct log_output *log_output_free(struct log_output *output);
bool log_output_has_uring(const struct log_output *output);

/* From now on to this descriptor, which stays the caller's. Nothing may be under way. */
void log_output_set(struct log_output *output, int fd, uint64_t offset);
/* A buffer that nobody writes from; waits for one. NULL: an errno in @error. */
struct log_buffer *log_output_buffer(struct log_output *output, int *error);
/* Write what is in it behind all else. 0 or a negative errno, also of an earlier write. */
int log_output_write(struct log_output *output, struct log_buffer *buffer, size_t size);
/* Wait until all is written. 0 or a negative errno. */
int log_output_finish(struct log_output *output);
/* Behind the last block that is whole before a failure; behind all when there was none. */
uint64_t log_output_end(const struct log_output *output);

/* --- log-write.c --------------------------------------------------------------------------------- */

struct log_options {
	bool append;
	bool sync; /* each write reaches the disk before it counts as done */
	int level; /* zstd's; 0: stored as it is */
	uint64_t flush_ns;
	uint64_t rotate_bytes; /* 0: never */
	uint64_t keep;         /* files besides the newest; 0: all */
};

struct log_totals {
	uint64_t records, bytes; /* taken */
	uint64_t stored; /* bytes of files that were asked to be written, headers included */
};

struct log_writer;

/* All return 0, or a status after a complaint. After a failure, only log_close(). */
int log_create(struct log_writer **writer, const char *path, const struct log_options *options);
/* @now_ns: CLOCK_MONOTONIC, not before that of the record before. */
int log_add(struct log_writer *writer, uint64_t now_ns, uint16_t type, const void *data,
	    size_t size);
/* When log_flush() is due; PEAL_FOREVER if there is nothing to write. */
uint64_t log_due_ns(const struct log_writer *writer);
int log_flush(struct log_writer *writer);
/* Writes all, and frees it; what became of all is in @totals. */
int log_close(struct log_writer *writer, struct log_totals *totals);

struct log_totals log_totals(const struct log_writer *writer);

/* --- log-rotate.c -------------------------------------------------------------------------------- */

/* Rename the file, and those before it; at most @keep stay besides, all if that is 0. Return: 0, or a
 * status after a complaint. */
int log_rotate(const char *path, uint64_t keep);

/* --- log-read.c ---------------------------------------------------------------------------------- */

struct log_reader {
	const char *path; /* the caller's */
	int fd;
	uint64_t id;
	uint64_t size;       /* of the file, when it was opened */
	uint64_t at;         /* behind the last whole block */
	uint64_t next_block; /* its sequence */
	struct log_block block;
	struct log_buffer stored, raw;
	void *zstd;
	size_t raw_at; /* in the block */
	uint64_t time_ns;
	const char *why; /* what is at @at is no block; NULL: the file ends there, or goes on */
	bool damaged;    /* and there are blocks behind */
};

/* Return: 0, or a status after a complaint. The reader is the caller's memory. */
int log_open(struct log_reader *reader, const char *path);
void log_shut(struct log_reader *reader);

/* The next block; its records are not looked at. Return: 1; 0 at the end, whole or not; a negative
 * status after a complaint. */
int log_next_block(struct log_reader *reader);
/* The next record, of whichever block. Return: as log_next_block(). */
int log_next(struct log_reader *reader, struct log_record *record);
/* Bytes that the file has behind its last whole block. */
uint64_t log_left(const struct log_reader *reader);
/* How the file ended: says so when it was not behind a whole block. Return: 0, or a status. */
int log_end(const struct log_reader *reader);

#endif
