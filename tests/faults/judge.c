/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "faults/judge.h"

/* Not in Debian 12's headers. */
#define MFD_NOEXEC_SEAL_FLAG UINT64_C(8)

/* These are for the caller to know: he can do something about them. */
static bool must_be_told_as_itself(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOSPC || error == ENOMEM;
}

static bool is_told(const struct trace *trace, int error)
{
	for (size_t i = 0; i < trace->fault_count; i++) {
		if (trace->faults[i].error == error)
			return true;
	}
	return false;
}

/* Is any of the faults one after which nobody may notice anything? */
static bool may_fail(const struct trace *trace)
{
	for (size_t i = 0; i < trace->injected && i < trace->fault_count; i++) {
		if (trace->faults[i].error != EINTR)
			return true;
	}
	return false;
}

/* Those where what is told is not the errno, for a reason. */
static bool has_another_meaning(const struct fault *fault, const struct sites *sites)
{
	static const char *const callers[] = {
		"peal_fd_is_anon", /* what can not be asked whether it is an eventfd is taken for none */
		"refuse",          /* the guest is failing already; its host sees it end */
	};

	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		if (fault->like.site >= 0 &&
		    strcmp(sites->at[fault->like.site].caller, callers[i]) == 0)
			return true;
	}
	return false;
}

/* Where the library promises to do without, or to try again. */
static bool has_another_way(const struct fault *fault, const struct sites *sites)
{
	const char *caller = fault->like.site < 0 ? "" : sites->at[fault->like.site].caller;

	switch (fault->like.nr) {
	case SYS_memfd_create: /* a flag that the kernel does not know */
		return fault->error == EINVAL && !fault->is_lasting;
	case SYS_membarrier: /* fences do; but what was promised must be kept */
		return strcmp(caller, "peal_membarrier_register") == 0 && !fault->is_lasting;
	case SYS_epoll_pwait2: /* older than Linux 5.11, or forbidden */
		return fault->error == ENOSYS || fault->error == EPERM;
	case SYS_pidfd_open: /* sockets tell of the host's death by themselves */
		return report->scenario->kind == PEAL_DOORBELL_SOCKET &&
		       (fault->error == ENOSYS || fault->error == EPERM);
	case SYS_io_uring_setup:
		return report->scenario->backend == PEAL_POLLER_AUTO;
	case SYS_sendto: /* nothing was queued; it is tried again */
		return (fault->error == ENOBUFS || fault->error == ENOMEM) && !fault->is_lasting &&
		       strncmp(report->scenario->name, "doorbells", 9) != 0;
	default:
		return false;
	}
}

/* T27: a memfd is made without the flag that the kernel may not know, and otherwise as before. */
static bool changes_only_the_flag(const struct trace *trace)
{
	const struct fault *fault = &trace->faults[0];

	if (trace->injected == 0 || fault->like.nr != SYS_memfd_create || fault->error != EINVAL)
		return true;
	for (size_t i = 0; i + 1 < trace->call_count; i++) {
		const struct call *call = &trace->calls[i], *next = &trace->calls[i + 1];

		if (call->nr == SYS_memfd_create && next->nr == SYS_memfd_create)
			return next->args[0] == call->args[0] &&
			       next->args[1] == (call->args[1] & ~MFD_NOEXEC_SEAL_FLAG);
	}
	return false;
}

/* Waiting for what a fault has taken away is waiting in vain. */
static bool may_be_lost(const struct fault *fault, const struct sites *sites)
{
	return report->may_be_otherwise || has_another_meaning(fault, sites);
}

static const char *judge_told(const struct trace *trace, const struct sites *sites,
			      struct figures *figures)
{
	int error = (int)-report->failed_rc;

	if (!may_fail(trace))
		return "an interruption is not gone on from";
	if (trace->fault_count == 1 && has_another_way(&trace->faults[0], sites))
		return "the other way that is documented is not taken";
	if (is_told(trace, error)) {
		figures->told++;
		return NULL;
	}
	if (error == ETIMEDOUT && !may_be_lost(&trace->faults[0], sites))
		return "a wake is lost";
	if (trace->fault_count == 1 && must_be_told_as_itself(trace->faults[0].error) &&
	    !has_another_meaning(&trace->faults[0], sites))
		return "what the caller could do something about is told as something else";
	figures->told_otherwise++;
	return NULL;
}

const char *judge(const struct trace *trace, const struct sites *sites, struct figures *figures)
{
	static char text[64];

	if (trace->timed_out)
		return "it hangs";
	if (WIFSIGNALED(trace->status)) {
		snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(trace->status));
		return text;
	}
	if (trace->wrong[0] != '\0')
		return trace->wrong;
	if (report->wrong[0] != '\0')
		return report->wrong;
	if (!report->is_finished)
		return "it did not come to its end";
	if (!changes_only_the_flag(trace))
		return "a memfd is not made again without the one flag";
	if (!report->is_complete)
		return judge_told(trace, sites, figures);
	figures->went_on++;
	return NULL;
}
