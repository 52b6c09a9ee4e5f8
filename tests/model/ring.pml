/* SPDX-License-Identifier: MIT */
/*
 * ring.pml - one ring: a producer P, a consumer C, their wait words and bells, step by step as in
 * docs/memory-model.md, with a store buffer for each of them.
 *
 *      P ──▶ sb[0] ──Flush(0)──▶ mem[] ◀──Flush(1)── sb[1] ◀── C
 *
 * Memory: TSO, the buffer is a queue. -DPSO: a plain or relaxed store may overtake older ones to
 * other words; a release store is the oldest when it drains. Loads stay in order.
 * Barriers: fence mode, LIGHT = HEAVY = own buffer empty. -DASYM: LIGHT = nothing at run time, HEAVY =
 * own buffer empty, then, at some later moment, the peer's buffer empty (membarrier(2)).
 * Bells order nothing here: less than any system call does, so nothing leans on one.
 * A spin before sleeping, a stagger and waiting for an eighth of the ring are C0 and P0 taken later,
 * which every search contains.
 *
 * A lost wake is an invalid end state (somebody sleeps for ever); whatever else goes wrong, an
 * assertion. All is exhaustive within the parameters (-D):
 *   N words, R records, MAXL longest payload or LENSET a pattern, B records a batch, HOLD records that
 *   C holds before it releases them, PB and CB places in the store buffers, SPUR returns for nothing
 *   (deadlines) a side
 *   CRASHP CRASHC  dies at any step, hangs up when its stores have drained
 *   CLOSEP CLOSEC  closes at the end: state, bell, no hang-up (eventfd)
 * M_*: something is left out or wrong; must fail. V_*: another way that must do as well.
 */
#ifndef N
#define N 4
#endif
#ifndef R
#define R 3
#endif
#ifndef MAXL
#define MAXL 2
#endif
#ifndef B
#define B 1
#endif
#ifndef HOLD
#define HOLD 1
#endif
#ifndef PB
#define PB 5
#endif
#ifndef CB
#define CB 3
#endif
#ifndef SPUR
#define SPUR 1
#endif
#ifdef LENSET
#if LENSET == 1
#define LENS(i) (((i)*2)%3)     /* 2 1 0 2 1 */
#elif LENSET == 2
#define LENS(i) (((i)&1)*2)     /* 2 0 2 0 2 */
#elif LENSET == 3
#define LENS(i) 1
#elif LENSET == 4
#define LENS(i) 0
#elif LENSET == 5
#define LENS(i) (((i)*3+1)%5)   /* 4 2 0 3 1, for N = 8 */
#endif
#endif

/* The words behind the data. */
#define HEAD   (N)              /* C's */
#define DWAIT  (N+1)            /* C's data_wait */
#define SWAIT  (N+2)            /* P's space_wait */
#define PSTATE (N+3)            /* 1: P closed */
#define CSTATE (N+4)            /* 1: C closed */

#define COMMITTED 128
/* Any payload, when stale, looks like a header. */
#define PAY(record, j) (COMMITTED | ((record)*8 + (j)))

byte mem[N+5];
typedef StoreBuffer { byte addr[PB]; byte val[PB]; bool rel[PB]; byte n };
StoreBuffer sb[2];              /* 0 is P's, 1 is C's */
bool dbell, sbell;              /* "data" for C, "space" for P; they coalesce */
byte spurP, spurC;              /* chosen at the beginning, so that one to spare hides no lost wake */
bool pdead, cdead;
bool pdone, cdone;

/* What P meant, for C to compare with. */
byte length[R+2];
byte committed;                 /* records whose P3 was issued */

/* --- Memory ---------------------------------------------------------------------------------- */

#define PLACES(me) ((me) == 0 -> PB : CB)
#define DRAINED(me) (sb[me].n == 0)

#define RLX 0
#define REL 1

inline store(me, address, value, order)
{
	atomic {
		(sb[me].n < PLACES(me)) ->
		sb[me].addr[sb[me].n] = address;
		sb[me].val[sb[me].n] = value;
		sb[me].rel[sb[me].n] = order;
		sb[me].n++
	}
}

