/* SPDX-License-Identifier: MIT */
/*
 * The parent's side of a spawn: all that can be prepared, checked and allocated is, before clone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "base/options.h"
#include "spawn/child.h"
#include "spawn/process.h"

/* The struct as it was when it first appeared; today there is only that one. */
#define OPTIONS_FIRST_SIZE sizeof(struct peal_spawn_options)
#define FLAGS_KNOWN        (PEAL_SPAWN_DIE_WITH_PARENT | PEAL_SPAWN_NO_NEW_PRIVS)

/* We need a few hundred bytes; the rest is for pre_exec. Untouched pages cost nothing. */
#define STACK_SIZE ((size_t)128 << 10)

/* The digits of the largest int. */
#define FD_DIGITS 10

struct launch {
	struct peal_spawn_options options;
	struct peal_spawn_plan plan;
	struct peal_child *child;
	char *stack; /* a guard page, then STACK_SIZE bytes */
	size_t guard;
};

/* peal_strerror() speaks of channels: its EAGAIN is not clone(2)'s. */
static const char *reason(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}

static int check_fd(const struct peal_spawn_fd *fds, size_t index)
{
	const char *arg = fds[index].arg;
	int fd = fds[index].fd;
	int rc;

	if (!arg || *arg == '\0')
		return peal_fail(EINVAL, "descriptor %d to inherit has no argument name", fd);
	rc = peal_fd_validate(fd);
	if (rc == -EBADF)
		return peal_fail(EBADF, "%s: descriptor %d is not open", arg, fd);
	if (rc < 0)
		return peal_fail(-rc, "%s: %d is a standard stream or none; expected 3 or more",
				 arg, fd);
	for (size_t i = 0; i < index; i++)
		if (fds[i].fd == fd)
			return peal_fail(EINVAL, "%s: descriptor %d is already inherited as %s",
					 arg, fd, fds[i].arg);
	return 0;
}

static int check_arguments(char *const argv[], const struct peal_spawn_fd *fds, size_t fd_count,
			   const struct peal_spawn_options *options)
{
	int rc = 0;

	if (!argv || !argv[0])
		return peal_fail(EINVAL, "argv names no program");
	if (!fds && fd_count > 0)
		return peal_fail(EINVAL, "%zu descriptors to inherit, but no list of them",
				 fd_count);
	if (!options->rlimits && options->rlimit_count > 0)
		return peal_fail(EINVAL, "%zu resource limits, but no list of them",
				 options->rlimit_count);
	if (options->flags & ~FLAGS_KNOWN)
		return peal_fail(EINVAL, "unknown spawn flags %#x", options->flags & ~FLAGS_KNOWN);
	for (size_t i = 0; rc == 0 && i < fd_count; i++)
		rc = check_fd(fds, i);
	return rc;
}

/* argv with "ARG=N" for each descriptor at its end. One block: the pointers, then the new text. */
static char **build_argv(char *const argv[], const struct peal_spawn_fd *fds, size_t fd_count)
{
	size_t argc = 0, text_size = 0;
	char **built, *text;

	while (argv[argc])
		argc++;
	for (size_t i = 0; i < fd_count; i++)
		text_size += strlen(fds[i].arg) + sizeof("=") + FD_DIGITS;
	built = malloc((argc + fd_count + 1) * sizeof(*built) + text_size);
	if (!built)
		return NULL;
	memcpy(built, argv, argc * sizeof(*built));
	text = (char *)(built + argc + fd_count + 1);
	for (size_t i = 0; i < fd_count; i++) {
		built[argc + i] = text;
		text += sprintf(text, "%s=%d", fds[i].arg, fds[i].fd) + 1;
	}
	built[argc + fd_count] = NULL;
	return built;
}

static const char *search_path(void)
{
	const char *path = getenv("PATH");

	/* What execvp(3) falls back on. The current directory is not in it. */
	return path ? path : "/bin:/usr/bin";
}

/*
 * Where the program may be. The search itself is left to the child's execve: asking first would
 * give another answer than exec does, at another time.
 */
static char **build_programs(char *name)
{
	bool search = *name != '\0' && !strchr(name, '/');
	const char *path = search ? search_path() : "";
	size_t count = 1, used = 0;
	char **built, *text;

	for (const char *colon = strchr(path, ':'); colon; colon = strchr(colon + 1, ':'))
		count++;
	built = malloc((count + 1) * sizeof(*built) + strlen(path) +
		       count * (strlen(name) + sizeof("/")));
	if (!built)
		return NULL;
	text = (char *)(built + count + 1);
	while (used < count) {
		int length = (int)strcspn(path, ":");

		built[used++] = text;
		/* An empty entry is the current directory, by POSIX. */
		text += sprintf(text, "%.*s%s%s", length, path, length > 0 ? "/" : "", name) + 1;
		path += length + (path[length] == ':');
	}
	built[used] = NULL;
	return built;
}

static int launch_stack(struct launch *launch)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	char *stack = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	launch->stack = stack;
	launch->guard = guard;
	/* A pre_exec that needs more must hit this and not what the parent has below. */
	return mprotect(stack, guard, PROT_NONE) < 0 ? -errno : 0;
}

