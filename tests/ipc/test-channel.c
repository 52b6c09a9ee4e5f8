/* SPDX-License-Identifier: MIT */
/*
 * Promises of starting: a guest attaches, by spawn or by any other way; a start that fails says
 * exactly why; and what is wrong is refused with nothing lost and nothing left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "ring/segment.h"

static struct peal_channel *make(int index)
{
	struct peal_channel_options options = config(index, 1 << 14, 1 << 14);
	struct peal_channel *channel;

	assert_ok(peal_channel_create(&channel, &options));
	return channel;
}

static struct peal_child *spawn(struct peal_channel *channel, const char *mode, const char *number)
{
	char *argv[] = {harness_helper("guest"), strdupa(mode), strdupa(number), NULL};
	struct peal_child *child;

	assert_ok(peal_spawn(&child, channel, argv, NULL));
	return child;
}

static void close_fds(const struct peal_guest_fds *fds)
{
	/* Each must still be open: a failed attach took none. */
	ck_assert_int_eq(close(fds->host_segment), 0);
	ck_assert_int_eq(close(fds->guest_segment), 0);
	ck_assert_int_eq(close(fds->host_pidfd), 0);
	for (unsigned int i = 0; i < fds->doorbell_count; i++)
		ck_assert_int_eq(close(fds->doorbells[i]), 0);
}

START_TEST(options_that_make_no_sense_are_refused)
{
	static const struct {
		struct peal_channel_options options;
		const char *words;
	} bad[] = {
		{{.size = 0, .to_guest = 4096}, "size"},
		{{.size = sizeof(bad->options)}, "without a ring"},
		{{.size = sizeof(bad->options), .to_guest = UINT64_C(1) << 41}, "capacity"},
		{{.size = sizeof(bad->options), .to_host = UINT64_MAX}, "capacity"},
		{{.size = sizeof(bad->options), .to_guest = 4096, .align = 16}, "alignment of 16"},
		{{.size = sizeof(bad->options), .to_guest = 4096, .doorbell = 2}, "doorbell 2"},
		{{.size = sizeof(bad->options), .to_guest = 4096, .flags = 0x80}, "flags 0x80"},
		{{.size = sizeof(bad->options), .to_guest = 4096, .spin_max_us = -2},
		 "spin_max_us"},
	};
	struct peal_channel *channel = (void *)&channel;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(peal_channel_create(&channel, &bad[i].options), EINVAL, bad[i].words);
		ck_assert_ptr_eq(channel, &channel);
	}
}
END_TEST

START_TEST(capacities_are_rounded_up)
{
	struct peal_channel_options options = config(0, 1, 5000);
	struct peal_channel *channel;

	assert_ok(peal_channel_create(&channel, &options));
	ck_assert_uint_eq(peal_record_max(peal_tx(channel)), 4096 - 16);
	ck_assert_uint_eq(peal_rx(channel)->mask, 8192 - 1);
	peal_channel_close(channel);
	ck_assert_ptr_null(peal_channel_close(NULL));
}
END_TEST

