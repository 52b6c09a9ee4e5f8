/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h - what the two kinds give to the doorbell above them.
 *
 *	doorbell.c  wait.c          one object, two kinds, the sticky mark of death
 *	   │           │
 *	socket.c   eventfd.c        one descriptor, no state: they answer, the doorbell remembers
 */
#ifndef PEAL_DOORBELL_DOORBELL_H
#define PEAL_DOORBELL_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/doorbell.h>

/* Ring once. Return: an enum peal_signal, or -errno when nothing was queued. */
int peal_socket_ring(int fd);
int peal_eventfd_ring(int fd);

/* Take what is pending. Return: PEAL_DRAIN_* bits or -errno. An eventfd never tells of closing. */
int peal_socket_drain(int fd);
int peal_eventfd_drain(int fd);

/* How many signals are queued. Return: the number or -errno. */
int64_t peal_socket_pending(int fd);
int64_t peal_eventfd_pending(int fd);

/* peal_socket_is_rung() - is there a signal to take? Takes none; never blocks. */
bool peal_socket_is_rung(int fd);

/* peal_doorbell_mark_dead() - remember it for good. Any of the end's two threads. */
void peal_doorbell_mark_dead(struct peal_doorbell *db);

#endif
