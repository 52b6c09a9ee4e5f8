/* SPDX-License-Identifier: MIT */
/*
 * adapter.h - what a ring must offer to be measured. C and C++.
 *
 * An adapter is one file. It says how its ring is put into shared memory and how one message goes
 * in and out; the loops that measure (loops.h) are compiled into each adapter, so that every ring
 * is inlined as its users would have it, and all do exactly the same work around it.
 *
 *      first process                          second process
 *      create()                               (forked, or started by start())
 *      attach(FIRST)                          attach(SECOND)
 *      produce ═══════════ forth ════════════▶ consume
 *      ping    ═══════════ forth ════════════▶ pong
 *              ◀══════════ back  ═════════════
 */
#ifndef PEAL_BENCH_ADAPTER_H
#define PEAL_BENCH_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bench_kind {
	BENCH_THROUGHPUT, /* as many messages as possible, each handed over by itself */
	BENCH_BATCH,      /* the same, handed over @batch at a time */
	BENCH_RTT,        /* one message forth, one back */
	BENCH_PACED,      /* one message each @interval_ns; its age on arrival (wake, openloop) */
};

enum bench_wait {
	BENCH_SPIN,  /* who waits keeps its processor */
	BENCH_BLOCK, /* who waits sleeps in the kernel, the way this implementation sleeps best */
};

/* What to measure; the same in both processes. */
struct bench_config {
	uint32_t kind;        /* enum bench_kind */
	uint32_t wait;        /* enum bench_wait */
	uint64_t payload;     /* bytes of a message, at least 8, a multiple of 8 */
	uint64_t capacity;    /* bytes of payload that a ring should hold, about */
	uint32_t batch;       /* messages handed over together */
	uint32_t touch;       /* 0: leave the payload alone but for its first word (descriptors) */
	uint64_t duration_ns; /* of one run */
	uint64_t interval_ns; /* BENCH_PACED: between two messages */
	uint32_t channels;    /* of one host, or processes started at once; mostly 1 */
	uint32_t epoll;       /* 1: a poller is to use that, not what it finds best */
};

/* Ages of messages in ns: 64 powers of two, 32 steps each; like HdrHistogram, error below 3.2 %. */
#define BENCH_STEPS   32
#define BENCH_BUCKETS (64 * BENCH_STEPS)

/* What one side found out. Written by that side alone. */
struct bench_side {
	uint32_t ready;    /* attached (release) */
	uint32_t finished; /* the rest is final (release) */
	uint64_t messages; /* sent or received and found right */
	uint64_t wrong;    /* received and found wrong; anything but 0 voids the run */
	uint64_t begin_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
	uint64_t cpu_ns; /* user + system of this side from begin to end */
	uint64_t sleeps; /* voluntary context switches from begin to end */
	char error[128]; /* why it could not attach; "" if it could */
};

/* In memory that both processes share, beside whatever the adapter shares. */
struct bench_control {
	struct bench_config config;
	uint32_t go; /* set by the first process when both are ready (release) */
	struct bench_side first __attribute__((aligned(128)));
	struct bench_side second __attribute__((aligned(128)));
	uint64_t ages[BENCH_BUCKETS];
};

/* One measurement, as one process sees it. */
struct bench_run {
	struct bench_control *control;
	void *shared; /* shared_bytes() of zeroed shared memory, at the same address in both */
	size_t shared_bytes;
	void *state; /* the adapter's, private to this process */
};

enum bench_role { BENCH_FIRST, BENCH_SECOND };

/* What an adapter can do. */
#define BENCH_CAN_SPIN   1u
#define BENCH_CAN_BLOCK  2u
#define BENCH_CAN_BATCH  4u
#define BENCH_IS_PEAL    8u
#define BENCH_IS_LIMIT   16u /* not a ring but what the machine can do at most */
#define BENCH_IN_PROCESS 32u /* two threads: this one can not span processes */

struct bench_adapter {
	const char *name;   /* "boost spsc_queue" */
	const char *slug;   /* "boost", for --only */
	const char *how;    /* one line: version, configuration, anything that a reader must know */
	unsigned int flags; /* BENCH_CAN_… */
	uint64_t payload_min; /* 0: no limit */
	uint64_t payload_max; /* 0: no limit */

	/* Bytes of shared memory that this configuration needs; NULL: none. */
	size_t (*shared_bytes)(const struct bench_config *config);
	/* In the first process, before there is a second. 0 or a negative errno. May be NULL. */
	int (*create)(struct bench_run *run);
	/* Start the second process; NULL: the harness forks. Returns its pid or a negative errno. */
	pid_t (*start)(struct bench_run *run, int control_fd);
	/* In each process. 0 or a negative errno, with side->error filled if it can say more. */
	int (*attach)(struct bench_run *run, enum bench_role role);
	/* The loops; set by BENCH_LOOPS of loops.h. */
	void (*first)(struct bench_run *run);
	void (*second)(struct bench_run *run);
	/* In each process after its loop; the first process calls it last. May be NULL. */
	void (*detach)(struct bench_run *run, enum bench_role role);
};

/* All adapters that were built, NULL-terminated; made by meson from bench/peers. */
extern const struct bench_adapter *const bench_adapters[];

uint64_t bench_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif
