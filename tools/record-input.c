/* SPDX-License-Identifier: MIT */
/*
 * record-input.c - standard input ─▶ the log, and on to standard output.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "record.h"

#define SECOND_NS UINT64_C(1000000000)

struct record {
	struct log_writer *log;
	struct stream input, output;
	bool shows;
	int stop_fd, signal;
	int status;       /* of what ends it at once */
	int input_status; /* of what was the end of the input */
	uint64_t begin_ns;
};

/* --- Records ------------------------------------------------------------------------------------- */

static void fail(struct record *record, int status)
{
	if (record->status == STATUS_OK)
		record->status = status;
}

/* No other record is in what was read. */
static void bad_input(struct record *record, int rc)
{
	unsigned long long number = record->input.records + 1;

	if (rc == -EMSGSIZE)
		complain("record %llu of the input is larger than %u bytes, the most that a "
			 "recording takes",
			 number, LOG_RECORD_MAX);
	else
		complain("the input ends inside of record %llu", number);
	stream_cut(&record->input);
	record->input_status = STATUS_FAILED;
}

/* All that was read, as far as there is room for it in the output. */
static void take_records(struct record *record)
{
	const void *data = NULL;
	size_t size = 0;
	int rc = 1;

	while (record->output.log_status == 0 && stream_has_room(&record->output) &&
	       (rc = stream_next(&record->input, LOG_RECORD_MAX, &data, &size)) == 1) {
		stream_add(&record->output, data, size, 0);
		stream_take(&record->input);
	}
	if (rc < 0)
		bad_input(record, rc);
}

static void read_input(struct record *record)
{
	int rc = stream_fill(&record->input);

	record->output.now_ns = peal_now_ns();
	if (rc == 0)
		return;
	complain("standard input: %s", strerror(-rc));
	stream_cut(&record->input);
	record->input_status = STATUS_FAILED;
}

static void write_output(struct record *record)
{
	int rc = 0;

	if (!stream_is_empty(&record->output)) {
		/* They may be the same terminal. */
		if (record->shows)
			progress_end();
		rc = stream_flush(&record->output);
	}
	if (rc < 0)
		fail(record, output_error(-rc));
}

/* --- Showing ------------------------------------------------------------------------------------- */

static void show(const struct record *record)
{
	struct log_totals totals = log_totals(record->log);
	double seconds = (double)(peal_now_ns() - record->begin_ns) / SECOND_NS;
	char count[FORMAT_MAX], bytes[FORMAT_MAX], rate[FORMAT_MAX], stored[FORMAT_MAX];

	if (record->shows && progress_is_due())
		progress("%s records  %s  %s  in file %s",
			 format_count(count, (double)totals.records),
			 format_bytes(bytes, totals.bytes),
			 format_rate(rate, (double)totals.bytes / seconds),
			 format_bytes(stored, totals.stored));
}

/* --- Running ------------------------------------------------------------------------------------- */

/* Sleeps until there is something to read or write, or a block has waited for long enough. */
static void wait_for_more(struct record *record)
{
	bool wants_input = stream_has_room(&record->output);
	struct pollfd fds[] = {
		{.fd = record->stop_fd, .events = POLLIN},
		{.fd = wants_input ? record->input.fd : -1, .events = POLLIN},
		{.fd = record->output.quiet ? -1 : record->output.fd},
	};
	uint64_t now = peal_now_ns(), due = log_due_ns(record->log);
	uint64_t ns = due == PEAL_FOREVER ? PEAL_FOREVER : due > now ? due - now : 0;

	if (!stream_is_empty(&record->output))
		fds[2].events = POLLOUT;
	if (record->shows && ns > SECOND_NS / 10)
		ns = SECOND_NS / 10;
	if (poll_for(fds, 3, ns) <= 0)
		return;
	if (fds[0].revents)
		record->signal = stop_signal(record->stop_fd);
	if (fds[1].revents)
		read_input(record);
	if (fds[2].revents & POLLERR && !record->output.is_file)
		fail(record, STATUS_OUTPUT_GONE);
	if (fds[2].revents & POLLNVAL)
		fail(record, output_error(EBADF));
}

static bool is_over(const struct record *record)
{
	return record->signal || record->status != STATUS_OK ||
	       (record->input.at_end && stream_is_empty(&record->input) &&
		stream_is_empty(&record->output));
}

static void serve(struct record *record)
{
	while (!is_over(record)) {
		wait_for_more(record);
		take_records(record);
		write_output(record);
		stream_keep(&record->output);
		fail(record, record->output.log_status);
		show(record);
	}
}

static int outcome(const struct record *record)
{
	if (record->status)
		return record->status;
	return record->signal ? STATUS_SIGNAL + record->signal : record->input_status;
}

int record_input(struct log_writer *log, const struct run_options *options, bool shows)
{
	struct record record = {.log = log, .shows = shows, .begin_ns = peal_now_ns()};

	record.stop_fd = stop_open();
	if (record.stop_fd < 0 ||
	    stream_open(&record.input, STDIN_FILENO, options->framing, LOG_RECORD_MAX) < 0 ||
	    stream_open(&record.output, STDOUT_FILENO, options->framing, LOG_RECORD_MAX) < 0)
		return complain("no memory for records, or no descriptor"), STATUS_FAILED;
	record.output.log = log;
	record.output.quiet = options->quiet;
	serve(&record);
	/* What could not be passed on any more has come in all the same. */
	stream_cut(&record.output);
	record.output.quiet = true;
	take_records(&record);
	fail(&record, record.output.log_status);
	stream_close(&record.input);
	stream_close(&record.output);
	return outcome(&record);
}
