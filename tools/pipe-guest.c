/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "command.h"
#include "pipe.h"

/* So many records at most, then it is somebody else's turn. */
#define RELAY_MAX 1024

int joint_watch(struct joint *joint)
{
	struct peal_poller *poller = joint->chain->poller;
	int rc = 0;

	if (joint->behind && joint->behind->is_guest) {
		joint->tx_end = joint->behind->channel;
		rc = peal_poller_watch_space(poller, joint->tx_end, joint->chunk, 0, joint,
					     &joint->space);
	}
	if (rc == 0 && joint->before && joint->before->is_guest) {
		joint->rx_end = joint->before->channel;
		rc = peal_poller_watch_data(poller, joint->rx_end, PEAL_WATCH_ONCE, joint,
					    &joint->data);
	}
	return rc;
}

void joint_wait_for_space(struct joint *joint, size_t size)
{
	int rc;

	joint->has_space = false;
	rc = peal_watch_resume(joint->space, size);
	if (rc == 0)
		return;
	joint_failed(joint, joint->behind, NULL, -rc);
	joint_stop_in(joint);
}

void joint_wait_for_data(struct joint *joint)
{
	int rc;

	joint->has_data = false;
	rc = peal_watch_resume(joint->data, 0);
	if (rc == 0)
		return;
	joint_failed(joint, joint->before, NULL, -rc);
	joint_stop_out(joint, 0);
}

/*
 * A doorbell serves one ring only, so its hang-up is said of that ring alone: the consumer takes
 * what was committed, then gets -EPIPE; the producer gets it when it waits for room.
 */
void joint_half_close(const struct joint *joint)
{
	if (joint->tx_end)
		shutdown(peal_tx_fd(joint->tx_end), SHUT_WR);
}

void joint_hang_up(const struct joint *joint)
{
	if (joint->rx_end)
		shutdown(peal_rx_fd(joint->rx_end), SHUT_RDWR);
}

void joint_failed(struct joint *joint, const struct stage *stage, const char *what, int error)
{
	if (error == EPIPE)
		return;
	joint->chain->broken = STATUS_FAILED;
	if (what) {
		complain("%s: %s", what, strerror(error));
	} else if (stage) {
		complain("the ring of stage %u '%.60s': %s", stage->number, stage->command,
			 peal_last_error());
		/* It may well go on for ever, and nobody would hear of it. */
		peal_child_kill(stage->child, SIGKILL);
	} else {
		complain("a ring: %s", peal_last_error());
	}
}

/* The record in hand, into the other guest's ring. As peal_reserve(). */
static int pass_on(struct joint *joint)
{
	const struct peal_record *record = &joint->records[0];
	struct peal_producer *tx = peal_tx(joint->tx_end);
	void *payload;
	int rc = peal_reserve(tx, record->size, &payload);

	if (rc < 0)
		return rc;
	memcpy(payload, record->data, record->size);
	return peal_stage(tx, record->size, record->type);
}

/* What has been passed on is given away, and its room back. */
static int publish(struct joint *joint, const struct peal_record *last)
{
	int rc = peal_publish(peal_tx(joint->tx_end));

	peal_release_to(peal_rx(joint->rx_end), last);
	return rc;
}

void joint_relay(struct joint *joint)
{
	struct peal_record *record = &joint->records[0], last = {0};
	int moved = 0, in = 1, out = 0;

	if (joint->out_over || !joint->has_data || !joint->has_space)
		return;
	while (moved < RELAY_MAX) {
		in = joint->held ? 1 : peal_next(peal_rx(joint->rx_end), record);
		joint->held = in == 1;
		out = in == 1 ? pass_on(joint) : 0;
		if (in != 1 || out < 0)
			break;
		joint->held = 0;
		joint->in_bytes += record->size;
		joint->out_bytes += record->size;
		last = *record;
		moved++;
	}
	/* Before any word of the end. */
	if (moved > 0) {
		int rc = publish(joint, &last);

		out = rc < 0 ? rc : out;
	}
	if (out == -EAGAIN) {
		joint_wait_for_space(joint, record->size);
	} else if (out < 0) {
		joint_failed(joint, joint->behind, NULL, -out);
		joint_stop_out(joint, 0);
		joint_stop_in(joint);
	} else if (in < 0) {
		joint_failed(joint, joint->before, NULL, -in);
		joint->in_over = true;
		joint_stop_out(joint, 0);
	} else {
		joint_wait_for_data(joint); /* which comes at once if there is more */
	}
}
