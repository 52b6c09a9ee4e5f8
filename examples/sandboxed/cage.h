/* SPDX-License-Identifier: MIT */
/*
 * cage.h - giving up system calls for good.
 */
#ifndef SANDBOXED_CAGE_H
#define SANDBOXED_CAGE_H

enum cage {
	/* read, write, exit, sigreturn, on whatever is open; the kernel's own list. Anything else
	 * ends the thread by SIGKILL. Refused where a filter is installed already, as in many
	 * containers. */
	CAGE_STRICT,
	/* The same four by a filter; anything else is SIGSYS. Goes on top of other filters. */
	CAGE_LIKE_STRICT,
	/* What a channel over sockets needs, write to standard error, exit_group. Else SIGSYS. */
	CAGE_FILTER,
};

/*
 * cage_enter() - from here on, no other system calls than these
 * @more: numbers that a filter allows besides, ending with -1; NULL: none
 *
 * A filter needs PR_SET_NO_NEW_PRIVS, which PEAL_SPAWN_NO_NEW_PRIVS sets.
 *
 * Return: 0 or a negative errno.
 */
int cage_enter(enum cage cage, const int *more);

#endif
