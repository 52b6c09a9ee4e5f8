/* SPDX-License-Identifier: MIT */
/*
 * bench.h - decode --bench: the same files through rings, through pipes, and without guests.
 */
#ifndef BENCH_H
#define BENCH_H

#include "../host.h"

/* --- bench.c ------------------------------------------------------------------------------------ */

/* Measure, and print. False if it could not be done, which was said. */
bool bench(const struct options *options, struct file *files, size_t count);

/* --- pipes.c ------------------------------------------------------------------------------------ */

struct pipes;

struct pipes *pipes_open(const struct options *options);
void pipes_close(struct pipes *pipes);

/* The processor time that its guests have used. */
uint64_t pipes_cpu_ns(const struct pipes *pipes);

/* All files once, which must be good ones. 0 or a negative errno. */
int pipes_run(struct pipes *pipes, struct file *files, size_t count);

/* --- outside.c: decode-in-process, from outside ------------------------------------------------- */

struct in_process;
struct outside;

struct outside *outside_open(const struct options *options, const struct file *files, size_t count);
void outside_close(struct outside *outside);

uint64_t outside_cpu_ns(const struct outside *outside);

/* All files once. 0 or a negative errno. */
int outside_run(struct outside *outside, struct in_process *result);

#endif
