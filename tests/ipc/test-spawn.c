/* SPDX-License-Identifier: MIT */
/*
 * Promises of spawn.h: what a child is born with, how it fails to be born, how it ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <peal/spawn.h>

#include "harness.h"
#include "spawn/child.h"

#define GUEST     harness_helper("guest-fds")
#define ARGV(...) (((union argv){.words = (const char *[]){__VA_ARGS__, NULL}}).argv)
#define OPTIONS(...)                                                                               \
	(&(struct peal_spawn_options){.size = sizeof(struct peal_spawn_options), __VA_ARGS__})
/* As the kernel shows a mask of all signals but SIGKILL and SIGSTOP. */
#define ALL_SIGNALS "fffffffffffbfeff"

/* String literals are const under our warnings, and argv's words by custom are not. */
union argv {
	const char **words;
	char **argv;
};

/* What Check and the test's starter left open would show in every guest. */
static void hide_other_fds(void)
{
	ck_assert_int_eq(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC), 0);
}

static struct peal_child_status end_of(struct peal_child *child)
{
	struct peal_child_status status = {-1, -1};

	assert_ok(peal_child_wait(child, PEAL_FOREVER, &status));
	return status;
}

/* Start it, and return how it exited. */
static int exit_of(char *const argv[], const struct peal_spawn_fd *fds, size_t fd_count,
		   const struct peal_spawn_options *options)
{
	struct peal_child *child = NULL;
	struct peal_child_status status;

	assert_ok(peal_spawn_fds(&child, argv, fds, fd_count, options));
	status = end_of(child);
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	peal_child_free(child);
	return status.value;
}

static void assert_no_child(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

static int lowest_free_fd(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

/* Read what the children hold the write end of, until the last of them is gone. */
static size_t read_all(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	return used;
}

static size_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = read_all(fd, text, size);

	close(fd);
	return used;
}

/* --- What it is born with ------------------------------------------------------------------ */

START_TEST(the_child_has_the_given_descriptors_and_no_other)
{
	int kept = eventfd(0, EFD_CLOEXEC), first = eventfd(0, EFD_CLOEXEC);
	int second = eventfd(0, EFD_CLOEXEC);
	struct peal_spawn_fd fds[] = {{"--first-fd", first}, {"--second-fd", second}};

	hide_other_fds();
	ck_assert_int_eq(exit_of(ARGV(GUEST, "table", "3"), NULL, 0, NULL), 0);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "table", "3"), fds, 2, NULL), 0);
	close(kept);
	close(first);
	close(second);
}
END_TEST

START_TEST(their_numbers_are_appended_to_argv)
{
	struct peal_spawn_fd fds[2];
	char text[4096], expected[4096];
	struct peal_child *child;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	fds[0] = (struct peal_spawn_fd){"--out", ends[1]};
	/* The longest number that there can be. */
	fds[1] = (struct peal_spawn_fd){"--out", fcntl(ends[1], F_DUPFD_CLOEXEC, 9999)};
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "argv", "--", "a b", ""), fds, 2, NULL));
	close(ends[1]);
	close(fds[1].fd);
	read_all(ends[0], text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s\nargv\n--\na b\n\n--out=%d\n--out=%d\n", GUEST,
		 fds[0].fd, fds[1].fd);
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(end_of(child).value, 0);
	peal_child_free(child);
	close(ends[0]);
}
END_TEST

/* pre_exec runs when the child is ready to exec; what it sees there is kept for the parent. */
static struct {
	char path[64];
	char text[256 << 10];
	void *frame;
} seen;

static int see_file(void *data)
{
	(void)data;
	seen.frame = __builtin_frame_address(0);
	read_file(seen.path, seen.text, sizeof(seen.text));
	return 0;
}

