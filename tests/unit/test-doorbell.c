/* SPDX-License-Identifier: MIT */
/*
 * Promises of doorbell/. Waits that must end have no deadline: if a wake is lost, the harness'
 * time-out says so, and no deadline hides it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/doorbell.h>

#include "base/clock.h"
#include "base/fd.h"
#include "harness.h"

/* --- A kernel that fails on demand: these stand before the C library's --------------------- */

static struct fake {
	int error; /* what the next @times calls fail with */
	int times;
	int calls; /* of any outcome */
} fake_send, fake_recv, fake_read, fake_write, fake_close, fake_setsockopt;

static bool fails(struct fake *fake)
{
	__atomic_fetch_add(&fake->calls, 1, __ATOMIC_RELAXED);
	if (fake->times == 0)
		return false;
	fake->times--;
	errno = fake->error;
	return true;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return fails(&fake_send) ? -1 : syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	return fails(&fake_recv) ? -1 : syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
}

ssize_t read(int fd, void *data, size_t size)
{
	return fails(&fake_read) ? -1 : syscall(SYS_read, fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size)
{
	return fails(&fake_write) ? -1 : syscall(SYS_write, fd, data, size);
}

int close(int fd)
{
	return fails(&fake_close) ? -1 : (int)syscall(SYS_close, fd);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	return fails(&fake_setsockopt) ? -1
				       : (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

/* If set, ppoll asks the descriptors one after the other, as the kernel does, and this happens
 * between the first and the second. */
static void (*between_questions)(void);
/* The C library's own, because a bare system call is no cancellation point. */
static __typeof__(ppoll) *real_ppoll;

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	int ready = 0;

	if (!between_questions)
		return real_ppoll(fds, count, timeout, mask);
	for (nfds_t i = 0; i < count; i++) {
		if (i == 1)
			between_questions();
		ready += poll(&fds[i], 1, 0);
	}
	return ready;
}

/* --- Helpers ----------------------------------------------------------------------------- */

enum { KINDS = 2 };

/* Two ends of either kind in this process: loop a test with KINDS and give it _i. */
static void make_ends(int kind, struct peal_doorbell *a, struct peal_doorbell *b)
{
	struct peal_doorbell_handle handle;
	struct peal_wake_pair pair;

	if (kind == PEAL_DOORBELL_SOCKET) {
		assert_ok(peal_doorbell_create(a, &handle));
		assert_ok(peal_doorbell_from_handle(b, handle));
		return;
	}
	assert_ok(peal_wake_pair_create(&pair));
	assert_ok(peal_doorbell_from_wakes_take(a, pair.producer_wake, pair.consumer_wake));
	/* A number belongs to one doorbell; in one process the other end needs its own. */
	assert_ok(peal_doorbell_from_wakes_take(b, fcntl(pair.consumer_wake, F_DUPFD_CLOEXEC, 3),
						fcntl(pair.producer_wake, F_DUPFD_CLOEXEC, 3)));
}

static void close_ends(struct peal_doorbell *a, struct peal_doorbell *b)
{
	peal_doorbell_close(a);
	peal_doorbell_close(b);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void reap(pid_t pid)
{
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* Sleeping, as far as /proc can tell: what the test does next meets a real sleeper. */
static void until_asleep(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
		sched_yield();
	}
}

static bool is_set(int fd, int flag)
{
	return fcntl(fd, F_GETFL) & flag;
}

static void assert_nothing_there(struct peal_doorbell *db)
{
	ck_assert_int_eq(peal_doorbell_wait(db, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_doorbell_drain(db), 0);
	ck_assert_int_eq(peal_doorbell_pending(db), 0);
}

static void assert_dead(struct peal_doorbell *db)
{
	ck_assert(peal_doorbell_is_dead(db));
	assert_fails(peal_doorbell_wait(db, PEAL_FOREVER), EPIPE, "closed its end");
	ck_assert_int_eq(peal_doorbell_signal(db), PEAL_SIGNAL_PEER_DEAD);
	ck_assert(peal_doorbell_drain(db) & PEAL_DRAIN_CLOSED);
}

/* --- Making ------------------------------------------------------------------------------ */

static void assert_born_right(int fd)
{
	int type;

	ck_assert_int_ge(fd, PEAL_FD_MIN);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert(is_set(fd, O_NONBLOCK));
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)}), 0);
	ck_assert_int_eq(type, SOCK_STREAM);
}

/* With the first _i standard streams closed. */
START_TEST(both_ends_are_born_private_and_above_the_standard_streams)
{
	int saved[2] = {fcntl(0, F_DUPFD_CLOEXEC, 10), fcntl(1, F_DUPFD_CLOEXEC, 10)};
	struct peal_doorbell_handle guest;
	struct peal_doorbell host;

	for (int fd = 0; fd < _i; fd++)
		close(fd);
	assert_ok(peal_doorbell_create(&host, &guest));
	assert_born_right(peal_doorbell_fd(&host));
	assert_born_right(peal_doorbell_handle_to_fd(guest));
	ck_assert_int_eq(host.signal_fd, host.wait_fd);
	ck_assert_int_eq(host.watch_fd, -1);
	ck_assert(!peal_doorbell_is_dead(&host));
	ck_assert_int_eq(peal_doorbell_accept(&host), 0);
	for (int fd = 0; fd < 2; fd++) {
		ck_assert_int_eq(fcntl(fd, F_GETFD), fd < _i ? -1 : 0);
		ck_assert_int_eq(dup2(saved[fd], fd), fd);
		close(saved[fd]);
	}
	peal_doorbell_close(&host);
	peal_doorbell_handle_close(&guest);
	ck_assert_int_eq(guest.fd, -1);
}
END_TEST

