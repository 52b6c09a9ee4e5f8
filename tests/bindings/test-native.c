/* SPDX-License-Identifier: MIT */
/*
 * Guests in Python against a host in C: one without the library, which shows that docs/layout.md is
 * enough to write one, and one with the binding.
 *
 * usage: test-native WITHOUT-LIBRARY WITH-BINDING
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "ipc/ipc.h"

static char *without_library, *with_binding;

struct life {
	struct peal_channel *channel;
	struct peal_child *child;
};

static struct life start(char *script, int index)
{
	struct peal_channel_options options = config(index, 4096, 4096);
	char *argv[] = {script, NULL};
	struct life life;

	assert_ok(peal_channel_create(&life.channel, &options));
	assert_ok(peal_spawn(&life.child, life.channel, argv, NULL));
	assert_ok(peal_child_wait_ready(life.child, life.channel, PEAL_FOREVER));
	return life;
}

static void end(struct life *life)
{
	struct peal_child_status status;

	peal_channel_close(life->channel);
	assert_ok(peal_child_wait(life->child, PEAL_FOREVER, &status));
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
	peal_child_free(life->child);
}

static void expect(struct peal_consumer *rx, uint64_t i, size_t max)
{
	static unsigned char buffer[4096];
	uint16_t type;

	ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), &type, PEAL_FOREVER),
			 (int64_t)stream_size(i, max));
	ck_assert(type == (uint16_t)i && stream_is(buffer, stream_size(i, max), i));
}

START_TEST(a_guest_without_the_library_echoes_every_record)
{
	struct life life = start(without_library, _i);

	for (uint64_t i = 0; i < 1000; i++) {
		assert_ok(stream_send(peal_tx(life.channel), i, i + 1, 3000, 1));
		expect(peal_rx(life.channel), i, 3000);
	}
	end(&life);
}
END_TEST

/* Both rings full again and again, so that the guest sleeps for room as well. */
START_TEST(a_guest_without_the_library_sleeps_for_room)
{
	struct life life = start(without_library, _i);
	uint64_t sent = 0, got = 0;
	void *payload;

	while (got < 3000) {
		while (sent < 3000 && peal_reserve(peal_tx(life.channel), 200, &payload) == 0) {
			stream_fill(payload, stream_size(sent, 200), sent);
			assert_ok(peal_commit(peal_tx(life.channel), stream_size(sent, 200),
					      (uint16_t)sent));
			sent++;
		}
		/* At least one is on its way, or in a ring. */
		expect(peal_rx(life.channel), got++, 200);
	}
	end(&life);
}
END_TEST

START_TEST(a_guest_without_the_library_hears_that_the_host_has_closed)
{
	struct life life = start(without_library, _i);

	end(&life);
}
END_TEST

START_TEST(a_guest_of_the_python_binding_echoes_every_record)
{
	struct life life = start(with_binding, _i);

	for (uint64_t i = 0; i < 500; i++) {
		assert_ok(stream_send(peal_tx(life.channel), i, i + 1, 3000, 1));
		expect(peal_rx(life.channel), i, 3000);
	}
	end(&life);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	without_library = argv[1];
	with_binding = argv[2];
	return harness_main(
		"native",
		(const struct harness_case[]){
			{a_guest_without_the_library_echoes_every_record, CONFIGS},
			{a_guest_without_the_library_sleeps_for_room, CONFIGS},
			{a_guest_without_the_library_hears_that_the_host_has_closed, CONFIGS},
			{a_guest_of_the_python_binding_echoes_every_record, CONFIGS},
			HARNESS_END,
		});
}
