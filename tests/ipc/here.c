/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "channel/channel.h"
#include "harness.h"
#include "ipc/here.h"
#include "ipc/ipc.h"
#include "ipc/pair.h"

struct peal_poller *make_poller(uint32_t backend, int32_t spin_max_us)
{
	struct peal_poller_options options = {
		.size = sizeof(options), .backend = backend, .spin_max_us = spin_max_us};
	struct peal_poller *poller;
	int rc = peal_poller_create(&poller, &options);

	if (backend == PEAL_POLLER_IO_URING && (rc == -ENOSYS || rc == -EPERM))
		harness_skip("io_uring is not allowed here");
	assert_ok(rc);
	return poller;
}

void expect(struct peal_poller *poller, uint32_t kind, void *user)
{
	struct peal_event events[4];

	ck_assert_int_eq(peal_poller_wait(poller, events, 4, PEAL_FOREVER), 1);
	ck_assert_uint_eq(events[0].kind, kind);
	ck_assert_ptr_eq(events[0].user, user);
}

void expect_nothing(struct peal_poller *poller)
{
	struct peal_event event;

	ck_assert_int_eq(peal_poller_wait(poller, &event, 1, PEAL_TRY), -EAGAIN);
}

void open_here(struct here *here, int index, struct peal_poller *poller)
{
	struct peal_channel_options options = config(index & 3, 4096, 4096);

	assert_ok(peal_channel_create(&here->host, &options));
	here->guest = pair_attach_here(here->host);
	assert_ok(peal_poller_watch_data(poller, here->host, 0, here, &here->watch));
}

void close_here(struct here *here)
{
	peal_watch_remove(here->watch);
	peal_channel_close(here->host);
	peal_channel_close(here->guest);
}

void send_here(struct here *here)
{
	assert_ok(peal_send(peal_tx(here->guest), "12345678", 8, 0, PEAL_FOREVER));
}

void receive_here(struct here *here)
{
	char text[8];

	ck_assert_int_eq(peal_recv(peal_rx(here->host), text, 8, NULL, PEAL_TRY), 8);
}

void watch_anew(struct here *here, struct peal_poller *poller, unsigned int flags)
{
	peal_watch_remove(here->watch);
	assert_ok(peal_poller_watch_data(poller, here->host, flags, here, &here->watch));
}

int64_t bells_at(const struct here *here)
{
	return peal_doorbell_pending(&here->guest->bells[TO_GUEST].doorbell);
}

void owe_a_bell(struct here *here)
{
	struct peal_consumer *rx = peal_rx(here->guest);
	struct peal_record record;

	assert_ok(peal_disarm_data(rx));
	while (peal_next(rx, &record) == 1)
		assert_ok(peal_release(rx));
	ck_assert_int_eq(peal_arm_data(rx), 0);
	assert_ok(peal_send(peal_tx(here->host), "12345678", 8, 0, PEAL_TRY));
}

struct peal_child *start_child(void)
{
	char *argv[] = {strdupa("/bin/sleep"), strdupa("1000"), NULL};
	struct peal_child *child;

	assert_ok(peal_spawn_fds(&child, argv, NULL, 0, NULL));
	return child;
}

void end_child(struct peal_child *child)
{
	assert_ok(peal_child_kill(child, SIGKILL));
	assert_ok(peal_child_wait(child, PEAL_FOREVER, NULL));
}
