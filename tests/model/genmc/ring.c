/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the ring and its wake protocol in fence mode, in C11 atomics, for GenMC.
 *
 * ../ring.pml step by step, for memory models in which loads are reordered too. Payloads are plain, so that
 * want of order is a data race as well; a lost wake is a liveness violation. Each order is a macro, to be
 * weakened one at a time. Here who sleeps always drains, which peal_disarm_data() does as well.
 */
#include <stdlib.h>
#include <assert.h>
#include <pthread.h>

#ifndef N
#	define N 4
#endif
#ifndef R
#	define R 2
#endif
#ifndef LENSET
#	define LENSET 1
#endif
#if LENSET == 1
#	define LEN(i) (((i)*2) % 3) /* 2 1 0 */
#elif LENSET == 2
#	define LEN(i) (((i)&1) * 2) /* 2 0 2 */
#elif LENSET == 3
#	define LEN(i) 1
#elif LENSET == 4
#	define LEN(i) 0
#endif

#define RLX __ATOMIC_RELAXED
#define ACQ __ATOMIC_ACQUIRE
#define REL __ATOMIC_RELEASE
#define SC  __ATOMIC_SEQ_CST

/* memory orders under test */
#ifndef O_HDR_ST
#	define O_HDR_ST REL /* P3  commit header   */
#endif
#ifndef O_HDR_LD
#	define O_HDR_LD ACQ /* C0  load header     */
#endif
#ifndef O_HEAD_ST
#	define O_HEAD_ST REL /* C3  release head    */
#endif
#ifndef O_HEAD_LD
#	define O_HEAD_LD ACQ /* P0  reload head     */
#endif
#ifndef O_HEAD_LD2
#	define O_HEAD_LD2 ACQ /* P8  recheck head    */
#endif
#ifndef O_HDR_LD2
#	define O_HDR_LD2 RLX /* C6  recheck header  */
#endif
#ifndef O_ARM_ST
#	define O_ARM_ST REL /* P6 C4   odd: after the previous drain */
#endif
#ifndef O_DISARM_ST
#	define O_DISARM_ST RLX /* P10 C8  even        */
#endif
#ifndef O_WAIT_LD
#	define O_WAIT_LD RLX /* P5 C3c              */
#endif
#ifndef O_RING
#	define O_RING RLX /* P5, C3c ring */
#endif
#ifndef O_DRAIN
#	define O_DRAIN RLX /* P11 C9  drain       */
#endif
#ifndef O_BELLWAIT
#	define O_BELLWAIT RLX /* P9 C7   block       */
#endif
#ifndef O_LIGHT_P
#	define O_LIGHT_P SC
#endif
#ifndef O_LIGHT_C
#	define O_LIGHT_C SC
#endif
#ifndef O_HEAVY_P
#	define O_HEAVY_P SC
#endif
#ifndef O_HEAVY_C
#	define O_HEAVY_C SC
#endif
#define FENCE(o) __atomic_thread_fence(o)

typedef unsigned long u64;
#define COMMITTED 1024UL
#define PAY(i, j) (COMMITTED | ((i)*16UL + (j)))

u64 data[N];
u64 head, data_wait, space_wait;
u64 dbell, sbell;

static inline void ring_bell(u64 *b)
{
	__atomic_exchange_n(b, 1, O_RING);
}
static inline void drain_bell(u64 *b)
{
	__atomic_exchange_n(b, 0, O_DRAIN);
}
#define BELL_WAIT(b)                                                                               \
	do {                                                                                       \
		while (__atomic_load_n(&(b), O_BELLWAIT) == 0)                                     \
			;                                                                          \
	} while (0)

#ifdef M_NO_ROOM_FOR_TERMINATOR
#	define FULL (q.btail + 1 + len - ch > N)
#else
#	define FULL (q.btail + 2 + len - ch > N) /* header + payload + terminator */
#endif
#ifndef B
#	define B 1
#endif
#ifdef M_LAST_BOOL /* reset only when an even word is seen */
#	define CHECK(w, last, bell)                                                               \
		do {                                                                               \
			if (!((w)&1))                                                              \
				last = 0;                                                          \
			else if (!last) {                                                          \
				last = 1;                                                          \
				ring_bell(&bell);                                                  \
			}                                                                          \
		} while (0)
#else
#	define CHECK(w, last, bell)                                                               \
		do {                                                                               \
			if (((w)&1) && (w) != last) {                                              \
				last = (w);                                                        \
				ring_bell(&bell);                                                  \
			}                                                                          \
		} while (0)
#endif

struct prod {
	u64 tail, btail, flen, nb, last;
};

