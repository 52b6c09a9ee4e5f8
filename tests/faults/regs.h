/* SPDX-License-Identifier: MIT */
/*
 * regs.h - the two things that ptrace does differently on each architecture.
 */
#ifndef PEAL_TESTS_FAULTS_REGS_H
#define PEAL_TESTS_FAULTS_REGS_H

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)

/* At the entry of a system call: do not execute it. */
static inline void regs_skip_call(pid_t pid)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	regs.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}

/* At its exit: let it return this. */
static inline void regs_set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	regs.rax = (unsigned long long)result;
	ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}

#elif defined(__aarch64__)

static inline void regs_skip_call(pid_t pid)
{
	int none = -1;
	struct iovec number = {&none, sizeof(none)};

	ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &number);
}

static inline void regs_set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;
	struct iovec all = {&regs, sizeof(regs)};

	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all);
	regs.regs[0] = (unsigned long long)result;
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
}

#else
#	error "tests/faults: no register access for this architecture"
#endif

#endif
