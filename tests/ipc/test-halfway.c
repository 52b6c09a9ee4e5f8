/* SPDX-License-Identifier: MIT */
/*
 * Promises of a start that ends half way: what failed is told as what it was, nothing is left, nothing
 * is handed out, and what is the caller's stays the caller's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/channel.h"
#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "refuse.h"

/* --- What the kernel says -------------------------------------------------------------------- */

static int socketpairs_to_fail;
static int ppolls;       /* so many calls */
static bool slept;       /* one had a time-out other than zero */
static int bell_to_ring; /* before each; 0: none */
static struct peal_channel
	*to_end; /* in the next: its guest attaches and hangs up, without a bell */
static int (*real_ppoll)(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			 const sigset_t *mask);

int socketpair(int domain, int type, int protocol, int pair[2])
{
	if (socketpairs_to_fail-- > 0) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	const uint64_t attached = PEAL_STATE_ATTACHED;
	struct peal_guest_fds guest;

	ppolls++;
	slept |= !timeout || timeout->tv_sec || timeout->tv_nsec;
	if (bell_to_ring)
		ck_assert_int_eq(send(bell_to_ring, "", 1, MSG_DONTWAIT), 1);
	if (to_end) {
		assert_ok(peal_channel_guest_fds(to_end, &guest));
		ck_assert_int_eq(pwrite(guest.guest_segment, &attached, sizeof(attached),
					offsetof(struct peal_segment_header, state)),
				 sizeof(attached));
		peal_channel_close_guest_end(to_end);
		to_end = NULL;
	}
	return real_ppoll(fds, count, timeout, mask);
}

/* No more address space than @bytes beyond what there is. */
static void limit_memory(size_t bytes)
{
	FILE *file = fopen("/proc/self/statm", "re");
	struct rlimit limit;
	unsigned long pages;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = pages * 4096 + bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* --- Making a channel ------------------------------------------------------------------------ */

static int create(struct peal_channel_options options)
{
	struct peal_channel *channel = (void *)&options;
	int rc = peal_channel_create(&channel, &options);

	ck_assert_ptr_eq(channel, (void *)&options);
	return rc;
}

static struct peal_channel *make(int index)
{
	struct peal_channel_options options = config(index, 1 << 14, 1 << 14);
	struct peal_channel *channel;

	assert_ok(peal_channel_create(&channel, &options));
	return channel;
}

START_TEST(a_segment_that_does_not_fit_makes_no_channel)
{
	limit_memory(32 << 20);
	assert_fails(create(config(0, 64 << 20, 4096)), ENOMEM, "mapping a segment");
	assert_fails(create(config(0, 4096, 64 << 20)), ENOMEM, "mapping a segment");
}
END_TEST

START_TEST(without_memory_there_is_no_channel)
{
	limit_memory(0);
	assert_fails(create(config(0, 4096, 4096)), ENOMEM, "allocating a channel");
	limit_memory(64 << 20);
}
END_TEST

START_TEST(a_channel_of_one_ring_waits_at_its_bell)
{
	struct peal_channel_options options = config(0, 0, 4096);
	struct peal_channel *host;

	assert_ok(peal_channel_create(&host, &options));
	ck_assert_int_eq(peal_channel_wait_ready(host, PEAL_TRY), -EAGAIN);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_segment_that_can_not_be_sealed_makes_no_channel)
{
	refuse(SYS_fcntl, 2, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, EINVAL);
	assert_fails(create(config(0, 4096, 4096)), EINVAL, "sealing");
}
END_TEST

START_TEST(without_a_random_id_there_is_no_channel)
{
	refuse_all(SYS_getrandom, ENOSYS);
	assert_fails(create(config(0, 4096, 4096)), ENOSYS, "getrandom");
}
END_TEST

START_TEST(without_each_doorbell_there_is_no_channel)
{
	socketpairs_to_fail = _i + 1;
	assert_fails(create(config(0, 4096, 4096)), EMFILE, "socketpair");
}
END_TEST

START_TEST(sockets_do_without_a_pidfd_and_eventfds_do_not)
{
	static const int errors[] = {ENOSYS, EPERM, EMFILE};
	struct peal_channel *host, *guest;
	struct peal_guest_fds fds;
	struct pair pair;

	refuse_all(SYS_pidfd_open, (unsigned int)errors[_i]);
	assert_fails(create(config(1, 4096, 4096)), errors[_i], "pidfd");
	if (errors[_i] == EMFILE) {
		assert_fails(create(config(0, 4096, 4096)), EMFILE, "pidfd");
		return;
	}
	host = make(0);
	assert_ok(peal_channel_guest_fds(host, &fds));
	ck_assert_int_eq(fds.host_pidfd, -1);
	guest = pair_attach_here(host);
	peal_channel_close(guest);
	peal_channel_close(host);
	pair = pair_start(
		&(struct peal_channel_options){.size = sizeof(struct peal_channel_options),
					       .to_guest = 4096,
					       .to_host = 4096},
		"echo", "", "", "");
	pair_finish(&pair);
}
END_TEST

START_TEST(the_hosts_own_mapping_of_the_guests_memory_is_read_only)
{
	struct peal_channel *host = make(0);
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[256], rights[8];
	int seen = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "memfd:peal:test:guest"))
			continue;
		ck_assert_int_eq(sscanf(line, "%*s %7s", rights), 1);
		ck_assert_str_eq(rights, "r--s");
		seen++;
	}
	ck_assert_int_eq(seen, 2); /* the mirror too */
	fclose(maps);
	peal_channel_close(host);
}
END_TEST

