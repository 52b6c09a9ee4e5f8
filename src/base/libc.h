/* SPDX-License-Identifier: MIT */
/*
 * libc.h - what glibc has and musl has not; everything else is in both. Needs _GNU_SOURCE.
 */
#ifndef PEAL_BASE_LIBC_H
#define PEAL_BASE_LIBC_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#	include <sys/pidfd.h>
#else
#	include <signal.h>
#	include <sys/epoll.h>
#	include <sys/syscall.h>
#	include <time.h>

#	define TEMP_FAILURE_RETRY(call)                                                           \
		(__extension__({                                                                   \
			long result;                                                               \
			do                                                                         \
				result = (long)(call);                                             \
			while (result == -1 && errno == EINTR);                                    \
			result;                                                                    \
		}))

static inline int pidfd_send_signal(int pidfd, int signal, siginfo_t *info, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, info, flags);
}

/* As on an old kernel: musl's syscall(2) would be a wait that cannot be cancelled, its epoll_wait(2)
 * can. */
static inline int epoll_pwait2(int fd, struct epoll_event *events, int max,
			       const struct timespec *timeout, const sigset_t *mask)
{
	(void)fd, (void)events, (void)max, (void)timeout, (void)mask;
	errno = ENOSYS;
	return -1;
}

/* There these two are thread-safe, and translated only for a program that asks for that. */
static inline const char *strerrordesc_np(int error)
{
	return strerror(error);
}

static inline const char *sigdescr_np(int signal)
{
	return strsignal(signal);
}
#endif

#endif
