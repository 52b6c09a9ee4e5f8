/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>

#include "base/barrier.h"
#include "base/cpu.h"
#include "ring/wake.h"

/* Looks and pauses between two looks at the clock. Each of those costs about as much as a pause and
 * is time in which a record that arrives is not seen. */
#define SPIN_EFFORT 64
/* Below this, a spin is over before the clock has been read twice. */
#define SPIN_MIN_NS 1000

/* The one processor that this process may run on, plus 1; 0: there are more, or it is unknown. Where
 * it may choose, it is not told where it runs now: the scheduler would leave two processes together
 * that never spin. */
static uint64_t pinned_cpu(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) != 1)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			return (uint64_t)cpu + 1;
	}
	return 0;
}

/* What the hot path finds in fence mode: a peer that seems to sleep. */
static const uint64_t always_odd = 1;

void peal_wake_init(struct peal_wake *wake, const struct peal_ring_spec *spec, bool is_producer)
{
	if (is_producer) {
		wake->own_word = &spec->own->space_wait;
		wake->counters = &spec->own->producer_counters;
		wake->peer_wait = &spec->peer->data_wait;
	} else {
		wake->own_word = &spec->own->data_wait;
		wake->counters = &spec->own->consumer_counters;
		wake->peer_wait = &spec->peer->space_wait;
	}
	wake->peer_word = spec->peer_membarrier ? wake->peer_wait : &always_odd;
	wake->cpu = pinned_cpu();
	wake->peer_cpu = &spec->peer->cpu;
	peal_store_relaxed(&spec->own->cpu, wake->cpu);
	wake->bell = spec->bell;
	wake->membarrier = spec->membarrier;
	wake->no_clock = spec->no_clock;
	wake->spin_cap_ns = spec->spin_cap_ns;
	/* Little at first: the peer may have to be started yet. */
	wake->spin_ns = spec->spin_cap_ns < SPIN_MIN_NS ? spec->spin_cap_ns : SPIN_MIN_NS;
}

/* Single writer, so load and store need no read-modify-write; relaxed: observers only. */
static void count(uint64_t *counter)
{
	peal_store_relaxed(counter, peal_load_relaxed(counter) + 1);
}

void peal_wake_spurious(struct peal_wake *wake)
{
	count(&wake->counters->spurious);
}

int peal_wake_heavy(struct peal_wake *wake)
{
	/* What was promised must be kept: the peer has left out its fence, and a fence on this side
	 * alone would lose wakes. So a membarrier that fails is an error, not a reason to fall back. */
	if (wake->membarrier)
		return peal_membarrier();
	peal_barrier_full();
	return 0;
}

/* Since when we wait, which is kept through time-outs and wakes for nothing. */
static void note_wait(const struct peal_wake *wake, uint64_t position)
{
	struct peal_counters *counters = wake->counters;

	if (wake->no_clock || (peal_load_relaxed(&counters->position) == position &&
			       peal_load_relaxed(&counters->since_ns) != 0))
		return;
	/* The time first: an observer of the position finds its time or a later one. */
	peal_store_relaxed(&counters->since_ns, peal_now_ns());
	peal_store_release(&counters->position, position);
}

void peal_wake_announce(struct peal_wake *wake, uint64_t position)
{
	note_wait(wake, position);
	/* The next odd number, also when a cancelled wait left an odd one. */
	wake->own_value = (wake->own_value + 1) | 1;
	/* P6, C4. Release: arming must not overtake the drain of the sleep before, which would then
	 * eat the bell that answers this arming. */
	peal_store_release(wake->own_word, wake->own_value);
}

int peal_wake_arm(struct peal_wake *wake, uint64_t position)
{
	int rc;

	peal_wake_announce(wake, position);
	rc = peal_wake_heavy(wake); /* P7, C5 */
	if (rc < 0)
		peal_wake_disarm(wake);
	return rc;
}

