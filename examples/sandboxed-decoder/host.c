/* SPDX-License-Identifier: MIT */
/*
 * host.c - decodes images that strangers made, in guests that can do nothing else.
 *
 *      file ──read(2)──▶ ring ──▶ libpng, libjpeg-turbo in a cage ──▶ ring ──▶ check sum, thumbnail, PPM
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "host.h"

static const char usage[] =
	"usage: " PROGRAM " [OPTION...] FILE...\n"
	"\n"
	"Decodes PNG and JPEG files in sandboxed guests. For each file, in order: the verdict, the\n"
	"size, the CRC-32 of its pixels (red, green, blue, a byte each), the name.\n"
	"\n"
	"  --guests N       so many at once (as many as there are processors)\n"
	"  --deadline MS    for each file (10000)\n"
	"  --output DIR     write NAME.ppm there for each NAME; never overwrites\n"
	"  --bench          how fast these files are decoded: by guests on rings, by guests on\n"
	"                   pipes, and in the threads of one process\n"
	"  --misbehave      let files of the text 'misbehave WORD' take a guest over; for tests\n"
	"  --help           this text\n"
	"\n"
	"Exit status: 0 if all files were decoded, 1 if not, 2 for a wrong command line.\n";

char *beside_us(const char *program)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length < 0 ? 0 : length] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dirname(self), program);
	return path;
}

static unsigned int processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set) < GUESTS_MAX ? (unsigned int)CPU_COUNT(&set) : GUESTS_MAX;
}

/* 0: no number from 1 to @max. */
static unsigned int number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > max)
		return 0;
	return (unsigned int)value;
}

static bool parse_one(struct options *options, int option, const char *text)
{
	unsigned int value;

	switch (option) {
	case 'g':
		options->guests = number(text, GUESTS_MAX);
		if (options->guests == 0)
			complain("--guests: '%s' is not a number from 1 to %d", text, GUESTS_MAX);
		return options->guests > 0;
	case 'd':
		value = number(text, 86400000);
		options->deadline_ns = UINT64_C(1000000) * value;
		if (value == 0)
			complain("--deadline: '%s' is not a number of milliseconds", text);
		return value > 0;
	case 'o':
		options->directory = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (options->directory < 0)
			complain("--output: %s: %s", text, strerror(errno));
		return options->directory >= 0;
	case 'b':
		options->bench = true;
		return true;
	case 'm':
		options->misbehave = true;
		return true;
	}
	fputs(usage, stderr);
	return false;
}

static bool parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"guests", required_argument, NULL, 'g'},
		{"deadline", required_argument, NULL, 'd'},
		{"output", required_argument, NULL, 'o'},
		{"bench", no_argument, NULL, 'b'},
		{"misbehave", no_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (option == 'h')
			exit(fputs(usage, stdout) < 0 || fflush(stdout) != 0);
		if (!parse_one(options, option, optarg))
			return false;
	}
	if (optind == argc)
		fputs(usage, stderr);
	return optind < argc;
}

/* True if all were decoded. */
static bool decode(const struct options *options, struct file *files, size_t count)
{
	struct pool pool;
	bool good = pool_open(&pool, options) == 0;

	if (!good)
		return false;
	good = pool_run(&pool, files, count) == 0;
	if (pool.longest_lost_ns > 0)
		complain("%u guests were lost; the next was ready within %.1f ms", pool.lost,
			 (double)pool.longest_lost_ns / 1e6);
	pool_close(&pool);
	for (size_t i = 0; i < count; i++)
		good = good && files[i].verdict == DECODED;
	return good;
}

int main(int argc, char **argv)
{
	struct options options = {
		.guests = processors(),
		.deadline_ns = UINT64_C(10000000000),
		.directory = -1,
		.thumbnails = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
	};
	struct file *files;
	size_t count;
	bool good;

	if (!parse(&options, argc, argv))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0); /* what is known is told at once, also through a pipe */
	count = (size_t)(argc - optind);
	files = calloc(count, sizeof(*files));
	if (!files)
		return complain("%s", strerror(ENOMEM)), 1;
	for (size_t i = 0; i < count; i++)
		files[i].name = argv[optind + (int)i];
	good = options.bench ? bench(&options, files, count) : decode(&options, files, count);
	for (size_t i = 0; i < count; i++)
		free(files[i].thumbnail);
	free(files);
	if (options.directory >= 0)
		close(options.directory);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain("standard output: %s", strerror(errno)), 1;
	return good ? 0 : 1;
}
