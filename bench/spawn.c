/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - from nothing to the first message of a process that was started for it.
 */
#define _GNU_SOURCE
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
#include "start.h"

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

static int peal_begin(struct bench_start *start)
{
	char *argv[] = {program, NULL};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 65536, .to_guest = 65536};
	int rc = peal_channel_create(&start->channel, &options);

	return rc < 0 ? rc : peal_spawn(&start->child, start->channel, argv, NULL);
}

static int peal_finish(struct bench_start *start)
{
	uint64_t word;
	int64_t got = peal_recv(peal_rx(start->channel), &word, sizeof(word), NULL, PEAL_FOREVER);

	return got == sizeof(word) ? 0 : got < 0 ? (int)got : -EBADMSG;
}

static void peal_end(struct bench_start *start)
{
	peal_channel_close(start->channel);
	if (start->child)
		peal_child_wait(start->child, peal_deadline_in_ns(1000000000), NULL);
	peal_child_free(start->child);
}

static int pipe_begin(struct bench_start *start)
{
	char number[16];
	char *argv[] = {program, number, NULL};
	extern char **environ;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Nobody else starts processes here, so it may be inherited for a moment. */
	fcntl(fds[1], F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", fds[1]);
	rc = -posix_spawn(&start->pid, argv[0], NULL, NULL, argv, environ);
	close(fds[1]);
	start->fd = fds[0];
	return rc;
}

static int pipe_finish(struct bench_start *start)
{
	uint64_t word;

	return read(start->fd, &word, sizeof(word)) == sizeof(word) ? 0 : -EBADMSG;
}

static void pipe_end(struct bench_start *start)
{
	if (start->pid > 0)
		waitpid(start->pid, NULL, 0);
	close(start->fd);
}

static int bare_begin(struct bench_start *start)
{
	return bench_bare_begin(start, program);
}

static void bare_end(struct bench_start *start)
{
	pipe_end(start);
	bench_bare_end(start);
}

struct way {
	int (*begin)(struct bench_start *start);
	int (*finish)(struct bench_start *start);
	void (*end)(struct bench_start *start);
};

/* All are started before the first is waited for. */
static int once(const struct way *way, struct bench_start *starts, unsigned int count, uint64_t *ns)
{
	uint64_t begin_ns = bench_now_ns();
	unsigned int begun = 0;
	int rc = 0;

	/* Who fails before it has a descriptor has none to close. */
	for (unsigned int i = 0; i < count; i++)
		starts[i] = (struct bench_start){.fd = -1, .other_fd = -1};
	while (begun < count && rc == 0)
		rc = way->begin(&starts[begun++]);
	for (unsigned int i = 0; i < count && rc == 0; i++)
		rc = way->finish(&starts[i]);
	*ns = (bench_now_ns() - begin_ns) / count;
	for (unsigned int i = 0; i < begun; i++)
		way->end(&starts[i]);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The median of as many as fit into the run. */
static int repeat(const struct way *way, const struct bench_config *config, double *value)
{
	uint64_t stop_ns = bench_now_ns() + config->duration_ns, taken[512], ns;
	struct bench_start *starts = calloc(config->channels, sizeof(*starts));
	size_t count = 0;
	int rc = starts ? find_program() : -ENOMEM;

	bench_allow_descriptors();
	for (int i = 0; i < WARM_UP && rc == 0; i++)
		rc = once(way, starts, 1, &ns);
	do
		if (rc == 0)
			rc = once(way, starts, config->channels, &taken[count++]);
	while (rc == 0 && bench_now_ns() < stop_ns && count < sizeof(taken) / sizeof(taken[0]));
	free(starts);
	if (rc < 0)
		return rc;
	qsort(taken, count, sizeof(taken[0]), by_value);
	*value = (double)taken[count / 2];
	return 0;
}

int bench_spawn_peal(const struct bench_config *config, double *value)
{
	static const struct way way = {peal_begin, peal_finish, peal_end};

	return repeat(&way, config, value);
}

int bench_spawn_pipe(const struct bench_config *config, double *value)
{
	static const struct way way = {pipe_begin, pipe_finish, pipe_end};

	return repeat(&way, config, value);
}

int bench_spawn_bare(const struct bench_config *config, double *value)
{
	static const struct way way = {bare_begin, bench_bare_finish, bare_end};

	return repeat(&way, config, value);
}
