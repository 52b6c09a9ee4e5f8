/* SPDX-License-Identifier: MIT */
/*
 * layout.h - THE shared layout. Everything that two processes agree on byte by byte is here, and in
 * prose in docs/layout.md. A change of anything means a new PEAL_LAYOUT_VERSION.
 *
 * A segment has one writer, its owner; the other process maps it read-only.
 *
 *     0        128    256         384    512         640        768        896   1024    4096
 *     ┌────────┬──────┬───────────┬──────┬───────────┬──────────┬──────────┬─────┬───────┬──────────┐
 *     │identity│ tail │ space_wait│ head │ data_wait │ producer │ consumer │ cpu │   0   │ data …   │
 *     │        │      │           │      │           │ counters │ counters │     │       │          │
 *     └────────┴──────┴───────────┴──────┴───────────┴──────────┴──────────┴─────┴───────┴──────────┘
 *              └ as producer of its ring ┘└ as consumer of the ┘
 *                                           other segment's ring
 *
 * Words that are written at different times by different threads are 128 bytes apart: the
 * adjacent-line prefetcher of x86 fetches lines of 64 bytes in pairs (Intel 64 and IA-32
 * Architectures Optimization Reference Manual, "data prefetching"). All words are little-endian.
 */
#ifndef PEAL_RING_LAYOUT_H
#define PEAL_RING_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PEAL_LAYOUT_MAGIC   UINT64_C(0x314745534c414550) /* "PEALSEG1" */
#define PEAL_LAYOUT_VERSION 1u

/* The header is one page; so the data behind it can be mapped twice in a row. */
#define PEAL_HEADER_BYTES 4096u

/* One page, because data is mapped page-wise and mirrored. */
#define PEAL_CAPACITY_MIN UINT64_C(4096)
/* The mirror doubles it in address space, of which a process has 128 TiB. */
#define PEAL_CAPACITY_MAX (UINT64_C(1) << 40)

enum peal_role {
	PEAL_ROLE_HOST = 1,
	PEAL_ROLE_GUEST = 2,
};

/* A reader that does not know one of these bits must refuse. */
#define PEAL_INCOMPATIBLE_EVENTFD UINT64_C(1) /* doorbells are eventfd pairs, not sockets */
#define PEAL_INCOMPATIBLE_KNOWN   PEAL_INCOMPATIBLE_EVENTFD

/* A reader may ignore these. */
#define PEAL_COMPATIBLE_MEMBARRIER UINT64_C(1) /* the writer's HEAVY barrier is membarrier(2) */

/* How the writer of this segment fares. The first 96 bytes keep their meaning in all
 * versions to come, so that a side can refuse the other one and be understood. */
enum peal_state {
	PEAL_STATE_CREATED = 0,
	PEAL_STATE_ATTACHED = 1,
	PEAL_STATE_REFUSED = 2, /* it would not attach: see its layout version */
	PEAL_STATE_CLOSED = 3,
};

/* Kept by one thread each, for observers; nobody decides anything by them. */
struct peal_counters {
	uint64_t sleeps;   /* times that this end slept */
	uint64_t wakes;    /* times that it rang the other's bell */
	uint64_t spurious; /* times that it was woken with nothing to do */
	uint64_t since_ns; /* CLOCK_MONOTONIC when it first waited at @position; 0: not told */
	uint64_t position; /* where: as consumer what it waits for, as producer the head it saw */
	uint64_t zero[11];
};

struct peal_segment_header {
	/* 0: identity; written before the segment is shared, but for what is marked */
	uint64_t magic;               /* stored last, release */
	uint32_t version;             /* of the layout; by the writer's library */
	uint32_t header_size;         /* PEAL_HEADER_BYTES */
	uint64_t incompatible_flags;  /* PEAL_INCOMPATIBLE_… */
	uint64_t compatible_flags;    /* PEAL_COMPATIBLE_…; the writer's, before it attaches */
	uint64_t segment_size;        /* in bytes, header included */
	uint64_t data_offset;         /* PEAL_HEADER_BYTES */
	uint64_t capacity;            /* bytes of data, a power of two; 0: no ring from this side */
	uint32_t record_align;        /* 8 or 64 */
	uint32_t role;                /* enum peal_role of the writer */
	unsigned char channel_id[16]; /* random; the same in both segments of a channel */
	uint32_t writer_pid;          /* informative; the writer's, when it attaches */
	uint32_t zero0;
	uint64_t state; /* enum peal_state, by the writer, release */
	char name[32];  /* informative, NUL-terminated */

	/* 128: as the producer of this segment's ring */
	uint64_t tail; /* behind what is published, or up to 4095 bytes before; for observers */
	uint64_t zero1[15];
	uint64_t space_wait; /* even awake, odd asleep for room */
	uint64_t zero2[15];

	/* 384: as the consumer of the other segment's ring */
	uint64_t head; /* position behind what is released; the producer checks it */
	uint64_t zero3[15];
	uint64_t data_wait; /* even awake, odd asleep for data */
	uint64_t zero4[15];

	/* 640 */
	struct peal_counters producer_counters;
	struct peal_counters consumer_counters;

	/* 896: the one processor that the writer was pinned to when it attached, plus 1; 0: not to one.
	 * A hint for the other side, which does not spin for a peer that needs its processor. */
	uint64_t cpu;
	uint64_t zero5[15];
};

#define PEAL_PIN(member, offset)                                                                   \
	static_assert(offsetof(struct peal_segment_header, member) == (offset), #member)
PEAL_PIN(magic, 0);
PEAL_PIN(version, 8);
PEAL_PIN(header_size, 12);
PEAL_PIN(incompatible_flags, 16);
PEAL_PIN(compatible_flags, 24);
PEAL_PIN(segment_size, 32);
PEAL_PIN(data_offset, 40);
PEAL_PIN(capacity, 48);
PEAL_PIN(record_align, 56);
PEAL_PIN(role, 60);
PEAL_PIN(channel_id, 64);
PEAL_PIN(writer_pid, 80);
PEAL_PIN(state, 88);
PEAL_PIN(name, 96);
PEAL_PIN(tail, 128);
PEAL_PIN(space_wait, 256);
PEAL_PIN(head, 384);
PEAL_PIN(data_wait, 512);
PEAL_PIN(producer_counters, 640);
PEAL_PIN(producer_counters.since_ns, 664);
PEAL_PIN(producer_counters.position, 672);
PEAL_PIN(consumer_counters, 768);
PEAL_PIN(cpu, 896);
static_assert(sizeof(struct peal_segment_header) == 1024, "header");
#undef PEAL_PIN

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");
static_assert(sizeof(size_t) == 8 && sizeof(void *) == 8, "positions and mappings need 64 bits");

#endif
