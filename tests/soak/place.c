/* SPDX-License-Identifier: MIT */
/*
 * place.c - one life after the other in one place, and the account of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "soak/soak.h"

/* --- How a life is going to be --------------------------------------------------------------- */

static uint64_t throw_dice(uint64_t *dice, uint64_t sides)
{
	return stream_random(dice) % sides;
}

static struct peal_channel_options plan(struct place *place)
{
	struct peal_channel_options options;
	struct ledger *ledger = place->ledger;
	uint64_t *dice = &place->dice, capacity[DIRECTIONS];
	uint64_t rings =
		throw_dice(dice, 4); /* one of four: to the guest alone; to the host alone */

	for (int to = 0; to < DIRECTIONS; to++)
		capacity[to] = UINT64_C(4096) << 2 * throw_dice(dice, 3);
	options = config((int)throw_dice(dice, CONFIGS), rings == TO_HOST ? 0 : capacity[TO_GUEST],
			 rings == TO_GUEST ? 0 : capacity[TO_HOST]);
	*ledger = (struct ledger){
		.key = ((uint64_t)(place - place->soak->places) << 20 | (uint64_t)place->lives)
		       << 32,
		.count = UINT64_MAX,
		.pause_us = throw_dice(dice, 8) ? throw_dice(dice, 10000) : 0,
		.batch = 1 + (uint32_t)throw_dice(dice, 8),
		.attach_flags = throw_dice(dice, 2) ? PEAL_CHANNEL_NO_MEMBARRIER : 0,
	};
	for (int to = 0; to < DIRECTIONS; to++)
		ledger->max[to] = throw_dice(dice, 2) ? 40 : capacity[to] / 4 * 3;
	place->ending = (enum ending)throw_dice(dice, ENDINGS);
	/* Without a ring to the host there is nothing that it could count. */
	if (place->ending == ENDS_BY_COUNT && rings == TO_GUEST)
		place->ending = ENDS_BY_KILL;
	if (place->ending == ENDS_BY_COUNT) {
		ledger->count = throw_dice(dice, 2000);
		ledger->closes = rings == TO_HOST && throw_dice(dice, 2);
	}
	place->by_workers = throw_dice(dice, 3) == 0;
	place->batches = !place->by_workers && throw_dice(dice, 2);
	return options;
}

/* --- Birth: the main thread ------------------------------------------------------------------ */

/* In the child, before exec. */
static int inherit_ledgers(void *fd)
{
	return fcntl(*(int *)fd, F_SETFD, 0) < 0 ? -errno : 0;
}

static void spawn(struct place *place)
{
	/* Stopped or not, it must not outlive a test that failed. */
	struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT,
		.pre_exec = inherit_ledgers,
		.pre_exec_data = &place->soak->ledger_fd,
	};
	char fd[16], number[16];
	char *argv[] = {harness_helper("soak-guest"), fd, number, NULL};

	snprintf(fd, sizeof(fd), "%d", place->soak->ledger_fd);
	snprintf(number, sizeof(number), "%d", (int)(place - place->soak->places));
	assert_ok(peal_spawn(&place->child, place->channel, argv, &options));
}

/* Somewhere on its way from exec to its first record. Return: has it attached? */
static bool kill_early(struct place *place)
{
	struct timespec moment = {.tv_nsec = (long)throw_dice(&place->dice, 3000000)};
	int rc;

	nanosleep(&moment, NULL);
	assert_ok(peal_child_kill(place->child, SIGKILL));
	place->is_killed = true;
	soak_count(&place->soak->figures.kills, 1);
	rc = peal_child_wait_ready(place->child, place->channel, PEAL_FOREVER);
	ck_assert(rc == 0 || rc == -EPIPE);
	return rc == 0;
}

bool place_start(struct place *place)
{
	struct peal_channel_options options = plan(place);
	bool attached = true;

	place->lives++;
	soak_count(&place->soak->figures.lives, 1);
	place->is_stopped = place->is_killed = place->is_finishing = place->child_ended = false;
	/* Whoever had a job of the life before may still look at it. */
	__atomic_store_n(&place->is_closing, 0, __ATOMIC_RELAXED);
	for (int to = 0; to < DIRECTIONS; to++)
		place->jobs[to] = (struct job){
			.place = place, .direction = to, .dice = stream_random(&place->dice)};
	assert_ok(peal_channel_create(&place->channel, &options));
	spawn(place);
	if (place->ending == ENDS_BY_KILL && throw_dice(&place->dice, 4) == 0)
		attached = kill_early(place);
	else if (throw_dice(&place->dice, 8)) /* else it goes on with a fence for each record */
		assert_ok(peal_child_wait_ready(place->child, place->channel, PEAL_FOREVER));
	if (!attached) {
		ck_assert_uint_eq(place->ledger->begun, 0);
		place->channel = peal_channel_close(place->channel);
		place->child = peal_child_free(place->child);
		return false;
	}
	__atomic_store_n(&place->state, PLACE_STARTED, __ATOMIC_RELEASE);
	return true;
}

