/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>

/* What the plugin is for. */
static int count_words(const char *text, size_t size)
{
	int words = 0;

	for (size_t i = 0; i < size; i++)
		words += !isspace((unsigned char)text[i]) &&
			 (i == 0 || isspace((unsigned char)text[i - 1]));
	return words;
}

/* One text, from the ring to the ring. Nothing is copied in between. */
static int answer(struct peal_channel *channel)
{
	struct peal_record text;
	void *words;
	int rc = peal_next_wait(peal_rx(channel), &text, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	rc = peal_reserve_wait(peal_tx(channel), sizeof(int), &words, PEAL_FOREVER);
	if (rc < 0)
		return rc;
	*(int *)words = count_words(text.data, text.size);
	peal_release(peal_rx(channel));
	return peal_commit(peal_tx(channel), sizeof(int), 0);
}

static int plugin(struct peal_channel *channel)
{
	int rc;

	do
		rc = answer(channel);
	while (rc == 0);
	return rc != -EPIPE; /* the host has closed */
}

/* The text is made in the ring itself. */
static int put_text(struct peal_producer *tx, int words)
{
	const size_t most = 5 * (size_t)words;
	size_t size = 0;
	void *text;
	int rc = peal_reserve_wait(tx, most, &text, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	for (int i = 0; i < words; i++, size += 5)
		memcpy((char *)text + size, "word ", 5);
	return peal_commit(tx, size, 0);
}

/* What the plugin says is copied, so that it can not change any more, and then checked. */
static int get_count(struct peal_consumer *rx)
{
	int words;
	int64_t rc = peal_recv(rx, &words, sizeof(words), NULL, PEAL_FOREVER);

	if (rc < 0)
		return (int)rc;
	return rc == sizeof(words) && words >= 0 ? words : -EPROTO;
}

static int host(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 1 << 16, .to_host = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	int count;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), 1;
	for (int words = 1; words <= 10000; words *= 100) {
		if (put_text(peal_tx(channel), words) < 0 ||
		    (count = get_count(peal_rx(channel))) < 0)
			return fprintf(stderr, "%s\n", peal_last_error()), 1;
		printf("%d words sent, %d counted\n", words, count);
	}
	peal_channel_close(channel);
	peal_child_free(child);
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
