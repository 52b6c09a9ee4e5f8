/* SPDX-License-Identifier: MIT */
/*
 * costs.c - what a host holds and spends, and what all tests did together.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/beside.h"

struct totals *totals;

int totals_open(void)
{
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return totals == MAP_FAILED ? EXIT_FAILURE : 0;
}

void totals_print(const char *format, ...)
{
	const char *path = getenv("PEAL_TALLY");
	FILE *files[] = {stdout, path ? fopen(path, "ae") : NULL};
	va_list list;

	for (int i = 0; i < 2; i++) {
		if (!files[i])
			continue;
		va_start(list, format);
		fputs("# hostile: ", files[i]);
		vfprintf(files[i], format, list);
		va_end(list);
	}
	if (files[1])
		fclose(files[1]);
}

static int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int count = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		count++;
	fclose(file);
	return count;
}

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

struct holdings holdings_take(void)
{
	unsigned long size, resident;
	FILE *statm = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%lu %lu", &size, &resident), 2);
	fclose(statm);
	return (struct holdings){
		.descriptors = count_descriptors(),
		.mappings = count_lines("/proc/self/maps"),
		.resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE),
	};
}

uint64_t cpu_ns(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 *
		       UINT64_C(1000000) +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}
