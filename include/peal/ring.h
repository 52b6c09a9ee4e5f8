/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a stream of records from one process to another, without a system call.
 *
 *      struct peal_producer                              struct peal_consumer
 *      reserve … commit      ┌───────────────────────┐       next … release
 *      send             ───▶ │ record record record  │ ───▶  recv
 *                            └───────────────────────┘
 *
 * One producer, one consumer. A record is up to peal_record_max() bytes with a 16-bit type for the
 * user; zero bytes is a record too. It lies contiguous in memory, wherever the ring wraps.
 *
 * Threads: a producer and a consumer each belong to one thread at a time; the two of one channel
 * may belong to different threads. Handing one over needs a lock or the like in between.
 *
 * Blocking: only the functions that take a deadline (see base.h) block. They spin for a moment
 * first, then sleep in the kernel; they are cancellation points, and being cancelled there, or
 * leaving by longjmp from a signal handler, loses and half-publishes nothing.
 *
 * The peer:
 *  - dead or closed: what it committed is still delivered, then the consumer gets -EPIPE. The
 *    producer gets -EPIPE as soon as it would have to wait, or wakes nobody. Each end finds out by
 *    itself: a consumer's -EPIPE does not stop the producer of the same channel.
 *  - hostile: every word that it wrote is checked before use. A false one breaks the ring for good
 *    (-EPROTO); nothing else of this process is touched.
 *
 * Errors that every function here may return: -EPROTO (the peer broke the protocol), -EBADFD (the
 * handle is closed, or this process was forked from the one that made it). Both are sticky.
 *
 * The functions marked hot are inline, and exist as symbols in the library as well.
 */
#ifndef PEAL_RING_H
#define PEAL_RING_H

#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PEAL_INLINE
#	define PEAL_INLINE inline
#endif

/* Opaque, though the inline functions need to see inside: see detail/ring.h. */
struct peal_producer;
struct peal_consumer;

/* --- Producing ------------------------------------------------------------------------------- */

/**
 * peal_reserve() - get memory in the ring for one record; hot
 * @size: the most that the record may need, in bytes
 * @payload: where to write it; aligned to the ring's record alignment
 *
 * The memory stays the caller's until he commits, stages or aborts. Reserving again without doing
 * so gives up the first reservation. When the ring is full, staged records are published first.
 *
 * Return: 0; -EAGAIN when there is no room now; -EMSGSIZE when there never can be; -EPIPE when the
 * consumer is known to be gone.
 */
PEAL_API PEAL_INLINE int peal_reserve(struct peal_producer *tx, size_t size, void **payload);

/**
 * peal_reserve_wait() - the same, waiting for room until @deadline_ns
 *
 * PEAL_TRY differs from peal_reserve() in that it asks the kernel whether the peer still lives.
 *
 * Return: as peal_reserve(); -ETIMEDOUT at the deadline.
 */
PEAL_API int peal_reserve_wait(struct peal_producer *tx, size_t size, void **payload,
			       uint64_t deadline_ns);

/**
 * peal_commit() - publish the reserved record, and all staged before it; hot
 * @size: its real size, at most what was reserved
 * @type: for the user; arrives with the record
 *
 * The consumer sees it from now on, and is woken if it sleeps.
 *
 * Return: 0; -EINVAL without a reservation or when @size exceeds it. -EPIPE and other errors of
 * waking the consumer come after the record is published: it is not to be sent again.
 */
PEAL_API PEAL_INLINE int peal_commit(struct peal_producer *tx, size_t size, uint16_t type);

/**
 * peal_stage() - finish the reserved record, but publish it later; hot
 *
 * Staged records cost the consumer one cache miss and the producer one check together, however many
 * they are. They become visible with the next peal_publish() or peal_commit(), and when a
 * reservation finds the ring full.
 *
 * Return: 0; -EINVAL as peal_commit().
 */
PEAL_API PEAL_INLINE int peal_stage(struct peal_producer *tx, size_t size, uint16_t type);

/** peal_publish() - make all staged records visible; hot. Return: as peal_commit(). */
PEAL_API PEAL_INLINE int peal_publish(struct peal_producer *tx);

/** peal_abort() - give up the reservation. Nothing of it is ever seen. Staged records stay. */
PEAL_API PEAL_INLINE void peal_abort(struct peal_producer *tx);

/**
 * peal_send() - copy one record into the ring; hot
 *
 * Return: 0; otherwise as peal_reserve_wait() and peal_commit().
 */
PEAL_API PEAL_INLINE int peal_send(struct peal_producer *tx, const void *data, size_t size,
				   uint16_t type, uint64_t deadline_ns);

/** peal_record_max() - the largest record of this ring, in bytes. */
PEAL_API size_t peal_record_max(const struct peal_producer *tx);

