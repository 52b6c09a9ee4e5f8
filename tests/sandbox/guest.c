/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the plugin of these tests: attaches, locks itself up, does what it is told.
 *
 * usage: sandbox-guest CAGE MODE [NUMBER]
 * CAGE: strict, like-strict, or filter; the last with "+membarrier", "+eventfd", "+clock" where it
 * allows that as well.
 *
 * Ends with 0 when all went as it should, with 1 when not, 2 when it could not attach, 3 when there
 * is no such cage here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cage.h"
#include "ipc/ipc.h"

static struct peal_channel *channel;
static enum cage cage;
static long number;

static _Noreturn void leave(int status)
{
	if (cage != CAGE_FILTER)
		syscall(SYS_exit, status);
	_exit(status);
}

/* Send back what comes, until the host is gone. */
static int echo(void)
{
	static unsigned char buffer[1 << 16];
	uint16_t type = 0;

	for (;;) {
		int64_t size =
			peal_recv(peal_rx(channel), buffer, sizeof(buffer), &type, PEAL_FOREVER);
		int rc = size < 0 ? (int)size
				  : peal_send(peal_tx(channel), buffer, (size_t)size, type,
					      PEAL_FOREVER);

		if (rc < 0)
			return rc != -EPIPE;
	}
}

/* The same, and never sleeping or asking: until a record of type 0xffff comes. */
static int echo_awake(void)
{
	struct peal_record record;
	int rc;

	for (;;) {
		while ((rc = peal_next(peal_rx(channel), &record)) == 0)
			;
		if (rc < 0 || record.type == 0xffff)
			return rc < 0;
		while ((rc = peal_send(peal_tx(channel), record.data, record.size, record.type,
				       PEAL_TRY)) == -EAGAIN)
			;
		if (rc < 0)
			return 1;
		peal_release(peal_rx(channel));
	}
}

/* For a record that never comes; 0 when told that the host is gone. */
static int wait_for_data(void)
{
	struct peal_record record;

	return peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) != -EPIPE;
}

/* For room that never comes. */
static int wait_for_room(void)
{
	int rc;

	while ((rc = peal_send(peal_tx(channel), "12345678", 8, 0, PEAL_FOREVER)) == 0)
		;
	return rc != -EPIPE;
}

/* Once something came: answer a host that is dead by now, and sleeps for all that its word says. */
static int answer_the_dead(void)
{
	struct peal_record record;
	int rc;

	if (peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) != 1)
		return 1;
	/* The host was killed while this process was stopped; the first look says nothing of it. */
	rc = peal_send(peal_tx(channel), "late", 4, 0, PEAL_FOREVER);
	return rc != -EPIPE;
}

/* Deadlines: what a channel for strict seccomp says. */
static int deadlines(void)
{
	struct peal_record record;
	int refused = peal_next_wait(peal_rx(channel), &record, 1) == -EINVAL &&
		      strstr(peal_last_error(), "PEAL_FOREVER") != NULL;
	int tried = peal_next_wait(peal_rx(channel), &record, PEAL_TRY) == -EAGAIN;

	while (peal_send(peal_tx(channel), "12345678", 8, 0, PEAL_TRY) == 0)
		;
	return !refused || !tried || peal_send(peal_tx(channel), "12345678", 8, 0, 1) != -EINVAL ||
	       /* and that it is as good as before */
	       wait_for_data();
}

/* An ordinary end. */
static int good_bye(void)
{
	int rc = peal_send(peal_tx(channel), "bye", 3, 0, PEAL_FOREVER);

	channel = peal_channel_close(channel);
	return rc < 0;
}

/* The system call whose number is given; its arguments are nonsense. */
static int cheat(void)
{
	if (peal_recv(peal_rx(channel), &(char){0}, 1, NULL, PEAL_FOREVER) != 0)
		return 1;
	syscall(number, -1L, 0L, 0L, 0L, 0L, 0L);
	return 0;
}

/* A host that sleeps can not be woken: the failure comes back. */
static int no_memory(void)
{
	if (peal_recv(peal_rx(channel), &(char){0}, 1, NULL, PEAL_FOREVER) != 0)
		return 1;
	return peal_send(peal_tx(channel), "a", 1, 0, PEAL_FOREVER) != -ENOBUFS;
}

/* From now on the kernel has no memory for bells. */
static int forbid_memory(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOBUFS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Whoever reads the clock is killed: by SIGSEGV where that is an instruction, by its cage where it
 * is a system call. */
static int forbid_the_clock(void)
{
#if defined(__x86_64__)
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
#else
	return 0;
#endif
}

static int lock_up(const char *name, const char *mode)
{
	int more[5], count = 0;

	if (strcmp(mode, "no-memory") == 0 && forbid_memory() < 0)
		return -errno;
	if (strstr(name, "+membarrier"))
		more[count++] = SYS_membarrier;
	if (strstr(name, "+eventfd")) {
		more[count++] = SYS_read;
		more[count++] = SYS_write;
	}
	if (strstr(name, "+clock"))
		more[count++] = SYS_clock_gettime;
	more[count] = -1;
	if (cage != CAGE_FILTER && forbid_the_clock() < 0)
		return -errno;
	return cage_enter(cage, more);
}

static int attach(int argc, char **argv)
{
	struct peal_attach_options options = {.size = sizeof(options)};

	if (cage != CAGE_FILTER)
		options.flags = PEAL_CHANNEL_STRICT;
	else if (!strstr(argv[1], "+membarrier"))
		options.flags = PEAL_CHANNEL_NO_MEMBARRIER;
	return peal_attach_args(&channel, &argc, argv, &options);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} modes[] = {
		{"echo", echo},
		{"echo-awake", echo_awake},
		{"wait", wait_for_data},
		{"wait-space", wait_for_room},
		{"answer", answer_the_dead},
		{"deadlines", deadlines},
		{"close", good_bye},
		{"cheat", cheat},
		{"no-memory", no_memory},
	};

	if (argc < 3)
		return 2;
	cage = strcmp(argv[1], "strict") == 0        ? CAGE_STRICT
	       : strcmp(argv[1], "like-strict") == 0 ? CAGE_LIKE_STRICT
						     : CAGE_FILTER;
	if (attach(argc, argv) < 0) {
		fprintf(stderr, "sandbox-guest: %s\n", peal_last_error());
		return 2;
	}
	if (argv[3]) /* what was Peal's is gone by now */
		number = atol(argv[3]);
	if (lock_up(argv[1], argv[2]) < 0)
		return 3;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[2], modes[i].name) == 0)
			leave(modes[i].run());
	}
	leave(2);
}
