/* SPDX-License-Identifier: MIT */
/*
 * lazy.pml - may the consumer publish head later than at the release (C3), and may the producer wait
 * for more room than it needs (P8)? Positions alone, sequentially consistent: what goes wrong here has
 * nothing to do with memory order. As built: K = 0, W = 0.
 *
 *   K      C publishes head only when so many words are unpublished, when it finds the ring empty, or
 *          when it is about to sleep; 0: at each release
 *   W      P, once it has to wait, waits for that many free words if it needs fewer
 *   STOP   C may stop polling after any record until P has committed record m, for which P needs no
 *          further release (say, it waits for an answer on another ring):
 *            unconsumed words up to and including m, + 1 + SLACK <= N
 *   BUSY   C never sleeps, it polls
 *   V_FLUSH_ON_STOP  C publishes and wakes before it stops polling
 *   PEEK             lazy, but publishes at once when it sees P asleep
 *   RING_LAZY        publishes at each release, but wakes only when the ring is empty
 */
#ifndef N
#define N 16
#endif
#ifndef R
#define R 3
#endif
#ifndef K
#define K 0
#endif
#ifndef W
#define W 0
#endif
#ifndef SLACK
#define SLACK 0
#endif

byte size[R+2];                 /* words of a record, its header included */
byte T, H;                      /* committed tail, published head */
byte dwait, swait;
bool dbell, sbell;
byte committed;

#define WANTED ((size[i] + 1 > W) -> size[i] + 1 : W)
#define ROOM (N - (T - H))

proctype P()
{
	byte i = 1, last;
	do
	:: i > R -> break
	:: else ->
		do
		:: ROOM >= size[i] + 1 -> break         /* P0 */
		:: else ->
			do
			:: swait++;                     /* P6 */
				if                      /* P8 */
				:: ROOM >= WANTED -> swait++; sbell = 0; break
				:: else -> sbell; swait++; sbell = 0    /* P9, P10, P11 */
				fi
			:: ROOM >= WANTED -> break
			od
		od;
		atomic { T = T + size[i]; committed = i; i++ };         /* P3 */
		if                                      /* P5 */
		:: atomic { (dwait & 1) && dwait != last -> last = dwait }; dbell = 1
		:: else
		fi
	od
}

inline wake_producer()
{
	if                                              /* C3c */
	:: atomic { (swait & 1) && swait != last -> last = swait }; sbell = 1
	:: else
	fi
}

inline publish()
{
	H = pos;                                        /* C3 */
#ifndef M_PUBLISH_NO_WAKE
	wake_producer()
#endif
}

inline publish_rest() { if :: H != pos -> publish() :: else fi }

proctype C()
{
	byte pos, cnt = 1, last, m, sum;
	do
	:: cnt > R -> break
	:: else ->
		if                                      /* C0 */
		:: T == pos ->
#ifndef M_NO_EMPTY_PUBLISH
			publish_rest();
#endif
#ifdef RING_LAZY
			wake_producer();
#endif
#ifdef BUSY
			T != pos
#else
#ifndef M_NO_SLEEP_PUBLISH
			publish_rest();
#endif
			dwait++;                        /* C4 */
			if                              /* C6, C7 */
			:: T != pos
			:: else -> dbell
			fi;
			dwait++; dbell = 0              /* C8, C9 */
#endif
		:: else ->
			pos = pos + size[cnt]; cnt++;
#if K == 0
#ifdef RING_LAZY
			H = pos;
#else
			publish();
#endif
#else
			if
			:: pos - H >= K -> publish()
#ifdef PEEK
			:: pos - H < K && (swait & 1) -> publish()
			:: pos - H < K && !(swait & 1)
#else
			:: else
#endif
			fi;
#endif
#ifdef STOP
			if
			:: cnt <= R ->
				atomic {
					m = cnt; sum = size[cnt];
					do
					:: m < R && sum + size[m+1] + 1 + SLACK <= N ->
						m++; sum = sum + size[m]
					:: break
					od
				};
				if
				:: sum + 1 + SLACK <= N ->
#ifdef V_FLUSH_ON_STOP
					publish_rest();
#endif
					committed >= m  /* and looks at the ring no more */
				:: else
				fi;
				m = 0; sum = 0
			:: true
			fi
#endif
		fi
	od
}

init
{
	byte i = 1;
	atomic {
		do
		:: i <= R ->
			if
			:: size[i] = 1 :: size[i] = 2 :: size[i] = N/2 - 2
			:: size[i] = N-3 :: size[i] = N-2 :: size[i] = N-1
			fi;
			i++
		:: else -> break
		od;
		run P(); run C()
	}
}
