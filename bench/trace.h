/* SPDX-License-Identifier: MIT */
/*
 * trace.h - which system calls a run makes between the beginning and the end of its loops.
 */
#ifndef PEAL_BENCH_TRACE_H
#define PEAL_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_SYSCALLS 512

struct bench_arena;

/* Of one side. Sleeping until a message is due is the bench's own doing, and left out. */
struct bench_trace {
	uint64_t total;
	uint32_t calls[BENCH_SYSCALLS]; /* by number */
};

/*
 * Trace @first and all that it starts, until it ends or @deadline_ns.
 * Return: 0; -EPERM where nobody may trace; -ETIMEDOUT; -EINTR when the user asked to stop.
 * @status is that of the first process, which is reaped then.
 */
int bench_trace_run(struct bench_arena *arena, pid_t first, uint64_t deadline_ns,
		    struct bench_trace traced[2], int *status);

/* "sendto 1.00, ppoll 1.00": calls by number of @messages, the most frequent first. */
void bench_trace_describe(const struct bench_trace *trace, uint64_t messages, char *text,
			  size_t size);

#endif
