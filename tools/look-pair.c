/* SPDX-License-Identifier: MIT */
/*
 * look-pair.c - which two segments are a channel, and which two processes.
 *
 * A process that maps one segment for writing and the other side's for reading is an end. In a process,
 * the channel's id tells which two belong together, if it is theirs alone. A guest can write any id into
 * its own segment. What it can not do is to map its host's, so where the id does not tell, this does:
 * somebody else maps the two the other way round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"

/* So many segments of one process whose ids do not tell are compared, each with each. */
#define PUZZLES_MAX 256

/* @own is the writable one; @other is NULL where it is not known. */
struct end {
	const struct look_mapping *own, *other;
};

struct pairing {
	const struct look_mapping **by_segment; /* all */
	size_t count;
	const struct look_mapping **slice; /* those of one process */
	size_t slice_count;
	struct end *ends;
	size_t end_count;
};

static int compare_segments(const struct look_mapping *a, const struct look_mapping *b)
{
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->is_writable != b->is_writable)
		return a->is_writable ? 1 : -1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int by_segment(const void *a, const void *b)
{
	return compare_segments(*(const struct look_mapping *const *)a,
				*(const struct look_mapping *const *)b);
}

static int by_id(const void *a, const void *b)
{
	const struct look_mapping *one = *(const struct look_mapping *const *)a;
	const struct look_mapping *other = *(const struct look_mapping *const *)b;
	int order = memcmp(one->id, other->id, sizeof(one->id));

	return order != 0 ? order : compare_segments(one, other);
}

