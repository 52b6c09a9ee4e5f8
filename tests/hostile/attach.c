/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/attach.h"

struct host host;

void accounts_open(void)
{
	host = (struct host){.way = BY_WAIT};
	host_open_accounts(&host);
}

void accounts_close(void)
{
	host_close_accounts(&host);
}

void open_channel(struct peal_channel **channel, struct peal_guest_fds *fds)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = RING_BYTES, .to_host = RING_BYTES};

	assert_ok(peal_channel_create(channel, &options));
	assert_ok(peal_channel_guest_fds(*channel, fds));
}

/* In the child, before exec. */
static int inherit(void *fd)
{
	return fcntl(*(int *)fd, F_SETFD, 0) < 0 ? -errno : 0;
}

/* A guest with these descriptors; it says what came of attaching. */
const struct account *attach(const struct peal_guest_fds *fds, char *const extra[],
			     const struct peal_rlimit *limit)
{
	struct peal_spawn_options how = {
		.size = sizeof(how),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT,
		.rlimits = limit,
		.rlimit_count = limit != NULL,
		.pre_exec = inherit,
		.pre_exec_data = &host.accounts_fd,
	};
	struct peal_spawn_fd inherited[8] = {{PEAL_SEGMENT_ARG, fds->host_segment},
					     {PEAL_SEGMENT_ARG, fds->guest_segment}};
	struct account *account = &host.accounts[1];
	char fd[16],
		*argv[16] = {harness_helper("hostile-guest"), strdupa("attach"), fd, strdupa("1")};
	struct peal_child *child;
	size_t count = 2, words = 4;

	for (unsigned int i = 0; i < fds->doorbell_count; i++)
		inherited[count++] = (struct peal_spawn_fd){PEAL_DOORBELL_ARG, fds->doorbells[i]};
	while (extra && extra[words - 4]) {
		argv[words] = extra[words - 4];
		words++;
	}
	snprintf(fd, sizeof(fd), "%d", host.accounts_fd);
	*account = (struct account){.results = {77}};
	assert_ok(peal_spawn_fds(&child, argv, inherited, count, &how));
	while (!account_is(&account->done) && peal_child_wait(child, PEAL_TRY, NULL) == -EAGAIN)
		usleep(100);
	peal_child_free(child);
	totals->values++;
	return account;
}

void expect(const struct account *account, const char *what, int error, const char *words)
{
	ck_assert_msg(account->failed == 0, "%s: line %u of the guest", what, account->failed);
	ck_assert_msg(account->results[0] == -error, "%s: %d, expected %d (%s)", what,
		      account->results[0], -error, account->words);
	ck_assert_msg(strstr(account->words, words), "%s: the guest says \"%s\", expected \"%s\"",
		      what, account->words, words);
}

int attach_main(const char *name, const struct harness_case *cases)
{
	int rc = totals_open();

	if (rc != 0)
		return rc;
	rc = harness_main(name, cases);
	totals_print("%llu guests offered what was wrong, or unwilling\n", totals->values);
	return rc;
}
