/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

int peal_options_copy(void *options, size_t known, size_t first, const void *given)
{
	const unsigned char *bytes = given;
	size_t size = 0;

	if (given) {
		memcpy(&size, given, sizeof(size));
		if (size < first || size > PEAL_OPTIONS_SIZE_MAX)
			return peal_fail(
				EINVAL,
				"the options' size is %zu; expected sizeof of the struct, %zu",
				size, known);
	}
	for (size_t i = known; i < size; i++)
		if (bytes[i] != 0)
			return peal_fail(
				EINVAL,
				"the options set something at byte %zu, but this version of "
				"the library knows only %zu bytes",
				i, known);
	memset(options, 0, known);
	if (given)
		memcpy(options, given, min_size(size, known));
	memcpy(options, &known, sizeof(known));
	return 0;
}
