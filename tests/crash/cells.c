/* SPDX-License-Identifier: MIT */
/*
 * cells.c - which operations are killed in which states, and which records are where.
 */
#include <stdio.h>

#include "crash/crash.h"
#include "ipc/ipc.h"

/* Before the operation that many records went through: more than a lap, so that there is something
 * stale wherever a zero was forgotten. */
#define PASSED 48

#define STATE_BIT(state) (1u << (state))
#define ANY_STATE        0xfu

static const struct {
	const char *name;
	unsigned int states;
} ops[OPS] = {
	[OP_RESERVE] = {"reserve", ANY_STATE},
	[OP_COMMIT] = {"commit", ANY_STATE},
	[OP_STAGE] = {"stage and publish", ANY_STATE},
	[OP_SEND] = {"send", ANY_STATE},
	[OP_WAIT_SPACE] = {"wait for room", STATE_BIT(STATE_FULL)},
	[OP_ARM_SPACE] = {"arm for room", STATE_BIT(STATE_EMPTY) | STATE_BIT(STATE_FULL)},
	[OP_CLOSE_TX] = {"close (producer)", STATE_BIT(STATE_EMPTY) | STATE_BIT(STATE_FULL)},
	[OP_ATTACH_TX] = {"attach (producer)", STATE_BIT(STATE_EMPTY)},
	[OP_NEXT] = {"next", ANY_STATE},
	[OP_RELEASE] = {"next and release", ANY_STATE & ~STATE_BIT(STATE_EMPTY)},
	[OP_RELEASE_TO] = {"release one by one", STATE_BIT(STATE_FULL)},
	[OP_RECV] = {"recv", ANY_STATE},
	[OP_WAIT_DATA] = {"wait for data", STATE_BIT(STATE_EMPTY)},
	[OP_ARM_DATA] = {"arm for data", STATE_BIT(STATE_EMPTY) | STATE_BIT(STATE_FULL)},
	[OP_CLOSE_RX] = {"close (consumer)", STATE_BIT(STATE_EMPTY) | STATE_BIT(STATE_FULL)},
	[OP_ATTACH_RX] = {"attach (consumer)", STATE_BIT(STATE_EMPTY)},
	[OP_STREAM_TX] = {"send without end", STATE_BIT(STATE_EMPTY)},
	[OP_STREAM_RX] = {"receive without end", STATE_BIT(STATE_EMPTY)},
};

const char *op_name(enum op op)
{
	return ops[op].name;
}

static unsigned int take_digit(unsigned int *index, unsigned int base)
{
	unsigned int digit = *index % base;

	*index /= base;
	return digit;
}

/* Can the survivor be asleep while the ring is in this state? */
static bool may_sleep(const struct cell *cell)
{
	if (op_is_tx(cell->op))
		return cell->state != STATE_FULL;
	return cell->state == STATE_FULL || cell->state == STATE_LARGEST;
}

/*
 * Who hosts and which doorbell are crossed with everything. Of the rest one thing at a time, and not
 * with all of those, since each doubles the instructions that there are and changes a few. A
 * grandchild hides a hang-up, and only sockets have one.
 */
static bool is_variant(const struct cell *cell)
{
	if (cell->fences + cell->wide + cell->grandchild > 1)
		return false;
	if (cell->grandchild)
		return !cell->eventfds;
	return !(cell->fences || cell->wide) || cell->eventfds == cell->victim_is_host;
}

bool cell_at(unsigned int index, struct cell *cell)
{
	cell->victim_is_host = take_digit(&index, 2);
	cell->eventfds = take_digit(&index, 2);
	cell->fences = take_digit(&index, 2);
	cell->wide = take_digit(&index, 2);
	cell->grandchild = take_digit(&index, 2);
	cell->asleep = take_digit(&index, 2);
	cell->manner = take_digit(&index, MANNERS);
	cell->state = take_digit(&index, STATES);
	cell->op = index;
	if (cell->op >= STEPPED_OPS || !(ops[cell->op].states & STATE_BIT(cell->state)))
		return false;
	if (!is_variant(cell))
		return false;
	/* It waits for the guest to attach, which has one manner. Its instructions are many. */
	if (op_attaches(cell->op))
		return cell->asleep && cell->manner == MANNER_WAIT && !cell->victim_is_host &&
		       !cell->wide;
	/* Whoever comes late finds everybody dead, in any manner. */
	if (!cell->asleep)
		return cell->manner == MANNER_WAIT;
	/* It is needed to wake the victim. */
	if (op_sleeps(cell->op))
		return false;
	return may_sleep(cell);
}

