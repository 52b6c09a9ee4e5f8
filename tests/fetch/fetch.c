/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fetch.h"
#include "harness.h"

/* EFLAGS.TF: a trap after the next instruction. */
#define TRAP_FLAG 0x100

static struct {
	void *memory;
	size_t bytes;
	struct fetches fetches;
	struct sigaction segv_before, trap_before;
} watch;

static void count(uintptr_t at)
{
	struct fetches *fetches = &watch.fetches;
	size_t i = 0;

	fetches->loads++;
	while (i < fetches->count && fetches->words[i].at != at)
		i++;
	if (i == FETCH_WORDS)
		abort();
	fetches->words[i].at = at;
	fetches->words[i].loads++;
	if (i == fetches->count)
		fetches->count++;
}

static void on_load(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	ucontext_t *machine = context;

	(void)signal;
	/* Anything else is a defect of its own: let it be one. */
	if (at - (uintptr_t)watch.memory >= watch.bytes)
		abort();
	count(at);
	mprotect(watch.memory, watch.bytes, PROT_READ);
	machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *machine = context;

	(void)signal;
	(void)info;
	mprotect(watch.memory, watch.bytes, PROT_NONE);
	machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

void fetch_begin(const void *memory, size_t bytes)
{
	struct sigaction load = {.sa_sigaction = on_load, .sa_flags = SA_SIGINFO};
	struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	watch.memory = (void *)(uintptr_t)memory;
	watch.bytes = bytes;
	memset(&watch.fetches, 0, sizeof(watch.fetches));
	ck_assert_int_eq(sigaction(SIGSEGV, &load, &watch.segv_before), 0);
	ck_assert_int_eq(sigaction(SIGTRAP, &step, &watch.trap_before), 0);
	ck_assert_int_eq(mprotect(watch.memory, bytes, PROT_NONE), 0);
}

const struct fetches *fetch_end(void)
{
	ck_assert_int_eq(mprotect(watch.memory, watch.bytes, PROT_READ), 0);
	sigaction(SIGSEGV, &watch.segv_before, NULL);
	sigaction(SIGTRAP, &watch.trap_before, NULL);
	return &watch.fetches;
}
