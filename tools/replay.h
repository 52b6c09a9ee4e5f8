/* SPDX-License-Identifier: MIT */
/*
 * replay.h - `peal replay`: recordings ─▶ tape ─▶ standard output.
 *
 *	replay.c       options, help, standard output
 *	replay-tape.c  the records of several files, each at its time
 *	replay-info.c  --info
 */
#ifndef PEAL_TOOLS_REPLAY_H
#define PEAL_TOOLS_REPLAY_H

#include "log.h"

/* --- replay-tape.c ------------------------------------------------------------------------------- */

struct tape {
	char **paths; /* of the files that are left; NULL-terminated */
	double speed; /* 0: no pauses */
	int status;   /* of the first failure, after a complaint */
	bool at_end;  /* nothing comes any more, also after a failure */
	bool is_open, has_record;
	struct log_reader reader;
	uint64_t last_ns; /* when the record before was recorded */
	uint64_t due_ns;  /* when the next one, which tape->record is, is to go */
	struct log_record record;
};

/* Find the next record. Return: false at the end; else when it is to go is in tape->due_ns. */
bool tape_next(struct tape *tape);
/* It went. */
void tape_take(struct tape *tape);
void tape_close(struct tape *tape);

/* --- replay-info.c ------------------------------------------------------------------------------- */

/* What is in these files; NULL-terminated. Return: an enum status. */
int replay_info(char *const *paths, bool json);

#endif
