/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "log.h"
#include "replay.h"
#include "run.h"

/* How much is read and written at once, where records are small. */
#define CHUNK ((size_t)256 << 10)

/* Length and record, or record and end of line. */
#define LENGTH_BYTES 4

int take_framing(const char *text, enum framing *framing)
{
	uint32_t word;
	int rc = take_word("--framing", text, "lines", "length", &word);

	if (rc == 0)
		*framing = word ? FRAMING_LENGTH : FRAMING_LINES;
	return rc;
}

int stream_open(struct stream *stream, int fd, enum framing framing, size_t record_max)
{
	struct stat st;

	*stream = (struct stream){.fd = fd, .framing = framing};
	stream->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	stream->room = record_max + LENGTH_BYTES;
	stream->size = stream->room + CHUNK;
	stream->buffer = malloc(stream->size);
	return stream->buffer ? 0 : -ENOMEM;
}

void stream_close(struct stream *stream)
{
	free(stream->buffer);
	stream->buffer = NULL;
}

static void move_down(struct stream *stream)
{
	if (stream->begin == 0)
		return;
	memmove(stream->buffer, stream->buffer + stream->begin, stream->end - stream->begin);
	stream->end -= stream->begin;
	stream->begin = 0;
}

void stream_cut(struct stream *stream)
{
	stream->at_end = true;
	stream->begin = stream->end = stream->scanned = 0;
}

int stream_fill(struct stream *stream)
{
	ssize_t got;
	size_t room;

	move_down(stream);
	room = stream->size - stream->end;
	/* Of a file not all at once, which nothing would find in the cache any more. */
	got = read(stream->fd, stream->buffer + stream->end, room < CHUNK ? room : CHUNK);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	stream->at_end = got == 0;
	stream->end += (size_t)got;
	return 0;
}

static uint32_t load_length(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static int next_of_length(struct stream *stream, size_t max, const void **data, size_t *size)
{
	const unsigned char *at = stream->buffer + stream->begin;
	size_t left = stream->end - stream->begin;

	if (left == 0)
		return 0;
	if (left >= LENGTH_BYTES && load_length(at) > max)
		return -EMSGSIZE;
	if (left < LENGTH_BYTES || left - LENGTH_BYTES < load_length(at))
		return stream->at_end ? -ENODATA : 0;
	*data = at + LENGTH_BYTES;
	*size = load_length(at);
	return 1;
}

static int next_line(struct stream *stream, size_t max, const void **data, size_t *size)
{
	const unsigned char *at = stream->buffer + stream->begin, *found;
	size_t left = stream->end - stream->begin;

	found = memchr(at + stream->scanned, '\n', left - stream->scanned);
	stream->scanned = found ? (size_t)(found - at) : left;
	if (stream->scanned > max)
		return -EMSGSIZE;
	/* The last line may lack its end. */
	if (!found && (!stream->at_end || left == 0))
		return 0;
	*data = at;
	*size = stream->scanned;
	return 1;
}

static int next_of_tape(struct stream *stream, size_t max, const void **data, size_t *size)
{
	struct tape *tape = stream->tape;

	stream->at_end = !tape_next(tape);
	if (!stream->at_end && tape->due_ns > stream->now_ns)
		stream->now_ns = peal_now_ns();
	if (stream->at_end || tape->due_ns > stream->now_ns)
		return 0;
	if (tape->record.size > max)
		return -EMSGSIZE;
	stream->type = tape->record.type;
	*data = tape->record.data;
	*size = tape->record.size;
	return 1;
}

int stream_next(struct stream *stream, size_t max, const void **data, size_t *size)
{
	if (stream->tape)
		return next_of_tape(stream, max, data, size);
	if (stream->framing == FRAMING_LENGTH)
		return next_of_length(stream, max, data, size);
	return next_line(stream, max, data, size);
}

void stream_take(struct stream *stream)
{
	size_t size = stream->scanned;

	if (stream->tape) {
		size = stream->tape->record.size;
		tape_take(stream->tape);
	} else if (stream->framing == FRAMING_LENGTH) {
		size = load_length(stream->buffer + stream->begin);
		stream->begin += LENGTH_BYTES + size;
	} else {
		stream->begin += size;
		/* Its end, which the last line may lack. */
		stream->begin += stream->begin < stream->end;
	}
	stream->scanned = 0;
	stream->records++;
	stream->bytes += size;
}

bool stream_has_room(const struct stream *stream)
{
	return stream->size - stream->end >= stream->room;
}

void stream_add(struct stream *stream, const void *data, size_t size, uint16_t type)
{
	unsigned char *at = stream->buffer + stream->end, *copy = at;
	size_t before = stream->end;

	if (stream->framing == FRAMING_LENGTH) {
		for (int i = 0; i < LENGTH_BYTES; i++)
			at[i] = (unsigned char)(size >> 8 * i);
		copy += LENGTH_BYTES;
		stream->end += LENGTH_BYTES + size;
	} else {
		at[size] = '\n';
		stream->end += size + 1;
	}
	memcpy(copy, data, size);
	/* The copy: a guest can change what stands in its ring. */
	if (stream->log && stream->log_status == 0)
		stream->log_status = log_add(stream->log, stream->now_ns, type, copy, size);
	if (stream->quiet)
		stream->end = before;
	stream->records++;
	stream->bytes += size;
}

bool stream_is_empty(const struct stream *stream)
{
	return stream->begin == stream->end;
}

int stream_flush(struct stream *stream)
{
	struct pollfd ready = {.fd = stream->fd, .events = POLLOUT};

	while (!stream_is_empty(stream)) {
		size_t size = stream->end - stream->begin;
		ssize_t written;

		/* What is writable takes so much without blocking us, whom a signal could not wake then.
		 * O_NONBLOCK is not ours to set: others write there too. */
		if (!stream->is_file && size > PIPE_BUF)
			size = PIPE_BUF;
		if (!stream->is_file && poll(&ready, 1, 0) != 1)
			return 0;
		written = write(stream->fd, stream->buffer + stream->begin, size);
		if (written < 0)
			return errno == EINTR || errno == EAGAIN ? 0 : -errno;
		stream->begin += (size_t)written;
	}
	stream->begin = stream->end = 0;
	return 0;
}

uint64_t stream_due_ns(const struct stream *stream)
{
	if (stream->tape)
		return stream->tape->has_record ? stream->tape->due_ns : PEAL_FOREVER;
	return stream->log ? log_due_ns(stream->log) : PEAL_FOREVER;
}

void stream_keep(struct stream *stream)
{
	if (stream->log && stream->log_status == 0 && log_due_ns(stream->log) <= peal_now_ns())
		stream->log_status = log_flush(stream->log);
}
