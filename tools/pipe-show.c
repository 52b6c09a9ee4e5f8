/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "pipe.h"

/* What is in a ring beside what was read; less than this. */
#define HEADERS 64

#define TICK_NS     UINT64_C(100000000)
/* Of a new rate in the one that is shown: it settles within two seconds. */
#define RATE_WEIGHT 0.1

static uint64_t elapsed_ns(const struct chain *chain)
{
	return (chain->end_ns ? chain->end_ns : peal_now_ns()) - chain->begin_ns;
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static double share(const struct chain *chain, uint64_t ns)
{
	uint64_t all = elapsed_ns(chain);

	return all ? (double)ns / (double)all : 0;
}

/* --- The progress line ----------------------------------------------------------------------- */

void chain_show_begin(struct chain *chain)
{
	struct stat input;

	chain->begin_ns = chain->last_ns = peal_now_ns();
	chain->shows_progress =
		!chain->options->is_quiet && !chain->options->wants_json && progress_is_wanted();
	if (fstat(STDIN_FILENO, &input) < 0 || !S_ISREG(input.st_mode))
		return;
	chain->input_begin = lseek(STDIN_FILENO, 0, SEEK_CUR);
	if (chain->input_begin >= 0 && input.st_size > chain->input_begin)
		chain->input_size = input.st_size - chain->input_begin;
}

/* How much of it is done, from 0 to 1; 0: not known. The file's position is shared with the stage
 * that reads it. */
static double done(const struct chain *chain)
{
	double part = 0;
	int64_t at;

	if (chain->options->size) {
		part = (double)chain->joints[0].in_bytes / (double)chain->options->size;
	} else if (chain->input_size) {
		at = lseek(STDIN_FILENO, 0, SEEK_CUR);
		part = (double)(at - chain->input_begin) / (double)chain->input_size;
	}
	return part < 0 ? 0 : part < 1 ? part : 1;
}

static void measure(struct chain *chain)
{
	const struct joint *first = &chain->joints[0], *last = first + chain->joint_count - 1;
	uint64_t now = peal_now_ns(), in = first->in_bytes, out = last->out_bytes;
	double passed = seconds(now - chain->last_ns);
	/* The first ones as they are. */
	double weight = now - chain->begin_ns < 10 * TICK_NS ? 0.5 : RATE_WEIGHT;

	chain->in_rate += weight * ((double)(in - chain->last_in) / passed - chain->in_rate);
	chain->out_rate += weight * ((double)(out - chain->last_out) / passed - chain->out_rate);
	chain->last_ns = now;
	chain->last_in = in;
	chain->last_out = out;
}

/* Appends; what does not fit is cut. */
static void add(char *line, size_t size, const char *text)
{
	strncat(line, text, size - strlen(line) - 1);
}

static void add_flow(char *line, size_t size, const char *name, uint64_t bytes, double rate)
{
	char amount[FORMAT_MAX], speed[FORMAT_MAX], text[80];

	snprintf(text, sizeof(text), "  %s%s %s", name, format_bytes(amount, bytes),
		 format_rate(speed, rate));
	add(line, size, text);
}

static void add_fill(char *line, size_t size, const struct chain *chain)
{
	uint64_t used, capacity;
	char text[16];

	add(line, size, "  fill");
	for (unsigned int i = 0; i < chain->joint_count; i++) {
		joint_fill(&chain->joints[i], &used, &capacity);
		snprintf(text, sizeof(text), " %u%%",
			 capacity ? (unsigned int)(100 * used / capacity) : 0);
		add(line, size, text);
	}
}

static void add_eta(char *line, size_t size, const struct chain *chain)
{
	double part = done(chain);
	char left[FORMAT_MAX], text[64];

	if (part <= 0)
		return;
	format_duration(left, (uint64_t)((double)elapsed_ns(chain) * (1 - part) / part));
	snprintf(text, sizeof(text), "  %d%% ETA %s", (int)(100 * part), left);
	add(line, size, text);
}

uint64_t chain_show(struct chain *chain)
{
	const struct joint *joints = chain->joints;
	const unsigned int last = chain->joint_count - 1;
	char line[512];

	if (!chain->shows_progress || chain->joint_count == 0)
		return PEAL_FOREVER;
	if (!progress_is_due() || peal_now_ns() == chain->last_ns)
		return chain->last_ns + TICK_NS;
	measure(chain);
	format_duration(line, elapsed_ns(chain));
	add_eta(line, sizeof(line), chain);
	add_fill(line, sizeof(line), chain);
	add_flow(line, sizeof(line), last > 0 ? "in " : "", joints[0].in_bytes, chain->in_rate);
	if (last > 0)
		add_flow(line, sizeof(line), "out ", joints[last].out_bytes, chain->out_rate);
	progress("%s", line);
	return chain->last_ns + TICK_NS;
}

/* --- The end --------------------------------------------------------------------------------- */

/* That a reader went away before its writer had done is no failure: `yes | head -1`. A shell dies
 * of SIGPIPE, or says that its program did. */
static bool has_failed(const struct stage *stage)
{
	return stage_status(stage) != STATUS_OK && stage_status(stage) != STATUS_SIGNAL + SIGPIPE;
}

static void tell_failure(const struct stage *stage)
{
	char how[HOW_MAX];

	complain("stage %u '%.60s' %s", stage->number, stage->command, stage_describe(stage, how));
}

static void tell_ring(const struct chain *chain, const struct joint *joint)
{
	char bytes[FORMAT_MAX], rate[FORMAT_MAX], used[FORMAT_MAX];
	double s = seconds(elapsed_ns(chain));

	fprintf(stderr,
		"  ring      %s, %s; full %.0f %%, empty %.0f %% of the time; at most %s in it\n",
		format_bytes(bytes, joint->in_bytes),
		format_rate(rate, s > 0 ? (double)joint->in_bytes / s : 0),
		100 * share(chain, joint->full_ns), 100 * share(chain, joint->empty_ns),
		format_bytes(used, joint->most_used));
}

static void tell_stage(const struct chain *chain, const struct stage *stage)
{
	fprintf(stderr, "  stage %-3u held up the chain for %.0f %% of the time: %.60s\n",
		stage->number, 100 * share(chain, stage->bottleneck_ns), stage->command);
}

/* In the order of the data. */
static void tell_all(const struct chain *chain)
{
	const struct joint *joint = chain->joints, *end = joint + chain->joint_count;
	bool is_worth_it = false;
	char time[FORMAT_MAX];

	complain("%s, %s", format_duration(time, elapsed_ns(chain)),
		 chain->io.is_uring ? "by io_uring" : "by poll(2), since io_uring is refused here");
	if (joint < end && !joint->before)
		tell_ring(chain, joint++);
	for (unsigned int i = 0; i < chain->stage_count; i++) {
		tell_stage(chain, &chain->stages[i]);
		if (joint < end)
			tell_ring(chain, joint++);
	}
	for (joint = chain->joints; joint < end; joint++)
		is_worth_it |= joint->most_used > joint->chunk + HEADERS || !joint->own_host;
	if (!is_worth_it)
		fputs("  no ring ever held more than was read at once: a shell's pipes would do as "
		      "well\n",
		      stderr);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *json_of_stage(const struct chain *chain, const struct stage *stage)
{
	json_t *object = json_pack("{s:o, s:b, s:f}", "command", json_text(stage->command), "guest",
				   stage->is_guest, "held_up", share(chain, stage->bottleneck_ns));
	const char *how = stage->status.state == PEAL_CHILD_KILLED ? "signal" : "status";

	if (object)
		json_object_set_new(object, how, json_integer(stage->status.value));
	return object;
}

static json_t *json_of_ring(const struct chain *chain, const struct joint *joint)
{
	uint64_t used, capacity;

	joint_fill(joint, &used, &capacity);
	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "capacity", (json_int_t)capacity,
			 "bytes_in", (json_int_t)joint->in_bytes, "bytes_out",
			 (json_int_t)joint->out_bytes, "most_used", (json_int_t)joint->most_used,
			 "full", share(chain, joint->full_ns), "empty",
			 share(chain, joint->empty_ns));
}

static json_t *json_of_chain(const struct chain *chain, int status)
{
	json_t *stages = json_array(), *rings = json_array();

	for (unsigned int i = 0; i < chain->stage_count; i++)
		json_array_append_new(stages, json_of_stage(chain, &chain->stages[i]));
	for (unsigned int i = 0; i < chain->joint_count; i++)
		json_array_append_new(rings, json_of_ring(chain, &chain->joints[i]));
	return json_pack("{s:f, s:i, s:s, s:o, s:o}", "seconds", seconds(elapsed_ns(chain)),
			 "status", status, "waits_by", chain->io.is_uring ? "io_uring" : "poll",
			 "stages", stages, "rings", rings);
}

void chain_report(const struct chain *chain, int status)
{
	const struct pipe_options *options = chain->options;
	json_t *report;

	progress_end();
	for (unsigned int i = 0; i < chain->stage_count && !options->is_quiet; i++)
		if (!chain->signal && has_failed(&chain->stages[i]))
			tell_failure(&chain->stages[i]);
	if (options->is_verbose)
		tell_all(chain);
	if (!options->wants_json)
		return;
	report = json_of_chain(chain, status);
	json_dumpf(report, stderr, JSON_COMPACT | JSON_REAL_PRECISION(9));
	fputc('\n', stderr);
	json_decref(report);
}
