/* SPDX-License-Identifier: MIT */
/*
 * Promises of a channel at its edges: one ring only, membarrier on one side only, want of something
 * half way, a handle that fork has wiped. Both ends are in this process, so that all can be seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/channel.h"
#include "harness.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"
#include "refuse.h"
#include "ring/wake.h"

/* --- What the kernel says -------------------------------------------------------------------- */

static struct fake {
	int error, times;
} fake_send, fake_write, fake_recv;
static int fake_processors;            /* 0: the real number */
static struct peal_channel **to_close; /* in the next ppoll */

static bool is_faked(struct fake *fake)
{
	if (fake->times == 0)
		return false;
	fake->times--;
	errno = fake->error;
	return true;
}

/* The linker leads the library's calls here (--wrap), and no others. */
ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
long __real_sysconf(int name);
long __wrap_sysconf(int name);
int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		 const sigset_t *mask);

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	return is_faked(&fake_send) ? -1 : __real_send(fd, data, size, flags);
}

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
	return is_faked(&fake_recv) ? -1 : __real_recv(fd, data, size, flags);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	return is_faked(&fake_write) ? -1 : __real_write(fd, data, size);
}

long __wrap_sysconf(int name)
{
	return name == _SC_NPROCESSORS_ONLN && fake_processors ? fake_processors
							       : __real_sysconf(name);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		 const sigset_t *mask)
{
	struct peal_channel **closing = to_close;

	to_close = NULL;
	if (closing)
		*closing = peal_channel_close(*closing);
	return __real_ppoll(fds, count, timeout, mask);
}

/* --- Two ends in one process ----------------------------------------------------------------- */

static struct peal_channel *make(struct peal_channel_options options)
{
	struct peal_channel *host;

	assert_ok(peal_channel_create(&host, &options));
	return host;
}