START_TEST(the_parent_keeps_them_close_on_exec_all_the_time)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct peal_spawn_fd fds[] = {{"--x", fd}};
	unsigned int flags = 0;

	hide_other_fds();
	/* The parent's view, read when the child has already cleared its own flag. */
	snprintf(seen.path, sizeof(seen.path), "/proc/%d/fdinfo/%d", getpid(), fd);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "table", "3"), fds, 1, OPTIONS(.pre_exec = see_file)),
			 0);
	ck_assert_int_eq(sscanf(strstr(seen.text, "flags:"), "flags: %o", &flags), 1);
	ck_assert_msg(flags & O_CLOEXEC, "close-on-exec was cleared in the parent");
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

START_TEST(the_pidfd_is_close_on_exec_and_not_a_standard_stream)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	struct peal_child *child;

	hide_other_fds();
	close(STDIN_FILENO);
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "table", "2"), NULL, 0, NULL));
	ck_assert_int_ge(peal_child_pidfd(child), 3);
	ck_assert_int_eq(fcntl(peal_child_pidfd(child), F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	ck_assert_int_eq(end_of(child).value, 0);
	peal_child_free(child);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}
END_TEST

#define SPAWNERS     8
#define FORKERS      2
#define STORM_SPAWNS 40
#define STORM_FORKS  80

/* Each returns how many children were wrong: asserting is for the main thread. */
static void *spawn_many(void *guest)
{
	intptr_t wrong = 0;

	for (int i = 0; i < STORM_SPAWNS; i++) {
		struct peal_spawn_fd fds[] = {{"--x", eventfd(0, EFD_CLOEXEC)},
					      {"--y", eventfd(0, EFD_CLOEXEC)}};
		struct peal_child_status status = {-1, -1};
		struct peal_child *child = NULL;

		if (peal_spawn_fds(&child, ARGV(guest, "table", "3"), fds, 2, NULL) == 0)
			peal_child_wait(child, PEAL_FOREVER, &status);
		wrong += status.state != PEAL_CHILD_EXITED || status.value != 0;
		peal_child_free(child);
		close(fds[0].fd);
		close(fds[1].fd);
	}
	return (void *)wrong;
}

static void *fork_many(void *guest)
{
	char **argv = ARGV(guest, "table", "3");
	intptr_t wrong = 0;

	for (int i = 0; i < STORM_FORKS; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			execv(guest, argv);
			_exit(97);
		}
		waitpid(pid, &status, 0);
		wrong += status != 0;
	}
	return (void *)wrong;
}

START_TEST(nothing_leaks_into_what_other_threads_start)
{
	pthread_t threads[SPAWNERS + FORKERS];
	char *guest = GUEST;
	void *wrong;

	hide_other_fds();
	for (int i = 0; i < SPAWNERS + FORKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						i < SPAWNERS ? spawn_many : fork_many, guest),
				 0);
	for (int i = 0; i < SPAWNERS + FORKERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_msg(wrong == NULL, "thread %d: %d wrong children", i,
			      (int)(intptr_t)wrong);
	}
}
END_TEST

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

static void handle(int signal, void (*function)(int))
{
	struct sigaction action = {.sa_handler = function};

	ck_assert_int_eq(sigaction(signal, &action, NULL), 0);
}

START_TEST(signals_are_default_and_unblocked_in_the_child)
{
	/* As a careless starter could leave them: ignored, the C library's own (32, 33) too. */
	unsigned long ignore[16] = {(unsigned long)SIG_IGN};
	sigset_t all, before, after;

	for (int signal = 1; signal < _NSIG; signal++)
		if (signal != SIGCHLD)
			syscall(SYS_rt_sigaction, signal, ignore, NULL, (size_t)(_NSIG / 8));
	handle(SIGUSR1, handler);
	sigfillset(&all);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &all, NULL), 0);
	peal_sigmask_set(NULL, &before);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "signals"), NULL, 0, NULL), 0);
	/* And the parent's are as before. */
	peal_sigmask_set(NULL, &after);
	ck_assert_int_eq(memcmp(&before, &after, _NSIG / 8), 0);
	ck_assert_int_eq(sigismember(&after, SIGTERM), 1);
}
END_TEST

