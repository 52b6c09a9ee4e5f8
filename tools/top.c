/* SPDX-License-Identifier: MIT */
/*
 * top.c - `peal top`: the channels, live, on a terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <peal/base.h>

#include "command.h"
#include "top.h"

static const char help[] =
	"usage: peal top [OPTION]...\n"
	"\n"
	"Shows the rings of all processes that you may look at, live: who writes, who\n"
	"reads, how full, how fast now and lately; red where a side is stuck, and for how\n"
	"long. Reads only, and needs no help from the processes.\n"
	"\n"
	"  -i, --interval TIME  between two looks (1s), at least 50ms\n"
	"  -s, --sort stall|traffic\n"
	"                       first what has been stuck the longest, or what is fastest\n"
	"  -1, --once           one frame, after two looks, as text on standard output\n"
	"  -j, --json           no frames, but an object for each channel at each look,\n"
	"                       one a line\n"
	"  -h, --help           this\n"
	"\n"
	"Keys: s by stall, t by traffic, q quit\n"
	"Exit: 0 by q or --once, 1 failed, 2 usage, 130 by Ctrl-C\n"
	"\n"
	"Example: four times a second, the fastest first\n"
	"  peal top --interval 250ms --sort traffic\n";

#define INTERVAL_MIN_NS UINT64_C(50000000)

struct options {
	struct top_view view;
	bool once, json;
};

static int parse_order(const char *text, enum top_order *order)
{
	if (strcmp(text, "stall") == 0)
		*order = TOP_BY_STALL;
	else if (strcmp(text, "traffic") == 0)
		*order = TOP_BY_TRAFFIC;
	else
		return wrong_usage("--sort: 'stall' or 'traffic' was expected, not '%s'", text);
	return 0;
}

static int parse_option(int option, struct options *options)
{
	switch (option) {
	case 'i':
		return take_duration("--interval", optarg, &options->view.interval_ns);
	case 's':
		return parse_order(optarg, &options->view.order);
	case '1':
		options->once = true;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'h':
		fputs(help, stdout);
		return -1;
	default:
		return STATUS_USAGE;
	}
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{"interval", required_argument, NULL, 'i'}, {"sort", required_argument, NULL, 's'},
		{"once", no_argument, NULL, '1'},           {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},           {0},
	};
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "i:s:1jh", longs, NULL)) != -1)
		rc = parse_option(option, options);
	if (rc != 0)
		return rc;
	if (optind < argc)
		return wrong_usage("no argument was expected, and there is '%s'", argv[optind]);
	if (options->view.interval_ns < INTERVAL_MIN_NS)
		return wrong_usage("--interval: at least 50ms was expected");
	if (!options->once && !options->json && !isatty(STDOUT_FILENO))
		return wrong_usage("standard output is no terminal; --once prints one frame");
	return 0;
}

/* --- Looking ----------------------------------------------------------------------------------------- */

static int follow(struct top_channels *channels)
{
	int rc = top_follow(channels);

	if (rc == 0)
		return 0;
	complain("looking at /proc: %s", strerror(-rc));
	return STATUS_FAILED;
}

static int print_objects(const struct top_channels *channels)
{
	int rc = 0;

	for (size_t i = 0; i < channels->count && rc == 0; i++)
		rc = print_json(look_json(&channels->list[i].channel, &channels->list[i].now,
					  channels->list[i].flows));
	return rc;
}

/* Wait for the end of the interval, a key where there is a terminal, or the end of it all. Return:
 * 0; a status to end with. */
static int wait_until(int stop, int keys, uint64_t deadline_ns)
{
	struct pollfd fds[] = {{.fd = stop, .events = POLLIN}, {.fd = keys, .events = POLLIN}};
	const uint64_t now_ns = peal_now_ns();
	const uint64_t ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	const struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	sigset_t mask;
	int signal;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigdelset(&mask, SIGWINCH);
	if (ppoll(fds, 2, &time, &mask) < 0 && errno != EINTR)
		return STATUS_FAILED;
	signal = stop_signal(stop);
	if (signal != 0)
		return STATUS_SIGNAL + signal;
	return fds[1].revents & (POLLERR | POLLHUP | POLLNVAL) ? STATUS_OUTPUT_GONE : 0;
}

/* --- Without a screen ---------------------------------------------------------------------------------- */

