/* SPDX-License-Identifier: MIT */
/*
 * part.h - the first process of a run, and the second one where a program was started for it.
 */
#ifndef PEAL_BENCH_PART_H
#define PEAL_BENCH_PART_H

#include "run.h"

/* The first process, from creating to detaching, with the second one or a second thread beside it.
 * Return: the exit status. */
int bench_be_first(struct bench_run *run, const struct bench_adapter *adapter, int control_fd);

/* The second process, from attaching to detaching. Return: the exit status. */
int bench_be_second(struct bench_run *run, const struct bench_adapter *adapter);

#endif
