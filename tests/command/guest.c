/* SPDX-License-Identifier: MIT */
/*
 * guest.c - guests of every kind, for the tests of `peal run`, `record` and `replay`.
 *
 * usage: command-guest MODE [NUMBER [NUMBER]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_TYPE 65535

static struct peal_channel *channel;
static long first, second;

static int say(const char *text)
{
	return peal_send(peal_tx(channel), text, strlen(text), 0, PEAL_FOREVER);
}

/* Returns what ended it; counts. A million bytes are enough for any of the tests. */
static int echo(long count, long *records)
{
	static char buffer[1 << 20];
	uint16_t type;
	int64_t size;
	int rc = 0;

	for (*records = 0; rc == 0 && (count == 0 || *records < count); ++*records) {
		size = peal_recv(peal_rx(channel), buffer, sizeof(buffer), &type, PEAL_FOREVER);
		if (size < 0)
			return (int)size;
		if (type == END_TYPE)
			return -EPIPE;
		rc = peal_send(peal_tx(channel), buffer, (size_t)size, 0, PEAL_FOREVER);
	}
	return rc;
}

/* Answers with the sum at the very end, when there is no more input. */
static int count_all(void)
{
	struct peal_record record;
	unsigned long long bytes = 0, records = 0;
	char text[64];
	int rc;

	while ((rc = peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER)) == 1 &&
	       record.type != END_TYPE) {
		bytes += record.size;
		records++;
		peal_release(peal_rx(channel));
	}
	snprintf(text, sizeof(text), "%llu records, %llu bytes", records, bytes);
	return rc == 1 || rc == -EPIPE ? say(text) : rc;
}

/* Echoes, and sleeps in a poller; FIRST is its backend. */
static int poll_all(void)
{
	const struct peal_poller_options options = {.size = sizeof(options),
						    .backend = (uint32_t)first};
	struct peal_poller *poller;
	struct peal_event event;
	struct peal_record record;
	int rc = peal_poller_create(&poller, &options);

	if (rc == 0)
		rc = peal_poller_watch_data(poller, channel, 0, NULL, NULL);
	while (rc >= 0) {
		rc = peal_poller_wait(poller, &event, 1, PEAL_FOREVER);
		while (rc >= 0 && (rc = peal_next(peal_rx(channel), &record)) == 1)
			rc = peal_send(peal_tx(channel), record.data, record.size, 0, PEAL_FOREVER);
		peal_release(peal_rx(channel));
	}
	peal_poller_close(poller);
	return rc;
}

static void *thread(void *data)
{
	return data;
}

static const char *result(bool works)
{
	return works ? "works" : strerrorname_np(errno);
}

/* What is it allowed? One line each. */
static int try_all(void)
{
	char text[128], byte;
	pthread_t id;
	int fd, pid, made;

	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "read %s", result(fd >= 0 && read(fd, &byte, 1) == 1));
	say(text);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "write %s", result(fd >= 0));
	say(text);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(text, sizeof(text), "socket %s", result(fd >= 0));
	say(text);
	pid = fork();
	if (pid == 0)
		_exit(0);
	snprintf(text, sizeof(text), "fork %s", result(pid > 0));
	say(text);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	made = pthread_create(&id, NULL, thread, NULL);
	snprintf(text, sizeof(text), "thread %s", made == 0 ? "works" : strerrorname_np(made));
	say(text);
	if (made == 0)
		pthread_join(id, NULL);
	snprintf(text, sizeof(text), "kill %s", result(kill(getppid(), 0) == 0));
	say(text);
	snprintf(text, sizeof(text), "owner %s", result(fcntl(2, F_SETOWN, getppid()) == 0));
	return say(text);
}

static int tell_limits(void)
{
	struct rlimit files, core;
	char text[128];

	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_CORE, &core);
	snprintf(text, sizeof(text), "nofile %llu:%llu core %llu nnp %d",
		 (unsigned long long)files.rlim_cur, (unsigned long long)files.rlim_max,
		 (unsigned long long)core.rlim_cur, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return say(text);
}

