/* SPDX-License-Identifier: MIT */
/*
 * limit.h - what the machine can do at most, measured like everything else.
 *
 *      limit-flag              two flags on two lines, each written by one core and read by the other
 *      limit-stream            cache lines written by one core, read by the other; one hand-off
 *                              for each large block
 *      limit-eventfd           the kernel's wakes, bare, with a blocking call ...
 *      limit-socket
 *      limit-futex
 *      limit-eventfd-ppoll     ... and with the one that Peal sleeps in: ppoll on the peer's pidfd
 *      limit-socket-ppoll      and the bell, then a read that does not block
 *
 * None is a ring: they carry what the bench sends, and know beforehand how it will come.
 */
#ifndef PEAL_BENCH_LIMIT_H
#define PEAL_BENCH_LIMIT_H

#include "adapter.h"

/* Does this limit say anything about that measurement? */
bool bench_limit_measures(const struct bench_adapter *limit, const struct bench_config *config);

/* The slug of the limit that this implementation is held against; NULL: none. */
const char *bench_limit_of(const struct bench_adapter *adapter, const struct bench_config *config);

#endif