/*
 * Out of numbers at each step, the standard streams below @closed being shut:
 *	0	the socketpair itself
 *	1	moving its first end up from 0
 *	2	moving the second up from 1, with the first already moved
 */
START_TEST(a_failed_creation_leaves_nothing)
{
	int closed = _i == 2 ? 2 : 1, room = _i == 0 ? 0 : 1;
	int saved[2] = {fcntl(0, F_DUPFD_CLOEXEC, 20), fcntl(1, F_DUPFD_CLOEXEC, 20)};
	int free_fd = fcntl(saved[0], F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	struct peal_doorbell_handle guest = {-7};
	struct peal_doorbell host = {.wait_fd = -7};
	struct peal_wake_pair pair = {-7, -7};
	struct rlimit old, low;

	close(free_fd);
	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){(rlim_t)(free_fd + room), old.rlim_max};
	for (int fd = 0; fd < closed; fd++)
		close(fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_fails(peal_doorbell_create(&host, &guest), EMFILE, "Too many open files");
	assert_fails(peal_wake_pair_create(&pair), EMFILE, "Too many open files");
	setrlimit(RLIMIT_NOFILE, &old);
	for (int fd = 0; fd < 2; fd++) {
		ck_assert_int_eq(fcntl(fd, F_GETFD), fd < closed ? -1 : 0);
		ck_assert_int_eq(dup2(saved[fd], fd), fd);
		close(saved[fd]);
	}
	ck_assert_int_eq(host.wait_fd, -7);
	ck_assert_int_eq(guest.fd, -7);
	ck_assert_int_eq(pair.producer_wake, -7);
	ck_assert_int_eq(pair.consumer_wake, -7);
}
END_TEST

static int listening_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* No path: the kernel picks an abstract name. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX},
			      sizeof(sa_family_t)),
			 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(only_a_connected_unix_stream_is_adopted_and_others_stay_untouched)
{
	int datagrams[2], packets[2], pipes[2];
	struct peal_doorbell db = {.wait_fd = -7};

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets), 0);
	ck_assert_int_eq(pipe(pipes), 0);

	const struct {
		int fd, error;
		const char *words;
	} wrong[] = {
		{datagrams[0], EPROTOTYPE, "Unix stream"},
		{packets[0], EPROTOTYPE, "Unix stream"},
		{socket(AF_INET, SOCK_STREAM, 0), EPROTOTYPE, "domain 2"},
		{pipes[0], ENOTSOCK, "is a socket"},
		{eventfd(0, 0), ENOTSOCK, "is a socket"},
		{open("/", O_PATH), EBADF, "is a socket"},
		{socket(AF_UNIX, SOCK_STREAM, 0), ENOTCONN, "not connected"},
		{listening_socket(), ENOTCONN, "not connected"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_ge(wrong[i].fd, PEAL_FD_MIN);
		assert_fails(peal_doorbell_from_fd_take(&db, wrong[i].fd), wrong[i].error,
			     wrong[i].words);
		ck_assert_int_eq(fcntl(wrong[i].fd, F_GETFD), 0);
		ck_assert(!is_set(wrong[i].fd, O_NONBLOCK));
		close(wrong[i].fd);
	}
	assert_fails(peal_doorbell_from_fd_take(&db, 999), EBADF, "999 is not open");
	assert_fails(peal_doorbell_from_fd_take(&db, 0), EINVAL, "below 3");
	assert_fails(peal_doorbell_from_handle(&db, peal_doorbell_handle_from_fd(-1)), EINVAL,
		     "below 3");
	ck_assert_int_eq(db.wait_fd, -7);
	close(datagrams[1]);
	close(packets[1]);
	close(pipes[1]);
}
END_TEST

START_TEST(adoption_sets_the_flags_that_inheritance_lost)
{
	struct peal_doorbell_handle guest;
	struct peal_doorbell host, db;

	assert_ok(peal_doorbell_create(&host, &guest));
	fcntl(guest.fd, F_SETFD, 0);
	fcntl(guest.fd, F_SETFL, 0);
	assert_ok(peal_doorbell_from_handle(&db, guest));
	assert_born_right(db.wait_fd);
	ck_assert_int_eq(db.kind, PEAL_DOORBELL_SOCKET);
	ck_assert_int_eq(db.signal_fd, db.wait_fd);
	ck_assert_int_eq(db.watch_fd, -1);
	close_ends(&host, &db);
}
END_TEST

START_TEST(a_refused_option_leaves_all_as_it_was)
{
	struct peal_doorbell_handle guest = {-7};
	struct peal_doorbell host = {.wait_fd = -7};
	int pair[2];

	fake_setsockopt = (struct fake){.error = ENOMEM, .times = 2};
	assert_fails(peal_doorbell_create(&host, &guest), ENOMEM, "SO_OOBINLINE");
	ck_assert_int_eq(guest.fd, -7);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_fails(peal_doorbell_from_fd_take(&host, pair[0]), ENOMEM, "SO_OOBINLINE");
	ck_assert_int_eq(host.wait_fd, -7);
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), 0);
	ck_assert(!is_set(pair[0], O_NONBLOCK));
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(an_end_is_adopted_after_its_peer_has_died)
{
	struct peal_doorbell_handle guest;
	struct peal_doorbell host, db;

	assert_ok(peal_doorbell_create(&host, &guest));
	peal_doorbell_close(&host);
	assert_ok(peal_doorbell_from_handle(&db, guest));
	assert_fails(peal_doorbell_wait(&db, PEAL_FOREVER), EPIPE, "closed its end");
	assert_dead(&db);
	peal_doorbell_close(&db);
}
END_TEST

