/* SPDX-License-Identifier: MIT */
/*
 * in-process.c - what people do without guests: the same decoders, in the threads of one process, which any
 * file may take over.
 *
 * usage: decode-in-process THREADS FILE... --go=N --done=N      started by decode --bench
 *
 * For each byte that comes from --go, all files are decoded once; then a struct in_process goes to
 * --done.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "../codec.h"
#include "in-process.h"
#include "inherited.h"

/* One a thread. */
struct link {
	int fd;
	uint32_t crc32;
	bool good;
	unsigned char data[128u << 10];
	unsigned char rows[DECODER_ROWS_MAX];
};

static char **names;
static size_t count, next; /* next: all threads take from it */
static struct in_process result;

bool link_next(struct link *link, const unsigned char **data, size_t *size)
{
	ssize_t got = read(link->fd, link->data, sizeof(link->data));

	*data = link->data;
	*size = got > 0 ? (size_t)got : 0;
	return got > 0;
}

void *link_room(struct link *link, size_t size)
{
	(void)size;
	return link->rows;
}

void link_send(struct link *link, size_t size, uint16_t type)
{
	if (type == DECODER_ROWS)
		link->crc32 = (uint32_t)crc32_z(link->crc32, link->rows, size);
	link->good = type == DECODER_DONE;
}

void link_stage(struct link *link, size_t size, uint16_t type)
{
	link_send(link, size, type);
}

static void decode(struct link *link, const char *name)
{
	link->fd = open(name, O_RDONLY | O_CLOEXEC);
	link->crc32 = 0;
	link->good = false;
	if (link->fd >= 0) {
		codec_serve(link, false);
		close(link->fd);
	}
	if (link->good) {
		__atomic_add_fetch(&result.decoded, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&result.sum, link->crc32, __ATOMIC_RELAXED);
	}
}

static void *work(void *nothing)
{
	struct link *link = malloc(sizeof(*link));
	size_t i;

	while (link && (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < count)
		decode(link, names[i]);
	free(link);
	return nothing;
}

static void run(unsigned int threads)
{
	pthread_t handles[IN_PROCESS_THREADS_MAX];
	unsigned int started = 0;

	next = 0;
	result = (struct in_process){0};
	while (started < threads && started < IN_PROCESS_THREADS_MAX &&
	       pthread_create(&handles[started], NULL, work, NULL) == 0)
		started++;
	while (started > 0)
		pthread_join(handles[--started], NULL);
}

int main(int argc, char **argv)
{
	int go, done;
	char byte;

	if (argc < 5)
		return fprintf(stderr, "decode-in-process: decode --bench starts it\n"), 2;
	go = inherited_fd(argv[argc - 2], IN_PROCESS_GO);
	done = inherited_fd(argv[argc - 1], IN_PROCESS_DONE);
	names = argv + 2;
	count = (size_t)argc - 4;
	while (read(go, &byte, 1) == 1) {
		run((unsigned int)atoi(argv[1]));
		if (write(done, &result, sizeof(result)) != sizeof(result))
			return 1;
	}
	return 0;
}