START_TEST(a_failed_exec_says_so_and_can_be_tried_again)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = NULL;
	char *nothing[] = {strdupa("/nonexistent/plugin"), NULL};

	assert_fails(peal_spawn(&child, channel, nothing, NULL), ENOENT, "/nonexistent/plugin");
	ck_assert_ptr_null(child);
	child = spawn(channel, "echo", "");
	assert_ok(peal_child_wait_ready(child, channel, PEAL_FOREVER));
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(a_guest_that_exits_early_is_described)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = spawn(channel, "exit-before", "3");
	struct peal_child_status status;

	assert_fails(peal_child_wait_ready(child, channel, PEAL_FOREVER), EPIPE,
		     "exited with status 3 before it attached");
	assert_ok(peal_child_wait(child, PEAL_TRY, &status));
	ck_assert(status.state == PEAL_CHILD_EXITED && status.value == 3);
	ck_assert_int_eq(peal_channel_peer(channel), PEAL_PEER_DEAD);
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(a_guest_that_crashes_early_is_described)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = spawn(channel, "abort-before", "");

	assert_fails(peal_child_wait_ready(child, channel, PEAL_FOREVER), EPIPE,
		     "killed by signal 6 (Aborted) before it attached");
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(a_guest_that_hangs_up_first_is_waited_for)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = spawn(channel, "hang-up-and-abort", "");

	assert_fails(peal_child_wait_ready(child, channel, PEAL_FOREVER), EPIPE,
		     "killed by signal 6 (Aborted) before it attached");
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(a_guest_that_takes_its_time_is_waited_for_in_vain)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = spawn(channel, "sleep-before", "");

	ck_assert_int_eq(peal_child_wait_ready(child, channel, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_child_wait_ready(child, channel, peal_deadline_in_ns(10000000)),
			 -ETIMEDOUT);
	ck_assert_int_eq(peal_channel_peer(channel), PEAL_PEER_ABSENT);
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(a_channel_has_one_guest)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child = spawn(channel, "echo", ""), *second = NULL;
	char *argv[] = {harness_helper("guest"), strdupa("echo"), NULL};
	struct peal_guest_fds fds;

	assert_fails(peal_spawn(&second, channel, argv, NULL), EBUSY, "given away before");
	assert_fails(peal_channel_guest_fds(channel, &fds), EBUSY, "given away before");
	ck_assert_ptr_null(second);
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(what_was_sent_before_the_guest_came_waits_for_it)
{
	struct peal_channel *channel = make(_i);
	struct peal_child *child;
	char text[8] = "";

	assert_ok(peal_send(peal_tx(channel), "early", 6, 0, PEAL_TRY));
	child = spawn(channel, "echo", "");
	ck_assert_int_eq(peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER), 6);
	ck_assert_str_eq(text, "early");
	peal_channel_close(channel);
	peal_child_free(child);
}
END_TEST

START_TEST(the_kernel_refuses_the_guest_the_hosts_memory)
{
	struct peal_channel_options options = config(_i, 1 << 14, 1 << 14);
	struct pair pair = pair_start(&options, "probe", "", "", "");
	unsigned char answers[7];

	ck_assert_int_eq(
		peal_recv(peal_rx(pair.channel), answers, sizeof(answers), NULL, PEAL_FOREVER),
		(int64_t)sizeof(answers));
	for (size_t i = 0; i < sizeof(answers); i++)
		ck_assert_msg(answers[i] == 1, "probe %zu was not refused", i);
	pair_finish(&pair);
}
END_TEST

/* One message with all descriptors, over a socket of the caller's. */
static void send_fds(int socket, const struct peal_guest_fds *fds)
{
	int all[7] = {fds->host_segment, fds->guest_segment, fds->host_pidfd};
	size_t bytes = (3 + fds->doorbell_count) * sizeof(int);
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(all))];
	} control = {.header = {.cmsg_len = CMSG_LEN(bytes),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec text = {.iov_base = &bytes, .iov_len = 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(bytes)};

	memcpy(&all[3], fds->doorbells, fds->doorbell_count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), all, bytes);
	ck_assert_int_eq(sendmsg(socket, &message, 0), 1);
}

static struct peal_guest_fds receive_fds(int socket)
{
	int all[7];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(all))];
	} control;
	char byte;
	struct iovec text = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct peal_guest_fds fds = {0};
	size_t bytes;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		_exit(9);
	bytes = control.header.cmsg_len - CMSG_LEN(0);
	memcpy(all, CMSG_DATA(&control.header), bytes);
	fds.host_segment = all[0];
	fds.guest_segment = all[1];
	fds.host_pidfd = all[2];
	fds.doorbell_count = (unsigned int)(bytes / sizeof(int) - 3);
	memcpy(fds.doorbells, &all[3], fds.doorbell_count * sizeof(int));
	return fds;
}

/* A guest that was there before the channel: it gets the descriptors by a socket. */
static int guest_by_socket(int socket)
{
	struct peal_guest_fds fds = receive_fds(socket);
	struct peal_channel *channel;
	char text[8];

	if (peal_attach_fds(&channel, &fds, NULL) < 0 ||
	    peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER) != 5 ||
	    peal_send(peal_tx(channel), text, 5, 0, PEAL_FOREVER) < 0)
		return 1;
	peal_channel_close(channel);
	return 0;
}