START_TEST(a_closed_doorbell_is_inert_and_what_it_watched_stays_open)
{
	struct peal_doorbell a, b;
	int watched = eventfd(0, EFD_CLOEXEC);

	make_ends(_i, &a, &b);
	peal_doorbell_watch(&a, watched);
	fake_close.calls = 0;
	peal_doorbell_close(&a);
	/* A number closed twice could be one that another thread was just given. */
	ck_assert_int_eq(fake_close.calls, _i == PEAL_DOORBELL_SOCKET ? 1 : 2);
	ck_assert_int_eq(peal_doorbell_fd(&a), -1);
	ck_assert_int_eq(a.signal_fd, -1);
	ck_assert_int_eq(a.watch_fd, -1);
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EBADF, "is closed");
	assert_fails(peal_doorbell_signal(&a), EBADF, "");
	assert_fails(peal_doorbell_drain(&a), EBADF, "");
	if (_i == PEAL_DOORBELL_SOCKET)
		assert_fails(peal_doorbell_pending(&a), EBADF, "queue");
	else
		assert_fails(peal_doorbell_pending(&a), ENOENT, "/proc/self/fdinfo/-1");
	peal_doorbell_close(&a);
	ck_assert_int_eq(fcntl(watched, F_GETFD), FD_CLOEXEC);
	close(watched);
	peal_doorbell_close(&b);
}
END_TEST

/* --- Handle ------------------------------------------------------------------------------ */

START_TEST(a_handle_travels_as_an_argument)
{
	char text[32] = "untouched", exact[32];
	struct peal_doorbell_handle guest, read_back = {-1};
	struct peal_doorbell host;
	int length;

	assert_ok(peal_doorbell_create(&host, &guest));
	length = snprintf(exact, sizeof(exact), "--doorbell-fd=%d", guest.fd);
	assert_fails(peal_doorbell_handle_to_arg(guest, text, (size_t)length), ENOSPC, "too few");
	assert_fails(peal_doorbell_handle_to_arg(guest, text, 0), ENOSPC, "too few");
	ck_assert_str_eq(text, "untouched");
	ck_assert_int_eq(peal_doorbell_handle_to_arg(guest, text, (size_t)length + 1), length);
	ck_assert_str_eq(text, exact);
	ck_assert_int_eq(peal_doorbell_handle_to_arg(peal_doorbell_handle_from_fd(INT32_MIN), text,
						     sizeof(text)),
			 25);
	assert_ok(peal_doorbell_handle_from_arg(&read_back, exact));
	ck_assert_int_eq(read_back.fd, guest.fd);
	read_back.fd = -1;
	assert_ok(peal_doorbell_handle_from_arg(&read_back, strchr(exact, '=') + 1));
	ck_assert_int_eq(read_back.fd, guest.fd);
	peal_doorbell_handle_close(&guest);
	peal_doorbell_close(&host);
}
END_TEST

START_TEST(a_handle_is_read_strictly)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{"", EINVAL},
		{"--doorbell-fd", EINVAL},
		{"--doorbell-fd=", EINVAL},
		{"--doorbell-fd= 5", EINVAL},
		{"--doorbell-fd=+5", EINVAL},
		{"--doorbell-fd=-5", EINVAL},
		{"--doorbell-fd=0x5", EINVAL},
		{"--doorbell-fd=5x", EINVAL},
		{"--doorbell-fd=2", EINVAL},
		{"--doorbell-fd=--doorbell-fd=5", EINVAL},
		{"--doorbell-fdx=5", EINVAL},
		{"--segment-fd=5", EINVAL},
		{"-doorbell-fd=5", EINVAL},
		{"=5", EINVAL},
		{"--doorbell-fd=4294967299", ERANGE},
		{"--doorbell-fd=999", EBADF},
	};
	struct peal_doorbell_handle handle = {-7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(peal_doorbell_handle_from_arg(&handle, bad[i].text), bad[i].error,
			     "--doorbell-fd: ");
		ck_assert_int_eq(handle.fd, -7);
	}
}
END_TEST

/* --- Ringing ----------------------------------------------------------------------------- */

START_TEST(a_signal_before_the_wait_ends_it_and_only_a_drain_takes_it)
{
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	assert_nothing_there(&b);
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
	assert_nothing_there(&a);
	ck_assert_int_eq(peal_doorbell_wait(&b, PEAL_FOREVER), 0);
	ck_assert_int_eq(peal_doorbell_wait(&b, PEAL_TRY), 0);
	ck_assert_int_eq(peal_doorbell_wait(&b, 1), 0);
	ck_assert_int_eq(peal_doorbell_drain(&b), PEAL_DRAIN_RUNG);
	assert_nothing_there(&b);
	ck_assert(!peal_doorbell_is_dead(&b));
	close_ends(&a, &b);
}
END_TEST

START_TEST(pending_is_exact_and_one_drain_takes_all)
{
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	/* 26 is 1a in hexadecimal. */
	for (int n = 1; n <= 26; n++) {
		ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
		ck_assert_int_eq(peal_doorbell_pending(&b), n);
	}
	ck_assert_int_eq(peal_doorbell_drain(&b), PEAL_DRAIN_RUNG);
	assert_nothing_there(&b);
	close_ends(&a, &b);
}
END_TEST

