/* SPDX-License-Identifier: MIT */
/*
 * guest-life.c - attaching, forking, stopping, dying.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile/guest.h"
#include "ipc/ipc.h"

#define RECORDS_BEFORE 5

/* --- T5, T7, T8, T24: attaching -------------------------------------------------------------- */

#define FDS 256

static void identify(struct stat *files)
{
	for (int fd = 0; fd < FDS; fd++) {
		if (fstat(fd, &files[fd]) < 0)
			files[fd].st_ino = 0;
	}
}

/* Attach to what the command line names and tell how that went. Refused or not, nothing that is not
 * the library's is closed or exchanged. */
static int attach_only(void)
{
	static struct stat before[FDS], after[FDS];
	const int count = argument_count;
	int rc;

	identify(before);
	rc = peal_attach_args(&channel, &argument_count, arguments, NULL);
	account->results[0] = rc;
	snprintf(account->words, sizeof(account->words), "%s", rc < 0 ? peal_last_error() : "");
	identify(after);
	for (int fd = 0; rc < 0 && fd < FDS; fd++)
		must(before[fd].st_ino == after[fd].st_ino &&
		     before[fd].st_dev == after[fd].st_dev);
	must(rc == 0 || (argument_count == count && !channel));
	account_say(&account->done);
	return rc < 0 ? 1 : echo();
}

static void duplicate(struct peal_guest_fds *fds)
{
	const size_t length = strlen(PEAL_DOORBELL_ARG "=");

	*fds = (struct peal_guest_fds){
		.host_segment = fcntl(segments[HOST], F_DUPFD_CLOEXEC, 3),
		.guest_segment = fcntl(segments[GUEST], F_DUPFD_CLOEXEC, 3),
		.host_pidfd = -1,
	};
	for (int i = 1; i < argument_count; i++) {
		if (strncmp(arguments[i], PEAL_DOORBELL_ARG "=", length) == 0)
			fds->doorbells[fds->doorbell_count++] =
				fcntl(atoi(arguments[i] + length), F_DUPFD_CLOEXEC, 3);
	}
}

static struct peal_guest_fds second;

static int keep_second(void)
{
	duplicate(&second);
	return 0;
}

static void attach_again(void)
{
	struct peal_channel *again = NULL;

	account->results[0] = peal_attach_fds(&again, &second, NULL);
	must(account->results[0] == -EBUSY && !again);
	/* They are still ours. */
	must(fcntl(second.host_segment, F_GETFD) >= 0 && fcntl(second.guest_segment, F_GETFD) >= 0);
}

static int echo_and_attach_again(void)
{
	return echo_beside(attach_again);
}

/* Two processes attach at the same instant. The second of the two results is the child's. */
static int race(void)
{
	pid_t child = fork();
	uint32_t *ready = child == 0 ? &account->begun : &account->stop;
	uint32_t *other = child == 0 ? &account->stop : &account->begun;
	int rc;

	must(child >= 0);
	account_say(ready);
	while (!account_is(other))
		;
	rc = peal_attach_args(&channel, &argument_count, arguments, NULL);
	account->results[child == 0] = rc;
	if (rc < 0)
		snprintf(account->words, sizeof(account->words), "%s", peal_last_error());
	if (child == 0)
		_exit(EXIT_SUCCESS);
	must(waitpid(child, NULL, 0) == child);
	account_say(&account->done);
	return stall();
}

/* --- T10: fork ------------------------------------------------------------------------------- */

