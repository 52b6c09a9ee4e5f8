/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "limit.h"

static bool is_called(const struct bench_adapter *adapter, const char *slug)
{
	return strcmp(adapter->slug, slug) == 0;
}

bool bench_limit_measures(const struct bench_adapter *limit, const struct bench_config *config)
{
	if (is_called(limit, "limit-flag"))
		return config->kind == BENCH_RTT;
	if (is_called(limit, "limit-stream"))
		return config->kind == BENCH_THROUGHPUT || config->kind == BENCH_BATCH;
	return config->kind == BENCH_RTT || config->kind == BENCH_PACED;
}

const char *bench_limit_of(const struct bench_adapter *adapter, const struct bench_config *config)
{
	bool streams = config->kind == BENCH_THROUGHPUT || config->kind == BENCH_BATCH;

	if (config->wait == BENCH_SPIN)
		return streams ? "limit-stream" : config->kind == BENCH_RTT ? "limit-flag" : NULL;
	if (streams || !(adapter->flags & BENCH_IS_PEAL))
		return NULL;
	/* Each doorbell by what it is made of. */
	return is_called(adapter, "peal-eventfd") ? "limit-eventfd-ppoll" : "limit-socket-ppoll";
}