START_TEST(every_signal_is_blocked_until_exec)
{
	sigset_t before, after;
	char *mask;

	peal_sigmask_set(NULL, &before);
	snprintf(seen.path, sizeof(seen.path), "/proc/self/status");
	ck_assert_int_eq(exit_of(ARGV(GUEST, "exit", "0"), NULL, 0, OPTIONS(.pre_exec = see_file)),
			 0);
	mask = strstr(seen.text, "SigBlk:\t");
	ck_assert_ptr_nonnull(mask);
	ck_assert_msg(strncmp(mask + 8, ALL_SIGNALS, 16) == 0, "%.24s", mask);
	peal_sigmask_set(NULL, &after);
	ck_assert_int_eq(memcmp(&before, &after, _NSIG / 8), 0);
}
END_TEST

static int signal_myself(void *data)
{
	(void)data;
	return kill(getpid(), SIGUSR1);
}

START_TEST(the_parents_handlers_never_run_in_the_child)
{
	struct peal_child_status status;
	struct peal_child *child;

	handle(SIGUSR1, handler);
	/* Pending when the child opens its mask, which is before its exec. */
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "exit", "0"), NULL, 0,
				 OPTIONS(.pre_exec = signal_myself)));
	status = end_of(child);
	ck_assert_int_eq(handled, 0);
	ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
	ck_assert_int_eq(status.value, SIGUSR1);
	peal_child_free(child);
}
END_TEST

START_TEST(the_environment_is_the_given_one_or_the_parents)
{
	char given[] = "PEAL_TEST=given", *envp[] = {given, NULL};

	setenv("PEAL_TEST", "inherited", 1);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "variable", "PEAL_TEST", "inherited"), NULL, 0, NULL),
			 0);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "variable", "PEAL_TEST", "given"), NULL, 0,
				 OPTIONS(.envp = envp)),
			 0);
}
END_TEST

START_TEST(rlimits_and_no_new_privs_hold_in_the_child_alone)
{
	struct peal_rlimit limits[] = {{RLIMIT_CORE, {0, 0}}, {RLIMIT_NOFILE, {77, 77}}};
	struct peal_spawn_options *options = OPTIONS(.rlimits = limits, .rlimit_count = 2);
	char resource[12];
	struct rlimit mine;

	snprintf(resource, sizeof(resource), "%d", RLIMIT_NOFILE);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "rlimit", resource, "77"), NULL, 0, options), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &mine), 0);
	ck_assert(mine.rlim_cur != 77);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		harness_skip("no_new_privs is already set here");
	ck_assert_int_eq(exit_of(ARGV(GUEST, "no-new-privs"), NULL, 0, NULL), 0);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "no-new-privs"), NULL, 0,
				 OPTIONS(.flags = PEAL_SPAWN_NO_NEW_PRIVS)),
			 1);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}
END_TEST

/* --- Where the program is ------------------------------------------------------------------ */

static char *directory;

static char *in_directory(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void make_file(const char *name, mode_t mode)
{
	int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "no program\n", 11), 11);
	close(fd);
}

/* bad/: a file that may not be executed; good/: the guest under that name; plain: no directory. */
static void make_directory(void)
{
	directory = mkdtemp(harness_temporary("peal-spawn-XXXXXX"));
	ck_assert_ptr_nonnull(directory);
	ck_assert_int_eq(mkdir(in_directory("bad"), 0700), 0);
	ck_assert_int_eq(mkdir(in_directory("good"), 0700), 0);
	make_file("bad/peal-guest", 0600);
	make_file("plain", 0700);
	ck_assert_int_eq(symlink(GUEST, in_directory("good/peal-guest")), 0);
}

