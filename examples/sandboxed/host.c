/* SPDX-License-Identifier: MIT */
/*
 * host.c - sends lines to a plugin in a cage, and tells how each plugin ended.
 *
 *	cages:     strict seccomp, a seccomp filter
 *	plugins:   an honest one, one that tries to open a file, one that crashes
 *
 * usage: sandboxed [LINE...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <peal/peal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plugin {
	struct peal_channel *channel;
	struct peal_child *child;
};

/* In the same directory as this program. */
static char *plugin_path(void)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length < 0 ? 0 : length] = '\0';
	snprintf(path, sizeof(path), "%s/sandboxed-plugin", dirname(self));
	return path;
}

/* What the kernel holds it to before it has a cage, and beside it. */
static int spawn(struct plugin *plugin, char **argv)
{
	static const struct peal_rlimit limits[] = {
		{RLIMIT_CORE, {0, 0}}, /* its memory is nobody's business */
		{RLIMIT_AS, {256 << 20, 256 << 20}},
		{RLIMIT_CPU, {10, 10}},
		{RLIMIT_NOFILE, {16, 16}},
	};
	const struct peal_spawn_options options = {
		.size = sizeof(options),
		/* If this process is killed, a strict guest may not hear of it. */
		.flags = PEAL_SPAWN_NO_NEW_PRIVS | PEAL_SPAWN_DIE_WITH_PARENT,
		.rlimits = limits,
		.rlimit_count = sizeof(limits) / sizeof(limits[0]),
	};

	return peal_spawn(&plugin->child, plugin->channel, argv, &options);
}

static int start(struct plugin *plugin, char *cage, char *misdeed)
{
	const struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = 4096,
		.to_host = 4096,
		.doorbell = PEAL_DOORBELL_SOCKET, /* an eventfd tells a strict guest of no death */
	};
	char *argv[] = {plugin_path(), cage, misdeed, NULL};
	int rc = peal_channel_create(&plugin->channel, &options);

	if (rc < 0)
		return rc;
	rc = spawn(plugin, argv);
	if (rc == 0)
		rc = peal_child_wait_ready(plugin->child, plugin->channel, PEAL_FOREVER);
	if (rc == 0)
		return 0;
	peal_channel_close(plugin->channel);
	peal_child_free(plugin->child);
	return rc;
}

/* 0; -EPIPE when the plugin is gone. */
static int ask(const struct plugin *plugin, const char *line)
{
	char text[512];
	int64_t size;
	int rc = peal_send(peal_tx(plugin->channel), line, strlen(line), 0, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	/* By copy: what is in the ring, the plugin could still change. */
	size = peal_recv(peal_rx(plugin->channel), text, sizeof(text), NULL, PEAL_FOREVER);
	if (size < 0)
		return (int)size;
	printf("    %s -> %.*s\n", line, (int)size, text);
	return 0;
}

/* Closing tells it to leave, if it has not left. */
static int finish(struct plugin *plugin)
{
	char text[256];
	int rc;

	peal_channel_close(plugin->channel);
	rc = peal_child_wait(plugin->child, PEAL_FOREVER, NULL);
	printf("    %s\n", peal_child_describe(plugin->child, text, sizeof(text)));
	peal_child_free(plugin->child);
	return rc;
}

/* One plugin, from start to end. Its death is not our failure. */
static int run(char *cage, char *misdeed, char **lines, int count)
{
	struct plugin plugin = {0};
	int rc = start(&plugin, cage, misdeed), finished;

	if (rc < 0)
		return rc;
	printf("%s%s%s\n", cage, misdeed ? " " : "", misdeed ? misdeed : "");
	for (int i = 0; i < count && rc == 0; i++)
		rc = ask(&plugin, lines[i]);
	finished = finish(&plugin);
	return rc == -EPIPE ? finished : rc;
}

int main(int argc, char **argv)
{
	static char strict[] = "strict", filter[] = "filter", cheat[] = "--cheat",
		    crash[] = "--crash";
	static char first[] = "a bird", second[] = "in a cage", third[] = "sings";
	char *song[] = {first, second, third};
	char *cages[] = {strict, filter}, *misdeeds[] = {NULL, cheat, crash};
	int rc = 0, own = argc > 1;

	for (int i = 0; i < 6 && rc == 0; i++)
		rc = run(cages[i / 3], misdeeds[i % 3], own ? argv + 1 : song, own ? argc - 1 : 3);
	if (rc < 0)
		return fprintf(stderr, "sandboxed: %s\n", peal_last_error()), 1;
	return 0;
}
