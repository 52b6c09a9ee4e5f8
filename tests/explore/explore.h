/* SPDX-License-Identifier: MIT */
/*
 * explore.h - every order of the steps of two threads, on a memory that is weaker than this machine's.
 *
 *      code.c       the library's own sources, compiled against atomic.h of this folder
 *      scenario.c   what the producer and the consumer do, and what must come of it
 *      litmus.c     or, instead of the two, small programs that try the explorer itself
 *         │ each access to shared memory, each barrier, each use of a bell: a step
 *         ▼
 *      search.c     which step is next? Depth first through all answers, each state once
 *      system.c     bells, time-outs, death
 *      flat.c       memory: sequentially consistent; TSO and PSO with store buffers
 *      views.c      memory: release/acquire with messages and views
 *      coroutine.c  the two threads: stacks that can be saved and brought back
 *
 * docs/explorer.md explains the machines and the bounds.
 */
#ifndef PEAL_EXPLORE_H
#define PEAL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum explore_thread { PRODUCER, CONSUMER, THREADS };

enum explore_kind {
	EXPLORE_LOAD,
	EXPLORE_STORE,
	EXPLORE_FENCE,
	EXPLORE_MEMBARRIER,
	EXPLORE_RING,
	EXPLORE_WAIT,
	EXPLORE_DRAIN,
	EXPLORE_CHECK,
	EXPLORE_END, /* the thread has returned */
};

enum explore_order {
	EXPLORE_PLAIN,
	EXPLORE_RELAXED,
	EXPLORE_ACQUIRE,
	EXPLORE_RELEASE,
};

/* --- What the code under test calls --------------------------------------------------------- */

uint64_t explore_load(const uint64_t *word, enum explore_order order);
void explore_store(uint64_t *word, uint64_t value, enum explore_order order);
void *explore_memcpy(void *to, const void *from, size_t size);
/* explore_light() - the compiler's barrier: no step, but a bound to what a compiler may move. */
void explore_light(void);
/* explore_call() - a barrier or a call of the bell by the running thread. */
int explore_call(enum explore_kind kind);
/* explore_running() - which thread; for mutants of one side. */
enum explore_thread explore_running(void);
/* explore_claim() - what must hold; if not, the search ends with this sentence. */
void explore_claim(bool holds, const char *sentence);

/* --- The case -------------------------------------------------------------------------------- */

#define WORDS_MAX 8

enum explore_machine {
	MACHINE_SC,
	MACHINE_TSO,
	MACHINE_PSO,
	MACHINE_VIEWS,
};

enum explore_mode {
	MODE_FENCE, /* LIGHT and HEAVY are fences */
	MODE_ASYM,  /* LIGHT is the compiler's, HEAVY a membarrier */
	MODE_MIXED, /* LIGHT a fence, HEAVY a membarrier: before the guest has attached */
};

struct explore_options {
	enum explore_machine machine;
	enum explore_mode mode;
	unsigned int words;   /* of the ring, 8 bytes each: 4 or 8 */
	unsigned int records; /* sent */
	char lengths[16];     /* their payloads in words, again and again */
	unsigned int batch;   /* records staged before they are published */
	unsigned int hold;    /* records held before they are released */
	unsigned int returns; /* of waits for nothing, by both: a stray bell or the deadline */
	unsigned int crash;   /* bit PRODUCER, bit CONSUMER: may die at any step */
	unsigned int close;   /* the same bits: closes at its end; a consumer after one record */
	unsigned int places;  /* of a store buffer */
	bool calls_order;     /* calls of the bell are barriers, as system calls are in fact */
	bool early;           /* a hang-up may be seen before the last stores of the dead */
	bool copy;            /* peal_send() and peal_recv() */
	bool loop;            /* foreign event loops: arm, wait, disarm */
	bool once;            /* PEAL_TRY before each wait */
	bool timed;      /* a wait that is out of time with its first bell; then a foreign loop */
	char litmus[16]; /* which program of litmus.c */
	uint64_t start;  /* the first position */
	uint64_t limit;  /* states */
	bool trace;      /* print how it goes wrong */
};

extern struct explore_options explore_options;

/* --- The state ------------------------------------------------------------------------------- */

enum explore_word {
	WORD_SPACE_WAIT = WORDS_MAX,
	WORD_PRODUCER_STATE,
	WORD_HEAD,
	WORD_DATA_WAIT,
	WORD_CONSUMER_STATE,
	WORDS,
};

/* A step that a thread is about to take. */
struct explore_step {
	uint32_t kind;
	uint32_t order;
	uint64_t word;
	uint64_t value;
};

struct explore_side {
	void *context[5]; /* where it goes on */
	struct explore_step step;
	uint64_t result;  /* of the step */
	uint8_t ended;    /* returned */
	uint8_t dead;     /* killed */
	uint8_t hung_up;  /* and the other side can know */
	uint8_t bell;     /* pending for this side */
	uint8_t fresh;    /* rung since the last wait that a bell ended */
	uint8_t draining; /* a drain that has not taken effect yet */
	uint8_t unused[2];
};

