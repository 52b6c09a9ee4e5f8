/* SPDX-License-Identifier: MIT */
/*
 * channels.c - one host, one poller, many channels.
 *
 *      host, one processor                              guest, the other: all channels in one process
 *      peal_poller_wait() ── events                     sends on one of them, on all in turn,
 *      peal_next() … peal_release() for each  ◀════════ or answers on one of them
 *
 * What is of interest is what the idle ones cost: all figures are for one message.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/peal.h>

#include "plan.h"

#define WORDS      8 /* of a message: 64 B */
#define BURST      64
#define EVENTS     64
#define ATTACH_NS  UINT64_C(20000000000)
#define WARM_UP_NS UINT64_C(10000000)

struct line {
	struct peal_channel *channel;
	struct peal_guest_fds fds;
	uint64_t next; /* number of the message that must come next */
};

struct party {
	struct line *lines;
	unsigned int count;
	uint32_t *stop; /* shared */
	const struct bench_config *config;
	pid_t guest;
	struct peal_poller *poller;
	uint64_t received;
};

static int fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, rc == -ETIMEDOUT ? peal_strerror(rc) : peal_last_error());
	return rc;
}

static void pin(int which)
{
	int cpus[2];

	/* One inherits where the other was pinned, so ask for both before either is. */
	bench_choose_cpus(cpus);
	bench_pin(cpus[which]);
}

/* --- The guest ------------------------------------------------------------------------------- */

static int send_number(struct peal_producer *tx, uint64_t number)
{
	uint64_t *words;
	void *payload;
	int rc = peal_reserve(tx, WORDS * sizeof(uint64_t), &payload);

	if (rc < 0)
		return rc;
	words = payload;
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = number + i;
	return peal_commit(tx, WORDS * sizeof(uint64_t), 0);
}

static bool stopped(const struct party *party)
{
	return __atomic_load_n(party->stop, __ATOMIC_RELAXED) != 0;
}

/* The one that is not idle: in the middle. */
static struct line *active_of(const struct party *party)
{
	return &party->lines[party->count / 2];
}

static void stream_on(const struct party *party, struct line *line)
{
	for (int i = 0; i < BURST && !stopped(party); i++)
		if (send_number(peal_tx(line->channel), line->next) == 0)
			line->next++;
		else
			break;
}

static int answer(struct line *line)
{
	struct peal_record record;
	int rc;

	while ((rc = peal_next_wait(peal_rx(line->channel), &record, PEAL_FOREVER)) == 1) {
		uint64_t number = *(const uint64_t *)record.data;

		peal_release(peal_rx(line->channel));
		rc = send_number(peal_tx(line->channel), number);
		if (rc < 0)
			break;
	}
	return rc == -EPIPE ? 0 : rc;
}

static int be_guest(struct party *party)
{
	struct peal_attach_options options = {.size = sizeof(options)};

	pin(1);
	for (unsigned int i = 0; i < party->count; i++) {
		int rc = peal_attach_fds(&party->lines[i].channel, &party->lines[i].fds, &options);

		if (rc < 0)
			return fail("attaching", rc);
	}
	switch (party->config->kind) {
	case BENCH_THROUGHPUT:
		while (!stopped(party))
			stream_on(party, active_of(party));
		return 0;
	case BENCH_BATCH:
		for (unsigned int i = 0; !stopped(party); i++)
			stream_on(party, &party->lines[i % party->count]);
		return 0;
	default:
		return answer(active_of(party));
	}
}

/* --- The host -------------------------------------------------------------------------------- */

/* All that waits in the ring, but no more than others may be kept waiting for. */
static int take(struct party *party, struct line *line)
{
	struct peal_consumer *rx = peal_rx(line->channel);
	struct peal_record record;
	int rc = 0;

	for (int i = 0; i < 4 * BURST && (rc = peal_next(rx, &record)) == 1; i++) {
		const uint64_t *words = record.data;
		uint64_t sum = 0;

		for (int j = 0; j < WORDS; j++)
			sum += words[j];
		if (record.size != WORDS * sizeof(uint64_t) ||
		    sum != WORDS * line->next + WORDS * (WORDS - 1) / 2)
			return -EBADMSG;
		line->next++;
		party->received++;
	}
	if (rc < 0)
		return fail("receiving", rc);
	return peal_release(rx);
}

