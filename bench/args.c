/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "plan.h"
#include "run.h"

static const char help[] =
	"usage: peal-bench [OPTION]...\n"
	"\n"
	"Measures Peal, every other ring that was built in, and the limits of this machine, between\n"
	"two processes. Results come as a table; a line on stderr tells how far it is.\n"
	"\n"
	"  --quick         5 runs of 0.1 s (otherwise 9 of 0.3 s) and fewer settings: payloads of\n"
	"                  8, 64 and 4096 B alone (batches and round trips: 8 and 64 B), no gaps of\n"
	"                  100 ms, no 1 M/s in openloop, frames by Peal alone\n"
	"  --only LIST     only these, separated by commas: names of benches, of implementations,\n"
	"                  or both (--only rtt,peal,limit-flag)\n"
	"  --list          what there is to measure, and what is not installed\n"
	"  --json FILE     write the results as JSON as well\n"
	"  --html FILE     write a report with plots as well\n"
	"  --compare FILE  compare with the JSON of an earlier run\n"
	"  --smoke         a few milliseconds of each setting: is the data right?\n"
	"  --help          this\n"
	"\n"
	"Medians with least and greatest value. Ratios are formed run by run, because machines\n"
	"drift: Peal's value by another ring's of the same run, like mode by like mode. The best ring\n"
	"is the one by which Peal's median ratio is worst. Of a latency, a ratio below 1 is better.\n";

static int complain(const char *what, const char *about)
{
	fprintf(stderr, "peal-bench: %s%s\nTry peal-bench --help.\n", what, about);
	return 2 + 1;
}

static int take_name(struct bench_args *args, const char *name)
{
	if (args->bench_count == BENCH_ONLY_MAX || args->impl_count == BENCH_ONLY_MAX)
		return complain("--only: too many names", "");
	if (bench_plan_knows(name))
		args->benches[args->bench_count++] = name;
	else if (bench_adapter_find(name))
		args->impls[args->impl_count++] = name;
	else
		return complain("--only: neither a bench nor an implementation (see --list): ",
				name);
	return 0;
}

/* Cuts @list up. */
static int take_only(struct bench_args *args, char *list)
{
	int rc = 0;

	for (char *name = strtok(list, ","); name && rc == 0; name = strtok(NULL, ","))
		rc = take_name(args, name);
	return rc;
}

static bool contains(const char *const names[], unsigned int count, const char *name)
{
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return count == 0;
}

bool bench_args_wants_bench(const struct bench_args *args, const char *bench)
{
	return contains(args->benches, args->bench_count, bench);
}

bool bench_args_wants_impl(const struct bench_args *args, const char *slug)
{
	return contains(args->impls, args->impl_count, slug);
}

int bench_args_parse(struct bench_args *args, int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"only", required_argument, NULL, 'o'},
		{"list", no_argument, NULL, 'l'},
		{"json", required_argument, NULL, 'j'},
		{"html", required_argument, NULL, 't'},
		{"smoke", no_argument, NULL, 's'},
		{"compare", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q')
			args->quick = true;
		else if (option == 's')
			args->smoke = true;
		else if (option == 'l')
			args->list = true;
		else if (option == 'j')
			args->json = optarg;
		else if (option == 't')
			args->html = optarg;
		else if (option == 'c')
			args->compare = optarg;
		else if (option == 'o')
			rc = take_only(args, optarg);
		else if (option == 'h')
			return fputs(help, stdout), 1;
		else
			return 2 + 1; /* getopt has said why */
	}
	if (rc == 0 && optind < argc)
		rc = complain("no argument was expected: ", argv[optind]);
	return rc;
}