static int interruptions;

ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_getrandom, buffer, size, flags);
}

START_TEST(a_signal_does_not_end_the_wait_for_a_random_id)
{
	interruptions = 3;
	peal_channel_close(make(0));
	ck_assert_int_eq(interruptions, 0);
}
END_TEST

START_TEST(a_guest_that_is_not_watched_in_the_end_is_ended)
{
	struct peal_channel *host = make(_i);
	char *argv[] = {harness_helper("guest"), strdupa("echo"), strdupa(""), NULL};
	struct peal_child *child = NULL;

	refuse_all(SYS_dup3, EPERM);
	assert_fails(peal_spawn(&child, host, argv, NULL), EPERM, "guest's pidfd");
	ck_assert_ptr_null(child);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_guest_that_could_not_be_watched_is_not_started)
{
	struct peal_channel *host = make(0);
	char *argv[] = {harness_helper("guest"), strdupa("echo"), strdupa(""), NULL};
	struct peal_child *child = NULL;

	refuse(SYS_fcntl, 1, F_DUPFD_CLOEXEC, EMFILE);
	assert_fails(peal_spawn(&child, host, argv, NULL), EMFILE, "guest's pidfd");
	ck_assert_ptr_null(child);
	peal_channel_close(host);
}
END_TEST

/* --- Attaching ------------------------------------------------------------------------------- */

static int attach(const struct peal_guest_fds *fds)
{
	struct peal_channel *guest = (void *)&guest;
	int rc = peal_attach_fds(&guest, fds, NULL);

	ck_assert_ptr_eq(guest, (void *)&guest);
	return rc;
}

static uint64_t word(int fd, size_t offset)
{
	uint64_t value;

	ck_assert_int_eq(pread(fd, &value, sizeof(value), (off_t)offset), sizeof(value));
	return value;
}

#define STATE_OF(fd) word(fd, offsetof(struct peal_segment_header, state))

START_TEST(a_segment_that_does_not_fit_is_not_attached_to_nor_sealed)
{
	struct peal_channel_options options = config(0, _i ? 4096 : 64 << 20, _i ? 64 << 20 : 4096);
	struct peal_guest_fds fds;
	struct peal_channel *host;

	assert_ok(peal_channel_create(&host, &options));
	assert_ok(peal_channel_guest_fds(host, &fds));
	limit_memory(32 << 20);
	assert_fails(attach(&fds), ENOMEM, "mapping a segment");
	ck_assert_int_eq(fcntl(fds.guest_segment, F_GET_SEALS) & F_SEAL_SEAL, 0);
	ck_assert_uint_eq(STATE_OF(fds.guest_segment), PEAL_STATE_CREATED);
	peal_channel_close(host);
}
END_TEST

