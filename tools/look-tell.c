/* SPDX-License-Identifier: MIT */
/*
 * look-tell.c - what the figures of a channel mean.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "look.h"
#include "ring/layout.h"

/* Since when @end waits at @position, by its own word; 0: it does not say. */
static uint64_t waited_ns(const struct look_end *end, uint64_t position, uint64_t now_ns)
{
	if (end->position != position || end->since_ns == 0 || end->since_ns > now_ns)
		return 0;
	return now_ns - end->since_ns;
}

uint64_t look_asleep_ns(const struct look_end *end, uint64_t now_ns)
{
	return end->asleep ? waited_ns(end, end->position, now_ns) : 0;
}

static void compare_stall(const struct look_figures *now, enum look_who to, uint64_t since_ns,
			  struct look_flow *flow)
{
	const struct look_ring *ring = &now->ring[to];
	uint64_t told = waited_ns(&ring->producer, ring->read, now->at_ns), seen = 0;

	if (since_ns != 0)
		seen = now->at_ns - since_ns;
	/* The two are sides of one ring, and only one of them is blamed. */
	flow->stalled_ns = told > seen ? told : seen;
	flow->is_hearsay = told > seen && to == LOOK_HOST;
}

struct look_flow look_compare(const struct look_figures *before, const struct look_figures *now,
			      enum look_who to, uint64_t since_ns)
{
	const struct look_ring *ring = &now->ring[to], *old = &before->ring[to];
	const int64_t came = (int64_t)(ring->written - old->written);
	const uint64_t ns = now->at_ns - before->at_ns;
	struct look_flow flow = {0};

	if (ring->impossible)
		return flow;
	if (before != now && ns > 0 && !old->impossible && came >= 0) {
		flow.has_rate = true;
		flow.bytes_per_s = (double)came * 1e9 / (double)ns;
	}
	if (ring->used > 0 && ring->read == old->read)
		compare_stall(now, to, since_ns, &flow);
	else if (ring->used == 0)
		flow.idle_ns = waited_ns(&ring->consumer, ring->written, now->at_ns);
	return flow;
}

unsigned int look_percent(const struct look_ring *ring, uint64_t capacity, uint32_t align)
{
	const uint64_t room = capacity > align ? capacity - align : 1;

	return (unsigned int)((ring->used * 100 + room / 2) / room);
}

char *look_percent_text(char text[FORMAT_MAX], const struct look_channel *channel,
			const struct look_figures *now, enum look_who to)
{
	const struct look_ring *ring = &now->ring[to];
	unsigned int percent = look_percent(ring, channel->capacity[to], now->align);

	if (ring->impossible)
		return strcpy(text, "?");
	if (percent == 0 && ring->used > 0)
		return strcpy(text, "<1");
	snprintf(text, FORMAT_MAX, "%u", percent);
	return text;
}

const char *look_who_name(enum look_who who)
{
	return who == LOOK_HOST ? "host" : "guest";
}

const char *look_state_name(enum look_state state)
{
	static const char *const names[] = {
		[LOOK_ABSENT] = "absent", [LOOK_ATTACHED] = "attached", [LOOK_REFUSED] = "refused",
		[LOOK_CLOSED] = "closed", [LOOK_GONE] = "gone",         [LOOK_HIDDEN] = "hidden",
	};

	return names[state];
}

static uint32_t pid_of(const struct look_side *side)
{
	return side->pid != 0 ? (uint32_t)side->pid : side->claimed_pid;
}

void look_complaint(char text[LOOK_TEXT_MAX], const struct look_channel *channel,
		    const struct look_figures *now, enum look_who to, const struct look_flow *flow)
{
	const struct look_ring *ring = &now->ring[to];
	const struct look_side *side = &now->side[to];
	char amount[FORMAT_MAX], time[FORMAT_MAX], full[FORMAT_MAX];

	text[0] = '\0';
	if (channel->capacity[to] == 0)
		return;
	if (now->version != PEAL_LAYOUT_VERSION)
		snprintf(text, LOOK_TEXT_MAX,
			 "layout version %" PRIu32 ", and this peal knows version %u alone",
			 now->version, PEAL_LAYOUT_VERSION);
	else if (ring->impossible)
		snprintf(text, LOOK_TEXT_MAX,
			 "the positions in the ring to the %s are impossible: a side lies",
			 look_who_name(to));
	else if (side->state == LOOK_GONE && ring->used > 0)
		snprintf(text, LOOK_TEXT_MAX, "%s %" PRIu32 " is gone and has left %s unread",
			 look_who_name(to), pid_of(side), format_bytes(amount, ring->used));
	else if (flow->stalled_ns >= LOOK_STUCK_NS)
		snprintf(text, LOOK_TEXT_MAX,
			 "%s %" PRIu32 "%s has not read for %s%s; ring %s %% full",
			 look_who_name(to), pid_of(side),
			 side->stopped ? ", stopped by a signal," : "",
			 format_duration(time, flow->stalled_ns),
			 flow->is_hearsay ? ", says the guest" : "",
			 look_percent_text(full, channel, now, to));
}

