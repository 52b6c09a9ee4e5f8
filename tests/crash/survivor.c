/* SPDX-License-Identifier: MIT */
/*
 * survivor.c - who lives on. It waits without end, for whatever comes; only the victim's death may end
 * it. One process for all victims of a test, so that what it does not give back adds up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/channel.h"
#include "crash/crash.h"
#include "ipc/ipc.h"

#define WHO "survivor"

struct survivor {
	int orders, link;
	struct board *board;
	struct peal_poller *pollers[MANNERS];
	int descriptors; /* that it holds between two lives; 0: not known yet */
	/* Of one life. */
	struct order order;
	struct cell cell;
	struct plan plan;
	struct peal_channel *channel;
	struct peal_producer *tx;
	struct peal_consumer *rx;
	struct report report;
};

/* --- One record ------------------------------------------------------------------------------ */

/* The next record has to be this one. */
static void take(struct survivor *s, const struct peal_record *record)
{
	uint64_t i = s->report.next++;

	if (record->size != cell_record_size(&s->cell, i) || record->type != record_type(i) ||
	    !stream_is(record->data, record->size, i))
		crash_die(WHO, "a record is torn, lost or doubled", (long)i);
	must(WHO, peal_release(s->rx));
}

static size_t next_size(const struct survivor *s)
{
	return cell_record_size(&s->cell, s->report.next);
}

static int give(struct survivor *s, void *payload)
{
	uint64_t i = s->report.next++;
	size_t size = cell_record_size(&s->cell, i);
	int rc;

	stream_fill(payload, size, i);
	rc = peal_commit(s->tx, size, record_type(i));
	s->report.in_commit = rc < 0;
	return rc;
}

/* All that can be had without waiting. 0 or what ended it. */
static int take_all(struct survivor *s)
{
	struct peal_record record;
	int rc;

	while ((rc = peal_next(s->rx, &record)) == 1)
		take(s, &record);
	return rc;
}

static int give_all(struct survivor *s)
{
	void *payload;
	int rc;

	while ((rc = peal_reserve(s->tx, next_size(s), &payload)) == 0) {
		rc = give(s, payload);
		if (rc < 0)
			return rc;
	}
	return rc == -EAGAIN ? 0 : rc;
}

/* --- Waiting, in each manner, until the end -------------------------------------------------- */

static int wait_by_itself(struct survivor *s)
{
	struct peal_record record;
	void *payload;
	int rc;

	if (s->rx) {
		while ((rc = peal_next_wait(s->rx, &record, PEAL_FOREVER)) == 1)
			take(s, &record);
		return rc;
	}
	do {
		rc = peal_reserve_wait(s->tx, next_size(s), &payload, PEAL_FOREVER);
		if (rc == 0)
			rc = give(s, payload);
	} while (rc == 0);
	return rc;
}

static int wait_in_poll(struct survivor *s)
{
	struct pollfd fds[2] = {
		{.fd = s->rx ? peal_rx_fd(s->channel) : peal_tx_fd(s->channel), .events = POLLIN},
		{.fd = peal_channel_peer_fd(s->channel), .events = POLLIN},
	};
	int rc;

	for (;;) {
		rc = s->rx ? take_all(s) : give_all(s);
		if (rc < 0)
			return rc;
		rc = s->rx ? peal_arm_data(s->rx) : peal_arm_space(s->tx, next_size(s));
		if (rc < 0)
			return rc;
		if (rc == 1)
			continue;
		must(WHO, poll(fds, 2, -1));
		must(WHO, s->rx ? peal_disarm_data(s->rx) : peal_disarm_space(s->tx));
	}
}

static struct peal_poller *poller(struct survivor *s)
{
	enum manner manner = s->cell.manner;
	struct peal_poller_options options = {
		.size = sizeof(options),
		.backend = manner == MANNER_EPOLL ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING,
		.spin_max_us = s->cell.wide ? PEAL_SPIN_DEFAULT : PEAL_SPIN_NEVER,
	};

	if (!s->pollers[manner]) {
		must(WHO, peal_poller_create(&s->pollers[manner], &options));
		s->descriptors = 0; /* it stays */
	}
	return s->pollers[manner];
}

static int wait_in_poller(struct survivor *s)
{
	struct peal_poller *in = poller(s);
	struct peal_watch *watch;
	struct peal_event event;
	int rc;

	if (s->rx)
		must(WHO, peal_poller_watch_data(in, s->channel, 0, s, &watch));
	else
		must(WHO, peal_poller_watch_space(in, s->channel, next_size(s), 0, s, &watch));
	do {
		must(WHO, peal_poller_wait(in, &event, 1, PEAL_FOREVER));
		rc = s->rx ? take_all(s) : give_all(s);
		if (rc == 0 && s->tx)
			must(WHO, peal_watch_resume(watch, next_size(s)));
	} while (rc == 0);
	s->report.when_ns = peal_now_ns();
	peal_watch_remove(watch);
	return rc;
}

static int wait_for_the_end(struct survivor *s)
{
	switch (s->cell.manner) {
	case MANNER_EPOLL:
	case MANNER_IO_URING:
		return wait_in_poller(s);
	case MANNER_FOREIGN:
		return wait_in_poll(s);
	case MANNER_WAIT:
	case MANNERS:
		break;
	}
	return wait_by_itself(s);
}