START_TEST(a_channel_of_one_ring_has_no_other_end)
{
	bool to_guest = _i & 1;
	struct peal_channel *host =
		make(config(_i >> 1 & 1, to_guest ? 4096 : 0, to_guest ? 0 : 4096));
	struct peal_channel *guest = pair_attach_here(host);
	struct peal_channel *from = to_guest ? host : guest, *to = to_guest ? guest : host;
	struct peal_side_stats own, peer;
	char byte;

	ck_assert_ptr_nonnull(peal_tx(from));
	ck_assert_ptr_nonnull(peal_rx(to));
	ck_assert_ptr_null(peal_rx(from));
	ck_assert_ptr_null(peal_tx(to));
	ck_assert_int_ge(peal_tx_fd(from), 3);
	ck_assert_int_ge(peal_rx_fd(to), 3);
	ck_assert_int_eq(peal_rx_fd(from), -1);
	ck_assert_int_eq(peal_tx_fd(to), -1);
	ck_assert_int_eq(host->bells[to_guest ? TO_HOST : TO_GUEST].doorbell.wait_fd, -1);
	ck_assert_int_eq(peal_channel_peer(host), PEAL_PEER_ATTACHED);
	ck_assert_int_eq(peal_channel_peer(guest), PEAL_PEER_ATTACHED);
	assert_ok(peal_send(peal_tx(from), "x", 1, 0, PEAL_FOREVER));
	ck_assert_int_eq(peal_recv(peal_rx(to), &byte, 1, NULL, PEAL_FOREVER), 1);
	peal_channel_stats(host, &own, &peer);
	ck_assert_uint_eq(to_guest ? own.tx.capacity : own.rx.capacity, 4096);
	ck_assert_uint_eq(to_guest ? own.rx.capacity : own.tx.capacity, 0);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

/* May @channel leave out its fences, and does it use membarrier itself? */
static void check_barriers(const struct peal_channel *channel, bool fence, bool membarrier)
{
	ck_assert_int_eq(peal_wake_is_fenced(&channel->tx.wake), fence);
	ck_assert_int_eq(peal_wake_is_fenced(&channel->rx.wake), fence);
	ck_assert_uint_eq(channel->tx.wake.membarrier, membarrier);
	ck_assert_uint_eq(channel->rx.wake.membarrier, membarrier);
	ck_assert_uint_eq(channel->own.header->compatible_flags,
			  membarrier ? PEAL_COMPATIBLE_MEMBARRIER : 0);
}

static struct peal_channel *attach(struct peal_channel *host,
				   const struct peal_attach_options *options)
{
	struct peal_guest_fds fds;
	struct peal_channel *guest;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds.host_segment = fcntl(fds.host_segment, F_DUPFD_CLOEXEC, 3);
	fds.guest_segment = fcntl(fds.guest_segment, F_DUPFD_CLOEXEC, 3);
	fds.host_pidfd = -1; /* sockets need none */
	for (unsigned int i = 0; i < fds.doorbell_count; i++)
		fds.doorbells[i] = fcntl(fds.doorbells[i], F_DUPFD_CLOEXEC, 3);
	assert_ok(peal_attach_fds(&guest, &fds, options));
	peal_channel_close_guest_end(host);
	return guest;
}

START_TEST(a_fence_is_left_out_only_where_both_promised_membarrier)
{
	bool host_may = _i & 1, guest_may = _i & 2;
	struct peal_attach_options options = {
		.size = sizeof(options),
		.flags = guest_may ? 0 : PEAL_CHANNEL_NO_MEMBARRIER,
	};
	struct peal_channel *host = make(config(host_may ? 0 : 2, 4096, 4096)), *guest;

	check_barriers(host, true, host_may); /* nobody has promised anything yet */
	guest = attach(host, &options);
	check_barriers(host, true, host_may);
	assert_ok(peal_channel_wait_ready(host, PEAL_FOREVER));
	check_barriers(host, !(host_may && guest_may), host_may);
	check_barriers(guest, !(host_may && guest_may), guest_may);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(who_can_not_register_promises_no_membarrier)
{
	struct peal_channel *host, *guest;

	refuse(SYS_membarrier, 0, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, EPERM);
	host = make(config(0, 4096, 4096));
	guest = attach(host, NULL);
	assert_ok(peal_channel_wait_ready(host, PEAL_FOREVER));
	check_barriers(host, true, false);
	check_barriers(guest, true, false);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(the_longest_spin_is_what_was_asked_for)
{
	struct peal_channel_options options = config(0, 4096, 4096);
	struct peal_attach_options bad = {.size = sizeof(bad), .spin_max_us = 1000001};
	struct peal_guest_fds fds;
	struct peal_channel *host, *guest = NULL;

	fake_processors = 2;
	options.spin_max_us = 1000001;
	assert_fails(peal_channel_create(&host, &options), EINVAL, "spin_max_us");
	options.spin_max_us = PEAL_SPIN_NEVER;
	host = make(options);
	ck_assert_uint_eq(host->tx.wake.spin_cap_ns, 0);
	assert_ok(peal_channel_guest_fds(host, &fds));
	assert_fails(peal_attach_fds(&guest, &fds, &bad), EINVAL, "spin_max_us");
	peal_channel_close(host);
	options.spin_max_us = 7;
	host = make(options);
	ck_assert_uint_eq(host->rx.wake.spin_cap_ns, 7000);
	peal_channel_close(host);
}
END_TEST

START_TEST(with_one_processor_nobody_spins)
{
	struct peal_channel *host;
	cpu_set_t one, all;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	fake_processors = 1;
	host = make(config(0, 4096, 4096));
	ck_assert_uint_eq(host->tx.wake.spin_cap_ns, 0);
	peal_channel_close(host);
	fake_processors = 2; /* the peer may run on the other one */
	host = make(config(0, 4096, 4096));
	ck_assert_uint_gt(host->tx.wake.spin_cap_ns, 0);
	peal_channel_close(host);
}
END_TEST

/* --- Bells ----------------------------------------------------------------------------------- */

START_TEST(a_bell_for_which_there_is_no_memory_is_tried_again)
{
	struct peal_channel *host = make(config(2, 4096, 4096)), *guest = pair_attach_here(host);

	ck_assert_int_eq(peal_arm_data(peal_rx(guest)), 0);
	fake_send = (struct fake){.error = _i ? ENOMEM : ENOBUFS, .times = 3};
	assert_ok(peal_send(peal_tx(host), "x", 1, 0, PEAL_TRY));
	ck_assert_int_eq(fake_send.times, 0);
	ck_assert_uint_eq(host->own.header->producer_counters.wakes, 1);
	assert_ok(peal_disarm_data(peal_rx(guest)));
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

/* The host may sleep until it hears that the guest is there. */
START_TEST(the_bell_of_attaching_is_tried_again_too)
{
	struct peal_channel *host = make(config(2, 4096, 4096)), *guest;
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds = pair_copy_fds(&fds);
	fake_send = (struct fake){.error = ENOBUFS, .times = 3};
	assert_ok(peal_attach_fds(&guest, &fds, NULL));
	ck_assert_int_eq(fake_send.times, 0);
	ck_assert_int_eq(peal_doorbell_pending(&host->bells[TO_GUEST].doorbell), 1);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_host_that_is_gone_is_told_by_the_first_wait)
{
	struct peal_channel *host = make(config(_i, 4096, 4096)), *guest;
	struct peal_record record;
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds = pair_copy_fds(&fds);
	peal_channel_close(host);
	assert_ok(peal_attach_fds(&guest, &fds, NULL));
	ck_assert_int_eq(peal_next_wait(peal_rx(guest), &record, PEAL_FOREVER), -EPIPE);
	peal_channel_close(guest);
}
END_TEST

START_TEST(attaching_without_a_bell_fails)
{
	struct peal_channel *host = make(config(2, 4096, 4096)), *guest = NULL;
	struct peal_attach_options options = {.size = sizeof(options),
					      .flags = _i ? PEAL_CHANNEL_STRICT : 0};
	struct peal_guest_fds fds;

	assert_ok(peal_channel_guest_fds(host, &fds));
	fds = pair_copy_fds(&fds);
	fake_send = fake_write = (struct fake){.error = ENOBUFS, .times = -1};
	assert_fails(peal_attach_fds(&guest, &fds, &options), ENOBUFS, "ringing");
	fake_send.times = fake_write.times = 0;
	ck_assert_ptr_null(guest);
	/* They are the caller's still. */
	ck_assert_int_eq(close(fds.host_segment), 0);
	ck_assert_int_eq(close(fds.guest_segment), 0);
	ck_assert_int_eq(close(fds.host_pidfd), 0);
	for (unsigned int i = 0; i < fds.doorbell_count; i++)
		ck_assert_int_eq(close(fds.doorbells[i]), 0);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_bell_that_can_not_be_rung_is_an_error_in_the_end)
{
	struct peal_channel *host = make(config(2, 4096, 4096)), *guest = pair_attach_here(host);

	ck_assert_int_eq(peal_arm_data(peal_rx(guest)), 0);
	fake_send = (struct fake){.error = ENOBUFS, .times = -1};
	assert_fails(peal_send(peal_tx(host), "x", 1, 0, PEAL_TRY), ENOBUFS, "not be woken");
	fake_send.times = 0;
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_bell_that_can_not_be_drained_is_an_error)
{
	struct peal_channel *host = make(config(0, 4096, 4096)), *guest = pair_attach_here(host);

	ck_assert_int_eq(peal_arm_data(peal_rx(host)), 0);
	fake_recv = (struct fake){.error = EIO, .times = 1};
	ck_assert_int_eq(peal_disarm_data(peal_rx(host)), -EIO);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_consumer_that_no_longer_listens_is_gone)
{
	struct peal_channel *host = make(config(0, 4096, 4096)), *guest = pair_attach_here(host);

	ck_assert_int_eq(peal_arm_data(peal_rx(guest)), 0);
	ck_assert_int_eq(shutdown(peal_rx_fd(guest), SHUT_RDWR), 0);
	assert_fails(peal_send(peal_tx(host), "x", 1, 0, PEAL_TRY), EPIPE, "consumer is gone");
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

START_TEST(trying_learns_of_a_close_that_eventfds_do_not_tell)
{
	struct peal_channel *host = make(config(1, 4096, 4096)), *guest = pair_attach_here(host);
	struct peal_record record;

	ck_assert_int_eq(peal_next_wait(peal_rx(host), &record, PEAL_TRY), -EAGAIN);
	peal_channel_close(guest);
	ck_assert_int_eq(peal_next_wait(peal_rx(host), &record, PEAL_TRY), -EPIPE);
	ck_assert_int_eq(peal_channel_peer(host), PEAL_PEER_CLOSED);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_peer_that_closes_while_we_ask_is_not_called_dead)
{
	struct peal_channel *host = make(config(0, 4096, 4096)), *guest = pair_attach_here(host);

	ck_assert_int_eq(peal_channel_peer(host), PEAL_PEER_ATTACHED);
	to_close = &guest;
	ck_assert_int_eq(peal_channel_peer(host), PEAL_PEER_CLOSED);
	ck_assert_ptr_null(guest);
	peal_channel_close(host);
}
END_TEST

/* --- Watching a process ---------------------------------------------------------------------- */

/* A process that lives until @go has no writer any more. */
static pid_t start_child(int *pidfd, const int go[2])
{
	char byte;
	pid_t pid = fork();

	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) == 0 ? 5 : 6);
	}
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(*pidfd, 0);
	return pid;
}

START_TEST(watching_a_process_is_a_question_only)
{
	struct peal_channel *host = make(config(0, 4096, 4096));
	struct pollfd end;
	int go[2], pidfd, status;
	pid_t pid;

	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	pid = start_child(&pidfd, go);
	assert_ok(peal_channel_watch(host, pidfd)); /* it runs: nobody waits for its end */
	assert_ok(peal_channel_watch(host, pidfd)); /* the first copy goes */
	ck_assert_int_ne(peal_channel_peer_fd(host), pidfd);
	ck_assert_int_eq(fcntl(peal_channel_peer_fd(host), F_GETFD), FD_CLOEXEC);
	close(go[0]);
	close(go[1]);
	end = (struct pollfd){.fd = pidfd, .events = POLLIN};
	ck_assert_int_eq(poll(&end, 1, -1), 1);
	assert_ok(peal_channel_watch(host, pidfd)); /* it has ended: its status stays */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(pidfd);
	peal_channel_close(host);
}
END_TEST

START_TEST(a_pidfd_that_can_not_be_kept_is_an_error)
{
	struct peal_channel *host = make(config(0, 4096, 4096));
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)pidfd + 1, limit.rlim_max}), 0);
	assert_fails(peal_channel_watch(host, pidfd), EMFILE, "keeping the peer's pidfd");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(peal_channel_peer_fd(host), -1);
	close(pidfd);
	peal_channel_close(host);
}
END_TEST