static inline void publish(struct prod *q)
{
	u64 w;
#ifndef M_NO_TERMINATOR /* P2 terminator: PLAIN store is enough */
	data[q->btail & (N - 1)] = 0;
#endif
#if !defined(M_HEADER_FIRST) /* P3 first header of the batch, last */
	__atomic_store_n(&data[q->tail & (N - 1)], COMMITTED | q->flen, O_HDR_ST);
#endif
	q->tail = q->btail;
	q->nb = 0;
#ifndef M_NO_LIGHT_P
	FENCE(O_LIGHT_P); /* P4 */
#endif
	w = __atomic_load_n(&data_wait, O_WAIT_LD); /* P5 */
	CHECK(w, q->last, dbell);
}

void *producer(void *a)
{
	struct prod q = {0};
	u64 ch = 0, S = 0;
	for (u64 i = 1; i <= R; i++) {
		u64 len = LEN(i);
		while (FULL) {
			ch = __atomic_load_n(&head, O_HEAD_LD); /* P0 */
			if (!FULL)
				break;
			if (q.nb) {
				publish(&q);
				continue;
			} /* never sleep on unpublished records */
			__atomic_store_n(&space_wait, ++S, O_ARM_ST); /* P6 */
#ifndef M_NO_HEAVY_P
			FENCE(O_HEAVY_P); /* P7 */
#endif
#ifndef M_NO_RECHECK_P
			ch = __atomic_load_n(&head, O_HEAD_LD2); /* P8 */
#endif
#ifdef M_DRAIN_LATE_P
			drain_bell(&sbell);
#endif
			if (FULL)
				BELL_WAIT(sbell);                        /* P9 */
			__atomic_store_n(&space_wait, ++S, O_DISARM_ST); /* P10 */
#ifndef M_DRAIN_LATE_P
			drain_bell(&sbell); /* P11 */
#endif
#ifdef V_RECHECK_UNUSED /* recheck value only decides whether to block */
			ch = q.btail + 2 + len - N - 1;
#endif
		}
#ifdef M_HEADER_FIRST
		__atomic_store_n(&data[q.btail & (N - 1)], COMMITTED | len, O_HDR_ST);
#else
		if (q.nb == 0)
			q.flen = len;
		else
			data[q.btail & (N - 1)] = COMMITTED | len; /* PLAIN */
#endif
		for (u64 j = 0; j < len; j++) /* P1 PLAIN */
			data[(q.btail + 1 + j) & (N - 1)] = PAY(i, j);
		q.btail += 1 + len;
		q.nb++;
		if (q.nb == B || i == R)
			publish(&q);
	}
	return NULL;
}

void *consumer(void *a)
{
	u64 pos = 0, last = 0, D = 0, w, h, cnt = 1, got[R + 1][4];
	while (cnt <= R) {
		h = __atomic_load_n(&data[pos & (N - 1)], O_HDR_LD); /* C0 */
		if (h == 0) {
			__atomic_store_n(&data_wait, ++D, O_ARM_ST); /* C4 */
#ifndef M_NO_HEAVY_C
			FENCE(O_HEAVY_C); /* C5 */
#endif
#ifndef M_NO_RECHECK_C
			h = __atomic_load_n(&data[pos & (N - 1)], O_HDR_LD2); /* C6 */
#endif
#ifdef M_DRAIN_LATE_C
			drain_bell(&dbell);
#endif
			if (h == 0)
				BELL_WAIT(dbell);                       /* C7 */
			__atomic_store_n(&data_wait, ++D, O_DISARM_ST); /* C8 */
#ifndef M_DRAIN_LATE_C
			drain_bell(&dbell); /* C9 */
#endif
			continue;
		}
		u64 len = h & (COMMITTED - 1);
		assert(h == (COMMITTED | LEN(cnt))); /* C1 */
#ifdef M_HEAD_EARLY
		__atomic_store_n(&head, pos + 1 + len, O_HEAD_ST);
#endif
		for (u64 j = 0; j < len; j++) /* C2 PLAIN; judged at the end, so that */
			got[cnt][j] =
				data[(pos + 1 + j) & (N - 1)]; /* no branch orders it before C3 */
		pos += 1 + len;
		cnt++;
#ifndef M_HEAD_EARLY
		__atomic_store_n(&head, pos, O_HEAD_ST); /* C3 */
#endif
#ifndef M_NO_LIGHT_C
		FENCE(O_LIGHT_C); /* C3b */
#endif
		w = __atomic_load_n(&space_wait, O_WAIT_LD); /* C3c */
		CHECK(w, last, sbell);
	}
	for (u64 i = 1; i <= R; i++)
		for (u64 j = 0; j < LEN(i); j++)
			assert(got[i][j] == PAY(i, j));
	return NULL;
}

int main(void)
{
	pthread_t p, c;
	pthread_create(&p, NULL, producer, NULL);
	pthread_create(&c, NULL, consumer, NULL);
	pthread_join(p, NULL);
	pthread_join(c, NULL);
	return 0;
}
