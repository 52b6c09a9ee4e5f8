/* SPDX-License-Identifier: MIT */
/*
 * allocate.c - each allocation is a system call: who makes one in a cage is killed, not only when
 * the heap happens to be used up. The dynamic linker allocates here as well.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's own, which stay reachable. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
	syscall(SYS_getppid);
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	syscall(SYS_getppid);
	return __libc_calloc(count, size);
}
