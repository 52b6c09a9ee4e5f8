/* SPDX-License-Identifier: MIT */
/*
 * pair.c - a host and its guest for those who look at them: pair NAME HOST GUEST [GUEST]
 *
 * Prints the pids of all when the guests have attached, and ends when its standard input does. The
 * second guest has a channel of its own, which the host leaves alone. Behind "nobody:" a guest runs as
 * user 65534. What each of them does:
 *
 *	nap       nothing, for ever
 *	fill      sends until the ring is full, and waits for room
 *	stream    sends a record of 64 KiB each millisecond, for ever
 *	some      sends 1000 bytes once, and nothing more
 *	read      reads, for ever
 *	sip       reads one record in a tenth of a second
 *	retry     sends until the ring is full, and waits for room for 10 ms, again and again
 *	liar      fills its own segment with lies, again and again; the guest's alone
 *	flip      moves its head to and fro; the guest's alone
 *	lend      lends its memory to a child that sleeps (vfork)
 *	blank     wipes the channel's id from its own segment; the guest's alone
 *	thief     puts the id of the first guest's channel there; the second guest's alone
 *	closed    lets nobody look at it (PR_SET_DUMPABLE)
 *	close     closes its end and stays
 *	die       kills itself once the pids are told
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <peal/peal.h>

#include "ring/layout.h"

#define MILLISECOND UINT64_C(1000000)

static struct peal_channel *channel;
static char record[64 << 10];

static void fail(const char *what)
{
	fprintf(stderr, "pair: %s: %s\n", what, peal_last_error());
	exit(1);
}

static void send_for_ever(size_t size, uint64_t wait_ns, bool paced)
{
	for (;;) {
		int rc = peal_send(peal_tx(channel), record, size, 0,
				   wait_ns ? peal_deadline_in_ns(wait_ns) : PEAL_FOREVER);

		if (rc < 0 && rc != -ETIMEDOUT)
			break;
		if (paced)
			usleep(1000);
	}
}

static void read_for_ever(useconds_t pause_us)
{
	while (peal_recv(peal_rx(channel), record, sizeof(record), NULL, PEAL_FOREVER) >= 0)
		if (pause_us > 0)
			usleep(pause_us);
}

/* Where our own segment is: the one that we may write. */
static struct peal_segment_header *own_header(void)
{
	static char line[4096];
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin;
	struct peal_segment_header *header = NULL;

	while (maps && !header && fgets(line, sizeof(line), maps))
		if (strstr(line, " rw-s 00000000 ") && strstr(line, "/memfd:peal:") &&
		    sscanf(line, "%lx-", &begin) == 1)
			header = (struct peal_segment_header *)begin;
	if (maps)
		fclose(maps);
	return header;
}

/* The id that a guest says its channel has. */
static void call_itself(const char *hex)
{
	struct peal_segment_header *header = own_header();

	if (!header)
		fail("where is the own segment?");
	for (size_t i = 0; i < sizeof(header->channel_id); i++) {
		unsigned int byte = 0;

		if (*hex && sscanf(hex + 2 * i, "%2x", &byte) != 1)
			fail("what id?");
		header->channel_id[i] = (unsigned char)byte;
	}
}

/* Words of all kinds, and a name that would paint a terminal. */
static void lie(void)
{
	struct peal_segment_header *header = own_header();
	unsigned char *bytes = (unsigned char *)header;
	unsigned int seed = 1;

	if (!header)
		fail("where is the own segment?");
	for (;;) {
		/* Not the magic, without which it would not be looked at at all. */
		for (size_t i = 8; i < sizeof(*header); i++)
			bytes[i] = (unsigned char)rand_r(&seed);
		memcpy(header->name, "\033[31mEVIL\n\x7f\xff", 13);
		header->state = (uint64_t)rand_r(&seed) % 6;
		for (size_t i = 4096; i < 8192; i += 8) {
			uint64_t word = UINT64_C(0x8000000000000000) | (uint64_t)rand_r(&seed) % 64;

			memcpy(bytes + i, &word, sizeof(word));
		}
		usleep(100);
	}
}

/* Back by four rings, and to where it was. */
static void flip(void)
{
	struct peal_segment_header *header = own_header();

	if (!header)
		fail("where is the own segment?");
	for (;;) {
		peal_store_relaxed(&header->head, UINT64_C(0) - (4 << 20));
		usleep(10);
		peal_store_relaxed(&header->head, 0);
		usleep(10);
	}
}

