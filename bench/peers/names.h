/* SPDX-License-Identifier: MIT */
/*
 * names.h - names that tell the instances of one file apart (each_size.h).
 *
 * C++ wraps an instance in a namespace. C has none, so there every name that loops.h and its
 * adapter define gets the size appended: define BENCH_RENAME before including this.
 */
#ifndef PEAL_BENCH_NAMES_H
#define PEAL_BENCH_NAMES_H

#define BENCH_JOIN_NOW(a, b) a##_##b
#define BENCH_JOIN(a, b)     BENCH_JOIN_NOW(a, b)
#define BENCH_NAME(name)     BENCH_JOIN(name, BENCH_SIZE)

#ifdef BENCH_RENAME
#define tx               BENCH_NAME(tx)
#define rx               BENCH_NAME(rx)
#define tx_begin         BENCH_NAME(tx_begin)
#define tx_end           BENCH_NAME(tx_end)
#define tx_flush         BENCH_NAME(tx_flush)
#define rx_begin         BENCH_NAME(rx_begin)
#define rx_end           BENCH_NAME(rx_end)
#define rx_flush         BENCH_NAME(rx_flush)
#define bench_tx         BENCH_NAME(bench_tx)
#define bench_rx         BENCH_NAME(bench_rx)
#define bench_die        BENCH_NAME(bench_die)
#define bench_fill       BENCH_NAME(bench_fill)
#define bench_is         BENCH_NAME(bench_is)
#define bench_chunk      BENCH_NAME(bench_chunk)
#define bench_send       BENCH_NAME(bench_send)
#define bench_stop       BENCH_NAME(bench_stop)
#define bench_produce    BENCH_NAME(bench_produce)
#define bench_consume    BENCH_NAME(bench_consume)
#define bench_produce_sized BENCH_NAME(bench_produce_sized)
#define bench_consume_sized BENCH_NAME(bench_consume_sized)
#define bench_ping       BENCH_NAME(bench_ping)
#define bench_pong       BENCH_NAME(bench_pong)
#define bench_wait_until BENCH_NAME(bench_wait_until)
#define bench_pace       BENCH_NAME(bench_pace)
#define bench_bucket     BENCH_NAME(bench_bucket)
#define bench_take_ages  BENCH_NAME(bench_take_ages)
#define bench_first      BENCH_NAME(bench_first)
#define bench_second     BENCH_NAME(bench_second)
#endif

#endif