static void remove_directory(void)
{
	unlink(in_directory("bad/peal-guest"));
	unlink(in_directory("good/peal-guest"));
	unlink(in_directory("plain"));
	rmdir(in_directory("bad"));
	rmdir(in_directory("good"));
	ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(a_name_without_slash_is_looked_for_in_path)
{
	char path[8192];
	struct peal_child *child = NULL;

	make_directory();
	/* One that is too long, as the zeros show. */
	snprintf(path, sizeof(path), "/%05000d:%s/none:%s/plain:%s/bad:%s/good", 0, directory,
		 directory, directory, directory);
	setenv("PATH", path, 1);
	ck_assert_int_eq(exit_of(ARGV("peal-guest", "exit", "5"), NULL, 0, NULL), 5);
	/* Found, but not a program: that is said, rather than that the last directory has none. */
	*strrchr(path, ':') = '\0';
	snprintf(path + strlen(path), sizeof(path) - strlen(path), ":%s/none", directory);
	setenv("PATH", path, 1);
	assert_fails(peal_spawn_fds(&child, ARGV("peal-guest"), NULL, 0, NULL), EACCES,
		     "starting 'peal-guest': Permission denied");
	assert_fails(peal_spawn_fds(&child, ARGV("peal-none"), NULL, 0, NULL), ENOENT,
		     "starting 'peal-none': No such file");
	/* A slash means here, whatever PATH says; and so does an empty entry. */
	ck_assert_int_eq(chdir(in_directory("good")), 0);
	ck_assert_int_eq(exit_of(ARGV("./peal-guest", "exit", "6"), NULL, 0, NULL), 6);
	setenv("PATH", "/none::", 1);
	ck_assert_int_eq(exit_of(ARGV("peal-guest", "exit", "7"), NULL, 0, NULL), 7);
	unsetenv("PATH");
	ck_assert_int_eq(exit_of(ARGV("sh", "-c", "exit 8"), NULL, 0, NULL), 8);
	assert_fails(peal_spawn_fds(&child, ARGV(""), NULL, 0, NULL), ENOENT, "starting ''");
	remove_directory();
}
END_TEST

/* --- How it fails to be born --------------------------------------------------------------- */

START_TEST(a_failed_exec_is_its_errno_and_leaves_nothing)
{
	struct peal_child *child = NULL;
	int free_fd = lowest_free_fd();

	make_directory();
	assert_fails(peal_spawn_fds(&child, ARGV("./nope"), NULL, 0, NULL), ENOENT,
		     "starting './nope': No such file or directory");
	assert_fails(peal_spawn_fds(&child, ARGV(in_directory("bad/peal-guest")), NULL, 0, NULL),
		     EACCES, "/bad/peal-guest': Permission denied");
	assert_fails(peal_spawn_fds(&child, ARGV(in_directory("plain")), NULL, 0, NULL), ENOEXEC,
		     "/plain': Exec format error");
	ck_assert_ptr_null(child);
	ck_assert_int_eq(lowest_free_fd(), free_fd);
	assert_no_child();
	remove_directory();
}
END_TEST

static int give_back(void *data)
{
	return *(int *)data;
}

START_TEST(a_failed_pre_exec_is_its_errno_and_leaves_nothing)
{
	static const struct {
		int returned, error;
	} cases[] = {{-ECANCELED, ECANCELED}, {1, EINVAL}, {INT32_MIN, EINVAL}, {-4096, EINVAL}};
	int free_fd = lowest_free_fd(), value;
	struct peal_child *child = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		value = cases[i].returned;
		assert_fails(
			peal_spawn_fds(&child, ARGV(GUEST), NULL, 0,
				       OPTIONS(.pre_exec = give_back, .pre_exec_data = &value)),
			cases[i].error, "pre_exec");
		ck_assert_ptr_null(child);
		ck_assert_int_eq(lowest_free_fd(), free_fd);
		assert_no_child();
	}
}
END_TEST

START_TEST(a_failed_rlimit_is_its_errno_and_leaves_nothing)
{
	struct peal_rlimit limits[] = {{RLIMIT_CORE, {0, 0}}, {RLIMIT_NOFILE, {10, 5}}};
	struct peal_child *child = NULL;
	char words[64];

	snprintf(words, sizeof(words), "setting resource limit %d: Invalid argument",
		 RLIMIT_NOFILE);
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 0,
				    OPTIONS(.rlimits = limits, .rlimit_count = 2)),
		     EINVAL, words);
	ck_assert_ptr_null(child);
	assert_no_child();
}
END_TEST

