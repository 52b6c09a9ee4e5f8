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

static int plugin(struct peal_channel *channel)
{
	char text[256];
	int64_t size = peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);
	int words;

	if (size < 0)
		return 1;
	words = count_words(text, (size_t)size);
	return peal_send(peal_tx(channel), &words, sizeof(words), 0, PEAL_FOREVER) < 0;
}

static int host(char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096};
	const char *text = "one ring each way";
	struct peal_channel *channel;
	struct peal_child *child;
	int words = 0;

	if (peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0 ||
	    peal_send(peal_tx(channel), text, strlen(text), 0, PEAL_FOREVER) < 0 ||
	    peal_recv(peal_rx(channel), &words, sizeof(words), NULL, PEAL_FOREVER) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), 1;
	printf("%s: %d words\n", text, words);
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