#ifdef PSO
/* May entry k drain now? */
#define APART(q, k, j) (sb[q].addr[k] != sb[q].addr[j])
#define FREE(q, k) (sb[q].n > k && !sb[q].rel[k])
#define MAY1(q) (FREE(q,1) && APART(q,1,0))
#define MAY2(q) (FREE(q,2) && APART(q,2,0) && APART(q,2,1))
#define MAY3(q) (FREE(q,3) && APART(q,3,0) && APART(q,3,1) && APART(q,3,2))
#define MAY4(q) (FREE(q,4) && APART(q,4,0) && APART(q,4,1) && APART(q,4,2) && APART(q,4,3))
#define MAY5(q) (FREE(q,5) && APART(q,5,0) && APART(q,5,1) && APART(q,5,2) && APART(q,5,3) && APART(q,5,4))
#endif

proctype Flush(byte q)
{
	byte k;
end:
	do
	:: atomic {
		sb[q].n > 0 ->
		k = 0;
#ifdef PSO
		if
		:: k = 0
		:: MAY1(q) -> k = 1
		:: MAY2(q) -> k = 2
#if PB > 3
		:: MAY3(q) -> k = 3
#endif
#if PB > 4
		:: MAY4(q) -> k = 4
#endif
#if PB > 5
		:: MAY5(q) -> k = 5
#endif
		fi;
#endif
		d_step {
			mem[sb[q].addr[k]] = sb[q].val[k];
			do
			:: k+1 < sb[q].n ->
				sb[q].addr[k] = sb[q].addr[k+1];
				sb[q].val[k] = sb[q].val[k+1];
				sb[q].rel[k] = sb[q].rel[k+1];
				k++
			:: else -> break
			od;
			sb[q].addr[k] = 0; sb[q].val[k] = 0; sb[q].rel[k] = 0;
			sb[q].n--; k = 0
		}
	   }
	od
}

#define FENCE(me) DRAINED(me)
#ifdef ASYM
#define LIGHT(me) skip
#define HEAVY(me) DRAINED(me); DRAINED(1-(me))
#else
#define LIGHT(me) FENCE(me)
#define HEAVY(me) FENCE(me)
#endif

#ifdef M_NO_LIGHT_P
#define LIGHT_P skip
#else
#define LIGHT_P LIGHT(0)
#endif
#ifdef M_NO_LIGHT_C
#define LIGHT_C skip
#else
#define LIGHT_C LIGHT(1)
#endif
/* M_HEAVY_FENCE_P and _C: the sleeper fences, the waker counts on a membarrier. */
#if defined(M_NO_HEAVY_P)
#define HEAVY_P skip
#elif defined(M_HEAVY_FENCE_P)
#define HEAVY_P FENCE(0)
#else
#define HEAVY_P HEAVY(0)
#endif
#if defined(M_NO_HEAVY_C)
#define HEAVY_C skip
#elif defined(M_HEAVY_FENCE_C)
#define HEAVY_C FENCE(1)
#else
#define HEAVY_C HEAVY(1)
#endif
/* Without a compiler barrier the compiler may move the load up. */
#if defined(ASYM) && defined(M_NO_LIGHT_P)
#define HOISTED_P
#endif
#if defined(ASYM) && defined(M_NO_LIGHT_C)
#define HOISTED_C
#endif

#ifdef M_HEADER_RELAXED
#define HEADER_ORDER RLX
#else
#define HEADER_ORDER REL
#endif
#ifdef V_HEAD_RELAXED           /* harmless here, where loads stay in order; not for GenMC */
#define HEAD_ORDER RLX
#else
#define HEAD_ORDER REL
#endif

/* --- Hanging up ------------------------------------------------------------------------------ */

#ifdef V_HUP_EARLY              /* it overtakes the last stores of the dead; no kernel does that */
#define P_HUNG_UP pdead
#define C_HUNG_UP cdead
#else
#define P_HUNG_UP (pdead && DRAINED(0))
#define C_HUNG_UP (cdead && DRAINED(1))
#endif
#ifdef M_NO_HUP_HEAVY
#define HUP_HEAVY skip
#else
#define HUP_HEAVY HEAVY(1)
#endif
/* The bell orders nothing here, so closing has a barrier between the state and the bell. */
#ifdef M_CLOSE_NO_FENCE
#define CLOSE_FENCE(me) skip
#else
#define CLOSE_FENCE(me) FENCE(me)
#endif
#ifdef M_CLOSE_NO_BELL
#define CLOSE_RING(bell) skip
#else
#define CLOSE_RING(bell) bell = 1
#endif

