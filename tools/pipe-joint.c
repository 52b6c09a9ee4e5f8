/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "pipe.h"

/* Large enough that a call's cost is small beside the copy's, small enough to stay in the cache
 * until the next stage has it. */
#define CHUNK_MAX ((size_t)128 << 10)

/* A ring takes several, so that one can be filled while others are emptied. */
#define CHUNKS_MIN 8

/* --- Descriptors ----------------------------------------------------------------------------- */

/* An operation under way would keep it open. */
static void close_in(struct joint *joint)
{
	if (joint->read.is_pending)
		return;
	if (joint->in > STDERR_FILENO)
		close(joint->in);
	joint->in = -1;
}

static void close_out(struct joint *joint)
{
	if (joint->write.is_pending || joint->gone.is_pending)
		return;
	if (joint->out > STDERR_FILENO)
		close(joint->out);
	joint->out = -1;
}

void joint_stop_in(struct joint *joint)
{
	if (joint->in_over)
		return;
	joint->in_over = true;
	io_cancel(&joint->chain->io, &joint->read);
	if (joint->in >= 0)
		close_in(joint);
	else
		joint_hang_up(joint);
	if (joint->out < 0)
		joint_stop_out(joint, 0);
}

void joint_stop_out(struct joint *joint, int error)
{
	if (joint->out_over)
		return;
	joint->out_over = true;
	if (joint->out < 0) {
		joint_half_close(joint);
		return;
	}
	if (joint->out == STDOUT_FILENO && error == EPIPE)
		joint->chain->output_gone = true;
	else if (error != 0)
		joint_failed(joint, NULL, "standard output", error);
	io_cancel(&joint->chain->io, &joint->gone);
	io_cancel(&joint->chain->io, &joint->write);
	close_out(joint);
	/* Unless that was all. */
	joint_stop_in(joint);
}

/* --- In -------------------------------------------------------------------------------------- */

static void start_read(struct joint *joint)
{
	void *room;
	int rc;

	if (joint->in < 0 || joint->in_over || joint->read.is_pending ||
	    (joint->space && !joint->has_space))
		return;
	rc = peal_reserve(peal_tx(joint->tx_end), joint->chunk, &room);
	if (rc == -EAGAIN) {
		if (joint->space)
			joint_wait_for_space(joint, joint->chunk);
		return;
	}
	if (rc < 0) {
		joint_failed(joint, joint->behind, NULL, -rc);
		joint_stop_in(joint);
		return;
	}
	joint->room = (struct iovec){room, joint->chunk};
	io_start(&joint->chain->io, &joint->read);
}

static void end_of_input(struct joint *joint)
{
	joint->in_over = true;
	close_in(joint);
	if (!joint->rx_end)
		joint_stop_out(joint, 0);
}

static void read_done(struct io_op *op)
{
	struct joint *joint = op->user;
	int rc = 0;

	if (joint->in_over) {
		close_in(joint);
		return;
	}
	if (op->result > 0) {
		joint->in_bytes += (uint64_t)op->result;
		if (!joint->rx_end)
			joint->out_bytes = joint->in_bytes;
		rc = peal_commit(peal_tx(joint->tx_end), (size_t)op->result, 0);
	} else {
		peal_abort(peal_tx(joint->tx_end));
		/* A terminal that hung up has no more to say. */
		if (op->result < 0 && op->result != -EIO)
			joint_failed(joint, NULL, "standard input", -op->result);
		end_of_input(joint);
	}
	if (rc < 0) {
		joint_failed(joint, joint->behind, NULL, -rc);
		joint_stop_in(joint);
	}
	joint_run(joint);
}

/* --- Out ------------------------------------------------------------------------------------- */

/* Takes more records in hand. Return: true if there is something to write. */
static bool gather(struct joint *joint)
{
	int rc = 1;

	while (joint->held < JOINT_PARTS) {
		struct peal_record *record = &joint->records[joint->held];

		rc = peal_next(peal_rx(joint->rx_end), record);
		if (rc != 1)
			break;
		joint->parts[joint->held++] =
			(struct iovec){(void *)(uintptr_t)record->data, record->size};
	}
	if (joint->held > 0)
		return true;
	if (rc < 0)
		joint_failed(joint, joint->before, NULL, -rc);
	if (rc < 0 || (joint->tx_end && joint->in_over))
		joint_stop_out(joint, 0);
	else if (joint->data)
		joint_wait_for_data(joint);
	return false;
}

static void start_write(struct joint *joint)
{
	if (joint->out < 0 || joint->out_over || joint->write.is_pending ||
	    (joint->data && !joint->has_data))
		return;
	if (!gather(joint))
		return;
	joint->write.part_count = joint->held;
	io_start(&joint->chain->io, &joint->write);
}

/* So many bytes of what is in hand have gone out. */
static void take(struct joint *joint, size_t size)
{
	unsigned int gone = 0;

	joint->out_bytes += size;
	if (!joint->tx_end)
		joint->in_bytes = joint->out_bytes;
	while (gone < joint->held && size >= joint->parts[gone].iov_len)
		size -= joint->parts[gone++].iov_len;
	if (gone < joint->held) {
		joint->parts[gone].iov_base = (char *)joint->parts[gone].iov_base + size;
		joint->parts[gone].iov_len -= size;
	}
	if (gone == 0)
		return;
	peal_release_to(peal_rx(joint->rx_end), &joint->records[gone - 1]);
	joint->held -= gone;
	memmove(joint->parts, joint->parts + gone, joint->held * sizeof(joint->parts[0]));
	memmove(joint->records, joint->records + gone, joint->held * sizeof(joint->records[0]));
}

