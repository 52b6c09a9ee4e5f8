/* SPDX-License-Identifier: MIT */
/*
 * Promises of a spawn that is refused something: before clone, between clone and exec, or afterwards
 * when its end is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
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
	char *directory = harness_temporary("peal-XXXXXX"), file[PATH_MAX], path[PATH_MAX];
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

#if HARNESS_ASAN
/* The search for leaks at the end needs clone(2) and mprotect(2), which some of these tests take away. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* --- Before clone --------------------------------------------------------------------------- */

START_TEST(without_memory_for_names_nothing_starts)
{
	static char name[64 << 20];
	struct peal_spawn_fd fds[] = {{name, eventfd(0, EFD_CLOEXEC)}};
	char *argv[] = {strdupa("true"), NULL}, *named[] = {name, NULL};
	struct peal_child *child = NULL;

	if (HARNESS_ASAN)
		harness_skip("AddressSanitizer has no room under such a limit");
	memset(name, 'a', sizeof(name) - 1);
	if (_i == 0)
		setenv("PATH", name, 1);
	ck_assert_int_eq(
		setrlimit(RLIMIT_AS, &(struct rlimit){sizeof(name) + (32 << 20), RLIM_INFINITY}),
		0);
	if (_i == 1)
		assert_fails(peal_spawn_fds(&child, argv, fds, 1, NULL), ENOMEM, "preparing");
	else
		assert_fails(peal_spawn_fds(&child, _i == 0 ? argv : named, NULL, 0, NULL), ENOMEM,
			     "preparing");
	ck_assert_ptr_null(child);
	close(fds[0].fd);
}
END_TEST

START_TEST(a_search_through_path_ends)
{
	struct peal_child *child = NULL;

	mallopt(M_PERTURB, 0x55); /* what was not written is no NULL */
	setenv("PATH", "/a:/b:/c", 1);
	assert_fails(spawn(&child, "nowhere", -1, NULL), ENOENT, "nowhere");
	ck_assert_ptr_null(child);
}
END_TEST

START_TEST(without_a_stack_and_its_guard_nothing_starts)
{
	struct peal_child *child = NULL;

	if (_i == 0)
		refuse(SYS_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, ENOMEM);
	else
		refuse(SYS_mprotect, 2, PROT_NONE, ENOMEM);
	assert_fails(spawn(&child, "/bin/true", -1, NULL), ENOMEM, "preparing");
	ck_assert_ptr_null(child);
	/* A handle without a process names no descriptor, which would be 0. */
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
}
END_TEST

static int handlers_run;

static void count_handler(void)
{
	handlers_run++;
}

START_TEST(a_child_that_can_not_exec_runs_no_exit_handlers)
{
	struct peal_child *child = NULL;

	ck_assert_int_eq(atexit(count_handler), 0);
	assert_fails(spawn(&child, "/nowhere", -1, NULL), ENOENT, "nowhere");
	ck_assert_int_eq(handlers_run, 0); /* in the memory that both had */
}
END_TEST

/* --- Its end --------------------------------------------------------------------------------- */

static int interruptions;

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

START_TEST(an_interrupted_wait_for_the_status_goes_on)
{
	struct peal_child_status status;
	struct peal_child *child;

	assert_ok(spawn(&child, "/bin/true", -1, NULL));
	interruptions = 3;
	assert_ok(peal_child_wait(child, PEAL_FOREVER, &status));
	ck_assert_int_eq(interruptions, 0);
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	peal_child_free(child);
}
END_TEST

START_TEST(a_wait_that_the_kernel_refuses_is_an_error)
{
	struct peal_child *child;

	assert_ok(spawn(&child, "/bin/true", -1, NULL));
	refuse_all(SYS_ppoll, ENOMEM);
	assert_fails(peal_child_wait(child, PEAL_FOREVER, NULL), ENOMEM, "waiting for a child");
	peal_child_free(child);
}
END_TEST

START_TEST(a_signal_without_a_name_is_described)
{
	char *argv[] = {strdupa("/bin/sleep"), strdupa("1000"), NULL}, text[200];
	struct peal_child *child;

	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	assert_ok(peal_child_kill(child, SIGRTMIN + 1));
	assert_ok(peal_child_wait(child, PEAL_FOREVER, NULL));
	peal_child_describe(child, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "a real-time signal"));
	peal_child_free(child);
}
END_TEST

/* A debugger, which keeps a dead process from its parent until it has looked itself: for a moment, or
 * as long as it lives. Returns when it has a hold on @pid. */
static pid_t hold(pid_t pid, bool for_ever)
{
	pid_t holder;
	int ready[2];

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	holder = fork();
	if (holder == 0) {
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		syscall(SYS_waitid, P_PID, pid, NULL, WEXITED | WNOWAIT, NULL);
		usleep(200000);
		while (for_ever)
			pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &(char){0}, 1) != 1)
		harness_skip("no ptrace here");
	close(ready[0]);
	return holder;
}

START_TEST(a_dead_child_that_is_held_is_waited_for_but_not_for_ever)
{
	char *argv[] = {strdupa("/bin/sleep"), strdupa("1000"), NULL};
	struct peal_child *child;
	pid_t pid, holder;

	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	pid = peal_child_pid(child);
	holder = hold(pid, _i == 1);
	peal_child_free(child);
	ck_assert_int_eq(kill(pid, 0), _i == 1 ? 0 : -1);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	waitpid(pid, NULL, 0);
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
				 {without_memory_for_names_nothing_starts, 3},
				 {a_search_through_path_ends, 0},
				 {without_a_stack_and_its_guard_nothing_starts, 2},
				 {a_child_that_can_not_exec_runs_no_exit_handlers, 0},
				 {an_interrupted_wait_for_the_status_goes_on, 0},
				 {a_wait_that_the_kernel_refuses_is_an_error, 0},
				 {a_signal_without_a_name_is_described, 0},
				 {a_dead_child_that_is_held_is_waited_for_but_not_for_ever, 2},
				 HARNESS_END,
			 });
}
