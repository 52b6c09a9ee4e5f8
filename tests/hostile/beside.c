/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/beside.h"
#include "ipc/ipc.h"

#define MS UINT64_C(1000000)

/* Records taken or given at one end before the next one's turn. */
#define TURN 64

/* Beyond this, records are looked at in place and not copied. */
#define COPY_MAX 256

#define INNOCENT_WINDOW 16

const char *const way_names[WAYS] = {"waits", "epoll", "io_uring"};

/* --- One channel ----------------------------------------------------------------------------- */

/* Ends where a page begins that nobody may touch: one byte more than was said is SIGSEGV. */
static unsigned char *guarded_buffer(void)
{
	static unsigned char *buffer;
	unsigned char *pages;

	if (!buffer) {
		pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		ck_assert_ptr_ne(pages, MAP_FAILED);
		ck_assert_int_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
		buffer = pages + 4096 - COPY_MAX;
	}
	return buffer;
}

static void lane_end(struct lane *lane, int end, int rc)
{
	lane->ends[end] = -rc;
	snprintf(lane->words[end], sizeof(lane->words[end]), "%s", peal_last_error());
	peal_watch_remove(lane->watches[end]);
	lane->watches[end] = NULL;
}

static bool is_right(const struct lane *lane, const void *data, size_t size, uint16_t type)
{
	return size == stream_size(lane->received, HONEST_MAX) &&
	       type == (uint16_t)lane->received && stream_is(data, size, lane->received);
}

static void look_at(struct lane *lane, const void *data, size_t size, uint16_t type)
{
	static volatile unsigned char sink;
	const unsigned char *bytes = data;

	/* Not ck_assert: that writes to a file for each record. */
	if (size > RING_BYTES || (lane->is_strict && !is_right(lane, data, size, type)))
		ck_abort_msg("%s: record %llu is another one (type %u, %zu bytes)", lane->mode,
			     (unsigned long long)lane->received, type, size);
	for (size_t i = 0; i < size; i++)
		sink = sink ^ bytes[i]; /* all of it is mapped */
	lane->received++;
}

/* Every other record is copied, where it fits. 1, 0 for none, or a negative errno. */
static int take_one(struct lane *lane)
{
	struct peal_consumer *rx = peal_rx(lane->channel);
	struct peal_record record;
	uint16_t type = 0;
	int64_t rc;

	if (lane->received % 2 || lane->is_large) {
		rc = peal_next(rx, &record);
		if (rc != 1)
			return (int)rc;
		look_at(lane, record.data, record.size, record.type);
		lane->is_large = false;
		return peal_release(rx) < 0 ? -EPROTO : 1;
	}
	rc = peal_recv(rx, guarded_buffer(), COPY_MAX, &type, PEAL_TRY);
	if (rc == -EAGAIN)
		return 0;
	if (rc == -EMSGSIZE)
		lane->is_large = true;
	else if (rc >= 0)
		look_at(lane, guarded_buffer(), (size_t)rc, type);
	return rc >= 0 || rc == -EMSGSIZE ? 1 : (int)rc;
}

static void lane_take(struct lane *lane)
{
	int rc = 1;

	for (int i = 0; i < TURN && rc == 1 && lane->channel && !lane->ends[RX]; i++) {
		rc = take_one(lane);
		if (rc < 0)
			lane_end(lane, RX, rc);
	}
}

static bool wants_to_send(const struct lane *lane)
{
	/* A hostile guest may send more than it was sent. */
	return !lane->ends[TX] &&
	       (lane->window == ALWAYS || lane->sent < lane->received + lane->window);
}

static void give_one(struct lane *lane, void *payload)
{
	size_t size = stream_size(lane->sent, HONEST_MAX);
	int rc;

	stream_fill(payload, size, lane->sent);
	rc = peal_commit(peal_tx(lane->channel), size, (uint16_t)lane->sent);
	lane->sent++; /* also if nobody could be woken */
	if (rc < 0)
		lane_end(lane, TX, rc);
}

static void lane_give(struct lane *lane)
{
	void *payload;
	int rc = 0;

	for (int i = 0; i < TURN && rc == 0 && wants_to_send(lane); i++) {
		rc = peal_reserve(peal_tx(lane->channel), stream_size(lane->sent, HONEST_MAX),
				  &payload);
		if (rc == 0)
			give_one(lane, payload);
		else if (rc != -EAGAIN)
			lane_end(lane, TX, rc);
	}
}

/* In the child, before exec. */
static int inherit(void *fd)
{
	return fcntl(*(int *)fd, F_SETFD, 0) < 0 ? -errno : 0;
}

