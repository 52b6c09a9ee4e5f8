/* SPDX-License-Identifier: MIT */
/*
 * views.c - memory as histories of messages: release/acquire and relaxed, without promises.
 *
 *      word:    m0 ── m1 ── m2 ── m3        its one writer appends
 *                     ▲                     the reader's view: it reads this one or any newer one
 *
 * Each word has one writer (law 1), so that the order of its messages is that of the program, and the
 * writer always sees the last. A release message carries its writer's view, which an acquiring load
 * joins. A relaxed message carries the view of the last fence; a relaxed load remembers what it would
 * have joined for the next fence. A fence joins a global view both ways. A membarrier is a fence, and
 * puts one into the other thread at that moment: into its views, and into nothing else.
 *
 * Law 1 also keeps it small. Of a view that is handed to the other thread only the words of the one
 * who hands it over matter: the other one writes the rest.
 *
 * A load may have been moved up by the compiler or the processor, as far as the last barrier of the
 * compiler. It then sees nothing of what a membarrier of the other thread has brought since: `early` is
 * the view without that. (An acquiring load would in fact stop those behind it. It does not here, which
 * allows more than any compiler may do.)
 *
 * Payload is plain memory: a plain access races if it is not ordered (by release and acquire, as in
 * C11) against the other thread's last access to the word, and a race is a failure. Plain accesses
 * that do not race commute with everything of the other thread, so they are taken without a choice.
 * What is known to be ordered is a set of words, `known`: whose last access by the other thread, or
 * last plain one, happened before.
 */
#include <string.h>

#include "explore.h"

#define HISTORY 24
#define ALL     UINT32_C(0xffffffff)

/* Words whose last access, and last plain one, by the thread that it came from is ordered before. */
struct known {
	uint32_t any, plain;
};

/* Numbers of messages, for the words of one thread. */
typedef uint8_t view_t[WORDS];

struct message {
	uint64_t value;
	view_t view;
	struct known known;
};

struct history {
	uint8_t first; /* number of the oldest that can still be read */
	uint8_t count;
	struct message messages[HISTORY];
};

struct thread_view {
	view_t now;      /* the oldest message of the other's words that this point may read */
	view_t early;    /* the same for loads that were moved up to here from below */
	view_t acquired; /* for the next fence */
	view_t released; /* own words as of the last fence */
	struct known known, known_acquired, known_released;
};

static struct {
	struct history words[WORDS];
	struct thread_view threads[THREADS];
	view_t global;
	uint64_t over;
} views;

static uint8_t last(uint64_t word)
{
	const struct history *history = &views.words[word];

	return (uint8_t)(history->first + history->count - 1);
}

static void raise(uint8_t *number, uint8_t to)
{
	if (*number < to)
		*number = to;
}

static void join(view_t view, const view_t with)
{
	for (unsigned int word = 0; word < WORDS; word++)
		raise(&view[word], with[word]);
}

static void learn(struct known *known, const struct known *more)
{
	known->any |= more->any;
	known->plain |= more->plain;
}

static void reset(const uint64_t values[WORDS])
{
	memset(&views, 0, sizeof(views));
	for (unsigned int word = 0; word < WORDS; word++) {
		views.words[word].count = 1;
		views.words[word].messages[0].value = values[word];
	}
	for (unsigned int thread = 0; thread < THREADS; thread++)
		views.threads[thread].known = (struct known){ALL, ALL};
}

/* --- Loads and stores ------------------------------------------------------------------------ */

/* The oldest message of the word that its reader may still see. */
static uint8_t oldest(unsigned int reader, uint64_t word)
{
	return views.threads[reader].early[word];
}

static unsigned int ways(unsigned int thread, const struct explore_step *step)
{
	if (step->kind != EXPLORE_LOAD || step->order == EXPLORE_PLAIN ||
	    explore_writer(step->word) == thread)
		return 1;
	return last(step->word) - oldest(thread, step->word) + 1u;
}

