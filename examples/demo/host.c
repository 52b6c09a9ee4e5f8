/* SPDX-License-Identifier: MIT */
/*
 * host.c - streams files through a plugin process and shows what it cost.
 *
 *      file ──read(2)──▶ memory of the ring ──▶ the plugin counts in place
 *      table ◀──────────── the other ring ◀──── one record of counts a file
 *
 * Then it does so again with a plugin that kills itself, to show what a user would read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

/* The crash is shown with a file of this size at least. */
#define CRASH_SIZE_MIN (16 * MIB)

/* --- What the user reads ---------------------------------------------------------------------- */

/* The width of wc's columns: all digits of the total size, and 7 if there are sizes that it can not
 * know beforehand. */
static int column_width(const struct inputs *inputs)
{
	int width = snprintf(NULL, 0, "%" PRIu64, inputs_size(inputs));

	for (size_t i = 0; i < inputs->count; i++) {
		if (!inputs->list[i].regular && width < 7)
			width = 7;
	}
	return width;
}

static void print_row(const char *crc, int width, const struct demo_counts *counts,
		      const char *name)
{
	printf("%8s  %*" PRIu64 " %*" PRIu64 " %*" PRIu64 " %s\n", crc, width, counts->lines, width,
	       counts->words, width, counts->bytes, name);
}

static void print_table(const struct job *job)
{
	const struct inputs *inputs = job->inputs;
	struct demo_counts total = {0};
	int width = column_width(inputs);

	printf("A plugin (pid %d) counted this in a ring of %d MiB; it opened no file.\n\n",
	       (int)peal_child_pid(job->child), (int)(RING_SIZE / MIB));
	printf("CRC-32    what `LC_ALL=C wc` prints: lines, words, bytes, name\n");
	for (size_t i = 0; i < inputs->count; i++) {
		const struct input *input = &inputs->list[i];
		char crc[16];

		if (!input->answered)
			continue;
		snprintf(crc, sizeof(crc), "%08" PRIx32, input->counts.crc32);
		print_row(crc, width, &input->counts, input->name);
		total.lines += input->counts.lines;
		total.words += input->counts.words;
		total.bytes += input->counts.bytes;
	}
	if (inputs->count > 1)
		print_row("", width, &total, "total");
}

static void print_stats(const char *side, const struct peal_ring_stats *stats)
{
	printf("%-28s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", side, stats->sleeps,
	       stats->wakes, stats->spurious);
}

static void print_figures(const struct job *job)
{
	double seconds = (double)(job->end_ns - job->begin_ns) / 1e9;
	struct peal_side_stats own, peer;

	peal_channel_stats(job->channel, &own, &peer);
	printf("\n%" PRIu64 " bytes in %.3f s: %.2f GB/s; records: %" PRIu64 ", wakes: %" PRIu64
	       "\n",
	       job->sent_bytes, seconds, (double)job->sent_bytes / 1e9 / seconds,
	       job->records + job->answered,
	       own.tx.wakes + own.rx.wakes + peer.tx.wakes + peer.rx.wakes);
	printf("\n%-28s %10s %10s %10s\n", "", "slept", "rang", "spurious");
	print_stats("host, sending data", &own.tx);
	print_stats("plugin, receiving data", &peer.rx);
	print_stats("plugin, sending counts", &peer.tx);
	print_stats("host, receiving counts", &own.rx);
}

/* --- The two acts ----------------------------------------------------------------------------- */

/* Count, and print the table. 0 or a negative errno: -EPIPE and others when the plugin fails, -EIO
 * when it did not, but not all files could be read. */
static int show_counting(struct inputs *inputs)
{
	char text[PATH_MAX + 200];
	struct job job;
	int rc = job_start(&job, inputs, NULL);

	if (rc == 0) {
		rc = job_run(&job);
		if (rc < 0) {
			job_explain(&job, rc, text, sizeof(text));
			complain("%s", text);
		}
	}
	if (rc == 0) {
		print_table(&job);
		print_figures(&job);
		rc = job_finish(&job);
	}
	if (rc == 0 && !job.all_read)
		rc = -EIO;
	job_free(&job);
	return rc;
}

