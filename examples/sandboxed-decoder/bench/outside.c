/* SPDX-License-Identifier: MIT */
/*
 * outside.c - decode-in-process, told to run and waited for. It is a process of its own, because decode links
 * no decoder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "in-process.h"

struct outside {
	struct peal_child *child;
	int go[2], done[2]; /* pipes */
};

static int spawn(struct outside *outside, char **argv)
{
	const struct peal_spawn_fd fds[] = {{IN_PROCESS_GO, outside->go[0]},
					    {IN_PROCESS_DONE, outside->done[1]}};
	const struct peal_spawn_options options = {.size = sizeof(options),
						   .flags = PEAL_SPAWN_DIE_WITH_PARENT};

	return peal_spawn_fds(&outside->child, argv, fds, 2, &options);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void outside_close(struct outside *outside)
{
	peal_child_free(outside->child);
	for (int i = 0; i < 2; i++) {
		close_end(&outside->go[i]);
		close_end(&outside->done[i]);
	}
	free(outside);
}

static int start(struct outside *outside, unsigned int threads, const struct file *files,
		 size_t count)
{
	char number[16], **argv;
	int rc;

	if (pipe2(outside->go, O_CLOEXEC) < 0 || pipe2(outside->done, O_CLOEXEC) < 0)
		return -errno;
	argv = calloc(count + 3, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%u", threads);
	argv[0] = beside_us("decode-in-process");
	argv[1] = number;
	for (size_t i = 0; i < count; i++)
		argv[2 + i] = (char *)(uintptr_t)files[i].name;
	rc = spawn(outside, argv);
	free(argv);
	close_end(&outside->go[0]);
	close_end(&outside->done[1]);
	return rc;
}

struct outside *outside_open(const struct options *options, const struct file *files, size_t count)
{
	struct outside *outside = malloc(sizeof(*outside));

	if (!outside)
		return NULL;
	*outside = (struct outside){.go = {-1, -1}, .done = {-1, -1}};
	if (start(outside, options->guests, files, count) == 0)
		return outside;
	outside_close(outside);
	return NULL;
}

uint64_t outside_cpu_ns(const struct outside *outside)
{
	return child_cpu_ns(outside->child);
}

int outside_run(struct outside *outside, struct in_process *result)
{
	ssize_t size;

	if (write(outside->go[1], "", 1) != 1)
		return -errno;
	size = read(outside->done[0], result, sizeof(*result));
	if (size < 0)
		return -errno;
	return size == sizeof(*result) ? 0 : -EPIPE;
}