/* What can not be read any more is forgotten. */
static void prune(void)
{
	for (unsigned int word = 0; word < WORDS; word++) {
		struct history *history = &views.words[word];
		unsigned int reader = explore_other(explore_writer(word));
		unsigned int drop = oldest(reader, word) - history->first;

		if (drop == 0)
			continue;
		history->count = (uint8_t)(history->count - drop);
		history->first = (uint8_t)(history->first + drop);
		memmove(history->messages, history->messages + drop,
			history->count * sizeof(history->messages[0]));
	}
}

static void forget(struct known *known, uint32_t bit, bool plain)
{
	known->any &= ~bit;
	if (plain)
		known->plain &= ~bit;
}

/* A new access: what the other one knows of the word is out of date. */
static void accessed(unsigned int thread, uint64_t word, bool plain)
{
	struct thread_view *other = &views.threads[explore_other(thread)];
	uint32_t bit = UINT32_C(1) << word;

	forget(&other->known, bit, plain);
	forget(&other->known_acquired, bit, plain);
	forget(&views.threads[thread].known_released, bit, plain);
	for (unsigned int i = 0; i < WORDS; i++) {
		if (explore_writer(i) != thread)
			continue;
		for (unsigned int j = 0; j < views.words[i].count; j++)
			forget(&views.words[i].messages[j].known, bit, plain);
	}
}

static bool races(unsigned int thread, const struct explore_step *step)
{
	const struct known *known = &views.threads[thread].known;

	return !((step->order == EXPLORE_PLAIN ? known->any : known->plain) >> step->word & 1);
}

static uint64_t load(unsigned int thread, const struct explore_step *step, unsigned int way)
{
	struct thread_view *view = &views.threads[thread];
	const struct history *history = &views.words[step->word];
	uint8_t number = (uint8_t)(last(step->word) - way);
	struct message message = history->messages[number - history->first];

	accessed(thread, step->word, step->order == EXPLORE_PLAIN);
	if (explore_writer(step->word) == thread)
		return message.value;
	raise(&view->now[step->word], number);
	raise(&view->early[step->word], number);
	if (step->order == EXPLORE_ACQUIRE) {
		join(view->now, message.view);
		join(view->early, message.view);
		learn(&view->known, &message.known);
	} else {
		join(view->acquired, message.view);
		learn(&view->known_acquired, &message.known);
	}
	prune();
	return message.value;
}

static void own_words(unsigned int thread, view_t view)
{
	for (unsigned int word = 0; word < WORDS; word++)
		view[word] = explore_writer(word) == thread ? last(word) : 0;
}

static void store(unsigned int thread, const struct explore_step *step)
{
	const struct thread_view *view = &views.threads[thread];
	struct history *history = &views.words[step->word];
	struct message *message = &history->messages[history->count];

	accessed(thread, step->word, step->order == EXPLORE_PLAIN);
	if (history->count == HISTORY || last(step->word) == UINT8_MAX) {
		views.over = 1;
		return;
	}
	history->count++;
	memset(message, 0, sizeof(*message));
	message->value = step->value;
	if (step->order == EXPLORE_RELEASE) {
		own_words(thread, message->view);
		message->known = (struct known){ALL, ALL};
	} else if (step->order == EXPLORE_RELAXED) {
		memcpy(message->view, view->released, sizeof(message->view));
		message->known = view->known_released;
	}
}

/* --- Barriers -------------------------------------------------------------------------------- */

/* The views of a fence alone. */
static void exchange(unsigned int thread)
{
	struct thread_view *view = &views.threads[thread];
	view_t own;

	own_words(thread, own);
	join(views.global, own);
	for (unsigned int word = 0; word < WORDS; word++) {
		if (explore_writer(word) == thread)
			continue;
		raise(&view->now[word], views.global[word]);
		raise(&views.global[word], view->now[word]);
	}
}

static void light(unsigned int thread)
{
	struct thread_view *view = &views.threads[thread];

	memcpy(view->early, view->now, sizeof(view->early));
	prune();
}

static void fence(unsigned int thread)
{
	struct thread_view *view = &views.threads[thread];

	join(view->now, view->acquired);
	learn(&view->known, &view->known_acquired);
	exchange(thread);
	light(thread);
	own_words(thread, view->released);
	view->known_released = (struct known){ALL, ALL};
}

