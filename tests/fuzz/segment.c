/* SPDX-License-Identifier: MIT */
/*
 * segment.c - whatever may be offered as a segment, and what its writer does once it is mapped.
 */
#include <errno.h>
#include <string.h>

#include "files.h"
#include "fuzz.h"
#include "ring/segment.h"

/* What peal_segment_tail() may look at: the tail, the headers of 4095 bytes and one more, and both ends
 * once more. */
#define LOADS_MAX_TAIL (2 + 4096 / 8 + 2)

static struct {
	struct peal_segment segment;
	uint64_t tails[2];
	unsigned int tail_looks;
} m;

static uint64_t claim_header(void)
{
	const uint64_t valid = UINT64_C(0x8000) << 48;

	switch (fuzz_byte() & 7) {
	case 0:
		return 0;
	case 1:
		return fuzz_u64();
	case 2:
		return valid | (uint32_t)fuzz_u64();
	case 3:
		return valid | fuzz_byte() * 16u;
	default:
		return valid;
	}
}

static uint64_t claim(const uint64_t *word, uint64_t real)
{
	uint64_t index = (uintptr_t)word - (uintptr_t)peal_segment_data(&m.segment);

	if (word == &m.segment.header->tail) {
		FUZZ_CHECK(m.tail_looks < 2, "a third look at the tail");
		/* Mostly the same again. */
		if (m.tail_looks > 0 && (fuzz_byte() & 3) != 3)
			return m.tails[m.tail_looks++] = m.tails[0];
		return m.tails[m.tail_looks++] = fuzz_claim(real);
	}
	FUZZ_CHECK(index < m.segment.capacity, "a look at index %lld of the data",
		   (long long)index);
	return claim_header();
}

static void observe(void)
{
	uint64_t tail;

	m.tail_looks = 0;
	fuzz_peer.loads = 0;
	fuzz_peer.loads_max = LOADS_MAX_TAIL;
	tail = peal_segment_tail(&m.segment);
	FUZZ_CHECK(m.tail_looks > 0, "the tail was not asked for");
	FUZZ_CHECK(tail - m.tails[0] < 4096 || (m.tail_looks == 2 && tail == m.tails[1]),
		   "a tail that follows from nothing");
}

static void use(const struct fuzz_file *file, bool writable)
{
	uint64_t capacity = file->header.capacity;
	const volatile unsigned char *data;

	FUZZ_CHECK(peal_segment_map(&m.segment, file->fd, capacity, writable) == 0,
		   "a good segment can not be mapped: %s", peal_last_error());
	data = peal_segment_data(&m.segment);
	if (capacity > 0)
		FUZZ_CHECK(data[0] == data[capacity] &&
				   data[capacity - 1] == data[2 * capacity - 1],
			   "the mirror");
	/* What was checked once may be something else by now. */
	if (writable && (fuzz_byte() & 1))
		m.segment.header->record_align = (uint32_t)fuzz_u64();
	fuzz_peer = (struct fuzz_peer){.base = (uintptr_t)m.segment.header,
				       .bytes = PEAL_HEADER_BYTES + 2 * capacity,
				       .claim = claim};
	while (fuzz_more())
		observe();
	fuzz_peer = (struct fuzz_peer){0};
	peal_segment_unmap(&m.segment);
}

void fuzz_segments(void)
{
	uint8_t how = fuzz_byte();
	enum peal_role role = how & 1 ? PEAL_ROLE_GUEST : PEAL_ROLE_HOST;
	bool ours = how & 2;
	struct fuzz_file file = fuzz_file(role, !ours);
	struct peal_segment_header header, before;
	int expected = fuzz_file_judge(&file, role, ours), rc;

	memset(&m, 0, sizeof(m));
	memset(&header, 0x5a, sizeof(header));
	before = header;
	rc = peal_segment_check(file.fd, role, ours, &header);
	FUZZ_CHECK(rc == expected, "%d (%s), expected %d", rc, rc < 0 ? peal_last_error() : "",
		   expected);
	if (rc == -EPROTONOSUPPORT)
		before.version = file.header.version;
	FUZZ_CHECK(memcmp(&header, rc == 0 ? &file.header : &before, sizeof(header)) == 0,
		   "the copy of the identity");
	if (rc == 0)
		use(&file, ours);
	fuzz_file_close(&file);
}
