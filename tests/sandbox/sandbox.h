/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - a host whose guest (guest.c) is in a cage.
 */
#ifndef PEAL_TESTS_SANDBOX_H
#define PEAL_TESTS_SANDBOX_H

#include <stdbool.h>

#include <peal/peal.h>

struct sandbox {
	struct peal_channel *channel;
	struct peal_child *child;
	const char *cage;
	int doorbell;     /* enum peal_doorbell_kind */
	unsigned int tie; /* PEAL_SPAWN_DIE_WITH_PARENT or 0 */
	bool is_loaded;   /* guest and library come by dlopen(3) */
};

/* Rings of 4 KiB, and a guest that is attached. The host never spins. @number: for "cheat". */
void sandbox_start(struct sandbox *sandbox, const char *mode, long number);

/* Close; then the guest ends, content. */
void sandbox_finish(struct sandbox *sandbox);

/* Close when it has ended: how it did. */
struct peal_child_status sandbox_end(struct sandbox *sandbox);

/* Until the guest has gone to sleep more than @times times: for a record, or for room. */
void sandbox_await_hungry(struct sandbox *sandbox, uint64_t times);
void sandbox_await_full(struct sandbox *sandbox, uint64_t times);

/* @count records of the stream go to a guest that echoes, and come back as they were. */
void sandbox_stream(struct sandbox *sandbox, uint64_t count);

/* So many questions, each to a guest that sleeps, from a host that sleeps until the answer. */
void sandbox_ping_pong(struct sandbox *sandbox, unsigned int rounds);

/* The guest sleeps for room, since nobody takes its answers; then all are there. */
void sandbox_back_pressure(struct sandbox *sandbox);

/* A host like @sandbox with a guest in @mode is killed after @last_act; how does the guest end then?
 * If the last act stopped it, it goes on when the host is dead. Return: a status as of waitpid(). */
int sandbox_orphan(const struct sandbox *sandbox, const char *mode,
		   void (*last_act)(struct sandbox *sandbox));

/* Has this machine strict seccomp here, and is its clock a system call? Asked of a child. */
bool sandbox_can_be_strict(void);
bool sandbox_clock_is_a_call(void);

#endif
