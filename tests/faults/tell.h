/* SPDX-License-Identifier: MIT */
#ifndef PEAL_TESTS_FAULTS_TELL_H
#define PEAL_TESTS_FAULTS_TELL_H

#include <stdbool.h>

/* tell() - a line of figures, for who reads the test's output and for ./dev, which ends with them. */
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);

/* is_full() - was the long variant asked for, by PEAL_FAULTS_FULL? */
bool is_full(void);

#endif
