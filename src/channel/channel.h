/* SPDX-License-Identifier: MIT */
/*
 * channel.h - what host and guest have in common: the only place where segments, rings, doorbells
 * and processes meet.
 */
#ifndef PEAL_CHANNEL_CHANNEL_H
#define PEAL_CHANNEL_CHANNEL_H

#include <stdbool.h>

#include <peal/channel.h>

#include "ring/bell.h"
#include "ring/layout.h"
#include "ring/ring.h"
#include "ring/segment.h"

/* The two rings, in the order in which everything lists them. */
enum { TO_GUEST = 0, TO_HOST = 1, RINGS = 2 };

struct peal_poller;

/* A ring's bell, made of a doorbell. */
struct channel_bell {
	struct peal_bell bell;
	struct peal_doorbell doorbell;
	const struct peal_segment_header
		*peer; /* its state tells of a close that an eventfd can not */
	bool is_plain; /* waits and rings by read and write alone */
	bool watched;  /* by a poller: one waiter an end */

	/* A poller rings it later, together with others. Also its poller's thread's. */
	unsigned int batchers; /* watches that asked for it */
	struct peal_poller *batch;
	int (*ring_now)(struct peal_bell *bell);
	bool is_owed; /* is in the poller's list of bells to ring */
	struct channel_bell *next_owed;
};

/*
 * Lives in a mapping of its own that fork wipes: a forked child then finds zeros, which refuse
 * everything, instead of a second hand on what has one writer.
 */
struct peal_channel {
	struct peal_producer tx;
	struct peal_consumer rx;
	struct channel_bell bells[RINGS];
	bool has_ring[RINGS];
	bool open; /* false: closed, or wiped by fork */
	bool is_host;
	bool is_plain;   /* a guest that will enter strict seccomp */
	bool membarrier; /* we are registered and have promised it */
	int peer_pidfd;  /* owned; -1: none */
	uint64_t spin_cap_ns;
	struct peal_segment own;
	struct peal_segment peer;

	/* Host only: the guest's end until it is given away; -1 each. Eventfds are in the bells. */
	int segment_fds[2];
	int guest_sockets[RINGS];
	int own_pidfd;
};

/* peal_channel_alloc() - a zeroed channel with no descriptor in it; NULL: no memory, errno. */
struct peal_channel *peal_channel_alloc(void);

/* peal_channel_spin_cap() - from the option in µs; -EINVAL for nonsense. */
int peal_channel_spin_cap(int32_t spin_max_us, uint64_t *cap_ns);

/* peal_channel_start() - segments are mapped, doorbells are there: set up producer and consumer.
 * @peer_membarrier: the peer has promised, so that we need no fence. */
void peal_channel_start(struct peal_channel *channel, uint32_t align, bool peer_membarrier);

/* peal_channel_trust_membarrier() - the peer has promised: drop the fence, if ours is there too. */
void peal_channel_trust_membarrier(struct peal_channel *channel);

/* peal_channel_watch_take() - the peer's pidfd, ours from now on. */
void peal_channel_watch_take(struct peal_channel *channel, int pidfd);

/* peal_channel_is_tx() - is this the ring that we produce into? */
static inline bool peal_channel_is_tx(const struct peal_channel *channel, int ring)
{
	return channel->is_host == (ring == TO_GUEST);
}

/* peal_channel_ready_ring() - the ring whose doorbell tells the host that the guest has attached. */
static inline int peal_channel_ready_ring(const struct peal_channel *channel)
{
	return channel->has_ring[TO_GUEST] ? TO_GUEST : TO_HOST;
}

#endif
