/* SPDX-License-Identifier: MIT */
/*
 * loops.h - the loops that measure, compiled into each adapter. C and C++.
 *
 * Before including this, an adapter defines `struct tx` and `struct rx`, the two ends of one ring,
 * and these static inline functions. All wait as run->control->config.wait says; none fails, for a
 * failure here means that the run is void: call bench_die().
 *
 *      struct tx *bench_tx(struct bench_run *run)      this process's sending end
 *      struct rx *bench_rx(struct bench_run *run)      this process's receiving end
 *      void *tx_begin(struct tx *, size_t size)        memory for one message: in the ring where
 *                                                      the ring can do that, else a local buffer
 *      void tx_end(struct tx *, size_t size)           hand it over, or stage it (BENCH_BATCH)
 *      void tx_flush(struct tx *)                      hand over what is staged
 *      const void *rx_begin(struct rx *, size_t *size) the next message; who finds none gives back
 *                                                      what he holds before he waits
 *      void rx_end(struct rx *)                        give it back, or hold it (BENCH_BATCH)
 *      void rx_flush(struct rx *)                      give back what is held
 *
 * The payload: word i of message n is n + i. The first word is the message's number or, when paced,
 * the time when it should have been sent; the receiver sums up all words. So every byte is written
 * by the one and read by the other, and a lost, doubled, torn or stale message is found.
 */
#ifndef PEAL_BENCH_LOOPS_H
#define PEAL_BENCH_LOOPS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapter.h"

/* The number of the message that ends the stream. */
#define BENCH_END UINT64_MAX

static inline void bench_die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	_Exit(70);
}

static inline void bench_fill(void *payload, size_t size, uint64_t number, bool touch)
{
	uint64_t *words = (uint64_t *)payload;
	size_t count = touch ? size / sizeof(*words) : 1;

	for (size_t i = 0; i < count; i++)
		words[i] = number + i;
}

/* Is it message @number? Reads all of it, whatever it finds. */
static inline bool bench_is(const void *payload, size_t size, uint64_t number, bool touch)
{
	const uint64_t *words = (const uint64_t *)payload;
	size_t count = touch ? size / sizeof(*words) : 1;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += words[i];
	return sum == count * number + count * (count - 1) / 2;
}

/* Messages between two looks at the clock: a fraction of a millisecond. */
static inline uint64_t bench_chunk(const struct bench_config *config)
{
	uint64_t chunk = (UINT64_C(1) << 20) / (config->payload + 64);
	uint64_t batch = config->batch ? config->batch : 1;

	return (chunk / batch + 1) * batch;
}

static inline void bench_send(struct tx *tx, size_t size, uint64_t number, bool touch)
{
	bench_fill(tx_begin(tx, size), size, number, touch);
	tx_end(tx, size);
}

static inline void bench_stop(struct tx *tx, size_t size)
{
	bench_fill(tx_begin(tx, size), sizeof(uint64_t), BENCH_END, true);
	tx_end(tx, size);
	tx_flush(tx);
}

static inline __attribute__((always_inline)) void bench_produce_sized(struct bench_run *run,
								      const size_t size)
{
	const struct bench_config config = run->control->config;
	const uint64_t chunk = bench_chunk(&config), batch = config.batch ? config.batch : 1;
	const uint64_t stop_ns = bench_now_ns() + config.duration_ns;
	const bool batched = config.kind == BENCH_BATCH;
	struct tx *tx = bench_tx(run);
	uint64_t number = 0;

	do {
		for (uint64_t i = 0; i < chunk; i += batch) {
			for (uint64_t j = 0; j < batch; j++)
				bench_send(tx, size, number++, config.touch);
			if (batched)
				tx_flush(tx);
		}
	} while (bench_now_ns() < stop_ns);
	bench_stop(tx, size);
	run->control->first.messages = number;
}

static inline __attribute__((always_inline)) void bench_consume_sized(struct bench_run *run,
								      const size_t expected)
{
	const struct bench_config config = run->control->config;
	struct rx *rx = bench_rx(run);
	uint64_t number = 0, wrong = 0, held = 0;

	for (;;) {
		size_t size = 0;
		const void *payload = rx_begin(rx, &size);
		bool right = size == expected && bench_is(payload, expected, number, config.touch);

		if (!right) {
			bool end = *(const uint64_t *)payload == BENCH_END;

			rx_end(rx);
			rx_flush(rx);
			if (end)
				break;
			wrong++;
		} else {
			rx_end(rx);
		}
		number++;
		if (config.kind == BENCH_BATCH && ++held == config.batch) {
			rx_flush(rx);
			held = 0;
		}
	}
	run->control->second.messages = number;
	run->control->second.wrong = wrong;
}

/* A user's records are structs: of small ones the compiler knows the size, and what filling and
 * reading them costs should not hide what the rings cost. */
static void bench_produce(struct bench_run *run)
{
	const size_t size = run->control->config.payload;

	switch (size) {
	case 8:
		bench_produce_sized(run, 8);
		break;
	case 64:
		bench_produce_sized(run, 64);
		break;
	default:
		bench_produce_sized(run, size);
	}
}

