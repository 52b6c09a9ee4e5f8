/* SPDX-License-Identifier: MIT */
/*
 * Promises of adopt.h: the guest takes its descriptors from the command line, all or none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <peal/base.h>

#include "harness.h"
#include "spawn/adopt.h"

#define ARGS_MAX 16
/* Where the open descriptors are; 200 is closed. */
#define FIRST    100
#define COUNT    6

struct line {
	char *argv[ARGS_MAX + 1];
	int argc;
};

static void open_all(void)
{
	int fd = eventfd(0, 0);

	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(dup2(fd, FIRST + i), FIRST + i);
	close(fd);
}

static void close_all(void)
{
	for (int i = 0; i < COUNT; i++)
		close(FIRST + i);
}

static void assert_flags(int expected)
{
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(fcntl(FIRST + i, F_GETFD), expected);
}

/* Cut at the bars, as nothing here contains one: "plugin|--fd=5". @text is written to. */
static struct line split(char *text)
{
	struct line line = {{NULL}, 0};
	char *word;

	while ((word = strsep(&text, "|")))
		line.argv[line.argc++] = word;
	return line;
}

static void assert_line(const struct line *line, const char *expected)
{
	char joined[512] = "";

	for (int i = 0; i < line->argc; i++) {
		strcat(joined, i > 0 ? "|" : "");
		strcat(joined, line->argv[i]);
	}
	ck_assert_str_eq(joined, expected);
	ck_assert_ptr_null(line->argv[line->argc]);
}

