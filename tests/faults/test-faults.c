/* SPDX-License-Identifier: MIT */
/*
 * Promises about failing system calls: wherever one fails, the library goes on by another way that is
 * documented, or says what failed; and nothing is left: no descriptor, mapping, memory, process.
 *
 * Each scenario is lived once to see its calls, then once for each call and each plausible errno. What
 * such a life calls that none before did (it is unwinding) is then made to fail as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/judge.h"
#include "faults/scenario.h"
#include "faults/sites.h"
#include "faults/tell.h"
#include "faults/trace.h"
#include "harness.h"
#include "ipc/ipc.h"

#define KEYS_MAX 1024
#define WORK_MAX 16384

/* One that depends on who was quicker may not come in each life. */
#define TRIES 4

/* Over all scenarios, in memory that the forked tests share. */
static struct figures *figures;
static struct sites *sites;
/* The name of the only scenario to live; NULL: all. The argument, for who looks for a mistake. */
static const char *only;
struct hunt {
	const struct scenario *scenario;
	struct call keys[KEYS_MAX];
	unsigned int times[KEYS_MAX]; /* the most that one life had of it */
	size_t key_count;
	struct {
		struct fault faults[2];
		size_t count;
	} * queue;
	size_t first, last;
	int wrong;
};

static const char *name_of(int site)
{
	static char text[100];

	if (site < 0)
		return "?";
	snprintf(text, sizeof(text), "%s() in %s()", sites->at[site].name, sites->at[site].caller);
	return text;
}

static const char *name_of_error(int error)
{
	if (error == NOTHING)
		return "nothing";
	return error == OLD_KERNEL ? "an old kernel" : strerrorname_np(error);
}

static void complain(struct hunt *hunt, const struct trace *trace, const char *what)
{
	hunt->wrong++;
	printf("%s: %s", hunt->scenario->name, what);
	for (size_t i = 0; i < trace->fault_count; i++) {
		const struct fault *fault = &trace->faults[i];

		printf("\n  with %s from line %d failing (%s)%s", name_of(fault->like.site),
		       fault->like.step, name_of_error(fault->error),
		       fault->is_lasting ? " from then on" : "");
	}
	if (report->failed_call[0] != '\0')
		printf("\n  line %d: %s gives %ld, \"%s\"", report->failed_step,
		       report->failed_call, report->failed_rc, report->sentence);
	printf("\n");
	fflush(stdout);
}

/* --- Which calls there are ------------------------------------------------------------------- */

static size_t find_key(const struct hunt *hunt, const struct call *call)
{
	size_t i = 0;

	while (i < hunt->key_count &&
	       (hunt->keys[i].step != call->step || hunt->keys[i].site != call->site ||
		hunt->keys[i].nr != call->nr))
		i++;
	return i;
}

static void push(struct hunt *hunt, const struct fault *first, const struct fault *second)
{
	ck_assert_uint_lt(hunt->last, WORK_MAX);
	hunt->queue[hunt->last].faults[0] = *first;
	if (second)
		hunt->queue[hunt->last].faults[1] = *second;
	hunt->queue[hunt->last++].count = second ? 2 : 1;
}

static void push_each(struct hunt *hunt, const struct call *call, unsigned int skip,
		      const struct fault *first)
{
	bool is_new_site = call->site < 0 || sites->at[call->site].failed == 0;

	/* What was seen while unwinding, in whatever scenario, is much the same in the others. */
	if (first && !is_full() && !is_new_site)
		return;
	for (const int *error = errors_of(call); *error != 0; error++) {
		struct fault fault = {.like = *call, .skip = skip, .error = *error};

		push(hunt, first ? first : &fault, first ? &fault : NULL);
		if (first || *error == EINTR || *error == EAGAIN || *error == EBUSY || *error < 0 ||
		    call->nr == NR_ALLOCATION)
			continue;
		/* Want of memory or a filter mostly lasts. */
		fault.is_lasting = true;
		if (is_full() || is_new_site)
			push(hunt, &fault, NULL);
	}
}

static void note_site(const struct call *call)
{
	if (call->site < 0)
		return;
	sites->at[call->site].reached++;
	if (errors_of(call)[0] != 0)
		sites->at[call->site].can_fail++;
}

/* Is this call, the @nth of its kind in this life, one to fail? */
static bool is_worth_a_life(const struct hunt *hunt, const struct call *call, size_t key,
			    unsigned int nth, const struct fault *first)
{
	bool is_new = nth > hunt->times[key];

	if (first)
		/* How often a child is asked whether it has ended depends on chance, too. */
		return nth == 1 && (is_new || (first->error == NOTHING && call->site >= 0 &&
					       sites->at[call->site].failed == 0));
	/* In the child there is one for each signal. Whether it has ended is asked twice. */
	return is_new &&
	       (nth == 1 || call->nr == SYS_waitid || (is_full() && call->nr != SYS_rt_sigaction));
}

/* Of the first life all calls; of one with the fault @first those that are new. */
static void learn(struct hunt *hunt, const struct trace *trace, const struct fault *first)
{
	unsigned int seen[KEYS_MAX] = {0};

	for (size_t i = 0; i < trace->call_count; i++) {
		const struct call *call = &trace->calls[i];
		size_t key = find_key(hunt, call);

		note_site(call);
		if (trace->fault_count == 2)
			continue;
		if (key == hunt->key_count) {
			ck_assert_uint_lt(key, KEYS_MAX);
			hunt->keys[hunt->key_count++] = *call;
		}
		if (is_worth_a_life(hunt, call, key, ++seen[key], first))
			push_each(hunt, call, seen[key] - 1, first);
		if (seen[key] > hunt->times[key])
			hunt->times[key] = seen[key];
	}
}