START_TEST(a_guest_attaches_without_spawn)
{
	struct peal_channel *channel;
	struct peal_guest_fds fds;
	int sockets[2], status;
	char text[8] = "";
	pid_t guest;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	guest = fork();
	if (guest == 0)
		_exit(guest_by_socket(sockets[1]));
	channel = make(_i);
	assert_ok(peal_channel_guest_fds(channel, &fds));
	send_fds(sockets[0], &fds);
	peal_channel_close_guest_end(channel);
	assert_ok(peal_channel_wait_ready(channel, PEAL_FOREVER));
	assert_ok(peal_send(peal_tx(channel), "fives", 5, 0, PEAL_FOREVER));
	ck_assert_int_eq(peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER), 5);
	ck_assert_str_eq(text, "fives");
	ck_assert_int_eq(waitpid(guest, &status, 0), guest);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(peal_channel_peer(channel), PEAL_PEER_CLOSED);
	peal_channel_close(channel);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

static bool is_rung(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};

	return poll(&look, 1, 0) == 1;
}

START_TEST(a_guest_that_attaches_rings_only_where_the_host_waits_for_it)
{
	struct peal_channel *host = make(_i), *guest;
	struct peal_guest_fds fds, copy;

	assert_ok(peal_channel_guest_fds(host, &fds));
	copy = pair_copy_fds(&fds);
	assert_ok(peal_attach_fds(&guest, &copy, NULL));
	ck_assert(is_rung(peal_tx_fd(host)));
	ck_assert_msg(!is_rung(peal_rx_fd(host)), "who waits for a record is woken for nothing");
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_second_guest_is_refused)
{
	struct peal_channel *host = make(_i), *guest, *second = NULL;
	struct peal_guest_fds fds, first, again;

	assert_ok(peal_channel_guest_fds(host, &fds));
	first = pair_copy_fds(&fds);
	again = pair_copy_fds(&fds);
	assert_ok(peal_attach_fds(&guest, &first, NULL));
	assert_fails(peal_attach_fds(&second, &again, NULL), EBUSY, "has its writer already");
	ck_assert_ptr_null(second);
	close_fds(&again);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

/* Each change of the guest's descriptors, and what attaching says of it. */
static void refused(struct peal_channel *host, void (*spoil)(struct peal_guest_fds *), int error,
		    const char *words)
{
	struct peal_channel *guest = NULL;
	struct peal_guest_fds fds, mine, spoilt;

	assert_ok(peal_channel_guest_fds(host, &fds));
	mine = pair_copy_fds(&fds);
	spoilt = mine;
	spoil(&spoilt);
	assert_fails(peal_attach_fds(&guest, &spoilt, NULL), error, words);
	ck_assert_ptr_null(guest);
	close_fds(&mine);
}

static void swap_segments(struct peal_guest_fds *fds)
{
	int host = fds->host_segment;

	fds->host_segment = fds->guest_segment;
	fds->guest_segment = host;
}

static void same_segment_twice(struct peal_guest_fds *fds)
{
	fds->guest_segment = fds->host_segment;
}

static void segment_is_doorbell(struct peal_guest_fds *fds)
{
	fds->host_segment = fds->doorbells[0];
}

static void doorbell_is_segment(struct peal_guest_fds *fds)
{
	fds->doorbells[0] = fds->host_segment;
}

static void doorbell_missing(struct peal_guest_fds *fds)
{
	fds->doorbell_count--;
}

static void doorbell_closed(struct peal_guest_fds *fds)
{
	fds->doorbells[1] = 999;
}

static void pidfd_missing(struct peal_guest_fds *fds)
{
	fds->host_pidfd = -1;
}

static void pidfd_is_doorbell(struct peal_guest_fds *fds)
{
	fds->host_pidfd = fds->doorbells[0];
}

START_TEST(descriptors_in_the_wrong_place_are_refused)
{
	struct peal_channel *host = make(_i);
	struct peal_channel *guest;
	struct peal_guest_fds fds, mine;

	refused(host, swap_segments, EPERM, "not sealed by its writer");
	refused(host, same_segment_twice, EBUSY, "has its writer already");
	refused(host, segment_is_doorbell, EINVAL, "not a memfd segment");
	refused(host, doorbell_is_segment, _i & 1 ? ENOTTY : ENOTSOCK, "");
	refused(host, doorbell_missing, EINVAL, "doorbell descriptors; this channel has");
	refused(host, doorbell_closed, EBADF, "999 is not open");
	refused(host, pidfd_is_doorbell, EBADF, "not a pidfd");
	if (_i & 1)
		refused(host, pidfd_missing, EINVAL, "needs --host-pidfd");
	/* None of that did the channel any harm. */
	assert_ok(peal_channel_guest_fds(host, &fds));
	mine = pair_copy_fds(&fds);
	assert_ok(peal_attach_fds(&guest, &mine, NULL));
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(segments_of_two_channels_do_not_mix)
{
	struct peal_channel *one = make(_i), *two = make(_i), *guest = NULL;
	struct peal_guest_fds fds, other, mixed;

	assert_ok(peal_channel_guest_fds(one, &fds));
	assert_ok(peal_channel_guest_fds(two, &other));
	mixed = fds;
	mixed.guest_segment = other.guest_segment;
	assert_fails(peal_attach_fds(&guest, &mixed, NULL), EINVAL, "different channels");
	peal_channel_close(one);
	peal_channel_close(two);
}
END_TEST

START_TEST(another_layout_version_is_named_on_both_sides)
{
	struct peal_channel *host = make(_i), *guest = NULL;
	const uint32_t version = 7;
	struct peal_guest_fds fds, mine;

	assert_ok(peal_channel_guest_fds(host, &fds));
	mine = pair_copy_fds(&fds);
	/* As a host of version 7 would have made it … */
	ck_assert_int_eq(pwrite(mine.guest_segment, &version, sizeof(version),
				offsetof(struct peal_segment_header, version)),
			 sizeof(version));
	assert_fails(peal_attach_fds(&guest, &mine, NULL), EPROTONOSUPPORT,
		     "layout version 7, this side has 1");
	/* … which is told. And a host of version 1, of a guest of version 7: */
	ck_assert_int_eq(pwrite(mine.guest_segment, &version, sizeof(version),
				offsetof(struct peal_segment_header, version)),
			 sizeof(version));
	assert_fails(peal_channel_wait_ready(host, PEAL_FOREVER), EPROTONOSUPPORT,
		     "its layout version is 7, this host's is 1");
	close_fds(&mine);
	peal_channel_close(host);
}
END_TEST

/* A host segment of another version beside something that is no guest segment: the refusal, which is
 * written into the guest's segment, must not go there. */
START_TEST(a_refusal_is_written_into_segments_alone)
{
	const struct peal_segment_spec spec = {
		.align = 8, .role = PEAL_ROLE_HOST, .channel_id = (const unsigned char[16]){0}};
	const uint32_t version = 7;
	const char before[128] = "an ordinary file";
	char after[sizeof(before)];
	struct peal_channel *guest = NULL;
	struct peal_guest_fds fds = {.host_segment = peal_segment_create(&spec),
				     .guest_segment = memfd_create("file", MFD_CLOEXEC),
				     .host_pidfd = -1};

	ck_assert_int_eq(pwrite(fds.host_segment, &version, sizeof(version),
				offsetof(struct peal_segment_header, version)),
			 sizeof(version));
	assert_ok(peal_segment_seal(fds.host_segment));
	ck_assert_int_eq(write(fds.guest_segment, before, sizeof(before)), sizeof(before));
	assert_fails(peal_attach_fds(&guest, &fds, NULL), EINVAL, "not sealed");
	ck_assert_int_eq(pread(fds.guest_segment, after, sizeof(after), 0), sizeof(after));
	ck_assert_int_eq(memcmp(before, after, sizeof(before)), 0);
	close(fds.host_segment);
	close(fds.guest_segment);
}
END_TEST

/* A guest that rings without end and never attaches. */
START_TEST(a_flood_does_not_hide_the_deadline)
{
	struct peal_channel *host = make(_i);
	struct peal_guest_fds fds;
	pid_t flooder;

	assert_ok(peal_channel_guest_fds(host, &fds));
	flooder = fork();
	if (flooder == 0) {
		const uint64_t one = 1;

		alarm(60);
		for (;;) {
			if (write(fds.doorbells[0], &one, sizeof(one)) < 0 && errno != EAGAIN)
				_exit(1);
		}
	}
	ck_assert_int_eq(peal_channel_wait_ready(host, peal_deadline_in_ns(20000000)), -ETIMEDOUT);
	ck_assert_int_eq(peal_channel_wait_ready(host, PEAL_TRY), -EAGAIN);
	/* Answers, not failures: they leave what a failure has said. */
	ck_assert_str_eq(peal_last_error(), "");
	kill(flooder, SIGKILL);
	ck_assert_int_eq(waitpid(flooder, NULL, 0), flooder);
	peal_channel_close(host);
}
END_TEST

START_TEST(only_a_pidfd_is_watched)
{
	struct peal_channel *host = make(_i);
	int directory = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some calls take it for a pidfd, but poll finds it readable at once. */
	assert_fails(peal_channel_watch(host, directory), EBADF, "is not a pidfd");
	assert_fails(peal_channel_watch(host, 999), EBADF, "999 is not a pidfd");
	ck_assert_int_eq(peal_channel_peer_fd(host), -1);
	close(directory);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_command_line_without_a_channel_is_told_apart)
{
	char *argv[] = {strdupa("guest"), strdupa("--verbose"), NULL};
	struct peal_channel *channel = NULL;
	int argc = 2;

	assert_fails(peal_attach_args(&channel, &argc, argv, NULL), ENOENT,
		     "not started as a guest");
	ck_assert_int_eq(argc, 2);
	ck_assert_ptr_null(channel);
}
END_TEST

START_TEST(a_refused_command_line_stays_as_it_was)
{
	struct peal_channel *host = make(0), *channel = NULL;
	struct peal_guest_fds fds;
	char segment[32], first[32];
	char *argv[] = {strdupa("guest"), segment, strdupa("file"), first, NULL};
	int argc = 4;

	assert_ok(peal_channel_guest_fds(host, &fds));
	snprintf(segment, sizeof(segment), "--segment-fd=%d", fds.host_segment);
	snprintf(first, sizeof(first), "--doorbell-fd=%d", fds.doorbells[0]);
	assert_fails(peal_attach_args(&channel, &argc, argv, NULL), EINVAL,
		     "--segment-fd is given 1 times");
	ck_assert_int_eq(argc, 4);
	ck_assert_ptr_eq(argv[1], segment);
	ck_assert_ptr_eq(argv[3], first);
	ck_assert_ptr_null(argv[4]);
	peal_channel_close(host);
}
END_TEST

START_TEST(two_pidfds_are_refused)
{
	struct peal_channel *host = make(0), *channel = NULL;
	struct peal_guest_fds fds;
	char text[4][32];
	char *argv[] = {strdupa("guest"), text[0], text[1], text[2], text[3], NULL};
	int argc = 5, second;

	assert_ok(peal_channel_guest_fds(host, &fds));
	second = fcntl(fds.host_pidfd, F_DUPFD_CLOEXEC, 3);
	snprintf(text[0], sizeof(text[0]), "--segment-fd=%d", fds.host_segment);
	snprintf(text[1], sizeof(text[1]), "--segment-fd=%d", fds.guest_segment);
	snprintf(text[2], sizeof(text[2]), "--host-pidfd=%d", fds.host_pidfd);
	snprintf(text[3], sizeof(text[3]), "--host-pidfd=%d", second);
	assert_fails(peal_attach_args(&channel, &argc, argv, NULL), EINVAL,
		     "--host-pidfd is given 2 times");
	close(second);
	peal_channel_close(host);
}
END_TEST

START_TEST(attach_options_that_make_no_sense_are_refused)
{
	struct peal_attach_options options = {.size = sizeof(options), .flags = 0x40};
	struct peal_guest_fds fds = {.host_segment = -1, .guest_segment = -1, .host_pidfd = -1};
	struct peal_channel *channel = NULL;

	assert_fails(peal_attach_fds(&channel, &fds, &options), EINVAL, "attach flags 0x40");
	options.size = 0;
	assert_fails(peal_attach_fds(&channel, &fds, &options), EINVAL, "size");
}
END_TEST

/* Each limit of descriptors from "none" to "enough": a clean error, nothing left. */
START_TEST(running_out_of_descriptors_leaves_nothing)
{
	struct peal_channel_options options = config(_i, 4096, 4096);
	struct peal_channel *channel;
	struct rlimit limit;
	int lowest = dup(0), rc = -1;

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int extra = 0; rc < 0; extra++) {
		ck_assert_int_lt(extra, 30);
		limit.rlim_cur = (rlim_t)(lowest + extra);
		setrlimit(RLIMIT_NOFILE, &limit);
		rc = peal_channel_create(&channel, &options);
		if (rc < 0) {
			ck_assert_int_eq(rc, -EMFILE);
			ck_assert_int_eq(fcntl(lowest, F_GETFD), -1);
		}
	}
	peal_channel_close(channel);
}
END_TEST

START_TEST(a_channel_costs_as_many_descriptors_as_documented)
{
	struct peal_channel_options options = config(_i, 1 << 14, 1 << 14);
	bool before[1024];
	struct pair pair;
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	pair = pair_start(&options, "echo", "", "", "");
	for (int fd = 0; fd < 1024; fd++) {
		if (before[fd] || fcntl(fd, F_GETFD) < 0)
			continue;
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		count++;
	}
	/* One socket or two eventfds a ring, and a pidfd; the child has a pidfd of its own. */
	ck_assert_int_eq(count, options.doorbell == PEAL_DOORBELL_SOCKET ? 2 + 1 + 1 : 4 + 1 + 1);
	pair_finish(&pair);
}
END_TEST

int main(void)
{
	return harness_main(
		"channel",
		(struct harness_case[]){
			{options_that_make_no_sense_are_refused, 0},
			{capacities_are_rounded_up, 0},
			{a_failed_exec_says_so_and_can_be_tried_again, CONFIGS},
			{a_guest_that_exits_early_is_described, CONFIGS},
			{a_guest_that_crashes_early_is_described, CONFIGS},
			{a_guest_that_hangs_up_first_is_waited_for, CONFIGS},
			{a_guest_that_takes_its_time_is_waited_for_in_vain, CONFIGS},
			{a_channel_has_one_guest, CONFIGS},
			{what_was_sent_before_the_guest_came_waits_for_it, CONFIGS},
			{the_kernel_refuses_the_guest_the_hosts_memory, CONFIGS},
			{a_guest_attaches_without_spawn, CONFIGS},
			{a_guest_that_attaches_rings_only_where_the_host_waits_for_it, CONFIGS},
			{a_second_guest_is_refused, CONFIGS},
			{descriptors_in_the_wrong_place_are_refused, CONFIGS},
			{segments_of_two_channels_do_not_mix, CONFIGS},
			{another_layout_version_is_named_on_both_sides, CONFIGS},
			{a_refusal_is_written_into_segments_alone, 0},
			{a_flood_does_not_hide_the_deadline, CONFIGS},
			{only_a_pidfd_is_watched, CONFIGS},
			{a_command_line_without_a_channel_is_told_apart, 0},
			{a_refused_command_line_stays_as_it_was, 0},
			{two_pidfds_are_refused, 0},
			{attach_options_that_make_no_sense_are_refused, 0},
			{running_out_of_descriptors_leaves_nothing, CONFIGS},
			{a_channel_costs_as_many_descriptors_as_documented, CONFIGS},
			HARNESS_END,
		});
}
