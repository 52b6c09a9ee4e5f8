/* SPDX-License-Identifier: MIT */
/*
 * top.h - `peal top`: the same looks again and again.
 *
 *	top-follow.c  channels over time: rates of the past, since when a reader stands still
 *	top-frame.c   what is on the screen, as lines of text
 *	top.c         the terminal
 */
#ifndef PEAL_TOOLS_TOP_H
#define PEAL_TOOLS_TOP_H

#include "look.h"

/* Rates of the past: one a column of the widest sparkline. */
#define TOP_HISTORY 240

struct top_ring {
	uint64_t still_ns; /* since when its reader's position is known to stand still */
	unsigned int count;
	float rates[TOP_HISTORY]; /* the last @count, the newest last */
};

struct top_channel {
	struct look_channel channel;
	struct look_figures now;
	struct look_flow flows[LOOK_SIDES];
	struct top_ring rings[LOOK_SIDES];
};

struct top_channels {
	struct top_channel *list;
	size_t count;
	bool denied, secret;
};

/* Look once more. What is new has no rate yet; what has ended goes. Return: 0 or a negative errno,
 * and all is as before. */
int top_follow(struct top_channels *channels);
void top_forget(struct top_channels *channels);

enum top_order { TOP_BY_STALL, TOP_BY_TRAFFIC };

struct top_view {
	enum top_order order;
	uint64_t interval_ns;
	int rows, columns; /* of the screen; rows 0: as many as it takes, and no line of keys */
	bool has_blocks;   /* the terminal can show block characters */
};

enum top_style { TOP_PLAIN, TOP_HEADING, TOP_STUCK };

/* At most a screen's columns, each at most 3 bytes of UTF-8. */
#define TOP_LINE_MAX 2048

/* top_draw() - hands each line out, from the first on. Return: 0 or -ENOMEM. */
int top_draw(const struct top_channels *channels, const struct top_view *view,
	     void (*line)(int row, enum top_style style, const char *text));

#endif
