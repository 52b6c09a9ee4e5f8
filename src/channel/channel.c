/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "base/private.h"
#include "channel/channel.h"
#include "doorbell/doorbell.h"
#include "ring/wake.h"

/* A sleep and a wake-up cost about this much together (measured, docs/doorbell.md); to spin longer
 * than that can not win. */
#define SPIN_DEFAULT_US 50
#define SPIN_MAX_US     1000000

/* --- The bell: a doorbell and the peer's state ---------------------------------------------- */

static struct channel_bell *from_bell(struct peal_bell *bell)
{
	return (struct channel_bell *)(void *)bell; /* it is the first member */
}

static bool bell_is_closed(struct peal_bell *bell)
{
	return peal_load_acquire(&from_bell(bell)->peer->state) == PEAL_STATE_CLOSED;
}

/* Some 40 µs in which somebody else may free memory. No system call: a guest in a cage may not know
 * sched_yield(2). */
static void give_way(void)
{
	for (int i = 0; i < 1000; i++)
		peal_cpu_relax();
}

static int bell_ring(struct peal_bell *bell)
{
	struct channel_bell *self = from_bell(bell);
	int cancel, rc = -EAGAIN;

	/* What the bell announces is published already. A thread that were cancelled here would never
	 * return the record that it took, and nobody would ring for it. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	/* -ENOBUFS and -ENOMEM mean that nothing was queued. A kernel that has no page for one byte
	 * is about to kill somebody; give it some chances, since a wake must not be lost. */
	for (int tries = 0; tries < 1000; tries++) {
		rc = self->is_plain ? peal_doorbell_signal_plain(&self->doorbell)
				    : peal_doorbell_signal(&self->doorbell);
		if (rc != -ENOBUFS && rc != -ENOMEM)
			break;
		give_way();
	}
	pthread_setcancelstate(cancel, NULL);
	if (rc == PEAL_SIGNAL_PEER_DEAD)
		return -EPIPE;
	return rc < 0 ? rc : 0;
}

static int bell_wait(struct peal_bell *bell, uint64_t deadline_ns)
{
	struct channel_bell *self = from_bell(bell);

	if (!self->is_plain)
		return peal_doorbell_wait(&self->doorbell, deadline_ns);
	/* Sooner an error than a wait that outlasts its deadline. */
	if (deadline_ns != PEAL_FOREVER)
		return peal_fail(EINVAL, "a guest that attached for strict seccomp can only wait "
					 "with PEAL_FOREVER, or not at all with PEAL_TRY");
	return peal_doorbell_wait_plain(&self->doorbell);
}

static int bell_drain(struct peal_bell *bell)
{
	struct channel_bell *self = from_bell(bell);
	int rc;

	/* The wait has done it, and without a bell a read would sleep. */
	if (self->is_plain)
		return 0;
	rc = peal_doorbell_drain(&self->doorbell);
	return rc < 0 ? rc : 0;
}

/* By the kernel's word alone. */
static bool peer_died(struct channel_bell *self)
{
	if (!self->is_plain) /* it has no way to ask */
		peal_doorbell_wait(&self->doorbell, PEAL_TRY);
	return peal_doorbell_is_dead(&self->doorbell);
}

static int bell_check(struct peal_bell *bell)
{
	struct channel_bell *self = from_bell(bell);

	return bell_is_closed(bell) || peer_died(self) ? -EPIPE : 0;
}

/* --- Setting up and tearing down ------------------------------------------------------------ */

struct peal_channel *peal_channel_alloc(void)
{
	struct peal_channel *channel = peal_private_alloc(sizeof(*channel));

	if (!channel)
		return NULL;
	for (int ring = 0; ring < RINGS; ring++) {
		channel->bells[ring].doorbell =
			(struct peal_doorbell){.wait_fd = -1, .signal_fd = -1, .watch_fd = -1};
		channel->guest_sockets[ring] = -1;
		channel->segment_fds[ring] = -1;
	}
	channel->peer_pidfd = -1;
	channel->own_pidfd = -1;
	channel->open = true;
	return channel;
}

