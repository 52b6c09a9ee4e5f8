/* SPDX-License-Identifier: MIT */
/*
 * run.c - `peal run`: a guest of the command line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

/* Before a guest is started again: doubled each time, from the first to the last. */
#define BACK_OFF_FIRST_NS UINT64_C(100000000)
#define BACK_OFF_LAST_NS  UINT64_C(10000000000)

static const char help[] =
	"usage: peal run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"\n"
	"Starts PROGRAM as a guest. Each line of stdin is a record to it, each record of\n"
	"its is a line on stdout. The end of stdin is a hang-up: what it still sends\n"
	"comes out. With eventfds it is an empty record of type 65535 instead.\n"
	"\n"
	"  --framing lines|length    length: 4 bytes, little-endian, before each record\n"
	"  --to-guest SIZE  --to-host SIZE       of the rings (1M each)\n"
	"  --doorbell socket|eventfd  eventfd for a guest that is trusted (socket)\n"
	"  --rlimit NAME=SOFT[:HARD]  such as as=256M, cpu=10, core=0; may repeat\n"
	"  --no-new-privs            it and its children can gain none by exec\n"
	"  --seccomp compute|FILE    no new files, sockets, processes; or a BPF program\n"
	"  --restart N     after a failure, N times, in 0.1 s, 0.2 s ... 10 s. What is in\n"
	"                  the ring, or not answered yet, is lost and is not sent again\n"
	"  --ready TIME    so long it may take to attach (10s)\n"
	"  --json          a report at the end, on stderr\n"
	"\n"
	"Exit status: its own; 128+N if signal N ended it; 126, 127 if it did not start.\n"
	"\n"
	"Example: zcat log.gz | peal run --rlimit as=1G --seccomp compute ./filter\n";

/* --- Options ------------------------------------------------------------------------------------- */

/* As in ulimit(1) of shells, without RLIMIT_ and in lower case. */
static const struct {
	const char *name;
	int resource;
} resources[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"memlock", RLIMIT_MEMLOCK},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rtprio", RLIMIT_RTPRIO},
	{"stack", RLIMIT_STACK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"sigpending", RLIMIT_SIGPENDING},
};

static bool parse_limit(const char *text, rlim_t *limit)
{
	uint64_t value;

	if (strcmp(text, "unlimited") == 0)
		value = RLIM_INFINITY;
	else if (!parse_size(text, &value))
		return false;
	*limit = value;
	return true;
}

static int find_resource(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (strlen(resources[i].name) == length &&
		    strncmp(resources[i].name, name, length) == 0)
			return resources[i].resource;
	return -1;
}

static int take_rlimit(struct run_options *options, const char *text)
{
	struct peal_rlimit *limit = &options->rlimits[options->rlimit_count];
	size_t length = strcspn(text, "=");
	char soft[64], *hard;

	if (options->rlimit_count == RUN_RLIMITS_MAX)
		return wrong_usage("--rlimit: more than %d of them", RUN_RLIMITS_MAX);
	limit->resource = find_resource(text, length);
	if (limit->resource < 0)
		return wrong_usage("--rlimit: a name such as as, cpu, core, nofile or stack was "
				   "expected, not '%.*s'",
				   (int)length, text);
	snprintf(soft, sizeof(soft), "%s", text[length] == '=' ? text + length + 1 : "");
	hard = strchr(soft, ':');
	if (hard)
		*hard++ = '\0';
	if (!parse_limit(soft, &limit->limit.rlim_cur) ||
	    !parse_limit(hard ? hard : soft, &limit->limit.rlim_max))
		return wrong_usage("--rlimit: NAME=SOFT[:HARD] was expected, with sizes or "
				   "'unlimited', not '%s'",
				   text);
	if (limit->limit.rlim_cur > limit->limit.rlim_max)
		return wrong_usage("--rlimit: the soft limit is above the hard one in '%s'", text);
	options->rlimit_count++;
	return 0;
}

static int take_option(struct run_options *options, int option, const char *text)
{
	uint32_t word = 0;
	int rc;

	switch (option) {
	case 'f':
		return take_framing(text, &options->framing);
	case 'g':
		return take_size("--to-guest", text, RING_MIN, RING_MAX, &options->to_guest_bytes);
	case 'o':
		return take_size("--to-host", text, RING_MIN, RING_MAX, &options->to_host_bytes);
	case 'd':
		rc = take_word("--doorbell", text, "socket", "eventfd", &word);
		options->doorbell = word ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET;
		return rc;
	case 'r':
		return take_rlimit(options, text);
	case 'p':
		options->spawn_flags |= PEAL_SPAWN_NO_NEW_PRIVS;
		return 0;
	case 's':
		/* Without privileges a filter is for those only who can not gain any. */
		options->spawn_flags |= PEAL_SPAWN_NO_NEW_PRIVS;
		return filter_load(&options->filter, text);
	case 'R':
		return take_number("--restart", text, 0, UINT32_MAX, &options->restarts);
	case 't':
		return take_duration("--ready", text, &options->ready_ns);
	case 'j':
		options->json = true;
		return 0;
	default:
		return STATUS_USAGE; /* getopt has said why */
	}
}

