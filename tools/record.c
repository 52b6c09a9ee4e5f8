/* SPDX-License-Identifier: MIT */
/*
 * record.c - `peal record`: standard input ─▶ FILE, and on to standard output.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "log.h"
#include "run.h"

#define SECOND_NS UINT64_C(1000000000)

static const char help[] =
	"usage: peal record [OPTION]... FILE [-- PROGRAM [ARGUMENT]...]\n"
	"\n"
	"Writes the records of stdin, or those that PROGRAM sends as a guest (peal run),\n"
	"to FILE, which must be new, with their times, and passes them on to stdout.\n"
	"Killed, it leaves a FILE that is whole up to its last block: see --flush.\n"
	"\n"
	"  --framing lines|length  a record is a line, or has its length before it:\n"
	"                          4 bytes, little-endian (lines)\n"
	"  -q, --quiet             do not pass records on\n"
	"  --append                go on behind the last record of FILE\n"
	"  --level N               zstd's, 1 to 19 (1); --no-compress: store as it is\n"
	"  --rotate SIZE           FILE becomes FILE.1 and so on, before it gets larger\n"
	"  --keep N                so many of these stay (all)\n"
	"  --flush TIME            no record waits longer before it is written (1s)\n"
	"  --sync                  written means on the disk; without it, that is so at a\n"
	"                          file's end alone (fdatasync)\n"
	"  --to-guest SIZE  --to-host SIZE  of PROGRAM's rings (1M each)\n"
	"  --json                  totals at the end, as JSON on stderr\n"
	"\n"
	"Example: tail -F log | peal record -q --rotate 1G --keep 9 log.peal\n";

/* What the command line says. */
struct wanted {
	struct log_options log;
	struct run_options run;
	bool json;
};

struct record {
	struct log_writer *log;
	struct stream input, output;
	bool json, shows;
	int stop_fd, signal, status;
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
	fail(record, STATUS_FAILED);
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
	fail(record, STATUS_FAILED);
}

