/* SPDX-License-Identifier: MIT */
/*
 * asym.c - LIGHT as a compiler barrier and HEAVY as membarrier(2), once, for GenMC.
 *
 * A membarrier puts a full barrier into P at one point of its program order, POS = 0…3; req and ack stand
 * for the interrupt.
 *      P   payload; |1| header, release; |2| load data_wait; |3| ring?
 *      C   arm; HEAVY; look; sleep if there is nothing
 * Wrong is: C sleeps and P has not rung.
 */
#include <stdlib.h>
#include <assert.h>
#include <pthread.h>
#define RLX __ATOMIC_RELAXED
#define ACQ __ATOMIC_ACQUIRE
#define REL __ATOMIC_RELEASE
#define SC  __ATOMIC_SEQ_CST
typedef unsigned long u64;
u64 payload, hdr, data_wait, req, ack;
int rung, slept;

static inline void ipi(void)
{
#ifndef M_NO_HEAVY
	while (__atomic_load_n(&req, ACQ) == 0)
		;
	__atomic_thread_fence(SC);
	__atomic_store_n(&ack, 1, REL);
#endif
}
void *producer(void *a)
{
	u64 w;
	if (POS == 0)
		ipi();
	payload = 7;
	if (POS == 1)
		ipi();
#ifdef M_NO_LIGHT /* compiler moved the load up */
	w = __atomic_load_n(&data_wait, RLX);
	if (POS == 2)
		ipi();
	__atomic_store_n(&hdr, 1, REL);
#else
	__atomic_store_n(&hdr, 1, REL);
	if (POS == 2)
		ipi();
	w = __atomic_load_n(&data_wait, RLX);
#endif
	if (POS == 3)
		ipi();
	rung = w & 1;
	return NULL;
}
void *consumer(void *a)
{
	__atomic_store_n(&data_wait, 1, REL);
	__atomic_thread_fence(SC);
#ifndef M_NO_HEAVY
	__atomic_store_n(&req, 1, REL);
	while (__atomic_load_n(&ack, ACQ) == 0)
		;
	__atomic_thread_fence(SC);
#endif
	slept = __atomic_load_n(&hdr, RLX) == 0;
	if (!slept && __atomic_load_n(&hdr, ACQ))
		assert(payload == 7);
	return NULL;
}
int main(void)
{
	pthread_t p, c;
	pthread_create(&p, NULL, producer, NULL);
	pthread_create(&c, NULL, consumer, NULL);
	pthread_join(p, NULL);
	pthread_join(c, NULL);
	assert(!(slept && !rung));
	return 0;
}
