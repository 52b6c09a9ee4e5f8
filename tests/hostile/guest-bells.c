/* SPDX-License-Identifier: MIT */
/*
 * guest-bells.c - what a guest can do to doorbells.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile/guest.h"
#include "ipc/ipc.h"

/* Descriptors in a message. With both queues full there are less than 16,000 sockets under way, from
 * where on older kernels let everybody's sends wait for their collector. */
#define STUFFED 16

/* --- T11, T12: floods ------------------------------------------------------------------------ */

static bool is_flooded(long result)
{
	return result >= 0 || errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS;
}

static void send_both(const void *data, size_t size, int flags)
{
	for (int i = 0; i < 2; i++)
		must(is_flooded(send(bells[i], data, size, flags | MSG_DONTWAIT | MSG_NOSIGNAL)));
}

static void flood_bytes(void)
{
	send_both("", 1, 0);
}

static void flood_large(void)
{
	static const char large[1 << 16];

	send_both(large, sizeof(large), 0);
}

static void flood_out_of_band(void)
{
	send_both("", 1, MSG_OOB);
}

/* Each with our own end among them, so that a queue holds the socket that it belongs to. */
static void flood_descriptors(void)
{
	char control[CMSG_SPACE(STUFFED * sizeof(int))] = "";
	struct iovec part = {.iov_base = control, .iov_len = 16};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fds[STUFFED];

	for (int i = 0; i < STUFFED; i++)
		fds[i] = i % 2 ? bells[i / 2 % 2] : segments[GUEST];
	*header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
				   .cmsg_type = SCM_RIGHTS,
				   .cmsg_len = CMSG_LEN(sizeof(fds))};
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	for (int i = 0; i < 2; i++)
		must(is_flooded(sendmsg(bells[i], &message, MSG_DONTWAIT | MSG_NOSIGNAL)));
}

static int echo_and_flood_bytes(void)
{
	return echo_beside(flood_bytes);
}

/* Neither sends nor takes a record meanwhile, so that only deadlines end the host's waits. */
static int flood_silently(void)
{
	attack_until_stopped(flood_bytes);
	return stall();
}

static int echo_and_flood_large(void)
{
	return echo_beside(flood_large);
}

static int echo_and_flood_out_of_band(void)
{
	return echo_beside(flood_out_of_band);
}

static int echo_and_flood_descriptors(void)
{
	return echo_beside(flood_descriptors);
}

/* Neither reads a bell nor lets the host think that it is awake: the host rings for each record, into
 * a queue that is soon full. */
static void be_deaf(void)
{
	static uint64_t odd = 1;

	store(&own->space_wait, odd);
	store(&own->data_wait, odd);
	odd += 2;
}

static int echo_deaf(void)
{
	return echo_beside(be_deaf);
}

/* --- Eventfds -------------------------------------------------------------------------------- */

/* The doorbells as they were on the command line: producer_wake and consumer_wake of the ring to the
 * guest, then of the one to the host. */
static int doorbell_argument(int index)
{
	const size_t length = strlen(PEAL_DOORBELL_ARG "=");

	for (int i = 1; arguments[i]; i++) {
		if (strncmp(arguments[i], PEAL_DOORBELL_ARG "=", length) == 0 && index-- == 0)
			return atoi(arguments[i] + length);
	}
	must(!"so many doorbells");
	return -1;
}

static int host_waits_on[2], host_rings[2];

static int keep_eventfds(void)
{
	/* Attaching keeps their numbers. */
	host_waits_on[0] = doorbell_argument(0);
	host_rings[0] = doorbell_argument(1);
	host_waits_on[1] = doorbell_argument(3);
	host_rings[1] = doorbell_argument(2);
	return 0;
}

static void add(int fd, uint64_t count)
{
	must(write(fd, &count, sizeof(count)) > 0 || errno == EAGAIN);
}

