/* SPDX-License-Identifier: MIT */
/*
 * poller.pml - one poller that sleeps for NW rings, as src/poller does it.
 *
 *      Waker(i) ── bell q[i] ──▶ epoll: an edge,  or  io_uring: a recv that takes it ──▶ Poller
 *                                                     (Kernel)                             │ reported once
 *                                       Owner(i), another thread, has the endpoint ◀───────┘
 *                                       until it gives it back; it may wait there itself
 *
 * All words turn odd, one HEAVY, a look at each ring, then one block. A ring is the number of its last
 * record here; what is in a record is the business of ring.pml. Labels as there: every ring is one of
 * which the poller is the consumer; for a producer read P6…P11.
 *
 * Memory: each word has a store buffer of its own, so that all stores but those to the same word change
 * places: less order than TSO, PSO and the release of C4. Barriers and bells as in ring.pml.
 * A bell queue holds one bell: the next coalesces and makes no edge. That is the harshest size.
 *
 *   NW rings, R records each, R1 in ring 1; EPOLL, or EVENTFD, a poll that takes nothing; default: a recv
 *   ONCE     watches report once and are given back   REMOVE  watch 0 is removed at any moment
 *   CRASH    wakers die at any step, which a pidfd tells
 *   CLOSE    wakers close at the end: state, barrier, bell, and nothing else
 *   SPUR     so many deadlines of the poller
 * M_*: something is left out or wrong; must fail.
 */
#ifndef NW
#define NW 2
#endif
#ifndef R
#define R 2
#endif
#ifndef R1
#define R1 R
#endif
#define RECORDS(i) ((i) == 0 -> R : R1)
#ifndef SPUR
#define SPUR 1
#endif

/* Words: how far ring i is published, its data_wait. */
#define PUBLISHED(i) (i)
#define DWAIT(i) (NW + (i))
#define CLOSED(i) (2*NW + (i))

byte mem[3*NW];
chan sb[3*NW] = [2] of { byte };

#define STORE(word, value) sb[word]!value
#define DRAINED(word) (len(sb[word]) == 0)

bool q[NW];                     /* the bell's queue */
bool edge[NW];                  /* epoll has it in its list */
byte asked[NW];                 /* io_uring: operations on the bell under way */
byte completed[NW];                  /* and their completions, not seen yet */
bool dead[NW], gone[NW];
byte last[NW];                  /* last_rung */
byte issued[NW];                /* records that the waker published */

mtype = { HOT, ARMED, OFF, OVER };
mtype state[NW];
byte taken[NW];
byte own[NW];                   /* own_value */
bool to_ask[NW], undrained[NW];
/* seq_cst in the code */
bool resumed[NW];
bool asleep, roused;            /* roused: an edge of the eventfd */
byte spur;

active proctype Flush()
{
	byte v;
end:
	do
	:: atomic { sb[0]?v -> mem[0] = v; v = 0 }
	:: atomic { sb[1]?v -> mem[1] = v; v = 0 }
	:: atomic { sb[2]?v -> mem[2] = v; v = 0 }
#if NW > 1
	:: atomic { sb[3]?v -> mem[3] = v; v = 0 }
	:: atomic { sb[4]?v -> mem[4] = v; v = 0 }
	:: atomic { sb[5]?v -> mem[5] = v; v = 0 }
#endif
	od
}

#if NW > 1
#define ALL_DRAINED(what) DRAINED(what(0)); DRAINED(what(1))
#else
#define ALL_DRAINED(what) DRAINED(what(0))
#endif
#ifdef ASYM
#define LIGHT(i) skip
#define HEAVY ALL_DRAINED(DWAIT); ALL_DRAINED(PUBLISHED)
#else
#ifdef M_NO_LIGHT
#define LIGHT(i) skip
#else
#define LIGHT(i) DRAINED(PUBLISHED(i))
#endif
#define HEAVY ALL_DRAINED(DWAIT)
#endif

