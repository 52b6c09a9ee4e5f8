/* SPDX-License-Identifier: MIT */
/*
 * Only async-signal-safe calls here, no allocation, no peal_fail(): all memory is the parent's, and
 * another of its threads may hold any lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/prctl.h>

#include "spawn/child.h"

/* An address or thread sanitizer keeps books in the parent's memory of functions entered and never
 * left, and this file has several. */
#define RUNS_IN_CHILD __attribute__((no_sanitize("address", "thread")))

/*
 * exec resets caught signals by itself, but ignored ones it keeps; and a signal that waits for the
 * mask to open would run the parent's handler, in the parent's memory, before exec.
 */
RUNS_IN_CHILD static void reset_signals(void)
{
	/* The kernel's struct sigaction on any architecture; SIG_DFL, no flags and an empty mask are
	 * all zeros. Raw, because the C library refuses its own signals, which could come ignored
	 * from whoever started the parent. */
	static const unsigned long default_action[16];

	/* SIGKILL and SIGSTOP fail, and need nothing. */
	for (int signal = 1; signal < _NSIG; signal++)
		syscall(SYS_rt_sigaction, signal, default_action, NULL, (size_t)(_NSIG / 8));
}

RUNS_IN_CHILD static int die_with_parent(pid_t parent)
{
	pid_t now;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* If the parent died before that, no signal will come. 0 is a parent outside of our pid
	 * namespace (it called unshare(CLONE_NEWPID)): alive or dead, it looks the same. */
	now = getppid();
	return now == parent || now == 0 ? 0 : -ESRCH;
}

RUNS_IN_CHILD static int set_rlimits(struct peal_spawn_plan *plan)
{
	const struct peal_spawn_options *options = plan->options;

	for (plan->index = 0; plan->index < options->rlimit_count; plan->index++) {
		const struct peal_rlimit *limit = &options->rlimits[plan->index];

		if (setrlimit(limit->resource, &limit->limit) < 0)
			return -errno;
	}
	return 0;
}

RUNS_IN_CHILD static int inherit_fds(struct peal_spawn_plan *plan)
{
	int rc = 0;

	for (plan->index = 0; plan->index < plan->fd_count; plan->index++) {
		rc = peal_fd_clear_cloexec(plan->fds[plan->index].fd);
		if (rc < 0)
			break;
	}
	return rc;
}

RUNS_IN_CHILD static int call_pre_exec(const struct peal_spawn_options *options)
{
	int rc = options->pre_exec(options->pre_exec_data);

	/* Anything but 0 and a negative errno is a mistake, and not one to start a program on. */
	return rc > 0 || rc < -4095 ? -EINVAL : rc;
}

/* Is this errno one after which the next directory of PATH may still have the program? */
RUNS_IN_CHILD static int may_be_elsewhere(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENAMETOOLONG ||
	       error == ESTALE || error == ENODEV || error == ETIMEDOUT;
}

RUNS_IN_CHILD static int exec_first(const struct peal_spawn_plan *plan)
{
	int error = ENOENT;
	int denied = 0;

	for (char **program = plan->programs; *program; program++) {
		execve(*program, plan->argv, plan->envp);
		error = errno;
		if (!may_be_elsewhere(error))
			return -error;
		denied |= error == EACCES;
	}
	/* Found but not to be executed says more than not found in the last directory. */
	return denied ? -EACCES : -error;
}

RUNS_IN_CHILD static int run(struct peal_spawn_plan *plan)
{
	const struct peal_spawn_options *options = plan->options;
	sigset_t none;
	int rc = 0;

	reset_signals();
	plan->step = PEAL_SPAWN_STEP_DIE_WITH_PARENT;
	if (options->flags & PEAL_SPAWN_DIE_WITH_PARENT)
		rc = die_with_parent(plan->parent);
	if (rc < 0)
		return rc;
	plan->step = PEAL_SPAWN_STEP_NO_NEW_PRIVS;
	if (options->flags & PEAL_SPAWN_NO_NEW_PRIVS && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	plan->step = PEAL_SPAWN_STEP_RLIMIT;
	rc = set_rlimits(plan);
	if (rc < 0)
		return rc;
	plan->step = PEAL_SPAWN_STEP_FD;
	rc = inherit_fds(plan);
	if (rc < 0)
		return rc;
	plan->step = PEAL_SPAWN_STEP_PRE_EXEC;
	if (options->pre_exec)
		rc = call_pre_exec(options);
	if (rc < 0)
		return rc;
	plan->step = PEAL_SPAWN_STEP_EXEC;
	sigemptyset(&none);
	peal_sigmask_set(&none, NULL);
	return exec_first(plan);
}

RUNS_IN_CHILD int peal_spawn_child(void *data)
{
	struct peal_spawn_plan *plan = data;

	plan->error = -run(plan);
	/* Never exit(): its handlers and buffers are the parent's. */
	_exit(PEAL_SPAWN_EXIT_FAILED);
}
