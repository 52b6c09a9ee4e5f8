/* SPDX-License-Identifier: MIT */
#ifndef PEAL_BENCH_PEAL_H
#define PEAL_BENCH_PEAL_H

/* First argument of a peal-bench that is the guest of another one; hidden. */
#define BENCH_GUEST_ARG "--guest"

/* main() of such a guest. */
int bench_peal_guest(int argc, char **argv);

#endif
