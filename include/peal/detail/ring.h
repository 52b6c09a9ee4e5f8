/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the hot half of the ring: what runs between two processes that are both awake.
 *
 * No system call, no lock, no fence. The labels P0…P5 and C0…C3c are those of docs/memory-model.md,
 * where every pair is argued. Whatever is rare (full, empty, broken, asleep, fence mode) leaves
 * through one predicted branch into src/ring.
 *
 * Record: header word, payload, padding to the record alignment.
 *
 *      63 62      48 47        32 31                                0
 *     ┌──┬──────────┬────────────┬───────────────────────────────────┐
 *     │ 1│ 0 … 0    │ type       │ payload size in bytes             │   0 = nothing here yet
 *     └──┴──────────┴────────────┴───────────────────────────────────┘
 *
 * Positions count bytes for ever (u64, they may wrap); an index is a position masked.
 *
 * Not part of the API: include <peal/ring.h>. The structs are here for the inline functions; their
 * members are nobody else's. They are part of the ABI, which packaging/abi.sh watches.
 */
#ifndef PEAL_DETAIL_RING_H
#define PEAL_DETAIL_RING_H

#include <string.h>

#include <peal/detail/atomic.h>

#ifndef PEAL_RING_H
#	error "include <peal/ring.h>"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_LIKELY(x)   __builtin_expect(!!(x), 1)
#define PEAL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Bits 63…48 of a valid header: committed, and fifteen reserved zeros. */
#define PEAL_HEADER_VALID UINT64_C(0x8000)

/* The shared tail is behind the real one by less than this many bytes. */
#define PEAL_TAIL_LAG UINT64_C(4096)

struct peal_bell;
struct peal_counters;

/* How this end sleeps and wakes the other; cold but for the first member. */
struct peal_wake {
	/* What the hot path looks at. Asymmetric mode: the peer's wait word, odd while it sleeps. Fence
	 * mode: a word of ours that is always odd, for then the look belongs behind a fence. */
	const uint64_t *peer_word;
	const uint64_t *peer_wait;      /* the peer's wait word, in either mode */
	uint64_t last_rung;             /* the odd value for which we have rung */
	uint64_t *own_word;             /* our wait word */
	uint64_t own_value;             /* what we stored there last */
	struct peal_counters *counters; /* ours, of the layout */
	uint64_t cpu;                   /* what we are pinned to, plus 1; 0: not to one */
	const uint64_t *peer_cpu;       /* the same of the peer: its claim */
	struct peal_bell *bell;
	uint32_t membarrier;  /* 1: we promised the peer to pay for its barrier */
	uint32_t no_clock;    /* 1: reading it is forbidden */
	uint64_t spin_cap_ns; /* never spin longer than this before sleeping */
	uint64_t spin_ns;     /* how long spinning seems worth while now */
};

/* The private side of a producer. Zero (as after fork) refuses everything. */
struct peal_producer {
	unsigned char *data;   /* mapped twice in a row, so that a record never wraps */
	uint64_t mask;         /* capacity - 1 */
	uint64_t align;        /* record alignment; also the bytes in front of a payload */
	uint64_t tail;         /* position behind what is published */
	uint64_t staged;       /* bytes staged behind the tail; mostly 0 */
	uint64_t limit;        /* the position that no record may pass, from the last head seen */
	uint64_t reserved;     /* the reservation, see peal_reservation() */
	uint64_t size_end;     /* the first payload size that is refused; 0 refuses all */
	uint64_t *shared_tail; /* for observers */
	struct peal_wake wake;
	uint64_t first;       /* header of the first staged record, held back until publishing */
	const uint64_t *head; /* the consumer's claim */
	uint64_t open;        /* 0: refuse, with this error: */
	int error;
	const char *reason; /* the sentence that goes with it */
} __attribute__((aligned(128)));

struct peal_consumer {
	const unsigned char *data;
	uint64_t mask;
	uint64_t align;
	uint64_t next;         /* position of the record to hand out next */
	uint64_t head;         /* position behind what is released */
	uint64_t span;         /* the most bytes that can be handed out at once */
	uint64_t open;         /* 0: refuse */
	uint64_t *shared_head; /* ours to write, for the producer */
	struct peal_wake wake;
	uint64_t waited_at;   /* position of the record that ended the last wait */
	uint64_t waited_end;  /* position behind that record */
	unsigned int stagger; /* pauses before looking at an empty ring again */
	int ended;            /* the producer is gone: an empty ring will stay so */
	int error;
	const char *reason;
} __attribute__((aligned(128)));

/* The cold halves. */
PEAL_API int peal_reserve_cold(struct peal_producer *tx, size_t size, void **payload);
PEAL_API int peal_commit_cold(struct peal_producer *tx, size_t size, uint16_t type);
PEAL_API int peal_stage_cold(struct peal_producer *tx, size_t size, uint16_t type);
PEAL_API int peal_wake_consumer(struct peal_producer *tx, uint64_t word);
PEAL_API int peal_next_cold(struct peal_consumer *rx, uint64_t header);
PEAL_API int peal_release_cold(struct peal_consumer *rx, uint64_t position);
PEAL_API int peal_wake_producer(struct peal_consumer *rx, uint64_t word);
PEAL_API int peal_recv_cold(struct peal_consumer *rx, const struct peal_record *record,
			    size_t size);

