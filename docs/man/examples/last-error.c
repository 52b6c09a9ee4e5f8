/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "--doorbell-fd: '12x' is not a descriptor number (decimal digits only)". */
int main(void)
{
	struct peal_doorbell_handle handle;

	if (peal_doorbell_handle_from_arg(&handle, "12x") ==
	    -EINVAL)
		puts(peal_last_error());
	return 0;
}
