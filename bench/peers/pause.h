/* SPDX-License-Identifier: MIT */
/* pause.h - what a peer does between two looks, where its documentation leaves that to its user. */
#ifndef PEAL_BENCH_PAUSE_H
#define PEAL_BENCH_PAUSE_H

static inline void bench_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
