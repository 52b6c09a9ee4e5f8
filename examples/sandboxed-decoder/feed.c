/* SPDX-License-Identifier: MIT */
/*
 * feed.c - a file, to its guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* Bytes of a file in a record. */
#define CHUNK (128u << 10)
/* Records at a time, so that one guest does not keep us from the others. */
#define TURN  8

int feed_open(struct file *file)
{
	int fd = open(file->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		judge(file, UNREAD, "%s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		judge(file, UNREAD, "not a regular file");
	else if (status.st_size == 0)
		judge(file, REFUSED, "the file is empty");
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* As much as fits: read(2) writes into the ring. 1: it is all there; 0: it is not; or an errno. */
static int fill(struct guest *guest)
{
	struct peal_producer *tx = peal_tx(guest->channel);
	void *room;
	ssize_t size;
	int rc;

	for (int i = 0; i < TURN; i++) {
		rc = peal_reserve(tx, CHUNK, &room);
		if (rc < 0)
			return rc == -EAGAIN ? 0 : rc;
		size = read(guest->fd, room, CHUNK);
		if (size < 0)
			return -errno;
		/* After less than was asked for comes the end: one wake for both. */
		rc = (size > 0 && size < CHUNK ? peal_stage : peal_commit)(
			tx, (size_t)size, size > 0 ? DECODER_DATA : DECODER_END);
		if (rc < 0 || size == 0)
			return rc < 0 ? rc : 1;
	}
	return 0;
}

static int ask_for_room(struct guest *guest)
{
	if (guest->space)
		return peal_watch_resume(guest->space, CHUNK);
	return peal_poller_watch_space(guest->pool->poller, guest->channel, CHUNK, 0, guest,
				       &guest->space);
}

int feed(struct guest *guest)
{
	int rc = fill(guest);

	return rc == 0 ? ask_for_room(guest) : rc;
}
