/* SPDX-License-Identifier: MIT */
/*
 * judge.c - what had to happen, and did it?
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "crash/crash.h"
#include "harness.h"
#include "ipc/ipc.h"

/* --- The truth ------------------------------------------------------------------------------- */

struct image {
	struct peal_segment_header survivor, victim;
	unsigned char data[CAPACITY];
};

/* In one go, while the victim stands still. */
static void look(const struct scene *scene, struct image *image)
{
	const struct board *board = scene->board;
	const void *ring = op_is_tx(scene->cell.op) ? board->peer : board->own;
	struct iovec local[3] = {{&image->survivor, sizeof(image->survivor)},
				 {&image->victim, sizeof(image->victim)},
				 {image->data, sizeof(image->data)}};
	struct iovec remote[3] = {
		{(void *)(uintptr_t)board->own, sizeof(image->survivor)},
		{(void *)(uintptr_t)board->peer, sizeof(image->victim)},
		{(void *)((uintptr_t)ring + PEAL_HEADER_BYTES), sizeof(image->data)},
	};

	if (process_vm_readv(scene->survivor, local, 3, remote, 3, 0) != (ssize_t)sizeof(*image))
		scene_fail(scene, "reading the survivor's memory: %s", strerror(errno));
}

static uint64_t span(const struct scene *scene, uint64_t i)
{
	return peal_record_span(cell_record_size(&scene->cell, i), cell_align(&scene->cell));
}

static uint64_t word_at(const struct image *image, uint64_t position)
{
	uint64_t word;

	memcpy(&word, image->data + position % CAPACITY, sizeof(word));
	return word;
}

/* The bytes of record @i are all there. */
static bool is_whole(const struct scene *scene, const struct image *image, uint64_t i,
		     uint64_t position)
{
	size_t size = cell_record_size(&scene->cell, i), first;
	uint64_t at = (position + cell_align(&scene->cell)) % CAPACITY;
	unsigned char data[CAPACITY];

	first = size < CAPACITY - at ? size : CAPACITY - at;
	memcpy(data, image->data + at, first);
	memcpy(data + first, image->data, size - first);
	return stream_is(data, size, i);
}

/* The committed prefix: headers, one behind the other, up to a zero. */
static uint64_t count_published(const struct scene *scene, const struct image *image)
{
	const struct board *board = scene->board;
	uint64_t i = scene->first, position = cell_position(&scene->cell, i), word;

	while ((word = word_at(image, position)) != 0) {
		if (word != cell_record_header(&scene->cell, i))
			scene_fail(scene,
				   "where record %llu belongs is %#llx, no header and no zero",
				   (unsigned long long)i, (unsigned long long)word);
		if (!is_whole(scene, image, i, position))
			scene_fail(scene, "record %llu is committed before it is written",
				   (unsigned long long)i);
		position += span(scene, i++);
	}
	if (i < board->returned)
		scene_fail(scene, "%llu records are committed, but %llu calls have returned",
			   (unsigned long long)i, (unsigned long long)board->returned);
	if (i > board->begun)
		scene_fail(scene, "%llu records are committed, but only %llu calls have begun",
			   (unsigned long long)i, (unsigned long long)board->begun);
	return i;
}

/* What a victim has released it must have taken out. */
static uint64_t count_released(const struct scene *scene, const struct image *image)
{
	const struct board *board = scene->board;
	uint64_t head = image->victim.head, i = scene->plan.passed;
	uint64_t position = cell_position(&scene->cell, i);

	while (position < head) {
		size_t size = cell_record_size(&scene->cell, i);
		uint64_t copy = i - scene->plan.passed;

		if (scene->cell.op < STEPPED_OPS && copy < 2 &&
		    !stream_is(board->copies[copy], size, i))
			scene_fail(scene, "record %llu is released before it is read",
				   (unsigned long long)i);
		position += span(scene, i++);
	}
	if (position != head)
		scene_fail(scene, "the head is %llu, where no record ends",
			   (unsigned long long)head);
	if (i < board->returned || i > board->begun)
		scene_fail(scene, "%llu records are released; calls: %llu returned, %llu begun",
			   (unsigned long long)i, (unsigned long long)board->returned,
			   (unsigned long long)board->begun);
	return i;
}

struct truth judge_look(const struct scene *scene)
{
	static struct image image, before;
	struct truth truth = {0};

	look(scene, &image);
	truth.state = image.victim.state;
	if (op_is_tx(scene->cell.op)) {
		truth.published = count_published(scene, &image);
		truth.waits = image.victim.space_wait & 1;
	} else {
		truth.released = count_released(scene, &image);
		truth.waits = image.victim.data_wait & 1;
	}
	truth.changed = memcmp(&image.victim, &before.victim, sizeof(image.victim)) != 0 ||
			memcmp(image.data, before.data, sizeof(image.data)) != 0;
	before = image;
	return truth;
}

/* --- The survivor ---------------------------------------------------------------------------- */

/* The first record for which there is no room, the victim having released so many. */
static uint64_t first_without_room(const struct scene *scene, uint64_t released)
{
	uint64_t left = CAPACITY - cell_align(&scene->cell), i = released;

	while (span(scene, i) <= left)
		left -= span(scene, i++);
	return i;
}