START_TEST(a_count_that_can_not_be_read_is_an_error)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_EVENTFD, &a, &b);
	fake_read = (struct fake){.error = EIO, .times = 1};
	assert_fails(peal_doorbell_pending(&a), EIO, "/proc/self/fdinfo/");
	ck_assert_int_eq(dup3(STDIN_FILENO, a.wait_fd, O_CLOEXEC), a.wait_fd);
	assert_fails(peal_doorbell_pending(&a), ENOTTY, "no eventfd-count");
	close_ends(&a, &b);
}
END_TEST

/* The flag is cleared, as a process that inherited our end could do. */
START_TEST(a_full_queue_coalesces_and_never_blocks)
{
	int64_t sent = 0, drains = 0;
	struct peal_doorbell a, b;
	int rc;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	fcntl(a.signal_fd, F_SETFL, 0);
	while ((rc = peal_doorbell_signal(&a)) == PEAL_SIGNAL_SENT)
		sent++;
	ck_assert_int_eq(rc, PEAL_SIGNAL_COALESCED);
	ck_assert(!peal_doorbell_is_dead(&a));
	ck_assert_int_eq(peal_doorbell_pending(&b), sent);
	while (peal_doorbell_wait(&b, PEAL_TRY) == 0) {
		ck_assert_int_eq(peal_doorbell_drain(&b), PEAL_DRAIN_RUNG);
		drains++;
	}
	ck_assert_int_eq(drains, (sent + 511) / 512);
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
	close_ends(&a, &b);
}
END_TEST

START_TEST(draining_an_empty_socket_never_blocks)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	fcntl(b.wait_fd, F_SETFL, 0);
	ck_assert_int_eq(peal_doorbell_drain(&b), 0);
	close_ends(&a, &b);
}
END_TEST

START_TEST(a_saturated_counter_coalesces)
{
	uint64_t most = UINT64_MAX - 1;
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_EVENTFD, &a, &b);
	ck_assert_int_eq(write(a.signal_fd, &most, sizeof(most)), sizeof(most));
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_COALESCED);
	ck_assert_int_eq(peal_wake_notify(a.signal_fd), 0);
	ck_assert_int_eq(peal_doorbell_pending(&b), INT64_MAX);
	ck_assert_int_eq(peal_doorbell_wait(&b, PEAL_FOREVER), 0);
	ck_assert_int_eq(peal_wake_try_read(b.wait_fd), INT64_MAX);
	assert_nothing_there(&b);
	close_ends(&a, &b);
}
END_TEST

START_TEST(want_of_memory_is_neither_a_signal_nor_death)
{
	static const int errors[] = {ENOBUFS, ENOMEM};
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	fake_send = (struct fake){.error = errors[_i], .times = 1};
	assert_fails(peal_doorbell_signal(&a), errors[_i], "ringing the doorbell");
	ck_assert(!peal_doorbell_is_dead(&a));
	assert_nothing_there(&b);
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
	fake_recv = (struct fake){.error = errors[_i], .times = 1};
	assert_fails(peal_doorbell_drain(&b), errors[_i], "draining the doorbell");
	ck_assert(!peal_doorbell_is_dead(&b));
	ck_assert_int_eq(peal_doorbell_drain(&b), PEAL_DRAIN_RUNG);
	close_ends(&a, &b);
}
END_TEST

START_TEST(interrupted_calls_are_retried)
{
	const struct fake twice = {.error = EINTR, .times = 2};
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	fake_send = fake_write = twice;
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
	fake_recv = fake_read = twice;
	ck_assert_int_eq(peal_doorbell_drain(&b), PEAL_DRAIN_RUNG);
	/* The look for a last bell after the hang-up, too. */
	if (_i == PEAL_DOORBELL_SOCKET) {
		fake_send.times = 0;
		ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_SENT);
		peal_doorbell_close(&a);
		fake_recv = twice;
		ck_assert_int_eq(peal_doorbell_wait(&b, PEAL_FOREVER), 0);
	}
	fake_write.times = 0;
	close_ends(&a, &b);
}
END_TEST

/* --- A hostile peer ---------------------------------------------------------------------- */

START_TEST(a_flood_costs_one_bounded_read_a_wake)
{
	static const char flood[65536];
	int64_t left, before;
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	while (send(b.signal_fd, flood, sizeof(flood), MSG_DONTWAIT) > 0)
		;
	for (left = peal_doorbell_pending(&a); left > 0; left = peal_doorbell_pending(&a)) {
		before = left;
		ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
		fake_recv.calls = 0;
		ck_assert_int_eq(peal_doorbell_drain(&a), PEAL_DRAIN_RUNG);
		ck_assert_int_eq(fake_recv.calls, 1);
		ck_assert_int_eq(before - peal_doorbell_pending(&a), before < 512 ? before : 512);
	}
	assert_nothing_there(&a);
	close_ends(&a, &b);
}
END_TEST

static void send_with_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct msghdr message = {
		.msg_iov = &(struct iovec){(char[]){0}, 1},
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(socket, &message, 0), 1);
}

