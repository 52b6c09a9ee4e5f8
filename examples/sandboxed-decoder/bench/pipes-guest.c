/* SPDX-License-Identifier: MIT */
/*
 * pipes-guest.c - the guest over pipes: large reads, and one write a message.
 *
 * usage: decode-pipes --in=N --out=N      started by decode --bench
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../sandboxed/cage.h"
#include "../codec.h"
#include "inherited.h"
#include "pipes.h"

struct link {
	int in, out;
	size_t begin, end; /* what was read and not looked at */
	size_t left;       /* bytes of a message that has begun */
	unsigned char read[PIPES_SIZE];
	unsigned char write[PIPES_MESSAGE_MAX];
};

/* At the end of the pipe the host is gone. */
static void read_more(struct link *link)
{
	ssize_t size;

	if (link->begin == link->end)
		link->begin = link->end = 0;
	size = read(link->in, link->read + link->end, sizeof(link->read) - link->end);
	if (size <= 0)
		_exit(size < 0);
	link->end += (size_t)size;
}

static struct pipes_header read_header(struct link *link)
{
	struct pipes_header header;

	/* Whatever is left of one that was cut goes to the front. */
	if (link->end - link->begin < sizeof(header)) {
		memmove(link->read, link->read + link->begin, link->end - link->begin);
		link->end -= link->begin;
		link->begin = 0;
	}
	while (link->end - link->begin < sizeof(header))
		read_more(link);
	memcpy(&header, link->read + link->begin, sizeof(header));
	link->begin += sizeof(header);
	return header;
}

bool link_next(struct link *link, const unsigned char **data, size_t *size)
{
	if (link->left == 0) {
		struct pipes_header header = read_header(link);

		if (header.type == DECODER_END)
			return false;
		link->left = header.size;
	}
	if (link->begin == link->end)
		read_more(link);
	*data = link->read + link->begin;
	*size = link->end - link->begin < link->left ? link->end - link->begin : link->left;
	link->begin += *size;
	link->left -= *size;
	return true;
}

void *link_room(struct link *link, size_t size)
{
	(void)size;
	return link->write + sizeof(struct pipes_header);
}

void link_send(struct link *link, size_t size, uint16_t type)
{
	const struct pipes_header header = {.size = (uint32_t)size, .type = type};
	const unsigned char *at = link->write;

	memcpy(link->write, &header, sizeof(header));
	size += sizeof(header);
	while (size > 0) {
		ssize_t written = write(link->out, at, size);

		if (written < 0)
			_exit(errno != EPIPE);
		at += written;
		size -= (size_t)written;
	}
}

/* Two messages in one write would need a copy of one. */
void link_stage(struct link *link, size_t size, uint16_t type)
{
	link_send(link, size, type);
}

int main(int argc, char **argv)
{
	static const int more[] = {SYS_brk,       SYS_mmap,       SYS_munmap, SYS_mremap,
				   SYS_getrandom, SYS_exit_group, -1};
	static struct link link;

	if (argc != 3)
		return fprintf(stderr, "decode-pipes: decode --bench starts it\n"), 2;
	link.in = inherited_fd(argv[1], PIPES_IN);
	link.out = inherited_fd(argv[2], PIPES_OUT);
	if (cage_enter(CAGE_LIKE_STRICT, more) < 0)
		return 3;
	for (;;)
		codec_serve(&link, false);
}
