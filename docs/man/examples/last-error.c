/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "descriptor 1 is below 3, where the standard streams are".
 * Standard output is not to be handed over. */
int main(void)
{
	if (peal_fd_validate(1) == -EINVAL)
		puts(peal_last_error());
	return 0;
}
