/* SPDX-License-Identifier: MIT */
#ifndef PEAL_SPAWN_PROCESS_H
#define PEAL_SPAWN_PROCESS_H

#include <peal/spawn.h>

struct peal_child {
	pid_t pid; /* 0 until there is a process */
	int pidfd; /* -1 likewise */
	struct peal_child_status status;
	char name[]; /* argv[0] */
};

/* peal_child_new() - a handle without a process. Return: NULL if there is no memory. */
struct peal_child *peal_child_new(const char *name);

/*
 * peal_child_take_status() - reap the child and keep its status, or find it kept already
 * @flags: WNOHANG to look only, 0 to block
 *
 * Writes no error sentence.
 *
 * Return: 0; -EAGAIN if it still runs; -ECHILD if somebody else reaped it.
 */
int peal_child_take_status(struct peal_child *child, int flags);

#endif
