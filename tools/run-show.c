/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "command.h"
#include "run.h"

#define SECOND_NS 1000000000

/* The peer's figures are its own claims, so they may be anything. */
static unsigned int percent(uint64_t produced, uint64_t consumed, uint64_t capacity)
{
	uint64_t used = produced - consumed;

	return used >= capacity ? 100 : (unsigned int)((double)used * 100 / (double)capacity);
}

/* For how long has the guest left standing what is there for it? */
static uint64_t stalled_ns(struct show *show, const struct peal_ring_stats *produced,
			   const struct peal_ring_stats *taken, uint64_t now)
{
	if (taken->position != show->taken || taken->position == produced->position) {
		show->taken = taken->position;
		show->taken_ns = now;
	}
	return now - show->taken_ns;
}

static void update_rates(struct run *run, uint64_t now)
{
	struct show *show = &run->show;
	double seconds = (double)(now - show->last_ns) / SECOND_NS;

	show->in_rate = (double)(run->input.bytes - show->in_bytes) / seconds;
	show->out_rate = (double)(run->output.bytes - show->out_bytes) / seconds;
	show->in_bytes = run->input.bytes;
	show->out_bytes = run->output.bytes;
	show->last_ns = now;
}

void show_progress(struct run *run, const struct guest *guest)
{
	struct peal_side_stats own, peer;
	char in[FORMAT_MAX], in_rate[FORMAT_MAX], out[FORMAT_MAX], out_rate[FORMAT_MAX];
	char stall[64] = "", time[FORMAT_MAX];
	uint64_t now = peal_now_ns(), ns;

	if (!run->show.wanted || !progress_is_due())
		return;
	update_rates(run, now);
	peal_channel_stats(guest->channel, &own, &peer);
	ns = stalled_ns(&run->show, &own.tx, &peer.rx, now);
	if (ns >= SECOND_NS)
		snprintf(stall, sizeof(stall), "  guest has not read for %s",
			 format_duration(time, ns));
	progress("in %s %s  out %s %s  fill %u%% %u%%%s",
		 format_count(in, (double)run->input.records),
		 format_rate(in_rate, run->show.in_rate),
		 format_count(out, (double)run->output.records),
		 format_rate(out_rate, run->show.out_rate),
		 percent(own.tx.position, peer.rx.position, own.tx.capacity),
		 percent(peer.tx.position, own.rx.position, own.rx.capacity), stall);
}

static void report_as_json(const struct run *run, const char *end, int status, double seconds)
{
	json_t *report = json_pack(
		"{si si sf sI sI sI sI sI sI sI so}", "status", status, "signal", run->signal,
		"seconds", seconds, "in_records", (json_int_t)run->input.records, "in_bytes",
		(json_int_t)run->input.bytes, "out_records", (json_int_t)run->output.records,
		"out_bytes", (json_int_t)run->output.bytes, "lost_bytes", (json_int_t)run->lost,
		"waits_for_room", (json_int_t)run->waits_for_room, "starts",
		(json_int_t)run->starts, "end", json_text(end));

	if (report)
		json_dumpf(report, stderr, JSON_COMPACT | JSON_REAL_PRECISION(9));
	fputc('\n', stderr);
	json_decref(report);
}

void show_report(const struct run *run, const char *end, int status)
{
	uint64_t ns = peal_now_ns() - run->show.begin_ns;
	double seconds = (double)ns / SECOND_NS;
	char in[FORMAT_MAX], out[FORMAT_MAX], rate[FORMAT_MAX], time[FORMAT_MAX];
	bool unread = run->has_attached && (run->lost > 0 || !run_input_is_over(run));

	bool failed = run->status.state != PEAL_CHILD_EXITED || run->status.value != 0 ||
		      !run->has_attached;

	progress_end();
	if (run->options->json)
		report_as_json(run, end, status, seconds);
	else if (*end && (run->show.wanted || failed || unread))
		complain("%s%s", end, unread ? ", before it had taken all of its input" : "");
	if (run->show.wanted)
		complain(
			"%s records in, %s out, %s in %s",
			format_count(in, (double)run->input.records),
			format_count(out, (double)run->output.records),
			format_rate(rate, (double)(run->input.bytes + run->output.bytes) / seconds),
			format_duration(time, ns));
}
