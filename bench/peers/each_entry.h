/* SPDX-License-Identifier: MIT */
/* each_entry.h - one line of sized_all, the table of instances. No include guard: see each_size.h. */
&BENCH_INSTANCE,
