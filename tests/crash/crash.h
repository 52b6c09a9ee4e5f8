/* SPDX-License-Identifier: MIT */
/*
 * crash.h - one process is killed at a chosen instruction; another must bear it.
 *
 *              test (parent and tracer of both)
 *        steps, kills │            │ orders, reports
 *                     ▼            ▼
 *      ┌──────── victim ──┐   ┌─ survivor ───────┐
 *      │ one for each kill│◀═▶│ goes on to the   │      ◀═▶ a real channel, its descriptors sent
 *      │ host or guest,   │   │ next victim      │          over a socket of their own
 *      │ one operation    │   │                  │
 *      └────────┬─────────┘   └──────────────────┘
 *               ▼ fork, in some cells
 *      a grandchild that holds all of the victim's descriptors
 *
 * What a cell is about, the victim's operation and the state of the ring, all three know; so each
 * can tell what record number i is and where it lies. What was committed at the instant of the kill
 * the test reads from the shared memory itself, through the survivor's mapping.
 */
#ifndef PEAL_TESTS_CRASH_H
#define PEAL_TESTS_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <peal/peal.h>

#include "ring/layout.h"

/* --- cells.c: what is killed, and when ------------------------------------------------------- */

/* What the victim does. */
enum op {
	/* As a producer. */
	OP_RESERVE,
	OP_COMMIT,     /* fills and commits what is reserved */
	OP_STAGE,      /* reserves, fills and stages some, and publishes them */
	OP_SEND,       /* copies in */
	OP_WAIT_SPACE, /* sleeps in peal_reserve_wait(), is woken, fills and commits */
	OP_ARM_SPACE,  /* and disarms */
	OP_CLOSE_TX,
	OP_ATTACH_TX, /* as the guest of a channel to the host */
	/* As a consumer. */
	OP_NEXT,
	OP_RELEASE, /* copies out and releases what peal_next() showed */
	OP_RELEASE_TO,
	OP_RECV,
	OP_WAIT_DATA, /* sleeps in peal_recv() and is woken */
	OP_ARM_DATA,
	OP_CLOSE_RX,
	OP_ATTACH_RX,
	STEPPED_OPS,
	/* Without end, for who is killed at full speed. */
	OP_STREAM_TX = STEPPED_OPS,
	OP_STREAM_RX,
	OPS,
};

enum state {
	STATE_EMPTY,
	STATE_FULL,
	STATE_WRAP,    /* the record of the operation lies across the ring's end */
	STATE_LARGEST, /* it is the largest that the ring takes */
	STATES,
};

/* How the survivor waits. */
enum manner {
	MANNER_WAIT,    /* peal_next_wait(), peal_reserve_wait() */
	MANNER_FOREIGN, /* arms, and sleeps in poll(2) */
	MANNER_EPOLL,   /* in a poller */
	MANNER_IO_URING,
	MANNERS,
};

struct cell {
	enum op op;
	enum state state;
	enum manner manner;
	bool asleep; /* the survivor sleeps all the time; else it looks only after the death */
	bool victim_is_host;
	bool eventfds;
	bool fences; /* no membarrier */
	bool wide;   /* records aligned to 64 bytes; also, waits spin first */
	bool grandchild;
};

#define CELL_NAME_MAX 160

/* cell_at() - number @index of all that are thinkable; false if it makes no sense. */
#define CELLS (STEPPED_OPS * STATES * MANNERS * 2 * 32)
bool cell_at(unsigned int index, struct cell *cell);

char *cell_describe(const struct cell *cell, char *buffer, size_t size);

const char *op_name(enum op op);

static inline bool op_is_tx(enum op op)
{
	return op < OP_NEXT || op == OP_STREAM_TX;
}

static inline bool op_attaches(enum op op)
{
	return op == OP_ATTACH_TX || op == OP_ATTACH_RX;
}

static inline bool op_sleeps(enum op op)
{
	return op == OP_WAIT_SPACE || op == OP_WAIT_DATA;
}

#define CAPACITY UINT64_C(4096)

