/* SPDX-License-Identifier: MIT */
#include <time.h>

#include <peal/base.h>

#include "base/clock.h"

uint64_t peal_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t peal_deadline_in_ns(uint64_t ns)
{
	uint64_t now = peal_now_ns();

	return ns < PEAL_FOREVER - now ? now + ns : PEAL_FOREVER - 1;
}

const struct timespec *peal_time_left(uint64_t deadline_ns, struct timespec *left)
{
	uint64_t now, ns = 0;

	if (deadline_ns == PEAL_FOREVER)
		return NULL;
	if (deadline_ns != PEAL_TRY) {
		now = peal_now_ns();
		ns = deadline_ns > now ? deadline_ns - now : 0;
	}
	left->tv_sec = (time_t)(ns / NSEC_PER_SEC);
	left->tv_nsec = (long)(ns % NSEC_PER_SEC);
	return left;
}

bool peal_deadline_passed(uint64_t deadline_ns)
{
	return deadline_ns != PEAL_FOREVER && peal_now_ns() >= deadline_ns;
}
