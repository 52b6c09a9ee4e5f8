/* SPDX-License-Identifier: MIT */
/*
 * Promises of a spawn whose child is refused something between clone and exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/spawn.h>

#include "harness.h"
#include "refuse.h"

static const struct peal_spawn_options tied = {
	.size = sizeof(tied),
	.flags = PEAL_SPAWN_DIE_WITH_PARENT,
};

static int spawn(struct peal_child **child, const char *program, int fd,
		 const struct peal_spawn_options *options)
{
	char *argv[] = {strdupa(program), NULL};
	const struct peal_spawn_fd fds[] = {{"--fd", fd}};

	return peal_spawn_fds(child, argv, fds, fd < 0 ? 0 : 1, options);
}

START_TEST(a_child_that_can_not_be_tied_to_its_parent_does_not_start)
{
	struct peal_child *child = NULL;

	refuse(SYS_prctl, 0, PR_SET_PDEATHSIG, EPERM);
	assert_fails(spawn(&child, "/bin/true", -1, &tied), EPERM, "tying it");
	ck_assert_ptr_null(child);
}
END_TEST

START_TEST(a_child_without_its_descriptors_does_not_start)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct peal_child *child = NULL;

	refuse(SYS_fcntl, 1, F_SETFD, EPERM);
	assert_fails(spawn(&child, "/bin/true", fd, NULL), EPERM, "handing over");
	ck_assert_ptr_null(child);
	close(fd);
}
END_TEST

START_TEST(a_parent_outside_of_the_pid_namespace_is_not_taken_for_dead)
{
	struct peal_child_status status;
	struct peal_child *child;

	if (unshare(CLONE_NEWPID) < 0)
		harness_skip("no pid namespaces here");
	assert_ok(spawn(&child, "/bin/true", -1, &tied));
	assert_ok(peal_child_wait(child, PEAL_FOREVER, &status));
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
	peal_child_free(child);
}
END_TEST

/* Two directories; what the first has under the name of true(1) is no program. */
START_TEST(a_program_that_is_found_but_is_none_ends_the_search)
{
	char directory[] = "/tmp/peal-XXXXXX", file[64], path[64];
	struct peal_child *child = NULL;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/true", directory);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ck_assert_int_eq(write(fd, "nonsense", 8), 8);
	close(fd);
	snprintf(path, sizeof(path), "%s:/bin", directory);
	setenv("PATH", path, 1);
	assert_fails(spawn(&child, "true", -1, NULL), ENOEXEC, "true");
	ck_assert_ptr_null(child);
	unlink(file);
	rmdir(directory);
}
END_TEST

int main(void)
{
	return harness_main(
		"child", (struct harness_case[]){
				 {a_child_that_can_not_be_tied_to_its_parent_does_not_start, 0},
				 {a_child_without_its_descriptors_does_not_start, 0},
				 {a_parent_outside_of_the_pid_namespace_is_not_taken_for_dead, 0},
				 {a_program_that_is_found_but_is_none_ends_the_search, 0},
				 HARNESS_END,
			 });
}