/* So many records of its own, each with its number. */
static int burst(void)
{
	char text[32];
	int rc = 0;

	for (long i = 0; i < first && rc == 0; i++) {
		snprintf(text, sizeof(text), "%ld", i);
		rc = say(text);
	}
	return rc;
}

/* The same, each with its number as its type. */
static int burst_of_types(void)
{
	char text[32];
	int rc = 0;

	for (long i = 0; i < first && rc == 0; i++) {
		snprintf(text, sizeof(text), "%ld", i);
		rc = peal_send(peal_tx(channel), text, strlen(text), (uint16_t)i, PEAL_FOREVER);
	}
	return rc;
}

/* What are the types of what it gets? */
static int tell_types(void)
{
	struct peal_record record;
	char text[64];
	int rc;

	while ((rc = peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER)) == 1) {
		snprintf(text, sizeof(text), "%u: %.*s", record.type, (int)record.size,
			 (const char *)record.data);
		peal_release(peal_rx(channel));
		say(text);
	}
	return rc;
}

/* A record that can not be, behind one that can. */
static int lie(void)
{
	struct peal_producer *tx = peal_tx(channel);
	void *payload;
	int rc = say("true");

	if (rc == 0)
		rc = peal_reserve(tx, 8, &payload);
	if (rc == 0)
		__atomic_store_n((uint64_t *)payload - 1, UINT64_MAX, __ATOMIC_RELEASE);
	/* Who sleeps by now looks at no header. */
	send(peal_tx_fd(channel), "", 1, MSG_NOSIGNAL);
	return rc < 0 ? rc : pause();
}

/* It has taken more than there ever was, it says, and ends. */
static int boast(void)
{
	__atomic_store_n(peal_rx(channel)->shared_head, UINT64_C(1) << 40, __ATOMIC_RELEASE);
	return 3;
}

static int be(const char *mode)
{
	long records;
	int rc;

	if (strcmp(mode, "echo") == 0)
		rc = echo(0, &records);
	else if (strcmp(mode, "count") == 0)
		rc = count_all();
	else if (strcmp(mode, "try") == 0)
		rc = try_all();
	else if (strcmp(mode, "limits") == 0)
		rc = tell_limits();
	else if (strcmp(mode, "burst") == 0)
		rc = burst();
	else if (strcmp(mode, "burst-of-types") == 0)
		rc = burst_of_types();
	else if (strcmp(mode, "types") == 0)
		rc = tell_types();
	else if (strcmp(mode, "exit") == 0) /* after FIRST records, with status SECOND */
		rc = echo(first, &records) == 0 ? (int)second : 99;
	else if (strcmp(mode, "kill") == 0) /* after FIRST records, by signal SECOND */
		rc = echo(first, &records) == 0 ? raise((int)second) : 99;
	else if (strcmp(mode, "abort") == 0)
		abort();
	else if (strcmp(mode, "hang") == 0)
		rc = pause();
	else if (strcmp(mode, "lie") == 0)
		rc = lie();
	else if (strcmp(mode, "poll") == 0)
		rc = poll_all();
	else if (strcmp(mode, "boast") == 0)
		rc = boast();
	else if (strcmp(mode, "print") == 0) {
		puts("on standard output");
		rc = getchar() == EOF ? say("no input") : 98;
	} else
		rc = 97;
	return rc == -EPIPE ? 0 : rc;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc > 1 && strcmp(argv[1], "absent") == 0)
		return pause();
	rc = peal_attach_args(&channel, &argc, argv, NULL);
	if (rc < 0 || argc < 2)
		return fprintf(stderr, "command-guest: %s\n", peal_last_error()), 96;
	first = argc > 2 ? atol(argv[2]) : 0;
	second = argc > 3 ? atol(argv[3]) : 0;
	rc = be(argv[1]);
	peal_channel_close(channel);
	return rc < 0 ? 95 : rc;
}
