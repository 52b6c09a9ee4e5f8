/* SPDX-License-Identifier: MIT */
/*
 * harness.h - Check, plus what every test of Peal promises.
 *
 * Each test runs in a process of its own under a time-out. When it ends, the process must hold the
 * descriptors that it began with, no child (running or zombie), and no mapping of a Peal segment.
 */
#ifndef PEAL_TESTS_HARNESS_H
#define PEAL_TESTS_HARNESS_H

#include <check.h>
#include <stdnoreturn.h>

struct harness_case {
	const TTest *test;
	int loops; /* run it with _i = 0 … loops - 1; 0 means once */
};

/* The end of a list of cases. */
#define HARNESS_END                                                                                \
	{                                                                                          \
		NULL, 0                                                                            \
	}

/*
 * harness_main() - run the cases; the body of a test program's main()
 * @name: the suite, such as "doorbell"
 * @cases: ends with HARNESS_END
 *
 * Environment: CK_RUN_CASE=name runs that test alone; CK_FORK=no stays in one process, for a debugger.
 * PEAL_TALLY names a file to which "passed failed skipped" is appended, for ./dev to add up.
 */
int harness_main(const char *name, const struct harness_case *cases);

/* harness_skip() - end this test as skipped: it can see nothing on this machine. Say why. */
noreturn void harness_skip(const char *why);

/*
 * harness_mute() - for a forked process that may be killed at any instant: nothing more to Check
 *
 * Every assertion writes a message to a file that all processes of the test share. One that is killed
 * while it writes leaves half a message, and then Check itself dies of it. A failed assertion still
 * ends the process with status 1, which is for its parent to see.
 */
void harness_mute(void);

/* harness_helper() - the path of a program built beside the tests, for exec. Static buffer. */
char *harness_helper(const char *name);

/* harness_temporary() - a template of that name for mkdtemp() and the like, in $TMPDIR. Static buffer. */
char *harness_temporary(const char *name);

/* Is this under AddressSanitizer? GCC's name for it, and Clang's way of saying so. */
#if defined(__SANITIZE_ADDRESS__)
#	define HARNESS_ASAN 1
#elif defined(__has_feature)
#	if __has_feature(address_sanitizer)
#		define HARNESS_ASAN 1
#	endif
#endif
#ifndef HARNESS_ASAN
#	define HARNESS_ASAN 0
#endif

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		long rc_ = (long)(call);                                                           \
		ck_assert_msg(rc_ >= 0, "%s: %ld (%s)", #call, rc_, peal_last_error());            \
	} while (0)

/* The call fails with this errno, and the sentence of peal_last_error() contains @words. */
#define assert_fails(call, error, words)                                                           \
	do {                                                                                       \
		long rc_ = (long)(call);                                                           \
		ck_assert_msg(rc_ == -(error), "%s: %ld, expected %d (%s)", #call, rc_, -(error),  \
			      peal_last_error());                                                  \
		ck_assert_msg(strstr(peal_last_error(), words) != NULL,                            \
			      "%s: the error says \"%s\", expected \"%s\" in it", #call,           \
			      peal_last_error(), words);                                           \
	} while (0)

#endif
