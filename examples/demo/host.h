/* SPDX-License-Identifier: MIT */
/*
 * host.h - the parts of peal-demo: job.c talks to the plugin, inputs.c knows the files, generate.c
 * makes one up, progress.c draws on the terminal, host.c puts them together.
 */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demo.h"

struct peal_channel;
struct peal_child;

#define MIB (UINT64_C(1) << 20)

/* --- inputs.c --------------------------------------------------------------------------------- */

struct input {
	char *name;    /* as wc would print it */
	int fd;        /* text that we generated; -1: a file to be opened by its name */
	uint64_t size; /* as known beforehand: 0 for a pipe */
	bool regular;
	bool sent;     /* all of it; the plugin may answer */
	bool answered; /* counts are filled */
	uint64_t sent_bytes;
	struct demo_counts counts;
};

struct inputs {
	struct input *list;
	size_t count;
};

/* 0 or a negative errno. Whether the files can be opened is seen when they are. */
int inputs_named(struct inputs *inputs, char **names, size_t count);

/* The largest file that is mapped into this process (a system library), and a generated one. */
int inputs_default(struct inputs *inputs);

/* One generated file of @size bytes. */
int inputs_generated(struct inputs *inputs, uint64_t size);

/* The same file once more, with nothing counted yet. */
int input_again(struct inputs *inputs, const struct input *input);

/* A descriptor to read the input from its beginning, or a negative errno. */
int input_open(const struct input *input);

/* Of all whose size is known. */
uint64_t inputs_size(const struct inputs *inputs);

void inputs_free(struct inputs *inputs);

/* --- generate.c ------------------------------------------------------------------------------- */

#define GENERATED_SIZE (256 * MIB)

/* Write @size bytes of text to @fd, the same ones every time. 0 or a negative errno. */
int generate(int fd, uint64_t size);

/* --- job.c ------------------------------------------------------------------------------------ */

#define PROGRAM "peal-demo"

/* Of the ring to the plugin, in bytes. */
#define RING_SIZE (4 * MIB)

/* A plugin at work on some files. */
struct job {
	struct inputs *inputs;
	struct peal_channel *channel;
	struct peal_child *child;
	uint64_t size;       /* of all files, as far as known; for the bar */
	uint64_t sent_bytes; /* of files */
	uint64_t records;
	size_t asked;    /* files that were sent */
	size_t answered; /* files whose counts came back */
	bool all_read;   /* no file was missing or unreadable */
	uint64_t begin_ns, end_ns;
	const char *broken; /* what the plugin said that it should not; NULL: nothing */
};

/* Start a plugin, with one argument or NULL. 0 or a negative errno; what was wrong is printed. */
int job_start(struct job *job, struct inputs *inputs, char *argument);

/* Stream the files. 0 when all is counted, otherwise a negative errno: -EPIPE when the plugin is
 * gone. Files that can not be read are no failure here; see all_read. */
int job_run(struct job *job);

/* Why job_run() failed with @error, in a sentence. */
void job_explain(struct job *job, int error, char *text, size_t size);

/* Close the channel, on which a sound plugin ends. 0 if it did, or -EPIPE. */
int job_finish(struct job *job);

/* Free everything; a plugin that still runs is killed. Also after a failed job_start(). */
void job_free(struct job *job);

/* A line on standard error, under our name and clear of the bar. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* --- progress.c ------------------------------------------------------------------------------- */

/*
 * One line on standard error, if that is a terminal; otherwise all of these do nothing. At most one
 * at a time, as there is one terminal.
 */
void progress_begin(const char *what, uint64_t total_bytes);

/* Draws twenty times a second at most. @ring_percent: how full the ring is; negative: no ring. */
void progress_update(uint64_t bytes, int ring_percent);

/* Would progress_update() draw now? Spares the caller the figures. */
bool progress_due(void);

/* Remove the line; the next update draws it again. Before printing anything else. */
void progress_clear(void);

void progress_end(void);

#endif
