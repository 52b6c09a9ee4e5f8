/* SPDX-License-Identifier: MIT */
/*
 * seen.c - the states that were seen: an open hash table of 128-bit hashes.
 */
#include <stdlib.h>

#include "explore.h"

struct seen {
	struct explore_hash hash; /* all 0: free */
	double executions;        /* from here; 0: not known yet, the search is still below it */
};

static struct seen *table;
static size_t table_size, used;

static struct seen *place(const struct explore_hash *hash)
{
	size_t at = hash->a & (table_size - 1);

	while ((table[at].hash.a | table[at].hash.b) != 0 &&
	       (table[at].hash.a != hash->a || table[at].hash.b != hash->b))
		at = (at + 1) & (table_size - 1);
	return &table[at];
}

static void grow(void)
{
	struct seen *old = table;
	size_t old_size = table_size;

	table_size = table_size ? 2 * table_size : 1 << 14;
	table = calloc(table_size, sizeof(*table));
	if (!table)
		abort();
	for (size_t i = 0; i < old_size; i++) {
		if ((old[i].hash.a | old[i].hash.b) != 0)
			*place(&old[i].hash) = old[i];
	}
	free(old);
}

bool explore_is_new(const struct explore_hash *hash, double *executions)
{
	struct seen *seen;

	if (used >= table_size / 4 * 3)
		grow();
	seen = place(hash);
	*executions = seen->executions;
	if ((seen->hash.a | seen->hash.b) != 0)
		return false;
	seen->hash = *hash;
	used++;
	return true;
}

void explore_leads_to(const struct explore_hash *hash, double executions)
{
	place(hash)->executions = executions;
}
