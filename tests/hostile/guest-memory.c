/* SPDX-License-Identifier: MIT */
/*
 * guest-memory.c - what a guest can do to words and to memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile/guest.h"

#define DATA_WORDS (RING_BYTES / sizeof(uint64_t))

static uint64_t header_of(uint64_t size)
{
	return UINT64_C(0x8000) << 48 | size;
}

/* --- One false word -------------------------------------------------------------------------- */

/* T1, T9: the host gave the value. */
static int false_head(void)
{
	store(&own->head, account->value);
	ring_both();
	stand_by();
	return stall();
}

/* T1: two good positions, the second before the first. */
static int head_that_moves_back(void)
{
	while (load(&host->space_wait) % 2 == 0)
		; /* awake, so the ring is not full yet */
	store(&own->head, RING_BYTES / 2);
	ring_both();
	/* It goes on, and comes around. */
	while (load(&host->tail) < RING_BYTES)
		;
	store(&own->head, RING_BYTES / 2 - 8);
	ring_both();
	stand_by();
	return stall();
}

/* T2: the host gave the header. */
static int false_header(void)
{
	store(&own_data[0], account->value);
	ring_both();
	stand_by();
	return stall();
}

/* T2: each word of the ring is the header of an empty record; so there are more than fit. */
static int more_than_fits(void)
{
	for (size_t i = 0; i < DATA_WORDS; i++)
		store(&own_data[i], header_of(0));
	ring_both();
	stand_by();
	return stall();
}

/* --- Words that change all the time ---------------------------------------------------------- */

static void scribble(void *from, size_t bytes)
{
	uint64_t *words = from;

	store(&words[any_value() % (bytes / sizeof(*words))], any_value());
}

static void scribble_head(void)
{
	store(&own->head, any_value());
}

static void scribble_header(void)
{
	/* Where the host looks next. */
	store(&own_data[load(&host->head) / 8 % DATA_WORDS], any_value());
}

static void scribble_size(void)
{
	store(&own_data[any_value() % DATA_WORDS], header_of(any_value() % 600));
}

static void scribble_waits(void)
{
	store(&own->space_wait, any_value());
	store(&own->data_wait, any_value());
}

static void scribble_figures(void)
{
	scribble(&own->tail, sizeof(own->tail) + sizeof(own->zero1));
	scribble(&own->producer_counters, sizeof(struct peal_counters));
	scribble(&own->consumer_counters, sizeof(struct peal_counters));
	scribble(&own->cpu, sizeof(own->cpu) + sizeof(own->zero5));
	scribble(own->name, sizeof(own->name));
	scribble(own->zero3, sizeof(own->zero3));
}

/* All of the identity but the state, which is a claim of another kind. */
static void scribble_identity(void)
{
	scribble(&own->magic, offsetof(struct peal_segment_header, state));
	scribble(own->name, sizeof(own->name));
}

static void scribble_state(void)
{
	store(&own->state, any_value() % 5);
}

static void scribble_all(void)
{
	scribble(own, PEAL_HEADER_BYTES + RING_BYTES);
}

static void attack_and_ring(void (*attack)(void))
{
	await_host();
	at_times = ring_both; /* a host that sleeps sees nothing */
	attack_until_stopped(attack);
	stall();
}

static int run_scribble_head(void)
{
	attack_and_ring(scribble_head);
	return 0;
}

static int run_scribble_header(void)
{
	attack_and_ring(scribble_header);
	return 0;
}

static int run_scribble_size(void)
{
	for (size_t i = 0; i < DATA_WORDS; i++)
		store(&own_data[i], header_of(8));
	ring_both();
	attack_and_ring(scribble_size);
	return 0;
}

static void *scribble_in_thread(void *unused)
{
	(void)unused;
	while (!account_is(&account->stop))
		scribble_all();
	return NULL;
}

/* Two at once, so that a word can change between any two instructions of the host. */
static int run_scribble_all(void)
{
	pthread_t thread;

	await_host();
	must(pthread_create(&thread, NULL, scribble_in_thread, NULL) == 0);
	attack_and_ring(scribble_all);
	return 0;
}

static int run_scribble_state(void)
{
	attack_and_ring(scribble_state);
	return 0;
}

static int echo_and_scribble_waits(void)
{
	return echo_beside(scribble_waits);
}

static int echo_and_scribble_figures(void)
{
	return echo_beside(scribble_figures);
}

static int echo_and_scribble_identity(void)
{
	return echo_beside(scribble_identity);
}

/* --- T4: the segments themselves ------------------------------------------------------------- */

/* By a new open file description, which has modes and flags of its own. */
static int reopen(int fd, int flags)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static bool is_refused(long result, int error)
{
	return result < 0 && errno == error;
}