START_TEST(bad_arguments_are_refused_before_the_clone)
{
	int fd = eventfd(0, EFD_CLOEXEC), too_late = -ECANCELED;
	static const struct {
		struct peal_spawn_fd fd;
		int error;
		const char *words;
	} bad[] = {
		{{"--x", 0}, EINVAL, "--x: 0 is a standard stream"},
		{{"--x", 2}, EINVAL, "--x: 2 is a standard stream"},
		{{"--x", -1}, EINVAL, "--x: -1 is a standard stream or none"},
		{{"--x", 999}, EBADF, "--x: descriptor 999 is not open"},
		{{NULL, 3}, EINVAL, "no argument name"},
		{{"", 3}, EINVAL, "no argument name"},
	};
	struct peal_spawn_fd twice[] = {{"--x", fd}, {"--y", fd}};
	struct peal_child *child = NULL;
	struct peal_spawn_options *options =
		OPTIONS(.pre_exec = give_back, .pre_exec_data = &too_late);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(peal_spawn_fds(&child, ARGV(GUEST), &bad[i].fd, 1, options),
			     bad[i].error, bad[i].words);
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), twice, 2, options), EINVAL,
		     "already inherited as --x");
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 1, options), EINVAL, "no list");
	assert_fails(peal_spawn_fds(&child, ARGV(NULL), NULL, 0, options), EINVAL, "no program");
	assert_fails(peal_spawn_fds(&child, NULL, NULL, 0, options), EINVAL, "no program");
	ck_assert_ptr_null(child);
	close(fd);
}
END_TEST

START_TEST(options_that_cannot_be_honoured_are_refused)
{
	struct {
		struct peal_spawn_options options;
		unsigned char later[8];
	} newer = {.options = {.size = sizeof(newer)}};
	struct peal_child *child = NULL;

	ck_assert_int_eq(exit_of(ARGV(GUEST, "exit", "3"), NULL, 0, &newer.options), 3);
	newer.later[7] = 1;
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 0, &newer.options), EINVAL,
		     "this version of the library knows only");
	newer.options.size = 0;
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 0, &newer.options), EINVAL,
		     "size is 0");
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 0, OPTIONS(.flags = 4)), EINVAL,
		     "unknown spawn flags 0x4");
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST), NULL, 0, OPTIONS(.rlimit_count = 1)),
		     EINVAL, "1 resource limits, but no list");
	ck_assert_ptr_null(child);
}
END_TEST

START_TEST(without_free_descriptors_everything_is_unwound)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), free_fd;
	struct peal_child *child = NULL;
	struct rlimit limit, old;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	free_fd = lowest_free_fd();
	limit = (struct rlimit){(rlim_t)free_fd, old.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL), EMFILE,
		     "clone: Too many open files");
	assert_no_child();
	/* The last free number is a standard stream's, so the process is there before we fail. */
	close(STDIN_FILENO);
	assert_fails(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL), EMFILE,
		     "moving its pidfd up");
	assert_no_child();
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(lowest_free_fd(), free_fd);
	ck_assert_ptr_null(child);
	close(saved);
}
END_TEST

static long virtual_pages(void)
{
	char text[128];

	read_file("/proc/self/statm", text, sizeof(text));
	return atol(text);
}

START_TEST(no_memory_is_left)
{
	struct peal_child *child;
	long before;
	size_t heap_before;

	exit_of(ARGV(GUEST), NULL, 0, NULL);
	before = virtual_pages();
	heap_before = mallinfo2().uordblks;
	for (int i = 0; i < 50; i++) {
		exit_of(ARGV(GUEST), NULL, 0, NULL);
		assert_fails(peal_spawn_fds(&child, ARGV("./nope"), NULL, 0, NULL), ENOENT, "nope");
	}
	/* 100 stacks are 12 MiB. */
	ck_assert_int_lt((virtual_pages() - before) * sysconf(_SC_PAGESIZE), 2 << 20);
	/* And 100 of the smallest block 2400 bytes. */
	ck_assert_uint_le(mallinfo2().uordblks, heap_before + 1024);
}
END_TEST

static int fill_stack(void *data)
{
	volatile char big[100 << 10];

	(void)data;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = 1;
	return 0;
}

