/* SPDX-License-Identifier: MIT */
/*
 * error.h - failing with a sentence.
 */
#ifndef PEAL_BASE_ERROR_H
#define PEAL_BASE_ERROR_H

/*
 * peal_fail() - keep the sentence for peal_last_error() and return -@error
 * @error: a positive errno
 * @format: what was wrong and what was expected; no full stop, no newline
 *
 * Lets a failing path be one line: return peal_fail(EINVAL, "capacity %zu is ...", n);
 */
__attribute__((format(printf, 2, 3), cold)) int peal_fail(int error, const char *format, ...);

/* peal_fail_errno() - "@what: text of errno"; returns -errno. For a failed system call. */
__attribute__((cold)) int peal_fail_errno(const char *what);

#endif
