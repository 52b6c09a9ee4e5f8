/* SPDX-License-Identifier: MIT */
/*
 * channel.h - two processes, joined by up to two rings.
 *
 *      host                                                            guest
 *      peal_channel_create()
 *      peal_spawn() ─────────── --segment-fd --doorbell-fd ──────────▶ peal_attach_args()
 *      peal_child_wait_ready() ◀────────── ready ─────────────────────
 *      peal_tx() ═════════════════════ to_guest ═════════════════════▶ peal_rx()
 *      peal_rx() ◀════════════════════ to_host ══════════════════════  peal_tx()
 *
 * Each process writes into its own sealed segment and maps the other's read-only; the kernel holds
 * both to that. Each ring has a doorbell of its own. Kill either process at any instant: the other
 * gets what was committed, then -EPIPE, and nothing is left behind anywhere.
 *
 * Two rings can both be full: who sends a request and does not take answers meanwhile may wait for a
 * peer that waits for him to take answers. Take answers while sending, or leave room for all.
 *
 * Threads: the channel itself belongs to one thread at a time, its producer and its consumer each
 * to one (see ring.h).
 *
 * Fork: a child made by fork() without exec can not use the channel (-EBADFD); its memory is not
 * even mapped there. It still holds the descriptors until it execs or ends.
 */
#ifndef PEAL_CHANNEL_H
#define PEAL_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>
#include <peal/doorbell.h>
#include <peal/ring.h>
#include <peal/spawn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; the same on both sides. */
struct peal_channel;

/* Do without membarrier(2): every publication then costs a fence. For a guest that will enter a
 * seccomp filter which forbids it, and for comparison. */
#define PEAL_CHANNEL_NO_MEMBARRIER 1u

/*
 * Attaching only: for a guest whose thread will enter strict seccomp (SECCOMP_MODE_STRICT). From
 * then on the channel sleeps in read(2), rings by write(2), and makes no other system call. So
 *  - it waits with PEAL_FOREVER, or with PEAL_TRY not at all; any other deadline is -EINVAL once it
 *    would have to sleep;
 *  - of a host that was killed it learns by sleeping or ringing, and only over sockets. An eventfd
 *    does not tell, so have that guest killed with its host (PEAL_SPAWN_DIE_WITH_PARENT). PEAL_TRY
 *    and peal_channel_peer() do not ask;
 *  - it does without membarrier, and without a spin before sleeping: strict seccomp forbids to read
 *    the clock, on x86 even by the instruction. spin_max_us over 0 is -EINVAL;
 *  - SIGPIPE is blocked in the attaching thread, which must be the one that uses the channel;
 *  - peal_channel_close() tells the host and gives nothing back. End the process, and by
 *    syscall(SYS_exit, status), because _exit(3) calls exit_group;
 *  - no poller takes it.
 * docs/sandboxing.md has more, examples/sandboxed a whole guest.
 */
#define PEAL_CHANNEL_STRICT 2u

#define PEAL_SPIN_DEFAULT 0 /* adaptive, at most 50 µs; never with one processor */
#define PEAL_SPIN_NEVER   (-1)

struct peal_channel_options {
	size_t size;       /* sizeof(struct peal_channel_options); tells versions apart */
	uint64_t to_guest; /* capacity of the ring to the guest in bytes; 0: no such ring */
	uint64_t to_host;  /* capacity of the ring to the host in bytes; 0: no such ring */
	uint32_t align;    /* of records, in bytes: 8 (also 0), or 64 for payloads on cache lines */
	uint32_t doorbell; /* enum peal_doorbell_kind; eventfd only for a guest that is trusted */
	uint32_t flags;    /* PEAL_CHANNEL_… */
	int32_t spin_max_us; /* the longest spin before sleeping in µs, or PEAL_SPIN_… */
	const char *name;    /* for people who look at the process; up to 31 bytes; NULL: none */
};

/**
 * peal_channel_create() - make a channel, as its host
 * @channel: the new channel
 * @options: capacities are rounded up to a power of two of at least 4 KiB, and are at most 1 TiB
 *
 * All memory is allocated here: a full machine is an error now and no signal later. More than the
 * machine has is refused; but what is there and in use by others, the kernel may take by ending them,
 * so do not let strangers choose the size. The host may send before the guest is there; those records
 * wait in the ring.
 *
 * Return: 0; -EINVAL for options that make no sense; -EFBIG when RLIMIT_FSIZE forbids the size;
 * -ENOMEM, -ENOSPC, -EMFILE, -ENFILE with nothing left behind.
 */
