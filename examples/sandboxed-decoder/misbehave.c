/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codec.h"
#include "misbehave.h"

static void send(struct codec *codec, uint16_t type, size_t size)
{
	memset(link_room(codec->link, size), 'x', size);
	link_send(codec->link, size, type);
}

static void announce(struct codec *codec, uint32_t width, uint32_t height)
{
	const struct decoder_image image = {.width = width, .height = height};

	memcpy(link_room(codec->link, sizeof(image)), &image, sizeof(image));
	link_send(codec->link, sizeof(image), DECODER_IMAGE);
}

/* --- What the kernel, or the deadline, ends ----------------------------------------------------- */

static void crash(struct codec *codec)
{
	volatile char *volatile nowhere = (char *)8;

	(void)codec;
	*nowhere = 1;
}

static void steal(struct codec *codec)
{
	(void)codec;
	open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static void leave(struct codec *codec)
{
	(void)codec;
	_exit(7);
}

static void hang(struct codec *codec)
{
	(void)codec;
	for (volatile int i = 0;; i++)
		;
}

/* Quiet now, to spoil the next file. */
static void infect(struct codec *codec)
{
	struct codec next = {.link = codec->link};

	while (codec_more(codec))
		codec->left = 0;
	send(codec, DECODER_REFUSED, 0);
	codec_more(&next);
	announce(codec, 5, 5);
	send(codec, DECODER_ROWS, 15);
	crash(codec);
}

/* All the memory that there is. */
static void hoard(struct codec *codec)
{
	void *volatile block; /* or the compiler does without malloc */
	unsigned int mib = 0;

	while ((block = malloc(8 << 20)) != NULL)
		mib += 8;
	snprintf(codec->reason, sizeof(codec->reason), "had %u MiB", mib);
}

/* Well, and it has answered: what it said stands. */
static void expire(struct codec *codec)
{
	announce(codec, 10, 100);
	for (int i = 0; i < 100; i++)
		send(codec, DECODER_ROWS, 30);
	while (codec_more(codec))
		codec->left = 0;
	send(codec, DECODER_DONE, 0);
	_exit(0);
}

/* --- What the host must not believe ------------------------------------------------------------- */

static void huge(struct codec *codec)
{
	announce(codec, 65535, 65535);
	hang(codec);
}

static void flat(struct codec *codec)
{
	announce(codec, 0, 10);
	hang(codec);
}

static void twice(struct codec *codec)
{
	announce(codec, 10, 10);
	announce(codec, 1000, 1000);
	hang(codec);
}

static void cut(struct codec *codec)
{
	send(codec, DECODER_IMAGE, 7);
	hang(codec);
}

static void early(struct codec *codec)
{
	send(codec, DECODER_ROWS, 30);
	hang(codec);
}

static void part(struct codec *codec)
{
	announce(codec, 10, 10);
	send(codec, DECODER_ROWS, 31);
	hang(codec);
}

static void nothing(struct codec *codec)
{
	announce(codec, 10, 10);
	for (;;)
		send(codec, DECODER_ROWS, 0);
}

static void more(struct codec *codec)
{
	announce(codec, 10, 10);
	for (;;)
		send(codec, DECODER_ROWS, 30);
}

static void fewer(struct codec *codec)
{
	announce(codec, 10, 10);
	send(codec, DECODER_ROWS, 9 * 30);
}

static void done(struct codec *codec)
{
	(void)codec; /* no image at all */
}

static void hasty(struct codec *codec)
{
	announce(codec, 10, 10);
	send(codec, DECODER_ROWS, 10 * 30);
	send(codec, DECODER_DONE, 0);
	hang(codec);
}

static void chatter(struct codec *codec)
{
	announce(codec, 10, 10);
	send(codec, DECODER_ROWS, 10 * 30);
	while (codec_more(codec))
		codec->left = 0;
	link_room(codec->link, 0);
	link_stage(codec->link, 0, DECODER_DONE);
	send(codec, DECODER_ROWS, 30); /* in one with it */
	hang(codec);
}

static void babble(struct codec *codec)
{
	send(codec, 99, 5);
	hang(codec);
}

static void novel(struct codec *codec)
{
	while (codec_more(codec))
		codec->left = 0;
	send(codec, DECODER_REFUSED, 100000);
	hang(codec);
}

/* A reason that clears the screen of who reads it. */
static void paint(struct codec *codec)
{
	strcpy(codec->reason, "\033[2J\n\233"
			      "2J\033]0;owned\a");
}

/* What it writes to standard error, the user must not see. */
static void shout(struct codec *codec)
{
	ssize_t written = write(STDERR_FILENO, "owned\n", 6);

	snprintf(codec->reason, sizeof(codec->reason), "wrote %d", (int)written);
}

/* What the host's environment told it. */
static void look(struct codec *codec)
{
	int count = 0;

	while (environ[count])
		count++;
	snprintf(codec->reason, sizeof(codec->reason), "%d variables", count);
}

/* More than half a second of work. */
static void toil(struct codec *codec)
{
	const clock_t end = clock() + CLOCKS_PER_SEC * 6 / 10;

	while (clock() < end)
		;
	snprintf(codec->reason, sizeof(codec->reason), "toiled");
}

static const struct {
	const char *word;
	void (*act)(struct codec *codec);
	bool ends; /* well, for all it says */
} deeds[] = {
	{"crash", crash, false},     {"steal", steal, false},     {"leave", leave, false},
	{"infect", infect, false},   {"expire", expire, false},   {"hang", hang, false},
	{"hoard", hoard, false},     {"huge", huge, false},       {"flat", flat, false},
	{"twice", twice, false},     {"cut", cut, false},         {"early", early, false},
	{"part", part, false},       {"nothing", nothing, false}, {"more", more, false},
	{"fewer", fewer, true},      {"done", done, true},        {"hasty", hasty, false},
	{"chatter", chatter, false}, {"babble", babble, false},   {"novel", novel, false},
	{"paint", paint, false},     {"shout", shout, false},     {"look", look, false},
	{"toil", toil, false},
};

bool misbehave(struct codec *codec)
{
	const char *word = (const char *)codec->at + strlen(MISBEHAVE);
	size_t left = codec->left - strlen(MISBEHAVE);

	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		size_t length = strlen(deeds[i].word);

		if (left <= length || memcmp(word, deeds[i].word, length) != 0 ||
		    word[length] != '\n')
			continue;
		deeds[i].act(codec);
		return deeds[i].ends;
	}
	snprintf(codec->reason, sizeof(codec->reason), "a misdeed that nobody knows");
	return false;
}