/* What lies in the ring when the operation begins. */
struct plan {
	uint64_t passed; /* records that went through before */
	uint64_t left;   /* records that nobody has taken yet */
};

struct plan cell_plan(const struct cell *cell);

static inline uint64_t cell_align(const struct cell *cell)
{
	return cell->wide ? 64 : 8;
}

/* Records that the operation publishes. */
uint64_t cell_records(const struct cell *cell);

/* Record number @i: its size, its type; its content is stream_fill()'s. */
size_t cell_record_size(const struct cell *cell, uint64_t i);
static inline uint16_t record_type(uint64_t i)
{
	return (uint16_t)(7 * i + 1);
}
uint64_t cell_record_header(const struct cell *cell, uint64_t i);

/* Where it lies. */
uint64_t cell_position(const struct cell *cell, uint64_t i);

/* --- What the processes tell each other ------------------------------------------------------ */

enum phase { PHASE_BEFORE, PHASE_DURING, PHASE_AFTER };

/* In memory that all share. */
struct board {
	/* The victim's. Relaxed stores: they are looked at while it stands still, or is dead. */
	uint32_t phase;
	uint32_t grandchild;
	uint64_t begun;    /* records whose publishing or releasing call was begun */
	uint64_t returned; /* … has returned */
	unsigned char copies[2][CAPACITY]; /* what the consumer has taken out */

	/* The survivor's: where in its memory things are. */
	const struct peal_segment_header *own, *peer;
	const uint64_t *wait_word;
};

static inline void board_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

enum order_kind {
	ORDER_START,
	ORDER_ACT, /* do what wakes the victim */
	ORDER_GO,  /* it is dead: look */
};

/* So many the survivor then takes: the victim may wait for more room than the first one leaves. */
#define ACT_RECORDS 2

struct order {
	enum order_kind kind;
	pid_t victim;
	struct cell cell;
};

enum report_kind { REPORT_PREPARED, REPORT_ACTED, REPORT_END };

struct report {
	enum report_kind kind;
	int ready;        /* what peal_channel_wait_ready() said; for a victim that attaches */
	int error;        /* what ended it */
	int again;        /* and what came when it asked once more */
	int peer;         /* peal_channel_peer() */
	bool in_commit;   /* it ended with a commit that could wake nobody */
	uint64_t next;    /* the number of the record that it did not get, or could not send */
	uint64_t when_ns; /* it knew of the end */
};

/* --- link.c: giving the guest's end away ----------------------------------------------------- */

void link_send(int link, const struct peal_guest_fds *fds);
struct peal_guest_fds link_receive(int link);

/* link_drain() - throw away what was sent and nobody received. */
void link_drain(int link);

/* crash_die() - end a process that is neither test nor tracer, with a word to say why. */
_Noreturn void crash_die(const char *who, const char *what, long rc);

