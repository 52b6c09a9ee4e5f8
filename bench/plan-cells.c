/* SPDX-License-Identifier: MIT */
/*
 * plan-cells.c - from a setting to the implementations that are measured in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "plan.h"

static bool is_called(const struct bench_adapter *adapter, const char *slug)
{
	return strcmp(adapter->slug, slug) == 0;
}

/* Where a variant of Peal differs from Peal at all. */
static bool variant_matters(const struct bench_adapter *adapter,
			    const struct bench_setting *setting)
{
	const struct bench_config *config = &setting->config;
	bool streams = config->kind == BENCH_THROUGHPUT || config->kind == BENCH_BATCH;

	if (is_called(adapter, "peal"))
		return true;
	if (strncmp(adapter->slug, "peal-slow-", 10) == 0)
		return strcmp(setting->bench, "fill") == 0;
	/* The doorbell is used by who sleeps. */
	if (is_called(adapter, "peal-eventfd"))
		return config->wait == BENCH_BLOCK && !streams;
	return config->wait == BENCH_SPIN && config->payload <= 64 && !setting->trace &&
	       setting->place == BENCH_TWO_CPUS && config->kind != BENCH_PACED &&
	       strcmp(setting->bench, "fill") != 0;
}

/*
 * What goes through the kernel and is polled is slower by two orders of magnitude, at every size:
 * one setting shows that as well as seven. Where it blocks, as people use it, it is measured in all.
 * Polling is not traced either: one process that polls keeps the tracer from the other.
 */
static bool is_worth_while(const struct bench_adapter *adapter, const struct bench_setting *setting)
{
	static const char *const kernel[] = {"pipe", "socketpair", "socketstream", "mq"};

	if (setting->config.wait != BENCH_SPIN ||
	    (setting->config.payload == 64 && setting->place == BENCH_TWO_CPUS && !setting->trace &&
	     (setting->config.kind == BENCH_THROUGHPUT || setting->config.kind == BENCH_RTT)))
		return true;
	for (size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++)
		if (is_called(adapter, kernel[i]))
			return false;
	return true;
}

static bool can(const struct bench_adapter *adapter, const struct bench_setting *setting)
{
	const struct bench_config *config = &setting->config;
	unsigned int needed = config->wait == BENCH_SPIN ? BENCH_CAN_SPIN : BENCH_CAN_BLOCK;

	if (config->kind == BENCH_BATCH)
		needed |= BENCH_CAN_BATCH;
	if ((adapter->flags & needed) != needed)
		return false;
	if (config->payload < adapter->payload_min)
		return false;
	return adapter->payload_max == 0 || config->payload <= adapter->payload_max;
}

static bool fits(const struct bench_plan *plan, const struct bench_adapter *adapter,
		 const struct bench_setting *setting)
{
	if (!can(adapter, setting) || !bench_args_wants_impl(plan->args, adapter->slug))
		return false;
	if (adapter->flags & BENCH_IS_PEAL)
		return variant_matters(adapter, setting);
	if (setting->peal_only || !is_worth_while(adapter, setting))
		return false;
	/* Two threads are no two processes, and their calls can not be told apart. */
	if (setting->trace && adapter->flags & BENCH_IN_PROCESS)
		return false;
	if (adapter->flags & BENCH_IS_LIMIT)
		return bench_limit_measures(adapter, &setting->config) && setting->config.touch &&
		       !setting->trace && strcmp(setting->bench, "openloop") != 0;
	return true;
}

static int make_room(struct bench_plan *plan)
{
	size_t room = plan->room ? plan->room * 2 : 256;
	void *jobs, *results;

	if (plan->count < plan->room)
		return 0;
	jobs = realloc(plan->jobs, room * sizeof(*plan->jobs));
	if (!jobs)
		return -ENOMEM;
	plan->jobs = jobs;
	results = realloc(plan->results, room * sizeof(*plan->results));
	if (!results)
		return -ENOMEM;
	plan->results = results;
	plan->room = room;
	return 0;
}

