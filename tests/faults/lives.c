/* SPDX-License-Identifier: MIT */
/*
 * lives.c - the scenarios: together they reach every place where the library calls into the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faults/scenario.h"
#include "poller/poller.h"
#include "ring/layout.h"

#define MS       UINT64_C(1000000)
#define SHORTLY  peal_deadline_in_ns(MS)
/* For what comes for certain, unless a fault took it away. */
#define LONG     peal_deadline_in_ns(2000 * MS)
#define RECORD   1200
#define ARGUMENT 32

static const char record[RECORD];
static char buffer[RECORD];

/* --- Both ends in this process: nothing depends on who runs when ------------------------------ */

static bool make_host(struct world *world, const struct scenario *scenario)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 4096,
		.to_host = 4096,
		.doorbell = scenario->kind,
		.spin_max_us = PEAL_SPIN_NEVER,
		.name = "faults",
	};

	/* The default asks how many processors there are. */
	if (scenario->on_one_cpu)
		options.spin_max_us = PEAL_SPIN_DEFAULT;
	return OK(peal_channel_create(&world->host, &options));
}

static int copy(struct world *world, int fd)
{
	int i = 0;

	while (world->fds[i] >= 0)
		i++;
	world->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return world->fds[i];
}

static bool attach(struct world *world, const struct scenario *scenario,
		   const struct peal_guest_fds *fds)
{
	struct peal_attach_options options = {.size = sizeof(options),
					      .flags =
						      scenario->is_strict ? PEAL_CHANNEL_STRICT : 0,
					      .spin_max_us = PEAL_SPIN_NEVER};
	char text[8][ARGUMENT], *argv[9] = {text[0]};
	int argc = 1;

	snprintf(text[0], ARGUMENT, "guest");
	for (int i = 0; i < 2; i++) {
		int fd = copy(world, i ? fds->guest_segment : fds->host_segment);

		argv[argc] = text[argc];
		snprintf(text[argc++], ARGUMENT, PEAL_SEGMENT_ARG "=%d", fd);
	}
	for (unsigned int i = 0; i < fds->doorbell_count; i++) {
		argv[argc] = text[argc];
		snprintf(text[argc++], ARGUMENT, PEAL_DOORBELL_ARG "=%d",
			 copy(world, fds->doorbells[i]));
	}
	if (fds->host_pidfd >= 0) {
		argv[argc] = text[argc];
		snprintf(text[argc++], ARGUMENT, PEAL_PIDFD_ARG "=%d",
			 copy(world, fds->host_pidfd));
	}
	argv[argc] = NULL;
	if (!OK(peal_attach_args(&world->guest, &argc, argv, &options)))
		return false;
	/* They are the guest's now. */
	for (int i = 0; i < 8; i++)
		world->fds[i] = -1;
	if (argc != 1)
		scenario_wrong("%d arguments are left", argc - 1);
	return true;
}

static bool make_both(struct world *world, const struct scenario *scenario)
{
	struct peal_guest_fds fds;

	if (!make_host(world, scenario) || !OK(peal_channel_guest_fds(world->host, &fds)) ||
	    !attach(world, scenario, &fds))
		return false;
	scenario_enter(__LINE__);
	peal_channel_close_guest_end(world->host);
	return scenario_leave("peal_channel_close_guest_end", 0, 0) &&
	       OK(peal_channel_wait_ready(world->host, LONG));
}

static bool fill(struct peal_producer *tx)
{
	for (int i = 0; i < 4; i++) {
		/* Three fit. */
		if (!GIVES(peal_send(tx, record, RECORD, 0, PEAL_TRY), i < 3 ? 0 : -EAGAIN))
			return false;
	}
	return true;
}

static bool empty(struct peal_consumer *rx)
{
	for (int i = 0; i < 4; i++) {
		if (!GIVES(peal_recv(rx, buffer, RECORD, NULL, PEAL_TRY), i < 3 ? RECORD : -EAGAIN))
			return false;
	}
	return true;
}

