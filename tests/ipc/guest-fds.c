/* SPDX-License-Identifier: MIT */
/*
 * A guest that says what it was born with. The first argument is what to do; most answers are the
 * exit status, 0 meaning "as it should be".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* N of the first "--…=N" from argv[*i] on, or -1; *i is left at the next argument. */
static int next_fd(char **argv, int *i)
{
	while (argv[*i]) {
		const char *arg = argv[(*i)++], *value = strchr(arg, '=');

		if (strncmp(arg, "--", 2) == 0 && value)
			return atoi(value + 1);
	}
	return -1;
}

static bool is_expected(char **argv, int fd)
{
	int i = 2, given;

	if (fd <= STDERR_FILENO)
		return true;
	while ((given = next_fd(argv, &i)) >= 0)
		if (given == fd)
			return true;
	return false;
}

/* Exactly the standard streams that "STREAMS" counts, and what argv names. */
static int table(char **argv)
{
	DIR *dir = opendir("/proc/self/fd");
	int i = 2, expected = atoi(argv[2]), seen = 0, wrong = 0;
	struct dirent *entry;

	while (next_fd(argv, &i) >= 0)
		expected++;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		seen++;
		if (is_expected(argv, fd))
			continue;
		wrong++;
		fprintf(stderr, "guest: descriptor %d was inherited\n", fd);
	}
	closedir(dir);
	if (seen != expected)
		fprintf(stderr, "guest: %d descriptors, expected %d\n", seen, expected);
	return wrong > 0 || seen != expected;
}

/* Write argv, a line each, into the first descriptor that it names. */
static int print_argv(char **argv)
{
	int i = 1;
	int fd = next_fd(argv, &i);

	for (i = 0; argv[i]; i++)
		dprintf(fd, "%s\n", argv[i]);
	return 0;
}

static unsigned long long status_mask(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long mask = ~0ull;
	char line[256];

	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			mask = strtoull(line + strlen(name), NULL, 16);
	fclose(file);
	return mask;
}

/* Bit 0: signals are blocked; bit 1: signals are ignored. */
static int signals(void)
{
	return (status_mask("SigBlk:") != 0) | (status_mask("SigIgn:") != 0) << 1;
}

static int die(int signal)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	sigaction(signal, &action, NULL); /* a sanitizer may have taken it */
	kill(getpid(), signal);
	return 99;
}

static int has_limit(int resource, unsigned long value)
{
	struct rlimit limit;

	getrlimit((__rlimit_resource_t)resource, &limit);
	return limit.rlim_cur == value && limit.rlim_max == value ? 0 : 1;
}

static int has_variable(const char *name, const char *value)
{
	const char *found = getenv(name);

	return found && strcmp(found, value) == 0 ? 0 : 1;
}

static int death_signal(void)
{
	int signal = -1;

	prctl(PR_GET_PDEATHSIG, &signal);
	return signal;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "exit";
	const char *first = argc > 2 ? argv[2] : "0";

	if (strcmp(what, "exit") == 0)
		return atoi(first);
	if (strcmp(what, "die") == 0)
		return die(atoi(first));
	if (strcmp(what, "table") == 0)
		return table(argv);
	if (strcmp(what, "argv") == 0)
		return print_argv(argv);
	if (strcmp(what, "signals") == 0)
		return signals();
	if (strcmp(what, "rlimit") == 0)
		return has_limit(atoi(first), strtoul(argv[3], NULL, 10));
	if (strcmp(what, "variable") == 0)
		return has_variable(first, argv[3]);
	if (strcmp(what, "no-new-privs") == 0)
		return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	if (strcmp(what, "death-signal") == 0)
		return death_signal();
	if (strcmp(what, "stay") == 0) {
		/* For a test that failed to end us. */
		alarm(100);
		pause();
	}
	return 98;
}
