/* SPDX-License-Identifier: MIT */
/*
 * replay.c - `peal replay`: what was recorded, at the pace of its times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "replay.h"
#include "run.h"

#define SECOND_NS UINT64_C(1000000000)

static const char help[] =
	"usage: peal replay [OPTION]... FILE... [-- PROGRAM [ARGUMENT]...]\n"
	"\n"
	"Sends the records that peal record wrote, one FILE after the other, with the\n"
	"pauses that were between them: to stdout, or to PROGRAM as a guest (peal run),\n"
	"whose answers go to stdout. A torn end is left out, and told.\n"
	"\n"
	"  --speed N|max           N times as fast, such as 10 or 0.5; max: no pauses\n"
	"  --framing lines|length  on stdout: a line each, or its length before each: 4\n"
	"                          bytes, little-endian (lines)\n"
	"  --to-guest SIZE  --to-host SIZE  of PROGRAM's rings (1M each)\n"
	"  --info                  instead, tell what is in each FILE; --json: as JSON\n"
	"\n"
	"There is no pause where one recorder went on behind another.\n"
	"\n"
	"Example: ten times as fast; what was rotated last comes last\n"
	"  peal replay --speed 10 log.peal.1 log.peal | ./consumer\n";

struct replay {
	struct tape tape;
	struct run_options run;
	struct stream output;
	int stop_fd, signal, status;
	bool info, json, shows;
	uint64_t begin_ns;
};

static void show(const struct replay *replay)
{
	double seconds = (double)(peal_now_ns() - replay->begin_ns) / SECOND_NS;
	char count[FORMAT_MAX], bytes[FORMAT_MAX], rate[FORMAT_MAX];

	if (replay->shows && progress_is_due())
		progress("%s records  %s  %s", format_count(count, (double)replay->output.records),
			 format_bytes(bytes, replay->output.bytes),
			 format_rate(rate, (double)replay->output.bytes / seconds));
}

/* All that is due, as far as there is room. */
static void take_records(struct replay *replay)
{
	struct tape *tape = &replay->tape;
	uint64_t now = 0;

	while (stream_has_room(&replay->output) && tape_next(tape)) {
		if (tape->due_ns > now)
			now = peal_now_ns();
		if (tape->due_ns > now)
			break;
		stream_add(&replay->output, tape->record.data, tape->record.size, 0);
		tape_take(tape);
	}
}

static void write_output(struct replay *replay)
{
	int rc = 0;

	if (!stream_is_empty(&replay->output)) {
		/* They may be the same terminal. */
		if (replay->shows)
			progress_end();
		rc = stream_flush(&replay->output);
	}
	if (rc < 0)
		replay->status = output_error(-rc);
}

/* Sleeps until a record is due, or what is due can be written. */
static void wait_for_more(struct replay *replay)
{
	bool is_full = !stream_is_empty(&replay->output);
	struct pollfd fds[] = {
		{.fd = replay->stop_fd, .events = POLLIN},
		{.fd = replay->output.fd, .events = is_full ? POLLOUT : 0},
	};
	uint64_t now = peal_now_ns(), due = replay->tape.due_ns, ns = SECOND_NS / 10;

	if (is_full && !replay->shows)
		ns = PEAL_FOREVER;
	else if (!is_full && (!replay->shows || due < now + ns))
		ns = replay->tape.has_record && due > now ? due - now : 0;
	if (poll_for(fds, 2, ns) <= 0)
		return;
	if (fds[0].revents)
		replay->signal = stop_signal(replay->stop_fd);
	if (fds[1].revents & POLLERR && !replay->output.is_file)
		replay->status = STATUS_OUTPUT_GONE;
	if (fds[1].revents & POLLNVAL)
		replay->status = output_error(EBADF);
}

static bool is_over(const struct replay *replay)
{
	return replay->signal || replay->status != STATUS_OK ||
	       (replay->tape.at_end && stream_is_empty(&replay->output));
}

static int replay_to_output(struct replay *replay)
{
	int rc = stream_open(&replay->output, STDOUT_FILENO, replay->run.framing, LOG_RECORD_MAX);

	replay->stop_fd = stop_open();
	if (rc < 0 || replay->stop_fd < 0)
		return complain("out of memory or descriptors"), STATUS_FAILED;
	replay->shows = progress_is_wanted();
	replay->begin_ns = peal_now_ns();
	while (!is_over(replay)) {
		take_records(replay);
		write_output(replay);
		show(replay);
		wait_for_more(replay);
	}
	stream_close(&replay->output);
	if (replay->status == STATUS_OK && replay->signal)
		return STATUS_SIGNAL + replay->signal;
	return replay->status;
}

static int run_replay(struct replay *replay)
{
	int status;

	replay->run.tape = &replay->tape;
	status = replay->run.argv ? run_with(&replay->run) : replay_to_output(replay);
	tape_close(&replay->tape);
	return status ? status : replay->tape.status;
}

/* --- The command line ---------------------------------------------------------------------------- */

static int take_speed(const char *text, double *speed)
{
	char *end;

	if (strcmp(text, "max") == 0) {
		*speed = 0;
		return 0;
	}
	*speed = strtod(text, &end);
	if (end == text || *end != '\0' || !(*speed >= 1e-6 && *speed <= 1e9))
		return wrong_usage("--speed: max or a number such as 10 or 0.5 was expected, not "
				   "'%s'",
				   text);
	return 0;
}

/* Return: 0 or STATUS_USAGE. */
static int take_option(struct replay *replay, int option, const char *text)
{
	switch (option) {
	case 'f':
		return take_framing(text, &replay->run.framing);
	case 'g':
		return take_size("--to-guest", text, RING_MIN, RING_MAX,
				 &replay->run.to_guest_bytes);
	case 'i':
		replay->info = true;
		return 0;
	case 'j':
		replay->json = true;
		return 0;
	case 'o':
		return take_size("--to-host", text, RING_MIN, RING_MAX, &replay->run.to_host_bytes);
	case 's':
		return take_speed(text, &replay->tape.speed);
	default:
		return STATUS_USAGE; /* getopt has said why */
	}
}

/* Return: 0, STATUS_USAGE, or -1 when help was asked for. */
static int parse(struct replay *replay, int argc, char **argv)
{
	static const struct option known[] = {
		{"framing", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{"info", no_argument, NULL, 'i'},
		{"json", no_argument, NULL, 'j'},
		{"speed", required_argument, NULL, 's'},
		{"to-guest", required_argument, NULL, 'g'},
		{"to-host", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'h')
			return -1;
		rc = take_option(replay, option, optarg);
	}
	if (rc == 0 && optind == argc)
		rc = wrong_usage("a FILE was expected");
	if (rc == 0 && replay->run.argv && !replay->run.argv[0])
		rc = wrong_usage("a program to run was expected behind --");
	replay->tape.paths = argv + optind;
	return rc;
}

static int run(int argc, char **argv)
{
	struct replay replay = {
		.tape.speed = 1,
		.run = {.argv = split_program(&argc, argv),
			.to_guest_bytes = RING_DEFAULT,
			.to_host_bytes = RING_DEFAULT,
			.ready_ns = READY_DEFAULT_NS},
	};
	int rc = parse(&replay, argc, argv);

	if (rc < 0)
		return fputs(help, stdout) == EOF ? STATUS_FAILED : STATUS_OK;
	if (rc == 0 && (replay.info || replay.json))
		return replay_info(replay.tape.paths, replay.json);
	return rc ? rc : run_replay(&replay);
}

const struct command command_replay = {
	.name = "replay",
	.summary = "send what was recorded, at its pace or faster",
	.help = help,
	.run = run,
};