/* Full, waited for in vain, armed, rung. */
static bool wait_for_space(struct world *world)
{
	struct peal_producer *tx = peal_tx(world->host);
	struct peal_consumer *rx = peal_rx(world->guest);
	void *payload;

	return fill(tx) && GIVES(peal_reserve_wait(tx, RECORD, &payload, SHORTLY), -ETIMEDOUT) &&
	       GIVES(peal_arm_space(tx, RECORD), 0) && empty(rx) && OK(peal_disarm_space(tx)) &&
	       GIVES(peal_arm_space(tx, RECORD), 1);
}

static bool wait_for_data(struct world *world)
{
	struct peal_producer *tx = peal_tx(world->host);
	struct peal_consumer *rx = peal_rx(world->guest);

	/* The bell that is left over ends the wait once, to no avail. */
	return GIVES(peal_arm_data(rx), 0) && OK(peal_send(tx, record, 8, 0, PEAL_TRY)) &&
	       GIVES(peal_recv(rx, buffer, RECORD, NULL, SHORTLY), 8) &&
	       GIVES(peal_recv(rx, buffer, RECORD, NULL, SHORTLY), -ETIMEDOUT) &&
	       GIVES(peal_arm_data(rx), 0) && OK(peal_send(tx, record, 8, 0, PEAL_TRY)) &&
	       OK(peal_disarm_data(rx)) && GIVES(peal_recv(rx, buffer, RECORD, NULL, SHORTLY), 8);
}

static bool end_in_good_order(struct world *world)
{
	scenario_enter(__LINE__);
	scenario_close_guest(world);
	return scenario_leave("peal_channel_close", 0, 0) &&
	       GIVES(peal_channel_peer(world->host), PEAL_PEER_CLOSED) &&
	       GIVES(peal_recv(peal_rx(world->host), buffer, RECORD, NULL, LONG), -EPIPE);
}

static bool live_together(struct world *world, const struct scenario *scenario)
{
	return make_both(world, scenario) && wait_for_space(world) && wait_for_data(world) &&
	       GIVES(peal_channel_peer(world->host), PEAL_PEER_ATTACHED) &&
	       end_in_good_order(world);
}

/* A strict guest rings by write, and reads until the host hangs up. */
static bool live_strictly(struct world *world, const struct scenario *scenario)
{
	if (!make_both(world, scenario) || !GIVES(peal_arm_data(peal_rx(world->host)), 0) ||
	    !OK(peal_send(peal_tx(world->guest), record, 8, 0, PEAL_TRY)) ||
	    !OK(peal_disarm_data(peal_rx(world->host))) ||
	    !GIVES(peal_recv(peal_rx(world->host), buffer, RECORD, NULL, PEAL_TRY), 8))
		return false;
	shutdown(peal_tx_fd(world->host), SHUT_RDWR);
	if (!GIVES(peal_recv(peal_rx(world->guest), buffer, RECORD, NULL, PEAL_FOREVER), -EPIPE))
		return false;
	scenario_enter(__LINE__);
	scenario_close_guest(world);
	return scenario_leave("peal_channel_close", 0, 0) &&
	       GIVES(peal_recv(peal_rx(world->host), buffer, RECORD, NULL, LONG), -EPIPE);
}

/* --- The poller ------------------------------------------------------------------------------ */

static bool gets(struct world *world, uint32_t kind)
{
	struct peal_event events[4];

	if (!GIVES(peal_poller_wait(world->poller, events, 4, LONG), 1))
		return false;
	if (events[0].kind != kind)
		scenario_wrong("an event of kind %u, expected %u", events[0].kind, kind);
	return events[0].kind == kind;
}

static bool sleeps(struct world *world)
{
	struct peal_event events[4];

	return GIVES(peal_poller_wait(world->poller, events, 4, PEAL_TRY), -EAGAIN);
}

static bool watch_both_ways(struct world *world, struct peal_watch **data,
			    struct peal_watch **space)
{
	struct peal_channel *host = world->host;
	const int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool ok = OK(peal_channel_watch(host, self));

