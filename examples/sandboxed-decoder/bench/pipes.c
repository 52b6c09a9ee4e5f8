/* SPDX-License-Identifier: MIT */
/*
 * pipes.c - the pool over pipes: as many guests, with the same decoders in them, each with one file
 * at a time, and the same checks of what they say. It replaces nobody and knows no deadlines; it is here
 * to be measured.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "pipes.h"

#define CHUNK (128u << 10)

struct piped {
	struct peal_child *child;
	int to, from; /* our ends of the pipes */
	int fd;       /* the file; -1: all of it was read */
	struct image image;
	size_t begin, end; /* of what is to be written */
	size_t held;       /* of what was read and not taken */
	unsigned char write[sizeof(struct pipes_header) + CHUNK];
	unsigned char read[PIPES_SIZE + PIPES_MESSAGE_MAX];
};

struct pipes {
	struct options options;
	struct piped *guests;
	struct file *files;
	size_t count, next, done;
};

/* --- Starting ----------------------------------------------------------------------------------- */

/* Ours does not block; the guest's does. */
static int make_pipe(int *ours, int *theirs, bool we_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ours = ends[we_write];
	*theirs = ends[!we_write];
	/* Where that is more than the user may have, it stays as it is. */
	(void)fcntl(*ours, F_SETPIPE_SZ, PIPES_SIZE);
	return peal_fd_set_nonblocking(*ours);
}

static int start(struct piped *guest)
{
	char *argv[] = {beside_us("decode-pipes"), NULL};
	int in = -1, out = -1, rc;

	guest->to = guest->from = guest->fd = -1;
	rc = make_pipe(&guest->to, &in, true);
	if (rc == 0)
		rc = make_pipe(&guest->from, &out, false);
	if (rc == 0)
		rc = peal_spawn_fds(
			&guest->child, argv,
			(struct peal_spawn_fd[]){{PIPES_IN, in}, {PIPES_OUT, out}}, 2,
			&(struct peal_spawn_options){.size = sizeof(struct peal_spawn_options),
						     .flags = PEAL_SPAWN_NO_NEW_PRIVS |
							      PEAL_SPAWN_DIE_WITH_PARENT});
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

void pipes_close(struct pipes *pipes)
{
	for (unsigned int i = 0; i < pipes->options.guests; i++) {
		struct piped *guest = &pipes->guests[i];

		peal_child_free(guest->child);
		if (guest->to >= 0)
			close(guest->to);
		if (guest->from >= 0)
			close(guest->from);
	}
	free(pipes->guests);
	free(pipes);
}

uint64_t pipes_cpu_ns(const struct pipes *pipes)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < pipes->options.guests; i++)
		sum += child_cpu_ns(pipes->guests[i].child);
	return sum;
}

struct pipes *pipes_open(const struct options *options)
{
	struct pipes *pipes = calloc(1, sizeof(*pipes));
	int rc = 0;

	if (!pipes)
		return NULL;
	signal(SIGPIPE, SIG_IGN); /* write(2) tells of a guest's death, too */
	pipes->options = *options;
	pipes->guests = calloc(options->guests, sizeof(*pipes->guests));
	if (!pipes->guests)
		return free(pipes), NULL;
	for (unsigned int i = 0; i < options->guests; i++)
		pipes->guests[i].to = pipes->guests[i].from = pipes->guests[i].fd = -1;
	for (unsigned int i = 0; i < options->guests && rc == 0; i++)
		rc = start(&pipes->guests[i]);
	if (rc < 0)
		pipes_close(pipes);
	return rc < 0 ? NULL : pipes;
}

/* --- The file, to the guest --------------------------------------------------------------------- */

static int read_chunk(struct piped *guest)
{
	struct pipes_header header = {.type = DECODER_END};
	ssize_t size = read(guest->fd, guest->write + sizeof(header), CHUNK);

	if (size < 0)
		return -errno;
	if (size > 0)
		header = (struct pipes_header){.size = (uint32_t)size, .type = DECODER_DATA};
	memcpy(guest->write, &header, sizeof(header));
	guest->begin = 0;
	guest->end = sizeof(header) + (size_t)size;
	if (size == 0) {
		close(guest->fd);
		guest->fd = -1;
	}
	return 0;
}