/* The poller's thread takes it over. */
static void adopt(struct place *place)
{
	struct peal_poller *poller = place->station->poller;
	unsigned int once = place->by_workers ? PEAL_WATCH_ONCE : 0;
	unsigned int batch = place->batches ? PEAL_WATCH_BATCH_WAKES : 0;
	struct job *data = &place->jobs[TO_HOST], *space = &place->jobs[TO_GUEST];

	assert_ok(peal_poller_watch_child(poller, place->child, place, &place->child_watch));
	if (peal_rx(place->channel))
		assert_ok(peal_poller_watch_data(poller, place->channel, once | batch, data,
						 &data->watch));
	if (peal_tx(place->channel))
		assert_ok(peal_poller_watch_space(poller, place->channel,
						  record_size(place->ledger, TO_GUEST, 0), batch,
						  space, &space->watch));
	__atomic_store_n(&place->state, PLACE_LIVES, __ATOMIC_RELAXED);
}

/* --- Records: whoever has the job ------------------------------------------------------------ */

static void account(struct job *job, const struct peal_record *record)
{
	struct place *place = job->place;

	ck_assert_msg(record_is(record, place->ledger, TO_HOST, job->records),
		      "place %d, life %d: record %llu is another one (type %u, %u bytes)",
		      (int)(place - place->soak->places), place->lives,
		      (unsigned long long)job->records, record->type, record->size);
	job->records++;
	soak_count(&place->soak->figures.records, 1);
	soak_count(&place->soak->figures.bytes, record->size);
}

void place_take(struct job *job, bool may_block)
{
	struct peal_consumer *rx = peal_rx(job->place->channel);
	struct peal_record record;
	int rc = 0;

	for (int i = 0; i < 64 && (rc = peal_next(rx, &record)) == 1; i++) {
		account(job, &record);
		if (throw_dice(&job->dice, 4))
			assert_ok(peal_release(rx));
	}
	assert_ok(peal_release(rx));
	if (rc == 0 && may_block && throw_dice(&job->dice, 64) == 0) {
		rc = peal_next_wait(rx, &record, PEAL_FOREVER);
		if (rc == 1) {
			account(job, &record);
			assert_ok(peal_release(rx));
		}
	}
	ck_assert_msg(rc >= 0 || rc == -EPIPE, "receiving: %d (%s)", rc, peal_last_error());
	job->ended = rc == -EPIPE;
}

static int send_next(struct job *job, bool may_block)
{
	struct ledger *ledger = job->place->ledger;
	struct peal_producer *tx = peal_tx(job->place->channel);
	size_t size = record_size(ledger, TO_GUEST, job->records);
	void *payload;
	int rc = peal_reserve(tx, size, &payload);

	if (rc == -EAGAIN && may_block && throw_dice(&job->dice, 64) == 0)
		rc = peal_reserve_wait(tx, size, &payload, PEAL_FOREVER);
	if (rc < 0)
		return rc;
	stream_fill(payload, size, record_id(ledger, TO_GUEST, job->records));
	if (throw_dice(&job->dice, 4))
		rc = peal_stage(tx, size, (uint16_t)job->records);
	else
		rc = peal_commit(tx, size, (uint16_t)job->records);
	/* It is sent, even if nobody is left to wake. */
	job->records++;
	soak_count(&job->place->soak->figures.records, 1);
	soak_count(&job->place->soak->figures.bytes, size);
	return rc;
}

size_t place_fill(struct job *job, bool may_block)
{
	int rc = 0, last;

	for (int i = 0; i < 64 && rc == 0; i++)
		rc = send_next(job, may_block);
	last = peal_publish(peal_tx(job->place->channel));
	ck_assert_msg(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "sending: %d (%s)", rc,
		      peal_last_error());
	ck_assert(last == 0 || last == -EPIPE);
	job->ended = rc == -EPIPE || last == -EPIPE;
	return record_size(job->place->ledger, TO_GUEST, job->records);
}

/* --- Death: the poller's thread -------------------------------------------------------------- */

static void check_figures(const struct place *place)
{
	const struct ledger *ledger = place->ledger;
	uint64_t received = place->jobs[TO_HOST].records, sent = place->jobs[TO_GUEST].records;

	ck_assert_uint_eq(ledger->wrong, 0);
	/* A prefix of what it sent: nothing that it had not begun to publish, ... */
	ck_assert_uint_le(received, ledger->begun);
	ck_assert_uint_le(ledger->received, sent);
	if (place->ending == ENDS_BY_CLOSE) {
		/* ... and the guest took all that we had committed before we left; ... */
		ck_assert_uint_eq(ledger->received, sent);
		return;
	}
	/* ... and all that it had published. */
	ck_assert_uint_ge(received, ledger->done);
	if (place->ending == ENDS_BY_COUNT)
		ck_assert_uint_eq(received, ledger->count);
}

