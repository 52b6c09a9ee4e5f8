/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "command.h"
#include "run.h"

/*
 * The guest shall see the end of its input and still be able to answer. A doorbell serves one ring
 * only, so what a socket's hang-up says, it says of that ring: the guest takes what was committed and
 * then gets -EPIPE, while the ring to us goes on. Eventfds can not hang up.
 */
static int half_close(struct guest *guest)
{
	void *nothing;
	int rc;

	if (guest->doorbell == PEAL_DOORBELL_SOCKET)
		return shutdown(peal_tx_fd(guest->channel), SHUT_WR) < 0 && errno != ENOTCONN
			       ? -errno
			       : 0;
	rc = peal_reserve(peal_tx(guest->channel), 0, &nothing);
	return rc < 0 ? rc : peal_stage(peal_tx(guest->channel), 0, RUN_END_TYPE);
}

/* The ring to the guest takes no more, for good. */
static void tx_failed(struct guest *guest, int rc)
{
	guest->tx_over = true;
	if (rc == -EPIPE) /* it is gone, or will be soon */
		return;
	guest->error = rc;
	complain("the ring to the guest: %s", peal_last_error());
}

static void wait_for_room(struct guest *guest, size_t size)
{
	int rc = peal_watch_resume(guest->space, size);

	guest->waits_for_room++;
	guest->has_space = false;
	if (rc < 0)
		tx_failed(guest, rc);
}

/* Return: false when the ring is full or over. */
static bool hand_over(struct guest *guest, const void *data, size_t size, uint16_t type)
{
	void *payload;
	int rc = peal_reserve(peal_tx(guest->channel), size, &payload);

	if (rc == 0) {
		memcpy(payload, data, size);
		rc = peal_stage(peal_tx(guest->channel), size, type);
	}
	if (rc == -EAGAIN)
		wait_for_room(guest, size);
	else if (rc < 0)
		tx_failed(guest, rc);
	return rc == 0;
}

/* There is no other record in what has been read, and maybe none to come. */
static void finish_input(struct guest *guest, struct stream *input, int rc, size_t max)
{
	unsigned long long number = input->records + 1;

	if (rc == -EMSGSIZE)
		complain(
			"record %llu of the input is larger than %zu bytes, the most that the ring "
			"to the guest takes (see --to-guest)",
			number, max);
	else if (rc == -ENODATA)
		complain("the input ends inside of record %llu", number);
	if (rc < 0) {
		guest->bad_input = true;
		stream_cut(input);
	}
	if (!input->at_end)
		return;
	rc = half_close(guest);
	if (rc == -EAGAIN)
		wait_for_room(guest, 0);
	else if (rc < 0)
		tx_failed(guest, rc);
	else
		guest->tx_over = true;
}

bool flow_in(struct guest *guest, struct stream *input)
{
	const size_t max = peal_record_max(peal_tx(guest->channel));
	const void *data = NULL;
	size_t size = 0;
	bool did = false;
	int rc = 1;

	while (guest->has_space && !guest->tx_over && rc == 1) {
		rc = stream_next(input, max, &data, &size);
		if (rc != 1) {
			/* What stands before the end must be there when it is told. */
			peal_publish(peal_tx(guest->channel));
			finish_input(guest, input, rc, max);
		} else if (hand_over(guest, data, size, input->type)) {
			stream_take(input);
			did = true;
		}
	}
	rc = did || guest->tx_over ? peal_publish(peal_tx(guest->channel)) : 0;
	if (rc < 0 && !guest->tx_over)
		tx_failed(guest, rc);
	return did;
}

static void rx_failed(struct guest *guest, int rc)
{
	guest->rx_over = true;
	if (rc == -EPIPE) /* the end */
		return;
	guest->error = rc;
	complain("the ring from the guest: %s", peal_last_error());
}

bool flow_out(struct guest *guest, struct stream *output)
{
	struct peal_consumer *rx = peal_rx(guest->channel);
	struct peal_record record;
	bool did = false;
	int rc = 1;

	if (output->log)
		output->now_ns = peal_now_ns();
	while (guest->has_data && !guest->rx_over && rc == 1 && stream_has_room(output)) {
		rc = peal_next(rx, &record);
		if (rc == 1) {
			stream_add(output, record.data, record.size, record.type);
			did = true;
		}
	}
	if (did)
		peal_release(rx);
	if (rc == 0) {
		guest->has_data = false;
		rc = peal_watch_resume(guest->data, 0);
	}
	if (rc < 0)
		rx_failed(guest, rc);
	return did;
}
