/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - the guest's side of a spawn: the descriptors named on its command line.
 */
#ifndef PEAL_SPAWN_ADOPT_H
#define PEAL_SPAWN_ADOPT_H

#include <stddef.h>

#define PEAL_ADOPT_MAX 4

/* One argument name and the descriptors found under it, in the order of the command line. */
struct peal_adopted {
	const char *arg; /* in: such as "--doorbell-fd" */
	int fds[PEAL_ADOPT_MAX];
	size_t count;
};

/*
 * peal_adopt_args() - find "ARG=N" and "ARG N" for every wanted ARG, and take them out of argv
 * @argc, @argv: as main() got them; argv[0] is passed over, a "--" is nothing special: the
 *               host appends its arguments whatever the guest's own are
 * @wanted: the names in, the descriptors out
 * @wanted_count: how many names
 *
 * Strict: decimal, >= 3, open, at most PEAL_ADOPT_MAX per name, none twice under any name. All are
 * made close-on-exec, so that the guest's own children get nothing.
 *
 * Return: 0, also when none was found (the counts are 0 then); a negative errno with argc, argv and
 * every descriptor as they were.
 */
int peal_adopt_args(int *argc, char **argv, struct peal_adopted *wanted, size_t wanted_count);

#endif
