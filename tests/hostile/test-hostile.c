/* SPDX-License-Identifier: MIT */
/*
 * Promises about a guest that is hostile: whatever it does, the host's process is unharmed, its calls
 * end as documented, what it holds and spends stays bounded, and an innocent channel that is served
 * by the same thread loses nothing.
 *
 * PEAL_HOSTILE_ROUNDS: how often; 1 in CI. PEAL_HOSTILE_MODE: this one alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/beside.h"

/* Records that the innocent guest must echo while hostilities last. */
#define INNOCENT_RECORDS 800

/* A guest that has ended its hostilities costs nothing: processor time, out of the time waited. A
 * host that spun would use nearly all of it. */
#define QUIET_US     50000
#define QUIET_CPU_US (QUIET_US / 2)

/* Processor time for one record, or one wake for nothing, on average; some hundred times what it takes. */
#define SERVED_CPU_NS 1000000

/* The C library's buffers, the kernel's whims. */
#define RESIDENT_SLACK (UINT64_C(1) << 20)

/* How an end may end. */
enum {
	OPEN = 1,   /* nothing was false, all goes on */
	BROKEN = 2, /* -EPROTO, for good */
	GONE = 4,   /* -EPIPE, for good */
};

enum {
	STRICT = 1,     /* not even the hostile guest's own records are lost */
	EVENTFDS = 2,   /* doorbells of that kind */
	ENDLESS = 4,    /* a ring full of valid records for ever: it is never quiet */
	STOPPED = 8,    /* it stops itself, and is continued in the end */
	DIES = 16,      /* it ends by itself */
	HEIR = 32,      /* and something of it goes on */
	PREFIX = 64,    /* it commits some honest records: exactly those come */
	DEAF = 512,     /* its queue is to be full of bells that it does not take */
	FLICKERS = 256, /* whether it is there */
	HANGS_UP = 128, /* the kernel says so, though it lives */
};

struct threat {
	const char *mode;  /* of the guest */
	const char *names; /* in threats.md */
	int tx, rx;        /* how the host's ends may end */
	int flags;
};

static const struct threat threats[] = {
	{"head-back", "T1", BROKEN, OPEN, 0},
	{"more-than-fits", "T2", OPEN, OPEN, ENDLESS},
	{"scribble-head", "T1 T3 T9", BROKEN, OPEN, 0},
	{"scribble-header", "T2 T3", OPEN, BROKEN, 0},
	{"scribble-size", "T2 T3", OPEN, OPEN, ENDLESS},
	{"scribble-state", "T3", OPEN | GONE, OPEN | GONE, FLICKERS},
	{"scribble-all", "T1 T2 T3", BROKEN | GONE, BROKEN | GONE, 0},
	{"scribble-waits", "T3 T11", OPEN, OPEN, STRICT},
	{"scribble-figures", "T3", OPEN, OPEN, STRICT},
	{"scribble-identity", "T3 T7", OPEN, OPEN, STRICT},
	{"misuse-memory", "T4", OPEN, OPEN, STRICT},
	{"holes", "T4", OPEN, OPEN | BROKEN, 0},
	{"twice", "T8", OPEN, OPEN, STRICT},
	{"fork", "T10", OPEN, OPEN, STRICT},
	{"flood-bytes", "T11", OPEN, OPEN, STRICT},
	/* It can fill the queue so that its own bells do not fit: epoll is told of none, then. */
	{"flood-large", "T11", OPEN, OPEN, 0},
	{"flood-silent", "T11 T15", OPEN, OPEN, 0},
	{"flood-oob", "T11 T13", OPEN, OPEN, STRICT},
	{"flood-fds", "T11 T12", OPEN, OPEN, STRICT},
	{"deaf", "T11", OPEN, OPEN, STRICT | DEAF},
	{"eventfd-flood", "T11", OPEN, OPEN, STRICT | EVENTFDS},
	{"eventfd-full", "T11", OPEN, OPEN, STRICT | EVENTFDS},
	{"eventfd-steal", "T15", OPEN, OPEN, STRICT | EVENTFDS},
	{"shut-rd", "T13", GONE, OPEN | GONE, PREFIX | HANGS_UP},
	{"shut-wr", "T13", OPEN | GONE, GONE, PREFIX | HANGS_UP},
	{"shut-both", "T13", GONE, GONE, PREFIX | HANGS_UP},
	{"withhold", "T15", OPEN, OPEN, PREFIX},
	{"die-unread", "T14 T16", GONE, GONE, DIES | PREFIX},
	{"garbage", "T1 T2 T14", BROKEN | GONE, BROKEN | GONE, DIES},
	{"leave", "T14", GONE, GONE, DIES | PREFIX},
	{"heir-holds", "T17 T21", GONE, GONE, DIES | HEIR | PREFIX},
	{"heir-undead", "T1 T2 T3 T17 T21", BROKEN | GONE, BROKEN | GONE, DIES | HEIR},
	{"stop", "T18", OPEN, OPEN, STRICT | STOPPED},
};

