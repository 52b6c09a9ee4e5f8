/* SPDX-License-Identifier: MIT */
/*
 * log-writer.h - what log-write.c (records, blocks) and log-file.c (files) have in common.
 */
#ifndef PEAL_TOOLS_LOG_WRITER_H
#define PEAL_TOOLS_LOG_WRITER_H

#include <zstd.h>

#include "log.h"

struct log_writer {
	struct log_options options;
	const char *path;
	int fd;
	struct log_output *output;
	ZSTD_CCtx *zstd;
	uint64_t id, file_size; /* of this file; all that was asked for */
	uint64_t epoch_ns; /* what is to be added to CLOCK_MONOTONIC to get the time since 1970 */
	struct log_block block; /* the one that is being filled */
	struct log_buffer raw;  /* room for the header, and then its records */
	size_t raw_size;
	uint64_t last_ns; /* of the last record, since 1970 */
	uint64_t due_ns;
	bool failed;
	struct log_totals totals;
};

/* All return 0 or STATUS_FAILED, after a complaint. */

/* No more can be written: the reason, a negative errno. */
int log_failed(struct log_writer *writer, int error);
/* A new one. */
int log_make_file(struct log_writer *writer);
/* A new one, or behind the last whole block of what is there. */
int log_append_file(struct log_writer *writer);
/* Wait until all is written, whole and for good; after a failure the file ends behind the last block that
 * is whole. */
int log_finish_file(struct log_writer *writer);
/* Another one takes its place. */
int log_rotate_file(struct log_writer *writer);

#endif
