/* SPDX-License-Identifier: MIT */
/*
 * uring.c - sleeping in io_uring.
 *
 * An armed watch has an operation under way: a recv on a socket, which completes and drains in one;
 * a poll on an eventfd, which is read afterwards. Asking and sleeping are one system call. A watch
 * that is OFF or HOT has none, but for its peer's pidfd, so that nobody takes bells that are for
 * another waiter.
 *
 * Why a recv may take bells while the word is odd, though a drain must not: docs/doorbell.md.
 *
 * Not used: SINGLE_ISSUER and DEFER_TASKRUN, because a poller may go from thread to thread, and
 * because its descriptor must become readable while nobody is inside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "poller/poller.h"

/* Operations that are handed over at once; with more, there is a call for each so many. */
#define SQ_ENTRIES 128
/* Completions that fit before the kernel has to keep them aside. */
#define CQ_ENTRIES 4096

/* The kernel may lack memory for an operation for a moment. */
#define TRIES 1000

/* Waiting with a time-out; no completion is dropped; a recv waits inside. Linux 5.11. */
#define NEEDED (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL)

/* What an operation was for: the low bits of a watch's address, or of a bell's. */
enum { OP_BELL = 0, OP_PIDFD = 1, OP_OTHER = 2, OP_RING = 3, OP_MASK = 3 };
#define WAKE_OP   (UINT64_C(4) | OP_OTHER)
#define CANCEL_OP (UINT64_C(8) | OP_OTHER)

/* Nobody cares what bells say, so all recvs write here. As much as one drain takes. */
static char bells[512];

static uint64_t op_of(const struct peal_watch *watch, uint64_t op)
{
	return (uintptr_t)watch | op;
}

static int uring_open(struct peal_poller *poller)
{
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = CQ_ENTRIES};
	int fd, rc = io_uring_queue_init_params(SQ_ENTRIES, &poller->ring, &params);

	if (rc < 0)
		return peal_fail(-rc, "making an io_uring: %s", peal_strerror(rc));
	if ((params.features & NEEDED) != NEEDED) {
		io_uring_queue_exit(&poller->ring);
		return peal_fail(ENOSYS, "the kernel's io_uring is too old; expected Linux 5.11");
	}
	/* A child of fork shares nothing with us. */
	rc = io_uring_ring_dontfork(&poller->ring);
	if (rc < 0) {
		io_uring_queue_exit(&poller->ring);
		return peal_fail(-rc, "keeping an io_uring from forks: %s", peal_strerror(rc));
	}
	/* Never a standard stream's number; liburing knows the ring by two names. */
	fd = fcntl(poller->ring.ring_fd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	if (fd < 0) {
		rc = peal_fail_errno("moving an io_uring up");
		io_uring_queue_exit(&poller->ring);
		return rc;
	}
	close(poller->ring.ring_fd);
	poller->ring.ring_fd = fd;
	poller->ring.enter_ring_fd = fd;
	poller->fd = fd;
	return 0;
}

static void uring_close(struct peal_poller *poller)
{
	io_uring_queue_exit(&poller->ring);
	poller->fd = -1;
}

/* --- Completions ----------------------------------------------------------------------------- */

static void complete_bell(struct peal_watch *watch, int result)
{
	watch->bell_asked = false;
	if (watch->being_removed)
		return;
	if (watch->bell->doorbell.kind == PEAL_DOORBELL_EVENTFD)
		peal_watch_fired(watch, FIRED_RUNG);
	else if (result == 0 || result == -ECONNRESET)
		peal_watch_fired(watch, FIRED_GONE);
	else
		/* Rung; or ended with the thread that had asked (-ECANCELED), or for want of memory.
		 * Whatever it was, the next arming asks again. */
		peal_watch_fired(watch, FIRED_TAKEN);
}

static void complete_pidfd(struct peal_watch *watch, int result)
{
	watch->pidfd_asked = false;
	if (watch->being_removed)
		return;
	if (result > 0)
		peal_watch_fired(watch, FIRED_GONE);
	else
		peal_backend_uring.arm(watch); /* the thread that had asked has ended */
}

