/* SPDX-License-Identifier: MIT */
#ifndef LOOP_LIBUV_H
#define LOOP_LIBUV_H

#include <uv.h>

#include "loop.h"

/* Add what loop_channel() or loop_poller() made. It keeps uv_run() going until it is removed; the
 * memory goes in a later turn of the loop. 0 or an error of libuv. */
int libuv_add(uv_loop_t *uv, struct loop_source what, struct loop_source **source);
void libuv_remove(struct loop_source *source);

#endif
