/* SPDX-License-Identifier: MIT */
/*
 * peal.h - all of Peal.
 */
#ifndef PEAL_PEAL_H
#define PEAL_PEAL_H

#include <peal/base.h>
#include <peal/channel.h>
#include <peal/doorbell.h>
#include <peal/poller.h>
#include <peal/ring.h>
#include <peal/spawn.h>

#endif