void lane_start(struct lane *lane, struct host *host, int index, const char *mode, bool eventfds,
		bool is_ready)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = host->capacity ? host->capacity : RING_BYTES,
		.to_host = host->capacity ? host->capacity : RING_BYTES,
		.doorbell = eventfds ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
		.name = host->name ? host->name : "hostile",
	};
	struct peal_spawn_options how = {
		.size = sizeof(how),
		/* For a test that fails. */
		.flags = host->guests_stay ? 0 : PEAL_SPAWN_DIE_WITH_PARENT,
		.pre_exec = inherit,
		.pre_exec_data = &host->accounts_fd,
	};
	char fd[16], number[16];
	char *argv[] = {host->program ? host->program : harness_helper("hostile-guest"),
			strdupa(mode), fd, number, NULL};

	snprintf(fd, sizeof(fd), "%d", host->accounts_fd);
	snprintf(number, sizeof(number), "%d", index);
	lane->mode = mode;
	lane->account = &host->accounts[index];
	assert_ok(peal_channel_create(&lane->channel, &options));
	assert_ok(peal_spawn(&lane->child, lane->channel, argv, &how));
	if (is_ready)
		assert_ok(peal_child_wait_ready(lane->child, lane->channel, PEAL_FOREVER));
}

void lane_watch(struct lane *lane, struct host *host)
{
	if (!host->poller)
		return;
	assert_ok(peal_poller_watch_data(host->poller, lane->channel, 0, lane, &lane->watches[RX]));
	assert_ok(peal_poller_watch_space(host->poller, lane->channel, HONEST_MAX, 0, lane,
					  &lane->watches[TX]));
}

void lane_unwatch(struct lane *lane)
{
	for (int end = 0; end < ENDS; end++) {
		peal_watch_remove(lane->watches[end]);
		lane->watches[end] = NULL;
	}
}

/* --- Serving both ---------------------------------------------------------------------------- */

/* Sleep at the end for a moment. Whatever the guest does, the deadline ends it. */
static void wait_for_record(struct host *host, struct lane *lane, uint64_t deadline_ns)
{
	struct peal_record record;
	int rc;

	host->waits++;
	rc = peal_next_wait(peal_rx(lane->channel), &record, deadline_ns);
	if (rc == 1) {
		look_at(lane, record.data, record.size, record.type);
		rc = peal_release(peal_rx(lane->channel));
	}
	if (rc < 0 && rc != -ETIMEDOUT)
		lane_end(lane, RX, rc);
}

static void wait_for_room(struct host *host, struct lane *lane, uint64_t deadline_ns)
{
	size_t size = stream_size(lane->sent, HONEST_MAX);
	void *payload;
	int rc;

	host->waits++;
	rc = peal_reserve_wait(peal_tx(lane->channel), size, &payload, deadline_ns);
	if (rc == 0)
		give_one(lane, payload);
	else if (rc != -ETIMEDOUT)
		lane_end(lane, TX, rc);
}

static void step_by_waits(struct host *host)
{
	struct lane *hostile = &host->hostile, *innocent = &host->innocent;

	if (hostile->channel && wants_to_send(hostile))
		wait_for_room(host, hostile, peal_deadline_in_ns(MS / 5));
	lane_give(hostile);
	if (hostile->channel && !hostile->ends[RX])
		wait_for_record(host, hostile, peal_deadline_in_ns(MS / 5));
	lane_take(hostile);
	lane_give(innocent);
	/* Without end: it answers, whatever the other one does. */
	if (innocent->received < innocent->sent)
		wait_for_record(host, innocent, PEAL_FOREVER);
	lane_take(innocent);
}

static void handle(const struct peal_event *event)
{
	struct lane *lane = event->user;

	if (event->kind == PEAL_EVENT_DATA && event->watch == lane->watches[RX])
		lane_take(lane);
	if (event->kind == PEAL_EVENT_SPACE && event->watch == lane->watches[TX]) {
		lane->is_reported = true;
		lane_give(lane);
	}
}

/* Wait for room again, if there is use for it. */
static void resume(struct lane *lane)
{
	if (!lane->is_reported || !lane->watches[TX] || !wants_to_send(lane))
		return;
	lane_give(lane);
	if (!wants_to_send(lane))
		return;
	assert_ok(peal_watch_resume(lane->watches[TX], stream_size(lane->sent, HONEST_MAX)));
	lane->is_reported = false;
}

static int step_by_poller(struct host *host, uint64_t deadline_ns)
{
	struct peal_event events[8];
	int count;

	resume(&host->innocent);
	resume(&host->hostile);
	host->waits++;
	count = peal_poller_wait(host->poller, events, 8, deadline_ns);
	ck_assert_msg(count > 0 || count == -ETIMEDOUT, "%s: the poller fails: %d (%s)",
		      host->hostile.mode, count, peal_last_error());
	for (int i = 0; i < count; i++)
		handle(&events[i]);
	return count;
}