/* --- The hunt -------------------------------------------------------------------------------- */

static void live_once(struct hunt *hunt, struct trace *trace)
{
	trace_run(trace, sites, hunt->scenario);
	figures->lives++;
	figures->injected += trace->injected;
}

static void fail_once(struct hunt *hunt, size_t work)
{
	static struct trace trace;
	const char *wrong;

	for (int i = 0; i < TRIES; i++) {
		memset(&trace, 0, sizeof(trace));
		memcpy(trace.faults, hunt->queue[work].faults, sizeof(trace.faults));
		trace.fault_count = hunt->queue[work].count;
		live_once(hunt, &trace);
		wrong = judge(&trace, sites, figures);
		if (wrong)
			complain(hunt, &trace, wrong);
		if (wrong || trace.injected == trace.fault_count)
			break;
	}
	if (trace.injected < trace.fault_count)
		figures->missed++;
	for (size_t i = 0; i < trace.injected; i++) {
		if (hunt->queue[work].faults[i].like.site >= 0)
			sites->at[hunt->queue[work].faults[i].like.site].failed++;
	}
	learn(hunt, &trace, trace.fault_count == 1 ? &hunt->queue[work].faults[0] : NULL);
}

START_TEST(each_failing_call_is_survived_or_told_and_nothing_is_left)
{
	static struct hunt hunt;
	static struct trace trace;

	if (only && strcmp(only, scenarios[_i].name) != 0)
		harness_skip("another scenario is asked for");
	scenario_find_guests();
	hunt.scenario = &scenarios[_i];
	hunt.queue = calloc(WORK_MAX, sizeof(*hunt.queue));
	live_once(&hunt, &trace);
	if (judge(&trace, sites, figures) || !report->is_complete)
		complain(&hunt, &trace,
			 judge(&trace, sites, figures) ? judge(&trace, sites, figures)
						       : "it fails without a fault");
	ck_assert_int_eq(hunt.wrong, 0);
	learn(&hunt, &trace, NULL);
	for (hunt.first = 0; hunt.first < hunt.last; hunt.first++) {
		fail_once(&hunt, hunt.first);
		if (isatty(STDOUT_FILENO)) {
			printf("\r%zu of %zu ", hunt.first, hunt.last);
			fflush(stdout);
		}
	}
	free(hunt.queue);
	printf("%s: %zu calls, %zu faults\n", hunt.scenario->name, hunt.key_count, hunt.last);
	ck_assert_msg(hunt.wrong == 0, "%d of %zu faults", hunt.wrong, hunt.last);
}
END_TEST

START_TEST(every_call_site_was_reached_and_failed)
{
	unsigned int reached = 0, failed = 0, never_fail = 0, quiet = 0;

	if (only)
		harness_skip("that takes all scenarios");
	for (size_t i = 0; i < sites->count; i++) {
		const struct site *site = &sites->at[i];

		/* The size of a page is known without. */
		if (site->reached == 0 && strcmp(site->name, "sysconf") == 0)
			quiet++;
		reached += site->reached > 0;
		failed += site->failed > 0;
		never_fail += site->reached > 0 && site->can_fail == 0;
		if (site->reached == 0)
			printf("never reached: %s\n", name_of((int)i));
		else if (site->can_fail > 0 && site->failed == 0)
			printf("never failed: %s\n", name_of((int)i));
	}
	tell("%zu call sites: %u reached, %u failed, %u can not fail", sites->count, reached,
	     failed, never_fail);
	tell("%lu lives, %lu faults: %lu gone on from, %lu told as they are, %lu told as what they mean; "
	     "%lu did not come",
	     figures->lives, figures->injected, figures->went_on, figures->told,
	     figures->told_otherwise, figures->missed);
	ck_assert_str_eq(sites->unknown, "");
	ck_assert_uint_eq(reached + quiet, sites->count);
	ck_assert_uint_eq(failed + never_fail + quiet, sites->count);
}
END_TEST

START_TEST(interruptions_everywhere_are_not_noticed)
{
	static struct trace trace;
	unsigned int lives = is_full() ? 200 : 5;

	if (only && strcmp(only, scenarios[_i].name) != 0)
		harness_skip("another scenario is asked for");
	scenario_find_guests();
	for (unsigned int i = 0; i < lives; i++) {
		struct hunt hunt = {.scenario = &scenarios[_i]};

		memset(&trace, 0, sizeof(trace));
		trace.eintr_percent = 10 + 10 * (i % 8);
		trace.dice = i;
		live_once(&hunt, &trace);
		figures->interrupted += trace.interrupted;
		if (judge(&trace, sites, figures))
			complain(&hunt, &trace, judge(&trace, sites, figures));
		ck_assert_int_eq(hunt.wrong, 0);
		ck_assert(report->is_complete);
	}
}
END_TEST

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int main(int argc, char **argv)
{
	only = argc > 1 ? argv[1] : NULL;
	sites = sites_load();
	report = share(sizeof(*report));
	figures = share(sizeof(*figures));
	if (!sites || !report || !figures)
		return EXIT_FAILURE;
	return harness_main("faults",
			    (struct harness_case[]){
				    {each_failing_call_is_survived_or_told_and_nothing_is_left,
				     (int)scenario_count},
				    {every_call_site_was_reached_and_failed, 0},
				    {interruptions_everywhere_are_not_noticed, (int)scenario_count},
				    HARNESS_END,
			    });
}
