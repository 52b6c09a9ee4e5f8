/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
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

/* A plugin has bugs; these two can be called by name. */
static int work(const char *text, size_t size)
{
	volatile int *volatile nowhere = NULL;

	if (is(text, size, "crash"))
		*nowhere = 1;
	while (is(text, size, "hang"))
		pause();
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

static int ask(struct peal_channel *channel, const char *text)
{
	const uint64_t deadline = peal_deadline_in_ns(3000000000); /* 3 s, for both */
	int words;
	int64_t rc = peal_send(peal_tx(channel), text, strlen(text), 0, deadline);

	if (rc == 0)
		rc = peal_recv(peal_rx(channel), &words, sizeof(words), NULL, deadline);
	if (rc < 0)
		return (int)rc;
	/* Copied, so that it can not change any more, and then checked. */
	return rc == sizeof(words) && words >= 0 ? words : -EPROTO;
}

static void tell(const char *text, int rc, struct peal_child *child)
{
	char how[256];

	if (rc >= 0) {
		printf("%s: %d words\n", text, rc);
	} else if (rc == -EPIPE) {
		/* It has hung up; give it a moment to end. */
		peal_child_wait(child, peal_deadline_in_ns(10000000000), NULL);
		printf("%s: %s\n", text, peal_child_describe(child, how, sizeof(how)));
	} else {
		printf("%s: %s\n", text, peal_strerror(rc));
	}
}

static int host(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};
	const char *texts[] = {"one ring each way", "crash", "hang", "and on it goes"};
	struct peal_channel *channel;
	struct peal_child *child;

	for (int i = 0; i < 4; i++) {
		if (peal_channel_create(&channel, &options) < 0 ||
		    peal_spawn(&child, channel, argv, NULL) < 0 ||
		    peal_child_wait_ready(child, channel, PEAL_FOREVER) < 0)
			return fprintf(stderr, "%s\n", peal_last_error()), 1;
		tell(texts[i], ask(channel, texts[i]), child);
		peal_channel_close(channel);
		peal_child_free(child); /* killed, if it still runs */
	}
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