static void output_failed(struct record *record, int rc)
{
	if (rc == -EPIPE) {
		fail(record, STATUS_OUTPUT_GONE);
	} else {
		complain("standard output: %s", strerror(-rc));
		fail(record, STATUS_FAILED);
	}
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
		output_failed(record, rc);
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

static void report(const struct record *record, const struct log_totals *totals)
{
	uint64_t ns = peal_now_ns() - record->begin_ns;
	char count[FORMAT_MAX], bytes[FORMAT_MAX], stored[FORMAT_MAX], time[FORMAT_MAX];
	json_t *object;

	if (record->json) {
		object = json_pack("{si si sf sI sI sI}", "status", record->status, "signal",
				   record->signal, "seconds", (double)ns / SECOND_NS, "records",
				   (json_int_t)totals->records, "bytes", (json_int_t)totals->bytes,
				   "stored_bytes", (json_int_t)totals->stored);
		if (object)
			json_dumpf(object, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(object);
	} else if (record->shows) {
		complain("%s records, %s in %s of files, %s",
			 format_count(count, (double)totals->records),
			 format_bytes(bytes, totals->bytes), format_bytes(stored, totals->stored),
			 format_duration(time, ns));
	}
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
	uint64_t ns = due > now ? due - now : 0;
	struct timespec time;

	if (!stream_is_empty(&record->output))
		fds[2].events = POLLOUT;
	if (record->shows && ns > SECOND_NS / 10)
		ns = SECOND_NS / 10;
	time = (struct timespec){(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)};
	if (ppoll(fds, 3, due == PEAL_FOREVER && !record->shows ? NULL : &time, NULL) <= 0)
		return;
	if (fds[0].revents)
		record->signal = stop_signal(record->stop_fd);
	if (fds[1].revents)
		read_input(record);
	if (fds[2].revents & POLLERR && !record->output.is_file)
		fail(record, STATUS_OUTPUT_GONE);
	if (fds[2].revents & POLLNVAL)
		output_failed(record, -EBADF);
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

static int record_input(struct record *record, const struct run_options *options)
{
	record->stop_fd = stop_open();
	if (record->stop_fd < 0 ||
	    stream_open(&record->input, STDIN_FILENO, options->framing, LOG_RECORD_MAX) < 0 ||
	    stream_open(&record->output, STDOUT_FILENO, options->framing, LOG_RECORD_MAX) < 0)
		return complain("no memory for records, or no descriptor"), STATUS_FAILED;
	record->output.log = record->log;
	record->output.quiet = options->quiet;
	serve(record);
	/* What could not be passed on any more has come in all the same. */
	stream_cut(&record->output);
	record->output.quiet = true;
	take_records(record);
	stream_close(&record->input);
	stream_close(&record->output);
	if (record->status == STATUS_OK && record->signal)
		return STATUS_SIGNAL + record->signal;
	return record->status;
}

static int run_record(const struct wanted *wanted, const char *path)
{
	struct record record = {.json = wanted->json, .begin_ns = peal_now_ns()};
	struct run_options options = wanted->run;
	struct log_totals totals;
	int status = log_create(&record.log, path, &wanted->log), end;

	if (status)
		return status;
	/* Who types at a terminal would find the line in what he types. */
	record.shows = progress_is_wanted() && !isatty(STDIN_FILENO) && !wanted->json;
	options.log = record.log;
	status = options.argv ? run_with(&options) : record_input(&record, &options);
	end = log_close(record.log, &totals);
	record.status = end ? end : status;
	report(&record, &totals);
	return record.status;
}

/* --- The command line ---------------------------------------------------------------------------- */

/* 64 KiB: at least one block of some size. */
#define ROTATE_MIN (UINT64_C(64) << 10)
#define LEVEL_MAX  19

/* Return: 0 or STATUS_USAGE. */
static int take_option(struct wanted *wanted, int option, const char *text)
{
	struct log_options *log = &wanted->log;
	uint64_t level = 0;
	uint32_t word = 0;
	int rc = 0;

	switch (option) {
	case 'a':
		log->append = true;
		break;
	case 'f':
		rc = take_word("--framing", text, "lines", "length", &word);
		wanted->run.framing = word ? FRAMING_LENGTH : FRAMING_LINES;
		break;
	case 'F':
		return take_duration("--flush", text, &log->flush_ns);
	case 'g':
		return take_size("--to-guest", text, RING_MIN, RING_MAX,
				 &wanted->run.to_guest_bytes);
	case 'j':
		wanted->json = true;
		break;
	case 'k':
		return take_number("--keep", text, 1, 1000000, &log->keep);
	case 'l':
		rc = take_number("--level", text, 1, LEVEL_MAX, &level);
		log->level = (int)level;
		break;
	case 'n':
		log->level = 0;
		break;
	case 'o':
		/* So that each of its records is one that a recording takes. */
		return take_size("--to-host", text, RING_MIN, LOG_RECORD_MAX,
				 &wanted->run.to_host_bytes);
	case 'q':
		wanted->run.quiet = true;
		break;
	case 'r':
		return take_size("--rotate", text, ROTATE_MIN, UINT64_C(1) << 50,
				 &log->rotate_bytes);
	case 's':
		log->sync = true;
		break;
	default:
		rc = STATUS_USAGE; /* getopt has said why */
	}
	return rc;
}

/* What none of the options can tell alone. */
static int check(const struct wanted *wanted, int argc, char **argv)
{
	if (optind == argc)
		return wrong_usage("a FILE was expected");
	if (optind + 1 < argc)
		return wrong_usage("one FILE was expected, and there is also '%s'",
				   argv[optind + 1]);
	if (wanted->run.argv && !wanted->run.argv[0])
		return wrong_usage("a program to run was expected behind --");
	if (wanted->log.keep > 0 && wanted->log.rotate_bytes == 0)
		return wrong_usage("--keep goes with --rotate");
	return 0;
}

/* Return: 0, STATUS_USAGE, or -1 when help was asked for. */
static int parse(struct wanted *wanted, int argc, char **argv)
{
	static const struct option known[] = {
		{"append", no_argument, NULL, 'a'},
		{"flush", required_argument, NULL, 'F'},
		{"framing", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"keep", required_argument, NULL, 'k'},
		{"level", required_argument, NULL, 'l'},
		{"no-compress", no_argument, NULL, 'n'},
		{"quiet", no_argument, NULL, 'q'},
		{"rotate", required_argument, NULL, 'r'},
		{"sync", no_argument, NULL, 's'},
		{"to-guest", required_argument, NULL, 'g'},
		{"to-host", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "q", known, NULL)) != -1) {
		if (option == 'h')
			return -1;
		rc = take_option(wanted, option, optarg);
	}
	return rc ? rc : check(wanted, argc, argv);
}

static int run(int argc, char **argv)
{
	struct wanted wanted = {
		.log = {.level = 1, .flush_ns = SECOND_NS},
		.run = {.argv = split_program(&argc, argv),
			.to_guest_bytes = RING_DEFAULT,
			.to_host_bytes = RING_DEFAULT,
			.ready_ns = READY_DEFAULT_NS},
	};
	int rc = parse(&wanted, argc, argv);

	if (rc < 0)
		return fputs(help, stdout) == EOF ? STATUS_FAILED : STATUS_OK;
	return rc ? rc : run_record(&wanted, argv[optind]);
}

const struct command command_record = {
	.name = "record",
	.summary = "write records with their times to a file, and pass them on",
	.help = help,
	.run = run,
};