/* --- One life -------------------------------------------------------------------------------- */

static void host(struct survivor *s)
{
	struct peal_channel_options options = cell_options(&s->cell);
	struct peal_guest_fds fds;
	int pidfd;

	must(WHO, peal_channel_create(&s->channel, &options));
	must(WHO, peal_channel_guest_fds(s->channel, &fds));
	link_send(s->link, &fds);
	peal_channel_close_guest_end(s->channel);
	pidfd = pidfd_open(s->order.victim, 0);
	must(WHO, pidfd);
	must(WHO, peal_channel_watch(s->channel, pidfd));
	close(pidfd);
}

static void set_up(struct survivor *s)
{
	struct peal_attach_options options = cell_attach_options(&s->cell);
	struct peal_guest_fds fds;

	if (s->cell.victim_is_host) {
		fds = link_receive(s->link);
		must(WHO, peal_attach_fds(&s->channel, &fds, &options));
	} else {
		host(s);
	}
	s->tx = peal_tx(s->channel);
	s->rx = peal_rx(s->channel);
	s->board->own = s->channel->own.header;
	s->board->peer = s->channel->peer.header;
	s->board->wait_word = s->tx ? s->tx->wake.own_word : s->rx->wake.own_word;
}

/* What passes before the operation. */
static void prepare(struct survivor *s)
{
	uint64_t count = s->plan.passed + (s->tx ? s->plan.left : 0);
	struct peal_record record;
	void *payload;

	while (s->report.next < count) {
		if (s->rx) {
			must(WHO, peal_next_wait(s->rx, &record, PEAL_FOREVER));
			take(s, &record);
		} else {
			must(WHO, peal_reserve_wait(s->tx, next_size(s), &payload, PEAL_FOREVER));
			must(WHO, give(s, payload));
		}
	}
}

static void act(struct survivor *s)
{
	struct peal_record record;
	void *payload;

	for (int i = 0; s->rx && i < ACT_RECORDS; i++) {
		must(WHO, peal_next_wait(s->rx, &record, PEAL_FOREVER));
		take(s, &record);
	}
	if (s->tx) {
		must(WHO, peal_reserve(s->tx, next_size(s), &payload));
		must(WHO, give(s, payload));
	}
}

static void tell(struct survivor *s, enum report_kind kind)
{
	s->report.kind = kind;
	must(WHO, send(s->orders, &s->report, sizeof(s->report), MSG_NOSIGNAL));
}

/* false: there are no more orders. */
static bool hear(struct survivor *s)
{
	return recv(s->orders, &s->order, sizeof(s->order), 0) == (ssize_t)sizeof(s->order);
}

static int ask_again(struct survivor *s)
{
	struct peal_record record;
	void *payload;

	return s->rx ? peal_next_wait(s->rx, &record, PEAL_FOREVER)
		     : peal_reserve_wait(s->tx, CAPACITY / 2, &payload, PEAL_FOREVER);
}

static void live(struct survivor *s)
{
	s->cell = s->order.cell;
	s->plan = cell_plan(&s->cell);
	s->report = (struct report){0};
	set_up(s);
	if (!op_attaches(s->cell.op)) {
		if (!s->cell.victim_is_host)
			must(WHO, peal_channel_wait_ready(s->channel, PEAL_FOREVER));
		prepare(s);
	}
	tell(s, REPORT_PREPARED);
	while (!s->cell.asleep && s->order.kind != ORDER_GO) {
		if (!hear(s))
			_exit(1);
		if (s->order.kind == ORDER_ACT) {
			act(s);
			tell(s, REPORT_ACTED);
		}
	}
	if (op_attaches(s->cell.op))
		s->report.ready = peal_channel_wait_ready(s->channel, PEAL_FOREVER);
	s->report.error = wait_for_the_end(s);
	if (s->cell.manner < MANNER_EPOLL)
		s->report.when_ns = peal_now_ns();
	s->report.again = ask_again(s);
	s->report.peer = peal_channel_peer(s->channel);
	tell(s, REPORT_END);
}

/* --- What is left of it ---------------------------------------------------------------------- */

static int count_descriptors(void)
{
	int count = 0;

	/* The kernel gives the lowest that is free, so the first that leaks is among these. */
	for (int fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void close_channel(struct survivor *s)
{
	int now;

	s->channel = peal_channel_close(s->channel);
	now = count_descriptors();
	if (s->descriptors == 0)
		s->descriptors = now;
	if (s->descriptors != now)
		crash_die(WHO, "descriptors are left of a channel", now - s->descriptors);
}

static void expect_no_mapping(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "memfd:peal"))
			crash_die(WHO, "a segment is still mapped", 0);
	}
	must(WHO, maps ? fclose(maps) : -1);
}

void survivor_main(const struct scene *scene, int orders, int link)
{
	static struct survivor s;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s.orders = orders;
	s.link = link;
	s.board = scene->board;
	/* Not closed before the next order: the test looks at the ring through our mapping. */
	for (bool more = hear(&s); more; close_channel(&s)) {
		live(&s);
		more = hear(&s);
	}
	for (int manner = 0; manner < MANNERS; manner++)
		peal_poller_close(s.pollers[manner]);
	expect_no_mapping();
	_exit(0);
}
