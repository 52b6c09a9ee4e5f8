/* SPDX-License-Identifier: MIT */
/*
 * errors.c - how each system call may plausibly fail, with the arguments that the library gives it.
 *
 * Not here, because it would be a lie that nobody could bear: EAGAIN from send(2) and from write(2)
 * to an eventfd means that the queue is full, hence that a wake is pending. tests/unit/test-doorbell.c
 * fills real queues for that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "faults/trace.h"

#define ERRORS_MAX 8
#define NO_ARG     (-1)

static const struct rule {
	long nr;
	int arg;        /* holds for calls whose argument of this index, NO_ARG: for all, */
	uint64_t value; /* is this */
	int errors[ERRORS_MAX];
} rules[] = {
	{NR_ALLOCATION, NO_ARG, 0, {ENOMEM}},
	{SYS_brk, NO_ARG, 0, {0}}, /* the C library's own: see NR_ALLOCATION */
	{SYS_clock_nanosleep, NO_ARG, 0, {EINTR}},
	{SYS_clone, NO_ARG, 0, {EAGAIN, ENOMEM, EPERM}},
	{SYS_close, NO_ARG, 0, {EINTR, EIO}},
	{SYS_dup3, NO_ARG, 0, {EINTR, EBUSY, EBADF}},
	{SYS_epoll_create1, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM}},
	{SYS_epoll_ctl, 1, EPOLL_CTL_DEL, {ENOENT}},
	{SYS_epoll_ctl, NO_ARG, 0, {ENOMEM, ENOSPC, EPERM}},
	{SYS_epoll_pwait2, NO_ARG, 0, {EINTR, ENOSYS, EPERM}},
#ifdef SYS_epoll_wait
	{SYS_epoll_wait, NO_ARG, 0, {EINTR}},
#endif
	{SYS_epoll_pwait, NO_ARG, 0, {EINTR}},
	{SYS_eventfd2, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM, ENODEV}},
	{SYS_execve, NO_ARG, 0, {ENOENT, EACCES, E2BIG, ENOMEM, EIO}},
	{SYS_fallocate, NO_ARG, 0, {ENOSPC, ENOMEM, EINTR}},
	{SYS_fcntl, 1, F_DUPFD_CLOEXEC, {EMFILE, ENOMEM}},
	{SYS_fcntl, 1, F_ADD_SEALS, {EBUSY, EPERM}},
	{SYS_fcntl, 1, F_GET_SEALS, {EINVAL}},
	{SYS_fcntl, NO_ARG, 0, {EBADF, EPERM}}, /* the second from a filter */
	{SYS_fstatfs, NO_ARG, 0, {ENOMEM, ENOSYS}},
	{SYS_fstat, NO_ARG, 0, {ENOMEM, EBADF}},
#ifdef SYS_newfstatat
	{SYS_newfstatat, NO_ARG, 0, {ENOMEM, EBADF}},
#endif
	{SYS_ftruncate, NO_ARG, 0, {ENOMEM, EINTR, EPERM}},
	{SYS_getpeername, NO_ARG, 0, {ENOTCONN, ENOMEM}},
	{SYS_getrandom, NO_ARG, 0, {EINTR, ENOSYS}},
	{SYS_getsockopt, NO_ARG, 0, {ENOTSOCK, ENOMEM}},
	{SYS_io_uring_enter, NO_ARG, 0, {EINTR, EAGAIN, EBUSY, EBADR, ENOMEM}},
	{SYS_io_uring_setup, NO_ARG, 0, {ENOMEM, EPERM, ENOSYS, EMFILE, ENFILE, OLD_KERNEL}},
	{SYS_ioctl, NO_ARG, 0, {ENOTTY, EPERM}},
	{SYS_madvise, NO_ARG, 0, {ENOMEM, EINVAL, EAGAIN}},
	{SYS_membarrier, NO_ARG, 0, {EINVAL, EPERM, ENOSYS, ENOMEM}},
	{SYS_memfd_create, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM, EINVAL, ENOSYS}},
	{SYS_mmap, NO_ARG, 0, {ENOMEM, EAGAIN}},
	{SYS_mprotect, NO_ARG, 0, {ENOMEM, EACCES}},
	{SYS_munmap, NO_ARG, 0, {ENOMEM}},
	{SYS_openat, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT}},
	{SYS_pidfd_open, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}},
	{SYS_pidfd_send_signal, NO_ARG, 0, {EPERM}},
	{SYS_ppoll, NO_ARG, 0, {EINTR, ENOMEM, EINVAL}},
	{SYS_prctl, NO_ARG, 0, {EINVAL, EPERM}},
	{SYS_pread64, NO_ARG, 0, {EINTR, ENOMEM, EIO}},
	{SYS_prlimit64, NO_ARG, 0, {EPERM, EINVAL}},
	{SYS_pwrite64, NO_ARG, 0, {EINTR, ENOMEM, ENOSPC}},
	{SYS_read, NO_ARG, 0, {EINTR, EAGAIN, ENOMEM}},
#ifdef SYS_readlink
	{SYS_readlink, NO_ARG, 0, {ENOENT, ENOMEM, EACCES}},
#endif
	{SYS_readlinkat, NO_ARG, 0, {ENOENT, ENOMEM, EACCES}},
	{SYS_recvfrom, NO_ARG, 0, {EINTR, EAGAIN, ECONNRESET, ENOMEM}},
	{SYS_rt_sigaction, NO_ARG, 0, {EINVAL}},
	{SYS_rt_sigprocmask, NO_ARG, 0, {0}}, /* it can not, with these arguments */
	{SYS_sched_getaffinity, NO_ARG, 0, {EPERM, EINVAL}},
	{SYS_sendto, NO_ARG, 0, {EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
	{SYS_setsockopt, NO_ARG, 0, {ENOPROTOOPT, ENOMEM}},
	{SYS_socketpair, NO_ARG, 0, {EMFILE, ENFILE, ENOMEM}},
	{SYS_sysinfo, NO_ARG, 0, {ENOSYS, EPERM}},
	/* "Not yet" is an answer only to who does not wait. */
	{SYS_waitid, 3, WEXITED | WNOHANG, {EINTR, NOTHING}},
	{SYS_waitid, NO_ARG, 0, {EINTR}},
	{SYS_write, NO_ARG, 0, {EINTR, ENOMEM}},
};

const int *errors_of(const struct call *call)
{
	static const int none[] = {0};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (rule->nr == call->nr &&
		    (rule->arg == NO_ARG || call->args[rule->arg] == rule->value))
			return rule->errors;
	}
	return none;
}

bool trace_may_be_interrupted(const struct call *call)
{
	for (const int *error = errors_of(call); *error != 0; error++) {
		if (*error == EINTR)
			return true;
	}
	return false;
}
