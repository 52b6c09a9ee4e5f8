/* SPDX-License-Identifier: MIT */
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints "42". The guest was there before its channel. For a ring to
 * the host alone: two segments, one doorbell, one pidfd. */
enum { FDS = 4 };

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS * sizeof(int))];
};

static struct msghdr message(union control *control,
			     struct iovec *byte)
{
	return (struct msghdr){.msg_iov = byte,
			       .msg_iovlen = 1,
			       .msg_control = control,
			       .msg_controllen = sizeof(*control)};
}

static int give(int socket, const struct peal_guest_fds *guest)
{
	int fds[FDS] = {guest->host_segment, guest->guest_segment,
			guest->doorbells[0], guest->host_pidfd};
	union control control = {0};
	struct iovec byte = {"", 1};
	struct msghdr m = message(&control, &byte);
	struct cmsghdr *header = CMSG_FIRSTHDR(&m);

	*header =
		(struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fds)),
				 .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	return sendmsg(socket, &m, 0) == 1 ? 0 : -1;
}

static int take(int socket, struct peal_guest_fds *guest)
{
	int fds[FDS];
	char c;
	union control control;
	struct iovec byte = {&c, 1};
	struct msghdr m = message(&control, &byte);

	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1 ||
	    !CMSG_FIRSTHDR(&m) ||
	    CMSG_FIRSTHDR(&m)->cmsg_len != CMSG_LEN(sizeof(fds)))
		return -1;
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fds));
	*guest = (struct peal_guest_fds){.host_segment = fds[0],
					 .guest_segment = fds[1],
					 .doorbells = {fds[2]},
					 .doorbell_count = 1,
					 .host_pidfd = fds[3]};
	return 0;
}

static int guest(int socket)
{
	struct peal_guest_fds fds;
	struct peal_channel *channel;
	int n = 42;

	if (take(socket, &fds) < 0 ||
	    peal_attach_fds(&channel, &fds, NULL) < 0 ||
	    peal_send(peal_tx(channel), &n, sizeof(n), 0,
		      PEAL_FOREVER) < 0)
		return puts(peal_last_error()), 1;
	peal_channel_close(channel);
	return 0;
}

int main(void)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 4096};
	struct peal_channel *channel;
	struct peal_guest_fds fds;
	int sockets[2], n = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		       sockets) < 0)
		return 1;
	if (fork() == 0)
		return guest(sockets[1]);
	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_channel_guest_fds(channel, &fds) < 0 ||
	    give(sockets[0], &fds) < 0)
		return puts(peal_last_error()), 1;
	peal_channel_close_guest_end(channel);
	if (peal_channel_wait_ready(channel, PEAL_FOREVER) < 0 ||
	    peal_recv(peal_rx(channel), &n, sizeof(n), NULL,
		      PEAL_FOREVER) < 0)
		return puts(peal_last_error()), 1;
	printf("%d\n", n);
	peal_channel_close(channel);
	wait(NULL);
	return 0;
}
