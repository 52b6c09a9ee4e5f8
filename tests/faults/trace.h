/* SPDX-License-Identifier: MIT */
/*
 * trace.h - run a scenario with chosen system calls of the library failing.
 *
 *      tracer (the test)                       tracee (a fork of it)
 *                                              report->step = line
 *      step != 0: the library's own call ◀──── system call, whoever makes it: the C library,
 *      note it; let it fail if it is meant ──▶ liburing, or the child between clone and exec
 *                                              report->step = 0
 *
 * A call that fails is not executed, except for close(2), which closes whatever it returns.
 */
#ifndef PEAL_TESTS_FAULTS_TRACE_H
#define PEAL_TESTS_FAULTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faults/scenario.h"
#include "faults/sites.h"

#define CALLS_MAX 4096

/* In place of a system call's number: malloc or calloc. */
#define NR_ALLOCATION (-2)

struct call {
	int step; /* the line of the scenario from which the library was called */
	int site; /* index; -1: not found */
	long nr;
	uint64_t args[6];
};

struct fault {
	struct call like;  /* the call with this step, site and number ... */
	unsigned int skip; /* ... after so many of them */
	int error;         /* a positive errno; NOTHING: 0, though nothing was done; OLD_KERNEL */
	bool is_lasting;   /* and all with this number from then on */
};

#define NOTHING    (-1)
#define OLD_KERNEL (-2) /* it succeeds, and the kernel says that it has no features */

struct trace {
	/* What is to be done. */
	struct fault faults[2]; /* one after the other */
	size_t fault_count;
	unsigned int eintr_percent; /* interrupt so many of what can be interrupted */
	uint64_t dice;
	/* What was done. */
	size_t injected; /* of the faults */
	size_t interrupted;
	struct call calls[CALLS_MAX];
	size_t call_count;
	int status; /* as waitpid(2) has it */
	bool timed_out;
	char wrong[160]; /* something was done that must not be */
};

/* trace_run() - fork, run @scenario, trace. The report is what the scenario says. */
void trace_run(struct trace *trace, const struct sites *sites, const struct scenario *scenario);

/* trace_may_be_interrupted() - is EINTR a plausible result of this call? */
bool trace_may_be_interrupted(const struct call *call);

/* errors_of() - the plausible failures of a call: as in struct fault, 0 at the end. */
const int *errors_of(const struct call *call);

#endif
