/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <peal/base.h>

#include "base/error.h"
#include "base/fd.h"
#include "spawn/adopt.h"

/* More names than any guest has kinds of descriptors. */
#define NAMES_MAX 4

struct hit {
	size_t name;      /* which of the wanted */
	const char *text; /* the number; NULL if the command line ends before it */
	int words;        /* how many arguments this takes up */
};

struct search {
	struct peal_adopted *wanted;
	size_t wanted_count;
	struct {
		size_t name;
		int fd;
	} found[NAMES_MAX * PEAL_ADOPT_MAX];
	size_t found_count;
};

/* Is argv[i] one of the wanted? argv is NULL-terminated, so there is always an argv[i + 1]. */
static bool match(const struct search *search, char **argv, int i, struct hit *hit)
{
	for (size_t name = 0; name < search->wanted_count; name++) {
		const char *arg = search->wanted[name].arg;
		size_t length = strlen(arg);

		if (strncmp(argv[i], arg, length) != 0)
			continue;
		if (argv[i][length] == '=') {
			*hit = (struct hit){name, argv[i] + length + 1, 1};
			return true;
		}
		if (argv[i][length] == '\0') {
			*hit = (struct hit){name, argv[i + 1], 2};
			return true;
		}
	}
	return false;
}

static int add(struct search *search, const struct hit *hit)
{
	const char *arg = search->wanted[hit->name].arg;
	size_t same_name = 0;
	int fd, rc;

	if (!hit->text)
		return peal_fail(EINVAL, "%s: no descriptor number follows", arg);
	rc = peal_fd_parse(arg, hit->text, &fd);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < search->found_count; i++) {
		same_name += search->found[i].name == hit->name;
		if (search->found[i].fd == fd)
			return peal_fail(EINVAL, "%s: descriptor %d was given before, as %s", arg,
					 fd, search->wanted[search->found[i].name].arg);
	}
	if (same_name == PEAL_ADOPT_MAX)
		return peal_fail(EINVAL, "%s: given more than %d times", arg, PEAL_ADOPT_MAX);
	search->found[search->found_count].name = hit->name;
	search->found[search->found_count++].fd = fd;
	return 0;
}

static int find_all(struct search *search, int argc, char **argv)
{
	struct hit hit;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (!match(search, argv, i, &hit))
			continue;
		rc = add(search, &hit);
		if (rc < 0)
			return rc;
		i += hit.words - 1;
	}
	return 0;
}

static void remove_all(const struct search *search, int *argc, char **argv)
{
	struct hit hit;
	int from = 1, to = 1;

	while (from < *argc) {
		if (match(search, argv, from, &hit))
			from += hit.words;
		else
			argv[to++] = argv[from++];
	}
	/* Without arguments at all there is nothing to end anew, and *argc may be 0. */
	if (to < *argc) {
		argv[to] = NULL;
		*argc = to;
	}
}

static void hand_out(const struct search *search)
{
	struct peal_adopted *adopted;

	for (size_t i = 0; i < search->wanted_count; i++)
		search->wanted[i].count = 0;
	for (size_t i = 0; i < search->found_count; i++) {
		adopted = &search->wanted[search->found[i].name];
		adopted->fds[adopted->count++] = search->found[i].fd;
	}
}

int peal_adopt_args(int *argc, char **argv, struct peal_adopted *wanted, size_t wanted_count)
{
	struct search search = {.wanted = wanted, .wanted_count = wanted_count};
	int rc;

	if (wanted_count > NAMES_MAX)
		return peal_fail(EINVAL, "%zu argument names; expected at most %d", wanted_count,
				 NAMES_MAX);
	rc = find_all(&search, *argc, argv);
	/* All were open a moment ago, so if this fails, it does so at the first and changes nothing:
	 * a seccomp filter that forbids it. */
	for (size_t i = 0; rc == 0 && i < search.found_count; i++)
		rc = peal_fd_set_cloexec(search.found[i].fd);
	if (rc < 0)
		return rc;
	remove_all(&search, argc, argv);
	hand_out(&search);
	return 0;
}
