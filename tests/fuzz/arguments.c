/* SPDX-License-Identifier: MIT */
/*
 * arguments.c - a guest's command line: words from a dictionary, and any bytes between them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <peal/channel.h>

#include "files.h"
#include "fuzz.h"
#include "spawn/adopt.h"

#define WORDS_MAX 24
#define NAMES     3
#define OPEN      5 /* descriptors, from 100 on */
#define FIRST     100

static const char *const names[NAMES] = {"--segment-fd", "--doorbell-fd", "--host-pidfd"};

/* A byte of 128 or more stands for one of these. */
static const char *const dictionary[] = {
	"--segment-fd",
	"--segment-fd=",
	"--doorbell-fd",
	"--doorbell-fd=",
	"--host-pidfd=",
	"100",
	"101",
	"102",
	"103",
	"104",
	"2147483647",
	"2147483648",
	"0",
	"-1",
	"1",
	"--",
};

static struct {
	char text[1024];
	char *argv[WORDS_MAX + 2], *before[WORDS_MAX + 2];
	int argc;
	/* What the model found. */
	int fds[NAMES][PEAL_ADOPT_MAX];
	size_t counts[NAMES];
	char *left[WORDS_MAX + 2];
	int left_count;
} m;

static void make_words(void)
{
	static char name[] = "guest";
	size_t used = 0;

	m.argv[m.argc++] = name;
	while (fuzz_more() && m.argc <= WORDS_MAX) {
		m.argv[m.argc++] = m.text + used;
		while (fuzz_more() && used + 20 < sizeof(m.text)) {
			uint8_t byte = fuzz_byte();

			if (byte == '\n' || byte == 0)
				break;
			if (byte < 128)
				m.text[used++] = (char)byte;
			else
				used += strlen(strcpy(m.text + used, dictionary[byte & 15]));
		}
		m.text[used++] = '\0';
		if (used + 21 >= sizeof(m.text))
			break;
	}
	memcpy(m.before, m.argv, sizeof(m.before));
}

/* A number as it should be: an open descriptor of 3 or more, or -1. */
static int number_of(const char *text)
{
	uint64_t value = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || text[digits] != '\0')
		return -1;
	for (size_t i = 0; i < digits; i++) {
		value = value * 10 + (uint64_t)(text[i] - '0');
		if (value > INT32_MAX)
			return -1;
	}
	return value >= 3 && fuzz_is_open((int)value) ? (int)value : -1;
}

static bool is_known(int fd)
{
	for (size_t name = 0; name < NAMES; name++)
		for (size_t i = 0; i < m.counts[name]; i++)
			if (m.fds[name][i] == fd)
				return true;
	return false;
}

static bool add(size_t name, const char *text)
{
	int fd = text ? number_of(text) : -1;

	if (fd < 0 || is_known(fd) || m.counts[name] == PEAL_ADOPT_MAX)
		return false;
	m.fds[name][m.counts[name]++] = fd;
	return true;
}

/* Read as the documents say: NAME=N or NAME N. */
static bool model(void)
{
	m.left[m.left_count++] = m.argv[0];
	for (int i = 1; i < m.argc; i++) {
		const char *equals = strchr(m.argv[i], '=');
		size_t length = equals ? (size_t)(equals - m.argv[i]) : strlen(m.argv[i]), name;

		for (name = 0; name < NAMES; name++)
			if (strlen(names[name]) == length &&
			    memcmp(m.argv[i], names[name], length) == 0)
				break;
		if (name == NAMES)
			m.left[m.left_count++] = m.argv[i];
		else if (!add(name, equals ? equals + 1 : m.argv[++i]))
			return false;
	}
	return true;
}

static bool has_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void check_adopted(const struct peal_adopted *adopted)
{
	for (size_t name = 0; name < NAMES; name++) {
		FUZZ_CHECK(adopted[name].count == m.counts[name], "%zu descriptors for %s",
			   adopted[name].count, names[name]);
		for (size_t i = 0; i < m.counts[name]; i++)
			FUZZ_CHECK(adopted[name].fds[i] == m.fds[name][i] &&
					   has_cloexec(m.fds[name][i]),
				   "%s %d", names[name], adopted[name].fds[i]);
	}
	m.left[m.left_count] = NULL;
	FUZZ_CHECK(m.argc == m.left_count &&
			   memcmp(m.argv, m.left, ((size_t)m.left_count + 1) * sizeof(char *)) == 0,
		   "what is left of the command line");
}

static void check_untouched(int argc)
{
	FUZZ_CHECK(m.argc == argc && memcmp(m.argv, m.before, sizeof(m.before)) == 0,
		   "the command line changed");
}

static void adopt(void)
{
	struct peal_adopted adopted[NAMES] = {
		{.arg = names[0]}, {.arg = names[1]}, {.arg = names[2]}};
	int argc = m.argc, rc;
	bool good = model();

	rc = peal_adopt_args(&m.argc, m.argv, adopted, NAMES);
	FUZZ_CHECK((rc == 0) == good, "%d (%s)", rc, rc < 0 ? peal_last_error() : "");
	if (good)
		return check_adopted(adopted);
	FUZZ_CHECK(rc == -EINVAL || rc == -ERANGE || rc == -EBADF, "%d for a false argument", rc);
	check_untouched(argc);
	for (int fd = FIRST; fd < FIRST + OPEN; fd++)
		FUZZ_CHECK(!has_cloexec(fd), "descriptor %d was changed", fd);
}

static void attach(void)
{
	struct peal_channel *channel = NULL;
	int argc = m.argc, rc = peal_attach_args(&channel, &m.argc, m.argv, NULL);

	/* None of the descriptors is a segment. */
	FUZZ_CHECK(rc < 0 && !channel, "attached to nothing");
	check_untouched(argc);
}

void fuzz_arguments(void)
{
	uint8_t how = fuzz_byte();

	memset(&m, 0, sizeof(m));
	for (int i = 0; i < OPEN; i++)
		FUZZ_CHECK(dup2(STDERR_FILENO, FIRST + i) == FIRST + i, "no descriptor");
	make_words();
	if (how & 1)
		attach();
	else
		adopt();
	for (int i = 0; i < OPEN; i++)
		FUZZ_CHECK(close(FIRST + i) == 0, "descriptor %d was closed", FIRST + i);
}