/* --- Consuming ------------------------------------------------------------------------------- */

/* A view of a record that lies in the ring, until it is released. */
struct peal_record {
	const void *data; /* the producer can still change this: a hostile one will, while you read.
			   * Copy what you check, or use peal_recv() */
	uint32_t size;    /* in bytes; checked, and a private copy */
	uint16_t type;
	uint64_t end; /* position behind the record, for peal_release_to() */
};

/**
 * peal_next() - the next record, in place; hot
 *
 * May be called again and again to look at several before releasing any.
 *
 * Return: 1 with @record filled; 0 when there is none now; -EPIPE when there is none and the
 * producer is known to be gone.
 */
PEAL_API PEAL_INLINE int peal_next(struct peal_consumer *rx, struct peal_record *record);

/**
 * peal_next_wait() - the same, waiting for a record until @deadline_ns
 *
 * PEAL_TRY differs from peal_next() in that it asks the kernel whether the peer still lives. Release
 * before you wait: a producer that needs the room of records which you hold waits for you.
 *
 * Return: 1; -EAGAIN for PEAL_TRY, -ETIMEDOUT at the deadline; -EPIPE as above.
 */
PEAL_API int peal_next_wait(struct peal_consumer *rx, struct peal_record *record,
			    uint64_t deadline_ns);

/**
 * peal_release() - give back all records that were handed out; hot
 *
 * Their memory is the producer's again; it is woken if it sleeps for room. A consumer that is slower
 * than its producer does better to release several at once, since it wakes it each time.
 *
 * Return: 0, also when the producer is gone.
 */
PEAL_API PEAL_INLINE int peal_release(struct peal_consumer *rx);

/**
 * peal_release_to() - give back all records up to and including @record; hot
 *
 * Return: 0; -EINVAL if @record is not one that is handed out now.
 */
PEAL_API PEAL_INLINE int peal_release_to(struct peal_consumer *rx,
					 const struct peal_record *record);

/**
 * peal_recv() - copy the next record out and release it; hot
 * @buffer: where to; @size: its bytes
 * @type: the record's type; may be NULL
 *
 * The safe default: what was copied can no longer be changed by the peer. With PEAL_TRY an empty ring
 * costs a system call, see peal_next_wait(); to look often, use peal_next().
 *
 * Return: the record's size; -EMSGSIZE if it is larger than @size (it stays, peal_last_error()
 * tells how large); -EBUSY while records from peal_next() are not released; -EAGAIN, -ETIMEDOUT,
 * -EPIPE as peal_next_wait().
 */
PEAL_API PEAL_INLINE int64_t peal_recv(struct peal_consumer *rx, void *buffer, size_t size,
				       uint16_t *type, uint64_t deadline_ns);

/* --- Foreign event loops --------------------------------------------------------------------- */

/*
 * To sleep in somebody else's poll, epoll or io_uring instead of in a *_wait() function:
 *
 *     if (peal_arm_data(rx) == 0)
 *             … wait until the channel's descriptor is readable, level- or edge-triggered …
 *     peal_disarm_data(rx);
 *     while (peal_next(rx, &record) == 1) { … } peal_release(rx);
 *
 * An armed side is promised a bell for whatever is committed (released) after arming. The
 * descriptors are peal_rx_fd() and peal_tx_fd() of channel.h; see there for the peer's death.
 */

/**
 * peal_arm_data() - announce that this consumer is about to sleep
 *
 * Costs one membarrier(2). Do not touch the doorbell between arming and sleeping.
 *
 * Return: 0 when armed: sleep; 1 when there is a record, so do not (nothing is armed then); -EPIPE
 * when there is none and the producer has closed or is known to be gone.
 */
PEAL_API int peal_arm_data(struct peal_consumer *rx);

/**
 * peal_disarm_data() - announce that it is awake, and take the pending bells
 *
 * Call it after every return from the poll, whatever the reason. Also learns of the peer's death.
 *
 * Return: 0 or a negative errno; death is told by the next call of peal_next() that finds nothing.
 */
PEAL_API int peal_disarm_data(struct peal_consumer *rx);

/**
 * peal_arm_space() - the same for a producer that waits for room
 * @size: the payload that it wants to reserve; a reservation that stands is given up
 *
 * Return: 0 when armed; 1 when there is room already; -EMSGSIZE as peal_reserve(); -EPIPE when there is
 * none and the consumer has closed or is known to be gone.
 */
PEAL_API int peal_arm_space(struct peal_producer *tx, size_t size);

/** peal_disarm_space() - the same for the producer; its death is told by peal_reserve(). */
PEAL_API int peal_disarm_space(struct peal_producer *tx);

#ifdef __cplusplus
}
#endif

#include <peal/detail/ring.h>

#endif
