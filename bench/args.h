/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BENCH_ARGS_H
#define PEAL_BENCH_ARGS_H

#include <stdbool.h>

#define BENCH_ONLY_MAX 32

struct bench_args {
	bool quick;
	bool smoke; /* a few milliseconds of everything: is the data right? */
	bool list;
	const char *json, *html, *compare;   /* files; NULL */
	const char *benches[BENCH_ONLY_MAX]; /* of --only; none: all */
	const char *impls[BENCH_ONLY_MAX];
	unsigned int bench_count, impl_count;
};

/* Return: 0 to go on; otherwise, + 1, the exit status. */
int bench_args_parse(struct bench_args *args, int argc, char **argv);

bool bench_args_wants_bench(const struct bench_args *args, const char *bench);
bool bench_args_wants_impl(const struct bench_args *args, const char *slug);

#endif
