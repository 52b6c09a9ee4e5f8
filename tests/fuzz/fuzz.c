/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

const struct fuzz_target fuzz_targets[] = {
	{"producer", fuzz_producer},
	{"consumer", fuzz_consumer},
	{"segment", fuzz_segments},
	{"attach", fuzz_attach},
	{"arguments", fuzz_arguments},
	{"handle", fuzz_handle},
	{NULL, NULL},
};

static struct {
	const uint8_t *at, *end;
	uint64_t now_ns;
	const char *target;
} input;

void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t size)
{
	input.target = target->name;
	input.at = data;
	input.end = data + size;
	input.now_ns = 1000000000;
	fuzz_peer = (struct fuzz_peer){0};
	target->run();
	fuzz_peer = (struct fuzz_peer){0};
}

bool fuzz_more(void)
{
	return input.at < input.end;
}

uint8_t fuzz_byte(void)
{
	return fuzz_more() ? *input.at++ : 0;
}

uint64_t fuzz_u64(void)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value |= (uint64_t)fuzz_byte() << 8 * i;
	return value;
}

size_t fuzz_bytes(void *buffer, size_t size)
{
	size_t left = (size_t)(input.end - input.at);

	if (size > left)
		size = left;
	if (size > 0)
		memcpy(buffer, input.at, size);
	input.at += size;
	return size;
}

void fuzz_fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "fuzz %s: ", input.target);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* --- The peer -------------------------------------------------------------------------------- */

struct fuzz_peer fuzz_peer;

uint64_t fuzz_load(const uint64_t *word)
{
	uint64_t real = __atomic_load_n(word, __ATOMIC_ACQUIRE);

	if ((uintptr_t)word - fuzz_peer.base >= fuzz_peer.bytes)
		return real;
	fuzz_peer.loads++;
	FUZZ_CHECK(fuzz_peer.loads <= fuzz_peer.loads_max, "%u loads of the peer's words in a call",
		   fuzz_peer.loads);
	FUZZ_CHECK(((uintptr_t)word & 7) == 0, "a load of no whole word");
	return fuzz_peer.claim(word, real);
}

void fuzz_store(uint64_t *word, uint64_t value, int order)
{
	if (fuzz_peer.stored)
		fuzz_peer.stored(word, value, order);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uint64_t fuzz_claim(uint64_t real)
{
	uint8_t how = fuzz_byte();

	switch (how & 3) {
	case 0:
		return real;
	case 1:
		return real + (uint64_t)(int64_t)(int8_t)fuzz_byte();
	case 2:
		return fuzz_byte();
	default:
		return fuzz_u64();
	}
}

/* A wait word: even, odd and new, as before, anything. */
static uint64_t claim_wait(uint64_t last)
{
	switch (fuzz_byte() & 3) {
	case 0:
		return (last + 1) & ~UINT64_C(1);
	case 1:
		return (last + 1) | 1;
	case 2:
		return last;
	default:
		return fuzz_u64();
	}
}

uint64_t fuzz_wake_look(struct fuzz_wake *wake)
{
	FUZZ_CHECK(!wake->is_owed, "a sleeping peer was not woken");
	wake->looks++;
	wake->claimed = claim_wait(wake->claimed);
	wake->is_owed = (wake->claimed & 1) && wake->claimed != wake->last_rung;
	return wake->claimed;
}

void fuzz_wake_rung(struct fuzz_wake *wake, int answer)
{
	FUZZ_CHECK(wake->is_owed, "a bell that nobody is owed");
	wake->is_owed = false;
	if (answer == 0)
		wake->last_rung = wake->claimed;
	else
		wake->failed = answer;
}

/* --- A bell ---------------------------------------------------------------------------------- */

/* So many spurious wakes a call; then the deadline comes. */
#define WAITS_MAX 6

static struct fuzz_bell *from_bell(struct peal_bell *bell)
{
	return (struct fuzz_bell *)(void *)bell; /* its first member */
}

static int bell_ring(struct peal_bell *bell)
{
	static const int answers[] = {0, 0, 0, 0, 0, -EPIPE, -ENOMEM, -EPIPE};
	struct fuzz_bell *self = from_bell(bell);

	int answer = answers[fuzz_byte() & 7];

	fuzz_wake_rung(self->wake, answer);
	return answer;
}

static int bell_wait(struct peal_bell *bell, uint64_t deadline_ns)
{
	static const int answers[] = {-ETIMEDOUT, 0, 0, 0, 0, 0, -EPIPE, -EBADF};
	struct fuzz_bell *self = from_bell(bell);
	uint64_t word = *self->own_word;
	int answer = answers[fuzz_byte() & 7];

	(void)deadline_ns;
	FUZZ_CHECK(word & 1, "asleep with an even word");
	FUZZ_CHECK(word != self->slept_with, "asleep twice with the word %llu",
		   (unsigned long long)word);
	self->slept_with = word;
	if (++self->waits >= WAITS_MAX)
		answer = -ETIMEDOUT;
	if (answer == -EPIPE)
		self->gone = true;
	return answer;
}

static int bell_drain(struct peal_bell *bell)
{
	FUZZ_CHECK(!(*from_bell(bell)->own_word & 1), "drained while the word is odd");
	return (fuzz_byte() & 15) == 15 ? -EBADF : 0;
}

/* Also once and then no more: it is the peer's word. */
static bool bell_is_closed(struct peal_bell *bell)
{
	if ((fuzz_byte() & 7) != 7)
		return false;
	from_bell(bell)->gone = true;
	return true;
}

static int bell_check(struct peal_bell *bell)
{
	if ((fuzz_byte() & 3) != 3)
		return 0;
	from_bell(bell)->gone = true;
	return -EPIPE;
}

void fuzz_bell_init(struct fuzz_bell *bell, const uint64_t *own_word, struct fuzz_wake *wake)
{
	*bell = (struct fuzz_bell){
		.bell = {.ring = bell_ring,
			 .wait = bell_wait,
			 .drain = bell_drain,
			 .is_closed = bell_is_closed,
			 .check = bell_check},
		.own_word = own_word,
		.wake = wake,
	};
}

uint64_t fuzz_deadline(void)
{
	const uint64_t deadlines[] = {PEAL_TRY, 1, input.now_ns + 3000, PEAL_FOREVER};

	return deadlines[fuzz_byte() & 3];
}

/* --- What the library asks the system for: it is compiled with these names in their place ------ */

int fuzz_clock_gettime(clockid_t clock, struct timespec *now);
long fuzz_syscall(long number, ...);

/* A clock that only goes on by being looked at, so that a spin is as long in every run. */
int fuzz_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	input.now_ns += 500;
	now->tv_sec = (time_t)(input.now_ns / 1000000000);
	now->tv_nsec = (long)(input.now_ns % 1000000000);
	return 0;
}

static long membarrier(int command)
{
	if (command == MEMBARRIER_CMD_QUERY)
		return MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	if ((fuzz_byte() & 15) != 15)
		return 0;
	errno = EPERM;
	return -1;
}

long fuzz_syscall(long number, ...)
{
	va_list args;
	long a, b, c;

	va_start(args, number);
	a = va_arg(args, long);
	b = va_arg(args, long);
	c = va_arg(args, long);
	va_end(args);
	return number == SYS_membarrier ? membarrier((int)a) : syscall(number, a, b, c);
}
