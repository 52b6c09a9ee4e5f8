/* SPDX-License-Identifier: MIT */
/*
 * look.h - channels of other processes, looked at from outside.
 *
 *      /proc/PID/maps  ── find ──▶ mappings ── pair ──▶ channels ── read ──▶ figures ── tell
 *                                                        ▲
 *      /proc/PID/mem ────────────────────────────────────┘ copies, never a mapping of ours
 *
 * Nobody cooperates and nothing is changed. What maps what, for writing or not, and how large it is,
 * is the kernel's word. All that is read from a segment is its writer's claim: it is copied once,
 * checked, and shown as figures of that side; no loop and no size depends on it.
 */
#ifndef PEAL_TOOLS_LOOK_H
#define PEAL_TOOLS_LOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"

/* The sides of a channel, and the segments that they write; the ring to a side has its number. */
enum look_who { LOOK_GUEST, LOOK_HOST, LOOK_SIDES };

/* The other side. */
static inline enum look_who look_peer(enum look_who who)
{
	return who == LOOK_HOST ? LOOK_GUEST : LOOK_HOST;
}

/* 31 bytes, each at most as \xNN. */
#define LOOK_NAME_MAX 128

/* --- look-find.c: who maps segments -------------------------------------------------------------- */

/* One segment in one process, where its header begins. */
struct look_mapping {
	pid_t pid;
	enum look_who writer; /* by the name of the memfd, which can not be changed */
	bool is_writable;
	uint64_t inode;
	uint64_t address;
	uint64_t capacity;    /* by its size */
	unsigned char id[16]; /* of the channel: a claim */
	char name[LOOK_NAME_MAX];
};

struct look_mappings {
	struct look_mapping *list; /* those of one process behind one another */
	size_t count, room;
	bool denied; /* there are processes that we may not look at */
	bool secret; /* there are segments whose memory we may not read */
};

/* Look at each process. Return: 0 or a negative errno (no memory, no /proc). */
int look_find(struct look_mappings *mappings);
void look_forget(struct look_mappings *mappings);

/* May we look at this process? Return: 0, -EACCES, or -ESRCH when there is none. */
int look_may(pid_t pid);

/* The process's name, and whether a signal has stopped it. False: it is gone. */
bool look_process(pid_t pid, char name[LOOK_NAME_MAX], bool *stopped);

/* --- look-pair.c: which two belong together -------------------------------------------------------- */

struct look_channel {
	uint64_t inode[LOOK_SIDES]; /* of the segment that each side writes; 0: not known */
	pid_t pid[LOOK_SIDES];      /* who maps it for writing; 0: nobody that we see */
	pid_t through;              /* whose memory is read */
	uint64_t address[LOOK_SIDES];
	uint64_t capacity[LOOK_SIDES]; /* of the ring to each side */
	unsigned char id[16];
	char name[LOOK_NAME_MAX];
};

struct look_channels {
	struct look_channel *list; /* in the order of the hosts, then of the segments */
	size_t count, room;
};

/* Return: 0 or -ENOMEM. */
int look_pair(const struct look_mappings *mappings, struct look_channels *channels);
void look_unpair(struct look_channels *channels);

/* --- look-read.c: the figures ------------------------------------------------------------------------ */

/* One end of a ring: the claims of its owner. */
struct look_end {
	bool asleep;
	uint64_t sleeps, wakes, spurious;
	uint64_t since_ns, position; /* see docs/layout.md, "Counters" */
};

struct look_ring {
	uint64_t written, read; /* bytes ever, headers included */
	uint64_t used;          /* at most the capacity */
	bool impossible;        /* the positions do not fit together: somebody lies */
	struct look_end producer, consumer;
};

enum look_state {
	LOOK_ABSENT,   /* has not attached yet */
	LOOK_ATTACHED, /* is there */
	LOOK_REFUSED,
	LOOK_CLOSED,
	LOOK_GONE,   /* had attached; nobody maps its segment for writing any more */
	LOOK_HIDDEN, /* its process is one that we may not look at */
};

struct look_side {
	pid_t pid; /* 0: not seen */
	char name[LOOK_NAME_MAX];
	bool stopped;
	enum look_state state;
	uint32_t claimed_pid; /* its own word */
};

struct look_figures {
	uint64_t at_ns;
	uint32_t version; /* of the layout; another one than ours tells nothing more */
	uint32_t align;
	bool has_eventfds;
	struct look_side side[LOOK_SIDES];
	struct look_ring ring[LOOK_SIDES]; /* the one to each side */
};

/* Return: 0; -ESRCH when it is gone by now; -EACCES. */
int look_read(const struct look_channel *channel, struct look_figures *figures);

/* --- look-tell.c: what that means ---------------------------------------------------------------------- */

struct look_flow {
	bool has_rate;
	double bytes_per_s;
	uint64_t
		stalled_ns; /* data is there, and its consumer has released none for so long; 0: reads */
	bool is_hearsay;  /* so says the guest, of the host */
	uint64_t idle_ns; /* the consumer waits, and nothing has come for so long; 0: not so */
};

/* A consumer is called stuck from here on. */
#define LOOK_STUCK_NS UINT64_C(1000000000)

/*
 * look_compare() - the ring to @to, between two looks
 * @since_ns: since when its consumer's position is known to stand still; 0: there was no look before
 */
struct look_flow look_compare(const struct look_figures *before, const struct look_figures *now,
			      enum look_who to, uint64_t since_ns);

/* For how long it has been waiting, if it sleeps and says so; else 0. */
uint64_t look_asleep_ns(const struct look_end *end, uint64_t now_ns);

/* Of @capacity, less the header that always stays free. As text: "100", "<1", "?". */
unsigned int look_percent(const struct look_ring *ring, uint64_t capacity, uint32_t align);
char *look_percent_text(char text[FORMAT_MAX], const struct look_channel *channel,
			const struct look_figures *now, enum look_who to);

/* "guest 4711 has not read for 61 s; ring 100 % full"; "" when there is nothing to complain of. */
#define LOOK_TEXT_MAX 512
void look_complaint(char text[LOOK_TEXT_MAX], const struct look_channel *channel,
		    const struct look_figures *now, enum look_who to, const struct look_flow *flow);

/* "4711 plugin", "none", "4711 (gone)" …, at most @width columns. */
void look_side_text(char text[LOOK_TEXT_MAX], const struct look_side *side, int width);

const char *look_state_name(enum look_state state);
const char *look_who_name(enum look_who who);
json_t *look_json(const struct look_channel *channel, const struct look_figures *now,
		  const struct look_flow flows[LOOK_SIDES]);

/* --- look-take.c: two looks at all channels, for ls and stat --------------------------------------------- */

struct look_options {
	uint64_t interval_ns;
	bool json;
};

/* Return: 0; a status to end with, or -1 when @help was asked for and is printed. */
int look_parse(int argc, char **argv, const char *help, struct look_options *options);

struct look_view {
	struct look_channel channel;
	struct look_figures now;
	struct look_flow flows[LOOK_SIDES]; /* of the ring to each side */
};

struct look_views {
	struct look_view *list;
	size_t count;
	bool denied, secret; /* as in struct look_mappings */
};

/*
 * look_take() - the channels of all processes, or of some
 * @pids, @pid_count: those that count; 0: all
 * @interval_ns: between two looks; 0: one look only, and no rate
 *
 * Return: 0, or STATUS_FAILED after a complaint.
 */
int look_take(struct look_views *views, const pid_t *pids, size_t pid_count, uint64_t interval_ns);
/* As print_json(), an object for each. */
int look_print_json(const struct look_views *views);
void look_drop(struct look_views *views);

#endif
