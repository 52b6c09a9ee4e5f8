/* SPDX-License-Identifier: MIT */
/*
 * refuse.h - a kernel that refuses: a seccomp filter stands for an older kernel, a cage, or want of
 * something. It lasts as long as the process, and each test has one of its own.
 */
#ifndef PEAL_TESTS_REFUSE_H
#define PEAL_TESTS_REFUSE_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "harness.h"

/* From now on this call fails with @error if what @mask leaves of its argument number @index is @value;
 * with an @error of 0 it does nothing and says 0. */
static inline void refuse_if(long call, unsigned int index, uint32_t mask, uint32_t value,
			     unsigned int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args) + index * sizeof(uint64_t)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		harness_skip("no seccomp filters here");
}

static inline void refuse(long call, unsigned int index, uint32_t value, unsigned int error)
{
	refuse_if(call, index, UINT32_MAX, value, error);
}

static inline void refuse_all(long call, unsigned int error)
{
	refuse_if(call, 0, 0, 0, error);
}

#endif
