/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>

#include "loop.h"

/* Callbacks a turn. Others in the loop wait for so many, so that is how fair we are. */
#define BATCH 64

struct loop_source loop_channel(struct peal_channel *channel, struct peal_child *child,
				const struct loop_handler *handler, void *user)
{
	return (struct loop_source){
		.channel = channel,
		.child = child,
		.handler = handler,
		.user = user,
		.data.state = peal_rx(channel) ? LOOP_LOOK : LOOP_OFF,
		.peer.state = peal_channel_peer_fd(channel) >= 0 ? LOOP_ARMED : LOOP_OFF,
		.exit.state = child ? LOOP_ARMED : LOOP_OFF,
	};
}

struct loop_source loop_poller(struct peal_poller *poller, const struct loop_handler *handler,
			       void *user)
{
	return (struct loop_source){
		.poller = poller, .handler = handler, .user = user, .data.state = LOOP_LOOK};
}

void loop_want_room(struct loop_source *source, size_t size)
{
	source->room = (struct loop_wait){.state = LOOP_LOOK};
	source->size = size;
}

/* --- Before the loop sleeps ------------------------------------------------------------------ */

static void ready(struct loop_wait *wait, int rc)
{
	wait->state = LOOP_READY;
	if (rc < 0)
		wait->status = rc;
}

/* @rc: what arming said. Refused means that there is something, or that there never will be. */
static void armed(struct loop_wait *wait, int rc)
{
	if (rc == 0 && wait->status == 0)
		wait->state = LOOP_ARMED;
	else
		ready(wait, rc);
}

bool loop_prepare(struct loop_source *source)
{
	/* A poller is armed anew each time, because the user may have given it more to watch. */
	if (source->poller && source->data.state != LOOP_OFF)
		armed(&source->data, peal_poller_arm(source->poller));
	else if (source->data.state == LOOP_LOOK)
		armed(&source->data, peal_arm_data(peal_rx(source->channel)));
	if (source->room.state == LOOP_LOOK)
		armed(&source->room, peal_arm_space(peal_tx(source->channel), source->size));
	return source->data.state == LOOP_READY || source->room.state == LOOP_READY ||
	       source->exit.state == LOOP_READY;
}

int loop_fd(const struct loop_source *source, int i)
{
	if (source->poller)
		return i == LOOP_RX ? peal_poller_fd(source->poller) : -1;
	switch ((enum loop_fd)i) {
	case LOOP_RX:
		return peal_rx_fd(source->channel);
	case LOOP_TX:
		return peal_tx_fd(source->channel);
	case LOOP_PEER:
		return peal_channel_peer_fd(source->channel);
	case LOOP_CHILD:
		return source->child ? peal_child_pidfd(source->child) : -1;
	case LOOP_FDS:
		break;
	}
	return -1;
}

bool loop_wants(const struct loop_source *source, int i)
{
	const struct loop_wait *waits[LOOP_FDS] = {
		[LOOP_RX] = &source->data,
		[LOOP_TX] = &source->room,
		[LOOP_PEER] = &source->peer,
		[LOOP_CHILD] = &source->exit,
	};

	return waits[i]->state != LOOP_OFF;
}

/* --- After it has slept ---------------------------------------------------------------------- */

static void data_fired(struct loop_source *source)
{
	if (source->data.state == LOOP_OFF)
		return;
	/* Also if it was not armed: a bell may come late, and would stay readable. */
	ready(&source->data, peal_disarm_data(peal_rx(source->channel)));
}

static void room_fired(struct loop_source *source)
{
	int rc = peal_disarm_space(peal_tx(source->channel));

	if (source->room.state == LOOP_OFF)
		return;
	/* Is it enough? Arming again tells. */
	source->room.state = LOOP_LOOK;
	if (rc < 0)
		ready(&source->room, rc);
}

/* Disarming lets both rings learn of it, and the peer of a channel without a ring from it ends here. */
static void peer_fired(struct loop_source *source)
{
	source->peer.state = LOOP_OFF;
	data_fired(source);
	if (peal_tx(source->channel))
		room_fired(source);
	if (!peal_rx(source->channel))
		ready(&source->data, -EPIPE);
}

void loop_fired(struct loop_source *source, int i)
{
	if (source->poller)
		source->data.state = LOOP_READY;
	else if (i == LOOP_RX)
		data_fired(source);
	else if (i == LOOP_TX)
		room_fired(source);
	else if (i == LOOP_PEER)
		peer_fired(source);
	else
		source->exit.state = LOOP_READY;
}

/* --- Calling back ---------------------------------------------------------------------------- */

/* Each that calls back returns at once when the user has removed the source: the channel, the poller
 * and the child may be gone by then. */

/* 0, whether there is more or not; a negative errno: there never will be. */
static int dispatch_records(struct loop_source *source)
{
	struct peal_consumer *rx = peal_rx(source->channel);
	struct peal_record record;
	int rc;

	for (int i = 0; rx && i < BATCH; i++) {
		rc = peal_next(rx, &record);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return source->data.status;
		source->handler->record(source->user, &record);
		if (source->removed)
			return 0;
		peal_release(rx);
	}
	return rx ? 0 : source->data.status;
}

/* One event at a time, because its callback may remove the watch that the next one would speak of. */
static int dispatch_events(struct loop_source *source)
{
	struct peal_event event;
	int rc;

	if (source->data.status < 0)
		return source->data.status;
	for (int i = 0; i < BATCH; i++) {
		rc = peal_poller_wait(source->poller, &event, 1, PEAL_TRY);
		if (rc < 0)
			return rc == -EAGAIN ? 0 : rc;
		source->handler->event(source->user, &event);
		if (source->removed)
			return 0;
	}
	return 0;
}

static void dispatch_data(struct loop_source *source)
{
	int rc = source->poller ? dispatch_events(source) : dispatch_records(source);

	/* Is there more? Arming tells. */
	source->data.state = rc < 0 ? LOOP_OFF : LOOP_LOOK;
	if (rc < 0)
		source->handler->end(source->user, rc);
}

void loop_dispatch(struct loop_source *source)
{
	if (!source->removed && source->data.state == LOOP_READY)
		dispatch_data(source);
	if (!source->removed && source->room.state == LOOP_READY) {
		source->room.state = LOOP_OFF; /* he may ask again */
		source->handler->room(source->user, source->room.status);
	}
	if (!source->removed && source->exit.state == LOOP_READY) {
		source->exit.state = LOOP_OFF;
		source->handler->exited(source->user);
	}
}

void loop_leave(struct loop_source *source)
{
	source->removed = true;
	if (source->poller)
		return;
	if (peal_rx(source->channel)) {
		peal_disarm_data(peal_rx(source->channel));
		peal_release(peal_rx(source->channel));
	}
	if (peal_tx(source->channel))
		peal_disarm_space(peal_tx(source->channel));
}
