/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>

#include "harness.h"
#include "ipc/pair.h"

struct pair pair_start(const struct peal_channel_options *options, const char *mode, const char *a,
		       const char *b, const char *c)
{
	char *argv[] = {
		harness_helper("guest"), strdupa(mode), strdupa(a), strdupa(b), strdupa(c), NULL};
	struct pair pair;

	assert_ok(peal_channel_create(&pair.channel, options));
	assert_ok(peal_spawn(&pair.child, pair.channel, argv, NULL));
	assert_ok(peal_child_wait_ready(pair.child, pair.channel, PEAL_FOREVER));
	return pair;
}

void pair_finish(struct pair *pair)
{
	struct peal_child_status status;

	pair->channel = peal_channel_close(pair->channel);
	assert_ok(peal_child_wait(pair->child, PEAL_FOREVER, &status));
	ck_assert_int_eq(status.state, PEAL_CHILD_EXITED);
	ck_assert_int_eq(status.value, 0);
	pair->child = peal_child_free(pair->child);
}

void pair_kill(struct pair *pair)
{
	pair->channel = peal_channel_close(pair->channel);
	pair->child = peal_child_free(pair->child);
}

struct peal_guest_fds pair_copy_fds(const struct peal_guest_fds *fds)
{
	struct peal_guest_fds copy = *fds;

	copy.host_segment = fcntl(fds->host_segment, F_DUPFD_CLOEXEC, 3);
	copy.guest_segment = fcntl(fds->guest_segment, F_DUPFD_CLOEXEC, 3);
	copy.host_pidfd = fcntl(fds->host_pidfd, F_DUPFD_CLOEXEC, 3);
	for (unsigned int i = 0; i < fds->doorbell_count; i++)
		copy.doorbells[i] = fcntl(fds->doorbells[i], F_DUPFD_CLOEXEC, 3);
	return copy;
}

struct peal_channel *pair_attach_here(struct peal_channel *host)
{
	struct peal_guest_fds fds, copy;
	struct peal_channel *guest;

	assert_ok(peal_channel_guest_fds(host, &fds));
	copy = pair_copy_fds(&fds);
	assert_ok(peal_attach_fds(&guest, &copy, NULL));
	peal_channel_close_guest_end(host);
	assert_ok(peal_channel_wait_ready(host, PEAL_FOREVER));
	return guest;
}