/*
 * Exactly as much as there was room for, if it waits in the ring's own call, which looks once more.
 * Who arms and sleeps elsewhere hears of the death first, and need not fill a dead peer's ring.
 */
static void judge_producer(const struct scene *scene, const struct truth *truth,
			   const struct report *report)
{
	uint64_t most = first_without_room(scene, truth->released), least = most;

	/* A victim that slept was to be woken: so the survivor knows at once. */
	if (report->in_commit && !truth->waits)
		scene_fail(scene, "a commit failed though there was nobody to wake");
	if (report->in_commit || scene->cell.manner != MANNER_WAIT)
		least = scene->plan.passed + scene->plan.left;
	if (report->next > most || report->next < least)
		scene_fail(scene, "the survivor sent up to record %llu, expected %llu to %llu",
			   (unsigned long long)report->next, (unsigned long long)least,
			   (unsigned long long)most);
}

static void judge_end(const struct scene *scene, const struct report *report, int peer)
{
	if (report->error != -EPIPE || report->again != -EPIPE)
		scene_fail(scene, "the survivor was told %d and then %d, expected -EPIPE",
			   report->error, report->again);
	if (report->peer != peer)
		scene_fail(scene, "the peer is called %d, expected %d", report->peer, peer);
}

void judge_report(const struct scene *scene, const struct truth *truth, const struct report *report)
{
	int peer = truth->state == PEAL_STATE_CLOSED ? PEAL_PEER_CLOSED : PEAL_PEER_DEAD;
	int ready = truth->state == PEAL_STATE_CREATED ? -EPIPE : 0;

	if (op_attaches(scene->cell.op) && report->ready != ready)
		scene_fail(scene,
			   "the guest's state is %llu, but peal_channel_wait_ready() says %d",
			   (unsigned long long)truth->state, report->ready);
	if (op_is_tx(scene->cell.op) && report->next != truth->published)
		scene_fail(scene, "the survivor got up to record %llu, committed was up to %llu",
			   (unsigned long long)report->next, (unsigned long long)truth->published);
	if (!op_is_tx(scene->cell.op))
		judge_producer(scene, truth, report);
	judge_end(scene, report, peer);
}

void judge_stream(const struct scene *scene, const struct report *report)
{
	const struct board *board = scene->board;
	struct truth truth;
	struct image image;

	judge_end(scene, report, PEAL_PEER_DEAD);
	if (!op_is_tx(scene->cell.op)) {
		scene_peek(scene, board->peer, &image.victim, sizeof(image.victim));
		truth.released = count_released(scene, &image);
		/* It may have slept when the survivor looked, and been awake when the kill came. */
		truth.waits = true;
		judge_producer(scene, &truth, report);
	} else if (report->next < board->returned || report->next > board->begun) {
		scene_fail(scene,
			   "the survivor got up to record %llu; calls: %llu returned, %llu begun",
			   (unsigned long long)report->next, (unsigned long long)board->returned,
			   (unsigned long long)board->begun);
	}
}

/* --- How fast -------------------------------------------------------------------------------- */

void delays_add(struct delays *delays, struct scene *scene, const struct report *report)
{
	/* Often it knows before we do. */
	uint64_t delay =
		report->when_ns > scene->reaped_ns ? report->when_ns - scene->reaped_ns : 0;
	uint64_t net = delay > scene->run_delay_ns ? delay - scene->run_delay_ns : 0;
	unsigned int power = delay == 0 ? 0 : 64 - (unsigned int)__builtin_clzll(delay);

	delays->count++;
	delays->in_time += delay < DELAY_BOUND_NS;
	delays->late += net >= DELAY_BOUND_NS;
	delays->histogram[power < 39 ? power : 39]++;
	if (delay > delays->worst_ns)
		delays->worst_ns = delay;
	if (net > delays->worst_net_ns)
		delays->worst_net_ns = net;
}

void figures_tell(const char *line)
{
	const char *path = getenv("PEAL_TALLY");
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	fprintf(file, "# %s\n", line);
	fclose(file);
}

/* A power of two that at least half of them are below, in nanoseconds; 0: it was known before. */
static uint64_t median_bound(const struct delays *delays)
{
	unsigned int power = 0;
	uint64_t sum = delays->histogram[0];

	while (sum * 2 < delays->count)
		sum += delays->histogram[++power];
	return power == 0 ? 0 : UINT64_C(1) << power;
}

void delays_print(const struct delays *delays)
{
	printf("  -EPIPE after the death was reaped: half within %.0f us, worst %.2f ms, net of waiting "
	       "for a processor %.2f ms; %llu of %llu within 10 ms\n",
	       (double)median_bound(delays) / 1e3, (double)delays->worst_ns / 1e6,
	       (double)delays->worst_net_ns / 1e6, (unsigned long long)delays->in_time,
	       (unsigned long long)delays->count);
}

/*
 * The bound is 10 ms. A machine that is stopped for a moment, by its hypervisor for one, shows in a
 * few; something that only a timer or a second look finds would show in all of some kind.
 */
void delays_check(const struct delays *delays)
{
	ck_assert_msg(delays->late * 100 <= delays->count,
		      "%llu of %llu survivors learnt of the death only after 10 ms",
		      (unsigned long long)delays->late, (unsigned long long)delays->count);
}
