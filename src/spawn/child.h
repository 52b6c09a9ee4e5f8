/* SPDX-License-Identifier: MIT */
/*
 * child.h - what runs between clone and exec.
 *
 * The child shares the parent's memory and runs on a stack of its own while the parent's thread
 * stands still:
 *
 *        parent thread                          child
 *   build the plan: argv, paths to try
 *   block every signal
 *   clone ───────────────────────────────────▶ act on the plan
 *      (suspended)                              │ failed: write step, index, error; _exit
 *   read step, index, error ◀───────────────────┴ exec
 */
#ifndef PEAL_SPAWN_CHILD_H
#define PEAL_SPAWN_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <peal/spawn.h>

/* What the child does, in this order. */
enum peal_spawn_step {
	PEAL_SPAWN_STEP_DIE_WITH_PARENT,
	PEAL_SPAWN_STEP_NO_NEW_PRIVS,
	PEAL_SPAWN_STEP_RLIMIT, /* index: which of the options' rlimits */
	PEAL_SPAWN_STEP_FD,     /* index: which of fds */
	PEAL_SPAWN_STEP_PRE_EXEC,
	PEAL_SPAWN_STEP_EXEC,
};

struct peal_spawn_plan {
	/* Written by the parent. */
	const struct peal_spawn_options *options;
	const struct peal_spawn_fd *fds;
	size_t fd_count;
	char **argv;
	char *const *envp;
	char **programs; /* paths to try one after the other, NULL-terminated, at least one */
	pid_t parent;
	/* Written by the child if it could not exec. */
	enum peal_spawn_step step;
	size_t index;
	int error; /* positive errno; 0: the exec took place, or a signal ended the child before */
};

/* The status of a child that could not exec, as the shell has it. Nobody sees it but a tracer. */
#define PEAL_SPAWN_EXIT_FAILED 127

/*
 * peal_sigmask_set() - sigprocmask(2) itself
 *
 * The C library's function leaves out its own signals (cancellation, and setuid() that reaches
 * every thread), whose handlers must not run in the child either.
 */
static inline void peal_sigmask_set(const sigset_t *mask, sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, (size_t)(_NSIG / 8));
}

/*
 * peal_spawn_child() - the child's main function, for clone(2); does not return
 * @plan: struct peal_spawn_plan
 */
int peal_spawn_child(void *plan);

#endif
