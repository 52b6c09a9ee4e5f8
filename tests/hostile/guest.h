/* SPDX-License-Identifier: MIT */
/*
 * guest.h - what the modes of the hostile guest share. It attaches as any guest does; but it has
 * mapped its own segment for writing before, so that it can store whatever it likes.
 */
#ifndef PEAL_TESTS_HOSTILE_GUEST_H
#define PEAL_TESTS_HOSTILE_GUEST_H

#include <stddef.h>

#include <peal/peal.h>

#include "hostile/hostile.h"
#include "ring/layout.h"

struct mode {
	const char *name;
	int (*before)(void); /* instead of attaching, or NULL; does not return 0 to go on */
	int (*run)(void);    /* attached; the result is the exit status */
};

/* Each ends with a mode without a name. */
extern const struct mode memory_modes[], bell_modes[], life_modes[];

/* --- guest.c --------------------------------------------------------------------------------- */

extern struct peal_channel *channel;
extern struct account *account;
extern int argument_count;
extern char **arguments;

/* Duplicates of what the command line named: attaching closes nothing of these. */
enum { HOST, GUEST, SIDES };
extern int segments[SIDES];

/* Where we ring and are rung: as producer, as consumer. Also in a forked child. */
extern int bells[2];

/* Done by attack_until_stopped() now and then, and before it says that it is done; or NULL. */
extern void (*at_times)(void), (*at_the_end)(void);

/* Our segment, for writing, and the host's, for reading. */
extern struct peal_segment_header *own;
extern uint64_t *own_data;
extern const struct peal_segment_header *host;

/* must() - what does not hold ends this process, and the host is told the line. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			guest_fail(__LINE__);                                                      \
	} while (0)
void guest_fail(int line) __attribute__((noreturn));

/* Send back what comes, each byte checked, until the host is gone. 0 if all was right. */
int echo(void);

/* The same without a sleep: for who spoils the words and bells that sleeping needs. */
int echo_awake(void);

/* Be hostile in a thread while echoing awake. */
int echo_beside(void (*attack)(void));

/* Repeat @attack until the host says stop; then that it is done. */
void attack_until_stopped(void (*attack)(void));

/* Commit the first @count records of the honest stream. */
void commit_honestly(uint64_t count);

/* Wait for the host's first record: it has seen that we are here, whatever we claim from now on. */
void await_host(void);

/* Say that hostilities have begun; wait for the host's stop; say that they are done. */
void stand_by(void);

/* Live on and do nothing, until killed. */
int stall(void);

/* One bell at each ring, by the raw socket. */
void ring_both(void);

/* A number; every one may come, some come often. */
uint64_t any_value(void);

static inline void store(void *word, uint64_t value)
{
	__atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
}

static inline uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

#endif