int peal_channel_spin_cap(int32_t spin_max_us, uint64_t *cap_ns)
{
	cpu_set_t cpus;

	if (spin_max_us < PEAL_SPIN_NEVER || spin_max_us > SPIN_MAX_US)
		return peal_fail(EINVAL,
				 "spin_max_us is %d; expected -1 (never), 0 (default) or up to %d",
				 spin_max_us, SPIN_MAX_US);
	if (spin_max_us == PEAL_SPIN_NEVER) {
		*cap_ns = 0;
	} else if (spin_max_us == PEAL_SPIN_DEFAULT) {
		/* With one processor, whoever we wait for can only run when we do not. */
		bool alone = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
			     CPU_COUNT(&cpus) == 1 && sysconf(_SC_NPROCESSORS_ONLN) == 1;

		*cap_ns = alone ? 0 : SPIN_DEFAULT_US * UINT64_C(1000);
	} else {
		*cap_ns = (uint64_t)spin_max_us * 1000;
	}
	return 0;
}

static void start_ring(struct peal_channel *channel, int ring, uint32_t align, bool peer_membarrier)
{
	bool is_tx = peal_channel_is_tx(channel, ring);
	struct peal_segment *data = is_tx ? &channel->own : &channel->peer;
	struct peal_ring_spec spec = {
		.data = peal_segment_data(data),
		.capacity = data->capacity,
		.align = align,
		.own = channel->own.header,
		.peer = channel->peer.header,
		.bell = &channel->bells[ring].bell,
		.membarrier = channel->membarrier,
		.peer_membarrier = channel->membarrier && peer_membarrier,
		.no_clock = channel->is_plain,
		.spin_cap_ns = channel->spin_cap_ns,
	};

	channel->bells[ring].bell = (struct peal_bell){.ring = bell_ring,
						       .wait = bell_wait,
						       .drain = bell_drain,
						       .is_closed = bell_is_closed,
						       .check = bell_check};
	channel->bells[ring].peer = channel->peer.header;
	channel->bells[ring].is_plain = channel->is_plain;
	if (is_tx)
		peal_producer_init(&channel->tx, &spec);
	else
		peal_consumer_init(&channel->rx, &spec);
}

void peal_channel_start(struct peal_channel *channel, uint32_t align, bool peer_membarrier)
{
	for (int ring = 0; ring < RINGS; ring++) {
		if (channel->has_ring[ring])
			start_ring(channel, ring, align, peer_membarrier);
	}
}

void peal_channel_trust_membarrier(struct peal_channel *channel)
{
	if (!channel->membarrier)
		return;
	peal_wake_drop_fence(&channel->tx.wake);
	peal_wake_drop_fence(&channel->rx.wake);
}

static void say_good_bye(struct peal_channel *channel)
{
	/* First the state, then the bell that makes the peer look at it. */
	if (channel->own.header)
		peal_store_release(&channel->own.header->state, PEAL_STATE_CLOSED);
	/* Whoever hears one of these bells sees the state, also if a bell orders nothing. */
	peal_barrier_full();
	for (int ring = 0; ring < RINGS; ring++) {
		if (channel->bells[ring].bell.ring)
			bell_ring(&channel->bells[ring].bell);
	}
}

struct peal_channel *peal_channel_close(struct peal_channel *channel)
{
	if (!channel)
		return NULL;
	if (channel->open) {
		say_good_bye(channel);
		/* The rest takes calls that are forbidden by now; the process's end does it. */
		if (channel->is_plain)
			return NULL;
		for (int ring = 0; ring < RINGS; ring++)
			peal_doorbell_close(&channel->bells[ring].doorbell);
		peal_channel_close_guest_end(channel);
		peal_fd_close(&channel->peer_pidfd);
		peal_segment_unmap(&channel->own);
		peal_segment_unmap(&channel->peer);
	}
	peal_private_free(channel, sizeof(*channel));
	return NULL;
}

void peal_channel_close_guest_end(struct peal_channel *channel)
{
	if (!channel->open)
		return;
	for (int ring = 0; ring < RINGS; ring++) {
		peal_fd_close(&channel->segment_fds[ring]);
		peal_fd_close(&channel->guest_sockets[ring]);
	}
	peal_fd_close(&channel->own_pidfd);
}

/* --- Looking at it -------------------------------------------------------------------------- */

struct peal_producer *peal_tx(struct peal_channel *channel)
{
	return channel->has_ring[channel->is_host ? TO_GUEST : TO_HOST] || !channel->open
		       ? &channel->tx
		       : NULL;
}

