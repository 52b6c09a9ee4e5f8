/* SPDX-License-Identifier: MIT */
/*
 * limit-wake.c - the kernel's own wakes: eventfd, stream socketpair, futex; who waits always sleeps.
 *
 *      slot │ slot │ slot …     the message, in plain shared memory
 *      bell                     says that there is one more
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limit.h"
#include "run.h"

#define SLOTS       4096
#define PAYLOAD_MAX 64
#define DRAIN_BYTES 4096 /* at once; more bells than that are never pending */

enum bell { EVENTFD, SOCKET, FUTEX };

struct lane {
	uint32_t sent __attribute__((aligned(128))); /* for futex */
	uint64_t taken __attribute__((aligned(128)));
	unsigned char slots[SLOTS][PAYLOAD_MAX] __attribute__((aligned(128)));
};

struct shared {
	struct lane forth, back;
};

struct tx {
	struct lane *lane;
	uint64_t count;
	uint64_t room_until;
	enum bell bell;
	int fd;
};

struct rx {
	struct lane *lane;
	uint64_t count;
	uint64_t pending; /* announced and not taken */
	uint64_t size;
	enum bell bell;
	int fd;
	int peer_fd; /* its pidfd, for ppoll */
	bool polls;
};

struct state {
	struct tx tx;
	struct rx rx;
	int forth[2], back[2]; /* [0] for whom waits, [1] for whom rings */
	enum bell bell;
	bool polls;
};

static inline void bench_die(const char *what);

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct state *)run->state)->tx;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct state *)run->state)->rx;
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	/* Only a receiver that is thousands of messages late makes this look. */
	while (tx->count == tx->room_until)
		tx->room_until = __atomic_load_n(&tx->lane->taken, __ATOMIC_ACQUIRE) + SLOTS;
	return tx->lane->slots[tx->count % SLOTS];
}

