/* SPDX-License-Identifier: MIT */
/*
 * ipc.h - what the tests with two real processes share: the configurations that every promise is
 * checked in, and the records that both sides know how to make and to check.
 */
#ifndef PEAL_TESTS_IPC_H
#define PEAL_TESTS_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peal/peal.h>

/* Loop index -> configuration: both doorbells, both barrier modes, both alignments. */
#define CONFIGS 8

static inline struct peal_channel_options config(int index, uint64_t to_guest, uint64_t to_host)
{
	return (struct peal_channel_options){
		.size = sizeof(struct peal_channel_options),
		.to_guest = to_guest,
		.to_host = to_host,
		.doorbell = index & 1 ? PEAL_DOORBELL_EVENTFD : PEAL_DOORBELL_SOCKET,
		.flags = index & 2 ? PEAL_CHANNEL_NO_MEMBARRIER : 0,
		.align = index & 4 ? 64 : 8,
		.name = "test",
	};
}

/* Numbers that follow from @state alone. */
uint64_t stream_random(uint64_t *state);

/* Record number @i of a stream: its size, type and every byte follow from @i. */
size_t stream_size(uint64_t i, size_t max);
void stream_fill(unsigned char *data, size_t size, uint64_t i);
bool stream_is(const unsigned char *data, size_t size, uint64_t i);

/* Send records @from … @to - 1, waiting for ever; in batches of @batch if that is over 1. */
int stream_send(struct peal_producer *tx, uint64_t from, uint64_t to, size_t max,
		unsigned int batch);

/* Receive and check them. 0, or a negative errno: -EBADMSG for a record that is not the right one.
 * @pause_every: sleep a little after so many; 0: never. */
int stream_receive(struct peal_consumer *rx, uint64_t from, uint64_t to, size_t max,
		   uint64_t pause_every);

#endif
