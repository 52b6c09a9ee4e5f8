/* SPDX-License-Identifier: MIT */
/*
 * each_room.h - include the file named by BENCH_EACH_ROOM once per capacity, as BENCH_ROOM.
 *
 * For queues whose capacity, too, is known when they are compiled: within the L1 and L2 caches of
 * today's cores, about the size of L2, and well beyond. No include guard: this is a loop.
 */
#define BENCH_ROOM 65536
#include BENCH_EACH_ROOM
#undef BENCH_ROOM
#define BENCH_ROOM 262144
#include BENCH_EACH_ROOM
#undef BENCH_ROOM
#define BENCH_ROOM 1048576
#include BENCH_EACH_ROOM
#undef BENCH_ROOM
#define BENCH_ROOM 16777216
#include BENCH_EACH_ROOM
#undef BENCH_ROOM