/* --- After fork ------------------------------------------------------------------------------ */

/* Which of them does not hold in the child? 0: all do. */
static int wiped(struct peal_channel *host)
{
	struct peal_side_stats own = {.tx.capacity = 9}, peer = {.tx.capacity = 9};
	struct peal_guest_fds fds;

	if (peal_channel_peer_fd(host) != -1 || peal_channel_watch(host, 0) != -EBADFD)
		return 1;
	if (peal_channel_peer(host) != PEAL_PEER_ABSENT)
		return 2;
	if (peal_channel_guest_fds(host, &fds) != -EBADFD)
		return 3;
	peal_channel_stats(host, &own, &peer);
	if (own.tx.capacity != 0 || peer.tx.capacity != 0)
		return 4;
	if (!peal_tx(host) || !peal_rx(host) || peal_tx_fd(host) != -1 || peal_rx_fd(host) != -1)
		return 5;
	peal_channel_close_guest_end(host);
	peal_channel_close(host);
	return fcntl(STDIN_FILENO, F_GETFD) < 0 ? 6 : 0; /* what zeros name */
}

START_TEST(a_channel_wiped_by_fork_names_nothing)
{
	struct peal_channel *host = make(config(0, 4096, 4096));
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(wiped(host));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "status %#x", (unsigned int)status);
	peal_channel_stats(host, NULL, NULL); /* nobody wants them */
	peal_channel_close(host);
}
END_TEST

