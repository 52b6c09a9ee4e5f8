/* SPDX-License-Identifier: MIT */
/*
 * sites.h - every place in the library that calls into the kernel, as its machine code has them.
 *
 * Taken from the disassembly of a copy of the library that is built without optimisation: there, a
 * call in the source is one call instruction, and nothing is inlined or jumped to. What the list
 * does not know, neither as a function that makes system calls nor as one that makes none, fails the
 * test: a new function can not slip in unfaulted.
 */
#ifndef PEAL_TESTS_FAULTS_SITES_H
#define PEAL_TESTS_FAULTS_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SITES_MAX 256

struct site {
	uintptr_t back; /* where the call returns to */
	char name[40];  /* the function that is called, without a trailing 64 */
	char caller[48];
	/* What the tests did. */
	unsigned int reached;
	unsigned int failed;
	unsigned int can_fail; /* seen with arguments for which there is a plausible errno */
};

struct sites {
	struct site at[SITES_MAX];
	size_t count;
	uintptr_t begin, end;
	char unknown[80]; /* a function that the lists do not have */
};

/* sites_load() - disassemble. Memory that forked tests share. */
struct sites *sites_load(void);

/* sites_find() - the first of these words from the stack that is the return address of a call which
 * may have made this system call. Return: its index or -1. */
int sites_find(const struct sites *sites, const uintptr_t *words, size_t count, long nr);

/* sites_at() - the site that returns to this address. Return: its index or -1. */
int sites_at(const struct sites *sites, const void *back);

#endif