static void use_after_fork(void)
{
	struct peal_record record;
	void *payload;

	must(peal_reserve(peal_tx(channel), 8, &payload) == -EBADFD);
	must(peal_reserve_wait(peal_tx(channel), 8, &payload, PEAL_FOREVER) == -EBADFD);
	must(peal_publish(peal_tx(channel)) == -EBADFD);
	must(peal_send(peal_tx(channel), "x", 1, 0, PEAL_FOREVER) == -EBADFD);
	must(peal_arm_space(peal_tx(channel), 8) == -EBADFD);
	must(peal_next(peal_rx(channel), &record) == -EBADFD);
	must(peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) == -EBADFD);
	must(peal_release(peal_rx(channel)) == -EBADFD);
	must(peal_recv(peal_rx(channel), &record, 8, NULL, PEAL_FOREVER) == -EBADFD);
	must(peal_arm_data(peal_rx(channel)) == -EBADFD);
	channel = peal_channel_close(channel);
	_exit(EXIT_SUCCESS);
}

static void fork_and_use(void)
{
	pid_t child = fork();
	int status;

	must(child >= 0);
	if (child == 0)
		use_after_fork();
	must(waitpid(child, &status, 0) == child && status == 0);
}

static int echo_and_fork(void)
{
	return echo_beside(fork_and_use);
}

/* --- T14, T17, T18, T21 ---------------------------------------------------------------------- */

/* Stopped as soon as hostilities begin; whoever continues us finds an honest guest. */
static void stop_once(void)
{
	static bool was_stopped;

	if (was_stopped) {
		usleep(100);
		return;
	}
	was_stopped = true;
	raise(SIGSTOP);
}

static int echo_and_stop(void)
{
	return echo_beside(stop_once);
}

/* A few records, the host's bells unread, and gone in the middle of it. */
static int die(void)
{
	struct pollfd bell = {.fd = bells[1], .events = POLLIN};
	char buffer[HONEST_MAX];

	commit_honestly(RECORDS_BEFORE);
	store(&own->data_wait, 1);
	account_say(&account->begun);
	/* A full ring would be sent no more. */
	while (poll(&bell, 1, 1) == 0)
		peal_recv(peal_rx(channel), buffer, sizeof(buffer), NULL, PEAL_TRY);
	return raise(SIGKILL);
}

static int garbage(void)
{
	await_host();
	for (size_t i = 0; i < (PEAL_HEADER_BYTES + RING_BYTES) / sizeof(uint64_t); i++)
		store((uint64_t *)(void *)own + i, any_value());
	ring_both();
	account_say(&account->begun);
	return raise(SIGKILL);
}

static int leave_at_once(void)
{
	account_say(&account->begun);
	return EXIT_SUCCESS;
}

static void go_on_after_death(void)
{
	uint64_t *words = (uint64_t *)(void *)own;

	store(&words[any_value() % ((PEAL_HEADER_BYTES + RING_BYTES) / sizeof(*words))],
	      any_value());
	ring_both();
}

/* A grandchild has our memory and our sockets and outlives us. */
static int leave_heir(void (*attack)(void))
{
	pid_t heir;

	await_host();
	commit_honestly(RECORDS_BEFORE);
	heir = fork();
	must(heir >= 0);
	if (heir == 0) {
		alarm(120); /* its end, if the test fails */
		attack_until_stopped(attack);
		_exit(EXIT_SUCCESS);
	}
	while (!account_is(&account->begun))
		;
	return raise(SIGKILL);
}

static void hold(void)
{
	usleep(100);
}

static int leave_holder(void)
{
	return leave_heir(hold);
}

/* Our memory is not inherited by the library's mapping of it, but by the one of our own. */
static int leave_undead(void)
{
	return leave_heir(go_on_after_death);
}

const struct mode life_modes[] = {
	{"attach", attach_only, NULL},
	{"twice", keep_second, echo_and_attach_again},
	{"race", race, NULL},
	{"fork", NULL, echo_and_fork},
	{"stop", NULL, echo_and_stop},
	{"die-unread", NULL, die},
	{"garbage", NULL, garbage},
	{"leave", NULL, leave_at_once},
	{"heir-holds", NULL, leave_holder},
	{"heir-undead", NULL, leave_undead},
	{NULL, NULL, NULL},
};
