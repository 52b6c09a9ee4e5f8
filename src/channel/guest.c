/* SPDX-License-Identifier: MIT */
/*
 * guest.c - attaching to a channel that somebody else made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/options.h"
#include "channel/channel.h"
#include "doorbell/doorbell.h"
#include "spawn/adopt.h"

static_assert(PEAL_GUEST_DOORBELLS_MAX <= PEAL_ADOPT_MAX, "a guest's doorbells can be adopted");

/* Ring by a duplicate: the descriptor itself stays the caller's. */
static void ring_once(int fd)
{
	PEAL_FD_AUTO copy = fcntl(fd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	struct peal_doorbell doorbell;

	if (copy >= 0 && peal_doorbell_from_fd_take(&doorbell, copy) == 0)
		peal_doorbell_signal(&doorbell);
	else if (copy >= 0 && peal_fd_is_anon(copy, "[eventfd]"))
		peal_wake_notify(copy);
}

/*
 * Tell the host that there is no common language: the first 96 bytes are the same in all. The guest's
 * segment was found to be one, and so large. Should this fail, the host still sees the guest end.
 *
 * Mapped, because pwrite(2) raises SIGXFSZ in a guest that may write no files (RLIMIT_FSIZE).
 */
static void refuse(const struct peal_guest_fds *fds)
{
	struct peal_segment_header *header = mmap(NULL, PEAL_HEADER_BYTES, PROT_READ | PROT_WRITE,
						  MAP_SHARED, fds->guest_segment, 0);

	if (header == MAP_FAILED)
		return;
	header->version = PEAL_LAYOUT_VERSION;
	peal_store_release(&header->state, PEAL_STATE_REFUSED); /* version first */
	munmap(header, PEAL_HEADER_BYTES);
	for (unsigned int i = 0; i < fds->doorbell_count; i++)
		ring_once(fds->doorbells[i]);
}

/* Each by itself; a foreign version is told to the host. */
static int check_each(const struct peal_guest_fds *fds, struct peal_segment_header *host,
		      struct peal_segment_header *guest)
{
	int host_rc = peal_segment_check(fds->host_segment, PEAL_ROLE_HOST, false, host), guest_rc;
	char sentence[256];

	if (host_rc < 0 && host_rc != -EPROTONOSUPPORT)
		return host_rc;
	guest_rc = peal_segment_check(fds->guest_segment, PEAL_ROLE_GUEST, true, guest);
	if (guest_rc < 0 && guest_rc != -EPROTONOSUPPORT)
		return guest_rc;
	if (host_rc == 0 && guest_rc == 0)
		return 0;
	snprintf(sentence, sizeof(sentence), "%s", peal_last_error());
	refuse(fds);
	return peal_fail(EPROTONOSUPPORT, "%s", sentence);
}

/* Both identities, checked, and that they belong together. */
static int check_segments(const struct peal_guest_fds *fds, struct peal_segment_header *host,
			  struct peal_segment_header *guest)
{
	int rc = check_each(fds, host, guest);

	if (rc < 0)
		return rc;
	if (memcmp(host->channel_id, guest->channel_id, sizeof(host->channel_id)) != 0 ||
	    host->record_align != guest->record_align ||
	    host->incompatible_flags != guest->incompatible_flags)
		return peal_fail(EINVAL, "segments %d and %d are of different channels",
				 fds->host_segment, fds->guest_segment);
	if (host->capacity == 0 && guest->capacity == 0)
		return peal_fail(EINVAL, "the channel has no ring");
	return 0;
}

static int check_doorbell_count(const struct peal_channel *channel, bool eventfds,
				const struct peal_guest_fds *fds)
{
	unsigned int rings = (unsigned int)channel->has_ring[TO_GUEST] + channel->has_ring[TO_HOST];
	unsigned int expected = eventfds ? 2 * rings : rings;

	if (fds->doorbell_count != expected)
		return peal_fail(EINVAL, "%u doorbell descriptors; this channel has %u",
				 fds->doorbell_count, expected);
	return 0;
}

/* On failure the descriptors that were taken are left behind, for the caller to keep. */
static int take_doorbells(struct peal_channel *channel, bool eventfds,
			  const struct peal_guest_fds *fds)
{
	const int *next = fds->doorbells;
	int rc = check_doorbell_count(channel, eventfds, fds);

	for (int ring = 0; ring < RINGS && rc == 0; ring++) {
		struct peal_doorbell *doorbell = &channel->bells[ring].doorbell;

		if (!channel->has_ring[ring])
			continue;
		if (!eventfds) {
			rc = peal_doorbell_from_fd_take(doorbell, next[0]);
			next += 1;
		} else {
			bool is_tx = peal_channel_is_tx(channel, ring);

			rc = peal_doorbell_from_wakes_take(doorbell, is_tx ? next[0] : next[1],
							   is_tx ? next[1] : next[0]);
			next += 2;
		}
	}
	return rc;
}

static int map_segments(struct peal_channel *channel, const struct peal_guest_fds *fds,
			const struct peal_segment_header *host,
			const struct peal_segment_header *guest)
{
	int rc = peal_segment_map(&channel->peer, fds->host_segment, host->capacity, false);

	if (rc == 0)
		rc = peal_segment_map(&channel->own, fds->guest_segment, guest->capacity, true);
	/* Last of all that can fail: it can not be undone, and says that this role is taken. */
	if (rc == 0)
		rc = peal_segment_seal(fds->guest_segment);
	return rc;
}

/* From here on the host may rely on all that the header says. 0, or a negative errno of the bell. */
static int announce(struct peal_channel *channel)
{
	struct peal_segment_header *header = channel->own.header;
	struct peal_bell *bell = &channel->bells[peal_channel_ready_ring(channel)].bell;
	int rc;

	header->writer_pid = (uint32_t)getpid();
	peal_store_relaxed(&header->compatible_flags,
			   channel->membarrier ? PEAL_COMPATIBLE_MEMBARRIER : 0);
	peal_store_release(&header->state, PEAL_STATE_ATTACHED);
	/* The one that peal_channel_wait_ready() waits on. A host that sleeps at the other ring waits for
	 * a record or for space, and would wake for nothing. */
	rc = bell->ring(bell);
	/* That the host is gone is for the first wait to tell. */
	return rc == -EPIPE ? 0 : rc;
}

static int make_plain(struct peal_channel *channel)
{
	int rc = 0;

	for (int ring = 0; ring < RINGS && rc == 0; ring++) {
		if (channel->has_ring[ring])
			rc = peal_doorbell_make_plain(&channel->bells[ring].doorbell);
	}
	return rc;
}

/* For what this thread may not do any more once it is in a cage. */
static void prepare_thread(bool strict)
{
	sigset_t broken_pipe;

	/* Where this library came by dlopen(3), a thread's first error would allocate the memory
	 * for its sentence. */
	peal_last_error();
	if (!strict)
		return;
	/* write(2) to a host that is gone raises it in this thread, and no flag says otherwise. */
	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
}

static int attach(struct peal_channel *channel, const struct peal_guest_fds *fds,
		  const struct peal_attach_options *options)
{
	const bool strict = options->flags & PEAL_CHANNEL_STRICT;
	struct peal_segment_header host, guest;
	bool eventfds;
	int rc = check_segments(fds, &host, &guest);

	if (rc == 0)
		rc = peal_channel_spin_cap(options->spin_max_us, &channel->spin_cap_ns);
	if (rc < 0)
		return rc;
	if (strict)
		channel->spin_cap_ns = 0;
	channel->has_ring[TO_GUEST] = host.capacity != 0;
	channel->has_ring[TO_HOST] = guest.capacity != 0;
	channel->membarrier = !strict && !(options->flags & PEAL_CHANNEL_NO_MEMBARRIER) &&
			      peal_membarrier_register();
	eventfds = host.incompatible_flags & PEAL_INCOMPATIBLE_EVENTFD;
	if (eventfds && fds->host_pidfd < 0)
		return peal_fail(EINVAL, "a channel over eventfds needs %s: they tell of no death",
				 PEAL_PIDFD_ARG);
	rc = take_doorbells(channel, eventfds, fds);
	if (rc == 0 && fds->host_pidfd >= 0)
		rc = peal_channel_watch(channel, fds->host_pidfd);
	if (rc == 0 && strict)
		rc = make_plain(channel);
	if (rc == 0)
		rc = map_segments(channel, fds, &host, &guest);
	if (rc < 0)
		return rc;
	prepare_thread(strict);
	channel->is_plain = strict;
	peal_channel_start(channel, host.record_align,
			   host.compatible_flags & PEAL_COMPATIBLE_MEMBARRIER);
	return announce(channel);
}

/* Undo a failed attach() without closing what is still the caller's. */
static void abandon(struct peal_channel *channel)
{
	for (int ring = 0; ring < RINGS; ring++) {
		channel->bells[ring].doorbell.wait_fd = -1;
		channel->bells[ring].doorbell.signal_fd = -1;
	}
	peal_segment_unmap(&channel->own);
	channel->is_plain = false;
	peal_channel_close(channel);
}

int peal_attach_fds(struct peal_channel **channel, const struct peal_guest_fds *fds,
		    const struct peal_attach_options *options)
{
	struct peal_attach_options checked;
	struct peal_channel *made;
	int rc = peal_options_copy(&checked, sizeof(checked), sizeof(checked), options);

	if (rc < 0)
		return rc;
	if (checked.flags & ~(PEAL_CHANNEL_NO_MEMBARRIER | PEAL_CHANNEL_STRICT))
		return peal_fail(EINVAL, "unknown attach flags %#x", checked.flags);
	/* A spin looks at the clock: an instruction that strict seccomp forbids too on x86, or a
	 * system call. */
	if (checked.flags & PEAL_CHANNEL_STRICT && checked.spin_max_us > 0)
		return peal_fail(EINVAL,
				 "spin_max_us is %d; under strict seccomp there is no clock to "
				 "end a spin",
				 checked.spin_max_us);
	made = peal_channel_alloc();
	if (!made)
		return peal_fail_errno("allocating a channel");
	rc = attach(made, fds, &checked);
	if (rc < 0) {
		abandon(made);
		return rc;
	}
	/* The mappings stay; the descriptors have done their work. */
	close(fds->host_segment);
	close(fds->guest_segment);
	if (fds->host_pidfd >= 0)
		close(fds->host_pidfd);
	*channel = made;
	return 0;
}

/* The descriptors that the command line names, in the order that peal_spawn() gave them. */
static int collect(int *argc, char **argv, struct peal_guest_fds *fds)
{
	enum { SEGMENTS, DOORBELLS, PIDFD, KINDS };
	struct peal_adopted found[KINDS] = {
		[SEGMENTS] = {.arg = PEAL_SEGMENT_ARG},
		[DOORBELLS] = {.arg = PEAL_DOORBELL_ARG},
		[PIDFD] = {.arg = PEAL_PIDFD_ARG},
	};
	int rc = peal_adopt_args(argc, argv, found, KINDS);

	if (rc < 0)
		return rc;
	if (found[SEGMENTS].count == 0 && found[DOORBELLS].count == 0 && found[PIDFD].count == 0)
		return peal_fail(ENOENT, "no %s on the command line: not started as a guest",
				 PEAL_SEGMENT_ARG);
	if (found[SEGMENTS].count != 2)
		return peal_fail(EINVAL, "%s is given %zu times, expected twice: host, guest",
				 PEAL_SEGMENT_ARG, found[SEGMENTS].count);
	if (found[PIDFD].count > 1)
		return peal_fail(EINVAL, "%s is given %zu times, expected once at most",
				 PEAL_PIDFD_ARG, found[PIDFD].count);
	*fds = (struct peal_guest_fds){
		.host_segment = found[SEGMENTS].fds[0],
		.guest_segment = found[SEGMENTS].fds[1],
		.doorbell_count = (unsigned int)found[DOORBELLS].count,
		.host_pidfd = found[PIDFD].count ? found[PIDFD].fds[0] : -1,
	};
	memcpy(fds->doorbells, found[DOORBELLS].fds, sizeof(fds->doorbells));
	return 0;
}

int peal_attach_args(struct peal_channel **channel, int *argc, char **argv,
		     const struct peal_attach_options *options)
{
	const size_t bytes = ((size_t)*argc + 1) * sizeof(*argv);
	const int argc_before = *argc;
	char **argv_before = malloc(bytes);
	struct peal_guest_fds fds;
	int rc;

	if (!argv_before)
		return peal_fail_errno("allocating");
	memcpy(argv_before, argv, bytes);
	rc = collect(argc, argv, &fds);
	if (rc == 0)
		rc = peal_attach_fds(channel, &fds, options);
	if (rc < 0) {
		*argc = argc_before;
		memcpy(argv, argv_before, bytes);
	}
	free(argv_before);
	return rc;
}