int main(void)
{
	return harness_main("edges",
			    (struct harness_case[]){
				    {a_channel_of_one_ring_has_no_other_end, 4},
				    {a_fence_is_left_out_only_where_both_promised_membarrier, 4},
				    {who_can_not_register_promises_no_membarrier, 0},
				    {the_longest_spin_is_what_was_asked_for, 0},
				    {with_one_processor_nobody_spins, 0},
				    {a_bell_for_which_there_is_no_memory_is_tried_again, 2},
				    {the_bell_of_attaching_is_tried_again_too, 0},
				    {a_host_that_is_gone_is_told_by_the_first_wait, 2},
				    {attaching_without_a_bell_fails, 2},
				    {a_bell_that_can_not_be_rung_is_an_error_in_the_end, 0},
				    {a_bell_that_can_not_be_drained_is_an_error, 0},
				    {a_consumer_that_no_longer_listens_is_gone, 0},
				    {trying_learns_of_a_close_that_eventfds_do_not_tell, 0},
				    {a_peer_that_closes_while_we_ask_is_not_called_dead, 0},
				    {watching_a_process_is_a_question_only, 0},
				    {a_pidfd_that_can_not_be_kept_is_an_error, 0},
				    {a_channel_wiped_by_fork_names_nothing, 0},
				    HARNESS_END,
			    });
}
