/* SPDX-License-Identifier: MIT */
/*
 * baseline.c - what the process holds, to be compared with what it held before.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "soak/soak.h"

/* What threads keep for their next allocation counts as allocated. A watch, a child or a job that is
 * forgotten in each life is more. */
#define HEAP_SLACK     (UINT64_C(16) << 10)
/* Of pages that are resident, for what the C library keeps and the kernel maps as it likes. A channel
 * that is not unmapped costs 16 KiB at least, a place has dozens of lives. */
#define RESIDENT_SLACK (UINT64_C(512) << 10)

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		count++;
	fclose(maps);
	return count;
}

static size_t resident_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	size_t size, resident;

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%zu %zu", &size, &resident), 2);
	fclose(statm);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

struct baseline baseline_take(void)
{
	struct mallinfo2 heap;

	malloc_trim(0);
	heap = mallinfo2();
	return (struct baseline){
		.descriptors = count_descriptors(),
		.mappings = count_mappings(),
		.heap_bytes = heap.uordblks + heap.hblkhd,
		.resident_bytes = resident_bytes(),
	};
}

void baseline_check(const struct baseline *before)
{
	struct baseline now = baseline_take();

	ck_assert_int_eq(now.descriptors, before->descriptors);
	ck_assert_int_eq(now.mappings, before->mappings);
	ck_assert_uint_le(now.heap_bytes, before->heap_bytes + HEAP_SLACK);
	ck_assert_uint_le(now.resident_bytes, before->resident_bytes + RESIDENT_SLACK);
	/* Neither running nor a zombie. What a guest had started would be ours by now. */
	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a process is left");
}