static int launch_prepare(struct launch *launch, char *const argv[],
			  const struct peal_spawn_fd *fds, size_t fd_count)
{
	struct peal_spawn_plan *plan = &launch->plan;
	int rc;

	plan->options = &launch->options;
	plan->fds = fds;
	plan->fd_count = fd_count;
	plan->envp = launch->options.envp ? launch->options.envp : environ;
	plan->parent = getpid();
	plan->argv = build_argv(argv, fds, fd_count);
	plan->programs = build_programs(argv[0]);
	launch->child = peal_child_new(argv[0]);
	rc = plan->argv && plan->programs && launch->child ? launch_stack(launch) : -ENOMEM;
	if (rc < 0)
		return peal_fail(-rc, "preparing to start '%.100s': %s", argv[0], reason(-rc));
	return 0;
}

static void launch_release(struct launch *launch)
{
	if (launch->stack)
		munmap(launch->stack, launch->guard + STACK_SIZE);
	free(launch->plan.argv);
	free(launch->plan.programs);
	peal_child_free(launch->child);
}

/*
 * Every signal is blocked meanwhile, so that none of the parent's handlers runs in the child, in
 * the parent's memory and with the child's process id.
 */
static int launch_clone(struct launch *launch)
{
	struct peal_child *child = launch->child;
	char *top = launch->stack + launch->guard + STACK_SIZE;
	sigset_t all, old;
	pid_t pid;
	int error;

	memset(&all, 0xff, sizeof(all)); /* sigfillset() leaves out the C library's own signals */
	peal_sigmask_set(&all, &old);
	pid = clone(peal_spawn_child, top, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
		    &launch->plan, &child->pidfd);
	error = errno;
	peal_sigmask_set(&old, NULL);
	if (pid < 0)
		return peal_fail(error, "starting '%.100s': clone: %s", child->name, reason(error));
	child->pid = pid;
	return 0;
}

/* Why the child could not exec; it is reaped by launch_finish(). */
static int exec_failed(const struct launch *launch)
{
	const struct peal_spawn_plan *plan = &launch->plan;
	const char *name = launch->child->name, *text = reason(plan->error);
	int error = plan->error;

	switch (plan->step) {
	case PEAL_SPAWN_STEP_DIE_WITH_PARENT:
		return peal_fail(error, "starting '%.100s': tying it to this process's life: %s",
				 name, text);
	case PEAL_SPAWN_STEP_NO_NEW_PRIVS:
		return peal_fail(error, "starting '%.100s': setting no_new_privs: %s", name, text);
	case PEAL_SPAWN_STEP_RLIMIT:
		return peal_fail(error, "starting '%.100s': setting resource limit %d: %s", name,
				 plan->options->rlimits[plan->index].resource, text);
	case PEAL_SPAWN_STEP_FD:
		return peal_fail(error, "starting '%.100s': handing over descriptor %d (%s): %s",
				 name, plan->fds[plan->index].fd, plan->fds[plan->index].arg, text);
	case PEAL_SPAWN_STEP_PRE_EXEC:
		return peal_fail(error, "starting '%.100s': its pre_exec function failed: %s", name,
				 text);
	case PEAL_SPAWN_STEP_EXEC:
		break;
	}
	return peal_fail(error, "starting '%.100s': %s", name, text);
}

/* The kernel takes the lowest free number, which is 0 where standard input is closed. */
static int move_pidfd_up(struct peal_child *child)
{
	int moved;

	if (child->pidfd >= PEAL_FD_MIN)
		return 0;
	/* Not peal_fd_move_up_take(): should this fail, the old one is needed to end the child. */
	moved = fcntl(child->pidfd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	if (moved < 0)
		return peal_fail(errno, "starting '%.100s': moving its pidfd up to 3 or more: %s",
				 child->name, reason(errno));
	peal_fd_close(&child->pidfd);
	child->pidfd = moved;
	return 0;
}

static int launch_finish(struct launch *launch)
{
	if (launch->plan.error == 0)
		return move_pidfd_up(launch->child);
	/* It has called _exit, so this is short; without a time limit, no zombie can stay. */
	peal_child_take_status(launch->child, 0);
	return exec_failed(launch);
}

static int spawn_fds(struct peal_child **child, char *const argv[], const struct peal_spawn_fd *fds,
		     size_t fd_count, const struct peal_spawn_options *options)
{
	struct launch launch = {0};
	int rc = peal_options_copy(&launch.options, sizeof(launch.options), OPTIONS_FIRST_SIZE,
				   options);

	if (rc == 0)
		rc = check_arguments(argv, fds, fd_count, &launch.options);
	if (rc == 0)
		rc = launch_prepare(&launch, argv, fds, fd_count);
	if (rc == 0)
		rc = launch_clone(&launch);
	if (rc == 0)
		rc = launch_finish(&launch);
	if (rc == 0) {
		*child = launch.child;
		launch.child = NULL;
	}
	launch_release(&launch);
	return rc;
}

int peal_spawn_fds(struct peal_child **child, char *const argv[], const struct peal_spawn_fd *fds,
		   size_t fd_count, const struct peal_spawn_options *options)
{
	int cancel, rc;

	/* A cancellation point in pre_exec would unwind this thread inside of the child. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	rc = spawn_fds(child, argv, fds, fd_count, options);
	pthread_setcancelstate(cancel, NULL);
	return rc;
}