START_TEST(both_spellings_are_found_and_taken_out)
{
	static const struct {
		const char *given, *left;
		size_t bells, segments;
		int first_bell;
	} cases[] = {
		{"p|--bell=100", "p", 1, 0, 100},
		{"p|--bell|100", "p", 1, 0, 100},
		{"p|a|--bell=100|b|--segment|101|c", "p|a|b|c", 1, 1, 100},
		{"p|--segment=101|--segment|102|--bell=103", "p", 1, 2, 103},
		{"p|--bell=103|--bell=101|--bell|100|--bell=102", "p", 4, 0, 103},
		{"p|--bell|00100|x", "p|x", 1, 0, 100},
		{"p|--|-x|--bell=100", "p|--|-x", 1, 0, 100},
		{"p|--bells=100|-bell=100|bell|--bel=100", "p|--bells=100|-bell=100|bell|--bel=100",
		 0, 0, 0},
		{"--bell=100|x", "--bell=100|x", 0, 0, 0},
		{"p", "p", 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peal_adopted wanted[] = {{.arg = "--bell", .count = 9},
						{.arg = "--segment", .count = 9}};
		char *text = strdup(cases[i].given);
		struct line line = split(text);

		open_all();
		assert_ok(peal_adopt_args(&line.argc, line.argv, wanted, 2));
		assert_line(&line, cases[i].left);
		ck_assert_uint_eq(wanted[0].count, cases[i].bells);
		ck_assert_uint_eq(wanted[1].count, cases[i].segments);
		if (cases[i].bells > 0)
			ck_assert_int_eq(wanted[0].fds[0], cases[i].first_bell);
		for (int fd = FIRST; fd < FIRST + COUNT; fd++) {
			int found = 0;

			for (size_t j = 0; j < wanted[0].count; j++)
				found += wanted[0].fds[j] == fd;
			for (size_t j = 0; j < wanted[1].count; j++)
				found += wanted[1].fds[j] == fd;
			ck_assert_int_le(found, 1);
			ck_assert_int_eq(fcntl(fd, F_GETFD), found ? FD_CLOEXEC : 0);
		}
		close_all();
		free(text);
	}
}
END_TEST

START_TEST(the_order_is_that_of_the_command_line)
{
	char text[] = "p|--bell=102|--segment|105|--bell|100|--bell=101";
	struct peal_adopted wanted[] = {{.arg = "--bell"}, {.arg = "--segment"}};
	struct line line = split(text);

	open_all();
	assert_ok(peal_adopt_args(&line.argc, line.argv, wanted, 2));
	ck_assert_int_eq(wanted[0].fds[0], 102);
	ck_assert_int_eq(wanted[0].fds[1], 100);
	ck_assert_int_eq(wanted[0].fds[2], 101);
	ck_assert_int_eq(wanted[1].fds[0], 105);
	close_all();
}
END_TEST

START_TEST(a_bad_argument_is_named_and_changes_nothing)
{
	static const struct {
		const char *given, *words;
		int error;
	} bad[] = {
		{"--bell=", "--bell: '' is not a descriptor number", EINVAL},
		{"--bell|", "--bell: '' is not a descriptor number", EINVAL},
		{"--bell", "--bell: no descriptor number follows", EINVAL},
		{"--bell|--", "--bell: '--' is not a descriptor number", EINVAL},
		{"--bell|--segment=101", "--bell: '--segment=101' is not", EINVAL},
		{"--bell=+103", "--bell: '+103' is not", EINVAL},
		{"--bell=-3", "--bell: '-3' is not", EINVAL},
		{"--bell= 103", "--bell: ' 103' is not", EINVAL},
		{"--bell=103 ", "--bell: '103 ' is not", EINVAL},
		{"--bell=0x67", "--bell: '0x67' is not", EINVAL},
		{"--bell=103x", "--bell: '103x' is not", EINVAL},
		{"--bell==103", "--bell: '=103' is not", EINVAL},
		{"--bell=2147483648", "--bell: '2147483648' is too large", ERANGE},
		{"--bell=18446744073709551719", "is too large", ERANGE},
		{"--bell=0", "--bell: 0 is a standard stream", EINVAL},
		{"--bell=1", "--bell: 1 is a standard stream", EINVAL},
		{"--bell=2", "--bell: 2 is a standard stream", EINVAL},
		{"--bell=200", "--bell: descriptor 200 is not open", EBADF},
		{"--bell=100", "--bell: descriptor 100 was given before, as --segment", EINVAL},
		{"--bell=103|--bell|0103", "--bell: descriptor 103 was given before, as --bell",
		 EINVAL},
		{"--bell=101|--bell=102|--bell=103|--bell=104|--bell=105",
		 "--bell: given more than 4 times", EINVAL},
	};

	open_all();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peal_adopted wanted[] = {{.arg = "--bell", .count = 9},
						{.arg = "--segment", .count = 9}};
		char text[256], given[256];
		struct line line;

		/* A good one comes first, which must be given up as well. */
		snprintf(text, sizeof(text), "p|--segment=100|x|%s", bad[i].given);
		strcpy(given, text);
		line = split(text);
		assert_fails(peal_adopt_args(&line.argc, line.argv, wanted, 2), bad[i].error,
			     bad[i].words);
		assert_line(&line, given);
		assert_flags(0);
		ck_assert_uint_eq(wanted[0].count, 9);
		ck_assert_uint_eq(wanted[1].count, 9);
	}
	close_all();
}
END_TEST

START_TEST(no_arguments_at_all_are_borne)
{
	struct peal_adopted wanted[5] = {{.arg = "--a", .count = 9}};
	char *argv[] = {NULL};
	int argc = 0;

	assert_ok(peal_adopt_args(&argc, argv, wanted, 1));
	ck_assert_int_eq(argc, 0);
	ck_assert_uint_eq(wanted[0].count, 0);
	assert_fails(peal_adopt_args(&argc, argv, wanted, 5), EINVAL, "at most 4");
}
END_TEST

int main(void)
{
	return harness_main("adopt", (struct harness_case[]){
					     {both_spellings_are_found_and_taken_out, 0},
					     {the_order_is_that_of_the_command_line, 0},
					     {a_bad_argument_is_named_and_changes_nothing, 0},
					     {no_arguments_at_all_are_borne, 0},
					     HARNESS_END,
				     });
}