PEAL_API int peal_channel_create(struct peal_channel **channel,
				 const struct peal_channel_options *options);

/** peal_tx() - the producer of this side; NULL if there is no ring that way. Lives in the channel. */
PEAL_API struct peal_producer *peal_tx(struct peal_channel *channel);

/** peal_rx() - the consumer of this side; NULL if there is no ring that way. Lives in the channel. */
PEAL_API struct peal_consumer *peal_rx(struct peal_channel *channel);

/**
 * peal_channel_close() - leave the channel and free it
 *
 * Wakes the peer, who still gets all that was committed. No other thread may use any of it.
 * NULL is fine. Return: NULL.
 */
PEAL_API struct peal_channel *peal_channel_close(struct peal_channel *channel);

/* --- Starting a guest ------------------------------------------------------------------------ */

/**
 * peal_spawn() - start a program as the guest of this channel
 * @child: the new process
 * @argv, @options: as in peal_spawn_fds()
 *
 * The program finds its end with peal_attach_args(). A channel has one guest in its life. Not while
 * another thread uses the producer or the consumer.
 *
 * Return: as peal_spawn_fds(), and -EBUSY when the guest's end was given away before. On failure
 * the channel is as before and may be spawned on again, but in one rare case: the program started and
 * its pidfd could not be kept (a filter, RLIMIT_NOFILE lowered meanwhile). It is killed then, and if it
 * had attached by that time, another guest is refused with -EBUSY: make a new channel.
 */
PEAL_API int peal_spawn(struct peal_child **child, struct peal_channel *channel, char *const argv[],
			const struct peal_spawn_options *options);

/**
 * peal_child_wait_ready() - wait until the guest has attached
 *
 * Return: 0; -EPIPE when it ended before (peal_last_error() says how, peal_child_wait() tells in
 * figures; it is given up to a second to end, but for PEAL_TRY); -EPROTONOSUPPORT when it refused for
 * want of a common layout version (the sentence names both); -ETIMEDOUT, -EAGAIN. Cancellation
 * point.
 */
PEAL_API int peal_child_wait_ready(struct peal_child *child, struct peal_channel *channel,
				   uint64_t deadline_ns);

/* --- Giving the guest's end away by other means ---------------------------------------------- */

#define PEAL_GUEST_DOORBELLS_MAX 4

/* All that a guest needs. Numbers of descriptors; who owns them, each function tells. */
struct peal_guest_fds {
	int host_segment;
	int guest_segment;
	/* For the ring to the guest, then for the one to the host, whichever exist: one socket, or
	 * the two eventfds producer_wake and consumer_wake. */
	int doorbells[PEAL_GUEST_DOORBELLS_MAX];
	unsigned int doorbell_count;
	int host_pidfd; /* tells the guest of the host's death; -1 where the kernel has none */
};

/**
 * peal_channel_guest_fds() - the guest's end, to be sent over a socket of the caller's (SCM_RIGHTS)
 *
 * They stay the channel's. Send them, then call peal_channel_close_guest_end().
 *
 * Return: 0; -EBUSY when the guest's end was given away before.
 */
PEAL_API int peal_channel_guest_fds(struct peal_channel *channel, struct peal_guest_fds *fds);

/**
 * peal_channel_close_guest_end() - close this process's copies of the guest's end
 *
 * Needed once they were sent: while they are open here, the guest's death is no hang-up.
 */
PEAL_API void peal_channel_close_guest_end(struct peal_channel *channel);

/**
 * peal_channel_watch() - the peer's death is also told by this pidfd
 *
 * Kept as a duplicate; the caller's stays his. peal_spawn() does this itself. Call it before any
 * thread uses the producer or the consumer.
 *
 * Return: 0; -EBADF if it is no pidfd; -EMFILE.
 */
PEAL_API int peal_channel_watch(struct peal_channel *channel, int pidfd);

/**
 * peal_channel_wait_ready() - as peal_child_wait_ready(), for a guest that was not spawned
 *
 * Until one of the two has returned 0, the host's publications cost a fence each. Neither may be
 * called while another thread uses the producer or the consumer, or while one of them is armed in a
 * foreign loop: the bells on which they wait are taken.
 */
