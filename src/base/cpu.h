/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BASE_CPU_H
#define PEAL_BASE_CPU_H

/* peal_cpu_relax() - tell the processor that this is a spin loop. */
static inline void peal_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	__asm__ volatile("");
#endif
}

/*
 * peal_cpu_finish_loads() - let no load begin before the ones so far are done
 *
 * For a loop that looks at one word again and again: otherwise many looks are under way at once, and
 * when the word changes, the processor throws all of them away and begins anew (Intel 64 and IA-32
 * Architectures Optimization Reference Manual, on PAUSE and memory order violations). Quicker to see
 * the change than a pause, but it rests nobody.
 */
static inline void peal_cpu_finish_loads(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