/* --- The peers ------------------------------------------------------------------------------- */

/* Full: one is pending, and nobody is told. */
#define RING(i) atomic { if :: !q[i] -> q[i] = 1; edge[i] = 1 :: else fi }

proctype Waker(byte i)
{
	byte w;
#ifdef CRASH
	{
#endif
	do
	:: issued[i] == RECORDS(i) -> break
	:: atomic {
		issued[i] < RECORDS(i) && len(sb[PUBLISHED(i)]) < 2 ->
		issued[i]++;
		STORE(PUBLISHED(i), issued[i])          /* P3 */
	   };
		LIGHT(i);                               /* P4 */
		w = mem[DWAIT(i)];                      /* P5 */
		if
		:: atomic { (w & 1) && w != last[i] -> last[i] = w };
			RING(i)
		:: else
		fi;
		w = 0
	od;
#ifdef CLOSE
	/* The state is stored with release, so it is not seen before the last record. */
	DRAINED(PUBLISHED(i));
	STORE(CLOSED(i), 1);
	DRAINED(CLOSED(i));
	RING(i);
#endif
#ifdef CRASH
	dead[i] = 1
	} unless { dead[i] }
#endif
}

#ifdef CRASH
proctype Kill(byte i) { if :: skip :: dead[i] = 1 fi }
#define HUNG_UP(i) (dead[i] && DRAINED(PUBLISHED(i)))
#else
#define HUNG_UP(i) false
#endif

#ifdef CLOSE
#define SAYS_CLOSED(i) (mem[CLOSED(i)] == 1)
#else
#define SAYS_CLOSED(i) false
#endif

#ifndef EPOLL
#ifdef EVENTFD
#define TAKE(i) skip
#else
#define TAKE(i) q[i] = 0
#endif
/* Whatever a recv takes leaves one completion. A stale bell will do. */
active proctype Kernel()
{
end:
	do
	:: d_step { asked[0] > 0 && q[0] -> asked[0]--; completed[0]++; TAKE(0) }
#if NW > 1
	:: d_step { asked[1] > 0 && q[1] -> asked[1]--; completed[1]++; TAKE(1) }
#endif
	od
}
#endif

/* --- Whoever has the endpoint ---------------------------------------------------------------- */

#define NEXT_ODD(x) (((x)+1) | 1)
#define NEXT_EVEN(x) (((x)+1) / 2 * 2)

inline announce(i)              /* C4 */
{
	atomic { own[i] = NEXT_ODD(own[i]); STORE(DWAIT(i), own[i]) }
}
inline disarm(i)                /* C8 */
{
	atomic { if :: own[i] & 1 -> own[i] = NEXT_EVEN(own[i]); STORE(DWAIT(i), own[i]) :: else fi }
}
inline drain(i)                 /* C9 */
{
	q[i] = 0; undrained[i] = 0
}

/* peal_next_wait() of a single record, by the thread that has the endpoint. */
inline wait_alone(i)
{
	do
	:: mem[PUBLISHED(i)] != taken[i] -> taken[i]++; break
	:: else ->
		announce(i);
		HEAVY;
		if
		:: mem[PUBLISHED(i)] != taken[i] -> disarm(i)
		:: else ->
			if
			:: SAYS_CLOSED(i) ->
				disarm(i);
				if :: mem[PUBLISHED(i)] == taken[i] -> break :: else fi
			:: else ->
				if
				:: q[i] -> disarm(i); q[i] = 0
				:: HUNG_UP(i) ->
					disarm(i);
					if :: mem[PUBLISHED(i)] == taken[i] -> break :: else fi
				fi
			fi
		fi
	od
}

#if defined(CRASH) || defined(CLOSE)
#define ENDED(i) gone[i]
#define MORE(i) true
#else
#define ENDED(i) (taken[i] == RECORDS(i))
#define MORE(i) (taken[i] < RECORDS(i))
#endif

