/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <peal/channel.h>

#include "faults/sites.h"

#define ANY (-1)

/* A function of the C library and the system calls that it makes. */
struct maker {
	const char *name;
	long nrs[3];
};

static const struct maker makers[] = {
	{"_exit", {SYS_exit_group, SYS_exit}},
	{"calloc", {SYS_brk, SYS_mmap, SYS_munmap}},
	{"clone", {SYS_clone}},
	{"close", {SYS_close}},
	{"dup3", {SYS_dup3}},
	{"epoll_create1", {SYS_epoll_create1}},
	{"epoll_ctl", {SYS_epoll_ctl}},
	{"epoll_pwait2", {SYS_epoll_pwait2}},
#ifdef SYS_epoll_wait
	{"epoll_wait", {SYS_epoll_wait}},
#else
	{"epoll_wait", {SYS_epoll_pwait}},
#endif
	{"eventfd", {SYS_eventfd2}},
	{"execve", {SYS_execve}},
	{"fallocate", {SYS_fallocate}},
	{"fcntl", {SYS_fcntl}},
#ifdef SYS_newfstatat
	{"fstat", {SYS_fstat, SYS_newfstatat}},
#else
	{"fstat", {SYS_fstat}},
#endif
	{"fstatfs", {SYS_fstatfs}},
	{"ftruncate", {SYS_ftruncate}},
	{"getpeername", {SYS_getpeername}},
	{"getpid", {SYS_getpid}},
	{"getppid", {SYS_getppid}},
	{"getrandom", {SYS_getrandom}},
	{"getrlimit", {SYS_prlimit64}},
	{"getsockopt", {SYS_getsockopt}},
	{"io_uring_get_events", {SYS_io_uring_enter}},
	{"io_uring_queue_exit", {SYS_munmap, SYS_close}},
	{"io_uring_queue_init_params", {ANY}},
	{"io_uring_ring_dontfork", {SYS_madvise}},
	{"io_uring_submit", {SYS_io_uring_enter}},
	{"io_uring_submit_and_wait", {SYS_io_uring_enter}},
	{"io_uring_submit_and_wait_timeout", {SYS_io_uring_enter}},
	{"ioctl", {SYS_ioctl}},
	{"madvise", {SYS_madvise}},
	{"malloc", {SYS_brk, SYS_mmap, SYS_munmap}},
	{"memfd_create", {SYS_memfd_create}},
	{"mmap", {SYS_mmap}},
	{"mprotect", {SYS_mprotect}},
	{"munmap", {SYS_munmap}},
	{"nanosleep", {SYS_clock_nanosleep, SYS_nanosleep}},
	{"open", {SYS_openat}},
	{"pidfd_send_signal", {SYS_pidfd_send_signal}},
	{"ppoll", {SYS_ppoll}},
	{"prctl", {SYS_prctl}},
	{"pread", {SYS_pread64}},
	{"pwrite", {SYS_pwrite64}},
	{"pthread_sigmask", {SYS_rt_sigprocmask}},
	{"read", {SYS_read}},
#ifdef SYS_readlink
	{"readlink", {SYS_readlink}},
#else
	{"readlink", {SYS_readlinkat}},
#endif
	{"recv", {SYS_recvfrom}},
	{"sched_getaffinity", {SYS_sched_getaffinity}},
	{"sched_yield", {SYS_sched_yield}},
	{"send", {SYS_sendto}},
	{"setrlimit", {SYS_prlimit64}},
	{"setsockopt", {SYS_setsockopt}},
	{"socketpair", {SYS_socketpair}},
	{"syscall", {ANY}},
	{"sysconf", {SYS_read, SYS_openat, SYS_close}},
	{"sysinfo", {SYS_sysinfo}},
	{"waitid", {SYS_waitid}},
	{"write", {SYS_write}},
};

/* These make none. (clock_gettime: in the vDSO, wherever we run. __io_uring_get_cqe: as it is called
 * here, only where a completion is there.) */
