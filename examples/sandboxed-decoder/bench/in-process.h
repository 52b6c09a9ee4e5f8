/* SPDX-License-Identifier: MIT */
#ifndef IN_PROCESS_H
#define IN_PROCESS_H

#include <stdint.h>

/* What one run made: of each file that was decoded, one and its CRC-32. */
struct in_process {
	uint64_t decoded, sum;
};

#define IN_PROCESS_THREADS_MAX 64
#define IN_PROCESS_GO          "--go"
#define IN_PROCESS_DONE        "--done"

#endif
