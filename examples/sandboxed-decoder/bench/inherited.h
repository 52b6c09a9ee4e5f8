/* SPDX-License-Identifier: MIT */
/*
 * inherited.h - the descriptors that a program was started with.
 */
#ifndef INHERITED_H
#define INHERITED_H

#include <stdlib.h>
#include <string.h>

/* The number in NAME=NUMBER, as peal_spawn_fds() writes it; -1 for another argument. */
static inline int inherited_fd(const char *argument, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(argument, name, length) != 0 || argument[length] != '=')
		return -1;
	return atoi(argument + length + 1);
}

#endif
