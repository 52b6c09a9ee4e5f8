/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define FD_LIMIT 1024

static bool open_before[FD_LIMIT];
/* Shared with the forked tests, which count their own skipping. */
static int *skipped;

static void see_open(bool *open)
{
	for (int fd = 0; fd < FD_LIMIT; fd++)
		open[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void before_test(void)
{
	see_open(open_before);
}

static void no_fd_leaked(void)
{
	bool open[FD_LIMIT];
	char path[32], target[PATH_MAX];
	ssize_t length;

	see_open(open);
	for (int fd = 0; fd < FD_LIMIT; fd++) {
		if (open[fd] == open_before[fd])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		ck_abort_msg("descriptor %d was %s (%s)", fd, open[fd] ? "leaked" : "closed",
			     target);
	}
}

static void no_mapping_left(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		ck_assert_msg(!strstr(line, "memfd:peal"), "a segment is still mapped: %s", line);
	fclose(maps);
}

static void after_test(void)
{
	no_fd_leaked();
	no_mapping_left();
	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child is left");
}

void harness_skip(const char *why)
{
	printf("skipped: %s\n", why);
	fflush(stdout);
	__atomic_fetch_add(skipped, 1, __ATOMIC_SEQ_CST);
	/* What the test opened so far dies with its process. */
	_exit(EXIT_SUCCESS);
}

void harness_mute(void)
{
	char path[32], target[PATH_MAX], *name;
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC), muted = 0;
	ssize_t length;

	/* Check does not say which descriptor it is; the file's name does, though it is unlinked. */
	for (int fd = 3; fd < FD_LIMIT; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		name = strrchr(target, '/');
		if (name && strncmp(name, "/check_", 7) == 0 && strstr(name, "(deleted)"))
			muted += dup3(nowhere, fd, O_CLOEXEC) == fd;
	}
	ck_assert_int_eq(muted, 1);
	close(nowhere);
}

char *harness_helper(const char *name)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ck_assert_int_gt(length, 0);
	self[length] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	return path;
}

char *harness_temporary(const char *name)
{
	static char path[PATH_MAX];
	const char *directory = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/%s", directory ? directory : "/tmp", name);
	return path;
}

static Suite *make_suite(const char *name, const struct harness_case *cases)
{
	Suite *suite = suite_create(name);

	for (; cases->test; cases++) {
		TCase *tcase = tcase_create(cases->test->name);

		/* Long, because liveness tests wait without end and these machines are shared. */
		tcase_set_timeout(tcase, 300);
		tcase_add_checked_fixture(tcase, before_test, after_test);
		tcase_add_loop_test(tcase, cases->test, 0, cases->loops ? cases->loops : 1);
		suite_add_tcase(suite, tcase);
	}
	return suite;
}

static void tally(int passed, int failed)
{
	const char *path = getenv("PEAL_TALLY");
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	fprintf(file, "%d %d %d\n", passed, failed, *skipped);
	fclose(file);
}

int harness_main(const char *name, const struct harness_case *cases)
{
	SRunner *runner;
	int ran, failed;

	skipped = mmap(NULL, sizeof(*skipped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (skipped == MAP_FAILED)
		return EXIT_FAILURE;
	runner = srunner_create(make_suite(name, cases));
	srunner_run_all(runner, CK_ENV);
	ran = srunner_ntests_run(runner);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	tally(ran - failed - *skipped, failed);
	return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
