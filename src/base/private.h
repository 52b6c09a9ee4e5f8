/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BASE_PRIVATE_H
#define PEAL_BASE_PRIVATE_H

#include <stddef.h>

/* peal_private_alloc() - zeroed memory that a child of fork finds zeroed again. NULL: errno. */
void *peal_private_alloc(size_t size);

/* peal_private_free() - give it back; the same size. */
void peal_private_free(void *memory, size_t size);

#endif
