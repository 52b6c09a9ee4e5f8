/* SPDX-License-Identifier: MIT */
/*
 * inline.c - emits the hot functions once, for those who can not inline: bindings, -O0.
 */
#define PEAL_INLINE
#include <peal/ring.h>
