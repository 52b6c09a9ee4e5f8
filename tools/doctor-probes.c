/* SPDX-License-Identifier: MIT */
/*
 * doctor-probes.c - system calls that Peal makes, each tried as the library would make it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/poller.h>

#include "command.h"
#include "doctor.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3; not in Debian 12's headers */
#	define MFD_NOEXEC_SEAL 0x0008U
#endif

#define PAGE 4096

static void miss(struct finding *finding, const char *effect, const char *page)
{
	finding->health = HEALTH_MISSING;
	doctor_effect(finding, "%s", effect);
	finding->page = page;
}

static void fall_back(struct finding *finding, const char *effect, const char *page)
{
	finding->health = HEALTH_FALLBACK;
	doctor_effect(finding, "%s", effect);
	finding->page = page;
}

/* Writing by whoever maps it next must fail, and the map that was there before must still work. */
static bool seals_hold(int fd)
{
	char *first = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *second;
	bool hold;

	if (first == MAP_FAILED)
		return false;
	hold = fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0;
	second = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	first[0] = 1;
	if (second != MAP_FAILED)
		munmap(second, PAGE);
	munmap(first, PAGE);
	return hold && second == MAP_FAILED;
}

static void look_at_memfd(struct finding *finding)
{
	int fd = memfd_create("peal doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		doctor_found(finding, "memfd_create: %s", strerror(errno));
		miss(finding, "rings live in memfds: no channel can be made",
		     "docs/dependencies.md");
		return;
	}
	if (ftruncate(fd, PAGE) < 0 || fallocate(fd, 0, 0, PAGE) < 0) {
		doctor_found(finding, "memory for a memfd: %s", strerror(errno));
		miss(finding, "no channel can be made", "docs/dependencies.md");
	} else if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		doctor_found(finding, "sealing a memfd: %s", strerror(errno));
		miss(finding, "Peal shares no memory that it can not seal", "docs/guarantees.md");
	} else if (!seals_hold(fd)) {
		doctor_found(finding, "F_SEAL_FUTURE_WRITE does not hold");
		miss(finding, "Peal shares no memory that others could write",
		     "docs/guarantees.md");
	} else {
		doctor_found(finding, "only its owner can write it: F_SEAL_FUTURE_WRITE");
	}
	close(fd);
}

static void look_at_noexec(struct finding *finding)
{
	int fd = memfd_create("peal doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd >= 0) {
		doctor_found(finding, "MFD_NOEXEC_SEAL");
		close(fd);
		return;
	}
	doctor_found(finding, "MFD_NOEXEC_SEAL: %s", strerror(errno));
	if (errno == EINVAL)
		fall_back(finding,
			  "without the flag; costs nothing, but the memory of a ring may be "
			  "executed as a file",
			  "docs/dependencies.md");
	else
		miss(finding, "no channel can be made", "docs/dependencies.md");
}

static void look_at_pidfd(struct finding *finding)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	siginfo_t info;

	if (fd < 0) {
		doctor_found(finding, "pidfd_open: %s", strerror(errno));
		fall_back(finding,
			  "a guest learns of its host's end by the hang-up of its socket "
			  "alone; eventfd doorbells are refused",
			  "docs/doorbell.md");
		return;
	}
	doctor_found(finding, "pidfd_open, waitid");
	/* Of no child of ours, so ECHILD is the answer of a kernel that knows how to ask. */
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 && errno != ECHILD) {
		doctor_found(finding, "waitid of a pidfd: %s", strerror(errno));
		miss(finding, "no guest can be started", "docs/dependencies.md");
	}
	close(fd);
}

static void look_at_doorbells(struct finding *finding)
{
	int fds[2] = {-1, -1}, event;

	doctor_found(finding, "socketpair, eventfd");
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0) {
		doctor_found(finding, "eventfd: %s", strerror(errno));
		miss(finding, "no poller can be made; `peal run` and others need one",
		     "docs/poller.md");
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		doctor_found(finding, "socketpair: %s", strerror(errno));
		miss(finding, "no socket doorbells: only guests that are trusted, with eventfds",
		     "docs/doorbell.md");
	}
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (event >= 0)
		close(event);
}

/* As src/base/barrier.c asks. */
static void look_at_membarrier(struct finding *finding)
{
	const long needed =
		MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0)
		doctor_found(finding, "membarrier: %s", strerror(errno));
	else if ((commands & needed) != needed)
		doctor_found(finding, "membarrier lacks GLOBAL_EXPEDITED (commands %#lx)",
			     commands);
	else if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0)
		doctor_found(finding, "registering for membarrier: %s", strerror(errno));
	else {
		doctor_found(finding, "GLOBAL_EXPEDITED (commands %#lx)", commands);
		return;
	}
	fall_back(finding,
		  "a fence for each record: 0.62 of the records a second at 8 B, 0.69 at "
		  "64 B",
		  "docs/benchmarks-result.txt");
}

/* Why is it refused? The switch of the system, or a filter of this container. */
static void explain_io_uring(struct finding *finding, int error)
{
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int disabled = 0;

	if (file && fscanf(file, "%d", &disabled) != 1)
		disabled = 0;
	if (file)
		fclose(file);
	if (disabled > 0)
		doctor_found(finding, "%s: the sysctl kernel.io_uring_disabled is %d",
			     strerror(error), disabled);
	else
		doctor_found(finding, "%s%s", peal_last_error(),
			     error == EPERM ? " (by a seccomp filter, as containers have)" : "");
}

static void look_at_io_uring(struct finding *finding)
{
	const struct peal_poller_options options = {.size = sizeof(options),
						    .backend = PEAL_POLLER_IO_URING};
	struct peal_poller *poller;
	int rc = peal_poller_create(&poller, &options);

	if (rc == 0) {
		doctor_found(finding, "a poller sleeps and drains in one call");
		peal_poller_close(poller);
		return;
	}
	explain_io_uring(finding, -rc);
	fall_back(finding,
		  "pollers use epoll: 3 system calls rather than 2 for a record to a host "
		  "that sleeps, and one for each bell of many",
		  "docs/poller.md");
}

/* The first one is all that is required; the others say why it may have failed. */
const struct probe doctor_probes[] = {
	{"channel", doctor_look_at_channel}, {"memfd", look_at_memfd},
	{"noexec", look_at_noexec},          {"pidfd", look_at_pidfd},
	{"doorbells", look_at_doorbells},    {"membarrier", look_at_membarrier},
	{"io_uring", look_at_io_uring},      {"processors", doctor_look_at_processors},
	{"files", doctor_look_at_files},     {"file size", doctor_look_at_file_size},
	{"memlock", doctor_look_at_memlock}, {"huge pages", doctor_look_at_huge_pages},
	{"seccomp", doctor_look_at_seccomp}, {"/proc", doctor_look_at_proc},
};
const unsigned int doctor_probe_count = sizeof(doctor_probes) / sizeof(doctor_probes[0]);
