/* SPDX-License-Identifier: MIT */
/*
 * run.c - start a run, watch it, judge it, and sweep up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "part.h"
#include "run.h"

/* For creating, attaching and warming up; what takes longer hangs. */
#define GRACE_NS UINT64_C(20000000000)

/* A look at the second process, whose death only its parent is told of. */
#define LOOK_NS UINT64_C(100000000)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

bool bench_interrupted(void)
{
	return interrupted != 0;
}

int bench_signal(void)
{
	return interrupted;
}

static void on_alarm(int number)
{
	(void)number; /* it only ends a wait */
}

void bench_run_init(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	/* What a run leaves behind comes to us, and is ended after it. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* What the supervisor holds for one run. */
struct watch {
	struct bench_arena *arena;
	struct bench_run run;
	int arena_fd;
	int shared_fd;
	int log_fd; /* standard error of the two processes */
	pid_t first;
	int first_fd;
};

static int shared_memory(const char *name, size_t bytes, void **memory)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0)
		*memory =
			mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (*memory != NULL && *memory != MAP_FAILED)
		return fd;
	close(fd);
	*memory = NULL;
	return -ENOMEM;
}

static void watch_close(struct watch *watch)
{
	if (watch->arena)
		munmap(watch->arena, sizeof(*watch->arena));
	if (watch->run.shared)
		munmap(watch->run.shared, watch->run.shared_bytes);
	for (int *fd = (int[]){watch->arena_fd, watch->shared_fd, watch->log_fd, watch->first_fd},
		 i = 0;
	     i < 4; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static int watch_open(struct watch *watch, const struct bench_job *job)
{
	void *memory = NULL;

	*watch = (struct watch){.arena_fd = -1, .shared_fd = -1, .log_fd = -1, .first_fd = -1};
	watch->arena_fd = shared_memory("bench-control", sizeof(*watch->arena), &memory);
	if (watch->arena_fd < 0)
		return watch->arena_fd;
	watch->arena = memory;
	watch->run.control = &watch->arena->control;
	watch->arena->control.config = job->config;
	watch->arena->place = job->place;
	memcpy(watch->arena->cpus, job->cpus, sizeof(job->cpus));
	watch->arena->gate = !job->trace;
	if (job->adapter && job->adapter->shared_bytes)
		watch->run.shared_bytes = job->adapter->shared_bytes(&job->config);
	if (watch->run.shared_bytes > 0) {
		watch->shared_fd =
			shared_memory("bench-shared", watch->run.shared_bytes, &watch->run.shared);
		if (watch->shared_fd < 0)
			return watch->shared_fd;
	}
	if (job->adapter)
		snprintf(watch->arena->slug, sizeof(watch->arena->slug), "%s", job->adapter->slug);
	watch->log_fd = memfd_create("bench-log", MFD_CLOEXEC);
	return watch->log_fd < 0 ? -errno : 0;
}

static int custom(const struct watch *watch, const struct bench_job *job)
{
	int rc = job->custom(&job->config, &watch->arena->value);

	if (rc < 0)
		fprintf(stderr, "%s\n", strerror(-rc));
	return rc < 0 ? 78 : 0;
}

static void be_first(struct watch *watch, const struct bench_job *job, pid_t parent)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(73);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	/* Libraries talk; only the last line is of interest, and only if the run fails. */
	dup2(watch->log_fd, STDERR_FILENO);
	dup2(watch->log_fd, STDOUT_FILENO);
	while (!__atomic_load_n(&watch->arena->gate, __ATOMIC_ACQUIRE))
		usleep(1000);
	watch->arena->pids[BENCH_FIRST] = getpid();
	_exit(job->custom ? custom(watch, job)
			  : bench_be_first(&watch->run, job->adapter, watch->arena_fd));
}

static void set_void(struct bench_outcome *outcome, const char *why)
{
	if (!outcome->is_void)
		snprintf(outcome->why, sizeof(outcome->why), "%s", why);
	outcome->is_void = true;
}

/* Has the second process ended without having detached? */
static bool second_died(const struct bench_arena *arena)
{
	pid_t pid = __atomic_load_n(&arena->pids[BENCH_SECOND], __ATOMIC_ACQUIRE);
	struct pollfd ended = {.events = POLLIN};
	bool died;

	if (pid == 0 || pid == arena->pids[BENCH_FIRST])
		return false;
	ended.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	died = ended.fd < 0 ? errno == ESRCH : poll(&ended, 1, 0) > 0;
	if (ended.fd >= 0)
		close(ended.fd);
	return died && !__atomic_load_n(&arena->gone, __ATOMIC_ACQUIRE);
}

/* Wait for the first process; NULL when it ended, otherwise why not to wait any longer. */
static const char *wait_for_first(const struct watch *watch, uint64_t deadline_ns)
{
	struct pollfd ended = {.fd = watch->first_fd, .events = POLLIN};

	while (!interrupted) {
		if (poll(&ended, 1, (int)(LOOK_NS / 1000000)) > 0)
			return NULL;
		if (second_died(watch->arena))
			return "the second process died";
		if (bench_now_ns() > deadline_ns)
			return "timed out";
	}
	return "interrupted";
}

/* End and reap everything that is left of the run. Only we have children; all are of this run. */
static void sweep(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	for (int round = 0; round < 1000; round++) {
		FILE *children = fopen(path, "re");
		int pid, found = 0;

		while (children && fscanf(children, "%d", &pid) == 1) {
			kill(pid, SIGKILL);
			found++;
		}
		if (children)
			fclose(children);
		while (waitpid(-1, NULL, found ? 0 : WNOHANG) > 0)
			;
		if (!found && errno == ECHILD)
			return;
	}
}

/* The last line that the processes wrote to standard error. */
static void last_words(const struct watch *watch, char *line, size_t size)
{
	char text[1024];
	off_t end = lseek(watch->log_fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
	ssize_t length = pread(watch->log_fd, text, sizeof(text) - 1, from);
	char *start;

	line[0] = '\0';
	while (length > 0 && text[length - 1] == '\n')
		length--;
	if (length <= 0)
		return;
	text[length] = '\0';
	start = strrchr(text, '\n');
	snprintf(line, size, ": %.100s", start ? start + 1 : text);
}

static void explain(struct bench_outcome *outcome, const struct watch *watch, const char *what)
{
	const struct bench_control *control = &watch->arena->control;
	char why[sizeof(outcome->why)], words[128] = "";

	if (control->first.error[0] || control->second.error[0])
		snprintf(words, sizeof(words), ": %.100s",
			 control->first.error[0] ? control->first.error : control->second.error);
	else
		last_words(watch, words, sizeof(words));
	snprintf(why, sizeof(why), "%s%s", what, words);
	set_void(outcome, why);
}

static void judge_status(struct bench_outcome *outcome, const struct watch *watch, int status)
{
	char what[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (WIFSIGNALED(status))
		snprintf(what, sizeof(what), "killed by signal %d", WTERMSIG(status));
	else
		snprintf(what, sizeof(what), "exit status %d", WEXITSTATUS(status));
	explain(outcome, watch, what);
}

static void judge_data(struct bench_outcome *outcome, const struct bench_job *job)
{
	const struct bench_side *first = &outcome->first, *second = &outcome->second;
	char why[128];

	if (job->custom || outcome->is_void)
		return;
	if (first->wrong || second->wrong)
		snprintf(why, sizeof(why), "%llu of %llu messages arrived wrong",
			 (unsigned long long)(first->wrong + second->wrong),
			 (unsigned long long)first->messages);
	else if (first->messages != second->messages || first->messages == 0)
		snprintf(why, sizeof(why), "%llu messages sent, %llu received",
			 (unsigned long long)first->messages, (unsigned long long)second->messages);
	else
		return;
	set_void(outcome, why);
}

static void watch_plain(struct watch *watch, const struct bench_job *job,
			struct bench_outcome *outcome)
{
	uint64_t deadline_ns = bench_now_ns() + job->config.duration_ns + GRACE_NS;
	const char *why = wait_for_first(watch, deadline_ns);
	int status = 0;

	if (why) {
		kill(watch->first, SIGKILL);
		explain(outcome, watch, why);
	}
	while (waitpid(watch->first, &status, 0) < 0 && errno == EINTR)
		;
	judge_status(outcome, watch, status);
}

static void watch_traced(struct watch *watch, const struct bench_job *job,
			 struct bench_outcome *outcome)
{
	uint64_t deadline_ns = bench_now_ns() + job->config.duration_ns + GRACE_NS;
	int status = 0;
	int rc = bench_trace_run(watch->arena, watch->first, deadline_ns, outcome->traced, &status);

	if (rc < 0)
		explain(outcome, watch,
			rc == -EPERM ? "tracing is not allowed here" : strerror(-rc));
	else
		judge_status(outcome, watch, status);
}

bool bench_run_job(const struct bench_job *job, struct bench_outcome *outcome)
{
	struct watch watch;
	pid_t self = getpid();
	int rc = watch_open(&watch, job);

	memset(outcome, 0, sizeof(*outcome));
	if (rc == 0) {
		watch.first = fork();
		if (watch.first == 0)
			be_first(&watch, job, self);
		rc = watch.first < 0 ? -errno : 0;
	}
	if (rc < 0) {
		set_void(outcome, strerror(-rc));
		watch_close(&watch);
		return false;
	}
	watch.first_fd = (int)syscall(SYS_pidfd_open, watch.first, 0);
	if (job->trace)
		watch_traced(&watch, job, outcome);
	else
		watch_plain(&watch, job, outcome);
	sweep();
	outcome->first = watch.arena->control.first;
	outcome->second = watch.arena->control.second;
	outcome->value = watch.arena->value;
	memcpy(outcome->ages, watch.arena->control.ages, sizeof(outcome->ages));
	judge_data(outcome, job);
	watch_close(&watch);
	return !outcome->is_void;
}
