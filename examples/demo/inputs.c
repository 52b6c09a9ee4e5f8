/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* Takes @fd, also when it fails. */
static int add(struct inputs *inputs, const char *name, int fd)
{
	struct input *list = reallocarray(inputs->list, inputs->count + 1, sizeof(*list));
	struct input input = {.name = strdup(name), .fd = fd};
	struct stat stat_now;
	int rc;

	if (list)
		inputs->list = list;
	if (!list || !input.name) {
		free(input.name);
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	if (fd >= 0 || strcmp(name, "-") == 0)
		rc = fstat(fd >= 0 ? fd : STDIN_FILENO, &stat_now);
	else
		rc = stat(name, &stat_now);
	/* One that is not there has no size; opening it will say why. */
	if (rc == 0) {
		input.regular = S_ISREG(stat_now.st_mode);
		input.size = input.regular ? (uint64_t)stat_now.st_size : 0;
	} else {
		input.regular = true;
	}
	list[inputs->count++] = input;
	return 0;
}

int inputs_named(struct inputs *inputs, char **names, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = add(inputs, names[i], -1);
	return rc;
}

/* A file that every process has at hand, wherever a distribution puts it: in most, its C library. */
static int add_largest_mapped(struct inputs *inputs)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL, *largest = NULL;
	size_t room = 0;
	off_t size = -1;
	int rc;

	if (!maps)
		return -errno;
	while (getline(&line, &room, maps) > 0) {
		struct stat stat_now;
		char *path = strchr(line, '/');

		if (!path)
			continue;
		path[strcspn(path, "\n")] = '\0';
		if (stat(path, &stat_now) < 0 || !S_ISREG(stat_now.st_mode) ||
		    stat_now.st_size <= size)
			continue;
		size = stat_now.st_size;
		free(largest);
		largest = strdup(path);
	}
	rc = largest ? add(inputs, largest, -1) : -ENOENT;
	free(largest);
	free(line);
	fclose(maps);
	return rc;
}

int inputs_generated(struct inputs *inputs, uint64_t size)
{
	char name[64];
	/* Memory alone: no file is left, however this process ends. */
	int rc, fd = memfd_create("peal-demo", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "(generated, %" PRIu64 " MiB)", size / MIB);
	rc = generate(fd, size);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return add(inputs, name, fd);
}

int inputs_default(struct inputs *inputs)
{
	int rc = add_largest_mapped(inputs);

	return rc < 0 ? rc : inputs_generated(inputs, GENERATED_SIZE);
}

int input_again(struct inputs *inputs, const struct input *input)
{
	int fd = -1;

	if (input->fd >= 0) {
		fd = fcntl(input->fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
	}
	return add(inputs, input->name, fd);
}

int input_open(const struct input *input)
{
	int fd;

	if (input->fd >= 0)
		fd = lseek(input->fd, 0, SEEK_SET) < 0 ? -1 : fcntl(input->fd, F_DUPFD_CLOEXEC, 3);
	else if (strcmp(input->name, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(input->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

uint64_t inputs_size(const struct inputs *inputs)
{
	uint64_t size = 0;

	for (size_t i = 0; i < inputs->count; i++)
		size += inputs->list[i].size;
	return size;
}

void inputs_free(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++) {
		free(inputs->list[i].name);
		if (inputs->list[i].fd >= 0)
			close(inputs->list[i].fd);
	}
	free(inputs->list);
	*inputs = (struct inputs){0};
}
