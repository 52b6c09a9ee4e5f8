/* SPDX-License-Identifier: MIT */
/*
 * Promises to a guest behind a seccomp filter: over sockets, send, recv and ppoll are all that Peal
 * calls after attaching; read and write in place of the first two over eventfds; membarrier on top
 * if it is not told to do without. Any other call kills the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "sandbox/sandbox.h"

/* Without membarrier and with; with sockets, and with eventfds. */
#define SOCKET_CONFIGS 2
#define FILTER_CONFIGS 4

static struct sandbox configure(int index)
{
	static char cage[64];

	/* A spin ends by the clock. Where that is no system call, the filter does not know it. */
	snprintf(cage, sizeof(cage), "filter%s%s%s", index & 1 ? "+membarrier" : "",
		 index & 2 ? "+eventfd" : "", sandbox_clock_is_a_call() ? "+clock" : "");
	return (struct sandbox){
		.cage = cage,
		.doorbell = index & 2 ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
	};
}

static struct sandbox start(int index, const char *mode)
{
	struct sandbox sandbox = configure(index);

	sandbox_start(&sandbox, mode, 0);
	return sandbox;
}

START_TEST(a_filtered_guest_streams_both_ways)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_stream(&sandbox, 5000);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_filtered_guest_sleeps_and_is_woken_and_wakes)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_ping_pong(&sandbox, 500);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_filtered_guest_sleeps_for_room)
{
	struct sandbox sandbox = start(_i, "echo");

	sandbox_back_pressure(&sandbox);
	sandbox_finish(&sandbox);
}
END_TEST

/* Nobody may have to allow restart_syscall(2). */
START_TEST(a_filtered_guest_may_be_stopped_in_its_sleep)
{
	struct sandbox sandbox = start(_i, "echo");
	siginfo_t info;

	sandbox_await_hungry(&sandbox, 0);
	for (int i = 0; i < 20; i++) {
		assert_ok(peal_child_kill(sandbox.child, SIGSTOP));
		ck_assert_int_eq(
			waitid(P_PID, (id_t)peal_child_pid(sandbox.child), &info, WSTOPPED), 0);
		assert_ok(peal_child_kill(sandbox.child, SIGCONT));
	}
	sandbox_stream(&sandbox, 10);
	sandbox_finish(&sandbox);
}
END_TEST

/* Its first error is told in the cage, where it can get no memory any more. */
START_TEST(a_filtered_guest_may_be_loaded_at_run_time)
{
	struct sandbox sandbox = configure(_i);

	sandbox.is_loaded = true;
	sandbox_start(&sandbox, "wait", 0);
	sandbox_await_hungry(&sandbox, 0);
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(a_filtered_guest_learns_that_the_host_closed)
{
	struct sandbox sandbox = start(_i, "wait");

	sandbox_await_hungry(&sandbox, 0);
	sandbox_finish(&sandbox);
	sandbox = start(_i, "wait-space");
	sandbox_await_full(&sandbox, 0);
	sandbox_finish(&sandbox);
}
END_TEST

static void await_hungry(struct sandbox *sandbox)
{
	sandbox_await_hungry(sandbox, 0);
}

static void await_full(struct sandbox *sandbox)
{
	sandbox_await_full(sandbox, 0);
}

START_TEST(a_filtered_guest_learns_that_the_host_died)
{
	struct sandbox sandbox = configure(_i);

	ck_assert_int_eq(sandbox_orphan(&sandbox, "wait", await_hungry), 0);
	ck_assert_int_eq(sandbox_orphan(&sandbox, "wait-space", await_full), 0);
}
END_TEST

START_TEST(what_the_filter_forbids_ends_the_guest)
{
	static const long calls[] = {
		SYS_openat, SYS_close,  SYS_mmap,  SYS_mprotect, SYS_socket,  SYS_ptrace,
		SYS_kill,   SYS_tgkill, SYS_clone, SYS_execve,   SYS_read,    SYS_prctl,
		SYS_ioctl,  SYS_fcntl,  SYS_write, SYS_recvmsg,  SYS_sendmsg, SYS_sched_yield};
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
		ck_assert_int_eq(status.value, SIGSYS);
	}
}
END_TEST

/* A guest that said it would use membarrier needs it; the filter of the other one does bite. */
START_TEST(membarrier_is_called_only_if_it_was_promised)
{
	struct sandbox sandbox = configure(0);
	struct peal_child_status status;

	sandbox_start(&sandbox, "cheat", SYS_membarrier);
	assert_ok(peal_send(peal_tx(sandbox.channel), NULL, 0, 0, PEAL_FOREVER));
	status = sandbox_end(&sandbox);
	ck_assert_int_eq(status.state, PEAL_CHILD_KILLED);
	ck_assert_int_eq(status.value, SIGSYS);
	sandbox = configure(1);
	sandbox_start(&sandbox, "cheat", SYS_membarrier);
	assert_ok(peal_send(peal_tx(sandbox.channel), NULL, 0, 0, PEAL_FOREVER));
	sandbox_finish(&sandbox);
}
END_TEST

START_TEST(want_of_memory_needs_no_other_call)
{
	struct sandbox sandbox = configure(0);
	struct peal_child_status status;

	sandbox_start(&sandbox, "no-memory", 0);
	ck_assert_int_eq(peal_arm_data(peal_rx(sandbox.channel)), 0);
	assert_ok(peal_send(peal_tx(sandbox.channel), NULL, 0, 0, PEAL_FOREVER));
	status = sandbox_end(&sandbox);
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
}
END_TEST

int main(void)
{
	return harness_main(
		"filter", (struct harness_case[]){
				  {a_filtered_guest_streams_both_ways, FILTER_CONFIGS},
				  {a_filtered_guest_sleeps_and_is_woken_and_wakes, FILTER_CONFIGS},
				  {a_filtered_guest_sleeps_for_room, FILTER_CONFIGS},
				  {a_filtered_guest_may_be_stopped_in_its_sleep, FILTER_CONFIGS},
				  {a_filtered_guest_learns_that_the_host_closed, FILTER_CONFIGS},
				  {a_filtered_guest_may_be_loaded_at_run_time, FILTER_CONFIGS},
				  {a_filtered_guest_learns_that_the_host_died, FILTER_CONFIGS},
				  {what_the_filter_forbids_ends_the_guest, SOCKET_CONFIGS},
				  {membarrier_is_called_only_if_it_was_promised, 0},
				  {want_of_memory_needs_no_other_call, 0},
				  HARNESS_END,
			  });
}
