/* SPDX-License-Identifier: MIT */
/*
 * sized.h - one adapter made of many instances, each for one size of element.
 *
 * An adapter includes this, defines its instances (each_size.h), lists them in sized_all and gives
 * the sized_*() functions to its struct bench_adapter. They pick the instance for the payload.
 */
#ifndef PEAL_BENCH_SIZED_H
#define PEAL_BENCH_SIZED_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapter.h"

struct sized {
	uint64_t size; /* of an element in bytes */
	uint64_t room; /* capacity in bytes, 0: any */
	size_t (*shared_bytes)(const struct bench_config *config);
	int (*create)(struct bench_run *run);
	int (*attach)(struct bench_run *run, enum bench_role role);
	void (*detach)(struct bench_run *run, enum bench_role role);
	void (*first)(struct bench_run *run);
	void (*second)(struct bench_run *run);
};

/* The adapter's instances by growing size, then growing room; ends with NULL. */
static const struct sized *const *sized_list(void);

/* The smallest element that holds the payload, with the smallest room that holds the capacity, or
 * the largest room that there is. NULL if the payload is too large. */
static inline const struct sized *sized_find(const struct bench_config *config)
{
	const struct sized *found = NULL;

	for (const struct sized *const *at = sized_list(); *at; at++) {
		if ((*at)->size < config->payload)
			continue;
		if (found && ((*at)->size > found->size || found->room >= config->capacity))
			break;
		found = *at;
	}
	return found;
}

static inline size_t sized_bytes(const struct bench_config *config)
{
	const struct sized *sized = sized_find(config);

	return sized ? sized->shared_bytes(config) : 0;
}

static inline int sized_create(struct bench_run *run)
{
	const struct sized *sized = sized_find(&run->control->config);

	return sized ? sized->create(run) : -EMSGSIZE;
}

static inline int sized_attach(struct bench_run *run, enum bench_role role)
{
	return sized_find(&run->control->config)->attach(run, role);
}

static inline void sized_detach(struct bench_run *run, enum bench_role role)
{
	sized_find(&run->control->config)->detach(run, role);
}

static inline void sized_first(struct bench_run *run)
{
	sized_find(&run->control->config)->first(run);
}

static inline void sized_second(struct bench_run *run)
{
	sized_find(&run->control->config)->second(run);
}

/* Elements of @size bytes that are copied together when a batch is handed over: as many as the
 * batch has, but not more than fit the L1 cache beside the ring, for they are written and read
 * again at once. */
static inline size_t sized_staged(const struct bench_config *config, uint64_t size)
{
	const uint64_t most = UINT64_C(16384) / size;
	uint64_t count = config->kind == BENCH_BATCH && config->batch ? config->batch : 1;

	if (count > most)
		count = most;
	return count ? (size_t)count : 1;
}

#endif
