/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - stands in for <peal/detail/atomic.h>: it has the same guard and is included first.
 *
 * Every load goes through fuzz_load(), which answers for the peer's memory what the input says, anew
 * each time. So a word that is looked at twice has two values: what was checked is not what is used,
 * unless the code keeps a copy.
 */
#ifndef PEAL_DETAIL_ATOMIC_H
#define PEAL_DETAIL_ATOMIC_H

#include <stdint.h>

#define PEAL_HELPER extern inline __attribute__((gnu_inline, always_inline))

uint64_t fuzz_load(const uint64_t *word);
void fuzz_store(uint64_t *word, uint64_t value, int order);

PEAL_HELPER uint64_t peal_load_relaxed(const uint64_t *word)
{
	return fuzz_load(word);
}

PEAL_HELPER uint64_t peal_load_acquire(const uint64_t *word)
{
	return fuzz_load(word);
}

PEAL_HELPER void peal_store_relaxed(uint64_t *word, uint64_t value)
{
	fuzz_store(word, value, __ATOMIC_RELAXED);
}

PEAL_HELPER void peal_store_release(uint64_t *word, uint64_t value)
{
	fuzz_store(word, value, __ATOMIC_RELEASE);
}

PEAL_HELPER void peal_barrier_light(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

PEAL_HELPER void peal_barrier_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
