/* SPDX-License-Identifier: MIT */
/*
 * link.h - where a decoder gets its bytes from, and where its pixels go. The decoders are the same in
 * a guest on rings (plugin.c), in one on pipes (bench/pipes-guest.c), and in a program that decodes
 * by itself (bench/in-process.c); each has these functions.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link;

/* The next bytes of the file, until the next call; false at its end. */
bool link_next(struct link *link, const unsigned char **data, size_t *size);

/* Memory for the next message; at most DECODER_ROWS_MAX bytes. Asking again gives up what was there. */
void *link_room(struct link *link, size_t size);

/* Send what lies there; an enum decoder_record. */
void link_send(struct link *link, size_t size, uint16_t type);

/* The same, but it may wait for what is sent next: the host is woken once for both. */
void link_stage(struct link *link, size_t size, uint16_t type);

#endif