/* --- Waking: peal_wake_peer() ---------------------------------------------------------------- */

/* w, the word as loaded, becomes 0 if there is nothing to ring for. `last` is last_rung. */
#if defined(M_LAST_BOOL)        /* a flag, reset when an even word is seen */
#define DECIDE(w, last) if :: !(w & 1) -> last = 0; w = 0 :: (w & 1) && last == 0 -> last = 1 :: else -> w = 0 fi
#elif defined(M_LAST_GEN)       /* the generation, remembered at every look */
#define DECIDE(w, last) if :: (w & 1) && (w>>1)+1 != last -> last = (w>>1)+1 :: else -> last = (w>>1)+1; w = 0 fi
#elif defined(M_LAST_FOR_EVER)  /* one bell and never another */
#define DECIDE(w, last) if :: (w & 1) && last == 0 -> last = w :: else -> w = 0 fi
#elif defined(M_LAST_ODD_AT_FIRST)
#define DECIDE(w, last) if :: (w & 1) && (last == 0 -> 1 : last) != w -> last = w :: else -> w = 0 fi
#elif defined(V_RING_ALWAYS)    /* for every odd word that is seen */
#define DECIDE(w, last) if :: (w & 1) :: else -> w = 0 fi
#else
#define DECIDE(w, last) if :: (w & 1) && w != last -> last = w :: else -> w = 0 fi
#endif

/* @seen is the word, loaded once. In asymmetric mode an even one does not leave the hot path. Then the
 * bell, which may be late: a step of its own. */
#ifdef ASYM
#define LOOK(w, last) if :: w & 1 -> DECIDE(w, last) :: else -> w = 0 fi
#else
#define LOOK(w, last) DECIDE(w, last)
#endif
#define WAKE(seen, last, bell) \
	atomic { w = (seen); LOOK(w, last) }; \
	if :: w != 0 -> bell = 1; w = 0 :: else fi

#if defined(M_FLAG)             /* one flag, set by C and cleared by P */
inline wake_consumer()
{
	LIGHT_P;
	atomic {                /* P sees its own store */
		w = mem[DWAIT]; k = 0;
		do
		:: k < sb[0].n -> if :: sb[0].addr[k] == DWAIT -> w = sb[0].val[k] :: else fi; k++
		:: else -> k = 0; break
		od
	};
	if :: w == 1 -> store(0, DWAIT, 0, RLX); dbell = 1 :: else fi;
	w = 0
}
#elif defined(V_FLAG_XCHG)      /* the same with a locked exchange; law 1 forbids it anyhow */
inline wake_consumer()
{
	LIGHT_P;
	atomic { DRAINED(0) -> w = mem[DWAIT]; mem[DWAIT] = 0 };
	if :: w == 1 -> dbell = 1 :: else fi;
	w = 0
}
#else
inline wake_consumer()
{
	LIGHT_P;                                        /* P4 */
#ifdef HOISTED_P
	WAKE(early, last, dbell)
#else
	WAKE(mem[DWAIT], last, dbell)                   /* P5 */
#endif
}
#endif

inline wake_producer()
{
	LIGHT_C;                                        /* C3b */
#ifdef HOISTED_C
	WAKE(early, last, sbell)
#else
	WAKE(mem[SWAIT], last, sbell)                   /* C3c */
#endif
}

/* --- Arming ---------------------------------------------------------------------------------- */

#ifdef M_WRAP                   /* words of two bits */
#define WORD(x) ((x) & 3)
#else
#define WORD(x) (x)
#endif

/* The next odd number, also when a cancelled wait has left an odd one; the next even one. */
#define NEXT_ODD(x) (((x)+1) | 1)
#define NEXT_EVEN(x) (((x)+1) / 2 * 2)

/* When to drain. As built: if it was the bell that ended the sleep; peal_disarm_data(), for foreign
 * event loops, always. */
#ifdef V_DRAIN_ALWAYS
#define RUNG(by_bell) true
#else
#define RUNG(by_bell) (by_bell)
#endif

/* --- Producer -------------------------------------------------------------------------------- */

/* P0: header, payload, and a word for the terminator. */
#ifdef M_NO_ROOM_FOR_TERMINATOR
#define ROOM (btail + 1 + ln - ch <= N)
#else
#define ROOM (btail + 2 + ln - ch <= N)
#endif

