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

#endif
