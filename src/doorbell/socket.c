/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the doorbell over a Unix stream socketpair. One byte is one signal.
 *
 * Why a stream: SOCK_DGRAM does not tell a waiting reader that the peer hung up, and
 * SOCK_SEQPACKET takes one recv for each byte, so that a flood would cost a system call a bell.
 *
 * Why MSG_DONTWAIT when the descriptor is non-blocking: O_NONBLOCK sits in the open file
 * description. The peer has another one, but whoever inherited ours could clear the flag; what is
 * said in the call itself can not be taken away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/doorbell.h>

#include "base/error.h"
#include "base/fd.h"
#include "doorbell/doorbell.h"

/*
 * One read empties whatever an honest peer can have queued: the kernel charges the sender 768 bytes
 * for each one-byte message, so the default send buffer (212,992 bytes) is full after 278. A peer
 * that floods with larger messages leaves a rest, which costs one more wake for each 512 bytes.
 * Larger would buy nothing, and this lies on the stack of callers with small ones.
 */
#define DRAIN_BYTES 512

/*
 * Let a byte that the peer sends as MSG_OOB be an ordinary one. Otherwise the kernel keeps it
 * aside: poll says readable, recv says EAGAIN, and FIONREAD counts it for ever, so that "pending"
 * would never be zero again.
 */
static int inline_oob(int fd)
{
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)) < 0)
		return peal_fail_errno("setting SO_OOBINLINE");
	return 0;
}

static struct peal_doorbell socket_doorbell(int fd)
{
	return (struct peal_doorbell){
		.wait_fd = fd,
		.signal_fd = fd,
		.watch_fd = -1,
		.kind = PEAL_DOORBELL_SOCKET,
	};
}

int peal_doorbell_create(struct peal_doorbell *host, struct peal_doorbell_handle *guest)
{
	int pair[2], rc;

	/* The flags go with the creation: set later, they would miss another thread's fork+exec. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return peal_fail_errno("making a doorbell's socketpair");

	PEAL_FD_AUTO near = peal_fd_move_up_take(pair[0]);
	PEAL_FD_AUTO far = peal_fd_move_up_take(pair[1]);

	if (near < 0 || far < 0) {
		rc = near < 0 ? near : far;
		return peal_fail(-rc, "moving a doorbell above the standard streams: %s",
				 peal_strerror(rc));
	}
	rc = inline_oob(near);
	if (rc < 0)
		return rc;
	*host = socket_doorbell(peal_fd_steal(&near));
	*guest = peal_doorbell_handle_from_fd(peal_fd_steal(&far));
	return 0;
}

/*
 * Is it a connected Unix stream socket? Only questions, so that a wrong descriptor stays as it was.
 *
 * Unconnected and listening sockets are refused here since poll reports a hang-up for the one and
 * connections for the other, none of which a drain could ever take away. A peer that has died
 * meanwhile still counts as connected: that is for the first wait to tell.
 */
static int check_socket(int fd)
{
	int domain, type, rc = peal_fd_validate(fd);

	if (rc < 0)
		return rc;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof(domain)}) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)}) < 0)
		return peal_fail(errno, "descriptor %d is no doorbell, which is a socket", fd);
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return peal_fail(EPROTOTYPE,
				 "descriptor %d is a socket of domain %d, type %d; a doorbell is a "
				 "Unix stream socket",
				 fd, domain, type);
	if (getpeername(fd, &(struct sockaddr){0}, &(socklen_t){sizeof(struct sockaddr)}) < 0)
		return peal_fail(errno, "descriptor %d is a socket that is not connected", fd);
	return 0;
}

int peal_doorbell_from_fd_take(struct peal_doorbell *db, int fd)
{
	int rc = check_socket(fd);

	/* From here on nothing fails on an open socket. Close-on-exec comes last all the same: it is
	 * the one flag that a caller who keeps the descriptor would miss. */
	if (rc == 0)
		rc = inline_oob(fd);
	if (rc == 0)
		rc = peal_fd_set_nonblocking(fd);
	if (rc == 0)
		rc = peal_fd_set_cloexec(fd);
	if (rc == 0)
		*db = socket_doorbell(fd);
	return rc;
}

/* What came of sending one byte. */
static int judge_ring(ssize_t sent)
{
	if (sent >= 0)
		return PEAL_SIGNAL_SENT;
	switch (errno) {
	case EAGAIN:
		/* The queue is full, hence not empty, hence the peer's next wait ends at once. */
		return PEAL_SIGNAL_COALESCED;
	case EPIPE:
	case ECONNRESET:
		return PEAL_SIGNAL_PEER_DEAD;
	default:
		/* ENOBUFS is not EAGAIN: the kernel had no memory and the queue may well be empty,
		 * so to call it sent would lose the wake. */
		return peal_fail_errno("ringing the doorbell");
	}
}

int peal_socket_ring(int fd)
{
	ssize_t sent;

	do
		sent = send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return judge_ring(sent);
}

int peal_socket_ring_plain(int fd)
{
	ssize_t sent;

	do
		sent = write(fd, "", 1);
	while (sent < 0 && errno == EINTR);
	return judge_ring(sent);
}

/*
 * Plain recv and no control buffer: the kernel then closes what descriptors the peer attached.
 * recvmsg(2) with room for them would let a guest fill the host's table.
 */
static ssize_t receive(int fd, void *buffer, size_t size, int flags)
{
	ssize_t got;

	do
		got = recv(fd, buffer, size, flags | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got;
}

int peal_socket_drain(int fd)
{
	char bells[DRAIN_BYTES];
	ssize_t got = receive(fd, bells, sizeof(bells), 0);

	if (got > 0)
		return PEAL_DRAIN_RUNG;
	/* The peer left with our bells unread: the kernel says so once, then 0. */
	if (got == 0 || errno == ECONNRESET)
		return PEAL_DRAIN_CLOSED;
	if (errno == EAGAIN)
		return 0;
	return peal_fail_errno("draining the doorbell");
}

bool peal_socket_is_rung(int fd)
{
	char bell;

	/* A recv, though ioctl(FIONREAD) would do: a guest in a seccomp cage that knows only send,
	 * recv and ppoll must be able to learn of its host's death. */
	return receive(fd, &bell, sizeof(bell), MSG_PEEK) > 0;
}

int64_t peal_socket_pending(int fd)
{
	int bytes;

	/* In a stream this is the sum over all messages, not the size of the first. */
	if (ioctl(fd, FIONREAD, &bytes) < 0)
		return peal_fail_errno("asking for the doorbell's queue");
	return bytes;
}
