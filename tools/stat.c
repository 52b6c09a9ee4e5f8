/* SPDX-License-Identifier: MIT */
/*
 * stat.c - `peal stat PID`: all that is to be known of a process's channels.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "look.h"

static const char help[] =
	"usage: peal stat [OPTION]... PID...\n"
	"\n"
	"Shows the channels of processes: both sides, and for each ring its size, how\n"
	"full it is, what has passed and how fast, who sleeps, who is stuck and for how\n"
	"long.\n"
	"Looks twice, reads only, and needs no help from the processes.\n"
	"\n"
	"  -i, --interval TIME  between the two looks (200ms); 0: one look, and no rate\n"
	"  -j, --json           an object for each channel, one a line\n"
	"  -h, --help           this\n"
	"\n"
	"Exit: 0 shown, 1 failed, 2 usage, 3 no such process or it has no channel, 4 it\n"
	"may not be looked at\n"
	"\n"
	"Example: what does the plugin wait for?\n"
	"  peal stat $(pgrep plugin)\n";

static int parse(int argc, char **argv, struct look_options *options)
{
	int rc = look_parse(argc, argv, help, options);

	if (rc == 0 && optind == argc)
		return wrong_usage("a PID was expected; all channels: peal ls");
	return rc;
}

static int parse_pids(char **arguments, size_t count, pid_t *pids)
{
	uint64_t number;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = take_number("PID", arguments[i], 1, INT32_MAX, &number);
		if (rc == 0)
			pids[i] = (pid_t)number;
	}
	return rc;
}

/* --- For people ------------------------------------------------------------------------------------ */

static void print_side(const struct look_side *side, enum look_who who)
{
	char text[LOOK_TEXT_MAX];

	look_side_text(text, side, LOOK_TEXT_MAX - 1);
	printf("  %-5s  %s", look_who_name(who), text);
	if (side->state == LOOK_CLOSED && side->pid != 0)
		fputs(", has closed", stdout);
	puts(side->stopped ? ", stopped by a signal" : "");
}

static void print_end(const struct look_end *end, enum look_who who, const char *wanted,
		      uint64_t now_ns)
{
	const uint64_t ns = look_asleep_ns(end, now_ns);
	char time[FORMAT_MAX];

	printf("    %-5s  ", look_who_name(who));
	if (!end->asleep)
		fputs("awake", stdout);
	else if (ns > 0)
		printf("asleep for %s, waits for %s", format_duration(time, ns), wanted);
	else
		printf("asleep, waits for %s", wanted);
	printf("; sleeps: %" PRIu64 ", for nothing: %" PRIu64 ", bells: %" PRIu64 "\n", end->sleeps,
	       end->spurious, end->wakes);
}

static void print_traffic(const struct look_view *view, enum look_who to)
{
	const struct look_ring *ring = &view->now.ring[to];
	const struct look_flow *flow = &view->flows[to];
	char size[FORMAT_MAX], used[FORMAT_MAX], total[FORMAT_MAX], rate[FORMAT_MAX],
		full[FORMAT_MAX];

	printf("  ring to the %s, %s: ", look_who_name(to),
	       format_bytes(size, view->channel.capacity[to]));
	if (ring->impossible) {
		puts("impossible positions");
		return;
	}
	printf("%s %% full, %s wait, %s passed, ",
	       look_percent_text(full, &view->channel, &view->now, to),
	       format_bytes(used, ring->used), format_bytes(total, ring->read));
	puts(flow->has_rate ? format_rate(rate, flow->bytes_per_s) : "no rate");
}

static void print_ring(const struct look_view *view, enum look_who to, bool in_colour)
{
	const struct look_ring *ring = &view->now.ring[to];
	char complaint[LOOK_TEXT_MAX];

	if (view->channel.capacity[to] == 0)
		return;
	print_traffic(view, to);
	print_end(&ring->producer, look_peer(to), "room", view->now.at_ns);
	print_end(&ring->consumer, to, "data", view->now.at_ns);
	look_complaint(complaint, &view->channel, &view->now, to, &view->flows[to]);
	if (complaint[0])
		printf("    %s%s%s\n", colour(in_colour, COLOUR_RED), complaint,
		       colour(in_colour, COLOUR_NONE));
}

static void print_channel(const struct look_view *view, bool in_colour)
{
	printf("channel %s%s%s over %s, records on %" PRIu32 " bytes\n",
	       colour(in_colour, COLOUR_BOLD),
	       view->channel.name[0] ? view->channel.name : "without a name",
	       colour(in_colour, COLOUR_NONE), view->now.has_eventfds ? "eventfds" : "sockets",
	       view->now.align);
	print_side(&view->now.side[LOOK_HOST], LOOK_HOST);
	print_side(&view->now.side[LOOK_GUEST], LOOK_GUEST);
	print_ring(view, LOOK_GUEST, in_colour);
	print_ring(view, LOOK_HOST, in_colour);
}

static void print_all(const struct look_views *views)
{
	const bool in_colour = wants_colour(STDOUT_FILENO);

	for (size_t i = 0; i < views->count; i++) {
		if (i > 0)
			putchar('\n');
		print_channel(&views->list[i], in_colour);
	}
}

/* --- What is not there ----------------------------------------------------------------------------- */

static bool is_shown(const struct look_views *views, pid_t pid)
{
	for (size_t i = 0; i < views->count; i++)
		for (int who = 0; who < LOOK_SIDES; who++)
			if (views->list[i].channel.pid[who] == pid)
				return true;
	return false;
}

/* Why nothing is shown of this process. */
static int excuse(const struct look_views *views, pid_t pid)
{
	int rc = look_may(pid);

	if (rc == -ESRCH)
		complain("there is no process %d", (int)pid);
	else if (rc == -EACCES)
		complain("process %d is one that this user may not look at", (int)pid);
	else if (views->secret)
		complain("process %d is one whose memory this user may not read", (int)pid);
	else
		complain("process %d has no channel", (int)pid);
	return rc == -EACCES || (rc == 0 && views->secret) ? STATUS_NO_RIGHT : STATUS_NOTHING;
}

static int show(const pid_t *pids, size_t count, const struct look_options *options)
{
	struct look_views views;
	int rc = look_take(&views, pids, count, options->interval_ns), missing;

	if (rc == 0 && options->json)
		rc = look_print_json(&views);
	else if (rc == 0)
		print_all(&views);
	/* What is there comes first; the first that is not decides the status. */
	for (size_t i = 0; i < count && views.list; i++) {
		if (is_shown(&views, pids[i]))
			continue;
		missing = excuse(&views, pids[i]);
		rc = rc == 0 ? missing : rc;
	}
	look_drop(&views);
	return rc;
}

static int run(int argc, char **argv)
{
	struct look_options options;
	int rc = parse(argc, argv, &options);
	size_t count;
	pid_t *pids;

	if (rc != 0)
		return rc < 0 ? STATUS_OK : rc;
	count = (size_t)(argc - optind);
	pids = calloc(count, sizeof(*pids));
	if (!pids) {
		complain("no memory");
		return STATUS_FAILED;
	}
	rc = parse_pids(argv + optind, count, pids);
	if (rc == 0)
		rc = show(pids, count, &options);
	free(pids);
	return rc;
}

const struct command command_stat = {
	.name = "stat",
	.summary = "show a process's channels: who sleeps, who is stuck",
	.help = help,
	.run = run,
};