static void complete(struct peal_poller *poller, const struct io_uring_cqe *cqe)
{
	void *address = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);
	struct channel_bell *bell = address;
	struct peal_watch *watch = address;

	switch (cqe->user_data & OP_MASK) {
	case OP_BELL:
		complete_bell(watch, cqe->res);
		break;
	case OP_PIDFD:
		complete_pidfd(watch, cqe->res);
		break;
	case OP_RING:
		peal_batch_rung(poller, bell, cqe->res);
		break;
	default:
		/* What the wake was for, the poller looks at. It goes on by itself, mostly. */
		if (cqe->user_data == WAKE_OP && !(cqe->flags & IORING_CQE_F_MORE))
			poller->wake_asked = false;
	}
}

/* All that are there, also those that did not fit: liburing asks the kernel for them. No more than
 * are under way, for each operation ends once, and a sleep is woken once. */
static void complete_all(struct peal_poller *poller)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&poller->ring, &cqe) == 0) {
		struct io_uring_cqe copy = {
			.user_data = cqe->user_data, .res = cqe->res, .flags = cqe->flags};

		io_uring_cqe_seen(&poller->ring, cqe);
		complete(poller, &copy);
	}
}

/* --- Operations ------------------------------------------------------------------------------ */

/* Hand over what was asked. 0 or a negative errno. */
static int submit(struct peal_poller *poller)
{
	int rc = io_uring_submit(&poller->ring);

	for (int i = 0; i < TRIES && (rc == -EINTR || rc == -EBUSY || rc == -EAGAIN); i++) {
		/* The kernel keeps completions aside, or lacks memory: take what is there. */
		complete_all(poller);
		sched_yield();
		rc = io_uring_submit(&poller->ring);
	}
	return rc < 0 ? peal_fail(-rc, "asking an io_uring: %s", peal_strerror(rc)) : 0;
}

/* Room for one more operation. NULL: an errno in @rc. */
static struct io_uring_sqe *operation(struct peal_poller *poller, int *rc)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&poller->ring);

	while (!sqe) {
		*rc = submit(poller);
		if (*rc < 0)
			return NULL;
		sqe = io_uring_get_sqe(&poller->ring);
	}
	return sqe;
}

static int ask_for_bell(struct peal_watch *watch)
{
	int fd = watch->bell->doorbell.wait_fd, rc;
	struct io_uring_sqe *sqe = operation(watch->poller, &rc);

	if (!sqe)
		return rc;
	if (watch->bell->doorbell.kind == PEAL_DOORBELL_EVENTFD)
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	else
		io_uring_prep_recv(sqe, fd, bells, sizeof(bells), 0);
	io_uring_sqe_set_data64(sqe, op_of(watch, OP_BELL));
	watch->bell_asked = true;
	return 0;
}

static int ask_for_pidfd(struct peal_watch *watch)
{
	int rc;
	struct io_uring_sqe *sqe = operation(watch->poller, &rc);

	if (!sqe)
		return rc;
	io_uring_prep_poll_add(sqe, watch->pidfd, POLLIN);
	io_uring_sqe_set_data64(sqe, op_of(watch, OP_PIDFD));
	watch->pidfd_asked = true;
	return 0;
}

/* Each wake is one completion, and nobody has to drain: this goes on for ever, or nearly so. */
static int ask_for_wakes(struct peal_poller *poller)
{
	int rc;
	struct io_uring_sqe *sqe = operation(poller, &rc);

	if (!sqe)
		return rc;
	io_uring_prep_poll_multishot(sqe, poller->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, WAKE_OP);
	poller->wake_asked = true;
	return 0;
}

static void uring_arm(struct peal_watch *watch)
{
	if (watch->to_be_asked)
		return;
	watch->to_be_asked = true;
	watch->next_to_ask = watch->poller->to_ask;
	watch->poller->to_ask = watch;
}

/* What was armed since the last time, and what ended without having been told. */
static int ask_for_all(struct peal_poller *poller)
{
	int rc = 0;

	if (!poller->wake_asked)
		rc = ask_for_wakes(poller);
	while (rc == 0 && poller->to_ask) {
		struct peal_watch *watch = poller->to_ask;

		poller->to_ask = watch->next_to_ask;
		watch->to_be_asked = false;
		if (watch->pidfd >= 0 && !watch->pidfd_asked)
			rc = ask_for_pidfd(watch);
		if (rc == 0 && watch->bell && !watch->bell_asked && watch->state == WATCH_ARMED)
			rc = ask_for_bell(watch);
		if (rc < 0)
			uring_arm(watch); /* the next wait asks again */
	}
	return rc;
}

