/* SPDX-License-Identifier: MIT */
/*
 * Promises to a guest under strict seccomp: read, write, exit and sigreturn are all that it has
 * left, and any other system call kills it. Reading the clock does so too (guest.c), as it does on
 * x86 wherever the kernel's own strict mode is on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doorbell/doorbell.h"
#include "harness.h"
#include "ipc/ipc.h"
#include "refuse.h"
#include "sandbox/sandbox.h"

/* Both cages of this kind, both doorbells. */
#define STRICT_CONFIGS 4

static struct sandbox configure(int index)
{
	if ((index & 1) == 0 && !sandbox_can_be_strict())
		harness_skip("strict seccomp is refused here: there is a filter already");
	return (struct sandbox){
		.cage = index & 1 ? "like-strict" : "strict",
		.doorbell = index & 2 ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
	};
}

static struct sandbox start(int index, const char *mode)
{
	struct sandbox sandbox = configure(index);

	sandbox_start(&sandbox, mode, 0);
	return sandbox;
}

START_TEST(a_strict_guest_streams_both_ways)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_stream(&sandbox, 5000);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_strict_guest_sleeps_and_is_woken_and_wakes)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_ping_pong(&sandbox, 500);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_strict_guest_sleeps_for_room)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_back_pressure(&sandbox);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_strict_guest_may_never_sleep)
{
	struct sandbox sandbox = start(_i, "echo-awake");
	struct peal_child_status status;
	struct peal_side_stats guest;

	sandbox_stream(&sandbox, 5000);
	peal_channel_stats(sandbox.channel, NULL, &guest);
	ck_assert_uint_eq(guest.rx.sleeps + guest.tx.sleeps, 0);
	assert_ok(peal_send(peal_tx(sandbox.channel), NULL, 0, 0xffff, PEAL_FOREVER));
	status = sandbox_end(&sandbox);
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
}
END_TEST

/* Its first error is told in the cage, where it can get no memory any more. */
START_TEST(a_strict_guest_may_be_loaded_at_run_time)
{
	struct sandbox sandbox = configure(_i);

	sandbox.is_loaded = true;
	sandbox_start(&sandbox, "wait", 0);
	sandbox_await_hungry(&sandbox, 0);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_strict_guest_learns_that_the_host_closed)
{
	struct sandbox sandbox = start(_i, "wait");

	sandbox_await_hungry(&sandbox, 0);
	sandbox_finish(&sandbox);
	sandbox = start(_i, "wait-space");
	sandbox_await_full(&sandbox, 0);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_strict_guest_says_good_bye)
{
	struct sandbox sandbox = start(_i, "close");
	struct peal_child_status status;
	struct peal_record record;

	ck_assert_int_eq(peal_recv(peal_rx(sandbox.channel), (char[3]){""}, 3, NULL, PEAL_FOREVER),
			 3);
	ck_assert_int_eq(peal_next_wait(peal_rx(sandbox.channel), &record, PEAL_FOREVER), -EPIPE);
	ck_assert_int_eq(peal_channel_peer(sandbox.channel), PEAL_PEER_CLOSED);
	status = sandbox_end(&sandbox);
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
}
END_TEST

START_TEST(a_deadline_in_a_strict_guest_is_refused_and_does_no_harm)
{
	struct sandbox sandbox = start(_i, "deadlines");

	sandbox_await_hungry(&sandbox, 1);
	sandbox_finish(&sandbox);
}
END_TEST

/* --- The end of the host, and of the guest -------------------------------------------------- */

static void await_hungry(struct sandbox *sandbox)
{
	sandbox_await_hungry(sandbox, 0);
}

static void await_full(struct sandbox *sandbox)
{
	sandbox_await_full(sandbox, 0);
}

START_TEST(a_strict_guest_behind_sockets_learns_that_the_host_died)
{
	struct sandbox sandbox = configure(_i);

	ck_assert_int_eq(sandbox_orphan(&sandbox, "wait", await_hungry), 0);
	ck_assert_int_eq(sandbox_orphan(&sandbox, "wait-space", await_full), 0);
}
END_TEST

