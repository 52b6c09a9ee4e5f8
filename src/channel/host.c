/* SPDX-License-Identifier: MIT */
/*
 * host.c - making a channel, and giving the guest's end away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "base/options.h"
#include "channel/channel.h"

/* A guest has this long to end, once it has hung up before it was ready. */
#define LAST_WORDS_NS NSEC_PER_SEC

static uint64_t round_up_capacity(uint64_t capacity)
{
	uint64_t rounded = PEAL_CAPACITY_MIN;

	if (capacity == 0 || capacity > PEAL_CAPACITY_MAX)
		return capacity; /* the segment refuses what is too large */
	while (rounded < capacity)
		rounded *= 2;
	return rounded;
}

static int check_options(const struct peal_channel_options *options)
{
	if (options->to_guest == 0 && options->to_host == 0)
		return peal_fail(EINVAL,
				 "to_guest and to_host are both 0: a channel without a ring");
	if (options->flags & ~PEAL_CHANNEL_NO_MEMBARRIER)
		return peal_fail(EINVAL, "unknown channel flags %#x", options->flags);
	if (options->doorbell > PEAL_DOORBELL_EVENTFD)
		return peal_fail(EINVAL, "unknown kind of doorbell %u", options->doorbell);
	return 0;
}

static int create_segments(struct peal_channel *channel, const struct peal_channel_options *options)
{
	unsigned char id[16];
	struct peal_segment_spec spec = {
		.align = options->align ? options->align : 8,
		.channel_id = id,
		.name = options->name,
	};
	int fd;

	/* Waits, and can be interrupted, until the kernel has gathered enough after its start. */
	if (TEMP_FAILURE_RETRY(getrandom(id, sizeof(id), 0)) != (ssize_t)sizeof(id))
		return peal_fail_errno("getrandom");
	if (options->doorbell == PEAL_DOORBELL_EVENTFD)
		spec.incompatible_flags = PEAL_INCOMPATIBLE_EVENTFD;
	for (int ring = 0; ring < RINGS; ring++) {
		spec.role = ring == TO_GUEST ? PEAL_ROLE_HOST : PEAL_ROLE_GUEST;
		spec.capacity =
			round_up_capacity(ring == TO_GUEST ? options->to_guest : options->to_host);
		fd = peal_segment_create(&spec);
		if (fd < 0)
			return fd;
		channel->segment_fds[ring] = fd;
		channel->has_ring[ring] = spec.capacity != 0;
	}
	return 0;
}

/* Ours read-write and then sealed, the guest's read-only: it will seal that itself. */
static int map_segments(struct peal_channel *channel, const struct peal_channel_options *options)
{
	struct peal_segment_header *header;
	int rc;

	rc = peal_segment_map(&channel->own, channel->segment_fds[TO_GUEST],
			      round_up_capacity(options->to_guest), true);
	if (rc == 0)
		rc = peal_segment_seal(channel->segment_fds[TO_GUEST]);
	if (rc == 0)
		rc = peal_segment_map(&channel->peer, channel->segment_fds[TO_HOST],
				      round_up_capacity(options->to_host), false);
	if (rc < 0)
		return rc;
	header = channel->own.header;
	header->writer_pid = (uint32_t)getpid();
	if (channel->membarrier)
		header->compatible_flags = PEAL_COMPATIBLE_MEMBARRIER;
	peal_store_release(&header->state, PEAL_STATE_ATTACHED);
	return 0;
}

static int create_socket_bell(struct peal_channel *channel, int ring)
{
	struct peal_doorbell_handle guest;
	int rc = peal_doorbell_create(&channel->bells[ring].doorbell, &guest);

	if (rc == 0)
		channel->guest_sockets[ring] = peal_doorbell_handle_to_fd(guest);
	return rc;
}

static int create_eventfd_bell(struct peal_channel *channel, int ring)
{
	struct peal_doorbell *doorbell = &channel->bells[ring].doorbell;
	struct peal_wake_pair pair;
	int rc = peal_wake_pair_create(&pair);

	if (rc < 0)
		return rc;
	if (peal_channel_is_tx(channel, ring))
		rc = peal_doorbell_from_wakes_take(doorbell, pair.producer_wake,
						   pair.consumer_wake);
	else
		rc = peal_doorbell_from_wakes_take(doorbell, pair.consumer_wake,
						   pair.producer_wake);
	if (rc < 0)
		peal_wake_pair_close(&pair);
	return rc;
}

