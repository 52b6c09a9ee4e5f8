/* SPDX-License-Identifier: MIT */
/*
 * wake.h - the half of the wake protocol that a producer and a consumer share.
 *
 * Each end has a wait word that it alone writes: even while it is awake, odd while it sleeps, a new
 * value each time. The other end rings once for each odd value that it sees.
 *
 *      sleeper                                   waker
 *      word = odd          (P6, C4: release)     publish           (P3, C3)
 *      HEAVY               (P7, C5)              LIGHT             (P4, C3b)
 *      look at the ring    (P8, C6)              look at the word  (P5, C3c)
 *
 * One of the two looks sees the other's store, so either the sleeper does not sleep or the waker
 * rings. docs/doorbell.md argues it; every step was model-checked.
 */
#ifndef PEAL_RING_WAKE_H
#define PEAL_RING_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/ring.h>

#include "ring/ring.h"

/* peal_wake_init() - as the producer or the consumer of the ring. */
void peal_wake_init(struct peal_wake *wake, const struct peal_ring_spec *spec, bool is_producer);

/* peal_wake_announce() - the word turns odd. HEAVY must follow; one will do for many words.
 * @position: where we stand, for observers: as long as it is the same, we wait for the same. */
void peal_wake_announce(struct peal_wake *wake, uint64_t position);

/* peal_wake_arm() - the word turns odd, then HEAVY. 0, or a negative errno and the word is even. */
int peal_wake_arm(struct peal_wake *wake, uint64_t position);

/* peal_wake_disarm() - the word turns even; harmless when it is. */
void peal_wake_disarm(struct peal_wake *wake);

/* peal_wake_sleep() - block, disarm, and drain if it was the bell that woke us.
 * Return: as the bell's wait(). */
int peal_wake_sleep(struct peal_wake *wake, uint64_t deadline_ns);

/* peal_wake_leave() - back to a foreign event loop's caller: disarm, drain, ask for the peer.
 * Return: 0, -EPIPE when the peer is gone, another negative errno. */
int peal_wake_leave(struct peal_wake *wake);

/* peal_wake_heavy() - the HEAVY barrier alone. Return: 0 or a negative errno. */
int peal_wake_heavy(struct peal_wake *wake);

/* peal_wake_drop_fence() - the peer pays for our barrier from now on. Not while another thread uses
 * this end. */
void peal_wake_drop_fence(struct peal_wake *wake);

/* peal_wake_is_fenced() - is this end in fence mode? */
bool peal_wake_is_fenced(const struct peal_wake *wake);

/* peal_wake_peer() - ring if the peer sleeps and was not rung for that yet.
 * @word: what the hot path loaded; the peer's wait word, but in fence mode, where it is loaded here
 * Return: 0; -EPIPE when the peer is gone; another negative errno when it could not be woken. */
int peal_wake_peer(struct peal_wake *wake, uint64_t word);

/* peal_wake_spurious() - count a wake that came with nothing to do. */
void peal_wake_spurious(struct peal_wake *wake);

/* Spinning before sleeping: the state of one wait. */
struct peal_spin {
	uint64_t budget_ns;
	uint64_t begin_ns; /* 0 until the first look at the clock */
	uint64_t deadline_ns;
	unsigned int rounds; /* looks at the ring so far */
	unsigned int effort; /* looks and pauses since the last look at the clock */
};

/* peal_wake_is_apart() - may spinning help? Not if both are pinned to one processor. */
bool peal_wake_is_apart(const struct peal_wake *wake);

void peal_spin_begin(struct peal_spin *spin, const struct peal_wake *wake, uint64_t deadline_ns);

/* peal_spin() - pause so many times. Return: false when it is time to sleep. */
bool peal_spin(struct peal_spin *spin, unsigned int pauses);

/* peal_spin_was_short() - after a sleep: would the longest spin have done instead? */
bool peal_spin_was_short(const struct peal_spin *spin, const struct peal_wake *wake);

/* peal_spin_learn() - it was (not) worth while: spin for twice (half) as long the next time. */
void peal_spin_learn(struct peal_wake *wake, bool worth_while);

#endif
