/* SPDX-License-Identifier: MIT */
/*
 * attach.h - what becomes of descriptors that are offered to a guest, which is a process of its own.
 */
#ifndef PEAL_TESTS_HOSTILE_ATTACH_H
#define PEAL_TESTS_HOSTILE_ATTACH_H

#include <peal/peal.h>

#include "hostile/beside.h"

/* Accounts for the guests; the second is theirs. */
extern struct host host;
void accounts_open(void);
void accounts_close(void);

/* A channel and its guest's end. */
void open_channel(struct peal_channel **channel, struct peal_guest_fds *fds);

/* A guest with these descriptors, these words more on its command line, under this limit; the last two
 * may be NULL. It has said what came of attaching. */
const struct account *attach(const struct peal_guest_fds *fds, char *const extra[],
			     const struct peal_rlimit *limit);

/* Fail unless it was this, and said that. */
void expect(const struct account *account, const char *what, int error, const char *words);

/* The body of main(). */
struct harness_case;
int attach_main(const char *name, const struct harness_case *cases);

#endif
