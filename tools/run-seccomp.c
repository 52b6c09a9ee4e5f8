/* SPDX-License-Identifier: MIT */
/*
 * run-seccomp.c - what a guest may ask of the kernel, from before its exec to its end.
 *
 * "compute" is for a program that works on what it is given: it may start (exec, dynamic linking),
 * attach to its channel, read files, allocate, start threads, and write to what is open. Whatever
 * else it asks for fails with EPERM: sockets, processes, files to write, other people's memory. It is
 * not the cage of examples/sandboxed, which a guest can only enter by itself after attaching; it may do
 * that as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

#if defined(__x86_64__)
#	define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#	define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#	error "add the AUDIT_ARCH_… of this machine"
#endif

/* Whatever the arguments are. */
static const int allowed[] = {
	/* open descriptors */
	SYS_read,
	SYS_readv,
	SYS_pread64,
	SYS_preadv,
	SYS_write,
	SYS_writev,
	SYS_pwrite64,
	SYS_lseek,
	SYS_close,
	SYS_close_range,
	SYS_dup,
	SYS_dup3,
	SYS_pipe2,
	SYS_sendto,
	SYS_recvfrom,
	SYS_sendmsg,
	SYS_recvmsg,
	SYS_shutdown,
	SYS_getsockopt,
	SYS_getsockname,
	SYS_getpeername,
	SYS_setsockopt,
	SYS_eventfd2,
	SYS_ppoll,
	SYS_pselect6,
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_waitid,
	/* files, to look at */
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_fstatfs,
	SYS_faccessat,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_getcwd,
	/* memory */
	SYS_brk,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_membarrier,
	/* threads and time */
	SYS_futex,
	SYS_set_tid_address,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_gettimeofday,
	SYS_restart_syscall,
	SYS_getrandom,
	/* signals and itself; prctl and seccomp can only take away, since no_new_privs is set */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_getpid,
	SYS_gettid,
	SYS_getppid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_uname,
	SYS_sysinfo,
	SYS_getrusage,
	SYS_prctl,
	SYS_seccomp,
	SYS_execve,
	SYS_exit,
	SYS_exit_group,
#ifdef __x86_64__
	SYS_arch_prctl,
	SYS_poll,
	SYS_select,
	SYS_epoll_wait,
	SYS_access,
	SYS_readlink,
	SYS_stat,
	SYS_lstat,
	SYS_dup2,
	SYS_time,
#endif
};

/* Opening in any of these ways changes something. */
#define OPEN_TO_CHANGE                                                                             \
	(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

static void add(struct filter *filter, struct sock_filter instruction)
{
	filter->code[filter->length++] = instruction;
}

static void answer(struct filter *filter, unsigned int action)
{
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void load(struct filter *filter, size_t offset)
{
	add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset));
}

/* What follows, @count instructions, is for this value alone. */
static void if_equal(struct filter *filter, unsigned int value, unsigned char count)
{
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
}

/* This call is allowed if argument @index has these bits: all of them, or none. */
static void allow_by_bits(struct filter *filter, int call, unsigned int index, unsigned int bits,
			  bool all)
{
	if_equal(filter, (unsigned int)call, 5);
	load(filter, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
	add(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
	if_equal(filter, all ? bits : 0, 1);
	answer(filter, SECCOMP_RET_ALLOW);
	answer(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* All that fcntl(2) does, but for having a signal sent to somebody. */
static void allow_fcntl(struct filter *filter)
{
	static const unsigned int refused[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG};

	if_equal(filter, SYS_fcntl, 2 + 2 * sizeof(refused) / sizeof(refused[0]));
	load(filter, offsetof(struct seccomp_data, args) + sizeof(uint64_t));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if_equal(filter, refused[i], 1);
		answer(filter, SECCOMP_RET_ERRNO | EPERM);
	}
	answer(filter, SECCOMP_RET_ALLOW);
}

/* A signal to itself, as of abort(3): filter_install() writes the number down. */
#define OWN_PID 0xffffffffu

static void allow_to_itself(struct filter *filter, int call)
{
	if_equal(filter, (unsigned int)call, 4);
	load(filter, offsetof(struct seccomp_data, args));
	if_equal(filter, OWN_PID, 1);
	answer(filter, SECCOMP_RET_ALLOW);
	answer(filter, SECCOMP_RET_ERRNO | EPERM);
}

static void refuse(struct filter *filter, int call, unsigned int error)
{
	if_equal(filter, (unsigned int)call, 1);
	answer(filter, SECCOMP_RET_ERRNO | error);
}

static void make_compute(struct filter *filter)
{
	load(filter, offsetof(struct seccomp_data, arch));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	answer(filter, SECCOMP_RET_KILL_PROCESS);
	/* The numbers of x32 have a bit set that none here has, so they are refused. */
	load(filter, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if_equal(filter, (unsigned int)allowed[i], 1);
		answer(filter, SECCOMP_RET_ALLOW);
	}
	/* Only whoever loads the arguments loses the number, and those answer at once. */
	allow_by_bits(filter, SYS_openat, 2, OPEN_TO_CHANGE, false);
#ifdef __x86_64__
	allow_by_bits(filter, SYS_open, 1, OPEN_TO_CHANGE, false);
#endif
	allow_fcntl(filter);
	allow_by_bits(filter, SYS_clone, 0, CLONE_THREAD, true);
	/* Its arguments can not be seen; the C library takes clone() then. */
	refuse(filter, SYS_clone3, ENOSYS);
	/* getrlimit(3), setrlimit(3): 0 is itself. */
	allow_by_bits(filter, SYS_prlimit64, 0, 0xffffffffu, false);
	allow_to_itself(filter, SYS_kill);
	allow_to_itself(filter, SYS_tgkill);
	answer(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* A program such as libseccomp's seccomp_export_bpf() writes: instructions of 8 bytes, in this machine's
 * order. */
static int read_program(struct filter *filter, const char *name)
{
	const size_t most = sizeof(filter->code) / sizeof(filter->code[0]);
	FILE *file = fopen(name, "re");
	size_t bytes;
	bool ended;

	if (!file)
		return wrong_usage("--seccomp: %s: %s ('compute' is built in)", name,
				   strerror(errno));
	bytes = fread(filter->code, 1, sizeof(filter->code), file);
	ended = fgetc(file) == EOF && !ferror(file);
	fclose(file);
	if (!ended || bytes == 0 || bytes % sizeof(filter->code[0]) != 0)
		return wrong_usage("--seccomp: %s is no BPF program: 1 to %zu instructions of 8 "
				   "bytes were expected",
				   name, most);
	filter->length = (unsigned short)(bytes / sizeof(filter->code[0]));
	return 0;
}

int filter_load(struct filter *filter, const char *name)
{
	*filter = (struct filter){.names_itself = strcmp(name, "compute") == 0};
	if (!filter->names_itself)
		return read_program(filter, name);
	make_compute(filter);
	return 0;
}

int filter_install(const struct filter *filter)
{
	/* Another guest will have another number. */
	struct filter own = *filter;
	const struct sock_fprog program = {.len = own.length, .filter = own.code};

	for (unsigned short i = 0; own.names_itself && i < own.length; i++)
		if (own.code[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && own.code[i].k == OWN_PID)
			own.code[i].k = (unsigned int)getpid();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}
