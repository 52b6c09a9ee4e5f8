/* SPDX-License-Identifier: MIT */
/*
 * record.c - `peal record`: what it is told, and what it tells.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "record.h"

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

static void report_as_json(const struct log_totals *totals, int status, uint64_t ns)
{
	json_t *object =
		json_pack("{si sf sI sI sI}", "status", status, "seconds", (double)ns / SECOND_NS,
			  "records", (json_int_t)totals->records, "bytes",
			  (json_int_t)totals->bytes, "stored_bytes", (json_int_t)totals->stored);

	if (object)
		json_dumpf(object, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(object);
}

static void report(const struct log_totals *totals, uint64_t ns)
{
	char count[FORMAT_MAX], bytes[FORMAT_MAX], stored[FORMAT_MAX], time[FORMAT_MAX];

	complain("%s records, %s in %s of files, %s", format_count(count, (double)totals->records),
		 format_bytes(bytes, totals->bytes), format_bytes(stored, totals->stored),
		 format_duration(time, ns));
}

static int run_record(const struct wanted *wanted, const char *path)
{
	/* Who types at a terminal would find the line in what he types. */
	bool shows = progress_is_wanted() && !isatty(STDIN_FILENO) && !wanted->json;
	struct run_options options = wanted->run;
	uint64_t begin_ns = peal_now_ns();
	struct log_totals totals;
	int status = log_create(&options.log, path, &wanted->log), end;

	if (status)
		return status;
	status = options.argv ? run_with(&options) : record_input(options.log, &options, shows);
	end = log_close(options.log, &totals);
	status = end ? end : status;
	if (wanted->json)
		report_as_json(&totals, status, peal_now_ns() - begin_ns);
	else if (shows)
		report(&totals, peal_now_ns() - begin_ns);
	return status;
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
	int rc = 0;

	switch (option) {
	case 'a':
		log->append = true;
		break;
	case 'f':
		return take_framing(text, &wanted->run.framing);
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