/* What only fills the own store buffer is seen by nobody until it drains, so that a row of stores is
 * one step (which gives way when the buffer is full). -DFINE: one by one, to die between them. */
#if defined(FINE) || defined(HOISTED_P)
#define TOGETHER
#else
#define TOGETHER atomic
#endif

/* A bell that ends the sleep: it stays for the drain. -DV_READ: a blocking read takes it then and there,
 * and nothing is drained later. */
#ifdef V_READ
#define HEAR(bell) atomic { bell -> bell = 0 }
#else
#define HEAR(bell) bell -> by_bell = 1
#endif

/* The even store and the drain, whatever ended the sleep. */
inline leave_space()
{
#ifdef V_DRAIN_BEFORE_EVEN
	if :: RUNG(by_bell) -> sbell = 0 :: else fi;
#endif
#ifdef CANCEL
	if
	:: cancelled -> cancelled = 0           /* the thread was cancelled while it slept */
	:: else -> atomic { S = NEXT_EVEN(S); store(0, SWAIT, WORD(S), RLX) }
	fi;
#else
	atomic { S = NEXT_EVEN(S); store(0, SWAIT, WORD(S), RLX) };     /* P10 */
#endif
#if !defined(V_DRAIN_BEFORE_EVEN) && !defined(M_DRAIN_AFTER_ARM_P) && !defined(M_DRAIN_LATE_P)
	if :: RUNG(by_bell) -> sbell = 0 :: else fi;                    /* P11 */
#endif
	by_bell = 0
}

inline wait_space()
{
	atomic { S = NEXT_ODD(S); store(0, SWAIT, WORD(S), REL) };      /* P6 */
#ifdef M_DRAIN_AFTER_ARM_P
	sbell = 0;
#endif
	HEAVY_P;                                        /* P7 */
#if defined(CLOSEC) && !defined(M_NO_CLOSED_LOOK)       /* its bell may have been taken: before the look at its head */
	said = mem[CSTATE];
#endif
#ifndef M_NO_RECHECK_P
	ch = mem[HEAD];                                 /* P8 */
#endif
#ifdef M_DRAIN_LATE_P
	if :: !ROOM -> sbell = 0 :: else fi;
#endif
	if
	:: ROOM
	:: !ROOM && said -> closed = 1
	:: !ROOM && !said ->
		if                                      /* P9 */
		:: HEAR(sbell)
		:: C_HUNG_UP -> gone = 1
		:: atomic { spurP > 0 -> spurP-- }
#ifdef CANCEL
		:: atomic { spurP > 0 -> spurP--; cancelled = 1 }
#endif
		fi
	fi;
	leave_space();
	if
	:: gone -> ch = mem[HEAD]; closed = !ROOM; gone = 0
	:: else
	fi
}

inline commit()
{
#if !defined(M_NO_TERMINATOR) && !defined(M_TERMINATOR_LATE)
	store(0, btail & (N-1), 0, RLX);                /* P2 */
#endif
#ifdef HOISTED_P
	early = mem[DWAIT];
#endif
#ifndef M_HEADER_FIRST
	atomic {                                        /* P3: the first header, last */
		store(0, tail & (N-1), COMMITTED | first, HEADER_ORDER);
		committed = i - 1
	};
#endif
#ifdef M_TERMINATOR_LATE        /* what is behind the record is seen as one until this drains */
	store(0, btail & (N-1), 0, RLX);
#endif
	atomic { tail = btail; staged = 0; first = 0 }
}

inline choose_length()
{
#ifdef LENS
	ln = LENS(i);
#else
	if
	:: ln = 0
	:: ln = 1
#if MAXL > 1
	:: ln = 2
#endif
#if MAXL > 2
	:: ln = 3
#endif
	fi;
#endif
	length[i] = ln
}

