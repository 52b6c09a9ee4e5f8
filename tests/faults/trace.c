/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/regs.h"
#include "faults/trace.h"
#include "harness.h"
#include "ipc/ipc.h"

/* Far beyond what any scenario takes: a hang is a hang. */
#define TIME_OUT_S  60
#define STACK_WORDS 512
#define TRACEES_MAX 4
#define TRACE_OPTIONS                                                                              \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |  \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

struct tracee {
	pid_t pid; /* 0: free */
	bool is_new;
	bool overrides; /* when the call returns, it returns @result */
	long result;
	uintptr_t features; /* when it returns, these four bytes are zero; 0: none */
};

struct tracer {
	struct trace *trace;
	const struct sites *sites;
	struct tracee tracees[TRACEES_MAX];
	pid_t main;
	bool is_over;
};

static volatile sig_atomic_t is_late;

static void be_late(int signal)
{
	(void)signal;
	is_late = 1;
}

/* In at most two pieces: a stack may end within the first page. */
static int find_site(const struct tracer *tracer, pid_t pid, uintptr_t stack, long nr)
{
	const size_t page = 4096;
	uintptr_t words[STACK_WORDS];
	size_t first = page - stack % page;
	struct iovec local = {words, sizeof(words)}, remote[2];
	ssize_t got;

	if (first > sizeof(words))
		first = sizeof(words);
	remote[0] = (struct iovec){(void *)stack, first};
	remote[1] = (struct iovec){(void *)(stack + first), sizeof(words) - first};
	got = process_vm_readv(pid, &local, 1, remote, 2, 0);
	if (got < 0)
		return -1;
	return sites_find(tracer->sites, words, (size_t)got / sizeof(words[0]), nr);
}

/* Only what is about to exist for the first time, and in the parent alone. */
static bool leaks_into_children(const struct call *call)
{
	const uint64_t *args = call->args;

	switch (call->nr) {
	case SYS_memfd_create:
		return !(args[1] & MFD_CLOEXEC);
	case SYS_socketpair:
		return !(args[1] & SOCK_CLOEXEC);
	case SYS_eventfd2:
		return !(args[1] & EFD_CLOEXEC);
	case SYS_epoll_create1:
		return !(args[0] & EPOLL_CLOEXEC);
	case SYS_dup3:
		return !(args[2] & O_CLOEXEC);
	case SYS_openat:
		return !(args[2] & O_CLOEXEC);
	case SYS_fcntl:
		return args[1] == F_DUPFD || (args[1] == F_SETFD && !(args[2] & FD_CLOEXEC));
	case SYS_dup:
	case SYS_socket:
		return true;
	default:
		return false;
	}
}

static bool is_like(const struct call *call, const struct call *like)
{
	return call->step == like->step && call->site == like->site && call->nr == like->nr;
}

/* Which failure is this call's? 0: none. */
static int choose(struct trace *trace, const struct call *call)
{
	struct fault *fault;

	if (trace->injected > 0) {
		fault = &trace->faults[trace->injected - 1];
		if (fault->is_lasting && call->nr == fault->like.nr && errors_of(call)[0] != 0)
			return fault->error;
	}
	if (trace->injected < trace->fault_count) {
		fault = &trace->faults[trace->injected];
		if (is_like(call, &fault->like) && fault->skip-- == 0) {
			trace->injected++;
			return fault->error;
		}
	}
	if (trace->eintr_percent > 0 && trace_may_be_interrupted(call) &&
	    stream_random(&trace->dice) % 100 < trace->eintr_percent) {
		trace->interrupted++;
		return EINTR;
	}
	return 0;
}

static void enter(struct tracer *tracer, struct tracee *tracee,
		  const struct __ptrace_syscall_info *info)
{
	struct trace *trace = tracer->trace;
	struct call call = {.step = report->step, .nr = (long)info->entry.nr};
	int error;

	if (call.step == 0)
		return;
	memcpy(call.args, info->entry.args, sizeof(call.args));
	call.site = find_site(tracer, tracee->pid, info->stack_pointer, call.nr);
	if (trace->call_count < CALLS_MAX)
		trace->calls[trace->call_count++] = call;
	if (tracee->pid == tracer->main && leaks_into_children(&call))
		snprintf(trace->wrong, sizeof(trace->wrong),
			 "system call %ld (%#llx, %#llx, %#llx) leaves a descriptor without "
			 "close-on-exec",
			 call.nr, (unsigned long long)call.args[0],
			 (unsigned long long)call.args[1], (unsigned long long)call.args[2]);
	error = choose(trace, &call);
	if (error == 0)
		return;
	if (error == OLD_KERNEL) {
		tracee->features = call.args[1] + offsetof(struct io_uring_params, features);
		return;
	}
	tracee->overrides = true;
	tracee->result = error == NOTHING ? 0 : -error;
	if (call.nr != SYS_close)
		regs_skip_call(tracee->pid);
}

