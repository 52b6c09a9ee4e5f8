/* SPDX-License-Identifier: MIT */
/*
 * misbehave.h - what a guest does once a crafted file has taken it over, for tests and to show it. Such a
 * file is the text MISBEHAVE and a word of misbehave.c. Obeyed only if the host was started with
 * --misbehave.
 */
#ifndef MISBEHAVE_H
#define MISBEHAVE_H

#include <stdbool.h>

#define MISBEHAVE "misbehave "

struct codec;

/* May not return. False, and .reason, for words that nobody knows. */
bool misbehave(struct codec *codec);

#endif