PEAL_API int peal_channel_wait_ready(struct peal_channel *channel, uint64_t deadline_ns);

/* --- The guest ------------------------------------------------------------------------------- */

#define PEAL_SEGMENT_ARG "--segment-fd" /* twice: the host's segment, then the guest's */
#define PEAL_PIDFD_ARG   "--host-pidfd"

struct peal_attach_options {
	size_t size;         /* sizeof(struct peal_attach_options) */
	uint32_t flags;      /* PEAL_CHANNEL_… */
	int32_t spin_max_us; /* as in struct peal_channel_options */
};

/**
 * peal_attach_args() - become the guest of the channel on the command line
 * @channel: the new channel
 * @argc, @argv: of main(); Peal's arguments are taken out
 * @options: NULL for the defaults
 *
 * Call it first thing: it also makes the descriptors close-on-exec again. What is not Peal's stays in
 * argv, in its order.
 *
 * Return: 0; -ENOENT when the command line names no channel; -EINVAL, -EBADF, -ERANGE for arguments
 * that are wrong; otherwise as peal_attach_fds(). On failure argc and argv are as before.
 */
PEAL_API int peal_attach_args(struct peal_channel **channel, int *argc, char **argv,
			      const struct peal_attach_options *options);

/**
 * peal_attach_fds() - become the guest of the channel behind these descriptors
 *
 * Takes ownership of all of them; on failure they are still the caller's.
 *
 * Return: 0; -EINVAL for descriptors that are not what they should be; -EPERM for a host segment
 * that is not sealed; -EBUSY when another guest has attached; -EPROTONOSUPPORT for another layout
 * version or unknown features (the host is told); -ENOMEM, -EMFILE; -ENOBUFS, -ENOMEM also when the
 * host can not be woken to hear of it. A host that is gone is told by the first wait.
 */
PEAL_API int peal_attach_fds(struct peal_channel **channel, const struct peal_guest_fds *fds,
			     const struct peal_attach_options *options);

/* --- Looking at it --------------------------------------------------------------------------- */

enum peal_peer {
	PEAL_PEER_ABSENT = 0,   /* not attached yet */
	PEAL_PEER_ATTACHED = 1, /* attached, as far as known */
	PEAL_PEER_CLOSED = 2,   /* it closed its end in good order */
	PEAL_PEER_DEAD = 3,     /* it is gone without having closed: it crashed, or was killed */
};

/**
 * peal_channel_peer() - how the peer fares
 *
 * Asks the kernel. CLOSED is the peer's own claim; DEAD is the kernel's word.
 *
 * Return: an enum peal_peer.
 */
PEAL_API int peal_channel_peer(struct peal_channel *channel);

/** peal_rx_fd() - readable when data was announced or the peer is gone; -1 without such a ring.
 *
 * For a foreign event loop, see peal_arm_data(). Stays the channel's. Poll peal_channel_peer_fd()
 * too, because a process that inherited the peer's socket hides its hang-up.
 */
PEAL_API int peal_rx_fd(const struct peal_channel *channel);

/** peal_tx_fd() - the same for room, see peal_arm_space(). */
PEAL_API int peal_tx_fd(const struct peal_channel *channel);

/** peal_channel_peer_fd() - the peer's pidfd, readable when it is dead; -1 if none is known. */
PEAL_API int peal_channel_peer_fd(const struct peal_channel *channel);

/* What one side did at one ring: for the ring to the peer look at own.tx and peer.rx. */
struct peal_ring_stats {
	uint64_t capacity; /* bytes; own.tx.position - peer.rx.position of them are in use */
	uint64_t position; /* bytes published (producer) or released (consumer), headers included */
	uint64_t sleeps;   /* times that it slept */
	uint64_t wakes;    /* times that it rang the other side */
	uint64_t spurious; /* times that it was woken with nothing to do */
};

struct peal_side_stats {
	struct peal_ring_stats tx, rx;
};

/**
 * peal_channel_stats() - the figures of both sides; either may be NULL
 *
 * The peer's are its own claims, and its tx.position may be up to 4095 bytes behind while it is busy.
 * Any thread, any time.
 */
PEAL_API void peal_channel_stats(const struct peal_channel *channel, struct peal_side_stats *own,
				 struct peal_side_stats *peer);

#ifdef __cplusplus
}
#endif

#endif
