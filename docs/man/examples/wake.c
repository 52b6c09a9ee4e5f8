/* SPDX-License-Identifier: MIT */
#include <peal/doorbell.h>
#include <stdio.h>

/* Prints "3, then 0". */
int main(void)
{
	struct peal_wake_pair pair;

	if (peal_wake_pair_create(&pair) < 0)
		return puts(peal_last_error()), 1;
	for (int i = 0; i < 3; i++)
		peal_wake_notify(
			pair.consumer_wake); /* the producer: data */
	printf("%d, then ",
	       (int)peal_wake_try_read(pair.consumer_wake));
	printf("%d\n", (int)peal_wake_try_read(pair.consumer_wake));
	peal_wake_pair_close(&pair);
	return 0;
}