#define must(who, call)                                                                            \
	do {                                                                                       \
		long must_rc_ = (long)(call);                                                      \
		if (must_rc_ < 0)                                                                  \
			crash_die(who, #call, must_rc_);                                           \
	} while (0)

/* cell_options() - of the channel, as its host is to make it. */
struct peal_channel_options cell_options(const struct cell *cell);
struct peal_attach_options cell_attach_options(const struct cell *cell);

/* --- victim.c, survivor.c -------------------------------------------------------------------- */

struct scene;

_Noreturn void victim_main(const struct scene *scene, bool traced);
_Noreturn void survivor_main(const struct scene *scene, int orders, int link);

/* --- scene.c: the processes, from the test's side -------------------------------------------- */

struct scene {
	struct cell cell;
	struct plan plan;
	struct board *board;
	int orders;    /* to the survivor */
	int link;      /* the victim's end */
	int burial[2]; /* a byte lets one grandchild go */
	int schedstat; /* of the survivor */
	pid_t survivor, victim;
	bool acted;
	uint64_t first;                /* the first record that nobody has taken */
	uint64_t reaped_ns;            /* when the victim's death was known here */
	uint64_t run_delay_ns;         /* that the survivor had waited for a processor before */
	char what[CELL_NAME_MAX + 64]; /* for messages */
};

/* scene_open() - fork a survivor. Descriptors and children are all gone after scene_close(). */
void scene_open(struct scene *scene);
void scene_close(struct scene *scene);

/* scene_start() - a new victim, and the ring as the cell wants it. */
void scene_start(struct scene *scene, const struct cell *cell, bool traced);

/* scene_prepared() - the survivor has done its part. */
void scene_prepared(struct scene *scene);

/* scene_await_sleep() - and sleeps. */
void scene_await_sleep(struct scene *scene);

/* scene_streaming() - the same for a stream: both are at it. */
void scene_streaming(struct scene *scene);

/* scene_act() - let the survivor wake the victim. */
void scene_act(struct scene *scene);

/* scene_kill() - kill, reap. scene_report() - how did the survivor take it? */
void scene_kill(struct scene *scene);
struct report scene_report(struct scene *scene);

/* scene_bury() - the grandchild, if there is one. */
void scene_bury(struct scene *scene);

/* scene_peek() - read the survivor's memory. */
void scene_peek(const struct scene *scene, const void *from, void *to, size_t size);

/* process_is_asleep() - in a system call that waits. */
bool process_is_asleep(pid_t pid);

/* scene_fail() - end the test: what cell, what point, what was wrong. */
_Noreturn __attribute__((format(printf, 2, 3))) void scene_fail(const struct scene *scene,
								const char *format, ...);

/* --- step.c ---------------------------------------------------------------------------------- */

enum at { AT_STEP, AT_SLEEP, AT_END };

#define STEPS_MAX 65536

/* What each instruction of the operation does. */
#define STEP_IS_SYSCALL 1
#define STEP_CHANGES    2 /* what is shared */

struct trace {
	unsigned int steps;
	unsigned int sleep; /* the instruction that it sleeps in; STEPS_MAX: it does not */
	unsigned char kinds[STEPS_MAX];
};

/* After so many instructions of the operation; or while the next one sleeps. */
struct point {
	unsigned int step;
	bool asleep;
};

/* step_begin() - the victim stands before the first instruction of its operation. */
void step_begin(struct scene *scene);

/* step_is_syscall() - is the next instruction one? False where it can not be told. */
bool step_is_syscall(const struct scene *scene);

/* step_once() - one instruction. A victim that falls asleep in it stays so, or is woken. */
enum at step_once(struct scene *scene, bool stay_asleep);

/* step_wait() - until the one ends that it slept in. */
enum at step_wait(struct scene *scene);

/* step_to() - to @point from the beginning, by whole system calls as far as the trace knows them. */
enum at step_to(struct scene *scene, const struct trace *trace, const struct point *point);

/* --- judge.c --------------------------------------------------------------------------------- */

/* What is shared, at one instant. */
struct truth {
	uint64_t published; /* records: the committed prefix */
	uint64_t released;  /* records */
	uint64_t state;     /* the victim's enum peal_state */
	bool waits;         /* the victim says that it sleeps */
	bool changed;       /* since the look before */
};

/* judge_look() - read it, and check all that must hold after each single instruction. The victim
 * stands still. */
struct truth judge_look(const struct scene *scene);

/* judge_report() - is this what had to become of the survivor? */
void judge_report(const struct scene *scene, const struct truth *truth,
		  const struct report *report);

/* judge_stream() - the same after a stream, whose victim was not looked at. */
void judge_stream(const struct scene *scene, const struct report *report);

/* figures_tell() - a line for the end of ./dev test. */
void figures_tell(const char *line);

/* How fast the survivors learnt of the death. */
struct delays {
	uint64_t count, in_time, late; /* late: over the bound, net of waiting for a processor */
	uint64_t worst_ns, worst_net_ns;
	uint64_t histogram[40]; /* by powers of two of a nanosecond */
};

#define DELAY_BOUND_NS UINT64_C(10000000)

void delays_add(struct delays *delays, struct scene *scene, const struct report *report);
void delays_print(const struct delays *delays);
void delays_check(const struct delays *delays);

#endif
