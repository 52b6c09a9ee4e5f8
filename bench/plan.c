/* SPDX-License-Identifier: MIT */
/*
 * plan.c - the settings.
 *
 * A group is what takes turns: the cells of one setting, and of those that it is compared with.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

#define KIB   UINT64_C(1024)
#define MIB   (KIB * 1024)
#define MS    UINT64_C(1000000)
#define BATCH 32

/* For a run, besides its duration: starting two processes, attaching, warming up, ending. */
#define OVERHEAD_S 0.035

/* In the order in which they are measured. */
const char *const bench_names[] = {
	"throughput", "batch", "rtt",   "wake",  "openloop", "onecpu", "onecpu-rtt", "unpinned",
	"capacity",   "fill",  "frame", "spawn", "channels", "awake",  "asleep",     NULL};
const char *const bench_explanations[] = {
	"messages a second, each handed over by itself",
	"messages a second, handed over 32 at a time",
	"round trip: one message forth, one back",
	"age of a message when it arrives, sent one by one with a gap; median",
	"age of a message at a fixed rate, counted from when it should have gone out; median",
	"messages a second, both processes on one processor",
	"round trip, both processes on one processor",
	"messages a second, wherever the kernel puts the two",
	"messages a second by size of the ring: smaller than L1, about L2, larger",
	"messages a second when one side has 100 ns of work for each: ring nearly empty, full",
	"messages a second when only descriptors move: the payload is not touched",
	"from nothing to the first message of a new process",
	"ns for a message when one host has many channels: one sends, all send, one answers",
	"system calls per message while both are busy",
	"system calls per message, one every 2 ms: waker and sleeper together",
};

bool bench_plan_knows(const char *bench)
{
	for (size_t i = 0; bench_names[i]; i++)
		if (strcmp(bench_names[i], bench) == 0)
			return true;
	return false;
}

static struct bench_setting setting_of(const struct bench_plan *plan, const char *bench,
				       enum bench_kind kind, enum bench_wait wait, uint64_t payload)
{
	bool streams = kind == BENCH_THROUGHPUT || kind == BENCH_BATCH;

	return (struct bench_setting){
		.bench = bench,
		.unit = streams ? "msg/s" : "ns",
		.higher_is_better = streams,
		.config =
			{
				.kind = kind,
				.wait = wait,
				.payload = payload,
				.capacity = MIB,
				.channels = 1,
				.batch = kind == BENCH_BATCH ? BATCH : 1,
				.touch = 1,
				.duration_ns = plan->duration_ns,
			},
	};
}

static int plan_throughput(struct bench_plan *plan)
{
	static const uint64_t full[] = {8, 64, 256, KIB, 4 * KIB, 64 * KIB, MIB, 0};
	static const uint64_t quick[] = {8, 64, 4 * KIB, 0};
	int rc = 0;

	for (const uint64_t *payload = plan->args->quick ? quick : full; *payload && rc == 0;
	     payload++) {
		struct bench_setting single =
			setting_of(plan, "throughput", BENCH_THROUGHPUT, BENCH_SPIN, *payload);
		struct bench_setting batch =
			setting_of(plan, "batch", BENCH_BATCH, BENCH_SPIN, *payload);

		plan->group++;
		rc = bench_plan_add(plan, &single);
		if (rc == 0 && (!plan->args->quick || *payload <= 64))
			rc = bench_plan_add(plan, &batch);
	}
	return rc;
}

/* @kind at each of @payloads (0 ends them), each a group. */
static int plan_each(struct bench_plan *plan, const char *bench, enum bench_kind kind,
		     enum bench_wait wait, const uint64_t *payloads, enum bench_place place)
{
	int rc = 0;

	for (; *payloads && rc == 0; payloads++) {
		struct bench_setting setting = setting_of(plan, bench, kind, wait, *payloads);

		setting.place = place;
		plan->group++;
		rc = bench_plan_add(plan, &setting);
	}
	return rc;
}