START_TEST(the_childs_stack_is_large_and_ends_in_a_guard_page)
{
	unsigned long start, end, guard_start = 0, guard_end = 0, frame;
	char rights[8], guard_rights[8] = "";
	const char *line;

	snprintf(seen.path, sizeof(seen.path), "/proc/self/maps");
	exit_of(ARGV(GUEST), NULL, 0, OPTIONS(.pre_exec = see_file));
	frame = (unsigned long)seen.frame;
	for (line = seen.text; line && *line; line = strchr(line, '\n') + 1) {
		ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &start, &end, rights), 3);
		if (start <= frame && frame < end)
			break;
		guard_start = start;
		guard_end = end;
		strcpy(guard_rights, rights);
	}
	ck_assert_uint_eq(guard_end, start);
	ck_assert_str_eq(guard_rights, "---p");
	ck_assert_uint_eq(guard_end - guard_start, (unsigned long)sysconf(_SC_PAGESIZE));
	ck_assert_int_eq(exit_of(ARGV(GUEST), NULL, 0, OPTIONS(.pre_exec = fill_stack)), 0);
}
END_TEST

static int cancellation_point(void *data)
{
	(void)data;
	pthread_testcancel();
	return 0;
}

struct cancelled {
	char *guest;
	struct peal_child *child;
};

static void *spawn_and_free(void *data)
{
	struct cancelled *cancelled = data;
	char **argv = ARGV(cancelled->guest, "stay");
	struct peal_child *other = NULL;

	/* No cancellation point from here on but those of the library; Check has some. */
	pthread_cancel(pthread_self());
	peal_spawn_fds(&other, argv, NULL, 0, NULL);
	peal_child_free(other);
	peal_spawn_fds(&cancelled->child, argv, NULL, 0, OPTIONS(.pre_exec = cancellation_point));
	pthread_testcancel();
	return NULL;
}

START_TEST(a_cancelled_thread_spawns_and_frees_to_the_end)
{
	struct cancelled cancelled = {GUEST, NULL};
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, spawn_and_free, &cancelled), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_ptr_nonnull(cancelled.child);
	peal_child_free(cancelled.child);
	assert_no_child();
}
END_TEST

/* --- How it ends --------------------------------------------------------------------------- */

START_TEST(the_status_is_exact_and_stays_the_same)
{
	static const int codes[] = {0, 1, 3, 126, 127, 255};
	const int signals[] = {SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGRTMIN + 3};
	struct peal_rlimit no_core = {RLIMIT_CORE, {0, 0}};
	struct peal_spawn_options *options = OPTIONS(.rlimits = &no_core, .rlimit_count = 1);
	struct peal_child_status status;
	struct peal_child *child;
	char text[12];

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		snprintf(text, sizeof(text), "%d", codes[i]);
		ck_assert_int_eq(exit_of(ARGV(GUEST, "exit", text), NULL, 0, NULL), codes[i]);
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(text, sizeof(text), "%d", signals[i]);
		assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "die", text), NULL, 0, options));
		for (int again = 0; again < 3; again++) {
			assert_ok(peal_child_wait(child, again < 2 ? PEAL_FOREVER : PEAL_TRY,
						  &status));
			ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
			ck_assert_int_eq(status.value, signals[i]);
		}
		assert_no_child();
		assert_ok(peal_child_wait(child, PEAL_FOREVER, NULL));
		peal_child_free(child);
	}
}
END_TEST

START_TEST(a_wait_keeps_its_deadline_through_interruptions)
{
	struct itimerval every = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
	struct peal_child_status status = {-7, -7};
	struct peal_child *child;
	uint64_t start, took;

	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL));
	ck_assert_int_eq(peal_child_wait(child, PEAL_TRY, &status), -EAGAIN);
	handle(SIGALRM, handler);
	setitimer(ITIMER_REAL, &every, NULL);
	start = peal_now_ns();
	ck_assert_int_eq(peal_child_wait(child, start + 300000000, &status), -ETIMEDOUT);
	took = peal_now_ns() - start;
	setitimer(ITIMER_REAL, &never, NULL);
	ck_assert_int_gt(handled, 0);
	ck_assert_uint_ge(took, 300000000);
	ck_assert_int_eq(status.state, -7);
	ck_assert_int_eq(status.value, -7);
	peal_child_free(child);
}
END_TEST

