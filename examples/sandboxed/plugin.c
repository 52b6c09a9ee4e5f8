/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - turns text to upper case, in a cage that it can not leave.
 *
 *	attach       needs mmap, fcntl and others: still free
 *	enter_cage   from here on the kernel ends this process for any call that is not on the list
 *	work         on what the host sends, which may have been made to take the plugin over
 *	leave
 *
 * usage: sandboxed-plugin strict|filter [--cheat|--crash]      started by sandboxed
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cage.h"

static bool strict;

static int attach(struct peal_channel **channel, int *argc, char **argv)
{
	struct peal_attach_options options = {
		.size = sizeof(options),
		.flags = strict ? PEAL_CHANNEL_STRICT : 0,
	};

	return peal_attach_args(channel, argc, argv, &options);
}

static int enter_cage(void)
{
	/* membarrier makes sending cheaper. The clock ends a spin; the C library reads it without a
	 * system call, where the machine lets it. */
	static const int more[] = {SYS_membarrier, SYS_clock_gettime, -1};
	int rc;

	/* Strict seccomp allows read and write on all that is open. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (!strict)
		return cage_enter(CAGE_FILTER, more);
	rc = cage_enter(CAGE_STRICT, NULL);
	/* Some other filter is installed already, as in many containers. */
	return rc == -EINVAL ? cage_enter(CAGE_LIKE_STRICT, NULL) : rc;
}

/* What an attacker would have it do, once it is his. */
static void misbehave(const char *misdeed)
{
	if (strcmp(misdeed, "--cheat") == 0)
		open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	else if (strcmp(misdeed, "--crash") == 0)
		__builtin_trap();
}

/* One text, from the ring to the ring, without a copy in between. */
static int answer(struct peal_channel *channel)
{
	struct peal_record text;
	unsigned char *upper;
	void *room;
	int rc = peal_next_wait(peal_rx(channel), &text, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	rc = peal_reserve_wait(peal_tx(channel), text.size, &room, PEAL_FOREVER);
	if (rc < 0)
		return rc;
	upper = room;
	for (uint32_t i = 0; i < text.size; i++)
		upper[i] = (unsigned char)toupper(((const unsigned char *)text.data)[i]);
	peal_release(peal_rx(channel));
	return peal_commit(peal_tx(channel), text.size, text.type);
}

/* Until the host closes the channel or dies. */
static int work(struct peal_channel *channel, const char *misdeed)
{
	int rc;

	for (int count = 1; (rc = answer(channel)) == 0; count++) {
		if (count == 2)
			misbehave(misdeed);
	}
	return rc == -EPIPE ? 0 : 1;
}

/* _exit() is exit_group(2), which the filter knows and strict seccomp does not. Nothing is given
 * back: close(2) and munmap(2) are forbidden, and the kernel does it in any case. */
static void leave(int status)
{
	if (strict)
		syscall(SYS_exit, status);
	_exit(status);
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc;

	strict = argc > 1 && strcmp(argv[1], "strict") == 0;
	rc = attach(&channel, &argc, argv);
	if (rc < 0 || argc < 2)
		return fprintf(stderr, "sandboxed-plugin: %s\n", peal_last_error()), 2;
	rc = enter_cage();
	if (rc < 0)
		return fprintf(stderr, "sandboxed-plugin: no cage: %s\n", strerror(-rc)), 3;
	leave(work(channel, argc > 2 ? argv[2] : ""));
	return 0;
}