static int plan_blocking(struct bench_plan *plan)
{
	static const uint64_t full[] = {64, 64 * KIB, 0};
	static const uint64_t quick[] = {64, 0};

	return plan_each(plan, "throughput", BENCH_THROUGHPUT, BENCH_BLOCK,
			 plan->args->quick ? quick : full, BENCH_TWO_CPUS);
}

static int plan_rtt(struct bench_plan *plan)
{
	static const uint64_t full[] = {8, 64, 256, KIB, 4 * KIB, 0};
	static const uint64_t quick[] = {8, 64, 0};
	static const uint64_t block[] = {64, 0};
	int rc = plan_each(plan, "rtt", BENCH_RTT, BENCH_SPIN, plan->args->quick ? quick : full,
			   BENCH_TWO_CPUS);

	if (rc < 0)
		return rc;
	return plan_each(plan, "rtt", BENCH_RTT, BENCH_BLOCK, block, BENCH_TWO_CPUS);
}

struct pace {
	const char *variant;
	uint64_t interval_ns;
	bool quick;
};

static int plan_paced(struct bench_plan *plan, const char *bench, enum bench_wait wait,
		      uint64_t payload, const struct pace *paces)
{
	int rc = 0;

	for (; paces->variant && rc == 0; paces++) {
		struct bench_setting setting = setting_of(plan, bench, BENCH_PACED, wait, payload);

		if (plan->args->quick && !paces->quick)
			continue;
		setting.variant = paces->variant;
		setting.config.interval_ns = paces->interval_ns;
		plan->group++;
		rc = bench_plan_add(plan, &setting);
	}
	return rc;
}

static int plan_wake(struct bench_plan *plan)
{
	static const struct pace gaps[] = {
		{"gap 10 us", 10000, true},
		{"gap 1 ms", MS, true},
		{"gap 100 ms", 100 * MS, false},
		{NULL, 0, false},
	};

	return plan_paced(plan, "wake", BENCH_BLOCK, 8, gaps);
}

static int plan_openloop(struct bench_plan *plan)
{
	static const struct pace spin[] = {
		{"100 k/s", 10000, true},
		{NULL, 0, false},
	};
	static const struct pace block[] = {
		{"10 k/s", 100000, true},
		{NULL, 0, false},
	};
	int rc = plan_paced(plan, "openloop", BENCH_SPIN, 64, spin);

	return rc < 0 ? rc : plan_paced(plan, "openloop", BENCH_BLOCK, 64, block);
}

static int plan_places(struct bench_plan *plan)
{
	static const uint64_t payloads[] = {64, 0};
	int rc = plan_each(plan, "onecpu", BENCH_THROUGHPUT, BENCH_BLOCK, payloads, BENCH_ONE_CPU);

	if (rc == 0)
		rc = plan_each(plan, "onecpu-rtt", BENCH_RTT, BENCH_BLOCK, payloads, BENCH_ONE_CPU);
	/* Whoever spins needs a processor of his own. */
	if (rc == 0 && plan->cpu_count >= 2)
		rc = plan_each(plan, "unpinned", BENCH_THROUGHPUT, BENCH_SPIN, payloads,
			       BENCH_ANY_CPU);
	return rc;
}

static int plan_capacity(struct bench_plan *plan)
{
	static const struct {
		const char *variant;
		uint64_t bytes;
	} sizes[] = {{"64 KiB ring", 64 * KIB}, {"1 MiB ring", MIB}, {"16 MiB ring", 16 * MIB}};
	int rc = 0;

	plan->group++;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && rc == 0; i++) {
		struct bench_setting setting =
			setting_of(plan, "capacity", BENCH_THROUGHPUT, BENCH_SPIN, 256);

		setting.variant = sizes[i].variant;
		setting.config.capacity = sizes[i].bytes;
		setting.peal_only = true;
		rc = bench_plan_add(plan, &setting);
	}
	return rc;
}