#define THREATS ((int)(sizeof(threats) / sizeof(threats[0])))

/* --- One round ------------------------------------------------------------------------------- */

static bool has_ended(struct lane *lane)
{
	return peal_child_wait(lane->child, PEAL_TRY, NULL) == 0;
}

static bool must_end(int allowed)
{
	return !(allowed & OPEN);
}

/* More bells than a queue holds (278, see socket.c), none of them taken. */
static bool is_full(const struct host *host)
{
	struct peal_side_stats own;

	peal_channel_stats(host->hostile.channel, &own, NULL);
	return own.tx.wakes > 400;
}

/* Hostilities have begun, and what must break is broken. */
static bool is_settled(struct host *host, const struct threat *threat)
{
	struct lane *hostile = &host->hostile;

	return account_is(&hostile->account->begun) && (!(threat->flags & DEAF) || is_full(host)) &&
	       (!must_end(threat->tx) || hostile->ends[TX]) &&
	       (!must_end(threat->rx) || hostile->ends[RX]);
}

static void check_end(const struct host *host, int end, int allowed)
{
	static const char *const breaches[] = {"that is not in the ring", "that is not valid",
					       "that is larger than the ring"};
	const struct lane *lane = &host->hostile;
	const char *words = lane->words[end];
	bool known = false;

	switch (lane->ends[end]) {
	case 0:
		ck_assert(allowed & OPEN);
		return;
	case EPIPE:
		ck_assert_msg(allowed & GONE, "%s by %s: %s", lane->mode, way_names[host->way],
			      words);
		ck_assert_msg(strstr(words, "gone"), "%s: %s", lane->mode, words);
		return;
	default:
		ck_assert_msg(lane->ends[end] == EPROTO && (allowed & BROKEN),
			      "%s by %s: errno %d: %s", lane->mode, way_names[host->way],
			      lane->ends[end], words);
		for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++)
			known |= strstr(words, breaches[i]) != NULL;
		ck_assert_msg(known, "%s: %s", lane->mode, words);
	}
}

/* What is broken stays so, and says the same. */
static void check_sticky(const struct host *host)
{
	const struct lane *lane = &host->hostile;
	struct peal_record record;
	void *payload;

	if (lane->ends[TX])
		assert_fails(peal_reserve_wait(peal_tx(lane->channel), 8, &payload, PEAL_FOREVER),
			     lane->ends[TX], lane->words[TX]);
	if (lane->ends[RX] == EPROTO)
		assert_fails(peal_next_wait(peal_rx(lane->channel), &record, PEAL_FOREVER), EPROTO,
			     lane->words[RX]);
}

static void check_holdings(const struct host *host, const struct holdings *before)
{
	struct holdings now = holdings_take();
	const char *mode = host->hostile.mode;

	ck_assert_msg(now.descriptors <= before->descriptors, "%s: %d descriptors, %d before", mode,
		      now.descriptors, before->descriptors);
	ck_assert_msg(now.mappings <= before->mappings + 2, "%s: %d mappings, %d before", mode,
		      now.mappings, before->mappings);
	ck_assert_msg(now.resident_bytes <= before->resident_bytes + RESIDENT_SLACK,
		      "%s: %llu bytes resident, %llu before", mode,
		      (unsigned long long)now.resident_bytes,
		      (unsigned long long)before->resident_bytes);
}

