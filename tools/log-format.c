/* SPDX-License-Identifier: MIT */
/*
 * log-format.c - the bytes of a recording; docs/recording.md is the table of them.
 */
#include <string.h>

#include "log.h"

static const uint8_t file_magic[8] = "PEALREC\n";
static const uint8_t block_magic[4] = "PBLK";

static void put(uint8_t *at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

void log_put_file_header(uint8_t header[LOG_FILE_HEADER], uint64_t id)
{
	memset(header, 0, LOG_FILE_HEADER);
	memcpy(header, file_magic, sizeof(file_magic));
	put(header + 8, LOG_VERSION, 4);
	put(header + 12, LOG_FILE_HEADER, 4);
	put(header + 16, id, 8);
	put(header + 28, log_crc(0, header, 28), 4);
}

const char *log_get_file_header(const uint8_t header[LOG_FILE_HEADER], uint64_t *id)
{
	if (memcmp(header, file_magic, sizeof(file_magic)) != 0)
		return "no recording: it does not begin with PEALREC";
	if (get(header + 28, 4) != log_crc(0, header, 28))
		return "a recording whose header is damaged";
	if (get(header + 8, 4) != LOG_VERSION || get(header + 12, 4) != LOG_FILE_HEADER ||
	    get(header + 24, 4) != 0)
		return "a recording of a version that is not known here, where it is 1";
	*id = get(header + 16, 8);
	return NULL;
}

/* With the file's id before it, so that no block of another file is taken for one of this. */
static uint32_t header_crc(const uint8_t header[LOG_BLOCK_HEADER], uint64_t id)
{
	uint8_t bytes[8];

	put(bytes, id, 8);
	return log_crc(log_crc(0, bytes, sizeof(bytes)), header, 60);
}

void log_put_block(uint8_t header[LOG_BLOCK_HEADER], const struct log_block *block, uint64_t id)
{
	memset(header, 0, LOG_BLOCK_HEADER);
	memcpy(header, block_magic, sizeof(block_magic));
	put(header + 4, block->flags, 4);
	put(header + 8, block->sequence, 8);
	put(header + 16, block->time_ns, 8);
	put(header + 24, block->duration_ns, 8);
	put(header + 32, block->bytes, 8);
	put(header + 40, block->records, 4);
	put(header + 44, block->raw_size, 4);
	put(header + 48, block->stored_size, 4);
	put(header + 52, block->stored_crc, 4);
	put(header + 60, header_crc(header, id), 4);
}

/* A check sum is no proof of a writer that makes sense. */
static bool makes_sense(const struct log_block *block)
{
	if (block->flags & ~(uint32_t)(LOG_ZSTD | LOG_SESSION))
		return false;
	if (block->raw_size > LOG_RAW_MAX || block->stored_size > LOG_RAW_MAX ||
	    block->records == 0 || block->bytes > block->raw_size)
		return false;
	return block->flags & LOG_ZSTD || block->stored_size == block->raw_size;
}

const char *log_get_block(const uint8_t header[LOG_BLOCK_HEADER], uint64_t id,
			  struct log_block *block)
{
	if (memcmp(header, block_magic, sizeof(block_magic)) != 0)
		return "no block begins there";
	if (get(header + 60, 4) != header_crc(header, id))
		return "the check sum of the block's header is wrong";
	*block = (struct log_block){
		.flags = (uint32_t)get(header + 4, 4),
		.sequence = get(header + 8, 8),
		.time_ns = get(header + 16, 8),
		.duration_ns = get(header + 24, 8),
		.bytes = get(header + 32, 8),
		.records = (uint32_t)get(header + 40, 4),
		.raw_size = (uint32_t)get(header + 44, 4),
		.stored_size = (uint32_t)get(header + 48, 4),
		.stored_crc = (uint32_t)get(header + 52, 4),
	};
	return makes_sense(block) ? NULL : "the block's header makes no sense";
}

/* Seven bits a byte, low ones first; the top bit says that more follow. */
static size_t put_number(uint8_t *at, uint64_t value)
{
	size_t size = 0;

	for (; value > 127; value >>= 7)
		at[size++] = (uint8_t)(value | 128);
	at[size++] = (uint8_t)value;
	return size;
}

static bool get_number(const uint8_t *raw, size_t raw_size, size_t *at, uint64_t *value)
{
	uint64_t sum = 0;

	for (unsigned int shift = 0; shift < 64 && *at < raw_size; shift += 7) {
		uint8_t byte = raw[(*at)++];

		sum |= (uint64_t)(byte & 127) << shift;
		if (byte < 128) {
			*value = sum;
			return true;
		}
	}
	return false;
}

size_t log_put_head(uint8_t head[LOG_HEAD_MAX], uint64_t delta_ns, uint16_t type, uint32_t size)
{
	size_t length = put_number(head, delta_ns);

	length += put_number(head + length, type);
	return length + put_number(head + length, size);
}

bool log_get_record(const uint8_t *raw, size_t raw_size, size_t *at, uint64_t *time_ns,
		    struct log_record *record)
{
	uint64_t delta_ns, type, size;

	if (!get_number(raw, raw_size, at, &delta_ns) || !get_number(raw, raw_size, at, &type) ||
	    !get_number(raw, raw_size, at, &size))
		return false;
	if (type > UINT16_MAX || size > raw_size - *at ||
	    __builtin_add_overflow(*time_ns, delta_ns, time_ns))
		return false;
	*record = (struct log_record){
		.time_ns = *time_ns,
		.data = raw + *at,
		.size = (uint32_t)size,
		.type = (uint16_t)type,
	};
	*at += size;
	return true;
}
