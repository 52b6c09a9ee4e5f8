/* SPDX-License-Identifier: MIT */
/*
 * options.h - option structs that may grow: their first member is `size_t size`.
 */
#ifndef PEAL_BASE_OPTIONS_H
#define PEAL_BASE_OPTIONS_H

#include <stddef.h>

/* No option struct will be this large; a larger size is one that was never set. */
#define PEAL_OPTIONS_SIZE_MAX 4096

/*
 * peal_options_copy() - the caller's options as this version of the library sees them
 * @options: where they go; its size member is @known afterwards
 * @known: the struct's size in this version
 * @first: its size in the first version that had it
 * @given: what the caller passed; NULL for the defaults, which are all zero
 *
 * THE version rule. Members are only ever added at the end, and zero means "as before". So a caller
 * that was built against
 *  - an older version gives fewer bytes: the rest is zero. Fewer than @first is a forgotten size;
 *  - a newer version gives more bytes: fine while those unknown here are zero, else it asks for
 *    something that we would silently not do.
 *
 * Return: 0; -EINVAL with @options untouched.
 */
int peal_options_copy(void *options, size_t known, size_t first, const void *given);

#endif