/* All that a state consists of, but for stacks, memory, and what explore_keep() was told. */
struct explore_world {
	struct explore_side side[THREADS];
	uint64_t running;
	uint64_t returns;    /* of waits, for nothing, so far */
	const char *failure; /* the claim that does not hold */
};

extern struct explore_world explore_world;

static inline unsigned int explore_other(unsigned int thread)
{
	return 1 - thread;
}

static inline enum explore_thread explore_writer(uint64_t word)
{
	return word <= WORD_PRODUCER_STATE ? PRODUCER : CONSUMER;
}

/* --- Hashing: 128 bits, so that two different states in one search have the same one with less
 * than one chance in 10^20 --------------------------------------------------------------------- */

struct explore_hash {
	uint64_t a, b;
};

static inline void explore_mix(struct explore_hash *hash, uint64_t value)
{
	unsigned __int128 product = (unsigned __int128)(hash->a ^ value) * 0x9e3779b97f4a7c15u;

	hash->a = (uint64_t)product ^ (uint64_t)(product >> 64) ^ hash->b;
	hash->b = (hash->b ^ value) * 0xd6e8feb86659fd93u;
	hash->b ^= hash->b >> 32;
}

/* --- Memory ---------------------------------------------------------------------------------- */

struct explore_memory {
	/* All words are as given. */
	void (*reset)(const uint64_t values[WORDS]);
	/* In how many ways can this memory step of the thread be taken now? 0: not yet. */
	unsigned int (*ways)(unsigned int thread, const struct explore_step *step);
	/* Take it. Return: what a load sees. NULL in @failure stays NULL if all is well. */
	uint64_t (*take)(unsigned int thread, const struct explore_step *step, unsigned int way,
			 const char **failure);
	/* May it be taken at once, because nobody can tell when it is taken? */
	bool (*is_local)(unsigned int thread, const struct explore_step *step);
	/* Stores that may become visible now: for each way below this number. */
	unsigned int (*flushes)(unsigned int thread);
	bool (*may_flush)(unsigned int thread, unsigned int way);
	void (*flush)(unsigned int thread, unsigned int way);
	/* Is everything that the thread stored visible? */
	bool (*is_settled)(unsigned int thread);
	/* A full barrier of one thread. */
	void (*fence)(unsigned int thread);
	/* The compiler's barrier. */
	void (*light)(unsigned int thread);
	/* The kernel has buried it. */
	void (*bury)(unsigned int thread);
	void (*hash)(struct explore_hash *hash);
	/* Did it run out of room for what it must remember? Then the search is not complete. */
	bool (*is_over)(void);
	void *state;
	size_t state_size;
};

extern const struct explore_memory explore_flat, explore_views;

/* --- System: everything of a step that is not memory ------------------------------------------ */

enum explore_act {
	ACT_STEP,
	ACT_FLUSH,
	ACT_DRAINED, /* a late drain takes effect */
	ACT_HANG_UP,
	ACT_CRASH,
};

struct explore_action {
	uint8_t act;
	uint8_t thread;
	uint8_t way;
	uint8_t idle; /* nothing that anybody may count on */
};

#define ACTIONS_MAX 64

const struct explore_memory *explore_memory(void);
/* explore_actions() - all that can happen next. Return: how many. */
unsigned int explore_actions(struct explore_action actions[ACTIONS_MAX]);
/* explore_act() - let it happen, and the thread run to its next step. */
void explore_act(const struct explore_action *action);
/* explore_settle() - take the steps that may be taken at once. */
void explore_settle(void);

/* --- Coroutines ------------------------------------------------------------------------------ */

/* explore_start() - run it to its first step. */
void explore_start(unsigned int thread, void (*body)(void));
/* explore_resume() - run it from its step, the result of which is set, to the next. */
void explore_resume(unsigned int thread);
/* explore_stack() - the part of its stack that is in use. */
void *explore_stack(unsigned int thread, size_t *size);

/* --- The search ------------------------------------------------------------------------------ */

/* explore_keep() - memory of the scenario that belongs to the state; of one thread, or of THREADS. */
void explore_keep(unsigned int owner, void *memory, size_t size);

struct explore_found {
	const char *verdict;  /* pass, or what was found */
	const char *sentence; /* about it; or NULL */
	uint64_t states, transitions, ends;
	double executions;
	unsigned int depth;
};

/* Tells one step of how it goes wrong, if the options ask for that. */
typedef void explore_tell(const struct explore_action *action, const struct explore_step *step);

struct explore_found explore_search(explore_tell *tell);

/* The states that were seen. explore_is_new() - was it not? It is now. *@executions: how many go on
 * from it, once explore_leads_to() was told; before that, 0. */
bool explore_is_new(const struct explore_hash *hash, double *executions);
void explore_leads_to(const struct explore_hash *hash, double executions);

/* --- The scenario ---------------------------------------------------------------------------- */

/* scenario_begin() - set up the ring; the first values of the words. */
void scenario_begin(uint64_t values[WORDS]);
void scenario_producer(void);
void scenario_consumer(void);
/* scenario_word() - which word is at this address? -1: memory of one thread. */
int scenario_word(const void *address);
/* scenario_stored() - the running thread has just stored there. */
void scenario_stored(const uint64_t *address, uint64_t value);

#endif