/* Return: 0, an enum status, or -1 when help was asked for. */
static int parse(struct run_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"framing", required_argument, NULL, 'f'},
		{"to-guest", required_argument, NULL, 'g'},
		{"to-host", required_argument, NULL, 'o'},
		{"doorbell", required_argument, NULL, 'd'},
		{"rlimit", required_argument, NULL, 'r'},
		{"no-new-privs", no_argument, NULL, 'p'},
		{"seccomp", required_argument, NULL, 's'},
		{"restart", required_argument, NULL, 'R'},
		{"ready", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, rc = 0;

	/* What stands behind the program is the program's. */
	while (rc == 0 && (option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		if (option == 'h')
			return -1;
		rc = take_option(options, option, optarg);
	}
	if (rc == 0 && optind == argc)
		rc = wrong_usage("a program to run was expected");
	options->argv = argv + optind;
	return rc;
}

/* --- Running ------------------------------------------------------------------------------------- */

/* The guest's, as a shell has it. */
static int status_of(const struct run *run)
{
	if (run->status.state == PEAL_CHILD_KILLED)
		return STATUS_SIGNAL + run->status.value;
	if (run->status.value == 0 && !run->has_attached)
		return STATUS_FAILED;
	return run->status.value;
}

/* Return: the signal that ended the pause, or 0. */
static int pause_for(int stop_fd, uint64_t ns)
{
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

	poll(&stop, 1, (int)(ns / 1000000));
	return stop_signal(stop_fd);
}

/* Guests, one after the other. Return: an enum status. */
static int run_guests(struct run *run, char *end, size_t end_size)
{
	const struct run_options *options = run->options;
	uint64_t pause_ns = BACK_OFF_FIRST_NS;
	char text[FORMAT_MAX];

	for (uint64_t left = options->restarts;; left--) {
		int status = run_guest(run, end, end_size);

		if (status >= 0)
			return status;
		if (!run->has_attached)
			strncat(end, " before it attached", end_size - strlen(end) - 1);
		status = status_of(run);
		/* With nothing to do, another one would only hide the failure. */
		if (status == STATUS_OK || left == 0 || run_input_is_over(run))
			return status;
		complain("%s; starting it again in %s (%llu left)", end,
			 format_duration(text, pause_ns), (unsigned long long)left - 1);
		run->signal = pause_for(run->stop_fd, pause_ns);
		if (run->signal)
			return STATUS_SIGNAL + run->signal;
		pause_ns = pause_ns * 2 < BACK_OFF_LAST_NS ? pause_ns * 2 : BACK_OFF_LAST_NS;
	}
}

/* No record is larger than its ring, and those are rounded up to a power of two. */
static size_t largest_record(uint64_t ring_bytes)
{
	uint64_t size = RING_MIN;

	while (size < ring_bytes)
		size *= 2;
	return size;
}

int run_with(const struct run_options *options)
{
	struct run run = {.options = options};
	char end[512] = "";
	int status;

	run.show.begin_ns = run.show.last_ns = run.show.taken_ns = peal_now_ns();
	/* Who types at a terminal would find the line in what he types. */
	run.show.wanted =
		progress_is_wanted() && (options->tape || !isatty(STDIN_FILENO)) && !options->json;
	run.stop_fd = stop_open();
	if (run.stop_fd < 0)
		return complain("signalfd: %s", strerror(-run.stop_fd)), STATUS_FAILED;
	if (stream_open(&run.input, STDIN_FILENO, options->framing,
			largest_record(options->to_guest_bytes)) < 0 ||
	    stream_open(&run.output, STDOUT_FILENO, options->framing,
			largest_record(options->to_host_bytes)) < 0) {
		complain("no memory for records of rings so large");
		status = STATUS_FAILED;
	} else {
		run.input.tape = options->tape;
		run.output.log = options->log;
		run.output.quiet = options->quiet;
		status = run_guests(&run, end, sizeof(end));
		if (status == STATUS_OK && run.bad_input)
			status = STATUS_FAILED;
		show_report(&run, end, status);
	}
	stream_close(&run.input);
	stream_close(&run.output);
	return status;
}

static int run(int argc, char **argv)
{
	struct run_options options = {
		.to_guest_bytes = RING_DEFAULT,
		.to_host_bytes = RING_DEFAULT,
		.ready_ns = READY_DEFAULT_NS,
	};
	int rc = parse(&options, argc, argv);

	if (rc == 0)
		rc = run_with(&options);
	else if (rc == -1)
		rc = fputs(help, stdout) == EOF ? STATUS_FAILED : STATUS_OK;
	return rc;
}

const struct command command_run = {
	.name = "run",
	.summary = "start a guest; stdin goes to it, what it says to stdout",
	.help = help,
	.run = run,
};
