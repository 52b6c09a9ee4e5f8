/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cage.h"
#include "harness.h"
#include "ipc/ipc.h"
#include "sandbox/sandbox.h"

#define SIZE_MAX_BYTES 300

void sandbox_start(struct sandbox *sandbox, const char *mode, long number)
{
	static const struct peal_rlimit no_core = {RLIMIT_CORE, {0, 0}};
	const struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = PEAL_SPAWN_NO_NEW_PRIVS | sandbox->tie,
		.rlimits = &no_core,
		.rlimit_count = 1,
	};
	const struct peal_channel_options channel_options = {
		.size = sizeof(channel_options),
		.to_guest = 4096,
		.to_host = 4096,
		.doorbell = (uint32_t)sandbox->doorbell,
		.spin_max_us = PEAL_SPIN_NEVER,
		.name = "test",
	};
	char text[24];
	/* A loaded guest has the loader in front. */
	char *argv[] = {
		strdupa(harness_helper("sandbox-loader")),
		strdupa(harness_helper(sandbox->is_loaded ? "sandbox-module.so" : "sandbox-guest")),
		strdupa(sandbox->cage),
		strdupa(mode),
		text,
		NULL};

	snprintf(text, sizeof(text), "%ld", number);
	assert_ok(peal_channel_create(&sandbox->channel, &channel_options));
	assert_ok(peal_spawn(&sandbox->child, sandbox->channel,
			     sandbox->is_loaded ? argv : argv + 1, &options));
	assert_ok(peal_child_wait_ready(sandbox->child, sandbox->channel, PEAL_FOREVER));
}

struct peal_child_status sandbox_end(struct sandbox *sandbox)
{
	struct peal_child_status status;

	assert_ok(peal_child_wait(sandbox->child, PEAL_FOREVER, &status));
	sandbox->channel = peal_channel_close(sandbox->channel);
	sandbox->child = peal_child_free(sandbox->child);
	return status;
}

static void is_content(struct peal_child_status status)
{
	ck_assert_msg(status.state == PEAL_CHILD_EXITED && status.value == 0,
		      "the guest was not content: %s %d",
		      status.state == PEAL_CHILD_KILLED ? "signal" : "status", status.value);
}

void sandbox_finish(struct sandbox *sandbox)
{
	struct peal_child_status status;

	sandbox->channel = peal_channel_close(sandbox->channel);
	assert_ok(peal_child_wait(sandbox->child, PEAL_FOREVER, &status));
	sandbox->child = peal_child_free(sandbox->child);
	is_content(status);
}

/* --- What the guest does -------------------------------------------------------------------- */

static struct peal_side_stats guest_stats(const struct sandbox *sandbox)
{
	struct peal_side_stats guest;

	peal_channel_stats(sandbox->channel, NULL, &guest);
	return guest;
}

/* One that has died does not go to sleep any more. */
static void still_there(struct sandbox *sandbox)
{
	char text[256];

	ck_assert_msg(peal_child_wait(sandbox->child, PEAL_TRY, NULL) == -EAGAIN, "%s",
		      peal_child_describe(sandbox->child, text, sizeof(text)));
	sched_yield();
}

void sandbox_await_hungry(struct sandbox *sandbox, uint64_t times)
{
	while (guest_stats(sandbox).rx.sleeps <= times)
		still_there(sandbox);
}

void sandbox_await_full(struct sandbox *sandbox, uint64_t times)
{
	while (guest_stats(sandbox).tx.sleeps <= times)
		still_there(sandbox);
}

struct sender {
	struct peal_producer *tx;
	uint64_t count;
	int rc;
};

static void *send_all(void *data)
{
	struct sender *sender = data;

	sender->rc = stream_send(sender->tx, 0, sender->count, SIZE_MAX_BYTES, 1);
	return NULL;
}

