/* SPDX-License-Identifier: MIT */
/*
 * code.c - the library's ring, as it is, in one unit; and stubs for what it calls.
 *
 * Two of its files have a function of the same name, which is renamed for the occasion.
 */
#include <errno.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/error.h"

#define PEAL_INLINE /* emit the hot functions as well */
#include <peal/ring.h>

#define refuse refuse_producer
#include "ring/producer.c"
#undef refuse
#define refuse refuse_consumer
#include "ring/consumer.c"
#undef refuse
#include "ring/wake.c"

int peal_membarrier(void)
{
	explore_call(EXPLORE_MEMBARRIER);
	return 0;
}

/* The sentence is for people. */
int peal_fail(int error, const char *format, ...)
{
	(void)format;
	return -error;
}

/* Time does not pass here: a deadline is a return for nothing, by the bell. */
uint64_t peal_now_ns(void)
{
	return 1;
}

bool peal_deadline_passed(uint64_t deadline_ns)
{
	(void)deadline_ns;
	return false;
}
