/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peal.h"
#include "plan.h"
#include "run.h"

static void list(const struct bench_plan *plan)
{
	puts("benches:");
	for (size_t i = 0; bench_names[i]; i++)
		printf("  %-22s %s\n", bench_names[i], bench_explanations[i]);
	puts("implementations:");
	for (size_t i = 0; bench_adapters[i]; i++)
		printf("  %-22s %s: %s\n", bench_adapters[i]->slug, bench_adapters[i]->name,
		       bench_adapters[i]->how);
	for (size_t i = 0; bench_missing[i]; i++)
		printf("%s%s%s", i ? ", " : "not built, package not installed: ", bench_missing[i],
		       bench_missing[i + 1] ? "" : "\n");
	printf("%zu settings, %u runs each, about %.0f minutes\n", plan->count, plan->rounds,
	       bench_plan_seconds(plan) / 60 + 0.5);
}

typedef int (*writer)(const struct bench_report *report, FILE *out);

static int write_file(const struct bench_report *report, const char *path, writer write)
{
	FILE *out;
	int rc;

	if (!path)
		return 0;
	out = fopen(path, "we");
	rc = out ? write(report, out) : -errno;
	if (out && fclose(out) != 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "peal-bench: %s: %s\n", path, strerror(-rc));
	return rc;
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no);
}

static int write_all(const struct bench_report *report, const struct bench_args *args)
{
	int rc = bench_write_table(report, stdout, wants_colour());

	if (rc == 0)
		rc = write_file(report, args->json, bench_write_json);
	if (rc == 0)
		rc = write_file(report, args->html, bench_write_html);
	if (rc == 0 && args->compare)
		rc = bench_compare(report, args->compare, stdout);
	return rc;
}

/* Did all that is ours go right? What peers do is reported, but no failure of this program. */
static bool all_valid(const struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->results[i].voided &&
		    report->results[i].flags & (BENCH_IS_PEAL | BENCH_IS_LIMIT))
			return false;
	return true;
}

static int measure(struct bench_plan *plan, const struct bench_args *args)
{
	struct bench_report report = {
		.results = plan->results,
		.count = plan->count,
		.missing = bench_missing,
		.quick = args->quick,
		.duration_ns = plan->duration_ns,
		.rounds = plan->rounds,
	};

	bench_machine_look(&report.machine);
	bench_run_init();
	if (plan->cpu_count < 2)
		fputs("peal-bench: only one processor: nothing that spins is measured\n", stderr);
	/* Where the data alone are of interest, company does no harm. */
	if (!args->smoke)
		bench_wait_turn();
	bench_measure(plan, &report);
	bench_report_finish(&report);
	if (write_all(&report, args) < 0)
		return 1;
	if (report.interrupted)
		return 128 + bench_signal(); /* as a shell has it */
	return all_valid(&report) ? 0 : 1;
}

/* Has all that was printed arrived? What was full when it was written is not known later, unless it still is. */
static int finish_output(int status)
{
	errno = 0;
	if (fflush(stdout) != EOF && !ferror(stdout))
		return status;
	fprintf(stderr, "peal-bench: standard output: %s\n",
		errno ? strerror(errno) : "a write failed");
	return status ? status : 1;
}

static int run(int argc, char **argv)
{
	struct bench_args args = {.quick = false};
	struct bench_plan plan;
	int rc;

	rc = bench_args_parse(&args, argc, argv);
	if (rc != 0)
		return rc - 1;
	rc = bench_plan_make(&plan, &args);
	if (rc < 0) {
		fprintf(stderr, "peal-bench: %s\n", strerror(-rc));
		return 1;
	}
	if (args.list)
		list(&plan);
	else if (plan.count == 0)
		fputs("peal-bench: nothing of that can be measured here\n", stderr);
	else
		rc = measure(&plan, &args);
	if (!args.list && plan.count == 0)
		rc = 1;
	bench_plan_free(&plan);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], BENCH_GUEST_ARG) == 0)
		return bench_peal_guest(argc, argv);
	return finish_output(run(argc, argv));
}
