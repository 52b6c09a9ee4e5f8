/* SPDX-License-Identifier: MIT */
/*
 * log-crc.c - CRC-32C, eight bytes a step: one table for each place that a byte can have in eight.
 */
#include <string.h>

#include "log.h"

/* Castagnoli's polynomial, bits reversed. */
#define POLYNOMIAL UINT32_C(0x82f63b78)

static uint32_t table[8][256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (int place = 1; place < 8; place++)
		for (int i = 0; i < 256; i++)
			table[place][i] =
				table[place - 1][i] >> 8 ^ table[0][table[place - 1][i] & 255];
}

static uint32_t eight(uint32_t crc, const uint8_t *data)
{
	crc ^= (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
	return table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^
	       table[4][crc >> 24] ^ table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^
	       table[0][data[7]];
}

uint32_t log_crc(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *byte = data;

	if (table[0][1] == 0)
		make_table();
	crc = ~crc;
	for (; size >= 8; size -= 8, byte += 8)
		crc = eight(crc, byte);
	for (; size > 0; size--, byte++)
		crc = crc >> 8 ^ table[0][(crc ^ *byte) & 255];
	return ~crc;
}