static void raise_to(uint64_t *most, uint64_t value)
{
	if (*most < value)
		*most = value;
}

/* Each wake for nothing is counted by the ring. */
static void check_cost(const struct host *host, uint64_t cpu)
{
	struct peal_side_stats own, peer;
	uint64_t served = host->innocent.received + host->innocent.sent + host->hostile.received +
			  host->hostile.sent + host->waits;

	peal_channel_stats(host->hostile.channel, &own, &peer); /* peer's: whatever it claims */
	served += own.rx.spurious + own.tx.spurious;
	raise_to(&totals->record_cpu_ns, cpu / served);
	ck_assert_msg(cpu / served < SERVED_CPU_NS, "%s by %s: %llu ns for each of %llu",
		      host->hostile.mode, way_names[host->way], (unsigned long long)(cpu / served),
		      (unsigned long long)served);
}

static void be_quiet(struct host *host)
{
	uint64_t cpu = host_be_quiet(host, QUIET_US);

	raise_to(&totals->quiet_cpu_us, cpu);
	ck_assert_msg(cpu < QUIET_CPU_US, "%s by %s: quiet for %d us cost %llu us",
		      host->hostile.mode, way_names[host->way], QUIET_US, (unsigned long long)cpu);
}

/* What it claims of itself. That it is dead is for the kernel to say, and for nobody else. */
static void check_claims(const struct host *host, const struct threat *threat)
{
	struct peal_channel *channel = host->hostile.channel;
	int looks = threat->flags & FLICKERS ? 1000 : 1;
	struct peal_side_stats own, peer;

	peal_channel_stats(channel, &own, &peer);
	ck_assert_uint_eq(own.tx.capacity, RING_BYTES);
	/* Often, since it takes two looks at a word that flickers to be led astray. */
	for (int i = 0; i < looks && !(threat->flags & (DIES | HANGS_UP)); i++)
		ck_assert_msg(peal_channel_peer(channel) != PEAL_PEER_DEAD,
			      "%s: it lives and is said to be dead", threat->mode);
}

/* While the hostile guest is at it. */
static void live_beside(struct host *host, const struct threat *threat)
{
	uint64_t target;

	while (!account_is(&host->hostile.account->begun))
		host_step(host);
	target = host->innocent.received + INNOCENT_RECORDS;
	while (host->innocent.received < target || !is_settled(host, threat)) {
		host_step(host);
		check_claims(host, threat);
	}
}

/* Hostilities end; what is honest comes to its end. */
static void make_peace(struct host *host, const struct threat *threat)
{
	struct lane *hostile = &host->hostile;

	if (threat->flags & STOPPED) {
		be_quiet(host);
		assert_ok(peal_child_kill(hostile->child, SIGCONT));
	}
	if (threat->flags & DIES)
		while (!has_ended(hostile))
			host_step(host);
	if (!(threat->flags & HEIR))
		account_say(&hostile->account->stop);
	while (!(threat->flags & DIES) && !account_is(&hostile->account->done))
		host_step(host);
	if (threat->flags & STRICT) {
		hostile->window = 0;
		while (hostile->received < hostile->sent && !hostile->ends[TX] &&
		       !hostile->ends[RX])
			host_step(host);
		ck_assert_uint_eq(hostile->received, hostile->sent);
		ck_assert_uint_ge(hostile->received, 1);
	}
	if (threat->flags & PREFIX) {
		while (hostile->received < hostile->account->committed && !hostile->ends[RX])
			host_step(host);
		ck_assert_uint_eq(hostile->received, hostile->account->committed);
	}
}

/* A strict guest leaves content when the host closes; nobody failed at what must hold. */
static void check_guest(struct host *host, const struct threat *threat)
{
	struct lane *hostile = &host->hostile;
	struct peal_child_status status;

	if (threat->flags & STRICT) {
		lane_unwatch(hostile);
		hostile->channel = peal_channel_close(hostile->channel);
		assert_ok(peal_child_wait(hostile->child, PEAL_FOREVER, &status));
		ck_assert_msg(status.state == PEAL_CHILD_EXITED && status.value == 0,
			      "%s: the guest ended with %d, line %u", threat->mode, status.value,
			      hostile->account->failed);
	}
	ck_assert_msg(hostile->account->failed == 0, "%s: line %u of the guest", threat->mode,
		      hostile->account->failed);
}

