/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "base/private.h"

void *peal_private_alloc(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, size, MADV_WIPEONFORK) == 0)
		return memory;
	munmap(memory, size);
	return NULL;
}

void peal_private_free(void *memory, size_t size)
{
	munmap(memory, size);
}