	close(self);
	return ok && fill(peal_tx(host)) &&
	       OK(peal_poller_watch_data(world->poller, host, PEAL_WATCH_BATCH_WAKES, NULL,
					 data)) &&
	       OK(peal_poller_watch_space(world->poller, host, RECORD, 0, NULL, space)) &&
	       sleeps(world);
}

/* As the kernel says that it keeps completions which did not fit. */
static bool find_overflow(struct world *world, const struct scenario *scenario)
{
	if (scenario->backend == PEAL_POLLER_EPOLL)
		return true;
	*world->poller->ring.sq.kflags |= IORING_SQ_CQ_OVERFLOW;
	return sleeps(world);
}

/* Bells that are kept, and rung together. */
static bool batch(struct world *world)
{
	struct peal_producer *tx = peal_tx(world->host);
	struct peal_consumer *rx = peal_rx(world->guest);

	return GIVES(peal_arm_data(rx), 0) && OK(peal_send(tx, record, 8, 0, PEAL_TRY)) &&
	       OK(peal_poller_flush(world->poller)) && OK(peal_disarm_data(rx)) &&
	       GIVES(peal_recv(rx, buffer, RECORD, NULL, PEAL_TRY), 8);
}

static bool remove_watch(struct peal_watch *watch)
{
	scenario_enter(__LINE__);
	peal_watch_remove(watch);
	return scenario_leave("peal_watch_remove", 0, 0);
}

static bool poll_together(struct world *world, const struct scenario *scenario)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = scenario->backend,
					      .spin_max_us = PEAL_SPIN_NEVER};
	struct peal_watch *data, *space;
	struct peal_event events[4];

	if (!OK(peal_poller_create(&world->poller, &options)) || !make_both(world, scenario) ||
	    !watch_both_ways(world, &data, &space))
		return false;
	return empty(peal_rx(world->guest)) && gets(world, PEAL_EVENT_SPACE) &&
	       OK(peal_send(peal_tx(world->guest), record, 8, 0, PEAL_TRY)) &&
	       gets(world, PEAL_EVENT_DATA) &&
	       GIVES(peal_recv(peal_rx(world->host), buffer, RECORD, NULL, PEAL_TRY), 8) &&
	       find_overflow(world, scenario) &&
	       GIVES(peal_poller_wait(world->poller, events, 4, SHORTLY), -ETIMEDOUT) &&
	       OK(peal_poller_wake(world->poller)) && gets(world, PEAL_EVENT_WAKE) &&
	       GIVES(peal_poller_arm(world->poller), 0) && OK(peal_poller_wake(world->poller)) &&
	       gets(world, PEAL_EVENT_WAKE) && batch(world) &&
	       OK(peal_watch_resume(space, RECORD)) && gets(world, PEAL_EVENT_SPACE) &&
	       remove_watch(data) && end_in_good_order(world);
}

/* --- A real guest ---------------------------------------------------------------------------- */

static bool exchange(struct world *world)
{
	return OK(peal_send(peal_tx(world->host), record, 64, 0, LONG)) &&
	       GIVES(peal_recv(peal_rx(world->host), buffer, RECORD, NULL, LONG), 64);
}