#ifdef ONCE
proctype Owner(byte i)
{
end:
	do
	:: state[i] == OFF && !resumed[i] ->
		if
		:: MORE(i) -> wait_alone(i)
		:: true
		fi;
		resumed[i] = 1;
		atomic { if :: asleep -> asleep = 0; roused = 1 :: else fi }
	od
}
#endif

/* --- The poller ------------------------------------------------------------------------------ */

/* peal_watch_fired(); @rung: the bell is still to be drained. */
inline fired(i, rung)
{
	if :: rung -> undrained[i] = 1 :: else fi;
	if
	:: state[i] == OFF
	:: else ->
		if
		:: state[i] == ARMED ->
#ifdef M_STAY_ODD               /* sleeps on with the word that it was rung for */
			if :: mem[PUBLISHED(i)] == taken[i] && !gone[i] -> to_ask[i] = 1 :: else -> disarm(i); state[i] = HOT fi
#elif defined(M_ARM_WITHOUT_LOOK)
			disarm(i); announce(i); HEAVY; to_ask[i] = 1
#else
			disarm(i);
			state[i] = HOT
#endif
		:: else
		fi;
		if :: undrained[i] -> drain(i) :: else fi;
#ifdef M_END_WITHOUT_LOOK
		if :: gone[i] -> state[i] = OVER :: else fi
#else
		if :: gone[i] -> drain(i); state[i] = HOT; HEAVY :: else fi
#endif
	fi
}

#ifdef EVENTFD
#define STILL_RUNG true
#else
#define STILL_RUNG false        /* a recv has drained */
#endif
#ifdef EPOLL
#define TOLD(i) (edge[i] && q[i])       /* it asks the queue again before it tells */
#else
#define TOLD(i) (completed[i] > 0)
#endif
#define TOLD_END(i) (HUNG_UP(i) && !gone[i])

inline tell(i)
{
	if
	:: TOLD(i) ->
#ifdef EPOLL
		edge[i] = 0; fired(i, true)
#else
		completed[i]--; fired(i, STILL_RUNG)
#endif
	:: else
	fi;
	if
	:: TOLD_END(i) -> gone[i] = 1; fired(i, false)
	:: else
	fi
}

inline submit(i)
{
#ifndef EPOLL
	atomic {
		if
#ifdef M_ASK_WHILE_HOT
		:: asked[i] == 0 && completed[i] == 0 && state[i] != OVER -> asked[i]++
#else
		:: to_ask[i] && asked[i] == 0 && state[i] == ARMED -> asked[i]++
#endif
		:: else
		fi;
		to_ask[i] = 0
	}
#else
	to_ask[i] = 0
#endif
}

inline take_resumed(i)
{
	if
	:: resumed[i] ->
		atomic { resumed[i] = 0; state[i] = HOT };
#ifndef M_LEAVE_UNDRAINED
		if :: undrained[i] -> drain(i) :: else fi;
#endif
		if :: gone[i] -> drain(i); HEAVY :: else fi
	:: else
	fi
}

/* One look at a ring: report a record, or the end. */
inline look(i)
{
	take_resumed(i);
	if
	:: state[i] == HOT && mem[PUBLISHED(i)] != taken[i] ->
		assert(mem[PUBLISHED(i)] <= issued[i]);
		taken[i]++; found = 1;
#ifdef ONCE
		state[i] = OFF
#endif
	:: state[i] == HOT && mem[PUBLISHED(i)] == taken[i] && ENDED(i) -> state[i] = OVER; found = 1
	:: else
	fi
}

inline announce_hot(i)
{
	if
	:: state[i] == HOT -> announce(i); arming[i] = 1
	:: state[i] == HOT && found             /* not idle for long enough */
	:: state[i] != HOT
	fi
}

#ifdef M_NO_CLOSED_LOOK         /* its bell may have been taken by who had the endpoint before */
#define LOOKS_CLOSED(i) false
#else
#define LOOKS_CLOSED(i) SAYS_CLOSED(i)
#endif

