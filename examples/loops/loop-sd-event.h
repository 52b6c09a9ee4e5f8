/* SPDX-License-Identifier: MIT */
#ifndef LOOP_SD_EVENT_H
#define LOOP_SD_EVENT_H

#include <systemd/sd-event.h>

#include "loop.h"

/* Add what loop_channel() or loop_poller() made. 0 or a negative errno. */
int sdevent_add(sd_event *event, struct loop_source what, struct loop_source **source);
void sdevent_remove(struct loop_source *source);

#endif
