/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BENCH_FORMAT_H
#define PEAL_BENCH_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* All return @text. */

/* "17.1 M/s", "1.24 us", "3.00"; @unit as in bench_result. */
char *bench_format_value(char *text, size_t size, double value, const char *unit);

/* "64 B", "4 KiB". */
char *bench_format_bytes(char *text, size_t size, uint64_t bytes);

#endif
