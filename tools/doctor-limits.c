/* SPDX-License-Identifier: MIT */
/*
 * doctor-limits.c - numbers that limit Peal: processors, resource limits, switches of the kernel.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "doctor.h"

/* Of a host with socket doorbells: for each guest, and besides while one is being made
 * (docs/architecture.md, "who holds which descriptor when"). */
#define FDS_OF_A_GUEST   4
#define FDS_WHILE_MAKING 8
/* Fewer than this is worth a word. */
#define GUESTS_WANTED    64

/* The smallest ring and its header. */
#define LEAST_SEGMENT UINT64_C(8192)
/* A ring that is larger than this is rare. */
#define LARGE_SEGMENT (UINT64_C(1) << 30)

static unsigned int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	if (!directory)
		return 3;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the directory's own */
}

void doctor_look_at_files(struct finding *finding)
{
	struct rlimit limit;
	uint64_t used = open_descriptors() + FDS_WHILE_MAKING, guests;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return (void)doctor_found(finding, "RLIMIT_NOFILE: %s", strerror(errno));
	guests = limit.rlim_cur > used ? (limit.rlim_cur - used) / FDS_OF_A_GUEST : 0;
	doctor_found(finding, "%llu descriptors: about %llu guests of one host",
		     (unsigned long long)limit.rlim_cur, (unsigned long long)guests);
	if (guests >= GUESTS_WANTED)
		return;
	finding->health = guests == 0 ? HEALTH_MISSING : HEALTH_FALLBACK;
	doctor_effect(finding, "no more guests than that; `ulimit -n` may raise it up to %llu",
		      (unsigned long long)limit.rlim_max);
	finding->page = "docs/architecture.md";
}

void doctor_look_at_file_size(struct finding *finding)
{
	struct rlimit limit;
	char text[FORMAT_MAX];

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return (void)doctor_found(finding, "RLIMIT_FSIZE: %s", strerror(errno));
	if (limit.rlim_cur == RLIM_INFINITY)
		return (void)doctor_found(finding, "unlimited");
	doctor_found(finding, "%s at most", format_bytes(text, limit.rlim_cur));
	if (limit.rlim_cur >= LARGE_SEGMENT)
		return;
	finding->health = limit.rlim_cur < LEAST_SEGMENT ? HEALTH_MISSING : HEALTH_FALLBACK;
	if (finding->health == HEALTH_MISSING)
		doctor_effect(finding,
			      "no channel can be made: the smallest segment has %llu bytes",
			      (unsigned long long)LEAST_SEGMENT);
	else
		doctor_effect(finding,
			      "larger rings are refused with EFBIG; `ulimit -f` may raise it");
	finding->page = "docs/architecture.md";
}

void doctor_look_at_memlock(struct finding *finding)
{
	struct rlimit limit;
	struct utsname name;
	int major = 0, minor = 0;
	char text[FORMAT_MAX] = "unlimited";

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || uname(&name) < 0)
		return (void)doctor_found(finding, "RLIMIT_MEMLOCK: %s", strerror(errno));
	if (limit.rlim_cur != RLIM_INFINITY)
		format_bytes(text, limit.rlim_cur);
	doctor_found(finding, "%s; Peal locks no memory", text);
	/* Until then io_uring's queues were counted here, 73 KiB a poller. */
	if (sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 12)))
		return;
	if (limit.rlim_cur >= UINT64_C(128) << 10 || geteuid() == 0)
		return;
	finding->health = HEALTH_FALLBACK;
	doctor_effect(finding,
		      "before Linux 5.12 each io_uring poller takes 73 KiB of it; where that "
		      "fails, epoll is used");
	finding->page = "docs/poller.md";
}

void doctor_look_at_processors(struct finding *finding)
{
	cpu_set_t set;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int usable = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)online;

	doctor_found(finding, "%d of %ld for this process", usable, online);
	if (usable > 1)
		return;
	finding->health = HEALTH_FALLBACK;
	doctor_effect(finding,
		      "no spinning: each wait sleeps at once. On one processor a round trip "
		      "takes 1.67 times a pipe's, a stream is 30 times as fast");
	finding->page = "docs/benchmarks.md";
}

/* The word in brackets of a file such as "always [never]". */
static bool chosen(const char *path, char *word, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[128], *begin, *end;
	bool got = file && fgets(line, sizeof(line), file);

	if (file)
		fclose(file);
	begin = got ? strchr(line, '[') : NULL;
	end = begin ? strchr(begin, ']') : NULL;
	if (!end)
		return false;
	snprintf(word, size, "%.*s", (int)(end - begin - 1), begin + 1);
	return true;
}

void doctor_look_at_huge_pages(struct finding *finding)
{
	char word[32];

	if (!chosen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", word, sizeof(word)))
		return (void)doctor_found(finding, "none for shared memory; Peal needs none");
	doctor_found(finding, "shmem_enabled is '%s'; Peal needs none", word);
	if (strcmp(word, "always") != 0 && strcmp(word, "force") != 0)
		return;
	finding->health = HEALTH_FALLBACK;
	doctor_effect(finding, "each segment, however small its ring, may take a page of 2 MiB");
	finding->page = "docs/layout.md";
}

/* The number behind @key in /proc/self/status; -1 if there is none. */
static int own_status(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	int value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), "%d", &value);
	if (file)
		fclose(file);
	return value;
}

void doctor_look_at_seccomp(struct finding *finding)
{
	int mode = own_status("Seccomp:"), filters = own_status("Seccomp_filters:");

	if (mode < 0)
		mode = prctl(PR_GET_SECCOMP); /* without /proc: it answers, or a filter kills */
	if (mode < 0) {
		doctor_found(finding, "this kernel has none");
		finding->health = HEALTH_FALLBACK;
		doctor_effect(finding, "guests can not be caged; rings are as safe as ever");
	} else if (mode == 0) {
		doctor_found(finding, "no filter is installed");
	} else {
		doctor_found(finding, "%d filter%s installed here", filters > 0 ? filters : 1,
			     filters > 1 ? "s are" : " is");
		finding->health = HEALTH_FALLBACK;
		doctor_effect(finding,
			      "a guest can not enter strict seccomp (EINVAL); a filter with "
			      "its four calls holds it as well");
	}
	finding->page = "docs/sandboxing.md";
}

void doctor_look_at_proc(struct finding *finding)
{
	if (access("/proc/self/fd", R_OK) == 0)
		return (void)doctor_found(finding, "mounted");
	doctor_found(finding, "/proc/self/fd: %s", strerror(errno));
	finding->health = HEALTH_FALLBACK;
	doctor_effect(finding,
		      "the kind of an eventfd is taken on trust; nobody can look at channels "
		      "from outside");
	finding->page = "docs/dependencies.md";
}
