/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the plugin of the tests: does what its first argument says.
 *
 * Exits with 0 when all went as it should, with 1 when not, and with 2 when it could not attach.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/ipc.h"

static struct peal_channel *channel;
static char **arguments;
/* As they were on the command line, before attaching took them. */
static int host_segment = -1;

static uint64_t number(int index)
{
	return strtoull(arguments[index], NULL, 10);
}

/* Send back what comes, until the host is gone; after a pause, every so many times. 0: never. */
static int echo_with_pauses(uint64_t pause_every)
{
	const struct timespec little = {.tv_nsec = 20000};
	static unsigned char buffer[1 << 20];
	uint16_t type = 0;
	int64_t size;

	for (uint64_t i = 1;; i++) {
		size = peal_recv(peal_rx(channel), buffer, sizeof(buffer), &type, PEAL_FOREVER);
		if (size < 0)
			return size != -EPIPE;
		if (pause_every && i % pause_every == 0)
			nanosleep(&little, NULL);
		if (peal_send(peal_tx(channel), buffer, (size_t)size, type, PEAL_FOREVER) < 0)
			return 1;
	}
}

static int echo(void)
{
	return echo_with_pauses(0);
}

/* echo-late EVERY */
static int echo_late(void)
{
	return echo_with_pauses(number(2));
}

/* receive COUNT MAX PAUSE-EVERY: check the stream, then answer with one empty record. */
static int receive(void)
{
	if (stream_receive(peal_rx(channel), 0, number(2), number(3), number(4)) < 0)
		return 1;
	return peal_tx(channel) && peal_send(peal_tx(channel), NULL, 0, 0, PEAL_FOREVER) < 0;
}

/* send COUNT MAX BATCH, then end. */
static int send_stream(void)
{
	return stream_send(peal_tx(channel), 0, number(2), number(3), (unsigned int)number(4)) < 0;
}

/* wait: for a record that never comes; 0 when told that the host is gone. */
static int wait_for_host(void)
{
	struct peal_record record;

	return peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) != -EPIPE;
}

static void sleep_in_a_loop(int bell)
{
	struct pollfd polled[2] = {
		{.fd = bell, .events = POLLIN},
		{.fd = peal_channel_peer_fd(channel), .events = POLLIN},
	};

	while (poll(polled, 2, -1) < 0 && errno == EINTR)
		;
}

/* wait-briefly MILLISECONDS: for a record that never comes; then in a loop. */
static int wait_briefly(void)
{
	uint64_t deadline = peal_deadline_in_ns(number(2) * 1000000);
	struct peal_record record;
	int rc = peal_next_wait(peal_rx(channel), &record, deadline);

	while (rc == -ETIMEDOUT || rc == 0) {
		if (peal_arm_data(peal_rx(channel)) == 0)
			sleep_in_a_loop(peal_rx_fd(channel));
		peal_disarm_data(peal_rx(channel));
		rc = peal_next(peal_rx(channel), &record);
	}
	return rc != -EPIPE;
}

/* wait-space-briefly MILLISECONDS: for room that never comes; then in a loop. */
static int wait_for_space_briefly(void)
{
	uint64_t deadline = peal_deadline_in_ns(number(2) * 1000000);
	void *payload;
	int rc;

	do
		rc = peal_send(peal_tx(channel), "12345678", 8, 0, deadline);
	while (rc == 0);
	while (rc == -ETIMEDOUT || rc == -EAGAIN) {
		if (peal_arm_space(peal_tx(channel), 8) == 0)
			sleep_in_a_loop(peal_tx_fd(channel));
		peal_disarm_space(peal_tx(channel));
		rc = peal_reserve(peal_tx(channel), 8, &payload);
	}
	return rc != -EPIPE;
}

/* drip COUNT MICROSECONDS: a number, a pause, and so on; then end. */
static int drip(void)
{
	struct timespec little = {.tv_nsec = (long)number(3) * 1000};

	for (uint64_t i = 0; i < number(2); i++) {
		if (peal_send(peal_tx(channel), &i, sizeof(i), 0, PEAL_FOREVER) < 0)
			return 1;
		nanosleep(&little, NULL);
	}
	return 0;
}

/* endless: numbers, until the host is gone. */
static int endless(void)
{
	for (uint64_t i = 0;; i++) {
		int rc = peal_send(peal_tx(channel), &i, sizeof(i), 0, PEAL_FOREVER);

		if (rc < 0)
			return rc != -EPIPE;
	}
}

