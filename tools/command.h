/* SPDX-License-Identifier: MIT */
/*
 * command.h - what the subcommands of `peal` share.
 *
 *	main.c    which there are, help, version
 *	args.c    sizes, numbers and durations on the command line; complaints
 *	format.c  sizes, rates and times for people
 *	out.c     standard output, colour, the progress line
 *	stop.c    SIGINT and SIGTERM, and waiting
 *
 * Rules: nothing but data on standard output; --json prints one object a line; wrong usage is one
 * line on stderr and STATUS_USAGE; progress only on a terminal.
 */
#ifndef PEAL_TOOLS_COMMAND_H
#define PEAL_TOOLS_COMMAND_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct command {
	const char *name;
	const char *summary; /* in `peal --help`: at most 60 columns, no full stop */
	const char *help;    /* what --help prints: at most 80x24, with an example */
	/* argv[0] is "peal NAME", which getopt_long(3) puts before what it has to say. Return: an
	 * enum status. */
	int (*run)(int argc, char **argv);
};

extern const struct command command_bench;
extern const struct command command_pipe;
extern const struct command command_doctor;
extern const struct command command_run;
extern const struct command command_ls;
extern const struct command command_stat;
extern const struct command command_top;
extern const struct command command_record;
extern const struct command command_replay;

/* Stable, and documented in docs/man/peal.1.scd. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /* it could not be done; a line on stderr says why */
	STATUS_USAGE = 2,     /* the command line is wrong */
	STATUS_NOTHING = 3,   /* there is nothing of the kind that was asked for */
	STATUS_NO_RIGHT = 4,  /* the kernel does not allow it to this user */
	STATUS_NO_EXEC = 126, /* a program was found and could not be started */
	STATUS_NO_PROGRAM = 127,
	STATUS_SIGNAL = 128,      /* and the signal's number, as a shell has it: 130 for SIGINT */
	STATUS_OUTPUT_GONE = 141, /* standard output was closed by its reader: SIGPIPE's */
};

/* --- args.c -------------------------------------------------------------------------------------- */

/* The running subcommand's argv[0], "peal NAME"; main() sets it. */
extern const char *command_name;

/* One line on stderr: the command's name, then this. Clears the progress line first. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain() for a wrong command line. Return: STATUS_USAGE. */
int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain() with what the library says of its last failure. Return: STATUS_FAILED. */
int peal_failed(const char *what);

/*
 * The value of an option, such as "--capacity". From @min to @max. On failure @value is untouched.
 * Return: 0, or STATUS_USAGE after a complaint that says what was expected.
 */
int take_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value);
int take_size(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *bytes);
int take_duration(const char *option, const char *text, uint64_t *ns);
/* One of two words; @value is 0 for the first and 1 for the second. */
int take_word(const char *option, const char *text, const char *first, const char *second,
	      uint32_t *value);

/* complain() with why the library has not started a program, its answer being @rc. Return: STATUS_NO_PROGRAM
 * and so on. */
int spawn_failed(int rc);

/* A program and its arguments, behind "--", which ends @argv then. Return: NULL without "--". */
char **split_program(int *argc, char **argv);

/* "4096", "64K", "1M", "2G": K, M, G and T are powers of 1024. */
bool parse_size(const char *text, uint64_t *bytes);
/* "0.5s", "100ms", "10us", "5ns", "2m", "1h"; a bare number is seconds. */
bool parse_duration(const char *text, uint64_t *ns);
bool parse_number(const char *text, uint64_t *value);

/* --- format.c ------------------------------------------------------------------------------------ */

/* Enough for each of these. All return @text. */
#define FORMAT_MAX 32

char *format_bytes(char text[FORMAT_MAX], uint64_t bytes);    /* "1.50 MiB", "17 B" */
char *format_rate(char text[FORMAT_MAX], double bytes_per_s); /* "1.50 MiB/s" */
char *format_count(char text[FORMAT_MAX], double count);      /* "1.50 M", "17" */
char *format_duration(char text[FORMAT_MAX], uint64_t ns);    /* "61 s", "1.50 ms" */

/* Up to @size bytes of @text, or to its end, as printable ASCII on one line: other bytes are \xNN. What has no
 * place in @room bytes is cut. */
void escape_text(char *escaped, size_t room, const char *text, size_t size);

/* --- out.c --------------------------------------------------------------------------------------- */

/* A string of @text, escaped where it is no UTF-8: names of files and commands may be any bytes. For "o" of
 * json_pack(3). */
json_t *json_text(const char *text);

/* Prints @object as one line on standard output, and takes the caller's reference. Return: as
 * finish_output(). */
int print_json(json_t *object);

/* For an errno of writing to standard output. Return: STATUS_OUTPUT_GONE when its reader has gone, else
 * STATUS_FAILED after a complaint. */
int output_error(int error);

/* To be returned at the end: has all that was printed arrived? Return: @status if it was not
 * STATUS_OK or all has; otherwise STATUS_FAILED after a complaint, or STATUS_OUTPUT_GONE. */
int finish_output(int status);

enum colour {
	COLOUR_NONE, /* back to normal */
	COLOUR_BOLD,
	COLOUR_DIM,
	COLOUR_RED,
	COLOUR_GREEN,
	COLOUR_YELLOW,
};

/* Only on a terminal, and not with NO_COLOR or TERM=dumb. */
bool wants_colour(int fd);

/* The escape sequence, or "" when not @wanted. */
const char *colour(bool wanted, enum colour which);

/*
 * The progress line: the last line of a terminal that is stderr, written again and again. On
 * anything else, nothing. Only ASCII, so that it can be cut to the terminal's width.
 *
 *	if (progress_is_due()) progress("%s of it", …);		at most ten times a second
 *	progress_end();						cleared
 */
bool progress_is_wanted(void); /* is stderr a terminal? */
bool progress_is_due(void);
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void);

/* --- stop.c -------------------------------------------------------------------------------------- */

/*
 * From here on SIGINT, SIGTERM and SIGHUP do not end the process but make this descriptor readable.
 * Children that Peal starts have the default action all the same. Return: the descriptor, which
 * lives as long as the process, or a negative errno.
 */
int stop_open(void);

/* Which of them has come, if any; does not wait. Return: the signal, or 0. */
int stop_signal(int fd);

/* As poll(2), with a time from now; UINT64_MAX: without end. */
int poll_for(struct pollfd *fds, nfds_t count, uint64_t ns);

#endif