/* Bytes that a record of @size takes: a header of @align bytes, the payload rounded up to @align. */
PEAL_HELPER uint64_t peal_record_span(uint64_t size, uint64_t align)
{
	return (size + 2 * align - 1) & ~(align - 1);
}

PEAL_HELPER uint64_t peal_header(uint64_t size, uint16_t type)
{
	return PEAL_HEADER_VALID << 48 | (uint64_t)type << 32 | size;
}

/*
 * A reservation is one word: bits 63…33 are bits 33…3 of the position that it was made at, the
 * others its size plus 1. What commits it moves on, so that it fits no more: nothing has to be
 * cleared. On the way to the other processor each store holds a place in the store buffer for as
 * long as a cache miss takes, so the fewer, the more misses overlap.
 */
PEAL_HELPER uint64_t peal_reservation(uint64_t position, uint64_t size)
{
	return position << 30 | (size + 1);
}

/* Has @tx no reservation of @size bytes or more at @position? */
PEAL_HELPER int peal_not_reserved(const struct peal_producer *tx, uint64_t position, uint64_t size)
{
	uint64_t reserved = tx->reserved ^ position << 30;

	return (size >= reserved) | (reserved >> 33 != 0);
}

PEAL_HELPER uint64_t *peal_word_at(const struct peal_producer *tx, uint64_t position)
{
	return (uint64_t *)(void *)(tx->data + (position & tx->mask));
}

PEAL_API PEAL_INLINE int peal_reserve(struct peal_producer *tx, size_t size, void **payload)
{
	uint64_t position = tx->tail + tx->staged;

	/* Two conditions, one branch: a huge @size must not wrap around in the sum, and a handle of
	 * zeros must refuse even size 0. Full means that the record and the terminator behind it do
	 * not fit; the limit has the terminator in it. */
	if (PEAL_UNLIKELY((size >= tx->size_end) |
			  (peal_record_span(size, tx->align) > tx->limit - position)))
		return peal_reserve_cold(tx, size, payload); /* P0 */
	tx->reserved = peal_reservation(position, size);
	*payload = tx->data + (position & tx->mask) + tx->align;
	return 0;
}

/* P2…P5: publish the next @span bytes; @first is the header of the first record in them. */
PEAL_HELPER int peal_publish_span(struct peal_producer *tx, uint64_t first, uint64_t span)
{
	uint64_t tail = tx->tail, end = tail + span;
	unsigned char *at = tx->data + (tail & tx->mask);
	uint64_t word;

	/* P2: the consumer will look at this word next. Plain: P3 releases it. */
	peal_store_relaxed((uint64_t *)(void *)(at + span), 0);
	/* P3: release, pairs with C0: who sees the header sees the payload, the later headers of the
	 * batch and the terminator. */
	peal_store_release((uint64_t *)(void *)at, first);
	/* Relaxed: other threads of this process may ask for it as a figure. */
	peal_store_relaxed(&tx->tail, end);
	/* The same for other processes, but seldom: they walk on from there, see peal_segment_tail(). */
	if (PEAL_UNLIKELY((end ^ tail) >= PEAL_TAIL_LAG))
		peal_store_relaxed(tx->shared_tail, end);
	/* P4: LIGHT, pairs with C5: the consumer sees the header or we see that it sleeps. */
	peal_barrier_light();
	/* P5: relaxed, P4 orders it. In fence mode always odd. */
	word = peal_load_relaxed(tx->wake.peer_word);
	return PEAL_UNLIKELY(word & 1) ? peal_wake_consumer(tx, word) : 0;
}

PEAL_API PEAL_INLINE int peal_commit(struct peal_producer *tx, size_t size, uint16_t type)
{
	/* What is staged has moved the reservation away from the tail; asked all the same, because
	 * 16 GiB of it would look like nothing. */
	if (PEAL_UNLIKELY(peal_not_reserved(tx, tx->tail, size) | (tx->staged != 0)))
		return peal_commit_cold(tx, size, type);
	return peal_publish_span(tx, peal_header(size, type), peal_record_span(size, tx->align));
}

PEAL_API PEAL_INLINE int peal_stage(struct peal_producer *tx, size_t size, uint16_t type)
{
	uint64_t position = tx->tail + tx->staged;

	if (PEAL_UNLIKELY(peal_not_reserved(tx, position, size)))
		return peal_stage_cold(tx, size, type);
	/* The first header of a batch hides all the others, so it alone is held back. */
	if (tx->staged == 0)
		tx->first = peal_header(size, type);
	else
		peal_store_relaxed(peal_word_at(tx, position), peal_header(size, type)); /* P1 */
	tx->staged += peal_record_span(size, tx->align);
	return 0;
}