/* One file that is large enough to die in the middle of. */
static int choose_crash_input(struct inputs *chosen, const struct inputs *inputs)
{
	const struct input *largest = NULL;

	for (size_t i = 0; i < inputs->count; i++) {
		const struct input *input = &inputs->list[i];

		/* Standard input has been used up. */
		if (!input->regular || !input->answered || strcmp(input->name, "-") == 0)
			continue;
		if (!largest || input->size > largest->size)
			largest = input;
	}
	if (!largest || largest->size < CRASH_SIZE_MIN)
		return inputs_generated(chosen, CRASH_SIZE_MIN);
	return input_again(chosen, largest);
}

/* Was the plugin killed, as it had been told, and noticed? */
static bool died_on_purpose(const struct job *job, int rc)
{
	struct peal_child_status status;

	return rc == -EPIPE && peal_child_wait(job->child, PEAL_TRY, &status) == 0 &&
	       status.state == PEAL_CHILD_KILLED && status.value == SIGKILL;
}

static bool show_crash(const struct inputs *inputs)
{
	char text[PATH_MAX + 200], argument[64];
	struct inputs input = {0};
	struct job job = {0};
	bool good = false;
	int rc = choose_crash_input(&input, inputs);

	if (rc < 0) {
		complain("no file to crash on: %s", strerror(-rc));
		return false;
	}
	snprintf(argument, sizeof(argument), DEMO_DIE_AFTER "%" PRIu64, inputs_size(&input) / 2);
	rc = job_start(&job, &input, argument);
	if (rc == 0) {
		rc = job_run(&job);
		if (rc == 0)
			complain("the plugin should have killed itself, but counted on");
		else
			job_explain(&job, rc, text, sizeof(text));
		good = died_on_purpose(&job, rc);
		if (good)
			printf("\nAnother plugin kills itself half-way. Its user would read:\n\n"
			       "    " PROGRAM ": %s\n\n"
			       "This was on purpose: the host got -EPIPE and lives on.\n",
			       text);
		else if (rc < 0)
			complain("%s", text);
	}
	job_free(&job);
	inputs_free(&input);
	return good;
}

/* --- The command line ------------------------------------------------------------------------- */

static const char usage[] =
	"usage: " PROGRAM " [--no-crash] [FILE...]\n"
	"       " PROGRAM " --generate\n"
	"\n"
	"Streams files through a plugin process that counts their lines, words and bytes as\n"
	"`LC_ALL=C wc` does, with a CRC-32. Then shows what happens when a plugin dies.\n"
	"\n"
	"Without FILE: a system library, and 256 MiB of generated text. FILE - is standard input.\n"
	"\n"
	"  --no-crash   leave the second part out\n"
	"  --generate   write the generated text to standard output, for wc\n"
	"  --help       this text\n"
	"\n"
	"Exit status: 0 if all went well, the crash included; 1 if not; 2 for a wrong command line.\n";

static int write_generated(void)
{
	int rc = generate(STDOUT_FILENO, GENERATED_SIZE);

	if (rc < 0)
		complain("generating: %s", strerror(-rc));
	return rc < 0;
}

static int run(char **names, size_t count, bool crash)
{
	struct inputs inputs = {0};
	int rc = count > 0 ? inputs_named(&inputs, names, count) : inputs_default(&inputs);
	bool good = false;

	if (rc < 0) {
		complain("preparing the files: %s", strerror(-rc));
	} else {
		rc = show_counting(&inputs);
		good = rc == 0;
		/* No use in showing a crash when even without one it does not work. */
		if (crash && (rc == 0 || rc == -EIO))
			good = show_crash(&inputs) && good;
	}
	inputs_free(&inputs);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("standard output: %s", strerror(errno));
		good = false;
	}
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"no-crash", no_argument, NULL, 'n'},
		{"generate", no_argument, NULL, 'g'},
		{0},
	};
	bool crash = true;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			return fflush(stdout) != 0;
		case 'n':
			crash = false;
			break;
		case 'g':
			return write_generated();
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	return run(argv + optind, (size_t)(argc - optind), crash);
}
