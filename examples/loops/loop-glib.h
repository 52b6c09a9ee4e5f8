/* SPDX-License-Identifier: MIT */
#ifndef LOOP_GLIB_H
#define LOOP_GLIB_H

#include <glib.h>

#include "loop.h"

/* Add what loop_channel() or loop_poller() made to a context; NULL is the default one. */
struct loop_source *glib_add(GMainContext *context, struct loop_source what);
void glib_remove(struct loop_source *source);

#endif