static void print_line(int row, enum top_style style, const char *text)
{
	size_t length = strlen(text);
	bool in_colour = style == TOP_STUCK && wants_colour(STDOUT_FILENO);

	(void)row;
	while (length > 0 && text[length - 1] == ' ')
		length--;
	printf("%s%.*s%s\n", colour(in_colour, COLOUR_RED), (int)length, text,
	       colour(in_colour, COLOUR_NONE));
}

static int print_frame(const struct top_channels *channels, struct top_view *view)
{
	struct winsize size;

	view->rows = 0;
	view->columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		view->columns = size.ws_col;
	if (top_draw(channels, view, print_line) == 0)
		return STATUS_OK;
	complain("no memory");
	return STATUS_FAILED;
}

static int print_looks(struct top_channels *channels, struct options *options, int stop)
{
	int rc = follow(channels);

	while (rc == 0) {
		rc = wait_until(stop, -1, peal_deadline_in_ns(options->view.interval_ns));
		if (rc == 0)
			rc = follow(channels);
		if (rc == 0 && options->json)
			rc = print_objects(channels);
		else if (rc == 0)
			rc = print_frame(channels, &options->view);
		if (options->once)
			break;
	}
	return rc;
}

/* --- On a screen ----------------------------------------------------------------------------------------- */

static void draw_line(int row, enum top_style style, const char *text)
{
	const chtype red = has_colors() ? (chtype)COLOR_PAIR(1) : A_BOLD;

	attrset(style == TOP_HEADING ? A_REVERSE : style == TOP_STUCK ? red : A_NORMAL);
	mvaddstr(row, 0, text);
	attrset(A_NORMAL);
}

static int draw(const struct top_channels *channels, struct top_view *view)
{
	getmaxyx(stdscr, view->rows, view->columns);
	erase();
	if (top_draw(channels, view, draw_line) < 0)
		return STATUS_FAILED;
	refresh();
	return 0;
}

/* Return: true when it is time to go. */
static bool press(int key, struct top_view *view)
{
	if (key == 's')
		view->order = TOP_BY_STALL;
	else if (key == 't')
		view->order = TOP_BY_TRAFFIC;
	else if (key == KEY_RESIZE)
		clearok(stdscr, TRUE); /* terminals differ in what they keep */
	return key == 'q';
}

static int run_screen(struct top_channels *channels, struct top_view *view, int stop)
{
	/* What is no terminal may be at its end, which is readable for ever. */
	const int keys = isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
	uint64_t next_ns = 0;
	int key, rc = 0;

	while (rc == 0) {
		if (peal_now_ns() >= next_ns) {
			rc = follow(channels);
			next_ns = peal_deadline_in_ns(view->interval_ns);
		}
		if (rc == 0)
			rc = draw(channels, view);
		if (rc == 0)
			rc = wait_until(stop, keys, next_ns);
		while (rc == 0 && (key = getch()) != ERR)
			if (press(key, view))
				return STATUS_OK;
	}
	return rc;
}

/* A new size of the window is told by a signal, which ends a wait; one that came before would not. So it
 * comes only while we wait. */
static void hold_back_resizes(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int show_screen(struct top_channels *channels, struct top_view *view, int stop)
{
	SCREEN *screen;
	int rc;

	hold_back_resizes();
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		complain("this terminal is not known (TERM); --once prints one frame");
		return STATUS_FAILED;
	}
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	curs_set(0);
	if (wants_colour(STDOUT_FILENO) && start_color() == OK) {
		use_default_colors();
		init_pair(1, COLOR_RED, -1);
	}
	rc = run_screen(channels, view, stop);
	endwin();
	delscreen(screen);
	return rc;
}

static int run(int argc, char **argv)
{
	struct options options = {.view.interval_ns = 1000000000};
	struct top_channels channels = {0};
	int stop, rc = parse(argc, argv, &options);

	if (rc != 0)
		return rc < 0 ? STATUS_OK : rc;
	/* For the width of characters alone: figures keep their point. */
	setlocale(LC_CTYPE, "");
	options.view.has_blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	stop = stop_open();
	if (stop < 0) {
		complain("signals: %s", strerror(-stop));
		return STATUS_FAILED;
	}
	if (options.once || options.json)
		rc = print_looks(&channels, &options, stop);
	else
		rc = show_screen(&channels, &options.view, stop);
	top_forget(&channels);
	return rc;
}

const struct command command_top = {
	.name = "top",
	.summary = "watch all channels live, with the stuck ones in red",
	.help = help,
	.run = run,
};