static void flood_eventfds(void)
{
	add(host_waits_on[0], 1);
	add(host_waits_on[1], 1);
}

/* All four full: what the host waits on is readable, and what it rings can not be rung any more. */
static void fill_eventfds(void)
{
	uint64_t count;

	for (int ring = 0; ring < 2; ring++) {
		add(host_waits_on[ring], UINT64_MAX - 1);
		(void)!read(host_rings[ring], &count, sizeof(count));
		add(host_rings[ring], UINT64_MAX - 1);
	}
	be_deaf();
}

/* Take the bells that are for the host; but not the first one, which says that we are here. */
static void steal_bells(void)
{
	uint64_t count;

	if (__atomic_load_n(&account->echoed, __ATOMIC_RELAXED) == 0)
		return;
	(void)!read(host_waits_on[0], &count, sizeof(count));
	(void)!read(host_waits_on[1], &count, sizeof(count));
}

static int echo_and_flood_eventfds(void)
{
	return echo_beside(flood_eventfds);
}

static int echo_and_fill_eventfds(void)
{
	return echo_beside(fill_eventfds);
}

static int echo_and_steal(void)
{
	at_the_end = flood_eventfds; /* what was stolen is given back */
	return echo_beside(steal_bells);
}

/* --- T13: half-close ------------------------------------------------------------------------- */

/* Three records; then close that half of both sockets, while looking asleep, so that the host rings. */
static int half_close(int how)
{
	char buffer[HONEST_MAX];

	commit_honestly(3);
	shutdown(bells[0], how);
	shutdown(bells[1], how);
	be_deaf();
	account_say(&account->begun);
	/* Into a full ring it would send no more. */
	while (!account_is(&account->stop)) {
		peal_recv(peal_rx(channel), buffer, sizeof(buffer), NULL, PEAL_TRY);
		usleep(100);
	}
	account_say(&account->done);
	return stall();
}

static int close_reading(void)
{
	return half_close(SHUT_RD);
}

static int close_writing(void)
{
	return half_close(SHUT_WR);
}

static int close_both(void)
{
	return half_close(SHUT_RDWR);
}

/* --- T15: withheld --------------------------------------------------------------------------- */

/* Write records and never ring; but once, at the end. */
static int withhold(void)
{
	uint64_t at = 0, i = 0;
	unsigned char payload[HONEST_MAX];
	size_t size = stream_size(i, HONEST_MAX);

	account_say(&account->begun);
	/* Not around the end, for the mapping here is not mirrored. */
	while (at + peal_record_span(size, 8) < RING_BYTES) {
		stream_fill(payload, size, i);
		memcpy(&own_data[at / 8 + 1], payload, size);
		store(&own_data[at / 8], peal_header(size, (uint16_t)i));
		at += peal_record_span(size, 8);
		account->committed = ++i;
		size = stream_size(i, HONEST_MAX);
		usleep(200);
	}
	while (!account_is(&account->stop))
		usleep(200);
	ring_both(); /* what was withheld comes after all */
	account_say(&account->done);
	return stall();
}

const struct mode bell_modes[] = {
	{"flood-bytes", NULL, echo_and_flood_bytes},
	{"flood-silent", NULL, flood_silently},
	{"flood-large", NULL, echo_and_flood_large},
	{"flood-oob", NULL, echo_and_flood_out_of_band},
	{"flood-fds", NULL, echo_and_flood_descriptors},
	{"deaf", NULL, echo_deaf},
	{"eventfd-flood", keep_eventfds, echo_and_flood_eventfds},
	{"eventfd-full", keep_eventfds, echo_and_fill_eventfds},
	{"eventfd-steal", keep_eventfds, echo_and_steal},
	{"shut-rd", NULL, close_reading},
	{"shut-wr", NULL, close_writing},
	{"shut-both", NULL, close_both},
	{"withhold", NULL, withhold},
	{NULL, NULL, NULL},
};
