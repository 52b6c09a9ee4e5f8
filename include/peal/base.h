/* SPDX-License-Identifier: MIT */
/*
 * base.h - what every part of Peal shares: version, errors, deadlines, descriptors.
 *
 * Error law. Every function that can fail returns 0 or a positive result on success and a negative
 * errno on failure. Outputs are untouched on failure. The library prints and logs nothing; the
 * sentence that says what was wrong is kept per thread, see peal_last_error().
 */
#ifndef PEAL_BASE_H
#define PEAL_BASE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_VERSION_MAJOR 0
#define PEAL_VERSION_MINOR 1
#define PEAL_VERSION_PATCH 0

/* The library hides every symbol by default; this marks the ones that are its ABI. */
#define PEAL_API __attribute__((visibility("default")))

/**
 * peal_strerror() - what a negative errno means when Peal returns it
 * @error: what a Peal function returned (negative), or the positive errno
 *
 * Return: a static English text in Peal's terms ("the peer broke the protocol"), the C library's
 * text for an errno that has no meaning of its own here. Never NULL. Any thread.
 */
PEAL_API const char *peal_strerror(int error);

/**
 * peal_last_error() - the sentence behind the last failure in this thread
 *
 * Names what was wrong and what was expected, for example
 * "--doorbell-fd: '12x' is not a descriptor number (decimal digits only)".
 * Only a failing call writes it; a success leaves the older text standing, so read it right after
 * the failure. -EAGAIN and -ETIMEDOUT are answers rather than failures and do not write it.
 *
 * Return: a NUL-terminated text that stays valid until the next failing call of this thread;
 * the empty string if there was none.
 */
PEAL_API const char *peal_last_error(void);

/*
 * Deadlines are absolute times of CLOCK_MONOTONIC in nanoseconds, so that a wait which is
 * interrupted and restarted keeps its end.
 */
#define PEAL_TRY     UINT64_C(0) /* do not wait at all; the call returns -EAGAIN */
#define PEAL_FOREVER UINT64_MAX  /* wait without end */

/** peal_now_ns() - CLOCK_MONOTONIC now, in nanoseconds. Any thread, async-signal-safe. */
PEAL_API uint64_t peal_now_ns(void);

/** peal_deadline_in_ns() - the deadline @ns nanoseconds from now; saturates below PEAL_FOREVER. */
PEAL_API uint64_t peal_deadline_in_ns(uint64_t ns);

/* --- Descriptors --------------------------------------------------------------------------- */

/**
 * peal_fd_validate() - is @fd one that may be handed from process to process?
 *
 * Return: 0; -EINVAL if @fd is below 3 (standard input, output and error are never ours);
 * -EBADF if it is not open.
 */
PEAL_API int peal_fd_validate(int fd);

/** peal_fd_set_nonblocking() - set O_NONBLOCK. Return: 0 or a negative errno. */
PEAL_API int peal_fd_set_nonblocking(int fd);

/** peal_fd_set_cloexec() - set close-on-exec. Return: 0 or a negative errno. */
PEAL_API int peal_fd_set_cloexec(int fd);

/**
 * peal_fd_clear_cloexec() - let @fd live through exec. Return: 0 or a negative errno.
 *
 * Call it only in a child between fork and exec. In the parent it would leak @fd into every
 * program that another thread starts at that moment. Async-signal-safe.
 */
PEAL_API int peal_fd_clear_cloexec(int fd);

#ifdef __cplusplus
}
#endif

#endif
