/* SPDX-License-Identifier: MIT */
/*
 * race-guest.c - a guest that looks closely at what it was born with.
 *
 * race-guest STREAMS NAME --segment-fd=... ...: exits with 0 when it holds those of standard input,
 * output and error that the three bits of STREAMS say, and beyond that exactly what its arguments
 * name: the two segments of the channel called NAME, its doorbells, a pidfd of the parent; and when it
 * can attach.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/peal.h>

static int complain(const char *what, int fd, const char *target)
{
	dprintf(STDERR_FILENO, "race-guest: descriptor %d: %s (%s)\n", fd, what, target);
	return 1;
}

static bool is_parent(int pidfd)
{
	char path[40], line[64];
	long pid = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Pid: %ld", &pid);
	fclose(info);
	return pid == getppid();
}

/* How many of the segments' arguments come before this one? */
static int segments_before(char **argv, int index)
{
	int count = 0;

	for (int i = 3; i < index; i++)
		count += strncmp(argv[i], PEAL_SEGMENT_ARG "=", 13) == 0;
	return count;
}

/* Is what @argv[index] names of the right kind, and of the right channel? */
static int check_named(char **argv, int index, int fd, const char *target)
{
	char expected[64];

	if (strncmp(argv[index], PEAL_SEGMENT_ARG, strlen(PEAL_SEGMENT_ARG)) == 0) {
		snprintf(expected, sizeof(expected), "/memfd:peal:%s:%s (deleted)", argv[2],
			 segments_before(argv, index) == 0 ? "host" : "guest");
		return strcmp(target, expected) ? complain("not our segment", fd, target) : 0;
	}
	if (strncmp(argv[index], PEAL_PIDFD_ARG, strlen(PEAL_PIDFD_ARG)) == 0)
		return is_parent(fd) ? 0 : complain("not our parent", fd, target);
	if (strncmp(target, "socket:", 7) == 0 || strcmp(target, "anon_inode:[eventfd]") == 0)
		return 0;
	return complain("not a doorbell", fd, target);
}

static int check_one(int argc, char **argv, int fd, unsigned int streams)
{
	char path[40], target[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	if (fd < 3)
		return streams & 1u << fd ? 0 : complain("was closed", fd, target);
	for (int i = 3; i < argc; i++) {
		const char *value = strchr(argv[i], '=');

		if (value && atoi(value + 1) == fd)
			return check_named(argv, i, fd, target);
	}
	return complain("inherited", fd, target);
}

static int check_table(int argc, char **argv)
{
	unsigned int streams = (unsigned int)atoi(argv[1]);
	int expected = __builtin_popcount(streams) + argc - 3, wrong = 0, seen = 0;
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(directory))
			continue;
		seen++;
		wrong += check_one(argc, argv, fd, streams);
	}
	closedir(directory);
	if (seen != expected)
		wrong += complain("too few or too many", seen, "in all");
	return wrong;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;

	if (argc < 3 || check_table(argc, argv) > 0)
		return 1;
	if (argc == 3)
		return 0; /* an unrelated child: no channel was meant for it */
	if (peal_attach_args(&channel, &argc, argv, NULL) < 0)
		return 2;
	peal_channel_close(channel);
	return 0;
}
