/* SPDX-License-Identifier: MIT */
/*
 * link.c - the guest's end of a channel, by SCM_RIGHTS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crash/crash.h"

#define FDS_MAX (2 + PEAL_GUEST_DOORBELLS_MAX + 1)

void crash_die(const char *who, const char *what, long rc)
{
	fprintf(stderr, "crash: the %s: %s: %ld (%s)\n", who, what, rc, peal_last_error());
	_exit(1);
}

/* The numbers travel too, to be replaced: they say what there is. */
static unsigned int list(struct peal_guest_fds *fds, int *all[FDS_MAX])
{
	unsigned int count = 0;

	all[count++] = &fds->host_segment;
	all[count++] = &fds->guest_segment;
	for (unsigned int i = 0; i < fds->doorbell_count; i++)
		all[count++] = &fds->doorbells[i];
	if (fds->host_pidfd >= 0)
		all[count++] = &fds->host_pidfd;
	return count;
}

void link_send(int link, const struct peal_guest_fds *fds)
{
	struct peal_guest_fds copy = *fds;
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {&copy, sizeof(copy)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
	int *all[FDS_MAX], numbers[FDS_MAX];
	unsigned int count = list(&copy, all);
	struct cmsghdr *header;

	for (unsigned int i = 0; i < count; i++)
		numbers[i] = *all[i];
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), numbers, count * sizeof(int));
	must("sender", sendmsg(link, &message, MSG_NOSIGNAL));
}

struct peal_guest_fds link_receive(int link)
{
	struct peal_guest_fds fds;
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec part = {&fds, sizeof(fds)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(link, &message, MSG_CMSG_CLOEXEC);
	int *all[FDS_MAX], numbers[FDS_MAX];
	unsigned int count;

	if (got != (ssize_t)sizeof(fds) || !CMSG_FIRSTHDR(&message))
		crash_die("receiver", "recvmsg", got);
	count = list(&fds, all);
	memcpy(numbers, CMSG_DATA(CMSG_FIRSTHDR(&message)), count * sizeof(int));
	for (unsigned int i = 0; i < count; i++)
		*all[i] = numbers[i];
	return fds;
}

void link_drain(int link)
{
	struct peal_guest_fds fds;

	/* Without room for descriptors the kernel closes them. */
	while (recv(link, &fds, sizeof(fds), MSG_DONTWAIT) > 0)
		;
}