static const char *const place_names[] = {
	[BENCH_TWO_CPUS] = "two",
	[BENCH_ONE_CPU] = "one",
	[BENCH_ANY_CPU] = "any",
};

static void describe(struct bench_result *result, const struct bench_setting *setting)
{
	const struct bench_config *config = &setting->config;

	result->bench = setting->bench;
	result->variant = setting->variant ? setting->variant : "";
	result->mode = config->wait == BENCH_SPIN ? "spin" : "block";
	result->unit = setting->unit;
	result->cpus = place_names[setting->place];
	result->higher_is_better = setting->higher_is_better;
	result->payload = config->payload;
	result->capacity = config->capacity;
	result->interval_ns = config->interval_ns;
}

/* The new cell is at plan->count - 1. */
static int add_cell(struct bench_plan *plan, const struct bench_setting *setting)
{
	int rc = make_room(plan);

	if (rc < 0)
		return rc;
	plan->jobs[plan->count] = (struct bench_job){
		.config = setting->config,
		.place = setting->place,
		.cpus = {plan->cpus[0], plan->cpus[1]},
		.trace = setting->trace,
	};
	plan->results[plan->count] = (struct bench_result){.group = plan->group};
	describe(&plan->results[plan->count], setting);
	plan->results[plan->count].by_distance = setting->place == BENCH_TWO_CPUS &&
						 setting->config.wait == BENCH_SPIN &&
						 !setting->trace && !plan->args->smoke;
	plan->count++;
	return 0;
}

static int add_adapter(struct bench_plan *plan, const struct bench_setting *setting,
		       const struct bench_adapter *adapter)
{
	struct bench_result *result;
	int rc = add_cell(plan, setting);

	if (rc < 0)
		return rc;
	plan->jobs[plan->count - 1].adapter = adapter;
	result = &plan->results[plan->count - 1];
	result->impl = adapter->slug;
	result->name = adapter->name;
	result->how = adapter->how;
	result->flags = adapter->flags;
	result->for_comparison = adapter->flags & BENCH_IS_PEAL && !is_called(adapter, "peal") &&
				 !is_called(adapter, "peal-eventfd");
	if (setting->config.touch && !setting->trace)
		result->limit = bench_limit_of(adapter, &setting->config);
	if (setting->config.kind != BENCH_PACED)
		return 0;
	result->ages = calloc(BENCH_BUCKETS, sizeof(*result->ages));
	return result->ages ? 0 : -ENOMEM;
}

int bench_plan_add(struct bench_plan *plan, const struct bench_setting *setting)
{
	int rc = 0;

	if (!bench_args_wants_bench(plan->args, setting->bench))
		return 0;
	if (setting->place == BENCH_TWO_CPUS && plan->cpu_count < 2)
		return 0;
	for (size_t i = 0; bench_adapters[i] && rc == 0; i++)
		if (fits(plan, bench_adapters[i], setting))
			rc = add_adapter(plan, setting, bench_adapters[i]);
	return rc;
}

int bench_plan_add_custom(struct bench_plan *plan, const struct bench_setting *setting,
			  const struct bench_result *about,
			  int (*custom)(const struct bench_config *, double *))
{
	struct bench_result *result;
	int rc;

	if (!bench_args_wants_bench(plan->args, setting->bench))
		return 0;
	if (plan->args->impl_count && !bench_args_wants_impl(plan->args, about->impl))
		return 0;
	rc = add_cell(plan, setting);
	if (rc < 0)
		return rc;
	plan->jobs[plan->count - 1].custom = custom;
	result = &plan->results[plan->count - 1];
	result->impl = about->impl;
	result->name = about->name;
	result->how = about->how;
	result->flags = about->flags;
	result->limit = about->limit;
	return 0;
}
