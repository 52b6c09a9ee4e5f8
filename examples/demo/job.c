/* SPDX-License-Identifier: MIT */
/*
 * job.c - all that the host does with a plugin: starts it, streams files to it, believes it no more
 * than it must, and tells how it ended. The part to read first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <peal/peal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

#define ANSWER_SIZE (64 << 10)
/* Read at once. Large enough that a read(2) costs nothing to speak of, small enough for the second
 * level cache and for the plugin to start while we still read. */
#define CHUNK_SIZE  ((size_t)64 << 10)
/* Waiting for the plugin, we look up this often, to move the bar. */
#define TICK_NS     UINT64_C(50000000)
/* Long for a program to start or end, short for somebody who waits. */
#define PATIENCE_NS UINT64_C(10000000000)

void complain(const char *format, ...)
{
	va_list args;

	progress_clear();
	fflush(stdout);
	fputs(PROGRAM ": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- The plugin process ----------------------------------------------------------------------- */

/* The plugin lies beside us, wherever that is. */
static int plugin_path(char *path, size_t size)
{
	static const char suffix[] = "-plugin";
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof(suffix));

	if (length < 0)
		return -errno;
	if ((size_t)length == size - sizeof(suffix))
		return -ENAMETOOLONG; /* it may have been cut */
	memcpy(path + length, suffix, sizeof(suffix));
	return 0;
}

int job_start(struct job *job, struct inputs *inputs, char *argument)
{
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = RING_SIZE,
		.to_host = ANSWER_SIZE,
		.name = PROGRAM,
	};
	struct peal_spawn_options spawn = {
		.size = sizeof(spawn),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT | PEAL_SPAWN_NO_NEW_PRIVS,
	};
	char path[PATH_MAX];
	int rc = plugin_path(path, sizeof(path));

	*job = (struct job){.inputs = inputs, .size = inputs_size(inputs), .all_read = true};
	if (rc < 0) {
		complain("cannot tell where this program lies: %s", strerror(-rc));
		return rc;
	}
	rc = peal_channel_create(&job->channel, &options);
	if (rc == 0)
		rc = peal_spawn(&job->child, job->channel, (char *[]){path, argument, NULL},
				&spawn);
	if (rc == 0)
		rc = peal_child_wait_ready(job->child, job->channel,
					   peal_deadline_in_ns(PATIENCE_NS));
	if (rc == -ETIMEDOUT)
		complain("the plugin does not start");
	else if (rc < 0)
		complain("%s", peal_last_error());
	job->begin_ns = peal_now_ns();
	return rc;
}

/* Bytes in the ring that the plugin has not released yet. */
static uint64_t job_backlog(const struct job *job)
{
	struct peal_side_stats own, peer;
	uint64_t backlog;

	peal_channel_stats(job->channel, &own, &peer);
	backlog = own.tx.position - peer.rx.position;
	/* The plugin's position is its own claim, which a bad one may get wrong. */
	return backlog <= RING_SIZE ? backlog : 0;
}

/* Bytes that the plugin has worked on; to within the few that record headers take. */
static uint64_t job_done_bytes(const struct job *job)
{
	uint64_t backlog = job_backlog(job);

	return job->sent_bytes > backlog ? job->sent_bytes - backlog : 0;
}

int job_finish(struct job *job)
{
	struct peal_child_status status;
	char text[PATH_MAX + 100];
	bool sound;
	int rc;

	job->channel = peal_channel_close(job->channel);
	rc = peal_child_wait(job->child, peal_deadline_in_ns(PATIENCE_NS), &status);
	sound = rc == 0 && status.state == PEAL_CHILD_EXITED && status.value == 0;
	if (!sound)
		complain("the plugin ended badly: %s",
			 peal_child_describe(job->child, text, sizeof(text)));
	return sound ? 0 : -EPIPE;
}

void job_free(struct job *job)
{
	job->channel = peal_channel_close(job->channel);
	job->child = peal_child_free(job->child);
}

/* --- Streaming -------------------------------------------------------------------------------- */

static void tick(const struct job *job)
{
	if (progress_due())
		progress_update(job_done_bytes(job), (int)(job_backlog(job) * 100 / RING_SIZE));
}

/* One answer. What the plugin says is copied first, then checked, then believed. */
static int take_answer(struct job *job, const struct peal_record *record)
{
	struct demo_counts counts;
	struct input *input;

	job->broken = "the plugin sent a record that demo.h does not know";
	if (record->type != DEMO_COUNTS || record->size != sizeof(counts))
		return -EBADMSG;
	memcpy(&counts, record->data, sizeof(counts));
	job->broken = "the plugin answered what it was not asked";
	if (counts.index >= job->inputs->count)
		return -EBADMSG;
	input = &job->inputs->list[counts.index];
	if (!input->sent || input->answered)
		return -EBADMSG;
	job->broken = "the plugin counted other bytes than it was sent";
	if (counts.bytes != input->sent_bytes)
		return -EBADMSG;
	job->broken = NULL;
	input->counts = counts;
	input->answered = true;
	job->answered++;
	return peal_release(peal_rx(job->channel));
}

