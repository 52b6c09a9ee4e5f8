/* SPDX-License-Identifier: MIT */
/*
 * ls.c - `peal ls`: the live channels, a line for each ring.
 */
#include <getopt.h>
#include <unistd.h>

#include "command.h"
#include "look.h"

static const char help[] =
	"usage: peal ls [OPTION]...\n"
	"\n"
	"Lists the live channels of all processes that you may look at, a line for each\n"
	"ring: who writes, who reads, how full it is, how much has passed and how fast.\n"
	"Looks twice, reads only, and needs no help from the processes.\n"
	"\n"
	"  -i, --interval TIME  between the two looks (200ms); 0: one look, and no rate\n"
	"  -j, --json           an object for each channel, one a line\n"
	"  -h, --help           this\n"
	"\n"
	"Exit: 0 listed, 1 failed, 3 no channel, 4 there are some that you may not read\n"
	"\n"
	"Example: which process has not read for a second or more?\n"
	"  peal ls --json | jq -r '.to_guest.complaint, .to_host.complaint | strings'\n";

static int parse(int argc, char **argv, struct look_options *options)
{
	int rc = look_parse(argc, argv, help, options);

	if (rc == 0 && optind < argc)
		return wrong_usage("no argument was expected, and there is '%s'; a process's "
				   "channels: peal stat PID",
				   argv[optind]);
	return rc;
}

static void print_ring(const struct look_view *view, enum look_who to, bool in_colour)
{
	const struct look_ring *ring = &view->now.ring[to];
	const uint64_t capacity = view->channel.capacity[to];
	const struct look_flow *flow = &view->flows[to];
	char from_text[LOOK_TEXT_MAX], to_text[LOOK_TEXT_MAX], complaint[LOOK_TEXT_MAX];
	char size[FORMAT_MAX], total[FORMAT_MAX], rate[FORMAT_MAX], full[FORMAT_MAX];

	if (capacity == 0)
		return;
	look_side_text(from_text, &view->now.side[look_peer(to)], 16);
	look_side_text(to_text, &view->now.side[to], 16);
	printf("%-11.11s %-16s %-16s %8s %4s%% %8s %10s\n",
	       view->channel.name[0] ? view->channel.name : "-", from_text, to_text,
	       format_bytes(size, capacity),
	       look_percent_text(full, &view->channel, &view->now, to),
	       ring->impossible ? "?" : format_bytes(total, ring->written),
	       flow->has_rate ? format_rate(rate, flow->bytes_per_s) : "-");
	look_complaint(complaint, &view->channel, &view->now, to, flow);
	if (complaint[0])
		printf("  %s%s%s\n", colour(in_colour, COLOUR_RED), complaint,
		       colour(in_colour, COLOUR_NONE));
}

static void print_all(const struct look_views *views)
{
	const bool in_colour = wants_colour(STDOUT_FILENO);

	printf("%-11s %-16s %-16s %8s %5s %8s %10s\n", "CHANNEL", "FROM", "TO", "SIZE", "FULL",
	       "TOTAL", "RATE");
	for (size_t i = 0; i < views->count; i++) {
		print_ring(&views->list[i], LOOK_GUEST, in_colour);
		print_ring(&views->list[i], LOOK_HOST, in_colour);
	}
}

static int nothing(const struct look_views *views)
{
	if (views->secret) {
		complain("there are channels, but this user may not read the memory of their "
			 "processes");
		return STATUS_NO_RIGHT;
	}
	complain(views->denied ? "no channel in the processes that this user may look at"
			       : "no channel");
	return STATUS_NOTHING;
}

static int run(int argc, char **argv)
{
	struct look_options options;
	struct look_views views;
	int rc = parse(argc, argv, &options);

	if (rc != 0)
		return rc < 0 ? STATUS_OK : rc;
	rc = look_take(&views, NULL, 0, options.interval_ns);
	if (rc == 0 && views.count == 0)
		rc = nothing(&views);
	else if (rc == 0 && options.json)
		rc = look_print_json(&views);
	else if (rc == 0)
		print_all(&views);
	look_drop(&views);
	return rc;
}

const struct command command_ls = {
	.name = "ls",
	.summary = "list the live channels, who is stuck, and for how long",
	.help = help,
	.run = run,
};
