/* SPDX-License-Identifier: MIT */
/*
 * main.c - one case: its options, the search, what was found.
 *
 * usage: explore [NAME=VALUE]...    trace=1 prints how it goes wrong
 * Prints: verdict states transitions ends executions depth
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

static const char *const machines[] = {"sc", "tso", "pso", "views", NULL};
static const char *const modes[] = {"fence", "asym", "mixed", NULL};

_Noreturn static void refuse(const char *argument)
{
	fprintf(stderr, "explore: \"%s\" is no option\n", argument);
	exit(2);
}

static unsigned int choose(const char *const names[], const char *value, const char *argument)
{
	for (unsigned int i = 0; names[i]; i++) {
		if (strcmp(names[i], value) == 0)
			return i;
	}
	refuse(argument);
}

static uint64_t number(const char *value, const char *argument)
{
	char *end;
	uint64_t parsed = strtoull(value, &end, 0);

	if (end == value || *end != 0)
		refuse(argument);
	return parsed;
}

/* p, c or both letters. */
static unsigned int sides(const char *value, const char *argument)
{
	unsigned int bits = 0;

	for (; *value; value++) {
		if (*value != 'p' && *value != 'c')
			refuse(argument);
		bits |= 1u << (*value == 'p' ? PRODUCER : CONSUMER);
	}
	return bits;
}

static void set_number(const char *name, uint64_t value, const char *argument)
{
	struct explore_options *o = &explore_options;
	const struct {
		const char *name;
		unsigned int *where;
	} numbers[] = {
		{"words", &o->words}, {"records", &o->records}, {"batch", &o->batch},
		{"hold", &o->hold},   {"returns", &o->returns}, {"places", &o->places},
	};
	const struct {
		const char *name;
		bool *where;
	} flags[] = {
		{"order", &o->calls_order}, {"early", &o->early}, {"copy", &o->copy},
		{"loop", &o->loop},         {"once", &o->once},   {"timed", &o->timed},
		{"trace", &o->trace},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(numbers[i].name, name) == 0) {
			*numbers[i].where = (unsigned int)value;
			return;
		}
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].name, name) == 0) {
			*flags[i].where = value != 0;
			return;
		}
	}
	if (strcmp(name, "start") == 0)
		o->start = value;
	else if (strcmp(name, "limit") == 0)
		o->limit = value;
	else
		refuse(argument);
}

static void parse(const char *argument)
{
	struct explore_options *o = &explore_options;
	const char *equals = strchr(argument, '='), *value = equals + 1;
	char name[16] = "";

	if (!equals || (size_t)(equals - argument) >= sizeof(name))
		refuse(argument);
	memcpy(name, argument, (size_t)(equals - argument));
	if (strcmp(name, "machine") == 0)
		o->machine = (enum explore_machine)choose(machines, value, argument);
	else if (strcmp(name, "mode") == 0)
		o->mode = (enum explore_mode)choose(modes, value, argument);
	else if (strcmp(name, "crash") == 0)
		o->crash = sides(value, argument);
	else if (strcmp(name, "close") == 0)
		o->close = sides(value, argument);
	else if (strcmp(name, "lengths") == 0 && strlen(value) < sizeof(o->lengths))
		strcpy(o->lengths, value);
	else if (strcmp(name, "litmus") == 0 && strlen(value) < sizeof(o->litmus))
		strcpy(o->litmus, value);
	else
		set_number(name, number(value, argument), argument);
}

static void tell(const struct explore_action *action, const struct explore_step *step)
{
	static const char *const acts[] = {"", "flush", "late drain", "hang-up", "dies"};
	static const char *const kinds[] = {"load", "store", "fence", "membarrier", "ring",
					    "wait", "drain", "check", "end"};
	static const char *const orders[] = {"plain", "relaxed", "acquire", "release"};
	static const char *const words[] = {"data 0",     "data 1", "data 2",   "data 3",
					    "data 4",     "data 5", "data 6",   "data 7",
					    "space_wait", "head",   "data_wait"};
	const char *who = action->thread == PRODUCER ? "P" : "    C";

	if (action->act != ACT_STEP)
		printf("%s %s %u\n", who, acts[action->act], action->way);
	else if (step->kind == EXPLORE_LOAD || step->kind == EXPLORE_STORE)
		printf("%s %s %s %s %#llx way %u\n", who, kinds[step->kind], orders[step->order],
		       words[step->word], (unsigned long long)step->value, action->way);
	else
		printf("%s %s way %u\n", who, kinds[step->kind], action->way);
}

int main(int argc, char **argv)
{
	struct explore_found found;

	explore_options = (struct explore_options){
		.words = 4,
		.records = 3,
		.lengths = "210",
		.batch = 1,
		.hold = 1,
		.returns = 1,
		.places = 6,
		.limit = 20000000,
	};
	for (int i = 1; i < argc; i++)
		parse(argv[i]);
	found = explore_search(tell);
	printf("%s %llu %llu %llu %.2g %u\n", found.verdict, (unsigned long long)found.states,
	       (unsigned long long)found.transitions, (unsigned long long)found.ends,
	       found.executions, found.depth);
	if (found.sentence)
		printf("%s\n", found.sentence);
	return 0;
}