void sandbox_stream(struct sandbox *sandbox, uint64_t count)
{
	struct sender sender = {peal_tx(sandbox->channel), count, 0};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, send_all, &sender), 0);
	assert_ok(stream_receive(peal_rx(sandbox->channel), 0, count, SIZE_MAX_BYTES, 0));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(sender.rc);
}

void sandbox_ping_pong(struct sandbox *sandbox, unsigned int rounds)
{
	struct peal_consumer *rx = peal_rx(sandbox->channel);
	struct pollfd bell = {.fd = peal_rx_fd(sandbox->channel), .events = POLLIN};
	uint64_t woken = guest_stats(sandbox).tx.wakes, back = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		sandbox_await_hungry(sandbox, i);
		/* The bell of attaching. */
		assert_ok(peal_disarm_data(rx));
		/* Asleep, for all that the guest can know, before there is a question. */
		ck_assert_int_eq(peal_arm_data(rx), 0);
		assert_ok(peal_send(peal_tx(sandbox->channel), &i, sizeof(i), 0, PEAL_FOREVER));
		ck_assert_int_eq(poll(&bell, 1, -1), 1);
		assert_ok(peal_disarm_data(rx));
		ck_assert_int_eq(peal_recv(rx, &back, sizeof(back), NULL, PEAL_TRY), sizeof(back));
		ck_assert_uint_eq(back, i);
	}
	/* It counts after it has rung. */
	while (guest_stats(sandbox).tx.wakes - woken < rounds)
		still_there(sandbox);
	ck_assert_uint_eq(guest_stats(sandbox).tx.wakes - woken, rounds);
}

void sandbox_back_pressure(struct sandbox *sandbox)
{
	uint64_t sent = 0, back = 0;
	int rc;

	while (guest_stats(sandbox).tx.sleeps == 0) {
		rc = peal_send(peal_tx(sandbox->channel), &sent, sizeof(sent), 0, PEAL_TRY);
		ck_assert_msg(rc == 0 || rc == -EAGAIN, "%s", peal_strerror(rc));
		sent += rc == 0;
	}
	for (uint64_t i = 0; i < sent; i++) {
		ck_assert_int_eq(peal_recv(peal_rx(sandbox->channel), &back, sizeof(back), NULL,
					   PEAL_FOREVER),
				 sizeof(back));
		ck_assert_uint_eq(back, i);
	}
}

/* --- A host that dies ----------------------------------------------------------------------- */

int sandbox_orphan(const struct sandbox *sandbox, const char *mode,
		   void (*last_act)(struct sandbox *sandbox))
{
	pid_t *guest = mmap(NULL, sizeof(*guest), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t host;

	ck_assert_ptr_ne(guest, MAP_FAILED);
	/* The guest becomes our child when the host is gone. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	host = fork();
	if (host == 0) {
		struct sandbox doomed = *sandbox;

		sandbox_start(&doomed, mode, 0);
		*guest = peal_child_pid(doomed.child);
		last_act(&doomed);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(host, &status, 0), host);
	ck_assert_msg(WIFSIGNALED(status), "the host failed before it could be killed");
	kill(*guest, SIGCONT);
	ck_assert_int_eq(waitpid(*guest, &status, 0), *guest);
	munmap(guest, sizeof(*guest));
	return status;
}

/* --- What there is on this machine ---------------------------------------------------------- */

static bool ends_well(void (*attempt)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		attempt();
		syscall(SYS_exit, 1); /* it has not ended by itself */
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void be_strict(void)
{
	if (cage_enter(CAGE_STRICT, NULL) == 0)
		syscall(SYS_exit, 0);
}

static void read_the_clock(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (cage_enter(CAGE_FILTER, NULL) == 0 && peal_now_ns() > 0)
		_exit(0);
}

bool sandbox_can_be_strict(void)
{
	return ends_well(be_strict);
}

bool sandbox_clock_is_a_call(void)
{
	return !ends_well(read_the_clock);
}
