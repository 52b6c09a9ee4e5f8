/* SPDX-License-Identifier: MIT */
/*
 * record.h - `peal record`: standard input or a guest ─▶ FILE, and on to standard output.
 *
 *	record.c        options, help, the report at the end; guests, by way of run.h
 *	record-input.c  standard input
 */
#ifndef PEAL_TOOLS_RECORD_H
#define PEAL_TOOLS_RECORD_H

#include "log.h"
#include "run.h"

/* Until its end, or a signal. @shows: a line of progress. Return: an enum status. */
int record_input(struct log_writer *log, const struct run_options *options, bool shows);

#endif