START_TEST(stuffed_descriptors_are_discarded)
{
	int pipes[2], probe, next, drains = 0;
	struct peal_doorbell a, b;
	char byte;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	for (int i = 0; i < 5; i++)
		send_with_fd(b.signal_fd, pipes[1]);
	close(pipes[1]);
	probe = dup(pipes[0]);
	close(probe);
	while (peal_doorbell_wait(&a, PEAL_TRY) == 0) {
		ck_assert_int_eq(peal_doorbell_drain(&a), PEAL_DRAIN_RUNG);
		drains++;
	}
	ck_assert_int_le(drains, 5);
	/* No number was taken, and the pipe's last writer is gone. */
	next = dup(pipes[0]);
	ck_assert_int_eq(next, probe);
	close(next);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	close_ends(&a, &b);
}
END_TEST

/* o: a byte out of band; n: an ordinary one. */
START_TEST(out_of_band_bytes_are_bells_like_any_other)
{
	static const char *const tunes[] = {"o", "oo", "no", "on", "nono", "ooooonnnnnooooo"};
	struct peal_doorbell a, b;
	int wakes = 0;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	/* Either way of making an end must do it: host and guest. */
	for (int turn = 0; turn < 2; turn++) {
		struct peal_doorbell *from = turn ? &a : &b, *to = turn ? &b : &a;

		for (const char *note = tunes[_i]; *note; note++)
			if (send(from->signal_fd, "", 1, *note == 'o' ? MSG_OOB : 0) < 0)
				harness_skip("this kernel has no MSG_OOB on Unix sockets");
		ck_assert_int_eq(peal_doorbell_pending(to), (int64_t)strlen(tunes[_i]));
		while (peal_doorbell_wait(to, PEAL_TRY) == 0) {
			ck_assert_int_eq(peal_doorbell_drain(to), PEAL_DRAIN_RUNG);
			ck_assert_int_le(++wakes, 2 * (int)strlen(tunes[_i]));
		}
		assert_nothing_there(to);
	}
	close_ends(&a, &b);
}
END_TEST

START_TEST(a_peer_that_stops_reading_is_dead_to_a_signal)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	shutdown(b.wait_fd, SHUT_RD);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_PEER_DEAD);
	assert_dead(&a);
	close_ends(&a, &b);
}
END_TEST

START_TEST(a_peer_that_stops_writing_is_dead_to_wait_and_drain)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	shutdown(b.signal_fd, SHUT_WR);
	if (_i == 0)
		assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	else
		ck_assert_int_eq(peal_doorbell_drain(&a), PEAL_DRAIN_CLOSED);
	assert_dead(&a);
	close_ends(&a, &b);
}
END_TEST

/* --- Death ------------------------------------------------------------------------------- */

START_TEST(ringing_the_dead_is_told_once_and_for_all_without_a_signal)
{
	static const int errors[] = {0, EPIPE, ECONNRESET};
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	peal_doorbell_close(&b);
	if (_i > 0)
		fake_send = (struct fake){.error = errors[_i], .times = 1};
	/* SIGPIPE would kill this process. */
	ck_assert_int_eq(peal_doorbell_signal(&a), PEAL_SIGNAL_PEER_DEAD);
	assert_dead(&a);
	peal_doorbell_close(&a);
}
END_TEST

START_TEST(bells_before_the_end_come_before_the_end)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	peal_doorbell_signal(&b);
	peal_doorbell_signal(&b);
	/* The whole end at once, or half of it. */
	if (_i == 0)
		peal_doorbell_close(&b);
	else
		shutdown(b.signal_fd, SHUT_WR);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	ck_assert_int_eq(peal_doorbell_pending(&a), 2);
	ck_assert(peal_doorbell_drain(&a) & PEAL_DRAIN_RUNG);
	ck_assert_int_eq(peal_doorbell_pending(&a), 0);
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	assert_dead(&a);
	close_ends(&a, &b);
}
END_TEST

/* The peer leaves with a bell of ours unread: the kernel says ECONNRESET, once. */
START_TEST(a_reset_means_closed)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	peal_doorbell_signal(&a);
	peal_doorbell_close(&b);
	if (_i == 0)
		ck_assert_int_eq(peal_doorbell_drain(&a), PEAL_DRAIN_CLOSED);
	else
		assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	assert_dead(&a);
	peal_doorbell_close(&a);
}
END_TEST

START_TEST(being_dead_asks_nobody)
{
	struct peal_doorbell a, b;

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	peal_doorbell_close(&b);
	ck_assert(!peal_doorbell_is_dead(&a));
	assert_fails(peal_doorbell_wait(&a, PEAL_TRY), EPIPE, "closed its end");
	ck_assert(peal_doorbell_is_dead(&a));
	peal_doorbell_close(&a);
}
END_TEST

/* An eventfd plays the pidfd here: only readiness counts. */
START_TEST(a_watched_death_is_sticky_and_pending_bells_come_first)
{
	int watched = eventfd(0, EFD_CLOEXEC);
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	peal_doorbell_watch(&a, watched);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_doorbell_signal(&b), PEAL_SIGNAL_SENT);
	ck_assert_int_eq(peal_wake_notify(watched), 0);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	ck_assert(peal_doorbell_is_dead(&a));
	peal_doorbell_watch(&a, -1);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	ck_assert_int_eq(peal_doorbell_drain(&a), PEAL_DRAIN_RUNG | PEAL_DRAIN_CLOSED);
	assert_dead(&a);
	ck_assert_int_eq(peal_doorbell_pending(&b), 0);
	close_ends(&a, &b);
	close(watched);
}
END_TEST

static struct peal_doorbell *last_ringer;
static int last_watched;