static inline void tx_end(struct tx *tx, size_t size)
{
	const uint64_t one = 1;
	bool rung = true;

	(void)size;
	__atomic_store_n(&tx->lane->sent, (uint32_t)++tx->count, __ATOMIC_RELEASE);
	if (tx->bell == EVENTFD)
		rung = write(tx->fd, &one, sizeof(one)) == sizeof(one);
	else if (tx->bell == SOCKET)
		rung = send(tx->fd, "", 1, MSG_NOSIGNAL) == 1;
	else
		syscall(SYS_futex, &tx->lane->sent, FUTEX_WAKE, 1, NULL, NULL, 0);
	if (!rung)
		bench_die(strerror(errno));
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

/* The wait that Peal does, see src/doorbell/wait.c. */
static void poll_first(const struct rx *rx)
{
	struct pollfd fds[2] = {
		{.fd = rx->peer_fd, .events = POLLIN},
		{.fd = rx->fd, .events = POLLIN | POLLRDHUP},
	};

	while (ppoll(fds, 2, NULL, NULL) < 0)
		if (errno != EINTR)
			bench_die(strerror(errno));
}

static uint64_t wait_for_bell(struct rx *rx)
{
	char drained[DRAIN_BYTES];
	uint64_t rung = 0;
	ssize_t got;

	if (rx->bell == FUTEX) {
		uint32_t seen = (uint32_t)rx->count;

		while (__atomic_load_n(&rx->lane->sent, __ATOMIC_ACQUIRE) == seen)
			syscall(SYS_futex, &rx->lane->sent, FUTEX_WAIT, seen, NULL, NULL, 0);
		return __atomic_load_n(&rx->lane->sent, __ATOMIC_ACQUIRE) - seen;
	}
	if (rx->polls)
		poll_first(rx);
	if (rx->bell == EVENTFD) {
		if (read(rx->fd, &rung, sizeof(rung)) != sizeof(rung))
			bench_die(strerror(errno));
		return rung;
	}
	got = recv(rx->fd, drained, sizeof(drained), rx->polls ? MSG_DONTWAIT : 0);
	if (got <= 0)
		bench_die(got < 0 ? strerror(errno) : "the peer closed its end");
	return (uint64_t)got;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	if (rx->pending == 0)
		rx->pending = wait_for_bell(rx);
	rx->pending--;
	*size = rx->size;
	return rx->lane->slots[rx->count++ % SLOTS];
}

static inline void rx_end(struct rx *rx)
{
	__atomic_store_n(&rx->lane->taken, rx->count, __ATOMIC_RELEASE);
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

static size_t shared_bytes(const struct bench_config *config)
{
	(void)config;
	return sizeof(struct shared);
}

static int make_bell(const struct state *state, int fds[2])
{
	if (state->bell == FUTEX)
		return 0;
	if (state->bell == SOCKET)
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
	/* Blocking also where ppoll comes first: the read then finds something, as Peal's does. */
	fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC);
	return fds[0] < 0 ? -errno : 0;
}

static int create(struct bench_run *run)
{
	const char *slug = ((const struct bench_arena *)(void *)run->control)->slug;
	struct state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state)
		return -ENOMEM;
	state->bell = strstr(slug, "eventfd") ? EVENTFD : strstr(slug, "socket") ? SOCKET : FUTEX;
	state->polls = strstr(slug, "ppoll");
	rc = make_bell(state, state->forth);
	if (rc == 0)
		rc = make_bell(state, state->back);
	run->state = state;
	return rc;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_arena *arena = (const struct bench_arena *)(void *)run->control;
	struct state *state = run->state;
	struct shared *shared = run->shared;
	bool first = role == BENCH_FIRST;

	state->tx = (struct tx){
		.lane = first ? &shared->forth : &shared->back,
		.room_until = SLOTS,
		.bell = state->bell,
		.fd = first ? state->forth[1] : state->back[1],
	};
	state->rx = (struct rx){
		.lane = first ? &shared->back : &shared->forth,
		.size = run->control->config.payload,
		.bell = state->bell,
		.fd = first ? state->back[0] : state->forth[0],
		.peer_fd = -1,
		.polls = state->polls,
	};
	if (state->polls) {
		pid_t peer = first ? arena->pids[BENCH_SECOND] : getppid();

		state->rx.peer_fd = (int)syscall(SYS_pidfd_open, peer, 0);
		return state->rx.peer_fd < 0 ? -errno : 0;
	}
	return 0;
}

/* The processes end after this, and with them their descriptors. */
static void detach(struct bench_run *run, enum bench_role role)
{
	(void)role;
	free(run->state);
}

#define LIMIT(symbol, name_, slug_, how_)                                                          \
	extern const struct bench_adapter symbol;                                                  \
	const struct bench_adapter symbol = {                                                      \
		.name = name_,                                                                     \
		.slug = slug_,                                                                     \
		.how = how_,                                                                       \
		.flags = BENCH_IS_LIMIT | BENCH_CAN_BLOCK,                                         \
		.payload_max = PAYLOAD_MAX,                                                        \
		.shared_bytes = shared_bytes,                                                      \
		.create = create,                                                                  \
		.attach = attach,                                                                  \
		.first = bench_first,                                                              \
		.second = bench_second,                                                            \
		.detach = detach,                                                                  \
	}

LIMIT(bench_adapter_limit_eventfd, "bare eventfd", "limit-eventfd", "write, blocking read");
LIMIT(bench_adapter_limit_eventfd_ppoll, "bare eventfd, ppoll", "limit-eventfd-ppoll",
      "write; ppoll on the peer's pidfd and the eventfd, then read: the calls that Peal makes");
LIMIT(bench_adapter_limit_socket, "bare socketpair", "limit-socket", "send, blocking recv");
LIMIT(bench_adapter_limit_socket_ppoll, "bare socketpair, ppoll", "limit-socket-ppoll",
      "send; ppoll on the peer's pidfd and the socket, then recv: the calls that Peal makes");
LIMIT(bench_adapter_limit_futex, "bare futex", "limit-futex", "FUTEX_WAKE, FUTEX_WAIT");
