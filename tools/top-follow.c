/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "top.h"

static const struct top_channel *find_old(const struct top_channels *old,
					  const struct look_channel *channel)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct look_channel *one = &old->list[i].channel;

		if (one->inode[LOOK_HOST] == channel->inode[LOOK_HOST] &&
		    one->inode[LOOK_GUEST] == channel->inode[LOOK_GUEST])
			return &old->list[i];
	}
	return NULL;
}

static void remember_rate(struct top_ring *ring, const struct look_flow *flow)
{
	if (ring->count == TOP_HISTORY) {
		ring->count--;
		memmove(ring->rates, ring->rates + 1, ring->count * sizeof(ring->rates[0]));
	}
	ring->rates[ring->count++] = flow->has_rate ? (float)flow->bytes_per_s : 0;
}

static void compare(struct top_channel *channel, const struct look_figures *before)
{
	for (int to = 0; to < LOOK_SIDES; to++) {
		struct top_ring *ring = &channel->rings[to];

		if (ring->still_ns == 0 || before->ring[to].read != channel->now.ring[to].read)
			ring->still_ns = channel->now.at_ns;
		channel->flows[to] = look_compare(before, &channel->now, to, ring->still_ns);
		if (before != &channel->now)
			remember_rate(ring, &channel->flows[to]);
	}
}

/* False: it has ended, or may not be read. */
static bool look(struct top_channels *channels, struct top_channel *channel,
		 const struct look_channel *found, const struct top_channel *old)
{
	int rc;

	*channel = (struct top_channel){0};
	if (old)
		memcpy(channel->rings, old->rings, sizeof(channel->rings));
	channel->channel = *found;
	rc = look_read(found, &channel->now);
	if (rc == -EACCES)
		channels->secret = true;
	if (rc < 0)
		return false;
	compare(channel, old ? &old->now : &channel->now);
	return true;
}

static int look_at_all(struct top_channels *channels, const struct look_channels *found)
{
	struct top_channel *list = calloc(found->count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < found->count; i++)
		if (look(channels, &list[count], &found->list[i],
			 find_old(channels, &found->list[i])))
			count++;
	free(channels->list);
	channels->list = list;
	channels->count = count;
	return 0;
}

int top_follow(struct top_channels *channels)
{
	struct look_mappings mappings;
	struct look_channels found = {0};
	int rc = look_find(&mappings);

	if (rc < 0)
		return rc;
	rc = look_pair(&mappings, &found);
	if (rc == 0) {
		channels->denied = mappings.denied;
		channels->secret = mappings.secret;
		rc = look_at_all(channels, &found);
	}
	look_unpair(&found);
	look_forget(&mappings);
	return rc;
}

void top_forget(struct top_channels *channels)
{
	free(channels->list);
	*channels = (struct top_channels){0};
}