static void ring_and_die(void)
{
	if (last_ringer)
		peal_doorbell_signal(last_ringer);
	last_ringer = NULL;
	peal_wake_notify(last_watched);
}

START_TEST(a_peer_that_rings_and_dies_between_the_kernels_questions_is_heard)
{
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	last_watched = eventfd(0, EFD_CLOEXEC);
	last_ringer = &b;
	peal_doorbell_watch(&a, last_watched);
	between_questions = ring_and_die;
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_TRY), 0);
	ck_assert(peal_doorbell_drain(&a) & PEAL_DRAIN_RUNG);
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	between_questions = NULL;
	close_ends(&a, &b);
	close(last_watched);
}
END_TEST

START_TEST(a_descriptor_closed_under_us_is_an_error_and_not_a_death)
{
	struct peal_doorbell a, b;

	make_ends(_i, &a, &b);
	peal_doorbell_watch(&a, 999);
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EBADF, "999");
	ck_assert(!peal_doorbell_is_dead(&a));
	close_ends(&a, &b);
}
END_TEST

/* 0: the socket's hang-up tells; 1: an eventfd with a pidfd. */
START_TEST(sigkill_of_the_peer_wakes_a_sleeper)
{
	struct peal_doorbell a, b;
	pid_t sleeper = getpid(), peer, killer;
	int pidfd = -1;

	make_ends(_i, &a, &b);
	peer = fork();
	if (peer == 0) {
		peal_doorbell_close(&a);
		for (;;)
			pause();
	}
	peal_doorbell_close(&b);
	killer = fork();
	if (killer == 0) {
		peal_doorbell_close(&a);
		until_asleep(sleeper);
		kill(peer, SIGKILL);
		_exit(0);
	}
	if (_i == PEAL_DOORBELL_EVENTFD) {
		pidfd = open_pidfd(peer);
		peal_doorbell_watch(&a, pidfd);
	}
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	assert_dead(&a);
	reap(peer);
	reap(killer);
	/* Reaped or not, the same answer. */
	assert_dead(&a);
	peal_fd_close(&pidfd);
	peal_doorbell_close(&a);
}
END_TEST