proctype P()
{
	byte tail, btail, ch, S, w, last, ln, first, i = 1, j, staged, k;
	bool closed, gone, by_bell, cancelled, said;
#ifdef HOISTED_P
	byte early;
#endif
#ifdef CRASHP
	{
#endif
	do
	:: i > R || closed -> break
	:: else ->
		atomic { choose_length() }
		do
		:: atomic { ROOM -> break }             /* P0 */
		:: atomic { else -> ch = mem[HEAD]; if :: ROOM -> break :: else fi };
#ifndef M_SLEEP_ON_STAGED
			if
			:: staged > 0 -> commit(); wake_consumer()
			:: else -> wait_space(); if :: closed -> goto out :: else fi
			fi
#else
			wait_space(); if :: closed -> goto out :: else fi
#endif
		od;
		TOGETHER {
#ifdef M_HEADER_FIRST           /* each header before its payload; in a batch, not the first one last */
			atomic { store(0, btail & (N-1), COMMITTED | ln, REL); committed = i };
#else
			if
			:: staged == 0 -> first = ln
			:: else -> store(0, btail & (N-1), COMMITTED | ln, RLX)
			fi;
#endif
			j = 0;
			do                                      /* P1 */
			:: j < ln -> store(0, (btail+1+j) & (N-1), PAY(i, j), RLX); j++
			:: else -> break
			od;
			atomic { btail = btail + 1 + ln; staged++; i++; j = 0; ln = 0 }
			if
			:: staged == B || i > R -> commit(); j = 1
			:: else
			fi
		};
		if
		:: j == 1 -> j = 0; wake_consumer()
		:: else
		fi
	od;
out:
#ifdef CLOSEP
	store(0, PSTATE, 1, REL);
	CLOSE_FENCE(0);
	CLOSE_RING(dbell);
#endif
	pdone = 1;
#if defined(CRASHC)
	assert(!closed || cdead);
#elif defined(CLOSEC)
	assert(!closed || cdone);
#else
	assert(!closed && committed == R);
#endif
#ifdef CRASHP
	pdead = 1;                                      /* who ends hangs up too */
	} unless { pdead }
#endif
}

/* --- Consumer -------------------------------------------------------------------------------- */

inline leave_data()
{
#if defined(M_FLAG) || defined(V_FLAG_XCHG)
	store(1, DWAIT, 0, RLX); dbell = 0;
#else
#ifdef V_DRAIN_BEFORE_EVEN
	if :: RUNG(by_bell) -> dbell = 0 :: else fi;
#endif
#ifdef CANCEL
	if
	:: cancelled -> cancelled = 0
	:: else -> atomic { D = NEXT_EVEN(D); store(1, DWAIT, WORD(D), RLX) }
	fi;
#else
	atomic { D = NEXT_EVEN(D); store(1, DWAIT, WORD(D), RLX) };     /* C8 */
#endif
#if !defined(V_DRAIN_BEFORE_EVEN) && !defined(M_DRAIN_AFTER_ARM_C) && !defined(M_DRAIN_LATE_C)
	if :: RUNG(by_bell) -> dbell = 0 :: else fi;                    /* C9 */
#endif
#endif
	by_bell = 0
}

inline release_records()
{
#ifndef M_HEAD_EARLY
	atomic { store(1, HEAD, pos, HEAD_ORDER); held = 0 };           /* C3 */
#endif
	wake_producer()
}

/* Before C waits it releases: its caller's duty, not the library's. */
#if HOLD > 1 && !defined(M_SLEEP_ON_HELD)
#define HOLDING (held > 0)
#else
#define HOLDING false
#endif

/* Does C go on until it learns that P is gone? */
#if defined(CRASHP) || defined(CLOSEP)
#define MORE true
#elif defined(CLOSEC)
#define MORE (cnt < 2)          /* it leaves after one record, while P may wait for room */
#else
#define MORE (cnt <= R)
#endif