START_TEST(a_strict_guest_behind_eventfds_can_die_with_its_host)
{
	struct sandbox sandbox = configure(_i | 2);
	int status;

	sandbox.tie = PEAL_SPAWN_DIE_WITH_PARENT;
	status = sandbox_orphan(&sandbox, "wait", await_hungry);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

/* A question, from a host that sleeps; when the guest sees it, the host is no more. */
static void ask_the_stopped(struct sandbox *sandbox)
{
	siginfo_t info;

	sandbox_await_hungry(sandbox, 0);
	assert_ok(peal_child_kill(sandbox->child, SIGSTOP));
	waitid(P_PID, (id_t)peal_child_pid(sandbox->child), &info, WSTOPPED | WNOWAIT);
	ck_assert_int_eq(peal_arm_data(peal_rx(sandbox->channel)), 0);
	assert_ok(peal_send(peal_tx(sandbox->channel), "?", 1, 0, PEAL_FOREVER));
}

START_TEST(ringing_a_dead_host_raises_no_signal)
{
	struct sandbox sandbox = configure(_i);

	/* The status, not SIGPIPE. */
	ck_assert_int_eq(sandbox_orphan(&sandbox, "answer", ask_the_stopped), 0);
}
END_TEST

START_TEST(what_strict_seccomp_forbids_ends_the_guest)
{
	static const long calls[] = {SYS_openat, SYS_close,  SYS_mmap,      SYS_socket,
				     SYS_ptrace, SYS_kill,   SYS_ppoll,     SYS_recvfrom,
				     SYS_sendto, SYS_execve, SYS_membarrier};
	struct peal_child_status status;
	struct peal_record record;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct sandbox sandbox = configure(_i);

		sandbox_start(&sandbox, "cheat", calls[i]);
		assert_ok(peal_send(peal_tx(sandbox.channel), NULL, 0, 0, PEAL_FOREVER));
		ck_assert_int_eq(peal_next_wait(peal_rx(sandbox.channel), &record, PEAL_FOREVER),
				 -EPIPE);
		ck_assert_int_eq(peal_channel_peer(sandbox.channel), PEAL_PEER_DEAD);
		status = sandbox_end(&sandbox);
		ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
		ck_assert_int_eq(status.value, _i & 1 ? SIGSYS : SIGKILL);
	}
}
END_TEST

/* --- What the kernel says ------------------------------------------------------------------- */

static int writes_to_interrupt, time_outs_to_refuse;