static const char *const quiet[] = {
	"__assert_fail",
	"__cxa_finalize",
	"__errno_location",
	"__io_uring_get_cqe",
	"__sched_cpucount",
	"__stack_chk_fail",
	"__tls_get_addr",
	"clock_gettime",
	"free",
	"getenv",
	"io_uring_get_sqe",
	"memcmp",
	"memcpy",
	"memset",
	"pthread_setcancelstate",
	"sigaddset",
	"sigdescr_np",
	"sigemptyset",
	"snprintf",
	"sprintf",
	"strchr",
	"strcmp",
	"strcspn",
	"strerrordesc_np",
	"strlen",
	"strncmp",
	"strstr",
	"strtoull",
	"vsnprintf",
};

static const struct maker *find_maker(const char *name)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (strcmp(makers[i].name, name) == 0)
			return &makers[i];
	}
	return NULL;
}

static bool is_quiet(const char *name)
{
	/* The library's own functions can be called by way of its own table. */
	if (strncmp(name, "peal_", 5) == 0)
		return true;
	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
		if (strcmp(quiet[i], name) == 0)
			return true;
	}
	return false;
}

/* "  1a2b:	call   1030 <close@plt>": the name. False: no such call. */
static bool parse_call(const char *line, char name[40])
{
	const char *end = strstr(line, "@plt>"), *begin = end;
	size_t length;

	if (!end)
		return false;
	while (begin[-1] != '<')
		begin--;
	length = (size_t)(end - begin);
	if (length > 39)
		length = 39;
	memcpy(name, begin, length);
	name[length] = '\0';
	if (length > 2 && strcmp(name + length - 2, "64") == 0)
		name[length - 2] = '\0';
	return true;
}

static void parse_function(const char *line, char caller[48])
{
	const char *name = strchr(line, '<');

	if (name && strstr(line, ">:"))
		snprintf(caller, 48, "%.*s", (int)strcspn(name + 1, ">"), name + 1);
}

static void parse(struct sites *sites, FILE *text, uintptr_t base)
{
	char line[512], caller[48] = "", name[40];
	bool pending = false;
	unsigned long address;

	while (fgets(line, sizeof(line), text)) {
		if (line[0] != ' ') {
			parse_function(line, caller);
			continue;
		}
		if (sscanf(line, " %lx:", &address) != 1)
			continue;
		if (pending)
			sites->at[sites->count++].back = base + address;
		sites->end = base + address;
		pending = false;
		if (!parse_call(line, name) || is_quiet(name))
			continue;
		/* A jump would leave no return address. */
		if (!find_maker(name) || !(strstr(line, "\tcall") || strstr(line, "\tbl"))) {
			snprintf(sites->unknown, sizeof(sites->unknown), "%s in %s", name, caller);
			continue;
		}
		pending = sites->count < SITES_MAX;
		if (pending) {
			memcpy(sites->at[sites->count].name, name, sizeof(name));
			memcpy(sites->at[sites->count].caller, caller, sizeof(caller));
		}
	}
}

struct sites *sites_load(void)
{
	struct sites *sites = mmap(NULL, sizeof(*sites), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char command[4200];
	Dl_info info;
	FILE *text;

	if (sites == MAP_FAILED || dladdr((void *)(uintptr_t)peal_channel_create, &info) == 0)
		return NULL;
	snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn -j .text '%.4000s'",
		 info.dli_fname);
	text = popen(command, "re");
	if (!text)
		return NULL;
	parse(sites, text, (uintptr_t)info.dli_fbase);
	if (pclose(text) != 0 || sites->count == 0)
		return NULL;
	sites->begin = sites->at[0].back;
	return sites;
}

int sites_at(const struct sites *sites, const void *back)
{
	uintptr_t address = (uintptr_t)back;
	size_t low = 0, high = sites->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sites->at[middle].back == address)
			return (int)middle;
		if (sites->at[middle].back < address)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static bool makes(const char *name, long nr)
{
	const struct maker *maker = find_maker(name);

	if (maker->nrs[0] == ANY)
		return true;
	for (size_t i = 0; i < 3; i++) {
		/* 0 is the number of read(2) on some machines, and it always stands first. */
		if (maker->nrs[i] == nr && (i == 0 || nr != 0))
			return true;
	}
	return false;
}

int sites_find(const struct sites *sites, const uintptr_t *words, size_t count, long nr)
{
	for (size_t i = 0; i < count; i++) {
		int site;

		if (words[i] < sites->begin || words[i] >= sites->end)
			continue;
		site = sites_at(sites, (const void *)words[i]);
		if (site >= 0 && makes(sites->at[site].name, nr))
			return site;
	}
	return -1;
}