/* The last look. */
inline settle(i)
{
	if
	:: arming[i] ->
		arming[i] = 0;
#ifdef M_DRAIN_AT_ARM
		drain(i);
#endif
		if
#ifndef M_NO_LAST_LOOK
		:: mem[PUBLISHED(i)] != taken[i] || ENDED(i) -> disarm(i)
		:: mem[PUBLISHED(i)] == taken[i] && !ENDED(i) && LOOKS_CLOSED(i) ->
			disarm(i); drain(i); gone[i] = 1; HEAVY
#endif
		:: else -> state[i] = ARMED; to_ask[i] = 1
		fi
	:: else
	fi
}

#if NW > 1
#define EACH(step) step(0); step(1)
#define ANY(what) (what(0) || what(1))
#define NONE_IS(s) (state[0] != s && state[1] != s)
#define ALL_ARE(s) (state[0] == s && state[1] == s)
#define RESUMED (resumed[0] || resumed[1])
#define ALL_TAKEN (taken[0] == issued[0] && taken[1] == issued[1])
#else
#define EACH(step) step(0)
#define ANY(what) what(0)
#define NONE_IS(s) (state[0] != s)
#define ALL_ARE(s) (state[0] == s)
#define RESUMED resumed[0]
#define ALL_TAKEN (taken[0] == issued[0])
#endif

inline run_waker(i)
{
	run Waker(i);
#ifdef ONCE
	run Owner(i);
#endif
#ifdef CRASH
	run Kill(i);
#endif
	skip
}

#ifdef REMOVE
/* Then its channel's thread waits alone. */
inline remove(i)
{
	if :: state[i] == ARMED -> disarm(i) :: else fi;
#ifndef M_REMOVE_AND_GO
	do
	:: atomic { asked[i] > 0 -> asked[i]-- }        /* cancelled */
	:: completed[i] > 0 -> completed[i]--   /* rung meanwhile; the next waiter looks at the ring */
	:: asked[i] == 0 && completed[i] == 0 -> break
	od;
#endif
	do
	:: taken[i] < RECORDS(i) -> wait_alone(i)
	:: else -> break
	od;
	state[i] = OVER
}
#endif

proctype Poller()
{
	bool found, blocks, arming[NW];
	do
	:: ALL_ARE(OVER) -> break
#ifdef REMOVE
	:: state[0] == HOT || state[0] == ARMED -> remove(0)
#endif
	:: !ALL_ARE(OVER) ->
		found = 0;
		EACH(look);
		/* All that are silent, if nothing was found; else some, or none. */
#ifdef M_HEAVY_FIRST
		HEAVY;
		EACH(announce_hot);
#else
		EACH(announce_hot);
#ifndef M_NO_HEAVY
		HEAVY;                                  /* C5, for all */
#endif
#endif
		EACH(settle);                           /* C6 */
		blocks = NONE_IS(HOT) && !found;
#ifdef M_ROUSE_LATE
		if :: blocks && RESUMED -> blocks = 0 :: else fi;
		asleep = blocks;
#else
		asleep = blocks;
		if :: blocks && RESUMED -> blocks = 0 :: else fi;
#endif
		EACH(submit);
		if
		:: blocks ->                            /* C7 */
			if
			:: ANY(TOLD)
			:: ANY(TOLD_END)
			:: roused
			:: atomic { spur > 0 -> spur-- }
			fi
		:: else                                 /* asks, and does not block */
		fi;
		atomic { asleep = 0; blocks = 0; roused = 0 };
		EACH(tell)
	od;
	assert(ALL_TAKEN)
}

init
{
	atomic {
		state[0] = HOT;
#if NW > 1
		state[1] = HOT;
#endif
		do :: spur < SPUR -> spur++ :: break od;
		EACH(run_waker);
		run Poller()
	}
}