/* T21: a new channel has nothing of the old one, however lively its heirs are. */
static void check_restart(struct host *host)
{
	struct host next = {.way = BY_WAIT,
			    .accounts = host->accounts,
			    .accounts_fd = host->accounts_fd,
			    .innocent = {.is_strict = true, .window = 16}};

	lane_start(&next.innocent, &next, 2, "echo", false, true);
	while (next.innocent.received < INNOCENT_RECORDS)
		host_step(&next);
	host_settle_innocent(&next);
	ck_assert_mem_ne(next.innocent.account->channel_id, host->hostile.account->channel_id, 16);
	next.innocent.channel = peal_channel_close(next.innocent.channel);
	next.innocent.child = peal_child_free(next.innocent.child);
	__atomic_fetch_add(&totals->innocent_records, next.innocent.received, __ATOMIC_RELAXED);
}

/* The heir was the guest's child; it is this process's now. */
static void bury_heir(struct host *host)
{
	account_say(&host->hostile.account->stop);
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
}

static void run_round(const struct threat *threat, enum way way)
{
	struct host host;
	struct lane *hostile = &host.hostile;
	struct holdings before;
	uint64_t cpu;

	host_open(&host, way);
	hostile->is_strict = threat->flags & (STRICT | PREFIX);
	hostile->window = threat->flags & STRICT ? 8 : ALWAYS;
	host_meet(&host, threat->mode, threat->flags & EVENTFDS);
	if (threat->flags & HEIR)
		__atomic_store_n(&hostile->account->stop, 0, __ATOMIC_RELAXED);
	before = holdings_take();
	cpu = cpu_ns();
	live_beside(&host, threat);
	check_holdings(&host, &before);
	check_cost(&host, cpu_ns() - cpu);
	make_peace(&host, threat);
	if (!(threat->flags & (ENDLESS | HEIR)))
		be_quiet(&host);
	check_holdings(&host, &before);
	check_end(&host, TX, threat->tx);
	check_end(&host, RX, threat->rx);
	check_sticky(&host);
	if (threat->flags & HEIR)
		check_restart(&host);
	check_guest(&host, threat);
	totals->rounds++;
	totals->hostile_records += hostile->received;
	totals->hostilities += hostile->account->hostilities;
	if (threat->flags & HEIR)
		bury_heir(&host);
	host_settle_innocent(&host);
	totals->innocent_records += host.innocent.received;
	host_close(&host);
}

START_TEST(a_hostile_guest_harms_nobody)
{
	const char *text = getenv("PEAL_HOSTILE_ROUNDS"), *only = getenv("PEAL_HOSTILE_MODE");
	const struct threat *threat = &threats[_i / WAYS];
	int rounds = text ? atoi(text) : 1;

	if (only && strcmp(only, threat->mode) != 0)
		return;
	/* What a guest leaves behind is to be found here. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int i = 0; i < rounds; i++) {
		if (isatty(STDOUT_FILENO)) {
			printf("\r%-20s %-10s %-18s round %d  ", threat->mode, way_names[_i % WAYS],
			       threat->names, i + 1);
			fflush(stdout);
		}
		run_round(threat, (enum way)(_i % WAYS));
	}
}
END_TEST

int main(void)
{
	int rc = totals_open();

	if (rc != 0)
		return rc;
	rc = harness_main("hostile", (struct harness_case[]){
					     {a_hostile_guest_harms_nobody, THREATS * WAYS},
					     HARNESS_END,
				     });
	totals_print(
		"%d modes, %llu rounds, %llu innocent records kept, %llu hostile acts; quiet: at "
		"most %.1f %% of a processor\n",
		THREATS, totals->rounds, totals->innocent_records, totals->hostilities,
		(double)totals->quiet_cpu_us * 100 / QUIET_US);
	return rc;
}
