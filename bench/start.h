/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BENCH_START_H
#define PEAL_BENCH_START_H

#include <sys/types.h>

#include <peal/peal.h>

/* One of several processes that are started at once; each way of starting has its own part. */
struct bench_start {
	struct peal_channel *channel;
	struct peal_child *child;
	int fd;             /* of the pipe, or the doorbell */
	int other_fd;       /* the doorbell of the other ring */
	unsigned char *own; /* bare segments */
	unsigned char *peer;
	pid_t pid;
};

/* bare.c: a channel's kernel calls alone. */
int bench_bare_begin(struct bench_start *start, char *program);
int bench_bare_finish(struct bench_start *start);
void bench_bare_end(struct bench_start *start);

#endif
