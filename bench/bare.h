/* SPDX-License-Identifier: MIT */
/*
 * bare.h - the kernel's part in starting a guest with a channel of two rings, and nothing else: no
 * check, no library. What Peal does beyond that is Peal's.
 */
#ifndef PEAL_BENCH_BARE_H
#define PEAL_BENCH_BARE_H

#include <fcntl.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BARE_CAPACITY ((size_t)65536)
#define BARE_HEADER   ((size_t)4096)
#define BARE_BYTES    (BARE_HEADER + 2 * BARE_CAPACITY)

static inline unsigned char *bare_map(int fd, int protection)
{
	unsigned char *base = mmap(NULL, BARE_BYTES, protection, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED ||
	    mmap(base + BARE_HEADER + BARE_CAPACITY, BARE_CAPACITY, protection,
		 MAP_SHARED | MAP_FIXED, fd, (off_t)BARE_HEADER) == MAP_FAILED ||
	    madvise(base, BARE_BYTES, MADV_DONTFORK) < 0)
		return NULL;
	return base;
}

static inline int bare_seal_written(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

static inline int bare_membarrier(void)
{
	return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
}

#endif
