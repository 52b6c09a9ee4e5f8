/* SPDX-License-Identifier: MIT */
/*
 * files.h - descriptors as a hostile host or guest might give them.
 */
#ifndef PEAL_TESTS_FUZZ_FILES_H
#define PEAL_TESTS_FUZZ_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"

/* What is said to be a segment, and what the model knows of it. */
struct fuzz_file {
	int fd;
	bool is_memfd; /* not of huge pages */
	bool write_only;
	int seals;
	uint64_t size;
	struct peal_segment_header header; /* its first bytes, zeros behind its end */
};

/* A segment of @role as it should be, with what the input changes of it. */
struct fuzz_file fuzz_file(enum peal_role role, bool sealed_by_writer);

/* fuzz_file_judge() - what the documents say of it: 0 or the negative errno. */
int fuzz_file_judge(const struct fuzz_file *file, enum peal_role role, bool ours);

void fuzz_file_close(struct fuzz_file *file);

/* What is said to be a doorbell or a pidfd. */
enum fuzz_kind {
	FUZZ_STREAM, /* a connected Unix stream socket: a doorbell */
	FUZZ_EVENTFD,
	FUZZ_PIDFD,
	FUZZ_DGRAM,
	FUZZ_INET,
	FUZZ_UNCONNECTED,
	FUZZ_LISTENING,
	FUZZ_NULL,
	FUZZ_CLOSED,
	FUZZ_KINDS
};

/* fuzz_open() - a descriptor of that kind, at @number or above. */
int fuzz_open(enum fuzz_kind kind, int number);

/* fuzz_is_open() */
bool fuzz_is_open(int fd);

#endif