static int take_events(struct party *party)
{
	struct peal_event events[EVENTS];
	int n = peal_poller_wait(party->poller, events, EVENTS, PEAL_FOREVER), rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = take(party, events[i].user);
	return n < 0 ? fail("waiting", n) : rc;
}

static int receive_for(struct party *party, uint64_t duration_ns)
{
	uint64_t stop_ns = bench_now_ns() + duration_ns;
	int rc = 0;

	while (rc == 0 && bench_now_ns() < stop_ns)
		rc = take_events(party);
	return rc;
}

static int ping_for(struct party *party, uint64_t duration_ns)
{
	uint64_t stop_ns = bench_now_ns() + duration_ns;
	struct line *line = active_of(party);
	int rc = 0;

	while (rc == 0 && bench_now_ns() < stop_ns) {
		uint64_t number = line->next;

		rc = send_number(peal_tx(line->channel), number);
		while (rc == 0 && line->next == number)
			rc = take_events(party);
	}
	return rc;
}

static int run_for(struct party *party, uint64_t duration_ns)
{
	return party->config->kind == BENCH_RTT ? ping_for(party, duration_ns)
						: receive_for(party, duration_ns);
}

static int watch_all(struct party *party)
{
	struct peal_poller_options options = {
		.size = sizeof(options),
		.backend = party->config->epoll ? PEAL_POLLER_EPOLL : PEAL_POLLER_AUTO,
	};
	int rc = peal_poller_create(&party->poller, &options);

	if (rc < 0)
		return fail("a poller", rc);
	for (unsigned int i = 0; i < party->count; i++) {
		struct line *line = &party->lines[i];

		peal_channel_close_guest_end(line->channel);
		rc = peal_channel_wait_ready(line->channel, peal_deadline_in_ns(ATTACH_NS));
		if (rc == 0)
			rc = peal_poller_watch_data(party->poller, line->channel, 0, line, NULL);
		if (rc < 0)
			return fail("getting ready", rc);
	}
	return 0;
}

static int measure(struct party *party, double *value)
{
	uint64_t begin_ns;
	int rc = watch_all(party);

	if (rc == 0)
		rc = run_for(party, WARM_UP_NS);
	begin_ns = bench_now_ns();
	party->received = 0;
	if (rc == 0)
		rc = run_for(party, party->config->duration_ns);
	*value = (double)(bench_now_ns() - begin_ns) / (double)party->received;
	return rc;
}

static int create_all(struct party *party)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_host = party->config->capacity,
		.to_guest = party->config->kind == BENCH_RTT ? party->config->capacity : 0,
	};

	for (unsigned int i = 0; i < party->count; i++) {
		struct line *line = &party->lines[i];
		int rc = peal_channel_create(&line->channel, &options);

		if (rc == 0)
			rc = peal_channel_guest_fds(line->channel, &line->fds);
		if (rc < 0)
			return fail("a channel", rc);
	}
	return 0;
}

void bench_allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int with_guest(struct party *party, double *value)
{
	pid_t self = getpid();
	int rc = create_all(party), status = 0;

	if (rc < 0)
		return rc;
	party->guest = fork();
	if (party->guest == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(getppid() != self || be_guest(party) < 0 ? 1 : 0);
	}
	if (party->guest < 0)
		return -errno;
	pin(0);
	rc = measure(party, value);
	__atomic_store_n(party->stop, 1, __ATOMIC_RELAXED);
	peal_poller_close(party->poller);
	for (unsigned int i = 0; i < party->count; i++)
		peal_channel_close(party->lines[i].channel);
	while (waitpid(party->guest, &status, 0) < 0 && errno == EINTR)
		;
	return rc == 0 && status != 0 ? -ECHILD : rc;
}

int bench_channels(const struct bench_config *config, double *value)
{
	struct party party = {.count = config->channels, .config = config};
	int rc = -ENOMEM;

	bench_allow_descriptors();
	party.lines = calloc(party.count, sizeof(*party.lines));
	party.stop = mmap(NULL, sizeof(*party.stop), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (party.lines && party.stop != MAP_FAILED)
		rc = with_guest(&party, value);
	free(party.lines);
	return rc;
}
