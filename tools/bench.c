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

/* In the build tree: ../bench beside the directory of this program. */
static bool find_built(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return false;
	self[length] = '\0';
	snprintf(path, size, "%s/../bench/peal-bench", dirname(self));
	return access(path, X_OK) == 0;
}

static int run(int argc, char **argv)
{
	char path[PATH_MAX + 32];

	(void)argc;
	if (!find_built(path, sizeof(path)))
		snprintf(path, sizeof(path), "%s", PEAL_BENCH);
	signal(SIGPIPE, SIG_DFL);
	execv(path, argv);
	if (errno == ENOENT)
		complain("%s is not there: this peal was built without its benchmarks "
			 "(-Dbench=enabled builds them)",
			 path);
	else
		complain("%s: %s", path, strerror(errno));
	return errno == ENOENT ? STATUS_NO_PROGRAM : STATUS_NO_EXEC;
}

const struct command command_bench = {
	.name = "bench",
	.summary = "measure rings, bells and the limits of this machine",
	.help = help,
	.run = run,
};