proctype C()
{
	byte pos, cnt = 1, h, j, w, last, D, ln, held;
	bool ended, closed, by_bell, cancelled, said;
#ifdef HOISTED_C
	byte early;
#endif
#ifdef CRASHC
	{
#endif
	do
	:: !MORE -> break
	:: atomic {
		MORE ->
		h = mem[pos & (N-1)];                   /* C0 */
		if
		:: h == 0 && ended -> closed = 1; break
		:: h == 0 && !ended && !HOLDING ->
#if defined(M_FLAG) || defined(V_FLAG_XCHG)
			store(1, DWAIT, 1, REL)
#else
			D = NEXT_ODD(D); store(1, DWAIT, WORD(D), REL)          /* C4 */
#endif
		:: else
		fi
	   };
		if
		:: h == 0 && HOLDING -> release_records()
		:: h == 0 && !HOLDING ->
#ifdef M_DRAIN_AFTER_ARM_C
			dbell = 0;
#endif
			HEAVY_C;                                /* C5 */
#if defined(CLOSEP) && !defined(M_NO_CLOSED_LOOK) && !defined(M_CLOSED_LOOK_LATE)
			said = mem[PSTATE];
#endif
#ifndef M_NO_RECHECK_C
			h = mem[pos & (N-1)];                   /* C6 */
#endif
#ifdef M_DRAIN_LATE_C
			if :: h == 0 -> dbell = 0 :: else fi;
#endif
#ifdef M_CLOSED_LOOK_LATE
			said = mem[PSTATE];
#endif
			if
			:: h != 0
			:: h == 0 && said -> closed = 1
			:: h == 0 && !said ->
again:
				if                              /* C7 */
				:: HEAR(dbell)
				:: P_HUNG_UP -> ended = 1
				:: atomic { spurC > 0 -> spurC-- }
#ifdef CANCEL
				:: atomic { spurC > 0 -> spurC--; cancelled = 1 }
#endif
				fi;
#ifdef M_SLEEP_ON               /* drained, looked, and slept on with the same odd word */
#ifndef V_READ
				dbell = 0;
#endif
				h = mem[pos & (N-1)];
				if :: h == 0 && !ended -> goto again :: else fi;
#endif
#ifdef M_END_WITHOUT_LOOK
				if :: ended -> closed = 1; break :: else fi;
#endif
			fi;
			h = 0;
			leave_data();
			if :: ended -> HUP_HEAVY :: else fi;
			if :: closed -> break :: else fi
		:: h != 0 ->
			atomic {
				assert(cnt <= committed);
				assert(h == (COMMITTED | length[cnt]));         /* C1 */
				ln = h & 127; h = 0;
#ifdef M_HEAD_EARLY
				store(1, HEAD, pos + 1 + ln, REL);
#endif
			};
			j = 0;
			do                                      /* C2 */
			:: atomic { j < ln -> assert(mem[(pos+1+j) & (N-1)] == PAY(cnt, j)); j++ }
			:: atomic { else -> j = 0; break }
			od;
#ifdef HOISTED_C
			early = mem[SWAIT];
#endif
			atomic { pos = pos + 1 + ln; length[cnt] = 0; cnt++; ln = 0 };
#if HOLD > 1
			held++;
			if
			:: held < HOLD && MORE
			:: release_records()
			fi
#else
			release_records()
#endif
		fi
	od;
	cdone = 1;
#ifdef CLOSEC
	store(1, CSTATE, 1, REL);
	CLOSE_FENCE(1);
	CLOSE_RING(sbell);
#endif
#if defined(CRASHP)
	assert(closed && pdead && cnt == committed + 1);        /* exactly what was committed */
#elif defined(CLOSEP)
	assert(closed && cnt == R + 1 && committed == R);
#elif !defined(CLOSEC)
	assert(cnt == R + 1 && committed == R);
#endif
#ifdef CRASHC
	cdead = 1;
	} unless { cdead }
#endif
}

#ifdef RINGER                   /* so many bells out of nowhere */
proctype Ringer()
{
	byte n;
	do
	:: n < RINGER -> n++; if :: dbell = 1 :: sbell = 1 fi
	:: break
	od
}
#endif
#ifdef CRASHP
proctype KillP() { if :: skip :: pdead = 1 fi }
#endif
#ifdef CRASHC
proctype KillC() { if :: skip :: cdead = 1 fi }
#endif

init
{
	atomic {
#ifdef GARBAGE                  /* only the first word must be 0 at the beginning */
		mem[1] = PAY(9, 1); mem[2] = COMMITTED | 1; mem[3] = COMMITTED;
#endif
		do :: spurP < SPUR -> spurP++ :: break od;
		do :: spurC < SPUR -> spurC++ :: break od;
		run Flush(0); run Flush(1); run P(); run C();
#ifdef RINGER
		run Ringer();
#endif
#ifdef CRASHP
		run KillP();
#endif
#ifdef CRASHC
		run KillC();
#endif
	}
}

#ifdef LTL                      /* both come to an end, given weak fairness */
ltl finish { <> (pdone && cdone) }
#endif
