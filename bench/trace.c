/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"
#include "trace.h"

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |  \
	 PTRACE_O_EXITKILL)

/* The process that a thread belongs to. */
static pid_t process_of(pid_t thread)
{
	char path[64], line[256];
	FILE *file;
	pid_t process = thread;

	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	if (file)
		fclose(file);
	return process;
}

/* Between the beginning and the end of the loops that are measured, not those that warm up? */
static bool is_measuring(const struct bench_control *control, const struct bench_side *side)
{
	return __atomic_load_n(&control->go, __ATOMIC_ACQUIRE) == 2 &&
	       __atomic_load_n(&side->begin_ns, __ATOMIC_ACQUIRE) != 0 &&
	       __atomic_load_n(&side->end_ns, __ATOMIC_ACQUIRE) == 0;
}

static void count_call(const struct bench_arena *arena, pid_t thread, struct bench_trace traced[2])
{
	const struct bench_control *control = &arena->control;
	const struct bench_side *side;
	struct __ptrace_syscall_info info;
	enum bench_role role;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	role = process_of(thread) == arena->pids[BENCH_FIRST] ? BENCH_FIRST : BENCH_SECOND;
	side = role == BENCH_FIRST ? &control->first : &control->second;
	if (!is_measuring(control, side) || info.entry.nr == SYS_clock_nanosleep)
		return;
	traced[role].total++;
	if (info.entry.nr < BENCH_SYSCALLS)
		traced[role].calls[info.entry.nr]++;
}

/* What to deliver when the thread goes on. */
static int signal_of(int status)
{
	int number = WSTOPSIG(status);

	/* A stop of our making, not a signal. */
	return number == (SIGTRAP | 0x80) || status >> 16 != 0 ? 0 : number;
}

static int trace_loop(struct bench_arena *arena, pid_t first, uint64_t deadline_ns,
		      struct bench_trace traced[2], int *status)
{
	for (;;) {
		int stopped;
		pid_t thread = waitpid(-1, &stopped, __WALL);

		if (bench_interrupted())
			return -EINTR;
		if (bench_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		if (thread < 0 && errno == EINTR)
			continue;
		if (thread < 0)
			return -errno;
		if (!WIFSTOPPED(stopped)) {
			if (thread != first)
				continue;
			*status = stopped;
			return 0;
		}
		if (WSTOPSIG(stopped) == (SIGTRAP | 0x80))
			count_call(arena, thread, traced);
		ptrace(PTRACE_SYSCALL, thread, 0, signal_of(stopped));
	}
}

int bench_trace_run(struct bench_arena *arena, pid_t first, uint64_t deadline_ns,
		    struct bench_trace traced[2], int *status)
{
	const struct itimerval tick = {{0, 100000}, {0, 100000}}, off = {{0, 0}, {0, 0}};
	int rc;

	if (ptrace(PTRACE_SEIZE, first, 0, OPTIONS) < 0 ||
	    ptrace(PTRACE_INTERRUPT, first, 0, 0) < 0) {
		kill(first, SIGKILL);
		return -EPERM;
	}
	__atomic_store_n(&arena->gate, 1, __ATOMIC_RELEASE);
	/* So that the wait for a stop ends now and then. */
	setitimer(ITIMER_REAL, &tick, NULL);
	rc = trace_loop(arena, first, deadline_ns, traced, status);
	setitimer(ITIMER_REAL, &off, NULL);
	if (rc < 0)
		kill(first, SIGKILL);
	return rc;
}

/* Those that rings are known to make. */
static const struct {
	long number;
	const char *name;
} names[] = {
	{SYS_read, "read"},
	{SYS_write, "write"},
	{SYS_readv, "readv"},
	{SYS_writev, "writev"},
	{SYS_sendto, "sendto"},
	{SYS_recvfrom, "recvfrom"},
	{SYS_sendmsg, "sendmsg"},
	{SYS_recvmsg, "recvmsg"},
	{SYS_sendmmsg, "sendmmsg"},
	{SYS_recvmmsg, "recvmmsg"},
	{SYS_ppoll, "ppoll"},
	{SYS_futex, "futex"},
	{SYS_membarrier, "membarrier"},
	{SYS_sched_yield, "sched_yield"},
	{SYS_epoll_pwait, "epoll_pwait"},
	{SYS_epoll_ctl, "epoll_ctl"},
	{SYS_nanosleep, "nanosleep"},
	{SYS_ioctl, "ioctl"},
	{SYS_getpid, "getpid"},
	{SYS_getrandom, "getrandom"},
	{SYS_mmap, "mmap"},
	{SYS_munmap, "munmap"},
	{SYS_mprotect, "mprotect"},
	{SYS_madvise, "madvise"},
	{SYS_brk, "brk"},
	{SYS_vmsplice, "vmsplice"},
	{SYS_splice, "splice"},
	{SYS_setsockopt, "setsockopt"},
	{SYS_mq_timedsend, "mq_send"},
	{SYS_mq_timedreceive, "mq_receive"},
#ifdef SYS_poll /* newer architectures have the p-variants alone */
	{SYS_poll, "poll"},
	{SYS_epoll_wait, "epoll_wait"},
#endif
};

static void append_call(char *text, size_t size, long number, double per_message)
{
	size_t used = strlen(text);
	const char *name = NULL;
	char unknown[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			name = names[i].name;
	if (!name) {
		snprintf(unknown, sizeof(unknown), "syscall %ld", number);
		name = unknown;
	}
	snprintf(text + used, size - used, "%s%s %.3g", used ? ", " : "", name, per_message);
}

void bench_trace_describe(const struct bench_trace *trace, uint64_t messages, char *text,
			  size_t size)
{
	struct bench_trace rest = *trace;

	text[0] = '\0';
	for (int shown = 0; shown < 4; shown++) {
		size_t most = 0;

		for (size_t i = 0; i < BENCH_SYSCALLS; i++)
			if (rest.calls[i] > rest.calls[most])
				most = i;
		if (rest.calls[most] == 0)
			return;
		append_call(text, size, (long)most,
			    (double)rest.calls[most] / (double)(messages ? messages : 1));
		rest.calls[most] = 0;
	}
}
