/* SPDX-License-Identifier: MIT */
/*
 * run.h - `peal run`: standard input ─▶ ring ─▶ guest ─▶ ring ─▶ standard output.
 *
 *	run.c           options, help, starting again
 *	run-guest.c     one guest from its start to its end
 *	run-show.c      the progress line, and the report at the end
 *	run-flow.c      records: from the input to the ring, from the ring to the output
 *	run-frame.c     records in a stream of bytes
 *	run-seccomp.c   the filter around a guest
 */
#ifndef PEAL_TOOLS_RUN_H
#define PEAL_TOOLS_RUN_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peal/peal.h>

enum framing {
	FRAMING_LINES,  /* a record is a line without its end */
	FRAMING_LENGTH, /* a record stands behind its length, 4 bytes, little-endian */
};

/* An end of input for a guest whose doorbells can not hang up: an empty record of this type. */
#define RUN_END_TYPE 65535

#define RUN_RLIMITS_MAX 16

/* Rings that a channel can have, and one for those who have no reason for another. */
#define RING_MIN     UINT64_C(4096)
#define RING_MAX     (UINT64_C(1) << 40)
#define RING_DEFAULT (UINT64_C(1) << 20)

#define READY_DEFAULT_NS UINT64_C(10000000000)

/* What a guest may ask of the kernel. */
struct filter {
	struct sock_filter code[512];
	unsigned short length; /* 0: there is none */
	bool names_itself;     /* the guest's process id is to be filled in */
};

struct tape;
struct log_writer;

struct run_options {
	char **argv;
	struct tape *tape;      /* of peal replay: records come from there; NULL: from stdin */
	struct log_writer *log; /* of peal record: gets what the guest sends, as well; or NULL */
	bool quiet;             /* nobody else gets it */
	enum framing framing;
	uint64_t to_guest_bytes, to_host_bytes;
	uint32_t doorbell;
	unsigned int spawn_flags;
	struct peal_rlimit rlimits[RUN_RLIMITS_MAX];
	size_t rlimit_count;
	struct filter filter;
	uint64_t restarts;
	uint64_t ready_ns;
	bool json;
};

/* --- run-frame.c --------------------------------------------------------------------------------- */

/* A stream of bytes that is cut into records, or made of them. */
struct stream {
	int fd;
	enum framing framing;
	bool is_file; /* never makes anybody wait */
	bool at_end;  /* of input: nothing comes any more; of output: nothing can go any more */
	unsigned char *buffer;
	size_t size, begin, end;
	size_t room;    /* what the largest record takes */
	size_t scanned; /* behind @begin: there is no end of a line in these bytes */
	uint64_t records, bytes;
	struct tape *tape;      /* of input: records come from there, each at its time; or NULL */
	uint16_t type;          /* of the record that stream_next() found */
	struct log_writer *log; /* of output: gets them as well; or NULL */
	bool quiet;             /* nobody else gets them */
	int log_status;         /* what it says */
	uint64_t now_ns;        /* when they came, for @log: the caller's to set */
};

/* The value of --framing. Return: as take_word(). */
int take_framing(const char *text, enum framing *framing);

/* @record_max: the largest record. Return: 0 or -ENOMEM. */
int stream_open(struct stream *stream, int fd, enum framing framing, size_t record_max);
void stream_close(struct stream *stream);

/* Input. Reads once; returns 0 (also at the end) or a negative errno. */
int stream_fill(struct stream *stream);
/* The next record, which stays in the buffer until it is taken. Return: 1; 0 when more must be read
 * first; -ENODATA when the input ended inside of a record; -EMSGSIZE when it is larger than @max. */
int stream_next(struct stream *stream, size_t max, const void **data, size_t *size);
void stream_take(struct stream *stream);
/* What was read and not taken is dropped; this is the end. */
void stream_cut(struct stream *stream);

/* Output. Has it room for the largest record, or must all be written first? */
bool stream_has_room(const struct stream *stream);
void stream_add(struct stream *stream, const void *data, size_t size, uint16_t type);
/* Writes what can be written without waiting. Return: 0 or a negative errno. */
int stream_flush(struct stream *stream);
bool stream_is_empty(const struct stream *stream);

/* When there will be another record of @tape, or something of @log is to be written; PEAL_FOREVER. */
uint64_t stream_due_ns(const struct stream *stream);
/* Writes it. */
void stream_keep(struct stream *stream);

/* --- run-flow.c ---------------------------------------------------------------------------------- */

/* One guest, and what is between it and us. */
struct guest {
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_poller *poller;
	struct peal_watch *data, *space;
	uint32_t doorbell;
	/* Whose are the ends now? Ours, until the ring is empty or full; then the poller's. */
	bool has_data, has_space;
	bool rx_over;   /* no record comes any more */
	bool tx_over;   /* none can go any more, or the guest was told so */
	bool ended;     /* the process */
	int error;      /* of the ring: -EPROTO and the like; the sentence was printed */
	bool bad_input; /* the rest of it is not read; said already */
	uint64_t waits_for_room;
};

/* As far as it goes without waiting. Return: was anything done? */
bool flow_in(struct guest *guest, struct stream *input);
bool flow_out(struct guest *guest, struct stream *output);

/* --- run-show.c ---------------------------------------------------------------------------------- */

/* What the progress line was last told. */
struct show {
	bool wanted;
	uint64_t begin_ns, last_ns;
	uint64_t in_bytes, out_bytes;
	double in_rate, out_rate;
	uint64_t taken, taken_ns; /* the guest's position in its input, and since when */
};

struct run;
void show_progress(struct run *run, const struct guest *guest);
/* @end: a sentence about the last guest. */
void show_report(const struct run *run, const char *end, int status);

/* --- run-guest.c --------------------------------------------------------------------------------- */

struct run {
	const struct run_options *options;
	struct stream input, output;
	struct show show;
	int stop_fd;
	int signal;       /* which stopped us, or 0 */
	int output_errno; /* of a write that failed, or 0 */
	bool bad_input;
	uint64_t lost; /* bytes that guests had not taken when they ended, headers included */
	uint64_t waits_for_room, starts;
	struct peal_child_status status; /* of the last guest */
	bool has_attached;               /* did it? */
};

/* Was all that came in handed to a guest? */
bool run_input_is_over(const struct run *run);

/* Guests, with what peal record and peal replay add. Return: an enum status. */
int run_with(const struct run_options *options);

/* One guest's life. Return: -1 when it has ended by itself, with run->status and a sentence in @end;
 * otherwise an enum status, and what was wrong has been said. */
int run_guest(struct run *run, char *end, size_t end_size);

/* --- run-seccomp.c ------------------------------------------------------------------------------- */

/* @name: "compute", or a file of struct sock_filter. Return: 0, or STATUS_USAGE after a complaint. */
int filter_load(struct filter *filter, const char *name);
/* In the child, before exec: only system calls. Return: 0 or a negative errno. */
int filter_install(const struct filter *filter);

#endif