START_TEST(a_grandchild_that_holds_the_socket_does_not_hide_the_death)
{
	struct peal_doorbell a, b;
	int pipes[2], pidfd;
	pid_t child, grandchild;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		peal_doorbell_close(&a);
		grandchild = fork();
		if (grandchild == 0)
			for (;;)
				pause();
		peal_doorbell_signal(&b);
		_exit(write(pipes[1], &grandchild, sizeof(grandchild)) < 0);
	}
	peal_doorbell_close(&b);
	pidfd = open_pidfd(child);
	ck_assert_int_ge(pidfd, 0);
	peal_doorbell_watch(&a, pidfd);
	ck_assert_int_eq(read(pipes[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	ck_assert(peal_doorbell_drain(&a) & PEAL_DRAIN_RUNG);
	assert_fails(peal_doorbell_wait(&a, PEAL_FOREVER), EPIPE, "closed its end");
	/* The socket alone would say that all is well, and would take the signal. */
	assert_dead(&a);
	kill(grandchild, SIGKILL);
	reap(child);
	reap(grandchild);
	close(pipes[0]);
	close(pipes[1]);
	close(pidfd);
	peal_doorbell_close(&a);
}
END_TEST

/* --- Deadlines --------------------------------------------------------------------------- */

START_TEST(deadlines_are_kept_and_are_no_failures)
{
	struct peal_doorbell a, b;
	uint64_t deadline;

	make_ends(_i, &a, &b);
	ck_assert_int_eq(peal_doorbell_wait(&b, PEAL_TRY), -EAGAIN);
	ck_assert_int_eq(peal_doorbell_wait(&b, 1), -ETIMEDOUT);
	ck_assert_int_eq(peal_doorbell_wait(&b, peal_now_ns()), -ETIMEDOUT);
	deadline = peal_deadline_in_ns(NSEC_PER_SEC / 20);
	ck_assert_int_eq(peal_doorbell_wait(&b, deadline), -ETIMEDOUT);
	ck_assert(peal_now_ns() >= deadline);
	ck_assert_str_eq(peal_last_error(), "");
	ck_assert(!peal_doorbell_is_dead(&b));
	close_ends(&a, &b);
}
END_TEST

static volatile sig_atomic_t ticks;

static void tick(int number)
{
	(void)number;
	/* An end to the ticks, so that a wait that begins anew with each one ends too, late. */
	if (++ticks == 100)
		setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

START_TEST(interruptions_do_not_move_the_deadline)
{
	struct itimerval every_20_ms = {{0, 20000}, {0, 20000}};
	struct sigaction action = {.sa_handler = tick};
	struct peal_doorbell a, b;
	uint64_t start;

	make_ends(_i, &a, &b);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every_20_ms, NULL);
	start = peal_now_ns();
	ck_assert_int_eq(peal_doorbell_wait(&a, start + 3 * NSEC_PER_SEC / 10), -ETIMEDOUT);
	ck_assert_int_ge(ticks, 2);
	ck_assert(peal_now_ns() - start >= 3 * NSEC_PER_SEC / 10);
	/* Begun anew with each tick, it would last for 2.3 seconds. */
	ck_assert(peal_now_ns() - start < 2 * NSEC_PER_SEC);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	close_ends(&a, &b);
}
END_TEST

/* --- Two processes, two threads ---------------------------------------------------------- */

#define ROUNDS 10000

static int play(struct peal_doorbell *db, bool serves)
{
	for (int round = 0; round < ROUNDS; round++) {
		if (serves && peal_doorbell_signal(db) != PEAL_SIGNAL_SENT)
			return 1;
		if (peal_doorbell_wait(db, PEAL_FOREVER) < 0)
			return 2;
		/* The last bell may come with the news that the ringer has gone home. */
		if (!(peal_doorbell_drain(db) & PEAL_DRAIN_RUNG))
			return 3;
		if (!serves && peal_doorbell_signal(db) != PEAL_SIGNAL_SENT)
			return 4;
	}
	return 0;
}

START_TEST(two_processes_wake_each_other_every_time)
{
	struct peal_doorbell a, b;
	pid_t peer;
	int status;

	make_ends(_i, &a, &b);
	peer = fork();
	if (peer == 0) {
		peal_doorbell_close(&a);
		_exit(play(&b, false));
	}
	peal_doorbell_close(&b);
	ck_assert_int_eq(play(&a, true), 0);
	ck_assert_int_eq(waitpid(peer, &status, 0), peer);
	ck_assert_int_eq(status, 0);
	peal_doorbell_close(&a);
}
END_TEST

/* One way: a thread of one end publishes and rings, a thread of the other waits and drains. */
struct direction {
	struct peal_doorbell *from, *to;
	int published;
	int ring_error, wait_error; /* how either thread ended */
};

static void *publish(void *arg)
{
	struct direction *way = arg;

	for (int i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add(&way->published, 1, __ATOMIC_RELEASE);
		if (way->ring_error == 0)
			way->ring_error = peal_doorbell_signal(way->from);
		if (way->ring_error == PEAL_SIGNAL_COALESCED)
			way->ring_error = 0;
	}
	return NULL;
}

/* What is published before the signal is seen after the drain. Were the last wake lost, this would
 * sleep for ever. */
static void *follow(void *arg)
{
	struct direction *way = arg;

	while (__atomic_load_n(&way->published, __ATOMIC_ACQUIRE) < ROUNDS) {
		way->wait_error = peal_doorbell_wait(way->to, PEAL_FOREVER);
		if (way->wait_error < 0)
			break;
		peal_doorbell_drain(way->to);
	}
	return NULL;
}

static void run_together(void *(*const bodies[])(void *), struct direction *const args[], int count)
{
	pthread_t threads[4];

	for (int i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], args[i]), 0);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

START_TEST(one_thread_of_an_end_rings_while_another_waits)
{
	struct peal_doorbell a, b;
	struct direction there = {.from = &a, .to = &b}, back = {.from = &b, .to = &a};

	make_ends(_i, &a, &b);
	run_together((void *(*[])(void *)){publish, follow, publish, follow},
		     (struct direction *[]){&there, &there, &back, &back}, 4);
	ck_assert_int_eq(there.ring_error | there.wait_error, 0);
	ck_assert_int_eq(back.ring_error | back.wait_error, 0);
	close_ends(&a, &b);
}
END_TEST

START_TEST(both_threads_of_an_end_may_find_the_peer_dead)
{
	struct peal_doorbell a, b;
	struct direction there = {.from = &a}, back = {.to = &a};

	make_ends(PEAL_DOORBELL_SOCKET, &a, &b);
	peal_doorbell_close(&b);
	run_together((void *(*[])(void *)){publish, follow}, (struct direction *[]){&there, &back},
		     2);
	ck_assert_int_eq(there.ring_error, PEAL_SIGNAL_PEER_DEAD);
	ck_assert_int_eq(back.wait_error, -EPIPE);
	assert_dead(&a);
	peal_doorbell_close(&a);
}
END_TEST

static void *wait_for_ever(void *arg)
{
	return (void *)(intptr_t)peal_doorbell_wait(arg, PEAL_FOREVER);
}

START_TEST(a_wait_is_a_cancellation_point_and_leaves_the_end_usable)
{
	struct peal_doorbell a, b;
	pthread_t waiter;
	void *result;

	if (HARNESS_ASAN)
		harness_skip("AddressSanitizer trips over the unwinding of a cancelled thread");
	make_ends(_i, &a, &b);
	ck_assert_int_eq(pthread_create(&waiter, NULL, wait_for_ever, &a), 0);
	pthread_cancel(waiter);
	pthread_join(waiter, &result);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	peal_doorbell_signal(&b);
	ck_assert_int_eq(peal_doorbell_wait(&a, PEAL_FOREVER), 0);
	close_ends(&a, &b);
}
END_TEST

/* --- Wakes ------------------------------------------------------------------------------- */

START_TEST(notifications_add_up_and_one_read_takes_all)
{
	struct peal_wake_pair pair;
	int pipes[2];

	assert_ok(peal_wake_pair_create(&pair));
	ck_assert_int_ge(pair.producer_wake, PEAL_FD_MIN);
	ck_assert_int_eq(fcntl(pair.producer_wake, F_GETFD), FD_CLOEXEC);
	ck_assert(is_set(pair.consumer_wake, O_NONBLOCK));
	ck_assert_int_eq(peal_wake_try_read(pair.producer_wake), 0);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(peal_wake_notify(pair.producer_wake), 0);
	ck_assert_int_eq(peal_wake_try_read(pair.consumer_wake), 0);
	ck_assert_int_eq(peal_wake_try_read(pair.producer_wake), 300);
	ck_assert_int_eq(peal_wake_try_read(pair.producer_wake), 0);
	peal_wake_pair_close(&pair);
	ck_assert_int_eq(pair.producer_wake, -1);
	ck_assert_int_eq(pair.consumer_wake, -1);
	peal_wake_pair_close(&pair);
	assert_fails(peal_wake_notify(-1), EBADF, "notifying");
	assert_fails(peal_wake_try_read(-1), EBADF, "reading");
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pipes[1], "abc", 3), 3);
	assert_fails(peal_wake_try_read(pipes[0]), EINVAL, "gives 8");
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(a_wake_keeps_away_from_the_standard_streams)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), fd;

	close(STDIN_FILENO);
	fd = peal_wake_create();
	ck_assert_int_ge(fd, PEAL_FD_MIN);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	close(fd);
}
END_TEST

