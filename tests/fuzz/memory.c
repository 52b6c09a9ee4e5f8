/* SPDX-License-Identifier: MIT */
/*
 * memory.c - segments between guards.
 *
 *      nothing │ header │ data │ data again │ nothing for more than the largest length that a header
 *                                             can hold
 *
 * A record that does not end in the ring ends in a page that nobody may touch.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define GUARD_BEFORE (UINT64_C(1) << 20)
#define GUARD_BEHIND (UINT64_C(5) << 30)

static void *map(int fd, uint64_t capacity, int protection)
{
	const size_t once = PEAL_HEADER_BYTES + capacity;
	unsigned char *base = mmap(NULL, GUARD_BEFORE + once + capacity + GUARD_BEHIND, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(base != MAP_FAILED, "no address space");
	base += GUARD_BEFORE;
	FUZZ_CHECK(mmap(base, once, protection, MAP_SHARED | MAP_FIXED, fd, 0) == base &&
			   mmap(base + once, capacity, protection, MAP_SHARED | MAP_FIXED, fd,
				PEAL_HEADER_BYTES) == base + once,
		   "mapping a segment");
	return base;
}

static struct fuzz_segment make(uint64_t capacity)
{
	struct fuzz_segment made = {.capacity = capacity};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)(PEAL_HEADER_BYTES + capacity)) == 0,
		   "making a segment");
	made.rw = map(fd, capacity, PROT_READ | PROT_WRITE);
	made.ro = map(fd, capacity, PROT_READ);
	close(fd);
	return made;
}

struct fuzz_segment fuzz_segment(unsigned int nth, uint64_t capacity)
{
	static struct fuzz_segment made[4];
	struct fuzz_segment *segment = &made[nth * 2 + (capacity != PEAL_CAPACITY_MIN)];

	if (!segment->rw)
		*segment = make(capacity);
	FUZZ_CHECK(segment->capacity == capacity, "two capacities are kept");
	memset(segment->rw, 0, PEAL_HEADER_BYTES + capacity);
	return *segment;
}