static void bench_consume(struct bench_run *run)
{
	const size_t size = run->control->config.payload;

	switch (size) {
	case 8:
		bench_consume_sized(run, 8);
		break;
	case 64:
		bench_consume_sized(run, 64);
		break;
	default:
		bench_consume_sized(run, size);
	}
}

static void bench_ping(struct bench_run *run)
{
	const struct bench_config config = run->control->config;
	const uint64_t stop_ns = bench_now_ns() + config.duration_ns;
	struct tx *tx = bench_tx(run);
	struct rx *rx = bench_rx(run);
	uint64_t number = 0, wrong = 0;

	do {
		for (int i = 0; i < 64; i++, number++) {
			size_t size = 0;
			const void *payload;

			bench_send(tx, config.payload, number, config.touch);
			tx_flush(tx);
			payload = rx_begin(rx, &size);
			wrong += size != config.payload ||
				 !bench_is(payload, config.payload, number, config.touch);
			rx_end(rx);
			rx_flush(rx);
		}
	} while (bench_now_ns() < stop_ns);
	bench_stop(tx, config.payload);
	run->control->first.messages = number;
	run->control->first.wrong = wrong;
}

static void bench_pong(struct bench_run *run)
{
	const struct bench_config config = run->control->config;
	struct tx *tx = bench_tx(run);
	struct rx *rx = bench_rx(run);
	uint64_t number = 0, wrong = 0;

	for (;; number++) {
		size_t size = 0;
		const void *payload = rx_begin(rx, &size);
		bool end = *(const uint64_t *)payload == BENCH_END;

		wrong += !end && (size != config.payload ||
				  !bench_is(payload, config.payload, number, config.touch));
		rx_end(rx);
		rx_flush(rx);
		if (end)
			break;
		bench_send(tx, config.payload, number, config.touch);
		tx_flush(tx);
	}
	run->control->second.messages = number;
	run->control->second.wrong = wrong;
}

/* Sleep until shortly before, then spin: the sender's own oversleeping is not to be measured. */
static inline void bench_wait_until(uint64_t ns)
{
	const uint64_t margin_ns = 100000;
	uint64_t now = bench_now_ns();

	if (ns > now + 2 * margin_ns) {
		uint64_t until = ns - margin_ns;
		struct timespec at;

		at.tv_sec = (time_t)(until / 1000000000);
		at.tv_nsec = (long)(until % 1000000000);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
	while (bench_now_ns() < ns)
		;
}

/* Open loop: the times are fixed beforehand, and a message that goes out late is late for all who
 * wait behind it. Its age counts from when it should have gone. */
static void bench_pace(struct bench_run *run)
{
	const struct bench_config config = run->control->config;
	const uint64_t begin_ns = bench_now_ns();
	struct tx *tx = bench_tx(run);
	uint64_t count = config.duration_ns / config.interval_ns;

	if (count == 0)
		count = 1;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t due_ns = begin_ns + (i + 1) * config.interval_ns;

		bench_wait_until(due_ns);
		bench_send(tx, config.payload, due_ns, config.touch);
		tx_flush(tx);
	}
	bench_stop(tx, config.payload);
	run->control->first.messages = count;
}

/* Position of an age in bench_control.ages; bench_age_of() in the harness is its inverse. */
static inline unsigned int bench_bucket(uint64_t ns)
{
	unsigned int power;

	if (ns < BENCH_STEPS)
		return (unsigned int)ns;
	power = 63 - (unsigned int)__builtin_clzll(ns);
	return (power - 4) * BENCH_STEPS + (unsigned int)((ns >> (power - 5)) & (BENCH_STEPS - 1));
}

static void bench_take_ages(struct bench_run *run)
{
	const struct bench_config config = run->control->config;
	struct rx *rx = bench_rx(run);
	uint64_t count = 0, wrong = 0, last = 0;

	for (;;) {
		size_t size = 0;
		const void *payload = rx_begin(rx, &size);
		uint64_t now = bench_now_ns(), due = *(const uint64_t *)payload;

		wrong += due != BENCH_END && (!bench_is(payload, size, due, config.touch) ||
					      (count > 0 && due != last + config.interval_ns));
		last = due;
		rx_end(rx);
		rx_flush(rx);
		if (due == BENCH_END)
			break;
		run->control->ages[bench_bucket(now > due ? now - due : 0)]++;
		count++;
	}
	run->control->second.messages = count;
	run->control->second.wrong = wrong;
}

static void bench_first(struct bench_run *run)
{
	switch (run->control->config.kind) {
	case BENCH_RTT:
		bench_ping(run);
		break;
	case BENCH_PACED:
		bench_pace(run);
		break;
	default:
		bench_produce(run);
	}
}

static void bench_second(struct bench_run *run)
{
	switch (run->control->config.kind) {
	case BENCH_RTT:
		bench_pong(run);
		break;
	case BENCH_PACED:
		bench_take_ages(run);
		break;
	default:
		bench_consume(run);
	}
}

#endif
