/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strerrordesc_np: strerror() that is thread-safe and untranslated */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <peal/base.h>

#include "base/error.h"
#include "base/libc.h"

static _Thread_local char last_error[256];

/* "Too many open files" is of no use to who does not know how many are allowed. */
static void append_limit(void)
{
	size_t used = strlen(last_error);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		snprintf(last_error + used, sizeof(last_error) - used, " (RLIMIT_NOFILE is %llu)",
			 (unsigned long long)limit.rlim_cur);
}

int peal_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_error, sizeof(last_error), format, args);
	va_end(args);
	if (error == EMFILE)
		append_limit();
	return -error;
}

int peal_fail_errno(const char *what)
{
	int error = errno;

	return peal_fail(error, "%s: %s", what, peal_strerror(error));
}

const char *peal_last_error(void)
{
	return last_error;
}

const char *peal_strerror(int error)
{
	const char *text;

	if (error < 0)
		error = -error;
	switch (error) {
	case EPIPE:
		return "the peer closed the channel or died";
	case EPROTO:
		return "the peer broke the protocol";
	case EPROTONOSUPPORT:
		return "the two sides speak different layout versions or features";
	case EMSGSIZE:
		return "the record does not fit";
	case EBUSY:
		return "already in use";
	case EBADFD:
		return "the handle is closed, or belongs to the process that forked this one";
	case ETIMEDOUT:
		return "the deadline passed";
	case EAGAIN:
		return "nothing to be had without waiting";
	}
	text = strerrordesc_np(error);
	return text ? text : "unknown error";
}