/* Two looked and found it free; the other was faster. */
START_TEST(who_came_second_leaves_the_segment_of_the_first_alone)
{
	struct peal_channel *host = make(_i);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	refuse(SYS_fcntl, 2, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, EPERM);
	assert_fails(attach(&fds), EBUSY, "has its writer already");
	ck_assert_uint_eq(STATE_OF(fds.guest_segment), PEAL_STATE_CREATED);
	peal_channel_close(host);
}
END_TEST

/* A guest's segment of the same channel that differs from it in one thing. */
static int odd_segment(const struct peal_guest_fds *fds, struct peal_segment_spec spec)
{
	unsigned char id[16];

	ck_assert_int_eq(pread(fds->host_segment, id, sizeof(id),
			       offsetof(struct peal_segment_header, channel_id)),
			 sizeof(id));
	spec.channel_id = id;
	return peal_segment_create(&spec);
}

START_TEST(segments_that_do_not_agree_are_refused)
{
	static const struct peal_segment_spec odd[] = {
		{.capacity = 1 << 14, .align = 64, .role = PEAL_ROLE_GUEST},
		{.capacity = 1 << 14,
		 .align = 8,
		 .role = PEAL_ROLE_GUEST,
		 .incompatible_flags = PEAL_INCOMPATIBLE_EVENTFD},
	};
	struct peal_channel *host = make(0);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds.guest_segment = odd_segment(&fds, odd[_i]);
	assert_ok(fds.guest_segment);
	assert_fails(attach(&fds), EINVAL, "different channels");
	close(fds.guest_segment);
	peal_channel_close(host);
}
END_TEST

START_TEST(segments_without_a_ring_are_refused)
{
	struct peal_segment_spec none = {.align = 8, .role = PEAL_ROLE_HOST};
	struct peal_channel *host = make(0);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds.host_segment = odd_segment(&fds, none);
	none.role = PEAL_ROLE_GUEST;
	fds.guest_segment = odd_segment(&fds, none);
	assert_ok(peal_segment_seal(fds.host_segment));
	fds.doorbell_count = 0;
	assert_fails(attach(&fds), EINVAL, "no ring");
	close(fds.host_segment);
	close(fds.guest_segment);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_doorbell_too_many_is_refused)
{
	struct peal_channel *host = make(_i);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	if (fds.doorbell_count < PEAL_GUEST_DOORBELLS_MAX) {
		fds.doorbells[fds.doorbell_count++] = fds.doorbells[0];
	} else { /* one ring has two, so four are two too many */
		struct peal_channel *other = host;
		struct peal_channel_options options = config(_i, 4096, 0);
		struct peal_guest_fds few;

		assert_ok(peal_channel_create(&host, &options));
		assert_ok(peal_channel_guest_fds(host, &few));
		memcpy(few.doorbells, fds.doorbells, sizeof(few.doorbells));
		few.doorbell_count = fds.doorbell_count;
		fds = few;
		assert_fails(attach(&fds), EINVAL, "4 doorbell descriptors; this channel has 2");
		peal_channel_close(other);
	}
	assert_fails(attach(&fds), EINVAL, "doorbell descriptors; this channel has");
	peal_channel_close(host);
}
END_TEST

/* Attach to a guest's segment of version 7. */
static void refuse_version(struct peal_guest_fds *fds)
{
	const uint32_t version = 7;

	ck_assert_int_eq(pwrite(fds->guest_segment, &version, sizeof(version),
				offsetof(struct peal_segment_header, version)),
			 sizeof(version));
	assert_fails(attach(fds), EPROTONOSUPPORT, "layout version 7");
}