ssize_t write(int fd, const void *data, size_t size)
{
	if (writes_to_interrupt > 0) {
		writes_to_interrupt--;
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_write, fd, data, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	if (name == SO_SNDTIMEO && time_outs_to_refuse > 0) {
		time_outs_to_refuse--;
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

/* --- A plain end of a doorbell, by itself ---------------------------------------------------- */

static void open_plain(struct peal_doorbell *host, struct peal_doorbell *guest)
{
	struct peal_doorbell_handle handle;

	assert_ok(peal_doorbell_create(host, &handle));
	assert_ok(peal_doorbell_from_handle(guest, handle));
	assert_ok(peal_doorbell_make_plain(guest));
}

START_TEST(a_full_queue_coalesces_what_is_written)
{
	struct peal_doorbell host, guest;
	int sent = 0, rc;

	open_plain(&host, &guest);
	while ((rc = peal_doorbell_signal_plain(&guest)) == PEAL_SIGNAL_SENT)
		sent++;
	ck_assert_int_eq(rc, PEAL_SIGNAL_COALESCED);
	ck_assert_int_eq(peal_doorbell_pending(&host), sent);
	ck_assert_int_eq(peal_doorbell_wait(&host, PEAL_FOREVER), 0);
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(a_plain_wait_takes_what_is_there)
{
	struct peal_doorbell host, guest;

	open_plain(&host, &guest);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(peal_doorbell_signal(&host), PEAL_SIGNAL_SENT);
	ck_assert_int_eq(peal_doorbell_wait_plain(&guest), 0);
	ck_assert_int_eq(peal_doorbell_pending(&guest), 0);
	/* What was rung before the end comes before it, and the end stays. */
	ck_assert_int_eq(peal_doorbell_signal(&host), PEAL_SIGNAL_SENT);
	peal_doorbell_close(&host);
	ck_assert_int_eq(peal_doorbell_wait_plain(&guest), 0);
	assert_fails(peal_doorbell_wait_plain(&guest), EPIPE, "closed");
	ck_assert(peal_doorbell_is_dead(&guest));
	assert_fails(peal_doorbell_wait_plain(&guest), EPIPE, "closed");
	ck_assert_int_eq(peal_doorbell_signal_plain(&guest), PEAL_SIGNAL_PEER_DEAD);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(a_host_that_leaves_with_bells_unread_is_gone)
{
	struct peal_doorbell host, guest;

	open_plain(&host, &guest);
	ck_assert_int_eq(peal_doorbell_signal_plain(&guest), PEAL_SIGNAL_SENT);
	peal_doorbell_close(&host); /* ECONNRESET, and only then 0 */
	assert_fails(peal_doorbell_wait_plain(&guest), EPIPE, "closed");
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(a_host_that_only_stops_reading_is_gone_once_it_is_rung)
{
	struct peal_doorbell host, guest;

	signal(SIGPIPE, SIG_IGN); /* attaching would have blocked it */
	open_plain(&host, &guest);
	ck_assert_int_eq(shutdown(host.wait_fd, SHUT_RD), 0);
	ck_assert_int_eq(peal_doorbell_signal_plain(&guest), PEAL_SIGNAL_PEER_DEAD);
	/* Not a read that nothing would end. */
	assert_fails(peal_doorbell_wait_plain(&guest), EPIPE, "closed");
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

static void nothing(int signal)
{
	(void)signal;
}

struct interrupted {
	struct peal_doorbell *doorbell;
	pthread_t sleeper;
};

static void *interrupt_and_ring(void *data)
{
	struct interrupted *interrupted = data;

	for (int i = 0; i < 20; i++) {
		usleep(1000);
		pthread_kill(interrupted->sleeper, SIGUSR1);
	}
	peal_doorbell_signal(interrupted->doorbell);
	return NULL;
}

START_TEST(an_interrupted_plain_wait_goes_on)
{
	struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
	struct peal_doorbell host, guest;
	struct interrupted interrupted = {&host, pthread_self()};
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	open_plain(&host, &guest);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_and_ring, &interrupted), 0);
	ck_assert_int_eq(peal_doorbell_wait_plain(&guest), 0);
	pthread_join(thread, NULL);
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(an_interrupted_plain_ring_is_no_lost_bell)
{
	struct peal_doorbell host, guest;

	open_plain(&host, &guest);
	writes_to_interrupt = 3;
	ck_assert_int_eq(peal_doorbell_signal_plain(&guest), PEAL_SIGNAL_SENT);
	ck_assert_int_eq(writes_to_interrupt, 0);
	ck_assert_int_eq(peal_doorbell_pending(&host), 1);
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(a_plain_wait_that_fails_is_an_error_and_no_death)
{
	struct peal_doorbell host, guest;

	open_plain(&host, &guest);
	refuse(SYS_read, 0, (uint32_t)peal_doorbell_fd(&guest), EIO);
	assert_fails(peal_doorbell_wait_plain(&guest), EIO, "waiting at the doorbell");
	ck_assert(!peal_doorbell_is_dead(&guest));
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(a_plain_end_keeps_its_other_flags)
{
	struct peal_doorbell host, guest;
	struct peal_doorbell_handle handle;

	assert_ok(peal_doorbell_create(&host, &handle));
	assert_ok(peal_doorbell_from_handle(&guest, handle));
	ck_assert_int_eq(fcntl(peal_doorbell_fd(&guest), F_SETFL, O_NONBLOCK | O_APPEND), 0);
	assert_ok(peal_doorbell_make_plain(&guest));
	ck_assert_int_eq(fcntl(peal_doorbell_fd(&guest), F_GETFL) & (O_NONBLOCK | O_APPEND),
			 O_APPEND);
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

START_TEST(an_end_that_can_not_be_made_plain_is_an_error)
{
	static const int commands[] = {F_GETFL, F_SETFL};
	struct peal_doorbell host, guest;
	struct peal_doorbell_handle handle;

	assert_ok(peal_doorbell_create(&host, &handle));
	assert_ok(peal_doorbell_from_handle(&guest, handle));
	if (_i < 2)
		refuse(SYS_fcntl, 1, (uint32_t)commands[_i], EPERM);
	else
		time_outs_to_refuse = 1;
	assert_fails(peal_doorbell_make_plain(&guest), EPERM,
		     _i < 2 ? "O_NONBLOCK" : "SO_SNDTIMEO");
	peal_doorbell_close(&host);
	peal_doorbell_close(&guest);
}
END_TEST

/* --- Who may be plain ------------------------------------------------------------------------ */

START_TEST(a_host_can_not_be_strict)
{
	struct peal_channel_options options = config(0, 4096, 4096);
	struct peal_channel *channel;

	options.flags = PEAL_CHANNEL_STRICT;
	assert_fails(peal_channel_create(&channel, &options), EINVAL, "flags");
}
END_TEST

/* In this process, and in a child, as such a channel gives nothing back. */
static int refuses_when_strict(struct peal_channel *host)
{
	struct peal_attach_options options = {.size = sizeof(options),
					      .flags = PEAL_CHANNEL_STRICT};
	struct peal_guest_fds fds;
	struct peal_channel *guest;
	struct peal_poller *poller;

	options.spin_max_us = 50;
	if (peal_channel_guest_fds(host, &fds) < 0 ||
	    peal_attach_fds(&guest, &fds, &options) != -EINVAL ||
	    !strstr(peal_last_error(), "spin"))
		return 3;
	options.spin_max_us = PEAL_SPIN_NEVER;
	if (peal_attach_fds(&guest, &fds, &options) < 0 || peal_poller_create(&poller, NULL) < 0)
		return 2;
	return peal_poller_watch_data(poller, guest, 0, NULL, NULL) != -EINVAL ||
	       !strstr(peal_last_error(), "strict") ||
	       peal_poller_watch_space(poller, guest, 8, 0, NULL, NULL) != -EINVAL;
}

START_TEST(a_strict_channel_neither_spins_nor_is_polled)
{
	struct peal_channel_options options = config(_i, 4096, 4096);
	struct peal_channel *host;
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(peal_channel_create(&host, &options) < 0 ? 2 : refuses_when_strict(host));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* The first of two, and one of which the channel has one. */
static int attaches_when_strict(int index)
{
	struct peal_channel_options options = config(index, index < 2 ? 4096 : 0, 4096);
	struct peal_attach_options strict = {.size = sizeof(strict), .flags = PEAL_CHANNEL_STRICT};
	struct peal_channel *host, *guest;
	struct peal_guest_fds fds;

	if (peal_channel_create(&host, &options) < 0 || peal_channel_guest_fds(host, &fds) < 0)
		return 2;
	time_outs_to_refuse = index < 2 ? 1 : 0;
	if (index == 0)
		return peal_attach_fds(&guest, &fds, &strict) != -EPERM;
	return peal_attach_fds(&guest, &fds, &strict) != 0;
}

START_TEST(each_ring_that_there_is_is_made_plain)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(attaches_when_strict(_i));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(an_ordinary_guest_keeps_its_signals)
{
	struct peal_channel_options options = config(0, 4096, 4096);
	struct peal_channel *host, *guest;
	struct peal_guest_fds fds;
	sigset_t blocked;

	assert_ok(peal_channel_create(&host, &options));
	assert_ok(peal_channel_guest_fds(host, &fds));
	for (unsigned int i = 0; i < fds.doorbell_count; i++)
		fds.doorbells[i] = fcntl(fds.doorbells[i], F_DUPFD_CLOEXEC, 3);
	fds.host_segment = fcntl(fds.host_segment, F_DUPFD_CLOEXEC, 3);
	fds.guest_segment = fcntl(fds.guest_segment, F_DUPFD_CLOEXEC, 3);
	fds.host_pidfd = -1;
	assert_ok(peal_attach_fds(&guest, &fds, NULL));
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	ck_assert_int_eq(sigismember(&blocked, SIGPIPE), 0);
	/* And its ends do not block. */
	ck_assert_int_ne(fcntl(peal_rx_fd(guest), F_GETFL) & O_NONBLOCK, 0);
	peal_channel_close(guest);
	peal_channel_close(host);
}
END_TEST

int main(void)
{
	return harness_main(
		"strict",
		(struct harness_case[]){
			{a_strict_guest_streams_both_ways, STRICT_CONFIGS},
			{a_strict_guest_sleeps_and_is_woken_and_wakes, STRICT_CONFIGS},
			{a_strict_guest_sleeps_for_room, STRICT_CONFIGS},
			{a_strict_guest_may_never_sleep, STRICT_CONFIGS},
			{a_strict_guest_learns_that_the_host_closed, STRICT_CONFIGS},
			{a_strict_guest_may_be_loaded_at_run_time, STRICT_CONFIGS},
			{a_strict_guest_says_good_bye, STRICT_CONFIGS},
			{a_deadline_in_a_strict_guest_is_refused_and_does_no_harm, STRICT_CONFIGS},
			{a_strict_guest_behind_sockets_learns_that_the_host_died, 2},
			{a_strict_guest_behind_eventfds_can_die_with_its_host, 2},
			{ringing_a_dead_host_raises_no_signal, 2},
			{what_strict_seccomp_forbids_ends_the_guest, STRICT_CONFIGS},
			{a_full_queue_coalesces_what_is_written, 0},
			{a_plain_wait_takes_what_is_there, 0},
			{a_host_that_leaves_with_bells_unread_is_gone, 0},
			{a_host_that_only_stops_reading_is_gone_once_it_is_rung, 0},
			{an_interrupted_plain_wait_goes_on, 0},
			{an_interrupted_plain_ring_is_no_lost_bell, 0},
			{a_plain_wait_that_fails_is_an_error_and_no_death, 0},
			{a_plain_end_keeps_its_other_flags, 0},
			{an_end_that_can_not_be_made_plain_is_an_error, 3},
			{each_ring_that_there_is_is_made_plain, 4},
			{an_ordinary_guest_keeps_its_signals, 0},
			{a_host_can_not_be_strict, 0},
			{a_strict_channel_neither_spins_nor_is_polled, 2},
			HARNESS_END,
		});
}
