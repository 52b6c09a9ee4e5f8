/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h - what the two kinds give to the doorbell above them.
 *
 *	doorbell.c  wait.c  plain.c     one object, two kinds, the sticky mark of death
 *	   │           │       │
 *	socket.c   eventfd.c  ◀┘        one descriptor, no state: they answer, the doorbell remembers
 */
#ifndef PEAL_DOORBELL_DOORBELL_H
#define PEAL_DOORBELL_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/doorbell.h>

/* Ring once. Return: an enum peal_signal, or -errno when nothing was queued. */
int peal_socket_ring(int fd);
int peal_eventfd_ring(int fd);
/* The same by write(2), for a plain end: an eventfd is rung that way in any case. */
int peal_socket_ring_plain(int fd);

/* Take what is pending. Return: PEAL_DRAIN_* bits or -errno. An eventfd never tells of closing. */
int peal_socket_drain(int fd);
int peal_eventfd_drain(int fd);

/* How many signals are queued. Return: the number or -errno. */
int64_t peal_socket_pending(int fd);
int64_t peal_eventfd_pending(int fd);

/* peal_socket_is_rung() - is there a signal to take? Takes none; never blocks. */
bool peal_socket_is_rung(int fd);

/*
 * A plain end rings by write(2) and waits by read(2), and needs no other system call: for who
 * enters strict seccomp. See plain.c.
 */

/* peal_doorbell_make_plain() - let this end's reads block. Return: 0 or a negative errno. */
int peal_doorbell_make_plain(struct peal_doorbell *db);

/* peal_doorbell_signal_plain() - as peal_doorbell_signal(); SIGPIPE must be blocked or ignored. */
int peal_doorbell_signal_plain(struct peal_doorbell *db);

/* peal_doorbell_wait_plain() - sleep without end, and take what is pending. Return: 0 when rung;
 * -EPIPE when the peer is dead, which an eventfd does not tell; another negative errno. */
int peal_doorbell_wait_plain(struct peal_doorbell *db);

/* peal_doorbell_mark_dead() - remember it for good. Any of the end's two threads. */
void peal_doorbell_mark_dead(struct peal_doorbell *db);

#endif