/* What changes a file's size or bytes. Refused for the host's at any time, for ours once sealed. */
static void try_all(int fd)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	must(is_refused(ftruncate(fd, 0), EPERM));
	must(is_refused(ftruncate(fd, 1 << 30), EPERM));
	must(is_refused(fallocate(fd, hole, 0, 4096), EPERM));
	must(is_refused(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096), EPERM) ||
	     errno == EOPNOTSUPP);
	must(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) < 0);
	must(fallocate(fd, 0, 0, 1 << 20) < 0);
	must(is_refused(pwrite(fd, "x", 1, 0), EPERM));
	must(is_refused(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM));
	must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
}

static void try_segment(int side)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, segments[side], 0);
	int again = reopen(segments[side], O_RDWR), truncated;

	must(map != MAP_FAILED && again >= 0);
	must(is_refused(mprotect(map, 4096, PROT_READ | PROT_WRITE), EACCES));
	must(madvise(map, 4096, MADV_REMOVE) < 0);
	try_all(segments[side]);
	try_all(again);
	truncated = reopen(segments[side], O_RDWR | O_TRUNC);
	must(truncated < 0);
	munmap(map, 4096);
	close(again);
}

static void misuse_memory(void)
{
	try_segment(HOST);
	try_segment(GUEST);
	/* Through the writable mapping too, since that one stays. */
	must(madvise(own, PEAL_HEADER_BYTES + RING_BYTES, MADV_REMOVE) < 0);
	madvise(own, PEAL_HEADER_BYTES + RING_BYTES, MADV_DONTNEED);
	madvise(own, PEAL_HEADER_BYTES + RING_BYTES, MADV_PAGEOUT);
}

static int echo_and_misuse_memory(void)
{
	return echo_beside(misuse_memory);
}

/* Never attaches, never seals, so that its own segment stays open to writes and to holes. */
static void punch(void)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const uint64_t record[2] = {header_of(8), any_value()};

	pwrite(segments[GUEST], record, sizeof(record),
	       PEAL_HEADER_BYTES + (off_t)(load(&host->head) % (RING_BYTES - sizeof(record))));
	must(fallocate(segments[GUEST], hole, 0, PEAL_HEADER_BYTES) == 0);
	must(fallocate(segments[GUEST], hole, PEAL_HEADER_BYTES, RING_BYTES) == 0);
	must(is_refused(ftruncate(segments[GUEST], 0), EPERM));
	must(is_refused(ftruncate(segments[GUEST], 1 << 20), EPERM));
}

/* The bells by their numbers, as nobody has made doorbells of them. */
static void ring_raw(void)
{
	for (int i = 1; i < argument_count; i++) {
		if (strncmp(arguments[i], PEAL_DOORBELL_ARG "=", 14) == 0)
			send(atoi(arguments[i] + 14), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* Its state was in a hole, too. The host is given the time to see that it has attached. */
static void announce(void)
{
	store(&own->state, PEAL_STATE_ATTACHED);
	ring_raw();
	usleep(300);
}

static int holes(void)
{
	at_times = announce;
	attack_until_stopped(punch);
	return stall();
}

/* Seal our own segment against all writing, ours too, and then try to attach. */
static int reseal(void)
{
	munmap(own, PEAL_HEADER_BYTES + RING_BYTES);
	/* Older kernels take the host's mapping for one that might write. */
	must(fcntl(segments[GUEST], F_ADD_SEALS, F_SEAL_WRITE) == 0 || errno == EBUSY);
	must(fcntl(segments[GUEST], F_ADD_SEALS, F_SEAL_SEAL) == 0);
	account->results[0] = peal_attach_args(&channel, &argument_count, arguments, NULL);
	must(account->results[0] == -EBUSY);
	return 77;
}

/* T7: refuse, and name a version that nobody has. */
static int refuse(void)
{
	own->version = (uint32_t)account->value;
	store(&own->state, PEAL_STATE_REFUSED);
	ring_raw();
	return stall();
}

const struct mode memory_modes[] = {
	{"false-head", NULL, false_head},
	{"head-back", NULL, head_that_moves_back},
	{"false-header", NULL, false_header},
	{"more-than-fits", NULL, more_than_fits},
	{"scribble-head", NULL, run_scribble_head},
	{"scribble-header", NULL, run_scribble_header},
	{"scribble-size", NULL, run_scribble_size},
	{"scribble-state", NULL, run_scribble_state},
	{"scribble-all", NULL, run_scribble_all},
	{"scribble-waits", NULL, echo_and_scribble_waits},
	{"scribble-figures", NULL, echo_and_scribble_figures},
	{"scribble-identity", NULL, echo_and_scribble_identity},
	{"misuse-memory", NULL, echo_and_misuse_memory},
	{"holes", holes, NULL},
	{"reseal", reseal, NULL},
	{"refuse", refuse, NULL},
	{NULL, NULL, NULL},
};