/* All answers that are there. Without it, a plugin that waits for room to answer and a host that
 * waits for room to ask would wait for each other. */
static int take_answers(struct job *job)
{
	struct peal_record record;
	int rc;

	for (;;) {
		/* Not peal_next_wait(), which would ask the kernel each time. */
		rc = peal_next(peal_rx(job->channel), &record);
		if (rc <= 0)
			return rc;
		rc = take_answer(job, &record);
		if (rc < 0)
			return rc;
	}
}

static int reserve(struct job *job, size_t size, void **payload)
{
	int rc;

	do {
		rc = take_answers(job);
		if (rc < 0)
			return rc;
		rc = peal_reserve_wait(peal_tx(job->channel), size, payload,
				       peal_deadline_in_ns(TICK_NS));
		tick(job);
	} while (rc == -ETIMEDOUT);
	return rc;
}

static int commit(struct job *job, size_t size, enum demo_record type)
{
	job->records++;
	return peal_commit(peal_tx(job->channel), size, (uint16_t)type);
}

/* From the file into the ring, without a copy of ours in between. Returns 0 at the end of the file,
 * or when it can not be read further; a negative errno when the plugin can not. */
static int send_data(struct job *job, struct input *input, int fd)
{
	ssize_t size;
	void *chunk;
	int rc;

	for (;;) {
		rc = reserve(job, CHUNK_SIZE, &chunk);
		if (rc < 0)
			return rc;
		do
			size = read(fd, chunk, CHUNK_SIZE);
		while (size < 0 && errno == EINTR);
		if (size <= 0)
			break;
		input->sent_bytes += (uint64_t)size;
		job->sent_bytes += (uint64_t)size;
		rc = commit(job, (size_t)size, DEMO_DATA);
		if (rc < 0)
			return rc;
	}
	peal_abort(peal_tx(job->channel));
	if (size < 0) {
		/* As wc does: say so, and go on with what was read. */
		complain("%s: %s", input->name, strerror(errno));
		job->all_read = false;
	}
	return 0;
}

static int send_file(struct job *job, size_t index)
{
	struct input *input = &job->inputs->list[index];
	int fd = input_open(input);
	void *payload;
	int rc;

	if (fd < 0) {
		complain("%s: %s", input->name, strerror(-fd));
		job->all_read = false;
		return 0;
	}
	rc = reserve(job, sizeof(struct demo_begin), &payload);
	if (rc == 0) {
		memcpy(payload, &(struct demo_begin){.index = (uint32_t)index},
		       sizeof(struct demo_begin));
		rc = commit(job, sizeof(struct demo_begin), DEMO_BEGIN);
	}
	if (rc == 0)
		rc = send_data(job, input, fd);
	close(fd);
	if (rc == 0)
		rc = reserve(job, 0, &payload);
	if (rc < 0)
		return rc;
	input->sent = true;
	job->asked++;
	return commit(job, 0, DEMO_END);
}

int job_run(struct job *job)
{
	struct peal_record record;
	int rc = 0;

	progress_begin("counting", job->size);
	for (size_t i = 0; i < job->inputs->count && rc == 0; i++)
		rc = send_file(job, i);
	while (rc == 0 && job->answered < job->asked) {
		rc = peal_next_wait(peal_rx(job->channel), &record, peal_deadline_in_ns(TICK_NS));
		if (rc == 1)
			rc = take_answer(job, &record);
		else if (rc == -ETIMEDOUT)
			rc = 0;
		tick(job);
	}
	job->end_ns = peal_now_ns();
	progress_end();
	return rc;
}

/* --- The end ---------------------------------------------------------------------------------- */

static char *format_size(char *text, size_t size, uint64_t bytes)
{
	if (bytes < MIB)
		snprintf(text, size, "%" PRIu64 " bytes", bytes);
	else
		snprintf(text, size, "%.1f MiB", (double)bytes / (double)MIB);
	return text;
}

void job_explain(struct job *job, int error, char *text, size_t size)
{
	char done[32], all[32] = "", child[PATH_MAX + 100];
	bool known = job->size >= job->sent_bytes; /* a pipe tells no size beforehand */

	if (error == -EBADMSG) {
		snprintf(text, size, "%s", job->broken);
		return;
	}
	if (error != -EPIPE) {
		snprintf(text, size, "%s", peal_last_error());
		return;
	}
	/* Its doorbells hang up a moment before its status can be had. */
	peal_child_wait(job->child, peal_deadline_in_ns(PATIENCE_NS), NULL);
	if (known)
		format_size(all, sizeof(all), job->size);
	snprintf(text, size, "the plugin died after %s%s%s: %s",
		 format_size(done, sizeof(done), job_done_bytes(job)), known ? " of " : "", all,
		 peal_child_describe(job->child, child, sizeof(child)));
}
