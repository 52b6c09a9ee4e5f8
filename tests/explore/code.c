/* SPDX-License-Identifier: MIT */
/*
 * code.c - the library's ring and the channel around it, as they are, in one unit; and stubs for what
 * they call.
 *
 * Two of its files have a function of the same name, which is renamed for the occasion.
 */
#include <errno.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/private.h"

#define PEAL_INLINE /* emit the hot functions as well */
#include <peal/ring.h>

#define refuse refuse_producer
#include "ring/producer.c"
#undef refuse
#define refuse refuse_consumer
#include "ring/consumer.c"
#undef refuse
#include "ring/wake.c"

#include "channel/channel.c"

int peal_membarrier(void)
{
	explore_call(EXPLORE_MEMBARRIER);
	return 0;
}

/* The sentence is for people. */
int peal_fail(int error, const char *format, ...)
{
	(void)format;
	return -error;
}

/* Time does not pass here: a deadline is a return for nothing, by the bell; or comes with it. */
uint64_t peal_now_ns(void)
{
	return 1;
}

bool peal_deadline_passed(uint64_t deadline_ns)
{
	(void)deadline_ns;
	return explore_options.timed;
}

/* --- The doorbell ---------------------------------------------------------------------------- */

int peal_doorbell_signal(struct peal_doorbell *db)
{
	(void)db;
	return explore_call(EXPLORE_RING) == -EPIPE ? PEAL_SIGNAL_PEER_DEAD : PEAL_SIGNAL_SENT;
}

int peal_doorbell_wait(struct peal_doorbell *db, uint64_t deadline_ns)
{
	(void)db;
	return deadline_ns == PEAL_TRY ? -ETIMEDOUT : explore_call(EXPLORE_WAIT);
}

int peal_doorbell_drain(struct peal_doorbell *db)
{
	(void)db;
	return explore_call(EXPLORE_DRAIN);
}

/* No end is plain here. */
int peal_doorbell_signal_plain(struct peal_doorbell *db)
{
	(void)db;
	return -ENOSYS;
}

int peal_doorbell_wait_plain(struct peal_doorbell *db)
{
	(void)db;
	return -ENOSYS;
}

bool peal_doorbell_is_dead(const struct peal_doorbell *db)
{
	(void)db;
	return explore_call(EXPLORE_CHECK) == -EPIPE;
}

/* --- What a channel is made of: nothing of it happens here ------------------------------------ */

void peal_doorbell_close(struct peal_doorbell *db)
{
	(void)db;
}

void peal_doorbell_watch(struct peal_doorbell *db, int pidfd)
{
	(void)db;
	(void)pidfd;
}

int peal_doorbell_fd(const struct peal_doorbell *db)
{
	(void)db;
	return -1;
}

void peal_fd_close(int *fd)
{
	(void)fd;
}

int peal_fail_errno(const char *what)
{
	(void)what;
	return -errno;
}

void *peal_private_alloc(size_t size)
{
	(void)size;
	return NULL;
}

void peal_private_free(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}

void peal_segment_unmap(struct peal_segment *segment)
{
	(void)segment;
}

uint64_t peal_segment_tail(const struct peal_segment *segment)
{
	(void)segment;
	return 0;
}