START_TEST(a_refusal_tells_the_version_and_rings)
{
	struct peal_channel *host = make(_i);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	refuse_version(&fds);
	ck_assert_uint_eq(
		(uint32_t)word(fds.guest_segment, offsetof(struct peal_segment_header, version)),
		PEAL_LAYOUT_VERSION);
	ck_assert_uint_eq(STATE_OF(fds.guest_segment), PEAL_STATE_REFUSED);
	ck_assert_int_ge(peal_doorbell_pending(&host->bells[TO_GUEST].doorbell), 1);
	assert_fails(peal_channel_wait_ready(host, PEAL_FOREVER), EPROTONOSUPPORT,
		     "it lacks a feature of this channel");
	peal_channel_close(host);
}
END_TEST

START_TEST(a_refusal_that_can_not_be_written_is_one_all_the_same)
{
	struct peal_channel *host = make(0);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	refuse(SYS_mmap, 4, (uint32_t)fds.guest_segment, ENOMEM);
	refuse_version(&fds);
	ck_assert_uint_eq(STATE_OF(fds.guest_segment), PEAL_STATE_CREATED);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_refusal_rings_doorbells_alone)
{
	struct peal_channel *host = make(1);
	struct peal_guest_fds fds;
	struct pollfd end;
	int ends[2];

	assert_ok(peal_channel_guest_fds(host, &fds));
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	fds.doorbells[0] = ends[1];
	refuse_version(&fds);
	end = (struct pollfd){.fd = ends[0], .events = POLLIN};
	ck_assert_int_eq(poll(&end, 1, 0), 0);
	close(ends[0]);
	close(ends[1]);
	peal_channel_close(host);
}
END_TEST

/* What peal_attach_args() says of a command line of one argument or two or three. */
static int attach_args(const char *a, const char *b, const char *c)
{
	char *argv[] = {strdupa("guest"), strdupa(a), b ? strdupa(b) : NULL, c ? strdupa(c) : NULL,
			NULL};
	struct peal_channel *channel = NULL;
	int argc = c ? 4 : b ? 3 : 2;

	return peal_attach_args(&channel, &argc, argv, NULL);
}

START_TEST(part_of_a_channel_on_the_command_line_is_a_mistake)
{
	int fds[] = {dup(1), dup(1), dup(1)};
	char segments[3][32], other[32];

	for (int i = 0; i < 3; i++)
		snprintf(segments[i], sizeof(segments[i]), "--segment-fd=%d", fds[i]);
	assert_fails(attach_args("--segment-fd=3x", NULL, NULL), EINVAL, "3x");
	snprintf(other, sizeof(other), "--doorbell-fd=%d", fds[0]);
	assert_fails(attach_args(other, NULL, NULL), EINVAL, "given 0 times");
	snprintf(other, sizeof(other), "--host-pidfd=%d", fds[0]);
	assert_fails(attach_args(other, NULL, NULL), EINVAL, "given 0 times");
	assert_fails(attach_args(segments[0], segments[1], segments[2]), EINVAL, "given 3 times");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_refused_command_line_leaves_no_memory)
{
	size_t before;

	attach_args("--segment-fd=3x", NULL, NULL);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 100; i++)
		attach_args("--segment-fd=3x", NULL, NULL);
	ck_assert_uint_eq(mallinfo2().uordblks, before);
}
END_TEST

/* --- Waiting for the guest ------------------------------------------------------------------- */

START_TEST(a_guest_that_attached_and_ended_has_attached)
{
	struct peal_channel *host = make(0);

	to_end = host;
	assert_ok(peal_channel_wait_ready(host, PEAL_FOREVER));
	peal_channel_close(host);
}
END_TEST

START_TEST(a_guest_that_ended_before_is_told_as_that)
{
	struct peal_channel *host = make(0);

	peal_channel_close_guest_end(host);
	assert_fails(peal_channel_wait_ready(host, PEAL_FOREVER), EPIPE,
		     "the guest ended before it attached");
	peal_channel_close(host);
}
END_TEST