struct peal_consumer *peal_rx(struct peal_channel *channel)
{
	return channel->has_ring[channel->is_host ? TO_HOST : TO_GUEST] || !channel->open
		       ? &channel->rx
		       : NULL;
}

int peal_tx_fd(const struct peal_channel *channel)
{
	int ring = channel->is_host ? TO_GUEST : TO_HOST;

	return channel->has_ring[ring] ? peal_doorbell_fd(&channel->bells[ring].doorbell) : -1;
}

int peal_rx_fd(const struct peal_channel *channel)
{
	int ring = channel->is_host ? TO_HOST : TO_GUEST;

	return channel->has_ring[ring] ? peal_doorbell_fd(&channel->bells[ring].doorbell) : -1;
}

int peal_channel_peer_fd(const struct peal_channel *channel)
{
	return channel->open ? channel->peer_pidfd : -1;
}

void peal_channel_watch_take(struct peal_channel *channel, int pidfd)
{
	peal_fd_close(&channel->peer_pidfd);
	channel->peer_pidfd = pidfd;
	for (int ring = 0; ring < RINGS; ring++)
		peal_doorbell_watch(&channel->bells[ring].doorbell, pidfd);
}

int peal_channel_watch(struct peal_channel *channel, int pidfd)
{
	siginfo_t info;
	int copy;

	if (!channel->open)
		return peal_fail(EBADFD,
				 "this channel belongs to the process that forked this one");
	/* A question only, of a process that need not be our child; EBADF means that it is no pidfd. */
	if (TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT)) <
		    0 &&
	    errno != ECHILD)
		return peal_fail(EBADF, "descriptor %d is not a pidfd", pidfd);
	copy = fcntl(pidfd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	if (copy < 0)
		return peal_fail_errno("keeping the peer's pidfd");
	peal_channel_watch_take(channel, copy);
	return 0;
}

static bool is_dead(struct peal_channel *channel)
{
	for (int ring = 0; ring < RINGS; ring++) {
		if (channel->has_ring[ring] && peer_died(&channel->bells[ring]))
			return true;
	}
	return false;
}

int peal_channel_peer(struct peal_channel *channel)
{
	bool dead;

	if (!channel->open)
		return PEAL_PEER_ABSENT;
	/* The kernel first: a peer that closes after this look is not called dead. */
	dead = is_dead(channel);
	switch (peal_load_acquire(&channel->peer.header->state)) {
	case PEAL_STATE_CLOSED:
		return PEAL_PEER_CLOSED;
	case PEAL_STATE_ATTACHED:
		return dead ? PEAL_PEER_DEAD : PEAL_PEER_ATTACHED;
	default:
		return dead ? PEAL_PEER_DEAD : PEAL_PEER_ABSENT;
	}
}

static struct peal_ring_stats ring_stats(uint64_t capacity, uint64_t position,
					 const struct peal_counters *counters)
{
	/* Relaxed: figures to look at; each is a whole number, together they are no snapshot. */
	return (struct peal_ring_stats){
		.capacity = capacity,
		.position = position,
		.sleeps = peal_load_relaxed(&counters->sleeps),
		.wakes = peal_load_relaxed(&counters->wakes),
		.spurious = peal_load_relaxed(&counters->spurious),
	};
}

static struct peal_side_stats side_stats(const struct peal_segment *segment,
					 const struct peal_segment *other, uint64_t tail)
{
	const struct peal_segment_header *header = segment->header;

	return (struct peal_side_stats){
		.tx = ring_stats(segment->capacity, tail, &header->producer_counters),
		.rx = ring_stats(other->capacity, peal_load_relaxed(&header->head),
				 &header->consumer_counters),
	};
}

void peal_channel_stats(const struct peal_channel *channel, struct peal_side_stats *own,
			struct peal_side_stats *peer)
{
	const struct peal_segment *ours = &channel->own, *theirs = &channel->peer;

	if (own && ours->header)
		*own = side_stats(ours, theirs, peal_load_relaxed(&channel->tx.tail));
	else if (own)
		*own = (struct peal_side_stats){0};
	if (peer && theirs->header)
		*peer = side_stats(theirs, ours, peal_segment_tail(theirs));
	else if (peer)
		*peer = (struct peal_side_stats){0};
}