START_TEST(a_kill_reaches_the_child_until_it_was_waited_for)
{
	struct peal_child_status status;
	struct peal_child *child;

	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL));
	ck_assert_int_gt(peal_child_pid(child), 0);
	assert_fails(peal_child_kill(child, 12345), EINVAL, "sending signal 12345");
	assert_ok(peal_child_kill(child, SIGTERM));
	status = end_of(child);
	ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
	ck_assert_int_eq(status.value, SIGTERM);
	assert_fails(peal_child_kill(child, SIGTERM), ESRCH, "was waited for");
	peal_child_free(child);
}
END_TEST

START_TEST(a_status_that_others_took_is_echild)
{
	struct peal_child_status status = {-7, -7};
	struct peal_child *child;
	char text[256];

	handle(SIGCHLD, SIG_IGN);
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "exit", "0"), NULL, 0, NULL));
	for (int again = 0; again < 2; again++)
		assert_fails(peal_child_wait(child, PEAL_FOREVER, &status), ECHILD,
			     "taken by somebody else");
	ck_assert_int_eq(status.state, -7);
	ck_assert_ptr_nonnull(strstr(peal_child_describe(child, text, sizeof(text)),
				     "has ended, its status is not known"));
	peal_child_free(child);
	assert_fails(peal_spawn_fds(&child, ARGV("./nope"), NULL, 0, NULL), ENOENT, "./nope");
}
END_TEST

START_TEST(the_description_says_how_it_fares)
{
	char text[256], expected[256], small[8] = "untouch";
	struct peal_child *child;
	int pid;

	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL));
	pid = (int)peal_child_pid(child);
	snprintf(expected, sizeof(expected), "'%s' (pid %d) is running", GUEST, pid);
	ck_assert_str_eq(peal_child_describe(child, text, sizeof(text)), expected);
	assert_ok(peal_child_kill(child, SIGSEGV));
	end_of(child);
	snprintf(expected, sizeof(expected),
		 "'%s' (pid %d) was killed by signal 11 (Segmentation fault)", GUEST, pid);
	ck_assert_str_eq(peal_child_describe(child, text, sizeof(text)), expected);
	ck_assert_ptr_eq(peal_child_describe(child, small, 3), small);
	ck_assert_mem_eq(small, expected, 2);
	ck_assert_mem_eq(small + 2, "\0ouch", 5);
	peal_child_free(child);

	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "exit", "3"), NULL, 0, NULL));
	/* It takes the status itself, so it must come to this without a wait; no end otherwise. */
	while (strstr(peal_child_describe(child, text, sizeof(text)), "is running"))
		sched_yield();
	snprintf(expected, sizeof(expected), "'%s' (pid %d) exited with status 3", GUEST,
		 (int)peal_child_pid(child));
	ck_assert_str_eq(text, expected);
	assert_no_child();
	peal_child_free(child);
}
END_TEST

