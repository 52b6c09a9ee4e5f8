/* SPDX-License-Identifier: MIT */
/*
 * cage.c - two lists of system calls, and the twenty lines that make a filter of one.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cage.h"

/* Numbers mean something for one architecture only. (Those of x32 have a bit set that no number
 * below has, so they are not allowed either.) */
#if defined(__x86_64__)
#	define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#	define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#	error "add the AUDIT_ARCH_… of this machine"
#endif

/* What Peal needs after attaching to a channel over sockets: send(2), recv(2), ppoll(2). The last
 * one is how the guest leaves. */
static const int filter_list[] = {SYS_sendto, SYS_recvfrom, SYS_ppoll, SYS_exit_group, -1};

static const int strict_list[] = {SYS_read, SYS_write, SYS_exit, SYS_rt_sigreturn, -1};

struct program {
	unsigned short length;
	struct sock_filter code[128];
};

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->length++] = instruction;
}

/* If the word that was loaded last is @value, this system call is allowed. */
static void allow_if(struct program *program, unsigned int value)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset));
}

/* If it is not, the process ends. */
static void kill_unless(struct program *program, unsigned int value)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
}

static void allow_all(struct program *program, const int *list)
{
	/* Room is kept for the end of the program. */
	for (; list && *list >= 0 && program->length < 100; list++)
		allow_if(program, (unsigned int)*list);
}

/* Descriptors are int: the upper half of the argument is nothing to the kernel. */
static void allow_write_to(struct program *program, int fd)
{
	kill_unless(program, SYS_write);
	load(program, offsetof(struct seccomp_data, args));
	allow_if(program, (unsigned int)fd);
}

static int install(const int *list, const int *more)
{
	struct program program = {0};
	struct sock_fprog installed = {.filter = program.code};

	load(&program, offsetof(struct seccomp_data, arch));
	kill_unless(&program, ARCHITECTURE);
	load(&program, offsetof(struct seccomp_data, nr));
	allow_all(&program, list);
	allow_all(&program, more);
	allow_write_to(&program, STDERR_FILENO);
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	installed.len = program.length;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &installed) < 0 ? -errno : 0;
}

int cage_enter(enum cage cage, const int *more)
{
	switch (cage) {
	case CAGE_STRICT:
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0 ? -errno : 0;
	case CAGE_LIKE_STRICT:
		return install(strict_list, more);
	case CAGE_FILTER:
		return install(filter_list, more);
	}
	return -EINVAL;
}
