/* SPDX-License-Identifier: MIT */
/*
 * entry.c - one target as a program for libFuzzer, and for AFL++ by its driver of the same name.
 * FUZZ_TARGET is the name of the target.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct fuzz_target *target = fuzz_targets;

	while (strcmp(target->name, FUZZ_TARGET) != 0)
		target++;
	fuzz_run(target, data, size);
	return 0;
}
