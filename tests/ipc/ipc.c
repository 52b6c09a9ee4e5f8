/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ipc/ipc.h"

/* One step of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t scramble(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t stream_random(uint64_t *state)
{
	return scramble((*state)++);
}

size_t stream_size(uint64_t i, size_t max)
{
	return scramble(i) % (max + 1);
}

void stream_fill(unsigned char *data, size_t size, uint64_t i)
{
	uint64_t word = scramble(~i);

	while (size >= sizeof(word)) {
		memcpy(data, &word, sizeof(word));
		data += sizeof(word);
		size -= sizeof(word);
		word += 0x0101010101010101u;
	}
	memcpy(data, &word, size);
}

bool stream_is(const unsigned char *data, size_t size, uint64_t i)
{
	uint64_t word = scramble(~i), seen;

	while (size >= sizeof(word)) {
		memcpy(&seen, data, sizeof(seen));
		if (seen != word)
			return false;
		data += sizeof(word);
		size -= sizeof(word);
		word += 0x0101010101010101u;
	}
	return memcmp(data, &word, size) == 0;
}

int stream_send(struct peal_producer *tx, uint64_t from, uint64_t to, size_t max,
		unsigned int batch)
{
	for (uint64_t i = from; i < to; i++) {
		size_t size = stream_size(i, max);
		void *payload;
		int rc = peal_reserve_wait(tx, size, &payload, PEAL_FOREVER);

		if (rc < 0)
			return rc;
		stream_fill(payload, size, i);
		if (batch > 1 && i % batch != 0)
			rc = peal_stage(tx, size, (uint16_t)i);
		else
			rc = peal_commit(tx, size, (uint16_t)i);
		if (rc < 0)
			return rc;
	}
	return peal_publish(tx);
}

int stream_receive(struct peal_consumer *rx, uint64_t from, uint64_t to, size_t max,
		   uint64_t pause_every)
{
	const struct timespec little = {.tv_nsec = 200000};
	struct peal_record record;

	for (uint64_t i = from; i < to; i++) {
		int rc = peal_next_wait(rx, &record, PEAL_FOREVER);

		if (rc < 0)
			return rc;
		if (record.size != stream_size(i, max) || record.type != (uint16_t)i ||
		    !stream_is(record.data, record.size, i))
			return -EBADMSG;
		rc = peal_release(rx);
		if (rc < 0)
			return rc;
		if (pause_every && i % pause_every == 0)
			nanosleep(&little, NULL);
	}
	return 0;
}
