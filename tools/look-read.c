/* SPDX-License-Identifier: MIT */
/*
 * look-read.c - the figures of a channel, by copies of its memory.
 *
 * read(2) of /proc/PID/mem never faults in this process, whatever becomes of the memory; it asks for
 * the right that a debugger needs, and stops nobody. Read by way of the host where that is possible:
 * its mappings are its own, and no guest can lay anything behind them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal/base.h>
#include <peal/ring.h>

#include "look.h"
#include "ring/layout.h"

/* Positions that moved between two reads may not fit together once; three times they would. */
#define TRIES 3

struct memory {
	int fd;
	const struct look_channel *channel;
	uint64_t align;
	struct peal_segment_header header[LOOK_SIDES];
};

static bool copy(const struct memory *memory, void *to, size_t size, enum look_who writer,
		 uint64_t offset)
{
	return pread(memory->fd, to, size, (off_t)(memory->channel->address[writer] + offset)) ==
	       (ssize_t)size;
}

static bool copy_word(const struct memory *memory, uint64_t *word, enum look_who writer,
		      uint64_t offset)
{
	return copy(memory, word, sizeof(*word), writer, offset);
}

/* As peal_segment_tail(), in a copy. False: it can not be told how far the records go on. */
static bool follow(const struct memory *memory, enum look_who writer, uint64_t *tail)
{
	static unsigned char records[PEAL_TAIL_LAG + sizeof(uint64_t)];
	const uint64_t capacity = memory->channel->capacity[look_peer(writer)];
	uint64_t at = 0, word;

	/* The data is mapped twice in a row, so there is always so much. */
	if ((*tail & (memory->align - 1)) != 0 ||
	    !copy(memory, records, sizeof(records), writer,
		  PEAL_HEADER_BYTES + (*tail & (capacity - 1))))
		return false;
	while (at < PEAL_TAIL_LAG) {
		memcpy(&word, records + at, sizeof(word));
		if (word >> 48 != PEAL_HEADER_VALID) {
			*tail += at;
			return word == 0;
		}
		at += peal_record_span((uint32_t)word, memory->align);
	}
	return false;
}

/* Behind what is published, or less than PEAL_TAIL_LAG before. */
static bool read_tail(const struct memory *memory, enum look_who writer, uint64_t *tail)
{
	const uint64_t offset = offsetof(struct peal_segment_header, tail);
	uint64_t first, again;

	if (!copy_word(memory, &first, writer, offset))
		return false;
	*tail = first;
	if (follow(memory, writer, tail) && copy_word(memory, &again, writer, offset) &&
	    again == first)
		return true;
	return copy_word(memory, tail, writer, offset);
}

/* The tail between two heads: what was in the ring then is between the two differences. */
static bool read_positions(const struct memory *memory, enum look_who to, struct look_ring *ring)
{
	const uint64_t offset = offsetof(struct peal_segment_header, head);
	const int64_t room = (int64_t)(memory->channel->capacity[to] - memory->align);
	uint64_t head, tail, head_after;
	int64_t most, least;

	if (!copy_word(memory, &head, to, offset) || !read_tail(memory, look_peer(to), &tail) ||
	    !copy_word(memory, &head_after, to, offset))
		return false;
	most = (int64_t)(tail - head);
	least = (int64_t)(tail - head_after);
	ring->written = tail;
	ring->read = head_after;
	ring->impossible = most <= -(int64_t)PEAL_TAIL_LAG || least > room;
	ring->used = most < 0 ? 0 : (uint64_t)(most > room ? room : most);
	return true;
}

static struct look_end read_end(const struct peal_counters *counters, uint64_t word)
{
	return (struct look_end){
		.asleep = word & 1,
		.sleeps = counters->sleeps,
		.wakes = counters->wakes,
		.spurious = counters->spurious,
		.since_ns = counters->since_ns,
		.position = counters->position,
	};
}

static bool read_ring(const struct memory *memory, enum look_who to, struct look_ring *ring)
{
	const struct peal_segment_header *producer = &memory->header[look_peer(to)];
	const struct peal_segment_header *consumer = &memory->header[to];
	int tries = 0;

	ring->producer = read_end(&producer->producer_counters, producer->space_wait);
	ring->consumer = read_end(&consumer->consumer_counters, consumer->data_wait);
	do {
		if (!read_positions(memory, to, ring))
			return false;
	} while (ring->impossible && ++tries < TRIES);
	return true;
}

static enum look_state state_of(const struct look_side *side, uint64_t claim)
{
	if (claim == PEAL_STATE_REFUSED)
		return LOOK_REFUSED;
	if (claim == PEAL_STATE_CLOSED)
		return LOOK_CLOSED;
	if (side->pid != 0)
		return LOOK_ATTACHED;
	if (claim == PEAL_STATE_CREATED)
		return LOOK_ABSENT;
	return side->claimed_pid <= INT32_MAX && look_may((pid_t)side->claimed_pid) == -EACCES
		       ? LOOK_HIDDEN
		       : LOOK_GONE;
}

static void read_side(const struct memory *memory, enum look_who who, struct look_side *side)
{
	*side = (struct look_side){.pid = memory->channel->pid[who],
				   .claimed_pid = memory->header[who].writer_pid};
	if (side->pid != 0 && !look_process(side->pid, side->name, &side->stopped))
		side->pid = 0; /* it has ended since */
	side->state = state_of(side, memory->header[who].state);
}

static bool read_headers(struct memory *memory)
{
	for (int who = 0; who < LOOK_SIDES; who++) {
		if (memory->channel->address[who] == 0)
			continue;
		if (!copy(memory, &memory->header[who], sizeof(memory->header[who]), who, 0) ||
		    memory->header[who].magic != PEAL_LAYOUT_MAGIC)
			return false;
	}
	return true;
}

static bool read_all(struct memory *memory, struct look_figures *figures)
{
	const struct look_channel *channel = memory->channel;
	bool is_known = channel->address[LOOK_HOST] != 0 && channel->address[LOOK_GUEST] != 0;
	const struct peal_segment_header *header;

	if (!read_headers(memory))
		return false;
	header = &memory->header[channel->address[LOOK_HOST] ? LOOK_HOST : LOOK_GUEST];
	figures->version = header->version;
	is_known = is_known && header->version == PEAL_LAYOUT_VERSION;
	memory->align = header->record_align == 64 ? 64 : 8;
	figures->align = (uint32_t)memory->align;
	figures->has_eventfds = header->incompatible_flags & PEAL_INCOMPATIBLE_EVENTFD;
	for (int to = 0; to < LOOK_SIDES; to++) {
		figures->ring[to] = (struct look_ring){.impossible = !is_known};
		if (is_known && channel->capacity[to] != 0 &&
		    !read_ring(memory, to, &figures->ring[to]))
			return false;
	}
	figures->at_ns = peal_now_ns();
	for (int who = 0; who < LOOK_SIDES; who++)
		read_side(memory, who, &figures->side[who]);
	return true;
}

int look_read(const struct look_channel *channel, struct look_figures *figures)
{
	struct memory memory = {.channel = channel};
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)channel->through);
	memory.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (memory.fd < 0)
		return errno == EACCES || errno == EPERM ? -EACCES : -ESRCH;
	rc = read_all(&memory, figures) ? 0 : -ESRCH;
	close(memory.fd);
	return rc;
}