/* What the rings say, while the channel is there. */
static void check_rings(struct place *place)
{
	struct peal_side_stats own, peer;
	struct peal_record record;

	peal_channel_stats(place->channel, &own, &peer);
	ck_assert_uint_ge(own.rx.position, peer.tx.position);
	ck_assert_uint_le(peer.rx.position, own.tx.position);
	if (place->ledger->begun == place->ledger->done)
		ck_assert_uint_eq(own.rx.position, peer.tx.position);
	if (peal_rx(place->channel))
		ck_assert_int_eq(peal_next(peal_rx(place->channel), &record), -EPIPE);
	ck_assert_int_eq(peal_channel_peer(place->channel),
			 place->ledger->closes ? PEAL_PEER_CLOSED : PEAL_PEER_DEAD);
}

static void bury(struct place *place)
{
	struct peal_child_status status;
	char text[256];

	assert_ok(peal_child_wait(place->child, PEAL_TRY, &status));
	ck_assert_msg(place->is_killed
			      ? status.state == PEAL_CHILD_KILLED && status.value == SIGKILL
			      : status.state == PEAL_CHILD_EXITED && status.value == 0,
		      "place %d, life %d: %s", (int)(place - place->soak->places), place->lives,
		      peal_child_describe(place->child, text, sizeof(text)));
	check_figures(place);
	if (place->channel)
		check_rings(place);
	place->channel = peal_channel_close(place->channel);
	peal_watch_remove(place->child_watch);
	place->child = peal_child_free(place->child);
	__atomic_store_n(&place->state, PLACE_FREE, __ATOMIC_RELEASE);
}

/* --- What happens to it meanwhile ------------------------------------------------------------ */

static void signal_guest(struct place *place, int signal)
{
	assert_ok(peal_child_kill(place->child, signal));
	place->is_stopped = signal == SIGSTOP;
	if (signal == SIGSTOP)
		soak_count(&place->soak->figures.stops, 1);
}

static void end(struct place *place)
{
	if (place->ending == ENDS_BY_KILL && !place->is_killed) {
		signal_guest(place, SIGKILL);
		place->is_killed = true;
		soak_count(&place->soak->figures.kills, 1);
	}
	if (place->ending == ENDS_BY_CLOSE && !place->is_closing) {
		__atomic_store_n(&place->is_closing, 1, __ATOMIC_SEQ_CST);
		soak_count(&place->soak->figures.closes, 1);
	}
}

static void shake(struct place *place)
{
	uint64_t throw = throw_dice(&place->dice, 3);

	if (place->child_ended)
		return;
	if (place->is_stopped && (throw || place->ending != ENDS_BY_KILL))
		signal_guest(place, SIGCONT);
	else if (throw == 1 || place->ending == ENDS_BY_COUNT)
		signal_guest(place, SIGSTOP);
	else
		end(place);
}

/* Nobody is born any more: each ends in the way that it was meant to. */
static void finish(struct place *place)
{
	place->is_finishing = true;
	if (place->child_ended)
		return;
	if (place->is_stopped)
		signal_guest(place, SIGCONT);
	end(place);
}

/* The watch of an end that has nothing more to tell. Return: is there none? */
static bool drop_watch(struct job *job)
{
	if (crew_has(job))
		return false;
	if (job->ended || job->place->is_closing) {
		peal_watch_remove(job->watch);
		job->watch = NULL;
	}
	return !job->watch;
}

static void live(struct place *place)
{
	bool told;

	if (__atomic_exchange_n(&place->shake, 0, __ATOMIC_ACQUIRE) && !place->is_finishing)
		shake(place);
	if (!place->is_finishing && __atomic_load_n(&place->soak->is_finishing, __ATOMIC_ACQUIRE))
		finish(place);
	told = drop_watch(&place->jobs[TO_GUEST]);
	told = drop_watch(&place->jobs[TO_HOST]) && told;
	if (told && place->is_closing)
		place->channel = peal_channel_close(place->channel);
	/* All three must be told, each by an event of its own. */
	if (told && place->child_ended)
		bury(place);
}

void place_step(struct place *place)
{
	switch (__atomic_load_n(&place->state, __ATOMIC_ACQUIRE)) {
	case PLACE_STARTED:
		adopt(place);
		live(place);
		break;
	case PLACE_LIVES:
		live(place);
		break;
	default:
		break;
	}
}
