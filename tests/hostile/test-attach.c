/* SPDX-License-Identifier: MIT */
/*
 * Promises about attaching: a command line that lies is refused with everything left as it was; a
 * guest that will not attach harms no host; of several, one is the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/attach.h"

/* --- T24: a command line that lies ----------------------------------------------------------- */

START_TEST(a_command_line_that_lies_is_refused)
{
	static const struct {
		const char *words[2];
		int error;
		const char *sentence;
	} lies[] = {
		{{"--doorbell-fd="}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=+7"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=-1"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd= 7"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=7 "}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=0x7"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=7x"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd=99999999999999999999"}, ERANGE, "too large"},
		{{"--doorbell-fd=2147483648"}, ERANGE, "too large"},
		{{"--doorbell-fd=0"}, EINVAL, "standard stream"},
		{{"--doorbell-fd=1"}, EINVAL, "standard stream"},
		{{"--doorbell-fd=2"}, EINVAL, "standard stream"},
		{{"--doorbell-fd=200"}, EBADF, "not open"},
		{{"--doorbell-fd", "x"}, EINVAL, "not a descriptor number"},
		{{"--doorbell-fd"}, EINVAL, "not a descriptor number"}, /* takes the next word */
		{{"--segment-fd=200"}, EBADF, "not open"},
		{{"--segment-fd="}, EINVAL, "not a descriptor number"},
		{{"--host-pidfd=-1"}, EINVAL, "not a descriptor number"},
	};

	accounts_open();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		char *extra[] = {(char *)(uintptr_t)lies[i].words[0],
				 (char *)(uintptr_t)lies[i].words[1], NULL};
		struct peal_channel *channel;
		struct peal_guest_fds fds;

		open_channel(&channel, &fds);
		expect(attach(&fds, extra, NULL), lies[i].words[0], lies[i].error,
		       lies[i].sentence);
		/* Nothing was taken: an honest guest still can. */
		expect(attach(&fds, NULL, NULL), "afterwards", 0, "");
		peal_channel_close(channel);
	}
	accounts_close();
}
END_TEST

