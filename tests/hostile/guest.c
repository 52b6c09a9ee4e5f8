/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the guest of the hostile tests: what its modes share, and the honest one.
 *
 * usage: hostile-guest MODE ACCOUNTS-FD INDEX
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hostile/guest.h"
#include "ipc/ipc.h"

struct peal_channel *channel;
struct account *account;
int argument_count;
char **arguments;
int segments[SIDES] = {-1, -1};
int bells[2] = {-1, -1};
void (*at_times)(void), (*at_the_end)(void);
struct peal_segment_header *own;
uint64_t *own_data;
const struct peal_segment_header *host;

void guest_fail(int line)
{
	account->failed = (uint32_t)line;
	fprintf(stderr, "hostile-guest %s: line %d: %s; %s\n", arguments[1], line, strerror(errno),
		peal_last_error());
	_exit(EXIT_FAILURE);
}

/* --- The honest guest ------------------------------------------------------------------------ */

static const struct timespec moment = {.tv_nsec = 50000};

static int echo_until(uint64_t deadline_ns)
{
	static unsigned char buffer[RING_BYTES];
	uint16_t type = 0;

	for (uint64_t i = 0;; i++) {
		int64_t size;
		int rc;

		while ((size = peal_recv(peal_rx(channel), buffer, sizeof(buffer), &type,
					 deadline_ns)) == -EAGAIN)
			nanosleep(&moment, NULL);
		if (size == -EPIPE)
			return EXIT_SUCCESS;
		must(size == (int64_t)stream_size(i, HONEST_MAX) && type == (uint16_t)i);
		must(stream_is(buffer, (size_t)size, i));
		while ((rc = peal_send(peal_tx(channel), buffer, (size_t)size, type,
				       deadline_ns)) == -EAGAIN)
			nanosleep(&moment, NULL);
		__atomic_store_n(&account->echoed, i + 1, __ATOMIC_RELAXED);
		if (rc == -EPIPE)
			return EXIT_SUCCESS;
		must(rc == 0);
	}
}

int echo(void)
{
	return echo_until(PEAL_FOREVER);
}

int echo_awake(void)
{
	return echo_until(PEAL_TRY);
}

static const struct mode honest_modes[] = {
	{"echo", NULL, echo},
	{NULL, NULL, NULL},
};

/* --- What hostile ones share ----------------------------------------------------------------- */

void attack_until_stopped(void (*attack)(void))
{
	account_say(&account->begun);
	while (!account_is(&account->stop)) {
		for (int i = 0; i < 64; i++)
			attack();
		account->hostilities += 64;
		if (at_times)
			at_times();
	}
	if (at_the_end)
		at_the_end();
	account_say(&account->done);
}

static void *attack_thread(void *attack)
{
	attack_until_stopped(*(void (**)(void))attack);
	return NULL;
}

int echo_beside(void (*attack)(void))
{
	pthread_t thread;
	int rc;

	must(pthread_create(&thread, NULL, attack_thread, &attack) == 0);
	rc = echo_awake();
	account_say(&account->stop); /* the host is gone */
	pthread_join(thread, NULL);
	return rc;
}

void commit_honestly(uint64_t count)
{
	must(stream_send(peal_tx(channel), 0, count, HONEST_MAX, 1) == 0);
	account->committed = count;
}

void await_host(void)
{
	static bool is_known;
	struct peal_record record;

	must(is_known || peal_next_wait(peal_rx(channel), &record, PEAL_FOREVER) == 1);
	is_known = true;
}

void stand_by(void)
{
	account_say(&account->begun);
	while (!account_is(&account->stop))
		nanosleep(&moment, NULL);
	account_say(&account->done);
}

int stall(void)
{
	for (;;)
		pause();
	return EXIT_SUCCESS;
}

void ring_both(void)
{
	for (int i = 0; i < 2; i++)
		send(bells[i], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

uint64_t any_value(void)
{
	static _Thread_local uint64_t dice;
	uint64_t throw = stream_random(&dice), value = stream_random(&dice);

	switch (throw % 8) {
	case 0:
		return value % RING_BYTES; /* small */
	case 1:
		return -(value % RING_BYTES); /* just below 2^64 */
	case 2:
		return UINT64_C(1) << value % 64;
	case 3:
		return load(&host->tail) + value % RING_BYTES * 8; /* near the truth */
	case 4:
		return load(&host->tail) - value % RING_BYTES * 8;
	case 5:
		return UINT64_C(0x8000) << 48 | value % (2 * RING_BYTES); /* like a header */
	case 6:
		return value % 2 ? UINT64_MAX : 0;
	default:
		return value;
	}
}

/* --- Before attaching ------------------------------------------------------------------------ */

static void *map(int fd, int protection)
{
	struct stat st;
	void *memory;

	must(fstat(fd, &st) == 0);
	memory = mmap(NULL, (size_t)st.st_size, protection, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	return memory;
}

/* Keep the segments: the host's comes first. */
static void keep_segments(void)
{
	const size_t length = strlen(PEAL_SEGMENT_ARG "=");
	int side = HOST;

	for (int i = 1; i < argument_count && side < SIDES; i++) {
		if (strncmp(arguments[i], PEAL_SEGMENT_ARG "=", length) != 0)
			continue;
		segments[side] = fcntl(atoi(arguments[i] + length), F_DUPFD_CLOEXEC, 100);
		must(segments[side] >= 0);
		side++;
	}
	must(side == SIDES);
	host = map(segments[HOST], PROT_READ);
	own = map(segments[GUEST], PROT_READ | PROT_WRITE);
	own_data = (uint64_t *)(void *)((unsigned char *)own + PEAL_HEADER_BYTES);
}

static const struct mode *find(const struct mode *modes, const char *name)
{
	for (; modes->name; modes++) {
		if (strcmp(modes->name, name) == 0)
			return modes;
	}
	return NULL;
}

static const struct mode *find_everywhere(const char *name)
{
	const struct mode *const lists[] = {honest_modes, memory_modes, bell_modes, life_modes};
	const struct mode *found = NULL;

	for (size_t i = 0; !found && i < sizeof(lists) / sizeof(lists[0]); i++)
		found = find(lists[i], name);
	must(found);
	return found;
}

int main(int argc, char **argv)
{
	const struct mode *mode;
	int fd, rc = 0;

	if (argc < 4)
		return EXIT_FAILURE;
	argument_count = argc;
	arguments = argv;
	fd = atoi(argv[2]);
	account =
		mmap(NULL, ACCOUNTS * sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (account == MAP_FAILED)
		return EXIT_FAILURE;
	close(fd);
	account += atoi(argv[3]);
	__atomic_store_n(&account->pid, (int32_t)getpid(), __ATOMIC_RELEASE);
	mode = find_everywhere(argv[1]);
	/* Who only says what attaching says may have been given anything. */
	if (strncmp(mode->name, "attach", 6) != 0)
		keep_segments();
	if (mode->before)
		rc = mode->before();
	if (rc != 0 || !mode->run)
		return rc;
	must(peal_attach_args(&channel, &argument_count, arguments, NULL) == 0);
	bells[0] = peal_tx_fd(channel);
	bells[1] = peal_rx_fd(channel);
	memcpy(account->channel_id, host->channel_id, sizeof(account->channel_id));
	return mode->run();
}