static int plan_fill(struct bench_plan *plan)
{
	struct bench_setting setting = setting_of(plan, "fill", BENCH_THROUGHPUT, BENCH_SPIN, 64);

	setting.peal_only = true;
	plan->group++;
	return bench_plan_add(plan, &setting);
}

static int plan_frame(struct bench_plan *plan)
{
	static const uint64_t payloads[] = {64 * KIB, MIB, 16 * MIB, 0};
	int rc = 0;

	for (const uint64_t *payload = payloads; *payload && rc == 0; payload++) {
		struct bench_setting setting =
			setting_of(plan, "frame", BENCH_THROUGHPUT, BENCH_SPIN, *payload);

		setting.config.touch = 0;
		setting.config.capacity = *payload * 8;
		setting.peal_only = true;
		plan->group++;
		rc = bench_plan_add(plan, &setting);
	}
	return rc;
}

static int plan_spawn(struct bench_plan *plan)
{
	static const struct bench_result peal = {
		.impl = "peal",
		.name = "Peal",
		.how = "channel (2 x 64 KiB), spawn, attach, first record",
		.flags = BENCH_IS_PEAL,
		.limit = "spawn-pipe",
	};
	static const struct bench_result pipe = {
		.impl = "spawn-pipe",
		.name = "posix_spawn, pipe",
		.how = "pipe, posix_spawn, first write",
		.flags = BENCH_IS_LIMIT,
	};
	static const struct bench_result bare = {
		.impl = "spawn-bare",
		.name = "a channel's calls alone",
		.how = "what the kernel must do for two rings, without a check",
		.flags = BENCH_IS_LIMIT,
		.limit = "spawn-pipe",
	};
	struct bench_setting setting = setting_of(plan, "spawn", BENCH_RTT, BENCH_BLOCK, 8);
	int rc = 0;

	setting.config.capacity = 0;
	setting.place = BENCH_ANY_CPU;
	for (int many = 0; many < 2 && rc == 0; many++) {
		setting.config.channels = many == 0 ? 1 : plan->args->quick ? 100 : 1000;
		setting.variant = many == 0           ? ""
				  : plan->args->quick ? "100 at once"
						      : "1000 at once";
		plan->group++;
		rc = bench_plan_add_custom(plan, &setting, &peal, bench_spawn_peal);
		if (rc == 0)
			rc = bench_plan_add_custom(plan, &setting, &pipe, bench_spawn_pipe);
		if (rc == 0)
			rc = bench_plan_add_custom(plan, &setting, &bare, bench_spawn_bare);
	}
	return rc;
}

#define CHANNELS(count_, name_, limit_)                                                            \
	{                                                                                          \
		.impl = "channels-" #count_, .name = name_,                                        \
		.how = "a poller with " #count_ " channels, one guest process",                    \
		.flags = BENCH_IS_PEAL, .limit = limit_                                            \
	}

/* One, and how much more a message costs among more. */
static int plan_channels_among(struct bench_plan *plan, const struct bench_setting *setting)
{
	static const unsigned int counts[] = {1, 10, 100, 1000};
	static const struct bench_result abouts[] = {
		CHANNELS(1, "1 channel", NULL),
		CHANNELS(10, "10 channels", "channels-1"),
		CHANNELS(100, "100 channels", "channels-1"),
		CHANNELS(1000, "1000 channels", "channels-1"),
	};
	/* Quick: the least and the most. */
	const size_t last = sizeof(counts) / sizeof(counts[0]) - 1,
		     step = plan->args->quick || setting->config.epoll ? last : 1;
	int rc = 0;

	plan->group++;
	for (size_t i = 0; i <= last && rc == 0; i += step) {
		struct bench_setting cell = *setting;

		cell.config.channels = counts[i];
		rc = bench_plan_add_custom(plan, &cell, &abouts[i], bench_channels);
	}
	return rc;
}

