/* SPDX-License-Identifier: MIT */
/*
 * main.c - the subcommands of `peal`, one a line of the table.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"

static const struct command *const commands[] = {
	&command_run,    &command_pipe,   &command_ls,     &command_stat,  &command_top,
	&command_record, &command_replay, &command_doctor, &command_bench,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int print_help(void)
{
	puts("usage: peal COMMAND [OPTION]... [ARGUMENT]...\n"
	     "\n"
	     "Runs, joins, watches and records processes that talk through Peal's rings.\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	puts("\n"
	     "`peal help COMMAND` tells more, `peal --version` the version.\n"
	     "Exit: 0 done, 1 failed, 2 usage, 3 nothing there, 4 no right, 128+N signal\n"
	     "\n"
	     "Example: peal help bench");
	return STATUS_OK;
}

static int help(int argc, char **argv)
{
	const struct command *command;

	if (argc < 1)
		return print_help();
	command = find(argv[0]);
	if (!command)
		return wrong_usage("help: no command '%s'; `peal --help` lists them", argv[0]);
	if (argc > 1)
		return wrong_usage("help: one command was expected, and there is also '%s'",
				   argv[1]);
	fputs(command->help, stdout);
	return STATUS_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
	static char name[32];

	snprintf(name, sizeof(name), "peal %s", command->name);
	command_name = name;
	argv[0] = name;
	return command->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct command *command = find(word);

	if (command)
		return run(command, argc - 1, argv + 1);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return print_help();
	if (strcmp(word, "help") == 0)
		return help(argc - 2, argv + 2);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return printf("peal %d.%d.%d\n", PEAL_VERSION_MAJOR, PEAL_VERSION_MINOR,
			      PEAL_VERSION_PATCH),
		       STATUS_OK;
	if (*word == '\0')
		return wrong_usage("a command was expected; `peal --help` lists them");
	return wrong_usage("no %s '%s'; `peal --help` lists what there is",
			   *word == '-' ? "option" : "command", word);
}

/* Were one of the standard streams closed, something of ours would get its number. What stands in for it
 * fails as a closed one does. */
static void fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_PATH | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_streams();
	/* A reader that goes away is an error of write(2), after which there may be a guest to end. */
	signal(SIGPIPE, SIG_IGN);
	return finish_output(dispatch(argc, argv));
}
