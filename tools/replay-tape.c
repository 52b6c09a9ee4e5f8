/* SPDX-License-Identifier: MIT */
#include <peal/base.h>

#include "command.h"
#include "replay.h"

/* A pause that nobody sees the end of: 31 years. */
#define PAUSE_MAX_NS 1e18

static void fail(struct tape *tape, int status)
{
	if (status && tape->status == STATUS_OK)
		tape->status = status;
	tape->at_end |= status != 0;
}

static void shut(struct tape *tape)
{
	fail(tape, log_end(&tape->reader));
	log_shut(&tape->reader);
	tape->is_open = false;
}

/* The times of records, and so the pauses, go on from file to file. A clock that was set back makes
 * no pause, and neither does the time in which nobody recorded. */
static void set_due(struct tape *tape)
{
	uint64_t time_ns = tape->record.time_ns;
	double pause_ns = 0;

	if (tape->due_ns == 0)
		tape->due_ns = peal_now_ns();
	else if (tape->speed > 0 && time_ns > tape->last_ns && !tape->record.begins_session)
		pause_ns = (double)(time_ns - tape->last_ns) / tape->speed;
	tape->due_ns += (uint64_t)(pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
	tape->last_ns = time_ns;
}

bool tape_next(struct tape *tape)
{
	int rc;

	while (!tape->has_record && !tape->at_end) {
		if (tape->is_open) {
			rc = log_next(&tape->reader, &tape->record);
			tape->has_record = rc == 1;
			if (rc < 0)
				fail(tape, -rc);
			else if (rc == 0)
				shut(tape);
		} else if (*tape->paths) {
			fail(tape, log_open(&tape->reader, *tape->paths++));
			tape->is_open = !tape->at_end;
		} else {
			tape->at_end = true;
		}
		if (tape->has_record)
			set_due(tape);
	}
	return tape->has_record;
}

void tape_take(struct tape *tape)
{
	tape->has_record = false;
}

void tape_close(struct tape *tape)
{
	if (tape->is_open)
		log_shut(&tape->reader);
	tape->is_open = false;
}
