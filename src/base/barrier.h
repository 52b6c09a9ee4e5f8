/* SPDX-License-Identifier: MIT */
/*
 * barrier.h - the asymmetric barrier: who sleeps pays, so that who is awake need not.
 *
 * membarrier(2) with GLOBAL_EXPEDITED runs a full barrier on every processor that executes a
 * registered process at that moment; every other one has passed through the scheduler, which is a
 * full barrier too. A compiler barrier here and a membarrier there thus order like two fences.
 */
#ifndef PEAL_BASE_BARRIER_H
#define PEAL_BASE_BARRIER_H

#include <stdbool.h>

/* peal_membarrier_register() - may others rely on membarrier against this process, and may we call
 * it? False where the kernel or a seccomp filter refuses. Registration is lost by exec. */
bool peal_membarrier_register(void);

/* peal_membarrier() - the HEAVY barrier. Return: 0 or a negative errno. */
int peal_membarrier(void);

#endif