START_TEST(only_two_eventfds_are_adopted_and_others_stay_untouched)
{
	int pipes[2], first = eventfd(0, 0), second = eventfd(0, 0);
	struct peal_doorbell db = {.wait_fd = -7};

	ck_assert_int_eq(pipe(pipes), 0);
	assert_fails(peal_doorbell_from_wakes_take(&db, first, pipes[1]), ENOTTY, "not an eventfd");
	assert_fails(peal_doorbell_from_wakes_take(&db, pipes[0], first), ENOTTY, "not an eventfd");
	assert_fails(peal_doorbell_from_wakes_take(&db, first, first), EINVAL, "both");
	assert_fails(peal_doorbell_from_wakes_take(&db, first, 999), EBADF, "not open");
	assert_fails(peal_doorbell_from_wakes_take(&db, 0, first), EINVAL, "below 3");
	ck_assert_int_eq(db.wait_fd, -7);
	ck_assert_int_eq(fcntl(first, F_GETFD), 0);
	ck_assert(!is_set(first, O_NONBLOCK));
	assert_ok(peal_doorbell_from_wakes_take(&db, first, second));
	ck_assert_int_eq(fcntl(first, F_GETFD) + fcntl(second, F_GETFD), 2 * FD_CLOEXEC);
	ck_assert(is_set(first, O_NONBLOCK) && is_set(second, O_NONBLOCK));
	ck_assert_int_eq(db.kind, PEAL_DOORBELL_EVENTFD);
	ck_assert_int_eq(db.watch_fd, -1);
	peal_doorbell_close(&db);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

int main(void)
{
	/* C has no cast from an object's address to a function's; this copy is what dlsym(3) advises. */
	*(void **)&real_ppoll = dlsym(RTLD_NEXT, "ppoll");
	return harness_main(
		"doorbell",
		(struct harness_case[]){
			{both_ends_are_born_private_and_above_the_standard_streams, 3},
			{a_failed_creation_leaves_nothing, 3},
			{only_a_connected_unix_stream_is_adopted_and_others_stay_untouched, 0},
			{adoption_sets_the_flags_that_inheritance_lost, 0},
			{a_refused_option_leaves_all_as_it_was, 0},
			{an_end_is_adopted_after_its_peer_has_died, 0},
			{a_closed_doorbell_is_inert_and_what_it_watched_stays_open, KINDS},
			{a_handle_travels_as_an_argument, 0},
			{a_handle_is_read_strictly, 0},
			{a_signal_before_the_wait_ends_it_and_only_a_drain_takes_it, KINDS},
			{pending_is_exact_and_one_drain_takes_all, KINDS},
			{a_count_that_can_not_be_read_is_an_error, 0},
			{a_full_queue_coalesces_and_never_blocks, 0},
			{draining_an_empty_socket_never_blocks, 0},
			{a_saturated_counter_coalesces, 0},
			{want_of_memory_is_neither_a_signal_nor_death, 2},
			{interrupted_calls_are_retried, KINDS},
			{a_flood_costs_one_bounded_read_a_wake, 0},
			{stuffed_descriptors_are_discarded, 0},
			{out_of_band_bytes_are_bells_like_any_other, 6},
			{a_peer_that_stops_reading_is_dead_to_a_signal, 0},
			{a_peer_that_stops_writing_is_dead_to_wait_and_drain, 2},
			{ringing_the_dead_is_told_once_and_for_all_without_a_signal, 3},
			{bells_before_the_end_come_before_the_end, 2},
			{a_reset_means_closed, 2},
			{being_dead_asks_nobody, 0},
			{a_watched_death_is_sticky_and_pending_bells_come_first, KINDS},
			{a_peer_that_rings_and_dies_between_the_kernels_questions_is_heard, KINDS},
			{a_descriptor_closed_under_us_is_an_error_and_not_a_death, KINDS},
			{sigkill_of_the_peer_wakes_a_sleeper, KINDS},
			{a_grandchild_that_holds_the_socket_does_not_hide_the_death, 0},
			{deadlines_are_kept_and_are_no_failures, KINDS},
			{interruptions_do_not_move_the_deadline, KINDS},
			{two_processes_wake_each_other_every_time, KINDS},
			{one_thread_of_an_end_rings_while_another_waits, KINDS},
			{both_threads_of_an_end_may_find_the_peer_dead, 0},
			{a_wait_is_a_cancellation_point_and_leaves_the_end_usable, KINDS},
			{notifications_add_up_and_one_read_takes_all, 0},
			{a_wake_keeps_away_from_the_standard_streams, 0},
			{only_two_eventfds_are_adopted_and_others_stay_untouched, 0},
			HARNESS_END,
		});
}