/* The first that is not before @key. */
static size_t find(const struct pairing *pairing, const struct look_mapping *key)
{
	size_t low = 0, high = pairing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_segments(pairing->by_segment[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool maps(const struct pairing *pairing, pid_t pid, uint64_t inode, bool is_writable)
{
	const struct look_mapping key = {.pid = pid, .inode = inode, .is_writable = is_writable};
	size_t at = find(pairing, &key);

	return at < pairing->count && compare_segments(pairing->by_segment[at], &key) == 0;
}

/* Does some process map the two the other way round? */
static bool are_answered(const struct pairing *pairing, const struct look_mapping *own,
			 const struct look_mapping *other)
{
	const struct look_mapping key = {.inode = other->inode, .is_writable = true};

	for (size_t i = find(pairing, &key); i < pairing->count; i++) {
		const struct look_mapping *writer = pairing->by_segment[i];

		if (writer->inode != other->inode)
			break;
		if (maps(pairing, writer->pid, own->inode, false))
			return true;
	}
	return false;
}

static void add_end(struct pairing *pairing, const struct look_mapping **own,
		    const struct look_mapping **other)
{
	pairing->ends[pairing->end_count++] = (struct end){*own, other ? *other : NULL};
	*own = NULL;
	if (other)
		*other = NULL;
}

/* The only one of this kind from @first to @last, if it is. */
static const struct look_mapping **only(const struct pairing *pairing, size_t first, size_t last,
					enum look_who writer, bool is_writable)
{
	const struct look_mapping **found = NULL, **at;

	for (at = pairing->slice + first; at < pairing->slice + last; at++) {
		if (!*at || (*at)->writer != writer || (*at)->is_writable != is_writable)
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found;
}

static void pair_the_only_ones(struct pairing *pairing, size_t first, size_t last)
{
	for (int who = 0; who < LOOK_SIDES; who++) {
		const struct look_mapping **own = only(pairing, first, last, who, true), **other;

		other = only(pairing, first, last, look_peer(who), false);
		if (own && other)
			add_end(pairing, own, other);
	}
}

static void pair_by_id(struct pairing *pairing)
{
	size_t first = 0, last;

	for (; first < pairing->slice_count; first = last) {
		for (last = first + 1; last < pairing->slice_count; last++)
			if (memcmp(pairing->slice[first]->id, pairing->slice[last]->id,
				   sizeof(pairing->slice[first]->id)) != 0)
				break;
		pair_the_only_ones(pairing, first, last);
	}
}

static void drop_paired(struct pairing *pairing)
{
	size_t kept = 0;

	for (size_t i = 0; i < pairing->slice_count; i++)
		if (pairing->slice[i])
			pairing->slice[kept++] = pairing->slice[i];
	pairing->slice_count = kept;
}

static void pair_by_answer(struct pairing *pairing)
{
	const struct look_mapping **slice = pairing->slice;

	if (pairing->slice_count > PUZZLES_MAX)
		return;
	for (size_t i = 0; i < pairing->slice_count; i++) {
		for (size_t k = 0; k < pairing->slice_count && slice[i]; k++)
			if (slice[i]->is_writable && slice[k] && !slice[k]->is_writable &&
			    slice[k]->writer != slice[i]->writer &&
			    are_answered(pairing, slice[i], slice[k]))
				add_end(pairing, &slice[i], &slice[k]);
	}
}

/* The ends that one process is. */
static void pair_process(struct pairing *pairing)
{
	qsort(pairing->slice, pairing->slice_count, sizeof(*pairing->slice), by_id);
	pair_by_id(pairing);
	drop_paired(pairing);
	pair_by_answer(pairing);
	drop_paired(pairing);
	pair_the_only_ones(pairing, 0, pairing->slice_count);
	for (size_t i = 0; i < pairing->slice_count; i++)
		if (pairing->slice[i] && pairing->slice[i]->is_writable)
			add_end(pairing, &pairing->slice[i], NULL);
}

static void find_ends(struct pairing *pairing, const struct look_mappings *mappings)
{
	const struct look_mapping *list = mappings->list;
	size_t first = 0, last;

	for (; first < mappings->count; first = last) {
		for (last = first; last < mappings->count && list[last].pid == list[first].pid;
		     last++)
			pairing->slice[last - first] = &list[last];
		pairing->slice_count = last - first;
		pair_process(pairing);
	}
}

static uint64_t inode_of(const struct end *end, enum look_who writer)
{
	const struct look_mapping *mapping = end->own->writer == writer ? end->own : end->other;

	return mapping ? mapping->inode : 0;
}

/* By channel; in it the host first, because it is the one that we would rather read from. */
static int by_channel(const void *a, const void *b)
{
	const struct end *one = a, *other = b;

	for (int who = LOOK_SIDES - 1; who >= 0; who--)
		if (inode_of(one, who) != inode_of(other, who))
			return inode_of(one, who) < inode_of(other, who) ? -1 : 1;
	if (one->own->writer != other->own->writer)
		return one->own->writer == LOOK_HOST ? -1 : 1;
	return one->own->pid < other->own->pid ? -1 : one->own->pid > other->own->pid;
}

static struct look_channel *begin_channel(struct look_channels *channels, const struct end *end)
{
	struct look_channel *channel = &channels->list[channels->count++];
	enum look_who who = end->own->writer;

	*channel = (struct look_channel){.through = end->own->pid};
	channel->inode[who] = end->own->inode;
	channel->address[who] = end->own->address;
	channel->capacity[look_peer(who)] = end->own->capacity;
	memcpy(channel->id, end->own->id, sizeof(channel->id));
	strcpy(channel->name, end->own->name);
	if (end->other) {
		channel->inode[look_peer(who)] = end->other->inode;
		channel->address[look_peer(who)] = end->other->address;
		channel->capacity[who] = end->other->capacity;
	}
	return channel;
}

static int by_host(const void *a, const void *b)
{
	const struct look_channel *one = a, *other = b;

	for (int who = LOOK_SIDES - 1; who >= 0; who--)
		if (one->pid[who] != other->pid[who])
			return one->pid[who] < other->pid[who] ? -1 : 1;
	return one->inode[LOOK_HOST] < other->inode[LOOK_HOST]
		       ? -1
		       : one->inode[LOOK_HOST] > other->inode[LOOK_HOST];
}

static void make_channels(struct pairing *pairing, struct look_channels *channels)
{
	struct look_channel *channel = NULL;

	qsort(pairing->ends, pairing->end_count, sizeof(*pairing->ends), by_channel);
	for (size_t i = 0; i < pairing->end_count; i++) {
		const struct end *end = &pairing->ends[i];
		enum look_who who = end->own->writer;

		if (!channel || channel->inode[LOOK_HOST] != inode_of(end, LOOK_HOST) ||
		    channel->inode[LOOK_GUEST] != inode_of(end, LOOK_GUEST))
			channel = begin_channel(channels, end);
		/* The second one is a child that its parent's memory is only lent to (vfork). */
		if (channel->pid[who] == 0)
			channel->pid[who] = end->own->pid;
	}
	qsort(channels->list, channels->count, sizeof(*channels->list), by_host);
}

int look_pair(const struct look_mappings *mappings, struct look_channels *channels)
{
	const size_t count = mappings->count;
	struct pairing pairing = {
		.by_segment = calloc(count + 1, sizeof(*pairing.by_segment)),
		.count = count,
		.slice = calloc(count + 1, sizeof(*pairing.slice)),
		.ends = calloc(count + 1, sizeof(*pairing.ends)),
	};
	int rc = -ENOMEM;

	*channels = (struct look_channels){.list = calloc(count + 1, sizeof(*channels->list))};
	if (pairing.by_segment && pairing.slice && pairing.ends && channels->list) {
		for (size_t i = 0; i < count; i++)
			pairing.by_segment[i] = &mappings->list[i];
		qsort(pairing.by_segment, count, sizeof(*pairing.by_segment), by_segment);
		find_ends(&pairing, mappings);
		make_channels(&pairing, channels);
		rc = 0;
	}
	free(pairing.by_segment);
	free(pairing.slice);
	free(pairing.ends);
	if (rc < 0)
		look_unpair(channels);
	return rc;
}

void look_unpair(struct look_channels *channels)
{
	free(channels->list);
	*channels = (struct look_channels){0};
}