START_TEST(free_kills_and_reaps)
{
	struct peal_child *child;
	pid_t pid;

	ck_assert_ptr_null(peal_child_free(NULL));
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL));
	pid = peal_child_pid(child);
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_ptr_null(peal_child_free(child));
	assert_no_child();
	ck_assert_int_eq(kill(pid, 0), -1);
	/* A stopped one, and one that has ended, but not been waited for. */
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "stay"), NULL, 0, NULL));
	assert_ok(peal_child_kill(child, SIGSTOP));
	ck_assert_int_eq(
		waitid(P_PID, (id_t)peal_child_pid(child), &(siginfo_t){0}, WSTOPPED | WNOWAIT), 0);
	peal_child_free(child);
	assert_no_child();
	assert_ok(peal_spawn_fds(&child, ARGV(GUEST, "exit", "0"), NULL, 0, NULL));
	ck_assert_int_eq(
		waitid(P_PID, (id_t)peal_child_pid(child), &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	peal_child_free(child);
	assert_no_child();
}
END_TEST

/* A host that dies without a word, with a guest that holds @fd. */
static noreturn void be_host(int fd)
{
	struct peal_spawn_fd fds[] = {{"--life", fd}};
	struct peal_child *child;

	_exit(peal_spawn_fds(&child, ARGV(GUEST, "stay"), fds, 1,
			     OPTIONS(.flags = PEAL_SPAWN_DIE_WITH_PARENT)) != 0);
}

START_TEST(the_child_dies_with_its_parent_if_asked)
{
	int ends[2], status;
	char text[8];
	pid_t host;

	ck_assert_int_eq(exit_of(ARGV(GUEST, "death-signal"), NULL, 0, NULL), 0);
	ck_assert_int_eq(exit_of(ARGV(GUEST, "death-signal"), NULL, 0,
				 OPTIONS(.flags = PEAL_SPAWN_DIE_WITH_PARENT)),
			 SIGKILL);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	host = fork();
	if (host == 0)
		be_host(ends[1]);
	close(ends[1]);
	ck_assert_int_eq(waitpid(host, &status, 0), host);
	ck_assert_int_eq(status, 0);
	/* The end of file comes when the guest is gone. */
	ck_assert_uint_eq(read_all(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
}
END_TEST

START_TEST(a_child_whose_parent_died_first_does_not_start)
{
	struct peal_spawn_plan plan = {
		.options = OPTIONS(.flags = PEAL_SPAWN_DIE_WITH_PARENT),
		.argv = ARGV(GUEST, "exit", "0"),
		.programs = ARGV(GUEST),
		.envp = environ,
	};
	int status;
	pid_t pid;

	/* The moment cannot be hit from outside, so the child's part is run on its own. */
	for (int orphan = 0; orphan < 2; orphan++) {
		plan.parent = getpid() + orphan;
		pid = fork();
		if (pid == 0)
			peal_spawn_child(&plan);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(WEXITSTATUS(status), orphan ? PEAL_SPAWN_EXIT_FAILED : 0);
	}
}
END_TEST

int main(void)
{
	return harness_main("spawn",
			    (struct harness_case[]){
				    {the_child_has_the_given_descriptors_and_no_other, 0},
				    {their_numbers_are_appended_to_argv, 0},
				    {the_parent_keeps_them_close_on_exec_all_the_time, 0},
				    {the_pidfd_is_close_on_exec_and_not_a_standard_stream, 0},
				    {nothing_leaks_into_what_other_threads_start, 0},
				    {signals_are_default_and_unblocked_in_the_child, 0},
				    {every_signal_is_blocked_until_exec, 0},
				    {the_parents_handlers_never_run_in_the_child, 0},
				    {the_environment_is_the_given_one_or_the_parents, 0},
				    {rlimits_and_no_new_privs_hold_in_the_child_alone, 0},
				    {a_name_without_slash_is_looked_for_in_path, 0},
				    {a_failed_exec_is_its_errno_and_leaves_nothing, 0},
				    {a_failed_pre_exec_is_its_errno_and_leaves_nothing, 0},
				    {a_failed_rlimit_is_its_errno_and_leaves_nothing, 0},
				    {bad_arguments_are_refused_before_the_clone, 0},
				    {options_that_cannot_be_honoured_are_refused, 0},
				    {without_free_descriptors_everything_is_unwound, 0},
				    {no_memory_is_left, 0},
				    {the_childs_stack_is_large_and_ends_in_a_guard_page, 0},
				    {a_cancelled_thread_spawns_and_frees_to_the_end, 0},
				    {the_status_is_exact_and_stays_the_same, 0},
				    {a_wait_keeps_its_deadline_through_interruptions, 0},
				    {a_kill_reaches_the_child_until_it_was_waited_for, 0},
				    {a_status_that_others_took_is_echild, 0},
				    {the_description_says_how_it_fares, 0},
				    {free_kills_and_reaps, 0},
				    {the_child_dies_with_its_parent_if_asked, 0},
				    {a_child_whose_parent_died_first_does_not_start, 0},
				    HARNESS_END,
			    });
}
