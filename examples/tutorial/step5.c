/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the plugin is for. */
static int count_words(const char *text, size_t size)
{
	int words = 0;

	for (size_t i = 0; i < size; i++)
		words += !isspace((unsigned char)text[i]) &&
			 (i == 0 || isspace((unsigned char)text[i - 1]));
	return words;
}

static int is(const char *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* A plugin has bugs; these three can be called by name. */
static int work(const char *text, size_t size)
{
	volatile int *volatile nowhere = NULL;
	void *volatile eaten;

	if (is(text, size, "crash"))
		*nowhere = 1;
	while (is(text, size, "hang"))
		pause();
	while (is(text, size, "eat")) {
		eaten = malloc(1 << 20);
		memset(eaten, 1, 1 << 20); /* which was not checked */
	}
	return count_words(text, size);
}

static int plugin(struct peal_channel *channel)
{
	char text[256];
	int64_t rc = 0;
	int words;

	while (rc == 0) {
		rc = peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);
		if (rc < 0)
			break;
		words = work(text, (size_t)rc);
		rc = peal_send(peal_tx(channel), &words, sizeof(words), 0, PEAL_FOREVER);
	}
	return rc != -EPIPE; /* the host has closed */
}

#define PLUGINS 2

static const char *const texts[] = {
	"one ring each way", "crash", "kill it and go on", "eat", "hang", "done",
};
static const int text_count = sizeof(texts) / sizeof(texts[0]);
static int next_text;

struct plugin {
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_watch *data;
	const char *text; /* that it works at; NULL: none */
};

static int start(struct plugin *p, struct peal_poller *poller, char **argv)
{
	static const struct peal_rlimit limits[] = {
		{RLIMIT_CPU, {60, 61}}, /* seconds */
		{RLIMIT_AS, {64 << 20, 64 << 20}},
		{RLIMIT_CORE, {0, 0}},
	};
	struct peal_spawn_options limited = {
		.size = sizeof(limited),
		.flags = PEAL_SPAWN_DIE_WITH_PARENT | PEAL_SPAWN_NO_NEW_PRIVS,
		.rlimits = limits,
		.rlimit_count = 3,
	};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};

	*p = (struct plugin){0};
	if (peal_channel_create(&p->channel, &options) < 0 ||
	    peal_spawn(&p->child, p->channel, argv, &limited) < 0 ||
	    peal_child_wait_ready(p->child, p->channel, PEAL_FOREVER) < 0 ||
	    peal_poller_watch_data(poller, p->channel, 0, p, &p->data) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), -1;
	return 0;
}

static void stop(struct plugin *p)
{
	peal_watch_remove(p->data);
	peal_channel_close(p->channel);
	peal_child_free(p->child);
	*p = (struct plugin){0};
}

/* The ring is empty when a plugin is idle, so this never waits. If the plugin is gone already, that
 * is the next event. */
static void give(struct plugin *p)
{
	p->text = next_text < text_count ? texts[next_text++] : NULL;
	if (p->text)
		peal_send(peal_tx(p->channel), p->text, strlen(p->text), 0, PEAL_TRY);
}

/* What is there now; -EAGAIN: nothing. */
static int take(struct plugin *p)
{
	int words;
	int64_t rc = peal_recv(peal_rx(p->channel), &words, sizeof(words), NULL, PEAL_TRY);

	if (rc < 0)
		return (int)rc;
	/* Copied, so that it can not change any more, and then checked; also that we asked. */
	return p->text && rc == sizeof(words) && words >= 0 ? words : -EPROTO;
}

/* The answer is told, or what became of the plugin; then there is another one. */
static int finish(struct plugin *p, struct peal_poller *poller, char **argv, int rc)
{
	const char *text = p->text ? p->text : "(nothing)";
	char how[256];

	if (rc >= 0) {
		printf("%s: %d words\n", text, rc);
		return 0;
	}
	if (rc != -EPIPE) /* it lives, but is not to be trusted any more */
		peal_child_kill(p->child, SIGKILL);
	peal_child_wait(p->child, peal_deadline_in_ns(10000000000), NULL);
	printf("%s: %s\n", text, peal_child_describe(p->child, how, sizeof(how)));
	stop(p);
	return start(p, poller, argv);
}

/* Nobody has said anything for so long that nobody will. Their ends are events like all others. */
static void kill_busy(struct plugin *plugins)
{
	for (struct plugin *p = plugins; p < plugins + PLUGINS; p++)
		if (p->text)
			peal_child_kill(p->child, SIGKILL);
}

static int host(char **argv)
{
	struct plugin plugins[PLUGINS], *p;
	struct peal_poller *poller;
	struct peal_event event;
	int answers = 0, rc = peal_poller_create(&poller, NULL);

	for (p = plugins; rc == 0 && p < plugins + PLUGINS; p++) {
		rc = start(p, poller, argv);
		if (rc == 0)
			give(p);
	}
	while (rc >= 0 && answers < text_count) {
		rc = peal_poller_wait(poller, &event, 1, peal_deadline_in_ns(3000000000));
		if (rc == -ETIMEDOUT) {
			kill_busy(plugins);
			rc = 0;
			continue;
		}
		if (rc < 0)
			break;
		p = event.user;
		rc = take(p);
		if (rc == -EAGAIN) {
			rc = 0;
			continue;
		}
		answers += p->text != NULL;
		rc = finish(p, poller, argv, rc);
		if (rc == 0)
			give(p);
	}
	if (rc < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), 1;
	for (p = plugins; p < plugins + PLUGINS; p++)
		stop(p);
	peal_poller_close(poller);
	return 0;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc == 0)
		return plugin(channel);
	if (rc == -ENOENT) /* nobody's plugin, so the host */
		return host(argv);
	return fprintf(stderr, "%s\n", peal_last_error()), 1;
}