static bool live_with_a_guest(struct world *world, const struct scenario *scenario)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = scenario->backend,
					      .spin_max_us = PEAL_SPIN_NEVER};
	char echo[] = "echo", *argv[] = {scenario_guest, echo, NULL}, text[256];
	struct peal_child_status status;
	/* Where we have little memory, the guest still has what its start takes. */
	const struct peal_rlimit memory = {RLIMIT_AS, {RLIM_INFINITY, RLIM_INFINITY}};
	struct peal_spawn_options spawning = {
		.size = sizeof(spawning), .rlimits = &memory, .rlimit_count = 1};

	if (!make_host(world, scenario) ||
	    !OK(peal_spawn(&world->child, world->host, argv, &spawning)) ||
	    !OK(peal_child_wait_ready(world->child, world->host, LONG)) || !exchange(world) ||
	    !OK(peal_poller_create(&world->poller, &options)) ||
	    !OK(peal_poller_watch_child(world->poller, world->child, NULL, NULL)))
		return false;
	scenario_enter(__LINE__);
	peal_child_describe(world->child, text, sizeof(text));
	scenario_leave("peal_child_describe", 0, 0);
	scenario_enter(__LINE__);
	world->host = peal_channel_close(world->host);
	if (!scenario_leave("peal_channel_close", 0, 0) || !gets(world, PEAL_EVENT_CHILD) ||
	    !OK(peal_child_wait(world->child, LONG, &status)))
		return false;
	if (status.state != PEAL_CHILD_EXITED || status.value != 0)
		scenario_wrong("the guest ended with %d, %d", status.state, status.value);
	return true;
}

static int do_nothing(void *data)
{
	(void)data;
	return 0;
}

/* All options; found in the second directory of PATH; killed, not waited for. */
static bool spawn_with_options(struct world *world, const struct scenario *scenario)
{
	static char *envp[] = {NULL};
	static const struct peal_rlimit limit = {RLIMIT_CORE, {0, 0}};
	struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT | PEAL_SPAWN_NO_NEW_PRIVS,
		.envp = envp,
		.rlimits = &limit,
		.rlimit_count = 1,
		.pre_exec = do_nothing,
	};
	char name[] = "guest-fds", none[] = "/no/program", stay[] = "stay";
	char *argv[] = {name, stay, NULL}, *nothing[] = {none, NULL};
	struct peal_spawn_fd inherited = {"--x", 0};
	struct peal_child_status status;

	(void)scenario;
	inherited.fd = world->fds[0] = eventfd(0, EFD_CLOEXEC);
	if (!GIVES(peal_spawn_fds(&world->child, nothing, NULL, 0, NULL), -ENOENT) ||
	    !OK(peal_spawn_fds(&world->child, argv, &inherited, 1, &options)) ||
	    !OK(peal_child_kill(world->child, SIGTERM)) ||
	    !OK(peal_child_wait(world->child, LONG, &status)))
		return false;
	if (status.state != PEAL_CHILD_KILLED || status.value != SIGTERM)
		scenario_wrong("the guest ended with %d, %d", status.state, status.value);
	scenario_enter(__LINE__);
	world->child = peal_child_free(world->child);
	/* One that is killed by being freed. */
	return scenario_leave("peal_child_free", 0, 0) &&
	       OK(peal_spawn_fds(&world->child, argv, &inherited, 1, &options));
}

/* The guest is of another version: it refuses, and the host learns of that. */
static bool refuse(struct world *world, const struct scenario *scenario)
{
	const uint32_t version = PEAL_LAYOUT_VERSION + 1;
	struct peal_guest_fds fds;

	if (!make_host(world, scenario) || !OK(peal_channel_guest_fds(world->host, &fds)))
		return false;
	if (pwrite(fds.guest_segment, &version, sizeof(version),
		   offsetof(struct peal_segment_header, version)) < 0)
		scenario_wrong("the version can not be changed");
	if (scenario->without_files)
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, RLIM_INFINITY});
	return GIVES(peal_attach_fds(&world->guest, &fds, NULL), -EPROTONOSUPPORT) &&
	       GIVES(peal_channel_wait_ready(world->host, SHORTLY), -EPROTONOSUPPORT);
}

/* --- Doorbells on their own ------------------------------------------------------------------ */

static bool ring_and_wait(struct peal_doorbell *from, struct peal_doorbell *to)
{
	return GIVES(peal_doorbell_signal(from), PEAL_SIGNAL_SENT) &&
	       GIVES(peal_doorbell_pending(to), 1) && OK(peal_doorbell_wait(to, LONG)) &&
	       GIVES(peal_doorbell_drain(to), PEAL_DRAIN_RUNG) &&
	       GIVES(peal_doorbell_wait(to, SHORTLY), -ETIMEDOUT) &&
	       GIVES(peal_doorbell_drain(to), 0);
}

