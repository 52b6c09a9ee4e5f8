/* SPDX-License-Identifier: MIT */
/*
 * pipe.h - `peal pipe`: stages, and between two of them a joint.
 *
 *	stage ─▶ pipe ─▶ read(2) into the ring ─▶ ring ─▶ write(2) from the ring ─▶ pipe ─▶ stage
 *	      └───────────────────────────── joint ─────────────────────────────┘
 *
 * Where a stage is a guest, the joint has no pipe on that side, and the ring leads into the guest.
 * The ring of a joint between two programs that know nothing of Peal has both its ends in this
 * process. One thread moves everything: it never blocks but in io_wait().
 *
 *	pipe.c          options, help
 *	pipe-stage.c    starting the stages, how they ended
 *	pipe-chain.c    the loop: until all is through
 *	pipe-joint.c    what flows from one stage to the next
 *	pipe-guest.c    the ends of a joint that lie in another process
 *	pipe-io.c       reading, writing, waiting by io_uring, or by poll(2) where that is refused
 *	pipe-show.c     the progress line, the report at the end
 */
#ifndef PEAL_TOOLS_PIPE_H
#define PEAL_TOOLS_PIPE_H

#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <peal/peal.h>

/* --- pipe-io.c ------------------------------------------------------------------------------- */

/* One operation. Whoever has it fills in the upper half, zeroes the rest, and starts it. */
struct io_op {
	enum io_kind {
		IO_READ,
		IO_WRITE,
		IO_READABLE, /* wait until there is something to read; nothing is read */
		IO_GONE,     /* wait until nobody is at the other end of a pipe */
	} kind;
	int fd;
	struct iovec *parts; /* must stay where they are until it is done */
	unsigned int part_count;
	void (*done)(struct io_op *op);
	void *user;

	/* The rest is pipe-io.c's. */
	/* Bytes, revents, or a negative errno; -ECANCELED after io_cancel(). */
	int result;
	bool is_pending;
	bool is_cancelled;
	bool waits_first; /* io_uring: where O_NONBLOCK was set by somebody else */
	short revents;    /* poll */
};

struct io {
	bool is_uring;
	struct io_uring ring;
	struct io_op **pending; /* poll, from here on */
	struct pollfd *fds;
	unsigned int count, max;
};

/* @max: operations under way at once. Return: 0 or a negative errno. */
int io_open(struct io *io, unsigned int max);
void io_close(struct io *io);
/* A pipe's end that nobody else has: prepare it for the way that we wait. */
void io_adopt(const struct io *io, int fd);
void io_start(struct io *io, struct io_op *op);
/* Its done() comes all the same. */
void io_cancel(struct io *io, struct io_op *op);
/* Until something is done, and done() was called for all that is. Return: 0, also at the deadline;
 * or a negative errno. */
int io_wait(struct io *io, uint64_t deadline_ns);

/* --- The chain ------------------------------------------------------------------------------- */

struct stage {
	const char *command;
	unsigned int number; /* from 1 */
	bool is_guest;
	struct peal_child *child;
	struct peal_channel *channel; /* of a guest */
	struct peal_child_status status;
	int in, out; /* its standard streams until it is started; -1: ours */
	uint64_t bottleneck_ns;
};

/* As many records are written at once. */
#define JOINT_PARTS 16

struct joint {
	struct chain *chain;
	struct stage *before, *behind;             /* NULL: standard input, output */
	struct peal_channel *tx_end, *rx_end;      /* whose producer, whose consumer is ours */
	struct peal_channel *own_host, *own_guest; /* a ring with both ends here */
	size_t chunk;                              /* the most that is read at once */

	/* The end that is filled, from a descriptor or from the other end's records. */
	int in;
	struct io_op read;
	struct iovec room;
	bool in_over; /* nothing comes any more, or nobody wants it */
	struct peal_watch *space;
	bool has_space; /* the producer is ours now, not the poller's */

	/* The end that is emptied, into a descriptor or into the other end. */
	int out;
	struct io_op write, gone;
	struct iovec parts[JOINT_PARTS];
	struct peal_record records[JOINT_PARTS];
	unsigned int held;
	bool out_over;
	struct peal_watch *data;
	bool has_data;

