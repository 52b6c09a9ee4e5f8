/* SPDX-License-Identifier: MIT */
/*
 * victim.c - who is killed. Between PHASE_DURING and PHASE_AFTER lies the operation, and as little
 * else as possible: each instruction there is one at which it dies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "channel/channel.h"
#include "crash/crash.h"
#include "ipc/ipc.h"

#define WHO "victim"

/* No operation has more of them. */
#define RECORDS_MAX 3

struct victim {
	struct cell cell;
	struct plan plan;
	struct board *board;
	int link;
	pid_t pid, survivor;
	struct peal_guest_fds fds;
	struct peal_channel *channel;
	struct peal_producer *tx;
	struct peal_consumer *rx;
	uint64_t at; /* number of the record that the operation begins with */
	uint64_t records;
	size_t sizes[RECORDS_MAX];
	void *payload;
	unsigned char filled[RECORDS_MAX][CAPACITY]; /* the records to be sent */
};

/* --- Before ---------------------------------------------------------------------------------- */

static void host(struct victim *v)
{
	struct peal_channel_options options = cell_options(&v->cell);
	int pidfd;

	must(WHO, peal_channel_create(&v->channel, &options));
	must(WHO, peal_channel_guest_fds(v->channel, &v->fds));
	link_send(v->link, &v->fds);
	peal_channel_close_guest_end(v->channel);
	pidfd = pidfd_open(v->survivor, 0);
	must(WHO, peal_channel_watch(v->channel, pidfd));
	close(pidfd);
	must(WHO, peal_channel_wait_ready(v->channel, PEAL_FOREVER));
}

static void attach(struct victim *v)
{
	struct peal_attach_options options = cell_attach_options(&v->cell);

	must(WHO, peal_attach_fds(&v->channel, &v->fds, &options));
}

static void send_record(struct victim *v, uint64_t i)
{
	unsigned char data[CAPACITY];
	size_t size = cell_record_size(&v->cell, i);

	stream_fill(data, size, i);
	must(WHO, peal_send(v->tx, data, size, record_type(i), PEAL_FOREVER));
}

static void receive_record(struct victim *v, uint64_t i)
{
	unsigned char data[CAPACITY];
	uint16_t type = 0;
	int64_t size = peal_recv(v->rx, data, sizeof(data), &type, PEAL_FOREVER);

	must(WHO, size);
	if ((size_t)size != cell_record_size(&v->cell, i) || type != record_type(i) ||
	    !stream_is(data, (size_t)size, i))
		crash_die(WHO, "a record is not the one that was sent", (long)i);
}

static void fill_ring(struct victim *v)
{
	const struct peal_segment_header *peer = v->channel->peer.header;
	uint64_t i = 0;

	while (i < v->plan.passed)
		send_record(v, i++);
	/* Until all that has been taken; and then look at the head, so that what this end knows of it
	 * is the same each time. */
	while (peal_load_acquire(&peer->head) != v->tx->tail)
		usleep(1);
	must(WHO, peal_reserve(v->tx, peal_record_max(v->tx), &v->payload));
	peal_abort(v->tx);
	while (i < v->plan.passed + v->plan.left)
		send_record(v, i++);
}

/* What the operation needs, computed before it. */
static void prepare(struct victim *v)
{
	v->at = v->plan.passed;
	if (op_is_tx(v->cell.op))
		v->at += v->plan.left;
	v->records = cell_records(&v->cell);
	for (uint64_t i = 0; i < RECORDS_MAX; i++) {
		v->sizes[i] = cell_record_size(&v->cell, v->at + i);
		stream_fill(v->filled[i], v->sizes[i], v->at + i);
	}
	v->board->begun = v->board->returned = v->at;
	if (v->cell.op == OP_COMMIT)
		must(WHO, peal_reserve(v->tx, v->sizes[0], &v->payload));
}

static void set_up(struct victim *v)
{
	if (v->cell.victim_is_host)
		host(v);
	else
		v->fds = link_receive(v->link);
	if (op_attaches(v->cell.op))
		return;
	if (!v->cell.victim_is_host)
		attach(v);
	v->tx = peal_tx(v->channel);
	v->rx = peal_rx(v->channel);
	if (v->tx)
		fill_ring(v);
	for (uint64_t i = 0; v->rx && i < v->plan.passed; i++)
		receive_record(v, i);
	prepare(v);
}