char *cell_describe(const struct cell *cell, char *buffer, size_t size)
{
	static const char *const states[] = {"empty", "full", "wrap", "largest record"};
	static const char *const manners[] = {"a wait", "poll", "epoll", "io_uring"};

	snprintf(buffer, size, "%s, %s, by the %s, %s, %s, align %u, survivor %s%s%s",
		 ops[cell->op].name, states[cell->state], cell->victim_is_host ? "host" : "guest",
		 cell->eventfds ? "eventfds" : "sockets", cell->fences ? "fences" : "membarrier",
		 (unsigned int)cell_align(cell), cell->asleep ? "asleep in " : "looks later",
		 cell->asleep ? manners[cell->manner] : "",
		 cell->grandchild ? ", with a grandchild" : "");
	return buffer;
}

/* --- Which records, and where ---------------------------------------------------------------- */

static size_t largest(const struct cell *cell)
{
	return CAPACITY - 2 * cell_align(cell);
}

static uint64_t wrapping_record(const struct cell *cell);

static uint64_t passed(const struct cell *cell)
{
	if (op_attaches(cell->op) || cell->op >= STEPPED_OPS)
		return 0;
	return cell->state == STATE_WRAP ? wrapping_record(cell) : PASSED;
}

size_t cell_record_size(const struct cell *cell, uint64_t i)
{
	if (cell->state == STATE_LARGEST && i == PASSED)
		return largest(cell);
	if (cell->op >= STEPPED_OPS) /* all sizes, small ones more often */
		return stream_size(i, i % 4 == 0 ? largest(cell) : 200);
	return 100 + i * 13 % 60;
}

static uint64_t span(const struct cell *cell, uint64_t i)
{
	return peal_record_span(cell_record_size(cell, i), cell_align(cell));
}

uint64_t cell_position(const struct cell *cell, uint64_t i)
{
	uint64_t position = 0;

	for (uint64_t before = 0; before < i; before++)
		position += span(cell, before);
	return position;
}

uint64_t cell_record_header(const struct cell *cell, uint64_t i)
{
	return peal_header(cell_record_size(cell, i), record_type(i));
}

/* The first after a lap that lies across the end, and not with its header alone. */
static uint64_t wrapping_record(const struct cell *cell)
{
	uint64_t i = PASSED, position = cell_position(cell, i);

	while (position % CAPACITY + span(cell, i) <= CAPACITY + cell_align(cell) ||
	       position % CAPACITY + 2 * cell_align(cell) > CAPACITY)
		position += span(cell, i++);
	return i;
}

uint64_t cell_records(const struct cell *cell)
{
	if (cell->op == OP_STAGE)
		return cell->state == STATE_LARGEST ? 1 : 3;
	return cell->op == OP_COMMIT || cell->op == OP_SEND || cell->op == OP_WAIT_SPACE;
}

/* How many records from @first on the empty ring takes. */
static uint64_t fit(const struct cell *cell, uint64_t first)
{
	uint64_t used = 0, i = first;

	while (used + span(cell, i) + cell_align(cell) <= CAPACITY)
		used += span(cell, i++);
	return i - first;
}

struct plan cell_plan(const struct cell *cell)
{
	struct plan plan = {.passed = passed(cell)};

	if (cell->state == STATE_FULL) {
		plan.left = fit(cell, plan.passed);
		/* So that the operation's records are the last that fit. */
		if (cell->op != OP_WAIT_SPACE)
			plan.left -= cell_records(cell);
	} else if (!op_is_tx(cell->op) && cell->state != STATE_EMPTY) {
		plan.left = 1;
	}
	return plan;
}

struct peal_channel_options cell_options(const struct cell *cell)
{
	/* The victim's ring as a producer, or the one to it. */
	bool to_guest = op_is_tx(cell->op) == cell->victim_is_host;

	return (struct peal_channel_options){
		.size = sizeof(struct peal_channel_options),
		.to_guest = to_guest ? CAPACITY : 0,
		.to_host = to_guest ? 0 : CAPACITY,
		.align = (uint32_t)cell_align(cell),
		.doorbell = cell->eventfds ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
		.flags = cell->fences ? PEAL_CHANNEL_NO_MEMBARRIER : 0,
		.spin_max_us = cell->wide ? PEAL_SPIN_DEFAULT : PEAL_SPIN_NEVER,
		.name = "crash",
	};
}

struct peal_attach_options cell_attach_options(const struct cell *cell)
{
	return (struct peal_attach_options){
		.size = sizeof(struct peal_attach_options),
		.flags = cell->fences ? PEAL_CHANNEL_NO_MEMBARRIER : 0,
		.spin_max_us = cell->wide ? PEAL_SPIN_DEFAULT : PEAL_SPIN_NEVER,
	};
}