static bool has_more(const struct piped *guest)
{
	return guest->fd >= 0 || guest->begin < guest->end;
}

/* As much as the pipe takes. */
static int hand_over(struct piped *guest)
{
	while (has_more(guest)) {
		ssize_t written;
		int rc = guest->begin == guest->end ? read_chunk(guest) : 0;

		if (rc < 0)
			return rc;
		written = write(guest->to, guest->write + guest->begin, guest->end - guest->begin);
		if (written < 0)
			return errno == EAGAIN ? 0 : -errno;
		guest->begin += (size_t)written;
	}
	return 0;
}

static int give(struct pipes *pipes, struct piped *guest)
{
	struct file *file;

	if (guest->image.file || pipes->next == pipes->count)
		return 0;
	file = &pipes->files[pipes->next++];
	guest->fd = feed_open(file);
	if (guest->fd < 0)
		return -EIO;
	image_begin(&guest->image, &pipes->options, file);
	return hand_over(guest);
}

/* --- The answer, from the guest ----------------------------------------------------------------- */

static int take_messages(struct pipes *pipes, struct piped *guest)
{
	struct pipes_header header;
	size_t at = 0;

	while (guest->held - at >= sizeof(header)) {
		struct peal_record record = {.data = guest->read + at + sizeof(header)};
		enum verdict verdict;

		memcpy(&header, guest->read + at, sizeof(header));
		if (header.size > DECODER_ROWS_MAX || !guest->image.file)
			return -EPROTO;
		if (guest->held - at - sizeof(header) < header.size)
			break;
		record.size = header.size;
		record.type = header.type;
		at += sizeof(header) + header.size;
		verdict = image_take(&guest->image, &record);
		if (verdict != UNKNOWN && verdict != DECODED)
			return -EIO;
		if (verdict == DECODED) {
			image_drop(&guest->image);
			pipes->done++;
		}
	}
	guest->held -= at;
	memmove(guest->read, guest->read + at, guest->held);
	return 0;
}

static int take(struct pipes *pipes, struct piped *guest)
{
	ssize_t size = read(guest->from, guest->read + guest->held, PIPES_SIZE);

	if (size < 0 && errno == EAGAIN)
		return 0;
	if (size <= 0)
		return size < 0 ? -errno : -EPIPE;
	guest->held += (size_t)size;
	return take_messages(pipes, guest);
}

/* --- All together ------------------------------------------------------------------------------- */

static int turn(struct pipes *pipes)
{
	struct pollfd fds[2 * GUESTS_MAX];
	int rc = 0;

	for (unsigned int i = 0; i < pipes->options.guests; i++) {
		struct piped *guest = &pipes->guests[i];

		fds[2 * i] = (struct pollfd){guest->from, POLLIN, 0};
		fds[2 * i + 1] = (struct pollfd){has_more(guest) ? guest->to : -1, POLLOUT, 0};
	}
	if (poll(fds, 2 * pipes->options.guests, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < pipes->options.guests && rc == 0; i++) {
		if (fds[2 * i].revents)
			rc = take(pipes, &pipes->guests[i]);
		if (rc == 0 && fds[2 * i + 1].revents)
			rc = hand_over(&pipes->guests[i]);
		if (rc == 0)
			rc = give(pipes, &pipes->guests[i]);
	}
	return rc;
}

int pipes_run(struct pipes *pipes, struct file *files, size_t count)
{
	int rc = 0;

	pipes->files = files;
	pipes->count = count;
	pipes->next = pipes->done = 0;
	for (unsigned int i = 0; i < pipes->options.guests && rc == 0; i++)
		rc = give(pipes, &pipes->guests[i]);
	while (rc == 0 && pipes->done < count)
		rc = turn(pipes);
	return rc;
}
