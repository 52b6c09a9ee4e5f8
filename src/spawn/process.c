/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "spawn/process.h"

/* How long peal_child_free() waits for a process that was sent SIGKILL. Death is not at once: the
 * kernel first takes down its memory, which may be gigabytes. */
#define KILLED_WAIT_NS (5 * NSEC_PER_SEC)

struct peal_child *peal_child_new(const char *name)
{
	size_t size = strlen(name) + 1;
	struct peal_child *child = calloc(1, sizeof(*child) + size);

	if (!child)
		return NULL;
	child->pidfd = -1;
	memcpy(child->name, name, size);
	return child;
}

pid_t peal_child_pid(const struct peal_child *child)
{
	return child->pid;
}

int peal_child_pidfd(const struct peal_child *child)
{
	return child->pidfd;
}

static void keep_status(struct peal_child *child, const siginfo_t *info)
{
	child->status.state = info->si_code == CLD_EXITED ? PEAL_CHILD_EXITED : PEAL_CHILD_KILLED;
	child->status.value = info->si_status;
}

int peal_child_take_status(struct peal_child *child, int flags)
{
	siginfo_t info = {0};
	int rc;

	if (child->status.state != PEAL_CHILD_RUNNING)
		return 0;
	do
		rc = waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | flags);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	keep_status(child, &info);
	return 0;
}

/* Return: 0 when the child has ended (but is not reaped yet), -ETIMEDOUT, or a negative errno. */
static int await_end(const struct peal_child *child, uint64_t deadline_ns)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
	struct timespec left;
	int rc;

	do
		rc = ppoll(&end, 1, peal_time_left(deadline_ns, &left), NULL);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	return rc > 0 ? 0 : -ETIMEDOUT;
}

int peal_child_wait(struct peal_child *child, uint64_t deadline_ns,
		    struct peal_child_status *status)
{
	int rc;

	if (child->status.state == PEAL_CHILD_RUNNING && deadline_ns != PEAL_TRY) {
		rc = await_end(child, deadline_ns);
		if (rc == -ETIMEDOUT)
			return rc;
		if (rc < 0)
			return peal_fail_errno("waiting for a child to end");
	}
	/* Blocks past the deadline in one case: the child is dead, but a debugger holds it. */
	rc = peal_child_take_status(child, deadline_ns == PEAL_TRY ? WNOHANG : 0);
	if (rc == -ECHILD)
		return peal_fail(
			ECHILD,
			"the status of '%.100s' (pid %d) was taken by somebody else in this "
			"process, or SIGCHLD is ignored",
			child->name, (int)child->pid);
	if (rc < 0)
		return rc == -EAGAIN ? rc : peal_fail_errno("reaping a child");
	if (status)
		*status = child->status;
	return 0;
}

int peal_child_kill(struct peal_child *child, int signal)
{
	/* By pidfd: the pid may name another process by now. */
	if (pidfd_send_signal(child->pidfd, signal, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return peal_fail(ESRCH, "'%.100s' (pid %d) has ended and was waited for",
				 child->name, (int)child->pid);
	return peal_fail(errno, "sending signal %d to '%.100s' (pid %d): %s", signal, child->name,
			 (int)child->pid, peal_strerror(errno));
}

char *peal_child_describe(struct peal_child *child, char *buffer, size_t size)
{
	int rc = peal_child_take_status(child, WNOHANG);
	int value = child->status.value, pid = (int)child->pid;
	const char *text;

	if (rc == -EAGAIN) {
		snprintf(buffer, size, "'%s' (pid %d) is running", child->name, pid);
	} else if (rc < 0) {
		snprintf(buffer, size, "'%s' (pid %d) has ended, its status is not known",
			 child->name, pid);
	} else if (child->status.state == PEAL_CHILD_EXITED) {
		snprintf(buffer, size, "'%s' (pid %d) exited with status %d", child->name, pid,
			 value);
	} else {
		text = sigdescr_np(value); /* untranslated; NULL for real-time signals */
		snprintf(buffer, size, "'%s' (pid %d) was killed by signal %d (%s)", child->name,
			 pid, value, text ? text : "a real-time signal");
	}
	return buffer;
}

/* After SIGKILL. A process that is stuck in the kernel (a dead network mount) gets the signal when it
 * comes unstuck. We do not wait for that: it is then a zombie until this process ends, which is the
 * lesser evil to hanging in a destructor. */
static void reap_killed(struct peal_child *child)
{
	const uint64_t deadline_ns = peal_deadline_in_ns(KILLED_WAIT_NS);
	const struct timespec little = {.tv_nsec = 1000000};

	if (await_end(child, deadline_ns) == -ETIMEDOUT)
		return;
	/* Dead, but a debugger or a leak checker may hold on to it, and nothing tells when it lets
	 * go; the pidfd is readable all the while. Or the kernel could not wait: then we look. */
	while (peal_child_take_status(child, WNOHANG) == -EAGAIN &&
	       !peal_deadline_passed(deadline_ns))
		nanosleep(&little, NULL);
}

struct peal_child *peal_child_free(struct peal_child *child)
{
	int cancel;

	if (!child)
		return NULL;
	/* A destructor that is cancelled half way would leak the rest. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (child->pidfd >= 0 && peal_child_take_status(child, WNOHANG) == -EAGAIN) {
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
		reap_killed(child);
	}
	peal_fd_close(&child->pidfd);
	free(child);
	pthread_setcancelstate(cancel, NULL);
	return NULL;
}