static int create_bells(struct peal_channel *channel, uint32_t kind)
{
	int rc = 0;

	for (int ring = 0; ring < RINGS && rc == 0; ring++) {
		if (!channel->has_ring[ring])
			continue;
		if (kind == PEAL_DOORBELL_EVENTFD)
			rc = create_eventfd_bell(channel, ring);
		else
			rc = create_socket_bell(channel, ring);
	}
	if (rc < 0)
		return rc;
	/* So that the guest learns of our death, whoever else may hold our sockets. */
	channel->own_pidfd = peal_fd_move_up_take((int)syscall(SYS_pidfd_open, getpid(), 0));
	if (channel->own_pidfd < 0) {
		rc = channel->own_pidfd;
		channel->own_pidfd = -1;
		/* Sockets tell without; eventfds do not. Running out of descriptors is neither. */
		if (kind == PEAL_DOORBELL_EVENTFD || (rc != -ENOSYS && rc != -EPERM))
			return peal_fail(-rc, "a pidfd of this process: %s", peal_strerror(rc));
	}
	return 0;
}

static int build(struct peal_channel *channel, const struct peal_channel_options *options)
{
	int rc;

	channel->is_host = true;
	channel->membarrier =
		!(options->flags & PEAL_CHANNEL_NO_MEMBARRIER) && peal_membarrier_register();
	rc = peal_channel_spin_cap(options->spin_max_us, &channel->spin_cap_ns);
	if (rc == 0)
		rc = create_segments(channel, options);
	if (rc == 0)
		rc = map_segments(channel, options);
	if (rc == 0)
		rc = create_bells(channel, options->doorbell);
	if (rc == 0)
		peal_channel_start(channel, options->align ? options->align : 8, false);
	return rc;
}

int peal_channel_create(struct peal_channel **channel, const struct peal_channel_options *options)
{
	struct peal_channel_options checked;
	struct peal_channel *made;
	int rc = peal_options_copy(&checked, sizeof(checked), sizeof(checked), options);

	if (rc == 0)
		rc = check_options(&checked);
	if (rc < 0)
		return rc;
	made = peal_channel_alloc();
	if (!made)
		return peal_fail_errno("allocating a channel");
	rc = build(made, &checked);
	if (rc < 0) {
		peal_channel_close(made);
		return rc;
	}
	*channel = made;
	return 0;
}

static void list_doorbells(const struct peal_channel *channel, int ring, struct peal_guest_fds *fds)
{
	const struct peal_doorbell *doorbell = &channel->bells[ring].doorbell;
	bool is_tx = peal_channel_is_tx(channel, ring);

	if (doorbell->kind == PEAL_DOORBELL_SOCKET) {
		fds->doorbells[fds->doorbell_count++] = channel->guest_sockets[ring];
		return;
	}
	/* producer_wake, consumer_wake: the producer waits on the first. */
	fds->doorbells[fds->doorbell_count++] = is_tx ? doorbell->wait_fd : doorbell->signal_fd;
	fds->doorbells[fds->doorbell_count++] = is_tx ? doorbell->signal_fd : doorbell->wait_fd;
}

int peal_channel_guest_fds(struct peal_channel *channel, struct peal_guest_fds *fds)
{
	if (!channel->open)
		return peal_fail(EBADFD,
				 "this channel belongs to the process that forked this one");
	if (channel->segment_fds[0] < 0)
		return peal_fail(EBUSY, "the guest's end of this channel was given away before");
	*fds = (struct peal_guest_fds){
		.host_segment = channel->segment_fds[TO_GUEST],
		.guest_segment = channel->segment_fds[TO_HOST],
		.host_pidfd = channel->own_pidfd,
	};
	for (int ring = 0; ring < RINGS; ring++) {
		if (channel->has_ring[ring])
			list_doorbells(channel, ring, fds);
	}
	return 0;
}