PEAL_API PEAL_INLINE int peal_publish(struct peal_producer *tx)
{
	uint64_t staged = tx->staged;

	if (staged == 0)
		return PEAL_LIKELY(tx->open) ? 0 : peal_commit_cold(tx, 0, 0); /* refuses */
	tx->staged = 0;
	return peal_publish_span(tx, tx->first, staged);
}

PEAL_API PEAL_INLINE void peal_abort(struct peal_producer *tx)
{
	tx->reserved = 0;
}

PEAL_API PEAL_INLINE int peal_send(struct peal_producer *tx, const void *data, size_t size,
				   uint16_t type, uint64_t deadline_ns)
{
	void *payload;
	int rc = peal_reserve(tx, size, &payload);

	if (PEAL_UNLIKELY(rc < 0)) {
		rc = peal_reserve_wait(tx, size, &payload, deadline_ns);
		if (rc < 0)
			return rc;
	}
	if (size > 0)
		memcpy(payload, data, size);
	return peal_commit(tx, size, type);
}

/* Refused or broken. The hint keeps compilers from warning of a record that is not filled. */
PEAL_HELPER int peal_next_failed(struct peal_consumer *rx, uint64_t header)
{
	int rc = peal_next_cold(rx, header);

	if (rc >= 0)
		__builtin_unreachable();
	return rc;
}

/* C1: hand out the record whose header was read as @header, once. It is a claim: all that is handed
 * out must have fitted into the ring. */
PEAL_HELPER int peal_take(struct peal_consumer *rx, uint64_t header, struct peal_record *record)
{
	uint64_t span = peal_record_span((uint32_t)header, rx->align);

	if (PEAL_UNLIKELY((header >> 48 != PEAL_HEADER_VALID) |
			  (span > rx->head + rx->span - rx->next)))
		return peal_next_failed(rx, header);
	record->data = rx->data + (rx->next & rx->mask) + rx->align;
	record->size = (uint32_t)header;
	record->type = (uint16_t)(header >> 32);
	rx->next += span;
	record->end = rx->next;
	return 1;
}

/* C0: acquire, pairs with P3. */
PEAL_HELPER uint64_t peal_next_header(const struct peal_consumer *rx)
{
	return peal_load_acquire(
		(const uint64_t *)(const void *)(rx->data + (rx->next & rx->mask)));
}

PEAL_API PEAL_INLINE int peal_next(struct peal_consumer *rx, struct peal_record *record)
{
	uint64_t header;

	if (PEAL_UNLIKELY(!rx->open))
		return peal_next_failed(rx, 0);
	header = peal_next_header(rx);
	if (header == 0)
		return PEAL_LIKELY(!rx->ended) ? 0 : peal_next_failed(rx, 0);
	return peal_take(rx, header, record);
}

/* C3…C3c: everything before @position is the producer's again. */
PEAL_HELPER int peal_release_at(struct peal_consumer *rx, uint64_t position)
{
	uint64_t word;

	rx->head = position;
	/* C3: release, pairs with P0 and P8: our reads of the payload come before its reuse. */
	peal_store_release(rx->shared_head, position);
	/* C3b: LIGHT, pairs with P7: the producer sees the room or we see that it sleeps. */
	peal_barrier_light();
	/* C3c: relaxed, C3b orders it. In fence mode always odd. */
	word = peal_load_relaxed(rx->wake.peer_word);
	return PEAL_UNLIKELY(word & 1) ? peal_wake_producer(rx, word) : 0;
}

PEAL_API PEAL_INLINE int peal_release(struct peal_consumer *rx)
{
	if (PEAL_UNLIKELY(!rx->open))
		return peal_release_cold(rx, 0);
	return peal_release_at(rx, rx->next);
}

PEAL_API PEAL_INLINE int peal_release_to(struct peal_consumer *rx, const struct peal_record *record)
{
	/* Minus one, so that the end of what is released already wraps and is refused. */
	if (PEAL_UNLIKELY((!rx->open) | (record->end - rx->head - 1 >= rx->next - rx->head)))
		return peal_release_cold(rx, record->end);
	return peal_release_at(rx, record->end);
}

PEAL_API PEAL_INLINE int64_t peal_recv(struct peal_consumer *rx, void *buffer, size_t size,
				       uint16_t *type, uint64_t deadline_ns)
{
	struct peal_record record;
	int rc;

	if (PEAL_UNLIKELY(rx->next != rx->head))
		return peal_recv_cold(rx, NULL, size);
	rc = peal_next(rx, &record);
	if (PEAL_UNLIKELY(rc <= 0)) {
		rc = peal_next_wait(rx, &record, deadline_ns);
		if (rc < 0)
			return rc;
	}
	if (PEAL_UNLIKELY(record.size > size))
		return peal_recv_cold(rx, &record, size);
	if (record.size > 0)
		memcpy(buffer, record.data, record.size); /* C2 */
	if (type)
		*type = record.type;
	/* Should the producer not be woken, the next call says so: this record is received. */
	peal_release(rx);
	return (int64_t)record.size;
}

#ifdef __cplusplus
}
#endif

#endif
