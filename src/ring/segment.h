/* SPDX-License-Identifier: MIT */
/*
 * segment.h - sealed shared memory with one writer.
 *
 *      owner                                          other process
 *      create: memfd, memory, identity,               check: seals, kind, size, identity
 *              seals SHRINK|GROW
 *      map read-write
 *      seal FUTURE_WRITE|SEAL      ── descriptor ──▶  map read-only (anything else is EPERM)
 *
 * The writer seals after mapping: from then on nobody can get a writable mapping, write, or punch a
 * hole through the descriptor, while the mapping that exists stays writable.
 */
#ifndef PEAL_RING_SEGMENT_H
#define PEAL_RING_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"

/* What is fixed when a segment is made. */
struct peal_segment_spec {
	uint64_t capacity; /* 0, or a power of two from PEAL_CAPACITY_MIN to PEAL_CAPACITY_MAX */
	uint32_t align;    /* 8 or 64 */
	uint32_t role;     /* enum peal_role of the writer */
	uint64_t incompatible_flags;
	const unsigned char *channel_id; /* 16 bytes */
	const char *name;                /* at most 31 bytes count; NULL: none */
};

/* A mapped segment: the local handle, never shared. */
struct peal_segment {
	struct peal_segment_header *header; /* NULL when not mapped */
	uint64_t capacity;
};

/*
 * peal_segment_create() - a segment that nobody has mapped yet
 *
 * Its memory is there: no later access can fail for want of it.
 *
 * Return: a close-on-exec descriptor; -EINVAL for a bad spec; -EFBIG when RLIMIT_FSIZE is too low;
 * -ENOMEM, -ENOSPC, -EMFILE … with nothing left behind.
 */
int peal_segment_create(const struct peal_segment_spec *spec);

/*
 * peal_segment_check() - is this descriptor a segment that we can trust?
 * @fd: from wherever
 * @role: whose segment it must be
 * @ours: are we that one, about to map it for writing?
 * @header: a private copy of the identity, all of it checked
 *
 * Return: 0; -EINVAL for what is no segment of ours at all; -EPROTONOSUPPORT for another layout
 * version or unknown features (the version is in @header then); -EBUSY when @ours and somebody has
 * attached as that role already; -EPERM when not @ours and its writer has not sealed it.
 */
int peal_segment_check(int fd, enum peal_role role, bool ours, struct peal_segment_header *header);

/*
 * peal_segment_map() - map header and data, the data twice in a row
 *
 * The mapping is not inherited by fork.
 *
 * Return: 0; -EBUSY when it is to be writable and another writer has sealed it; another negative errno.
 * Nothing is mapped then.
 */
int peal_segment_map(struct peal_segment *segment, int fd, uint64_t capacity, bool writable);

/* peal_segment_seal() - by the writer, after mapping. Return: 0; -EBUSY when another writer was
 * faster (unmap at once); another negative errno. */
int peal_segment_seal(int fd);

/* peal_segment_unmap() - harmless when not mapped. */
void peal_segment_unmap(struct peal_segment *segment);

/* peal_segment_tail() - the position behind what its producer has published
 *
 * For observers, in any process and thread; bounded work. The tail in the header lags a little, so the
 * record headers from there on are followed, unless the producer is so busy that it overwrites them
 * meanwhile: then it is up to 4095 bytes too low. All of it is the producer's claim.
 */
uint64_t peal_segment_tail(const struct peal_segment *segment);

/* peal_segment_data() - the first byte of data. */
static inline unsigned char *peal_segment_data(const struct peal_segment *segment)
{
	return (unsigned char *)segment->header + PEAL_HEADER_BYTES;
}

#endif
