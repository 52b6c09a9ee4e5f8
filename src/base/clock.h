/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BASE_CLOCK_H
#define PEAL_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC UINT64_C(1000000000)

/*
 * peal_time_left() - a deadline as the time-out that ppoll(2) takes
 * @left: where the time-out may be stored
 *
 * Return: @left, zero when the deadline has passed or is PEAL_TRY; NULL for PEAL_FOREVER.
 */
const struct timespec *peal_time_left(uint64_t deadline_ns, struct timespec *left);

/* peal_deadline_passed() - PEAL_TRY always has. For loops that somebody else may keep awake. */
bool peal_deadline_passed(uint64_t deadline_ns);

#endif