static int plan_channels(struct bench_plan *plan)
{
	static const struct {
		const char *variant;
		enum bench_kind kind;
		enum bench_wait wait;
		uint64_t capacity;
		uint32_t epoll;
		bool quick;
	} kinds[] = {
		{"one sends", BENCH_THROUGHPUT, BENCH_SPIN, 4 * KIB, 0, true},
		{"all send", BENCH_BATCH, BENCH_SPIN, 4 * KIB, 0, true},
		/* A thousand of these fit into no cache. */
		{"all send, rings of 64 KiB", BENCH_BATCH, BENCH_SPIN, 64 * KIB, 0, false},
		{"one answers", BENCH_RTT, BENCH_BLOCK, 4 * KIB, 0, true},
		{"one answers, epoll", BENCH_RTT, BENCH_BLOCK, 4 * KIB, 1, false},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc == 0; i++) {
		struct bench_setting setting =
			setting_of(plan, "channels", kinds[i].kind, kinds[i].wait, 64);

		setting.variant = kinds[i].variant;
		setting.unit = "ns";
		setting.higher_is_better = false;
		setting.config.capacity = kinds[i].capacity;
		setting.config.epoll = kinds[i].epoll;
		if (plan->cpu_count >= 2 && (kinds[i].quick || !plan->args->quick))
			rc = plan_channels_among(plan, &setting);
	}
	return rc;
}

static int plan_syscalls(struct bench_plan *plan)
{
	static const struct {
		const char *bench;
		enum bench_kind kind;
		enum bench_wait wait;
		uint64_t payload;
		uint64_t interval_ns;
	} counts[] = {
		{"awake", BENCH_THROUGHPUT, BENCH_SPIN, KIB, 0},
		{"awake", BENCH_THROUGHPUT, BENCH_BLOCK, KIB, 0},
		{"asleep", BENCH_PACED, BENCH_BLOCK, 64, 2 * MS},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && rc == 0; i++) {
		/* The loops look at the clock every so many bytes. Each traced call takes a hundred
		 * times longer than others, so of small messages these would be too many. */
		struct bench_setting setting = setting_of(plan, counts[i].bench, counts[i].kind,
							  counts[i].wait, counts[i].payload);

		setting.unit = "calls/msg";
		setting.higher_is_better = false;
		setting.trace = true;
		setting.config.interval_ns = counts[i].interval_ns;
		plan->group++;
		rc = bench_plan_add(plan, &setting);
	}
	return rc;
}

int bench_plan_make(struct bench_plan *plan, const struct bench_args *args)
{
	static int (*const parts[])(struct bench_plan *) = {
		plan_throughput, plan_blocking, plan_rtt,      plan_wake,
		plan_openloop,   plan_places,   plan_capacity, plan_fill,
		plan_frame,      plan_spawn,    plan_channels, plan_syscalls,
	};
	int rc = 0;

	*plan = (struct bench_plan){.args = args, .distance_ns = NAN};
	plan->cpu_count = bench_choose_cpus(plan->cpus);
	plan->rounds = args->smoke ? 1 : args->quick ? 5 : 9;
	plan->duration_ns = (args->smoke ? 5 : args->quick ? 100 : 300) * MS;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++)
		rc = parts[i](plan);
	return rc;
}

void bench_plan_free(struct bench_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->results[i].ages);
	free(plan->jobs);
	free(plan->results);
}

unsigned int bench_plan_rounds(const struct bench_plan *plan, size_t cell)
{
	/* A count does not vary. */
	return plan->jobs[cell].trace ? 1 : plan->rounds;
}

double bench_plan_seconds(const struct bench_plan *plan)
{
	double seconds = 0;

	for (size_t i = 0; i < plan->count; i++)
		seconds += bench_plan_rounds(plan, i) *
			   ((double)plan->jobs[i].config.duration_ns / 1e9 + OVERHEAD_S);
	return seconds;
}
