/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "look.h"

int look_parse(int argc, char **argv, const char *help, struct look_options *options)
{
	static const struct option longs[] = {
		{"interval", required_argument, NULL, 'i'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, rc = 0;

	*options = (struct look_options){.interval_ns = 200000000};
	while (rc == 0 && (option = getopt_long(argc, argv, "i:jh", longs, NULL)) != -1) {
		if (option == 'i')
			rc = take_duration("--interval", optarg, &options->interval_ns);
		else if (option == 'j')
			options->json = true;
		else if (option == 'h')
			return fputs(help, stdout), -1;
		else
			return STATUS_USAGE;
	}
	return rc;
}

static bool counts(const struct look_channel *channel, const pid_t *pids, size_t pid_count)
{
	for (size_t i = 0; i < pid_count; i++)
		if (channel->pid[LOOK_HOST] == pids[i] || channel->pid[LOOK_GUEST] == pids[i])
			return true;
	return pid_count == 0;
}

/* Channels that end between two looks are dropped: that is no error. */
static void look_once(struct look_views *views)
{
	size_t kept = 0;

	for (size_t i = 0; i < views->count; i++) {
		struct look_view *view = &views->list[i];
		int rc = look_read(&view->channel, &view->now);

		if (rc == -EACCES)
			views->secret = true;
		if (rc == 0)
			views->list[kept++] = *view;
	}
	views->count = kept;
}

static void look_again(struct look_views *views, uint64_t interval_ns, struct look_figures *before)
{
	const struct timespec pause = {.tv_sec = (time_t)(interval_ns / 1000000000),
				       .tv_nsec = (long)(interval_ns % 1000000000)};
	size_t kept = 0;

	nanosleep(&pause, NULL);
	for (size_t i = 0; i < views->count; i++) {
		struct look_view *view = &views->list[i];

		before[kept] = view->now;
		if (look_read(&view->channel, &view->now) < 0)
			continue;
		for (int to = 0; to < LOOK_SIDES; to++)
			view->flows[to] =
				look_compare(&before[kept], &view->now, to, before[kept].at_ns);
		views->list[kept++] = *view;
	}
	views->count = kept;
}

static int look_twice(struct look_views *views, uint64_t interval_ns)
{
	struct look_figures *before;

	look_once(views);
	for (size_t i = 0; i < views->count; i++)
		for (int to = 0; to < LOOK_SIDES; to++) {
			struct look_view *view = &views->list[i];

			view->flows[to] = look_compare(&view->now, &view->now, to, 0);
		}
	if (interval_ns == 0 || views->count == 0)
		return 0;
	before = calloc(views->count, sizeof(*before));
	if (!before)
		return -ENOMEM;
	look_again(views, interval_ns, before);
	free(before);
	return 0;
}

static int take(struct look_views *views, const struct look_channels *channels, const pid_t *pids,
		size_t pid_count, uint64_t interval_ns)
{
	views->list = calloc(channels->count + 1, sizeof(*views->list));
	if (!views->list)
		return -ENOMEM;
	for (size_t i = 0; i < channels->count; i++)
		if (counts(&channels->list[i], pids, pid_count))
			views->list[views->count++].channel = channels->list[i];
	return look_twice(views, interval_ns);
}

int look_take(struct look_views *views, const pid_t *pids, size_t pid_count, uint64_t interval_ns)
{
	struct look_mappings mappings;
	struct look_channels channels = {0};
	int rc = look_find(&mappings);

	*views = (struct look_views){0};
	if (rc == 0) {
		views->denied = mappings.denied;
		views->secret = mappings.secret;
		rc = look_pair(&mappings, &channels);
	}
	look_forget(&mappings);
	if (rc == 0)
		rc = take(views, &channels, pids, pid_count, interval_ns);
	look_unpair(&channels);
	if (rc == 0)
		return 0;
	look_drop(views);
	complain("looking at /proc: %s", strerror(-rc));
	return STATUS_FAILED;
}

int look_print_json(const struct look_views *views)
{
	int rc = 0;

	for (size_t i = 0; i < views->count && rc == 0; i++) {
		const struct look_view *view = &views->list[i];

		rc = print_json(look_json(&view->channel, &view->now, view->flows));
	}
	return rc;
}

void look_drop(struct look_views *views)
{
	free(views->list);
	*views = (struct look_views){0};
}
