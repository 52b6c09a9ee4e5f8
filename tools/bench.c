/* SPDX-License-Identifier: MIT */
/*
 * bench.c - `peal bench`: becomes peal-bench, which is installed where no PATH leads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static const char help[] =
	"usage: peal bench [OPTION]...\n"
	"\n"
	"Measures Peal, the other rings that were built in, and the limits of this\n"
	"machine, between two processes. Becomes peal-bench: these are its options.\n"
	"\n"
	"  --quick         fewer and shorter runs\n"
	"  --only LIST     names of benches, of implementations, or both\n"
	"  --list          what there is to measure\n"
	"  --json FILE     write the results as JSON as well\n"
	"  --html FILE     write a report with plots as well\n"
	"  --compare FILE  compare with the JSON of an earlier run\n"
	"  --help          what peal-bench says of itself\n"
	"\n"
	"Example: how long is a round trip here?\n"
	"  peal bench --quick --only rtt,peal\n";

/* The same places whether it was installed, installed into a directory of a packager's, or only built:
 * those from the directory of this program are tried first. */
static const char *const places[] = {
	"../bench/peal-bench", /* in the build tree */
	"../" PEAL_LIBEXEC "/peal-bench",
	PEAL_PREFIX "/" PEAL_LIBEXEC "/peal-bench",
};

/* Return: 0 with the program's @path, or STATUS_NO_PROGRAM after a complaint. */
static int find_bench(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length < 0 ? 0 : length] = '\0';
	dirname(self);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (*places[i] == '/')
			snprintf(path, size, "%s", places[i]);
		else
			snprintf(path, size, "%s/%s", self, places[i]);
		if (access(path, F_OK) == 0)
			return 0;
	}
	complain("there is no %s: this peal was built without its benchmarks; meson configure "
		 "-Dbench=enabled",
		 path);
	return STATUS_NO_PROGRAM;
}

static int run(int argc, char **argv)
{
	char path[2 * PATH_MAX];
	int rc = find_bench(path, sizeof(path));

	(void)argc;
	if (rc != 0)
		return rc;
	/* As it would be without us. */
	signal(SIGPIPE, SIG_DFL);
	execv(path, argv);
	complain("%s: %s", path, strerror(errno));
	return STATUS_NO_EXEC;
}

const struct command command_bench = {
	.name = "bench",
	.summary = "measure rings, bells and the limits of this machine",
	.help = help,
	.run = run,
};