/* Holds all that its parent holds, until it is buried. */
static void leave_grandchild(struct victim *v, const struct scene *scene)
{
	pid_t pid = fork();
	char byte;

	must(WHO, pid);
	if (pid > 0) {
		__atomic_store_n(&v->board->grandchild, (uint32_t)pid, __ATOMIC_RELEASE);
		return;
	}
	close(scene->burial[1]);
	while (read(scene->burial[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* --- The operations -------------------------------------------------------------------------- */

static void expect(bool holds, const char *what)
{
	if (!holds)
		crash_die(WHO, what, 0);
}

static void do_reserve(struct victim *v)
{
	int rc = peal_reserve(v->tx, v->sizes[0], &v->payload);

	expect(rc == (v->cell.state == STATE_FULL ? -EAGAIN : 0), "reserve");
}

static void do_commit(struct victim *v)
{
	memcpy(v->payload, v->filled[0], v->sizes[0]);
	board_set(&v->board->begun, v->at + 1);
	expect(peal_commit(v->tx, v->sizes[0], record_type(v->at)) == 0, "commit");
	board_set(&v->board->returned, v->at + 1);
}

static void do_stage(struct victim *v)
{
	for (uint64_t i = 0; i < v->records; i++) {
		expect(peal_reserve(v->tx, v->sizes[i], &v->payload) == 0, "reserve");
		memcpy(v->payload, v->filled[i], v->sizes[i]);
		expect(peal_stage(v->tx, v->sizes[i], record_type(v->at + i)) == 0, "stage");
	}
	board_set(&v->board->begun, v->at + v->records);
	expect(peal_publish(v->tx) == 0, "publish");
	board_set(&v->board->returned, v->at + v->records);
}

static void do_send(struct victim *v)
{
	board_set(&v->board->begun, v->at + 1);
	expect(peal_send(v->tx, v->filled[0], v->sizes[0], record_type(v->at), PEAL_FOREVER) == 0,
	       "send");
	board_set(&v->board->returned, v->at + 1);
}

static void do_wait_space(struct victim *v)
{
	expect(peal_reserve_wait(v->tx, v->sizes[0], &v->payload, PEAL_FOREVER) == 0,
	       "wait for room");
	do_commit(v);
}

static void do_arm_space(struct victim *v)
{
	expect(peal_arm_space(v->tx, v->sizes[0]) == (v->cell.state == STATE_EMPTY), "arm");
	expect(peal_disarm_space(v->tx) == 0, "disarm");
}

static void do_close(struct victim *v)
{
	v->channel = peal_channel_close(v->channel);
}

static void do_next(struct victim *v)
{
	struct peal_record record;

	expect(peal_next(v->rx, &record) == (v->plan.left > 0), "next");
}

static void do_release(struct victim *v)
{
	struct peal_record record;

	expect(peal_next(v->rx, &record) == 1, "next");
	memcpy(v->board->copies[0], record.data, record.size);
	board_set(&v->board->begun, v->at + 1);
	expect(peal_release(v->rx) == 0, "release");
	board_set(&v->board->returned, v->at + 1);
}

static void do_release_to(struct victim *v)
{
	struct peal_record records[2];

	for (int i = 0; i < 2; i++)
		expect(peal_next(v->rx, &records[i]) == 1, "next");
	for (uint64_t i = 0; i < 2; i++) {
		memcpy(v->board->copies[i], records[i].data, records[i].size);
		board_set(&v->board->begun, v->at + i + 1);
		expect(peal_release_to(v->rx, &records[i]) == 0, "release");
		board_set(&v->board->returned, v->at + i + 1);
	}
}

static void do_recv(struct victim *v)
{
	int64_t size;

	board_set(&v->board->begun, v->at + 1);
	size = peal_recv(v->rx, v->board->copies[0], CAPACITY, NULL,
			 v->cell.op == OP_RECV ? PEAL_TRY : PEAL_FOREVER);
	if (size >= 0)
		board_set(&v->board->returned, v->at + 1);
	else
		expect(v->cell.op == OP_RECV && v->plan.left == 0 && size == -EAGAIN, "recv");
}

static void do_arm_data(struct victim *v)
{
	expect(peal_arm_data(v->rx) == (v->plan.left > 0), "arm");
	expect(peal_disarm_data(v->rx) == 0, "disarm");
}

/* In turn: copied in, committed, staged to go with the next one. */
static void do_stream_tx(struct victim *v)
{
	for (uint64_t i = 0;; i++) {
		size_t size = cell_record_size(&v->cell, i);

		/* Already now: a reservation that finds the ring full publishes what is staged. */
		board_set(&v->board->begun, i + 1);
		if (i % 3 == 0) {
			send_record(v, i);
		} else {
			must(WHO, peal_reserve_wait(v->tx, size, &v->payload, PEAL_FOREVER));
			stream_fill(v->payload, size, i);
			must(WHO, i % 3 == 1 ? peal_commit(v->tx, size, record_type(i))
					     : peal_stage(v->tx, size, record_type(i)));
		}
		if (i % 3 != 2)
			board_set(&v->board->returned, i + 1);
	}
}

static void do_stream_rx(struct victim *v)
{
	for (uint64_t i = 0;; i++) {
		board_set(&v->board->begun, i + 1);
		receive_record(v, i);
		board_set(&v->board->returned, i + 1);
	}
}

static void (*const operations[OPS])(struct victim *v) = {
	[OP_RESERVE] = do_reserve, [OP_COMMIT] = do_commit,         [OP_STAGE] = do_stage,
	[OP_SEND] = do_send,       [OP_WAIT_SPACE] = do_wait_space, [OP_ARM_SPACE] = do_arm_space,
	[OP_CLOSE_TX] = do_close,  [OP_ATTACH_TX] = attach,         [OP_NEXT] = do_next,
	[OP_RELEASE] = do_release, [OP_RELEASE_TO] = do_release_to, [OP_RECV] = do_recv,
	[OP_WAIT_DATA] = do_recv,  [OP_ARM_DATA] = do_arm_data,     [OP_CLOSE_RX] = do_close,
	[OP_ATTACH_RX] = attach,   [OP_STREAM_TX] = do_stream_tx,   [OP_STREAM_RX] = do_stream_rx,
};

void victim_main(const struct scene *scene, bool traced)
{
	static struct victim v; /* zeroed; too large for what a stack need be */

	v.cell = scene->cell;
	v.plan = scene->plan;
	v.board = scene->board;
	v.link = scene->link;
	v.survivor = scene->survivor;
	v.pid = getpid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(scene->orders);
	set_up(&v);
	if (v.cell.grandchild)
		leave_grandchild(&v, scene);
	if (traced) {
		must(WHO, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		kill(v.pid, SIGSTOP);
	}
	__atomic_store_n(&v.board->phase, PHASE_DURING, __ATOMIC_RELEASE);
	operations[v.cell.op](&v);
	__atomic_store_n(&v.board->phase, PHASE_AFTER, __ATOMIC_RELEASE);
	for (;;)
		kill(v.pid, SIGSTOP);
}