static uint64_t take(unsigned int thread, const struct explore_step *step, unsigned int way,
		     const char **failure)
{
	switch (step->kind) {
	case EXPLORE_LOAD:
	case EXPLORE_STORE:
		if (races(thread, step))
			*failure = "race: an access is not ordered against one of the other side";
		if (step->kind == EXPLORE_LOAD)
			return load(thread, step, way);
		store(thread, step);
		return 0;
	case EXPLORE_FENCE:
		fence(thread);
		return 0;
	case EXPLORE_MEMBARRIER:
		fence(thread);
		exchange(explore_other(thread));
		fence(thread);
		return 0;
	default:
		return 0;
	}
}

static bool is_local(unsigned int thread, const struct explore_step *step)
{
	(void)thread;
	return (step->kind == EXPLORE_LOAD || step->kind == EXPLORE_STORE) &&
	       step->order == EXPLORE_PLAIN;
}

static unsigned int flushes(unsigned int thread)
{
	(void)thread;
	return 0;
}

static bool may_flush(unsigned int thread, unsigned int way)
{
	(void)thread;
	(void)way;
	return false;
}

static void flush(unsigned int thread, unsigned int way)
{
	(void)thread;
	(void)way;
}

static bool is_settled(unsigned int thread)
{
	(void)thread;
	return true;
}

/* --- Hashing --------------------------------------------------------------------------------- */

/* Numbers of messages count from what the reader of the word may see at the oldest: two states that
 * differ in how many there were before are the same. */
static void mix_view(struct explore_hash *sum, unsigned int writer, const view_t view)
{
	const uint8_t *seen = views.threads[explore_other(writer)].now;
	uint64_t packed = 0;

	for (unsigned int word = 0; word < WORDS; word++) {
		if (explore_writer(word) != writer)
			continue;
		packed = packed * 31 +
			 (view[word] > seen[word] ? (unsigned int)(view[word] - seen[word]) : 0u);
	}
	explore_mix(sum, packed);
}

static void mix_known(struct explore_hash *sum, unsigned int from, const struct known *known)
{
	const struct known *already = &views.threads[explore_other(from)].known;

	explore_mix(sum,
		    (uint64_t)(known->any | already->any) << 32 | (known->plain | already->plain));
}

static void mix_history(struct explore_hash *sum, uint64_t word)
{
	const struct history *history = &views.words[word];
	unsigned int writer = explore_writer(word);

	explore_mix(sum, history->count);
	for (unsigned int i = 0; i < history->count; i++) {
		const struct message *message = &history->messages[i];

		explore_mix(sum, message->value);
		mix_view(sum, writer, message->view);
		mix_known(sum, writer, &message->known);
	}
}

static void mix_thread(struct explore_hash *sum, unsigned int thread)
{
	const struct thread_view *view = &views.threads[thread];
	unsigned int other = explore_other(thread);
	uint64_t moved_up = 0;

	for (unsigned int word = 0; word < WORDS; word++) {
		if (explore_writer(word) == other)
			moved_up = moved_up * 31 + view->now[word] - view->early[word];
	}
	explore_mix(sum, moved_up);
	explore_mix(sum, (uint64_t)view->known.any << 32 | view->known.plain);
	mix_view(sum, other, view->acquired);
	mix_view(sum, thread, view->released);
	mix_known(sum, other, &view->known_acquired);
	mix_known(sum, thread, &view->known_released);
}

static void hash(struct explore_hash *sum)
{
	for (unsigned int word = 0; word < WORDS; word++)
		mix_history(sum, word);
	for (unsigned int thread = 0; thread < THREADS; thread++) {
		mix_thread(sum, thread);
		mix_view(sum, thread, views.global);
	}
}

static bool is_over(void)
{
	return views.over != 0;
}

const struct explore_memory explore_views = {
	.reset = reset,
	.ways = ways,
	.take = take,
	.is_local = is_local,
	.flushes = flushes,
	.may_flush = may_flush,
	.flush = flush,
	.is_settled = is_settled,
	.fence = fence,
	.light = light,
	.bury = exchange,
	.hash = hash,
	.is_over = is_over,
	.state = &views,
	.state_size = sizeof(views),
};