void look_side_text(char text[LOOK_TEXT_MAX], const struct look_side *side, int width)
{
	char whole[LOOK_TEXT_MAX];

	if (side->state == LOOK_ATTACHED || (side->pid != 0 && side->state == LOOK_CLOSED))
		snprintf(whole, sizeof(whole), "%d %s", (int)side->pid, side->name);
	else if (side->state == LOOK_GONE || side->state == LOOK_HIDDEN)
		snprintf(whole, sizeof(whole), "%" PRIu32 " (%s)", side->claimed_pid,
			 look_state_name(side->state));
	else
		snprintf(whole, sizeof(whole), "(%s)", look_state_name(side->state));
	snprintf(text, LOOK_TEXT_MAX, "%.*s", width, whole);
}

/* --- JSON ------------------------------------------------------------------------------------------ */

/* No honest figure is beyond these 63 bits. */
static json_t *number(uint64_t value)
{
	return value <= INT64_MAX ? json_integer((json_int_t)value) : json_null();
}

static json_t *end_json(const struct look_end *end, uint64_t now_ns)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o}", "asleep", end->asleep, "asleep_ns",
			 number(look_asleep_ns(end, now_ns)), "sleeps", number(end->sleeps),
			 "wakes", number(end->wakes), "spurious", number(end->spurious));
}

static json_t *ring_json(const struct look_channel *channel, const struct look_figures *now,
			 enum look_who to, const struct look_flow *flow)
{
	const struct look_ring *ring = &now->ring[to];
	const bool is_known = !ring->impossible;
	char complaint[LOOK_TEXT_MAX];

	if (channel->capacity[to] == 0)
		return json_null();
	look_complaint(complaint, channel, now, to, flow);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "capacity",
			 number(channel->capacity[to]), "used",
			 is_known ? number(ring->used) : json_null(), "full_percent",
			 is_known ? number(look_percent(ring, channel->capacity[to], now->align))
				  : json_null(),
			 "written", number(ring->written), "read", number(ring->read),
			 "bytes_per_s", flow->has_rate ? json_real(flow->bytes_per_s) : json_null(),
			 "stalled_ns", number(flow->stalled_ns), "idle_ns", number(flow->idle_ns),
			 "impossible", ring->impossible, "producer",
			 end_json(&ring->producer, now->at_ns), "consumer",
			 end_json(&ring->consumer, now->at_ns), "complaint",
			 complaint[0] ? json_string(complaint) : json_null());
}

static json_t *side_json(const struct look_side *side)
{
	return json_pack("{s:o, s:o, s:s, s:b}", "pid",
			 side->pid ? json_integer(side->pid) : json_null(), "name",
			 side->pid ? json_string(side->name) : json_null(), "state",
			 look_state_name(side->state), "stopped", side->stopped);
}

json_t *look_json(const struct look_channel *channel, const struct look_figures *now,
		  const struct look_flow flows[LOOK_SIDES])
{
	char id[2 * sizeof(channel->id) + 1];

	for (size_t i = 0; i < sizeof(channel->id); i++)
		sprintf(id + 2 * i, "%02x", channel->id[i]);
	return json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:o}", "channel", channel->name, "id",
			 id, "align", (int)now->align, "doorbell",
			 now->has_eventfds ? "eventfd" : "socket", "host",
			 side_json(&now->side[LOOK_HOST]), "guest",
			 side_json(&now->side[LOOK_GUEST]), "to_guest",
			 ring_json(channel, now, LOOK_GUEST, &flows[LOOK_GUEST]), "to_host",
			 ring_json(channel, now, LOOK_HOST, &flows[LOOK_HOST]));
}