static int uring_add(struct peal_watch *watch)
{
	uring_arm(watch);
	return 0;
}

/*
 * With the next call, whatever that is for. It can not block, so it is done when that call returns,
 * and only a failure leaves a completion: what succeeded must not end the sleep that it goes along with.
 * Linux 5.17. An eventfd costs a third of a socket, and is rung at once.
 */
static int uring_ring(struct peal_poller *poller, struct channel_bell *bell)
{
	struct io_uring_sqe *sqe;
	int rc;

	if (bell->doorbell.kind == PEAL_DOORBELL_EVENTFD ||
	    !(poller->ring.features & IORING_FEAT_CQE_SKIP)) {
		peal_batch_rung(poller, bell, bell->ring_now(&bell->bell));
		return 0;
	}
	sqe = operation(poller, &rc);
	if (!sqe)
		return rc;
	io_uring_prep_send(sqe, bell->doorbell.signal_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, (uintptr_t)bell | OP_RING);
	io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	return 0;
}

static void forget_to_ask(struct peal_watch *watch)
{
	struct peal_watch **link = &watch->poller->to_ask;

	while (*link && *link != watch)
		link = &(*link)->next_to_ask;
	if (*link)
		*link = watch->next_to_ask;
}

static void cancel(struct peal_watch *watch, uint64_t op)
{
	int rc;
	struct io_uring_sqe *sqe = operation(watch->poller, &rc);

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, op_of(watch, op), 0);
	io_uring_sqe_set_data64(sqe, CANCEL_OP);
}

static bool uring_remove(struct peal_watch *watch)
{
	struct peal_poller *poller = watch->poller;
	int failures = 0;

	watch->being_removed = true;
	if (watch->to_be_asked)
		forget_to_ask(watch);
	if (watch->bell_asked)
		cancel(watch, OP_BELL);
	if (watch->pidfd_asked)
		cancel(watch, OP_PIDFD);
	/* Until the kernel has let go of both: a recv that is still under way would take the bells of
	 * the next waiter, and hold the socket open. But not for ever, where the call has come to be
	 * forbidden (a filter) or there is no memory: then it lets go when the poller is closed. */
	while ((watch->bell_asked || watch->pidfd_asked) && failures < TRIES) {
		int rc = io_uring_submit_and_wait(&poller->ring, 1);

		if (rc < 0 && rc != -EINTR) {
			failures++;
			sched_yield();
		}
		complete_all(poller);
	}
	return !watch->bell_asked && !watch->pidfd_asked;
}

/* --- Sleeping -------------------------------------------------------------------------------- */

static int sleep_until(struct peal_poller *poller, uint64_t deadline_ns)
{
	struct timespec left;
	const struct timespec *timeout = peal_time_left(deadline_ns, &left);
	struct __kernel_timespec time = {0};
	struct io_uring_cqe *cqe;
	int rc;

	if (timeout)
		time = (struct __kernel_timespec){left.tv_sec, left.tv_nsec};
	rc = io_uring_submit_and_wait_timeout(&poller->ring, &cqe, 1, timeout ? &time : NULL, NULL);
	switch (rc < 0 ? -rc : 0) {
	case 0:
	case ETIME:
	case EINTR:
	case EBUSY:
	case EAGAIN:
		return 0;
	default:
		return peal_fail(-rc, "waiting in an io_uring: %s", peal_strerror(rc));
	}
}

static int uring_wait(struct peal_poller *poller, uint64_t deadline_ns)
{
	int rc = ask_for_all(poller);

	if (rc < 0)
		return rc;
	if (deadline_ns != PEAL_TRY)
		rc = sleep_until(poller, deadline_ns);
	else if (io_uring_sq_ready(&poller->ring) > 0)
		rc = submit(poller);
	complete_all(poller);
	return rc;
}

const struct peal_backend peal_backend_uring = {
	.id = PEAL_POLLER_IO_URING,
	.tries_free = true,
	.open = uring_open,
	.close = uring_close,
	.add = uring_add,
	.remove = uring_remove,
	.arm = uring_arm,
	.ring = uring_ring,
	.wait = uring_wait,
};
