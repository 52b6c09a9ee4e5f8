/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "faults/tell.h"

void tell(const char *format, ...)
{
	const char *path = getenv("PEAL_TALLY");
	FILE *file = path ? fopen(path, "ae") : NULL;
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%s\n", text);
	/* A test that fails ends without doing so. */
	fflush(stdout);
	if (!file)
		return;
	fprintf(file, "# faults: %s\n", text);
	fclose(file);
}

bool is_full(void)
{
	return getenv("PEAL_FAULTS_FULL") != NULL;
}
