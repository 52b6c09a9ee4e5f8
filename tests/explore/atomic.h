/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - stands in for include/peal/detail/atomic.h: every access to shared memory becomes a step
 * of the explorer.
 *
 * The same guard as the real one, and put in front of every file by -include, so that the library's
 * sources are compiled as they are. What they copy from and into the ring goes by memcpy(), which
 * therefore is replaced as well.
 */
#ifndef PEAL_DETAIL_ATOMIC_H
#define PEAL_DETAIL_ATOMIC_H

#define _GNU_SOURCE /* comes before all headers, as wake.c wants it */
#include <stdint.h>
#include <string.h>

#include "explore.h"

#define PEAL_HELPER extern inline __attribute__((gnu_inline, always_inline))

PEAL_HELPER uint64_t peal_load_relaxed(const uint64_t *word)
{
	return explore_load(word, EXPLORE_RELAXED);
}

PEAL_HELPER uint64_t peal_load_acquire(const uint64_t *word)
{
	return explore_load(word, EXPLORE_ACQUIRE);
}

PEAL_HELPER void peal_store_relaxed(uint64_t *word, uint64_t value)
{
	explore_store(word, value, EXPLORE_RELAXED);
}

PEAL_HELPER void peal_store_release(uint64_t *word, uint64_t value)
{
	explore_store(word, value, EXPLORE_RELEASE);
}

PEAL_HELPER void peal_barrier_light(void)
{
	explore_light();
}

PEAL_HELPER void peal_barrier_full(void)
{
	explore_call(EXPLORE_FENCE);
}

/* Only what is written for the ring after this. */
#define memcpy explore_memcpy

#endif
