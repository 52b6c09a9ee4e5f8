/* SPDX-License-Identifier: MIT */
/*
 * each_size.h - include the file named by BENCH_EACH once per size of element, as BENCH_SIZE.
 *
 * Queues that hand over values know their size when they are compiled. A message goes into the
 * smallest element that holds it; every size that the harness measures is there, so none pays for
 * bytes that it does not carry. No include guard: this is a loop.
 */
#define BENCH_SIZE 8
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 16
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 32
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 48
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 64
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 256
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 1024
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 4096
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 65536
#include BENCH_EACH
#undef BENCH_SIZE
#define BENCH_SIZE 1048576
#include BENCH_EACH
#undef BENCH_SIZE