START_TEST(a_bell_that_is_no_guest_costs_one_look)
{
	struct peal_channel *host = make(0);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	ck_assert_int_eq(send(fds.doorbells[0], "", 1, 0), 1);
	ck_assert_int_eq(peal_channel_wait_ready(host, peal_deadline_in_ns(20000000)), -ETIMEDOUT);
	ck_assert_int_le(ppolls, 2);
	peal_channel_close(host);
}
END_TEST

START_TEST(bells_without_end_do_not_hide_the_deadline)
{
	struct peal_channel *host = make(0);
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	bell_to_ring = fds.doorbells[0];
	ck_assert_int_eq(peal_channel_wait_ready(host, peal_deadline_in_ns(2000000)), -ETIMEDOUT);
	ck_assert_int_eq(peal_channel_wait_ready(host, PEAL_TRY), -EAGAIN);
	bell_to_ring = 0;
	peal_channel_close(host);
}
END_TEST

START_TEST(a_guest_that_hangs_up_and_lives_is_told_as_that)
{
	char *argv[] = {strdupa("/bin/sh"), strdupa("-c"),
			strdupa("exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec sleep 1000"),
			strdupa("sh"), NULL};
	struct peal_channel *host = make(0);
	struct peal_child *child;
	int rc;

	assert_ok(peal_spawn(&child, host, argv, NULL));
	do {
		rc = peal_child_wait_ready(child, host, PEAL_TRY);
	} while (rc == -EAGAIN);
	assert_fails(rc, EPIPE, "is running, but closed its end before it attached");
	ck_assert(!slept); /* who tries waits for no last words */
	peal_child_free(child);
	peal_channel_close(host);
}
END_TEST

int main(void)
{
	/* C has no cast from an object's address to a function's; this copy is what dlsym(3) advises. */
	*(void **)&real_ppoll = dlsym(RTLD_NEXT, "ppoll");
	return harness_main("halfway",
			    (struct harness_case[]){
				    {a_segment_that_does_not_fit_makes_no_channel, 0},
				    {without_memory_there_is_no_channel, 0},
				    {a_channel_of_one_ring_waits_at_its_bell, 0},
				    {a_segment_that_can_not_be_sealed_makes_no_channel, 0},
				    {without_a_random_id_there_is_no_channel, 0},
				    {without_each_doorbell_there_is_no_channel, 2},
				    {sockets_do_without_a_pidfd_and_eventfds_do_not, 3},
				    {the_hosts_own_mapping_of_the_guests_memory_is_read_only, 0},
				    {a_signal_does_not_end_the_wait_for_a_random_id, 0},
				    {a_guest_that_is_not_watched_in_the_end_is_ended, 2},
				    {a_guest_that_could_not_be_watched_is_not_started, 0},
				    {a_segment_that_does_not_fit_is_not_attached_to_nor_sealed, 2},
				    {who_came_second_leaves_the_segment_of_the_first_alone, 2},
				    {segments_that_do_not_agree_are_refused, 2},
				    {segments_without_a_ring_are_refused, 0},
				    {a_doorbell_too_many_is_refused, 2},
				    {a_refusal_tells_the_version_and_rings, 2},
				    {a_refusal_that_can_not_be_written_is_one_all_the_same, 0},
				    {a_refusal_rings_doorbells_alone, 0},
				    {part_of_a_channel_on_the_command_line_is_a_mistake, 0},
				    {a_refused_command_line_leaves_no_memory, 0},
				    {a_guest_that_attached_and_ended_has_attached, 0},
				    {a_guest_that_ended_before_is_told_as_that, 0},
				    {a_bell_that_is_no_guest_costs_one_look, 0},
				    {bells_without_end_do_not_hide_the_deadline, 0},
				    {a_guest_that_hangs_up_and_lives_is_told_as_that, 0},
				    HARNESS_END,
			    });
}