void host_serve(struct host *host)
{
	host->steps++;
	if (host->poller)
		step_by_poller(host, PEAL_FOREVER);
	else
		step_by_waits(host);
}

void host_step(struct host *host)
{
	host_serve(host);
	ck_assert_msg(!host->innocent.ends[TX] && !host->innocent.ends[RX],
		      "%s: the innocent channel ended: %s%s", host->hostile.mode,
		      host->innocent.words[TX], host->innocent.words[RX]);
}

void host_settle_innocent(struct host *host)
{
	host->innocent.window = 0;
	while (host->innocent.received < host->innocent.sent)
		host_step(host);
}

/* At one end for the first half, at the other for the second, unless there is room. */
static void be_quiet_by_waits(struct host *host, uint64_t for_us)
{
	struct lane *hostile = &host->hostile;
	uint64_t begin_ns = peal_now_ns();
	void *payload;
	int rc;

	while (!hostile->ends[RX] && peal_now_ns() < begin_ns + for_us * 500)
		wait_for_record(host, hostile, begin_ns + for_us * 500);
	if (hostile->ends[TX])
		return;
	host->waits++;
	rc = peal_reserve_wait(peal_tx(hostile->channel),
			       peal_record_max(peal_tx(hostile->channel)), &payload,
			       begin_ns + for_us * 1000);
	peal_abort(peal_tx(hostile->channel));
	if (rc < 0 && rc != -ETIMEDOUT)
		lane_end(hostile, TX, rc);
}

uint64_t host_be_quiet(struct host *host, uint64_t for_us)
{
	struct lane *hostile = &host->hostile, *innocent = &host->innocent;
	uint64_t windows[2] = {innocent->window, hostile->window}, before, end_ns;

	host_settle_innocent(host);
	hostile->window = 0;
	before = cpu_ns();
	end_ns = peal_deadline_in_ns(for_us * 1000);
	if (!host->poller)
		be_quiet_by_waits(host, for_us);
	while (host->poller && peal_now_ns() < end_ns)
		step_by_poller(host, end_ns);
	innocent->window = windows[0];
	hostile->window = windows[1];
	return (cpu_ns() - before) / 1000;
}

/* --- From beginning to end ------------------------------------------------------------------- */

void host_open_accounts(struct host *host)
{
	const size_t bytes = ACCOUNTS * sizeof(*host->accounts);

	host->accounts_fd = memfd_create("accounts", MFD_CLOEXEC);
	ck_assert_int_ge(host->accounts_fd, 3);
	ck_assert_int_eq(ftruncate(host->accounts_fd, (off_t)bytes), 0);
	host->accounts =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, host->accounts_fd, 0);
	ck_assert_ptr_ne(host->accounts, MAP_FAILED);
}

void host_close_accounts(struct host *host)
{
	munmap(host->accounts, ACCOUNTS * sizeof(*host->accounts));
	close(host->accounts_fd);
}

void host_open(struct host *host, enum way way)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = way == BY_EPOLL ? PEAL_POLLER_EPOLL
									 : PEAL_POLLER_IO_URING};
	int rc = 0;

	*host = (struct host){.way = way};
	if (way != BY_WAIT)
		rc = peal_poller_create(&host->poller, &options);
	if (way == BY_URING && (rc == -ENOSYS || rc == -EPERM))
		harness_skip("io_uring is not allowed here");
	assert_ok(rc);
	host_open_accounts(host);
	host->innocent.is_strict = true;
	host->innocent.window = INNOCENT_WINDOW;
	lane_start(&host->innocent, host, 0, "echo", false, true);
	lane_watch(&host->innocent, host);
	guarded_buffer();
}

void host_meet(struct host *host, const char *mode, bool eventfds)
{
	lane_start(&host->hostile, host, 1, mode, eventfds, true);
	lane_watch(&host->hostile, host);
}

void lane_close(struct lane *lane)
{
	lane_unwatch(lane);
	lane->channel = peal_channel_close(lane->channel);
	lane->child = peal_child_free(lane->child);
}

void host_close(struct host *host)
{
	struct lane *innocent = &host->innocent;
	struct peal_child_status status;

	host_settle_innocent(host);
	lane_close(&host->hostile);
	lane_unwatch(innocent);
	innocent->channel = peal_channel_close(innocent->channel);
	assert_ok(peal_child_wait(innocent->child, PEAL_FOREVER, &status));
	ck_assert_msg(status.state == PEAL_CHILD_EXITED && status.value == 0 &&
			      innocent->account->failed == 0,
		      "the innocent guest is not content: line %u of guest.c",
		      innocent->account->failed);
	ck_assert_uint_eq(innocent->account->echoed, innocent->sent);
	ck_assert_uint_eq(innocent->received, innocent->sent);
	lane_close(innocent);
	host->poller = peal_poller_close(host->poller);
	host_close_accounts(host);
}
