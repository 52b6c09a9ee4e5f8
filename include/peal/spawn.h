/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - start a process that inherits exactly the descriptors it needs.
 *
 * The child is made with CLONE_VM|CLONE_VFORK|CLONE_PIDFD: nothing is copied, a failed exec comes
 * back as its errno, and the pidfd is there from the first instant. Close-on-exec is cleared in the
 * child alone, so no other thread's fork+exec can inherit what is ours. Needs Linux 5.4.
 *
 * Most hosts want peal_spawn() in channel.h, which passes a whole channel this way.
 */
#ifndef PEAL_SPAWN_H
#define PEAL_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A process that we started. Opaque; one thread at a time. */
struct peal_child;

/* SIGKILL for the child when the *thread* that spawned it ends (PR_SET_PDEATHSIG): spawn from a
 * thread that lives as long as the process. Undone by a pre_exec that changes user or group, and by
 * executing a set-user-ID program. */
#define PEAL_SPAWN_DIE_WITH_PARENT 1u
/* The child and all it starts can gain no privileges by exec (PR_SET_NO_NEW_PRIVS). */
#define PEAL_SPAWN_NO_NEW_PRIVS    2u

struct peal_rlimit {
	int resource; /* RLIMIT_... */
	struct rlimit limit;
};

struct peal_spawn_options {
	size_t size;        /* sizeof(struct peal_spawn_options); tells versions apart */
	unsigned int flags; /* PEAL_SPAWN_... */
	char *const *envp;  /* the child's environment; NULL: this process's */
	const struct peal_rlimit *rlimits;
	size_t rlimit_count;
	/* Called in the child just before exec, with all signals blocked, on a stack of 128 KiB and
	 * in the parent's memory: async-signal-safe calls only, and nothing that changes what the
	 * parent reads. Returns 0, or a negative errno that peal_spawn_fds() then fails with
	 * (-EINVAL for anything else). */
	int (*pre_exec)(void *data);
	void *pre_exec_data;
};

/* A descriptor to inherit; "ARG=N" is appended to the child's argv, N being its number. At the very
 * end, so that the program may be a launcher or an interpreter. */
struct peal_spawn_fd {
	const char *arg; /* such as "--doorbell-fd"; may repeat */
	int fd;          /* at least 3, each once; stays the caller's, and close-on-exec here */
};

/**
 * peal_spawn_fds() - start a program
 * @child: the new process
 * @argv: program and arguments, NULL-terminated. argv[0] without a slash is looked for in PATH
 * @fds: what it inherits besides standard input, output and error; every other descriptor of this
 *       process that is close-on-exec, as all of Peal's are, stays behind
 * @fd_count: how many
 * @options: NULL for the defaults
 *
 * The child starts with the default action for every signal and no signal blocked. Blocks until
 * the exec is done or has failed. Any thread.
 *
 * Return: 0; -EINVAL for bad arguments or options; -EBADF for a descriptor that is not open; the
 * exec's own errno (-ENOENT, -EACCES, ...); -EAGAIN, -ENOMEM, -EMFILE from clone(2) and friends.
 * On failure nothing is left: no process, no zombie, no descriptor. A signal that ends the child
 * before its exec is no failure: it shows in the child's status.
 */
PEAL_API int peal_spawn_fds(struct peal_child **child, char *const argv[],
			    const struct peal_spawn_fd *fds, size_t fd_count,
			    const struct peal_spawn_options *options);

/** peal_child_pid() - its process id. Names somebody else once the child has been waited for. */
PEAL_API pid_t peal_child_pid(const struct peal_child *child);

/** peal_child_pidfd() - readable once the child has ended; for poll(2). Stays the child's. */
PEAL_API int peal_child_pidfd(const struct peal_child *child);

enum peal_child_state {
	PEAL_CHILD_RUNNING = 0, /* value: 0 */
	PEAL_CHILD_EXITED = 1,  /* value: the exit status */
	PEAL_CHILD_KILLED = 2,  /* value: the signal */
};

struct peal_child_status {
	int state; /* enum peal_child_state */
	int value;
};

/**
 * peal_child_wait() - wait for the end and take the status; no zombie is left
 * @status: how it ended, may be NULL. Asking again gives the same answer
 *
 * Return: 0; -ETIMEDOUT at the deadline; -EAGAIN for PEAL_TRY while it runs; -ECHILD if somebody
 * else in this process reaped it (a SIGCHLD handler, SIGCHLD ignored). Cancellation point.
 */
PEAL_API int peal_child_wait(struct peal_child *child, uint64_t deadline_ns,
			     struct peal_child_status *status);

/** peal_child_kill() - send a signal; -ESRCH once it has been waited for. Never hits a stranger. */
PEAL_API int peal_child_kill(struct peal_child *child, int signal);

/**
 * peal_child_describe() - say in a sentence how the child fares, as far as known
 *
 * "'./plugin' (pid 4711) was killed by signal 11 (Segmentation fault)". Truncates at @size bytes.
 * Looks, does not wait; takes the status when the child has ended. A child that has just hung up may
 * take a moment more to end: call peal_child_wait() first to learn how. 256 bytes are always enough
 * but for very long names.
 *
 * Return: @buffer.
 */
PEAL_API char *peal_child_describe(struct peal_child *child, char *buffer, size_t size);

/**
 * peal_child_free() - end the child if it still runs (SIGKILL), reap it, free the handle
 *
 * NULL is fine. Return: NULL.
 */
PEAL_API struct peal_child *peal_child_free(struct peal_child *child);

#ifdef __cplusplus
}
#endif

#endif