/* flood: bells for nothing, as many as go in, each with a descriptor; until the host is gone. */
static int flood(void)
{
	char junk[4096] = "", control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec part = {junk, sizeof(junk)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
				   .cmsg_type = SCM_RIGHTS,
				   .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(header), &(int){STDOUT_FILENO}, sizeof(int));
	for (;;) {
		if (sendmsg(peal_tx_fd(channel), &message, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
		    errno != ETOOMANYREFS)
			return errno != EPIPE && errno != ECONNRESET;
	}
}

/* half-close: say nothing any more on the socket, and live on. */
static int half_close(void)
{
	shutdown(peal_tx_fd(channel), SHUT_WR);
	return wait_for_host();
}

/* send-and-die COUNT MAX: killed with everything committed and nothing closed. */
static int send_and_die(void)
{
	if (stream_send(peal_tx(channel), 0, number(2), number(3), 1) < 0)
		return 1;
	return raise(SIGKILL);
}

/* stall: attached, and neither reads nor writes. */
static int stall(void)
{
	for (;;)
		pause();
	return 0;
}

/* wait-space: fill the ring and wait for room that never comes. */
static int wait_for_space(void)
{
	for (;;) {
		int rc = peal_send(peal_tx(channel), "12345678", 8, 0, PEAL_FOREVER);

		if (rc < 0)
			return rc != -EPIPE;
	}
}

/* close: leave in good order after one record. */
static int close_early(void)
{
	int rc = peal_send(peal_tx(channel), "bye", 3, 0, PEAL_FOREVER);

	channel = peal_channel_close(channel);
	return rc < 0;
}

/* close-unread: leave in good order, with a bell for room that is not taken, and live on. */
static int close_unread(void)
{
	struct pollfd bell = {.fd = peal_tx_fd(channel), .events = POLLIN};

	while (peal_send(peal_tx(channel), "12345678", 8, 0, PEAL_TRY) == 0 ||
	       peal_arm_space(peal_tx(channel), 8) == 1)
		;
	poll(&bell, 1, -1);
	channel = peal_channel_close(channel);
	return stall();
}

/* leave-grandchild: a process that holds all our descriptors outlives us. */
static int leave_grandchild(void)
{
	if (fork() == 0) {
		alarm(5); /* its end, far beyond that of the test */
		return stall();
	}
	peal_send(peal_tx(channel), "forked", 6, 0, PEAL_FOREVER);
	return raise(SIGKILL);
}

/* probe: everything that the kernel must refuse on the host's segment. Answers with one byte each:
 * 1 refused as it should be. */
static int probe(void)
{
	unsigned char answers[7];
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, host_segment, 0);

	answers[0] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, host_segment, 0) ==
			     MAP_FAILED &&
		     errno == EPERM;
	answers[1] = map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0 &&
		     errno == EACCES;
	answers[2] = ftruncate(host_segment, 0) < 0 && errno == EPERM;
	answers[3] = ftruncate(host_segment, 1 << 30) < 0 && errno == EPERM;
	answers[4] =
		fallocate(host_segment, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0 &&
		errno == EPERM;
	answers[5] = pwrite(host_segment, "x", 1, 0) < 0 && errno == EPERM;
	answers[6] = fcntl(host_segment, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM;
	return peal_send(peal_tx(channel), answers, sizeof(answers), 0, PEAL_FOREVER) < 0;
}

/* What happens before attaching. */
static void before_attach(int argc)
{
	if (strcmp(arguments[1], "exit-before") == 0)
		_exit((int)number(2));
	if (strcmp(arguments[1], "abort-before") == 0)
		abort();
	/* As slowly as a large process ends: its descriptors are gone long before. */
	if (strcmp(arguments[1], "hang-up-and-abort") == 0) {
		close_range(3, ~0U, 0);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		abort();
	}
	if (strcmp(arguments[1], "sleep-before") == 0)
		stall();
	if (strcmp(arguments[1], "probe") != 0)
		return;
	for (int i = 1; i < argc; i++) {
		if (strncmp(arguments[i], "--segment-fd=", 13) == 0 && host_segment < 0)
			host_segment = fcntl(atoi(arguments[i] + 13), F_DUPFD_CLOEXEC, 3);
	}
}

static int attach(int argc)
{
	struct peal_attach_options options = {.size = sizeof(options)};

	for (int i = 1; i < argc; i++) {
		if (strcmp(arguments[i], "no-membarrier") == 0)
			options.flags = PEAL_CHANNEL_NO_MEMBARRIER;
		if (strcmp(arguments[i], "spin") == 0)
			options.spin_max_us = 1000000;
		if (strcmp(arguments[i], "no-spin") == 0)
			options.spin_max_us = PEAL_SPIN_NEVER;
	}
	return peal_attach_args(&channel, &argc, arguments, &options);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} modes[] = {
		{"echo", echo},
		{"echo-late", echo_late},
		{"receive", receive},
		{"send", send_stream},
		{"send-and-die", send_and_die},
		{"drip", drip},
		{"endless", endless},
		{"flood", flood},
		{"half-close", half_close},
		{"stall", stall},
		{"wait", wait_for_host},
		{"wait-space", wait_for_space},
		{"wait-briefly", wait_briefly},
		{"wait-space-briefly", wait_for_space_briefly},
		{"close", close_early},
		{"close-unread", close_unread},
		{"leave-grandchild", leave_grandchild},
		{"probe", probe},
	};
	int rc;

	arguments = argv;
	if (argc < 2)
		return 2;
	before_attach(argc);
	rc = attach(argc);
	if (rc < 0) {
		fprintf(stderr, "guest: %s\n", peal_last_error());
		return 2;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			return modes[i].run();
	}
	return 2;
}