static void write_done(struct io_op *op)
{
	struct joint *joint = op->user;

	if (op->result >= 0)
		take(joint, (size_t)op->result);
	if (joint->out_over)
		close_out(joint);
	else if (op->result < 0)
		joint_stop_out(joint, -op->result);
	joint_run(joint);
}

static void reader_gone(struct io_op *op)
{
	struct joint *joint = op->user;

	if (joint->out_over)
		close_out(joint);
	else if (op->result > 0 && op->result & (POLLERR | POLLHUP))
		joint_stop_out(joint, EPIPE);
}

/* --------------------------------------------------------------------------------------------- */

void joint_run(struct joint *joint)
{
	if (joint->space && joint->data)
		joint_relay(joint);
	start_write(joint);
	start_read(joint);
}

bool joint_is_over(const struct joint *joint)
{
	return joint->in_over && joint->out_over && joint->in < 0 && joint->out < 0;
}

/* Return: an enum status, after a complaint. */
static int ring_failed(int error)
{
	complain("making a ring: %s", error ? strerror(error) : peal_last_error());
	return STATUS_FAILED;
}

/* A guest's end in this very process. */
static int attach_here(struct joint *joint)
{
	struct peal_guest_fds fds;
	int *all[] = {&fds.host_segment, &fds.guest_segment, &fds.doorbells[0], &fds.host_pidfd};
	const int count = (int)(sizeof(all) / sizeof(all[0]));
	int copied = 0, error = 0, rc = peal_channel_guest_fds(joint->own_host, &fds);

	if (rc < 0)
		return ring_failed(0);
	for (; copied < count && error == 0; copied++) {
		*all[copied] = fcntl(*all[copied], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		error = *all[copied] < 0 ? errno : 0;
	}
	if (error == 0)
		rc = peal_attach_fds(&joint->own_guest, &fds, NULL);
	if (error == 0 && rc == 0) {
		peal_channel_close_guest_end(joint->own_host);
		rc = peal_channel_wait_ready(joint->own_host, PEAL_TRY);
		return rc < 0 ? ring_failed(0) : STATUS_OK;
	}
	for (int i = 0; i < copied; i++)
		if (*all[i] >= 0)
			close(*all[i]);
	return ring_failed(error);
}

static int open_own_ring(struct joint *joint)
{
	char name[32];
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = joint->chain->options->capacity,
		.name = name,
	};
	int status;

	snprintf(name, sizeof(name), "pipe %u-%u", joint->before ? joint->before->number : 0,
		 joint->behind ? joint->behind->number : 0);
	if (peal_channel_create(&joint->own_host, &options) < 0)
		return ring_failed(0);
	status = attach_here(joint);
	joint->tx_end = joint->own_host;
	joint->rx_end = joint->own_guest;
	return status;
}

int joint_open(struct joint *joint, int in, int out)
{
	uint64_t chunk = joint->chain->options->capacity / CHUNKS_MIN;
	int status;

	joint->in = in;
	joint->out = out;
	joint->chunk = chunk < CHUNK_MAX ? (size_t)chunk : CHUNK_MAX;
	joint->read = (struct io_op){.kind = IO_READ,
				     .fd = in,
				     .parts = &joint->room,
				     .part_count = 1,
				     .done = read_done,
				     .user = joint};
	joint->write = (struct io_op){.kind = IO_WRITE,
				      .fd = out,
				      .parts = joint->parts,
				      .done = write_done,
				      .user = joint};
	joint->gone =
		(struct io_op){.kind = IO_GONE, .fd = out, .done = reader_gone, .user = joint};
	if (in > STDERR_FILENO)
		io_adopt(&joint->chain->io, in);
	if (out > STDERR_FILENO)
		io_adopt(&joint->chain->io, out);
	if (in >= 0 && out >= 0)
		status = open_own_ring(joint);
	else
		status = joint_watch(joint) < 0 ? ring_failed(0) : STATUS_OK;
	if (status == STATUS_OK && out >= 0)
		io_start(&joint->chain->io, &joint->gone);
	return status;
}

void joint_close(struct joint *joint)
{
	if (joint->in > STDERR_FILENO)
		close(joint->in);
	if (joint->out > STDERR_FILENO)
		close(joint->out);
	joint->own_guest = peal_channel_close(joint->own_guest);
	joint->own_host = peal_channel_close(joint->own_host);
}

/* What is between these two positions. A peer's is its claim. */
static uint64_t distance(const struct peal_ring_stats *tx, const struct peal_ring_stats *rx)
{
	uint64_t used = tx->position - rx->position;

	return used < tx->capacity ? used : tx->capacity;
}

void joint_fill(const struct joint *joint, uint64_t *used, uint64_t *capacity)
{
	struct peal_side_stats own, peer;

	*used = *capacity = 0;
	if (joint->tx_end) {
		peal_channel_stats(joint->tx_end, &own, &peer);
		*used += distance(&own.tx, &peer.rx);
		*capacity += own.tx.capacity;
	}
	if (joint->rx_end && joint->rx_end != joint->own_guest) {
		peal_channel_stats(joint->rx_end, &own, &peer);
		*used += distance(&peer.tx, &own.rx);
		*capacity += peer.tx.capacity;
	}
}
