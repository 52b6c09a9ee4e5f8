/* SPDX-License-Identifier: MIT */
/* each_entry.h - one line of sized_all, the table of instances. A loop, like each_size.h. */
&BENCH_INSTANCE,
