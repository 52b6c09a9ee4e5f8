/* SPDX-License-Identifier: MIT */
/*
 * judge.h - did the library do what it promises about a call that failed?
 */
#ifndef PEAL_TESTS_FAULTS_JUDGE_H
#define PEAL_TESTS_FAULTS_JUDGE_H

#include "faults/scenario.h"
#include "faults/sites.h"
#include "faults/trace.h"

struct figures {
	unsigned long lives, injected;
	unsigned long missed; /* lives in which the call did not come */
	unsigned long went_on;
	unsigned long told;           /* with the errno of the call */
	unsigned long told_otherwise; /* with another, which says what it means here */
	unsigned long interrupted;
};

/* judge() - the life that trace and report tell of. Return: NULL, or what is wrong. */
const char *judge(const struct trace *trace, const struct sites *sites, struct figures *figures);

#endif
