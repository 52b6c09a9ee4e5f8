/* SPDX-License-Identifier: MIT */
/*
 * pair.h - a channel with a running guest (tests/ipc/guest.c).
 */
#ifndef PEAL_TESTS_PAIR_H
#define PEAL_TESTS_PAIR_H

#include <peal/peal.h>

struct pair {
	struct peal_channel *channel;
	struct peal_child *child;
};

/* A channel with @options and a guest that runs @mode with up to three numbers, ready. */
struct pair pair_start(const struct peal_channel_options *options, const char *mode, const char *a,
		       const char *b, const char *c);

/* Close; the guest then ends by itself, content. */
void pair_finish(struct pair *pair);

/* Close and kill, whatever the guest does. */
void pair_kill(struct pair *pair);

/* The same descriptors once more, for a guest in this process. */
struct peal_guest_fds pair_copy_fds(const struct peal_guest_fds *fds);

/* The guest's end of @host, in this very process: for what must not depend on who runs when, and for
 * race detectors. */
struct peal_channel *pair_attach_here(struct peal_channel *host);

#endif
