/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - `peal pipe`: the command line.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "command.h"
#include "pipe.h"

/* Some milliseconds of what a fast program writes. */
#define CAPACITY_DEFAULT (UINT64_C(1) << 20)
#define CAPACITY_MIN     (UINT64_C(64) << 10)
#define CAPACITY_MAX     (UINT64_C(1) << 40)

static const char help[] =
	"usage: peal pipe [OPTION]... [COMMAND]...\n"
	"\n"
	"Runs each COMMAND by /bin/sh and joins them by rings, which hold more than pipes\n"
	"do. '@COMMAND' is a guest of Peal and gets the rings themselves. Without any:\n"
	"standard input to standard output. Exit status: the last COMMAND's.\n"
	"\n"
	"  --capacity SIZE  of each ring (1M)\n"
	"  --pipefail       exit status: that of the last COMMAND that failed\n"
	"  --size SIZE      so much will come through the first ring: for the ETA\n"
	"  --quiet          no progress, and no word about COMMANDs that failed\n"
	"  --verbose        at the end: what went through, and who held it up\n"
	"  --json           the same as JSON, on stderr, instead of any progress\n"
	"\n"
	"Example: how many lines have an x, and who is the slowest?\n"
	"  peal pipe --verbose 'zcat big.gz' 'grep x' 'wc -l'\n";

static int take_options(int argc, char **argv, struct pipe_options *options)
{
	static const struct option known[] = {
		{"capacity", required_argument, NULL, 'c'}, {"pipefail", no_argument, NULL, 'p'},
		{"size", required_argument, NULL, 's'},     {"quiet", no_argument, NULL, 'q'},
		{"verbose", no_argument, NULL, 'v'},        {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
	};
	int option, status = STATUS_OK;

	while (status == STATUS_OK && (option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (option == 'c')
			status = take_size("--capacity", optarg, CAPACITY_MIN, CAPACITY_MAX,
					   &options->capacity);
		else if (option == 'p')
			options->pipefail = true;
		else if (option == 's')
			status = take_size("--size", optarg, 1, UINT64_MAX, &options->size);
		else if (option == 'q')
			options->is_quiet = true;
		else if (option == 'v')
			options->is_verbose = true;
		else if (option == 'j')
			options->wants_json = true;
		else if (option == 'h')
			options->wants_help = true;
		else
			status = STATUS_USAGE; /* getopt has said why */
	}
	options->commands = argv + optind;
	options->count = (unsigned int)(argc - optind);
	for (unsigned int i = 0; i < options->count && status == STATUS_OK; i++)
		if (options->commands[i][strspn(options->commands[i], "@ \t\n")] == '\0')
			status = wrong_usage("command %u is empty", i + 1);
	return status;
}

/* The last stage's, or the last that failed. */
static int status_of(const struct chain *chain, int broken)
{
	int status = STATUS_OK;

	if (chain->signal)
		return STATUS_SIGNAL + chain->signal;
	for (unsigned int i = chain->stage_count; i > 0 && status == STATUS_OK; i--) {
		status = stage_status(&chain->stages[i - 1]);
		if (!chain->options->pipefail)
			break;
	}
	if (status == STATUS_OK && chain->output_gone)
		status = STATUS_OUTPUT_GONE;
	return status == STATUS_OK ? broken : status;
}

static int run(int argc, char **argv)
{
	struct pipe_options options = {.capacity = CAPACITY_DEFAULT};
	struct chain chain = {.options = &options};
	int status = take_options(argc, argv, &options);

	if (status != STATUS_OK)
		return status;
	if (options.wants_help)
		return fputs(help, stdout), STATUS_OK;
	signal(SIGCHLD, SIG_DFL); /* where it is ignored, no status is to be had */
	status = chain_start(&chain);
	if (status == STATUS_OK) {
		status = status_of(&chain, chain_run(&chain));
		chain_report(&chain, status);
		chain_free(&chain);
	} else {
		chain_adopt_orphans();
		chain_free(&chain);
		chain_end_orphans(&chain);
	}
	return status;
}

const struct command command_pipe = {
	.name = "pipe",
	.summary = "join programs by rings instead of pipes",
	.help = help,
	.run = run,
};