static void act(const char *what)
{
	if (strcmp(what, "fill") == 0)
		send_for_ever(1000, 0, false);
	else if (strcmp(what, "retry") == 0)
		send_for_ever(1000, 10 * MILLISECOND, false);
	else if (strcmp(what, "stream") == 0)
		send_for_ever(sizeof(record), 0, true);
	else if (strcmp(what, "some") == 0)
		peal_send(peal_tx(channel), record, 1000, 0, PEAL_FOREVER);
	else if (strcmp(what, "read") == 0)
		read_for_ever(0);
	else if (strcmp(what, "sip") == 0)
		read_for_ever(100000);
	else if (strcmp(what, "liar") == 0)
		lie();
	else if (strcmp(what, "flip") == 0)
		flip();
	else if (strcmp(what, "lend") == 0 && vfork() == 0)
		for (;;)
			pause();
	else if (strcmp(what, "blank") == 0)
		call_itself("");
	else if (strncmp(what, "thief=", 6) == 0)
		call_itself(what + 6);
	else if (strcmp(what, "close") == 0)
		peal_channel_close(channel);
	else if (strcmp(what, "closed") == 0)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	else if (strcmp(what, "die") == 0)
		raise(SIGKILL);
	for (;;)
		pause();
}

static void ignore(int signal)
{
	(void)signal;
}

static int guest(int argc, char **argv)
{
	/* The host tells it to begin. */
	const struct sigaction begin = {.sa_handler = ignore};
	sigset_t usr1;
	int signal;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	sigaction(SIGUSR1, &begin, NULL);
	if (peal_attach_args(&channel, &argc, argv, NULL) < 0)
		fail("attach");
	sigwait(&usr1, &signal);
	act(argv[1]);
	return 0;
}

static void *end_with_stdin(void *unused)
{
	char byte;

	(void)unused;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	_exit(0);
}

static int become_nobody(void *unused)
{
	(void)unused;
	return setgid(65534) == 0 && setuid(65534) == 0 ? 0 : -errno;
}

/* A guest that does @what, on a channel of its own. */
static struct peal_child *spawn(struct peal_channel **made, char *self, const char *name,
				const char *what)
{
	const bool is_nobody = strncmp(what, "nobody:", 7) == 0;
	const struct peal_spawn_options options = {
		.size = sizeof(options),
		.flags = is_nobody ? 0 : PEAL_SPAWN_DIE_WITH_PARENT,
		.pre_exec = is_nobody ? become_nobody : NULL,
	};
	const struct peal_channel_options sizes = {
		.size = sizeof(sizes), .to_guest = 1 << 20, .to_host = 4096, .name = name};
	struct peal_child *child = NULL;
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", is_nobody ? what + 7 : what);
	if (peal_channel_create(made, &sizes) < 0 ||
	    peal_spawn(&child, *made, (char *[]){self, copy, NULL}, &options) < 0 ||
	    peal_child_wait_ready(child, *made, PEAL_FOREVER) < 0)
		fail("spawn");
	return child;
}

/* "thief=" and the id of the only channel so far. */
static const char *thief(void)
{
	static char text[64] = "thief=";
	const struct peal_segment_header *header = own_header();

	for (size_t i = 0; header && i < sizeof(header->channel_id); i++)
		sprintf(text + 6 + 2 * i, "%02x", header->channel_id[i]);
	return text;
}

int main(int argc, char **argv)
{
	struct peal_child *children[2] = {NULL, NULL};
	struct peal_channel *second;
	pthread_t thread;

	if (argc > 2 && strncmp(argv[2], "--", 2) == 0)
		return guest(argc, argv);
	if (argc != 4 && argc != 5)
		return fputs("usage: pair NAME HOST GUEST [GUEST]\n", stderr), 2;
	children[0] = spawn(&channel, argv[0], argv[1], argv[3]);
	if (argc == 5)
		children[1] = spawn(&second, argv[0], argv[1],
				    strcmp(argv[4], "thief") == 0 ? thief() : argv[4]);
	printf("%d", (int)getpid());
	for (int i = 0; i < 2 && children[i]; i++)
		printf(" %d", (int)peal_child_pid(children[i]));
	puts("");
	fflush(stdout);
	for (int i = 0; i < 2 && children[i]; i++)
		kill(peal_child_pid(children[i]), SIGUSR1);
	if (pthread_create(&thread, NULL, end_with_stdin, NULL) != 0)
		fail("thread");
	act(argv[2]);
	return 0;
}