int peal_spawn(struct peal_child **child, struct peal_channel *channel, char *const argv[],
	       const struct peal_spawn_options *options)
{
	struct peal_spawn_fd inherited[2 + PEAL_GUEST_DOORBELLS_MAX + 1];
	struct peal_guest_fds fds;
	struct peal_child *spawned;
	size_t count = 0;
	int watched, rc = peal_channel_guest_fds(channel, &fds);

	if (rc < 0)
		return rc;
	inherited[count++] = (struct peal_spawn_fd){PEAL_SEGMENT_ARG, fds.host_segment};
	inherited[count++] = (struct peal_spawn_fd){PEAL_SEGMENT_ARG, fds.guest_segment};
	for (unsigned int i = 0; i < fds.doorbell_count; i++)
		inherited[count++] = (struct peal_spawn_fd){PEAL_DOORBELL_ARG, fds.doorbells[i]};
	if (fds.host_pidfd >= 0)
		inherited[count++] = (struct peal_spawn_fd){PEAL_PIDFD_ARG, fds.host_pidfd};
	/* A number for the guest's pidfd while failing is still possible: once the guest runs it may
	 * attach, and the channel could not be spawned on again. */
	watched = fcntl(fds.host_segment, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	if (watched < 0)
		return peal_fail_errno("keeping a number for the guest's pidfd");
	rc = peal_spawn_fds(&spawned, argv, inherited, count, options);
	if (rc < 0) {
		close(watched);
		return rc;
	}
	/* The number is there, so this fails only where the limit of descriptors fell meanwhile, or a
	 * filter forbids it. Not to notice would be to watch a file that is always readable. */
	if (TEMP_FAILURE_RETRY(dup3(peal_child_pidfd(spawned), watched, O_CLOEXEC)) < 0) {
		rc = peal_fail_errno("keeping the guest's pidfd");
		close(watched);
		peal_child_free(spawned);
		return rc;
	}
	peal_channel_watch_take(channel, watched);
	peal_channel_close_guest_end(channel);
	*child = spawned;
	return 0;
}

static int is_ready(struct peal_channel *channel)
{
	const struct peal_segment_header *guest = channel->peer.header;
	uint32_t version;

	switch (peal_load_acquire(&guest->state)) {
	case PEAL_STATE_CREATED:
		return 0;
	case PEAL_STATE_REFUSED:
		version = __atomic_load_n(&guest->version, __ATOMIC_RELAXED);
		if (version == PEAL_LAYOUT_VERSION)
			return peal_fail(EPROTONOSUPPORT,
					 "the guest refused: it lacks a feature of this channel");
		return peal_fail(EPROTONOSUPPORT,
				 "the guest refused: its layout version is %u, this host's is %u",
				 version, PEAL_LAYOUT_VERSION);
	default: /* attached, and maybe closed again: the rings tell */
		if (peal_load_relaxed(&guest->compatible_flags) & PEAL_COMPATIBLE_MEMBARRIER)
			peal_channel_trust_membarrier(channel);
		return 1;
	}
}

int peal_channel_wait_ready(struct peal_channel *channel, uint64_t deadline_ns)
{
	struct peal_doorbell *doorbell;
	int rc, waited = 0;

	if (!channel->open)
		return peal_fail(EBADFD,
				 "this channel belongs to the process that forked this one");
	doorbell = &channel->bells[peal_channel_ready_ring(channel)].doorbell;
	for (;;) {
		/* After the wait, so that a guest which attached and died is seen to have attached. */
		rc = is_ready(channel);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (waited == -EPIPE)
			return peal_fail(EPIPE, "the guest ended before it attached");
		if (waited < 0)
			return waited;
		waited = peal_doorbell_wait(doorbell, deadline_ns);
		if (waited != 0)
			continue;
		peal_doorbell_drain(doorbell);
		/* A flood of bells must not hide the deadline. */
		if (peal_deadline_passed(deadline_ns))
			waited = deadline_ns == PEAL_TRY ? -EAGAIN : -ETIMEDOUT;
	}
}

int peal_child_wait_ready(struct peal_child *child, struct peal_channel *channel,
			  uint64_t deadline_ns)
{
	char text[200];
	int rc = peal_channel_wait_ready(channel, deadline_ns);

	if (rc != -EPIPE)
		return rc;
	/* Its descriptors go before it does. */
	rc = peal_child_wait(
		child, deadline_ns == PEAL_TRY ? PEAL_TRY : peal_deadline_in_ns(LAST_WORDS_NS),
		NULL);
	peal_child_describe(child, text, sizeof(text));
	if (rc < 0)
		return peal_fail(EPIPE, "%s, but closed its end before it attached", text);
	return peal_fail(EPIPE, "%s before it attached", text);
}