	uint64_t in_bytes, out_bytes; /* a guest's side is not seen: as the other */
	/* As of the last look, which decides whose the time since then was. */
	bool was_full, was_empty;
	uint64_t full_ns, empty_ns, most_used;
};

struct pipe_options {
	char **commands;
	unsigned int count;
	uint64_t capacity;
	uint64_t size; /* what is to come through the first ring; 0: not known */
	bool pipefail;
	bool is_quiet;
	bool is_verbose;
	bool wants_json;
	bool wants_help;
};

struct chain {
	const struct pipe_options *options;
	struct io io;
	struct peal_poller *poller;
	struct io_op poller_op, stop_op;
	int stop_fd;
	struct stage *stages;
	unsigned int stage_count, running;
	struct joint *joints;
	unsigned int joint_count;
	int signal;       /* which stopped us */
	uint64_t kill_ns; /* then SIGKILL; only once there is a signal */
	int broken;       /* enum status of what failed here rather than in a stage */
	bool output_gone; /* the reader of our standard output */
	uint64_t begin_ns, end_ns;

	/* pipe-show.c */
	bool shows_progress;
	int64_t input_begin,
		input_size; /* of a regular file that is standard input; size 0: none */
	uint64_t last_ns, last_in, last_out;
	double in_rate, out_rate;
};

/* --- pipe-stage.c ---------------------------------------------------------------------------- */

/* Starts all stages, guests first, and makes the joints. Return: an enum status. */
int chain_start(struct chain *chain);
void chain_free(struct chain *chain);
/* The child of @stage has ended. */
void stage_ended(struct chain *chain, struct stage *stage);
/* All that still run. */
void chain_signal(struct chain *chain, int signal);
/* From here on what a stage has started comes to us when the stage is gone, for us to end it. */
void chain_adopt_orphans(void);
/* Once the stages have ended: ends what has come. */
void chain_end_orphans(const struct chain *chain);
/* How it ended: "ended with status 1". Return: @text. */
#define HOW_MAX 80
char *stage_describe(const struct stage *stage, char text[HOW_MAX]);
/* As a shell has it in $?. */
int stage_status(const struct stage *stage);

/* --- pipe-chain.c ---------------------------------------------------------------------------- */

/* Until all is through, or stopped. Return: an enum status for what failed here. */
int chain_run(struct chain *chain);

/* --- pipe-joint.c ---------------------------------------------------------------------------- */

/* @in, @out: descriptors, now the joint's; or -1 where the ring leads into a guest. Return: an enum
 * status, after a complaint. */
int joint_open(struct joint *joint, int in, int out);
void joint_close(struct joint *joint);
/* Moves what can be moved. */
void joint_run(struct joint *joint);
/* Nobody takes what comes; whoever sends it shall know. */
void joint_stop_in(struct joint *joint);
/* Nothing more can go out, with this errno or 0. */
void joint_stop_out(struct joint *joint, int error);
bool joint_is_over(const struct joint *joint);
/* Bytes in the ring, or rings, and what they could hold. */
void joint_fill(const struct joint *joint, uint64_t *used, uint64_t *capacity);

/* --- pipe-guest.c ---------------------------------------------------------------------------- */

/* Room, or records, or an error to be told by the ring. */
int joint_watch(struct joint *joint);
void joint_wait_for_space(struct joint *joint, size_t size);
void joint_wait_for_data(struct joint *joint);
/* From one guest's ring to the other's. */
void joint_relay(struct joint *joint);
/* Tells the guest behind that this was all. */
void joint_half_close(const struct joint *joint);
/* Tells the guest before that nobody listens. */
void joint_hang_up(const struct joint *joint);
/* Says so, EPIPE excepted. @what: a standard stream; NULL: the ring of @stage,
 * a guest that broke it and is killed. */
void joint_failed(struct joint *joint, const struct stage *stage, const char *what, int error);

/* --- pipe-show.c ----------------------------------------------------------------------------- */

/* Before anything can be read. */
void chain_show_begin(struct chain *chain);
/* Return: when to call it next. */
uint64_t chain_show(struct chain *chain);
/* A line for each stage that failed, and what was asked for. */
void chain_report(const struct chain *chain, int status);

#endif
