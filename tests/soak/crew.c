/* SPDX-License-Identifier: MIT */
/*
 * crew.c - the threads of the soak test: one for each poller, and workers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "soak/soak.h"

#define EVENTS 32

/* --- Workers --------------------------------------------------------------------------------- */

bool crew_has(const struct job *job)
{
	/* Acquire: pairs with the worker's last word about it. */
	return job->handed != __atomic_load_n(&job->returned, __ATOMIC_SEQ_CST);
}

void crew_hand(struct job *job)
{
	struct soak *soak = job->place->soak;

	job->handed++;
	job->next = NULL;
	pthread_mutex_lock(&soak->lock);
	*soak->queue_end = job;
	soak->queue_end = &job->next;
	pthread_cond_signal(&soak->changed);
	pthread_mutex_unlock(&soak->lock);
}

static struct job *take_job(struct soak *soak)
{
	struct job *job;

	pthread_mutex_lock(&soak->lock);
	while (!soak->queue && !soak->is_over)
		pthread_cond_wait(&soak->changed, &soak->lock);
	job = soak->queue;
	if (job) {
		soak->queue = job->next;
		if (!soak->queue)
			soak->queue_end = &soak->queue;
	}
	pthread_mutex_unlock(&soak->lock);
	return job;
}

/* The watch is given back first and counted after: when it is counted, no worker touches it. It may
 * have been reported and handed again by then, hence two counts and no flag. */
static void do_job(struct job *job)
{
	struct place *place = job->place;
	struct peal_poller *poller = place->station->poller;
	size_t size = 0;
	bool ended;

	if (job->direction == TO_HOST)
		place_take(job, true);
	else
		size = place_fill(job, true);
	ended = job->ended;
	if (!ended)
		assert_ok(peal_watch_resume(job->watch, size));
	__atomic_fetch_add(&job->returned, 1, __ATOMIC_SEQ_CST);
	/* One of the two sees the other: we that it wants to close, or it that we are done. */
	if (ended || __atomic_load_n(&place->is_closing, __ATOMIC_SEQ_CST))
		assert_ok(peal_poller_wake(poller));
}

static void *work(void *soak)
{
	struct job *job;

	while ((job = take_job(soak)))
		do_job(job);
	return NULL;
}

/* --- Pollers --------------------------------------------------------------------------------- */

static void handle_job(struct job *job)
{
	struct place *place = job->place;
	size_t size;

	if (place->is_closing)
		return;
	if (place->by_workers) {
		crew_hand(job);
	} else if (job->direction == TO_HOST) {
		place_take(job, false);
	} else {
		size = place_fill(job, false);
		if (!job->ended)
			assert_ok(peal_watch_resume(job->watch, size));
	}
}

/* Return: whose it was. NULL: of a watch that an earlier event of the same wait has ended. */
static struct place *handle(const struct peal_event *event)
{
	struct place *place = event->user;
	struct job *job = event->user;

	if (event->kind == PEAL_EVENT_CHILD) {
		place->child_ended = true;
		return place;
	}
	if (job->watch != event->watch)
		return NULL;
	handle_job(job);
	return job->place;
}

static bool step_all(struct station *station)
{
	struct soak *soak = station->soak;
	bool all_free = true;

	for (int i = 0; i < soak->place_count; i++) {
		if (soak->places[i].station != station)
			continue;
		place_step(&soak->places[i]);
		all_free &= __atomic_load_n(&soak->places[i].state, __ATOMIC_RELAXED) == PLACE_FREE;
	}
	return all_free;
}

static void *attend(void *argument)
{
	struct station *station = argument;
	struct peal_event events[EVENTS];
	struct place *place;

	for (;;) {
		int count = peal_poller_wait(station->poller, events, EVENTS, PEAL_FOREVER);

		assert_ok(count);
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PEAL_EVENT_WAKE) {
				step_all(station);
				continue;
			}
			place = handle(&events[i]);
			if (place)
				place_step(place);
		}
		if (__atomic_load_n(&station->soak->is_finishing, __ATOMIC_ACQUIRE) &&
		    step_all(station))
			return NULL;
	}
}

/* --- All ------------------------------------------------------------------------------------- */

void crew_start(struct soak *soak)
{
	soak->queue_end = &soak->queue;
	pthread_mutex_init(&soak->lock, NULL);
	pthread_cond_init(&soak->changed, NULL);
	for (int i = 0; i < soak->station_count; i++) {
		struct peal_poller_options options = {.size = sizeof(options),
						      .backend = soak->backends[i]};
		struct station *station = &soak->stations[i];
		int rc = peal_poller_create(&station->poller, &options);

		if (options.backend == PEAL_POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
			harness_skip("io_uring is not allowed here");
		assert_ok(rc);
		station->soak = soak;
		ck_assert_int_eq(pthread_create(&station->thread, NULL, attend, station), 0);
	}
	for (int i = 0; i < SOAK_WORKERS; i++)
		ck_assert_int_eq(pthread_create(&soak->workers[i], NULL, work, soak), 0);
}

void crew_join(struct soak *soak)
{
	for (int i = 0; i < soak->station_count; i++) {
		assert_ok(peal_poller_wake(soak->stations[i].poller));
		pthread_join(soak->stations[i].thread, NULL);
	}
	pthread_mutex_lock(&soak->lock);
	soak->is_over = true;
	pthread_cond_broadcast(&soak->changed);
	pthread_mutex_unlock(&soak->lock);
	for (int i = 0; i < SOAK_WORKERS; i++)
		pthread_join(soak->workers[i], NULL);
	/* Only now: a worker may have had a last wake for it. */
	for (int i = 0; i < soak->station_count; i++)
		peal_poller_close(soak->stations[i].poller);
	pthread_cond_destroy(&soak->changed);
	pthread_mutex_destroy(&soak->lock);
}
