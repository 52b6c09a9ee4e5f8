/* SPDX-License-Identifier: MIT */
/*
 * guest.c - a guest of the soak test: sends in one thread, receives in another, and keeps account of
 * both where the host can read it after its death.
 *
 * usage: soak-guest LEDGER-FD PLACE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "soak/soak.h"

static struct peal_channel *channel;
static struct ledger *ledger;

/* Relaxed: read when this process is dead. */
static void note(uint64_t *figure, uint64_t value)
{
	__atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

/* After some bursts, so that both sides have reason to sleep. */
static void dawdle(uint64_t *dice)
{
	uint64_t throw = stream_random(dice);

	if (ledger->pause_us > 0 && throw % 16 == 0)
		nanosleep(
			&(struct timespec){.tv_nsec = (long)(throw / 16 % ledger->pause_us) * 1000},
			NULL);
}

static int send_all(void)
{
	struct peal_producer *tx = peal_tx(channel);
	uint64_t dice = ledger->key;
	void *payload;
	int rc = 0;

	for (uint64_t i = 0; i < ledger->count && rc == 0; i++) {
		size_t size = record_size(ledger, TO_HOST, i);

		rc = peal_reserve_wait(tx, size, &payload, PEAL_FOREVER);
		if (rc < 0)
			return rc;
		stream_fill(payload, size, record_id(ledger, TO_HOST, i));
		note(&ledger->begun, i + 1);
		if ((i + 1) % ledger->batch != 0) {
			rc = peal_stage(tx, size, (uint16_t)i);
			continue;
		}
		rc = peal_commit(tx, size, (uint16_t)i);
		note(&ledger->done, i + 1); /* also when nobody is left to wake */
		dawdle(&dice);
	}
	if (rc < 0)
		return rc;
	rc = peal_publish(tx);
	note(&ledger->done, ledger->count);
	return rc;
}

/* Some at once, then give their room back together. */
static int receive_some(struct peal_consumer *rx, uint64_t *received)
{
	struct peal_record record;
	uint64_t end = *received + ledger->batch;
	int rc = peal_next_wait(rx, &record, PEAL_FOREVER);

	while (rc == 1) {
		if (!record_is(&record, ledger, TO_GUEST, *received)) {
			note(&ledger->wrong, *received + 1);
			return -EBADMSG;
		}
		++*received;
		rc = *received < end ? peal_next(rx, &record) : 0;
	}
	/* The end that was found behind a record is found again by the next wait. */
	if (rc < 0 && *received == end - ledger->batch)
		return rc;
	rc = peal_release(rx);
	note(&ledger->received, *received);
	return rc;
}

static void *receive_all(void *unused)
{
	uint64_t dice = ~ledger->key, received = 0;
	int rc = 0;

	(void)unused;
	while (rc == 0) {
		rc = receive_some(peal_rx(channel), &received);
		dawdle(&dice);
	}
	/* The host is gone, and nobody will miss what is still being sent. */
	_exit(rc == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int run(void)
{
	pthread_t receiver;
	int rc = 0;

	if (!peal_tx(channel))
		receive_all(NULL);
	if (peal_rx(channel) && pthread_create(&receiver, NULL, receive_all, NULL) != 0)
		return EXIT_FAILURE;
	rc = send_all();
	if (rc == -EPIPE && peal_rx(channel))
		pthread_join(receiver, NULL); /* it ends the process */
	if (rc < 0)
		return rc == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE;
	if (ledger->closes && !peal_rx(channel))
		peal_channel_close(channel);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct peal_attach_options options = {.size = sizeof(options)};
	int fd;

	if (argc < 3)
		return EXIT_FAILURE;
	fd = atoi(argv[1]);
	ledger = mmap(NULL, (size_t)(atoi(argv[2]) + 1) * sizeof(*ledger), PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		return EXIT_FAILURE;
	close(fd);
	ledger += atoi(argv[2]);
	options.flags = ledger->attach_flags;
	if (peal_attach_args(&channel, &argc, argv, &options) < 0) {
		fprintf(stderr, "soak-guest: %s\n", peal_last_error());
		return EXIT_FAILURE;
	}
	/* Not exit(): that would wait for nobody, but run what the receiver may still use. */
	_exit(run());
}
