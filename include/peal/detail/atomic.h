/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - every access to shared memory that needs an order goes through here.
 *
 * Plain integers and the compiler's builtins rather than _Atomic, because C++ includes this. Each
 * operation is one function, so that a test can put an instrumented header of the same guard in its
 * place and see every one.
 *
 * Not part of the API: include <peal/ring.h>.
 */
#ifndef PEAL_DETAIL_ATOMIC_H
#define PEAL_DETAIL_ATOMIC_H

#include <stdint.h>

/* A piece of a hot function. Not static, because what is not static may not call what is; inlined
 * without exception, so that no symbol is ever needed. */
#ifdef __cplusplus
#	define PEAL_HELPER inline __attribute__((always_inline))
#else
#	define PEAL_HELPER extern inline __attribute__((gnu_inline, always_inline))
#endif

PEAL_HELPER uint64_t peal_load_relaxed(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

PEAL_HELPER uint64_t peal_load_acquire(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

PEAL_HELPER void peal_store_relaxed(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

PEAL_HELPER void peal_store_release(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* The LIGHT barrier of asymmetric mode: orders what the compiler emits, costs no instruction. The
 * sleeper's membarrier(2) supplies the processor's half. */
PEAL_HELPER void peal_barrier_light(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* LIGHT and HEAVY of fence mode. */
PEAL_HELPER void peal_barrier_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