static void clear(pid_t pid, uintptr_t address)
{
	uint32_t zero = 0;
	struct iovec local = {&zero, sizeof(zero)}, remote = {(void *)address, sizeof(zero)};

	process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

/* Return: false: it is not to be traced any more. */
static bool at_system_call(struct tracer *tracer, struct tracee *tracee)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof(info), &info) < 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		enter(tracer, tracee, &info);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee->overrides) {
		regs_set_result(tracee->pid, tracee->result);
		tracee->overrides = false;
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee->features != 0) {
		clear(tracee->pid, tracee->features);
		tracee->features = 0;
	}
	return !report->is_finished || tracee->overrides;
}

static struct tracee *find(struct tracer *tracer, pid_t pid)
{
	struct tracee *free_one = NULL;

	for (int i = 0; i < TRACEES_MAX; i++) {
		if (tracer->tracees[i].pid == pid)
			return &tracer->tracees[i];
		if (tracer->tracees[i].pid == 0)
			free_one = &tracer->tracees[i];
	}
	ck_assert_ptr_nonnull(free_one);
	*free_one = (struct tracee){.pid = pid, .is_new = true};
	return free_one;
}

static void stopped(struct tracer *tracer, struct tracee *tracee, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16, pass_on = 0;
	bool goes_on = true;

	if (signal == (SIGTRAP | 0x80))
		goes_on = at_system_call(tracer, tracee);
	else if (event == PTRACE_EVENT_EXEC)
		goes_on = tracee->pid == tracer->main;
	else if (event == 0 && !(tracee->is_new && signal == SIGSTOP))
		pass_on = signal;
	if (signal == SIGSTOP)
		tracee->is_new = false;
	if (goes_on) {
		ptrace(PTRACE_SYSCALL, tracee->pid, NULL, pass_on);
	} else {
		ptrace(PTRACE_DETACH, tracee->pid, NULL, pass_on);
		if (tracee->pid != tracer->main)
			tracee->pid = 0;
	}
}

static void kill_all(struct tracer *tracer)
{
	tracer->trace->timed_out = true;
	for (int i = 0; i < TRACEES_MAX; i++) {
		if (tracer->tracees[i].pid > 0)
			kill(tracer->tracees[i].pid, SIGKILL);
	}
}

static void follow(struct tracer *tracer)
{
	int status;
	pid_t pid;

	while (tracer->main != 0) {
		pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR && is_late) {
			is_late = 0;
			kill_all(tracer);
		}
		if (pid <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			stopped(tracer, find(tracer, pid), status);
			continue;
		}
		find(tracer, pid)->pid = 0;
		if (pid == tracer->main) {
			tracer->trace->status = status;
			tracer->main = 0;
		}
	}
}

/* The interposed malloc has kept its own list. */
static void take_allocations(struct trace *trace, const struct sites *sites)
{
	for (unsigned int i = 0; i < report->allocation_count; i++) {
		const struct allocation *allocation = &report->allocations[i];
		struct call call = {.step = allocation->step,
				    .site = sites_at(sites, allocation->back),
				    .nr = NR_ALLOCATION};

		if (trace->call_count < CALLS_MAX)
			trace->calls[trace->call_count++] = call;
	}
	if (report->allocations_failed > 0)
		trace->injected++;
}

static void prepare_report(const struct trace *trace, const struct sites *sites,
			   const struct scenario *scenario)
{
	memset(report, 0, sizeof(*report));
	report->library_begin = sites->begin;
	report->library_end = sites->end;
	for (size_t i = 0; i < trace->fault_count; i++) {
		const struct fault *fault = &trace->faults[i];

		if (fault->like.nr == NR_ALLOCATION) {
			report->failing_step = fault->like.step;
			report->failing_back = (void *)sites->at[fault->like.site].back;
		}
		/* These two leave behind what they were called to take away. */
		report->ignores_mappings |= fault->like.nr == SYS_munmap;
		report->ignores_child |= fault->like.nr == SYS_pidfd_send_signal;
		/* "Nothing is there", "the peer is dead". */
		report->may_be_otherwise |= fault->error == EAGAIN || fault->error == EPIPE ||
					    fault->error == ECONNRESET;
	}
	report->scenario = scenario;
}

void trace_run(struct trace *trace, const struct sites *sites, const struct scenario *scenario)
{
	struct sigaction late = {.sa_handler = be_late};
	struct itimerval limit = {.it_value = {.tv_sec = TIME_OUT_S}}, none = {0};
	struct tracer tracer = {.trace = trace, .sites = sites};
	int status;

	prepare_report(trace, sites, scenario);
	tracer.main = fork();
	ck_assert_int_ge(tracer.main, 0);
	if (tracer.main == 0) {
		scenario_live(true);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(tracer.main, &status, 0), tracer.main);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, tracer.main, NULL, TRACE_OPTIONS), 0);
	*find(&tracer, tracer.main) = (struct tracee){.pid = tracer.main};
	is_late = 0;
	sigaction(SIGALRM, &late, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	ptrace(PTRACE_SYSCALL, tracer.main, NULL, 0);
	follow(&tracer);
	setitimer(ITIMER_REAL, &none, NULL);
	take_allocations(trace, sites);
}