void peal_wake_disarm(struct peal_wake *wake)
{
	/* P10, C8. Relaxed: a late even word costs the peer one needless bell at most. */
	wake->own_value = (wake->own_value + 1) & ~UINT64_C(1);
	peal_store_relaxed(wake->own_word, wake->own_value);
}

int peal_wake_sleep(struct peal_wake *wake, uint64_t deadline_ns)
{
	int rc, drained;

	count(&wake->counters->sleeps);
	rc = wake->bell->wait(wake->bell, deadline_ns); /* P9, C7 */
	peal_wake_disarm(wake);
	if (rc != 0)
		return rc;
	/* P11, C9: after the even store, and only when the bell woke us. */
	drained = wake->bell->drain(wake->bell);
	return drained < 0 ? drained : 0;
}

int peal_wake_leave(struct peal_wake *wake)
{
	int rc;

	peal_wake_disarm(wake);
	rc = wake->bell->drain(wake->bell);
	return rc < 0 ? rc : wake->bell->check(wake->bell);
}

void peal_wake_drop_fence(struct peal_wake *wake)
{
	wake->peer_word = wake->peer_wait;
}

bool peal_wake_is_fenced(const struct peal_wake *wake)
{
	return wake->peer_word != wake->peer_wait;
}

int peal_wake_peer(struct peal_wake *wake, uint64_t word)
{
	int rc;

	/* One load a call: either the caller's, or this one. */
	if (peal_wake_is_fenced(wake)) {
		peal_barrier_full();                       /* P4, C3b of fence mode */
		word = peal_load_relaxed(wake->peer_wait); /* P5, C3c: ordered by the barrier */
	}
	if (!(word & 1) || word == wake->last_rung)
		return 0;
	rc = wake->bell->ring(wake->bell);
	if (rc < 0)
		return rc;
	/* Only now: a bell that was not rung is still owed. */
	wake->last_rung = word;
	count(&wake->counters->wakes);
	return 0;
}

bool peal_wake_is_apart(const struct peal_wake *wake)
{
	/* A peer that is pinned to the processor that we are pinned to can only run when we do not.
	 * Relaxed: the peer's claim; the worst of a lie is that we sleep at once. */
	return wake->cpu == 0 || peal_load_relaxed(wake->peer_cpu) != wake->cpu;
}

void peal_spin_begin(struct peal_spin *spin, const struct peal_wake *wake, uint64_t deadline_ns)
{
	*spin = (struct peal_spin){.budget_ns = peal_wake_is_apart(wake) ? wake->spin_ns : 0,
				   .deadline_ns = deadline_ns};
}

bool peal_spin(struct peal_spin *spin, unsigned int pauses)
{
	uint64_t now;

	if (spin->budget_ns == 0)
		return false;
	for (unsigned int i = 0; i < pauses; i++)
		peal_cpu_relax();
	spin->rounds++;
	spin->effort += 1 + pauses;
	if (spin->effort < SPIN_EFFORT)
		return true;
	spin->effort = 0;
	/* The first rounds go without a clock, because most waits end in them. */
	now = peal_now_ns();
	if (spin->begin_ns == 0)
		spin->begin_ns = now;
	return now - spin->begin_ns < spin->budget_ns && now < spin->deadline_ns;
}

bool peal_spin_was_short(const struct peal_spin *spin, const struct peal_wake *wake)
{
	/* Waking up takes about as long as the longest spin, hence twice. */
	return wake->spin_cap_ns > 0 && peal_now_ns() - spin->begin_ns < 2 * wake->spin_cap_ns;
}

void peal_spin_learn(struct peal_wake *wake, bool worth_while)
{
	wake->spin_ns = worth_while ? wake->spin_ns * 2 : wake->spin_ns / 2;
	if (wake->spin_ns < SPIN_MIN_NS)
		wake->spin_ns = SPIN_MIN_NS;
	if (wake->spin_ns > wake->spin_cap_ns)
		wake->spin_ns = wake->spin_cap_ns;
}
