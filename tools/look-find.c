/* SPDX-License-Identifier: MIT */
/*
 * look-find.c - who maps segments of Peal's, by /proc/PID/maps.
 *
 * Not by /proc/PID/fd: whoever has attached has closed the descriptors, and the mappings stay.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "command.h"
#include "look.h"
#include "ring/layout.h"

#define PREFIX "/memfd:peal:"

/* The device of all memfds but hugetlb ones, so that no file of another kind is taken for one. */
static int memfd_device(dev_t *device)
{
	int fd = memfd_create("peal-look", MFD_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = -errno;
	else
		*device = st.st_dev;
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool ends_with(const char *text, size_t length, const char *end, size_t *rest)
{
	size_t size = strlen(end);

	if (length < size || memcmp(text + length - size, end, size) != 0)
		return false;
	*rest = length - size;
	return true;
}

/* "/memfd:peal:NAME:host (deleted)" */
static bool parse_path(const char *path, struct look_mapping *mapping)
{
	size_t length, rest;

	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return false;
	path += strlen(PREFIX);
	length = strcspn(path, "\n");
	if (ends_with(path, length, ":host (deleted)", &rest))
		mapping->writer = LOOK_HOST;
	else if (ends_with(path, length, ":guest (deleted)", &rest))
		mapping->writer = LOOK_GUEST;
	else
		return false;
	escape_text(mapping->name, LOOK_NAME_MAX, path, rest);
	return true;
}

/* A line of maps, if it is where a segment begins. */
static bool parse_line(const char *line, dev_t device, struct look_mapping *mapping)
{
	unsigned int major, minor;
	uint64_t end, offset;
	char rights[5];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
		   &mapping->address, &end, rights, &offset, &major, &minor, &mapping->inode,
		   &at) < 7 ||
	    offset != 0 || makedev(major, minor) != device || mapping->inode == 0 ||
	    rights[0] != 'r' || rights[3] != 's' || end - mapping->address < PEAL_HEADER_BYTES)
		return false;
	mapping->is_writable = rights[1] == 'w';
	mapping->capacity = end - mapping->address - PEAL_HEADER_BYTES;
	if ((mapping->capacity & (mapping->capacity - 1)) != 0)
		return false;
	return parse_path(line + at, mapping);
}

static int add(struct look_mappings *mappings, const struct look_mapping *mapping)
{
	if (mappings->count == mappings->room) {
		size_t room = mappings->room ? 2 * mappings->room : 16;
		void *list = reallocarray(mappings->list, room, sizeof(*mapping));

		if (!list)
			return -ENOMEM;
		mappings->list = list;
		mappings->room = room;
	}
	mappings->list[mappings->count++] = *mapping;
	return 0;
}

/* Which channel the segments say that they are of. Those that can not be read are dropped. */
static void read_identities(struct look_mappings *mappings, size_t first, int memory)
{
	struct peal_segment_header header;
	const size_t bytes = offsetof(struct peal_segment_header, name);
	size_t kept = first;

	for (size_t i = first; i < mappings->count; i++) {
		struct look_mapping *mapping = &mappings->list[i];

		if (pread(memory, &header, bytes, (off_t)mapping->address) != (ssize_t)bytes)
			continue;
		memcpy(mapping->id, header.channel_id, sizeof(mapping->id));
		mappings->list[kept++] = *mapping;
	}
	mappings->count = kept;
}

static void identify(struct look_mappings *mappings, size_t first, pid_t pid)
{
	char path[64];
	int memory;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	if (memory < 0) {
		if (errno == EACCES || errno == EPERM)
			mappings->secret = true;
		mappings->count = first;
		return;
	}
	read_identities(mappings, first, memory);
	close(memory);
}

static int by_segment(const void *a, const void *b)
{
	const struct look_mapping *one = a, *other = b;

	if (one->inode != other->inode)
		return one->inode < other->inode ? -1 : 1;
	return (int)one->is_writable - (int)other->is_writable;
}

/* Each segment once, or once for reading and once for writing. */
static void drop_doubles(struct look_mappings *mappings, size_t first)
{
	struct look_mapping *list = mappings->list + first;
	size_t count = mappings->count - first, kept = 0;

	qsort(list, count, sizeof(*list), by_segment);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || by_segment(&list[kept - 1], &list[i]) != 0)
			list[kept++] = list[i];
	mappings->count = first + kept;
}

static int find_in(struct look_mappings *mappings, pid_t pid, dev_t device)
{
	size_t first = mappings->count, size = 0;
	char path[64], *line = NULL;
	FILE *maps;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps) {
		if (errno == EACCES || errno == EPERM)
			mappings->denied = true;
		return errno == ENOMEM ? -ENOMEM : 0;
	}
	while (rc == 0 && getline(&line, &size, maps) > 0) {
		struct look_mapping mapping = {.pid = pid};

		if (parse_line(line, device, &mapping))
			rc = add(mappings, &mapping);
	}
	free(line);
	fclose(maps);
	if (mappings->count > first) {
		drop_doubles(mappings, first);
		identify(mappings, first, pid);
	}
	return rc;
}

int look_find(struct look_mappings *mappings)
{
	struct dirent *entry;
	dev_t device = 0;
	DIR *proc;
	int rc;

	*mappings = (struct look_mappings){0};
	rc = memfd_device(&device);
	if (rc < 0)
		return rc;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (rc == 0 && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = find_in(mappings, atoi(entry->d_name), device);
	closedir(proc);
	if (rc < 0)
		look_forget(mappings);
	return rc;
}

void look_forget(struct look_mappings *mappings)
{
	free(mappings->list);
	*mappings = (struct look_mappings){0};
}

int look_may(pid_t pid)
{
	char path[64];
	int maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = open(path, O_RDONLY | O_CLOEXEC);
	if (maps >= 0) {
		close(maps);
		return 0;
	}
	if (errno == EACCES || errno == EPERM)
		return -EACCES;
	/* /proc may be mounted so that others are not even shown. Signal 0 is none. */
	return kill(pid, 0) < 0 && errno == EPERM ? -EACCES : -ESRCH;
}

bool look_process(pid_t pid, char name[LOOK_NAME_MAX], bool *stopped)
{
	char path[64], text[512], *begin, *end;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	/* "PID (NAME) STATE …", and the name may have anything in it. */
	begin = strchr(text, '(');
	end = strrchr(text, ')');
	if (!begin || !end || end < begin || end[1] != ' ')
		return false;
	escape_text(name, LOOK_NAME_MAX, begin + 1, (size_t)(end - begin - 1));
	*stopped = end[2] == 'T' || end[2] == 't';
	return end[2] != 'Z' && end[2] != 'X';
}
