/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - from nothing to the first message of a process that was started for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/peal.h>

#include "plan.h"

/* The first few fault in what fork and exec need. */
#define WARM_UP 2

/* child.c, beside this program. */
static char program[PATH_MAX];

static int find_program(void)
{
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - sizeof("-child"));

	if (length < 0)
		return -errno;
	strcpy(program + length, "-child");
	return 0;
}

static int spawn_peal_once(uint64_t *ns)
{
	char *argv[] = {program, NULL};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 1 << 20, .to_guest = 1 << 20};
	struct peal_channel *channel;
	struct peal_child *child = NULL;
	uint64_t begin_ns = bench_now_ns(), word;
	int64_t got;
	int rc = peal_channel_create(&channel, &options);

	if (rc < 0)
		return rc;
	rc = peal_spawn(&child, channel, argv, NULL);
	if (rc == 0) {
		got = peal_recv(peal_rx(channel), &word, sizeof(word), NULL, PEAL_FOREVER);
		*ns = bench_now_ns() - begin_ns;
		rc = got == sizeof(word) ? 0 : got < 0 ? (int)got : -EBADMSG;
	}
	peal_channel_close(channel);
	if (child)
		peal_child_wait(child, peal_deadline_in_ns(1000000000), NULL);
	peal_child_free(child);
	return rc;
}

static int spawn_pipe_once(uint64_t *ns)
{
	char number[16];
	char *argv[] = {program, number, NULL};
	extern char **environ;
	uint64_t begin_ns = bench_now_ns(), word;
	int fds[2], rc;
	pid_t pid;

	if (pipe(fds) < 0)
		return -errno;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	snprintf(number, sizeof(number), "%d", fds[1]);
	rc = -posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	close(fds[1]);
	if (rc == 0) {
		if (read(fds[0], &word, sizeof(word)) != sizeof(word))
			rc = -EBADMSG;
		*ns = bench_now_ns() - begin_ns;
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The median of as many as fit into the run. */
static int repeat(int (*once)(uint64_t *ns), const struct bench_config *config, double *value)
{
	uint64_t stop_ns = bench_now_ns() + config->duration_ns, taken[512], ns;
	size_t count = 0;
	int rc = find_program();

	for (int i = 0; i < WARM_UP && rc == 0; i++)
		rc = once(&ns);
	do {
		if (rc == 0)
			rc = once(&taken[count++]);
		if (rc < 0)
			return rc;
	} while (bench_now_ns() < stop_ns && count < sizeof(taken) / sizeof(taken[0]));
	qsort(taken, count, sizeof(taken[0]), by_value);
	*value = (double)taken[count / 2];
	return 0;
}

int bench_spawn_peal(const struct bench_config *config, double *value)
{
	return repeat(spawn_peal_once, config, value);
}

int bench_spawn_pipe(const struct bench_config *config, double *value)
{
	return repeat(spawn_pipe_once, config, value);
}