static bool ring_sockets(struct world *world)
{
	struct peal_doorbell_handle handle;
	char text[32];

	if (!OK(peal_doorbell_create(&world->near, &handle)))
		return false;
	world->fds[0] = handle.fd;
	if (!OK(peal_doorbell_handle_to_arg(handle, text, sizeof(text))) ||
	    !OK(peal_doorbell_handle_from_arg(&handle, text)) ||
	    !OK(peal_doorbell_from_handle(&world->far, handle)))
		return false;
	world->fds[0] = -1;
	if (!ring_and_wait(&world->near, &world->far) || !ring_and_wait(&world->far, &world->near))
		return false;
	scenario_enter(__LINE__);
	peal_doorbell_close(&world->far);
	return scenario_leave("peal_doorbell_close", 0, 0) &&
	       GIVES(peal_doorbell_wait(&world->near, LONG), -EPIPE) &&
	       GIVES(peal_doorbell_signal(&world->near), PEAL_SIGNAL_PEER_DEAD);
}

static bool ring_eventfds(struct world *world)
{
	struct peal_wake_pair *wakes = &world->wakes;
	int producer, consumer;

	if (!OK(peal_wake_pair_create(wakes)) || !OK(peal_wake_notify(wakes->producer_wake)) ||
	    !GIVES(peal_wake_try_read(wakes->producer_wake), 1) ||
	    !GIVES(peal_wake_try_read(wakes->producer_wake), 0))
		return false;
	producer = copy(world, wakes->producer_wake);
	consumer = copy(world, wakes->consumer_wake);
	if (!OK(peal_doorbell_from_wakes_take(&world->near, producer, consumer)))
		return false;
	world->fds[0] = world->fds[1] = -1;
	if (!OK(peal_doorbell_from_wakes_take(&world->far, wakes->consumer_wake,
					      wakes->producer_wake)))
		return false;
	*wakes = (struct peal_wake_pair){-1, -1};
	return ring_and_wait(&world->near, &world->far) && ring_and_wait(&world->far, &world->near);
}

static bool ring(struct world *world, const struct scenario *scenario)
{
	return scenario->kind == PEAL_DOORBELL_SOCKET ? ring_sockets(world) : ring_eventfds(world);
}

#define SOCKET  .kind = PEAL_DOORBELL_SOCKET
#define EVENTFD .kind = PEAL_DOORBELL_EVENTFD
#define URING   .backend = PEAL_POLLER_IO_URING
#define EPOLL   .backend = PEAL_POLLER_EPOLL

const struct scenario scenarios[] = {
	{"doorbells over sockets", ring, SOCKET},
	{"doorbells over eventfds", ring, EVENTFD},
	{"both ends here, sockets", live_together, SOCKET},
	{"both ends here, eventfds", live_together, EVENTFD},
	{"both ends here, no standard streams", live_together, SOCKET, .without_streams = true},
	{"both ends here, one processor", live_together, EVENTFD, .on_one_cpu = true},
	{"both ends here, a strict guest", live_strictly, SOCKET, .is_strict = true},
	{"io_uring, sockets", poll_together, SOCKET, URING},
	{"io_uring, eventfds", poll_together, EVENTFD, URING},
	{"epoll, sockets", poll_together, SOCKET, EPOLL},
	{"epoll, eventfds", poll_together, EVENTFD, EPOLL},
	{"a guest, sockets, io_uring or epoll", live_with_a_guest, SOCKET},
	{"a guest, eventfds, epoll", live_with_a_guest, EVENTFD, EPOLL},
	{"a guest, no standard streams", live_with_a_guest, SOCKET, EPOLL, .without_streams = true},
	{"a child with all options", spawn_with_options, SOCKET},
	{"a guest of another version", refuse, SOCKET},
	{"a guest of another version, eventfds", refuse, EVENTFD},
	{"a guest of another version that may write no files", refuse, SOCKET,
	 .without_files = true},
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
