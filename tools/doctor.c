/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - `peal doctor`: what this machine and container allow, and what Peal does without.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "doctor.h"

/* The table: two columns of these widths, then text that is broken here. */
#define HEALTH_WIDTH 10
#define NAME_WIDTH   12
#define TEXT_WIDTH   57

static const char help[] =
	"usage: peal doctor [--json]\n"
	"\n"
	"Tries what Peal needs of this machine and container, in the limits and under the\n"
	"filters of whoever runs it: as the service's user, inside of its container.\n"
	"\n"
	"  ok        as it should be\n"
	"  fallback  Peal works without it; the line below says how, and what that costs\n"
	"  missing   Peal can not work, or not in the way that the line below names\n"
	"\n"
	"  --json    an object a line: check, health, found, effect, page\n"
	"  --help    this\n"
	"\n"
	"Exit status: 0 if a channel works here, 1 if it does not.\n"
	"\n"
	"Example: what is not as it should be?\n"
	"  peal doctor | grep -v ^ok\n";

static const char *const health_names[] = {"ok", "fallback", "missing"};
static const enum colour health_colours[] = {COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED};

/* Words, as many as fit; the lines after the first begin in the column where the first does. */
static void print_text(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > TEXT_WIDTH) {
			printf("\n%*s", HEALTH_WIDTH + NAME_WIDTH, "");
			column = 0;
		}
		column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)word, text);
		text += word + (text[word] == ' ');
	}
	putchar('\n');
}

static void print_row(const struct probe *probe, const struct finding *finding, bool coloured)
{
	char effect[sizeof(finding->effect) + 64];

	printf("%s%-*s%s%-*s", colour(coloured, health_colours[finding->health]), HEALTH_WIDTH,
	       health_names[finding->health], colour(coloured, COLOUR_NONE), NAME_WIDTH,
	       probe->name);
	print_text(finding->found);
	if (*finding->effect == '\0')
		return;
	snprintf(effect, sizeof(effect), "-> %s%s%s%s", finding->effect, finding->page ? " (" : "",
		 finding->page ? finding->page : "", finding->page ? ")" : "");
	printf("%*s", HEALTH_WIDTH + NAME_WIDTH, "");
	print_text(effect);
}

static int print_object(const struct probe *probe, const struct finding *finding)
{
	return print_json(json_pack("{ss ss ss ss ss*}", "check", probe->name, "health",
				    health_names[finding->health], "found", finding->found,
				    "effect", finding->effect, "page",
				    *finding->effect ? finding->page : NULL));
}

static void print_machine(void)
{
	struct utsname name;

	if (uname(&name) == 0)
		printf("Peal %d.%d.%d on %s %s %s\n\n", PEAL_VERSION_MAJOR, PEAL_VERSION_MINOR,
		       PEAL_VERSION_PATCH, name.sysname, name.release, name.machine);
}

static int examine(bool json)
{
	unsigned int counts[3] = {0};
	bool coloured = wants_colour(STDOUT_FILENO), works = false;
	int status = STATUS_OK;

	if (!json)
		print_machine();
	for (unsigned int i = 0; i < doctor_probe_count && status == STATUS_OK; i++) {
		struct finding finding = {.health = HEALTH_OK};

		doctor_probes[i].look(&finding);
		counts[finding.health]++;
		if (i == 0) /* the channel: all that is required, at once */
			works = finding.health == HEALTH_OK;
		if (json)
			status = print_object(&doctor_probes[i], &finding);
		else
			print_row(&doctor_probes[i], &finding, coloured);
	}
	if (!json)
		printf("\nPeal %s here: %u ok, %u with a fallback, %u missing.\n",
		       works ? "works" : "does not work", counts[HEALTH_OK],
		       counts[HEALTH_FALLBACK], counts[HEALTH_MISSING]);
	return status != STATUS_OK ? status : works ? STATUS_OK : STATUS_FAILED;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool json = false;
	int option;

	if (argc > 1 && strcmp(argv[1], DOCTOR_GUEST_ARG) == 0)
		return doctor_guest(argc, argv);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(help, stdout), STATUS_OK;
		if (option != 'j')
			return STATUS_USAGE; /* getopt has said why */
		json = true;
	}
	if (optind < argc)
		return wrong_usage("no argument was expected: '%s'", argv[optind]);
	return examine(json);
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "what this machine and container allow, and what that costs",
	.help = help,
	.run = run,
};