START_TEST(descriptors_of_the_wrong_kind_or_number_are_refused)
{
	char twice[32], *extra[] = {twice, NULL};
	struct peal_channel *channel;
	struct peal_guest_fds fds, wrong;

	accounts_open();
	open_channel(&channel, &fds);
	snprintf(twice, sizeof(twice), "--doorbell-fd=%d", fds.doorbells[0]);
	expect(attach(&fds, extra, NULL), "twice the same", EINVAL, "was given before");
	snprintf(twice, sizeof(twice), "--segment-fd=%d", fds.doorbells[0]);
	expect(attach(&fds, extra, NULL), "a doorbell as a segment", EINVAL, "was given before");
	wrong = fds;
	wrong.doorbell_count = 1;
	expect(attach(&wrong, NULL, NULL), "one doorbell", EINVAL, "this channel has 2");
	wrong = fds;
	wrong.doorbells[1] = eventfd(0, EFD_CLOEXEC);
	expect(attach(&wrong, NULL, NULL), "an eventfd", ENOTSOCK, "no doorbell");
	close(wrong.doorbells[1]);
	wrong.doorbells[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	expect(attach(&wrong, NULL, NULL), "a datagram socket", EPROTOTYPE, "Unix stream socket");
	close(wrong.doorbells[1]);
	wrong.doorbells[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(attach(&wrong, NULL, NULL), "an unconnected one", ENOTCONN, "not connected");
	close(wrong.doorbells[1]);
	wrong = (struct peal_guest_fds){.host_segment = fds.guest_segment,
					.guest_segment = fds.host_segment,
					.doorbells = {fds.doorbells[0], fds.doorbells[1]},
					.doorbell_count = 2};
	expect(attach(&wrong, NULL, NULL), "exchanged", EPERM, "not sealed by its writer");
	expect(attach(&fds, NULL, NULL), "the right ones", 0, "");
	/* T8: that one was the guest. */
	expect(attach(&fds, NULL, NULL), "a second guest", EBUSY, "has its writer already");
	peal_channel_close(channel);
	accounts_close();
}
END_TEST

/* --- T6: no memory --------------------------------------------------------------------------- */

START_TEST(a_guest_without_memory_or_descriptors_says_so)
{
	const struct peal_rlimit memory = {RLIMIT_AS, {64 << 20, 64 << 20}};
	const struct peal_rlimit none = {RLIMIT_FSIZE, {0, 0}};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 64 << 20, .to_host = RING_BYTES};
	struct peal_channel *channel;
	struct peal_guest_fds fds;

	accounts_open();
	assert_ok(peal_channel_create(&channel, &options));
	assert_ok(peal_channel_guest_fds(channel, &fds));
	expect(attach(&fds, NULL, &memory), "address space", ENOMEM, "mapping a segment");
	/* It makes no file larger, so this limit is none for it. */
	expect(attach(&fds, NULL, &none), "file size", 0, "");
	peal_channel_close(channel);
	accounts_close();
}
END_TEST

/* --- T7, T8: a guest that will not, or two ---------------------------------------------------- */

START_TEST(a_guest_that_refuses_or_reseals_is_told_from_one_that_attached)
{
	static const struct {
		const char *mode;
		uint64_t version;
		int error;
		const char *words;
	} guests[] = {
		{"refuse", 7, EPROTONOSUPPORT, "its layout version is 7, this host's is 1"},
		{"refuse", UINT32_MAX, EPROTONOSUPPORT, "its layout version is 4294967295"},
		{"refuse", 1, EPROTONOSUPPORT, "it lacks a feature"},
		{"reseal", 0, EPIPE, "exited with status 77 before it attached"},
	};

	accounts_open();
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
		struct lane lane = {0};

		host.accounts[1] = (struct account){.value = guests[i].version};
		lane_start(&lane, &host, 1, guests[i].mode, false, false);
		assert_fails(peal_child_wait_ready(lane.child, lane.channel, PEAL_FOREVER),
			     guests[i].error, guests[i].words);
		peal_channel_close(lane.channel);
		peal_child_free(lane.child);
		ck_assert_uint_eq(host.accounts[1].failed, 0);
		totals->values++;
	}
	accounts_close();
}
END_TEST

#define RACES 100

START_TEST(of_two_that_attach_at_once_one_is_the_guest)
{
	int first = 0;

	accounts_open();
	for (int i = 0; i < RACES; i++) {
		struct account *account = &host.accounts[1];
		struct lane lane = {0};

		*account = (struct account){0};
		lane_start(&lane, &host, 1, "race", false, false);
		while (!account_is(&account->done))
			usleep(50);
		ck_assert_uint_eq(account->failed, 0);
		ck_assert_msg((account->results[0] == 0 && account->results[1] == -EBUSY) ||
				      (account->results[0] == -EBUSY && account->results[1] == 0),
			      "%d and %d (%s)", account->results[0], account->results[1],
			      account->words);
		first += account->results[0] == 0;
		assert_ok(peal_channel_wait_ready(lane.channel, PEAL_FOREVER));
		peal_channel_close(lane.channel);
		peal_child_free(lane.child);
		totals->values++;
	}
	printf("# hostile: %d races to attach, the parent won %d\n", RACES, first);
	accounts_close();
}
END_TEST

int main(void)
{
	return attach_main(
		"hostile-attach",
		(struct harness_case[]){
			{a_command_line_that_lies_is_refused, 0},
			{descriptors_of_the_wrong_kind_or_number_are_refused, 0},
			{a_guest_without_memory_or_descriptors_says_so, 0},
			{a_guest_that_refuses_or_reseals_is_told_from_one_that_attached, 0},
			{of_two_that_attach_at_once_one_is_the_guest, 0},
			HARNESS_END,
		});
}
