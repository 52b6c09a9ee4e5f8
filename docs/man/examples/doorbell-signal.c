/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/doorbell.h>
#include <stdio.h>

/* Prints "3 pending; rung; 0 pending; peer dead". */
int main(void)
{
	struct peal_doorbell_handle handle;
	struct peal_doorbell near, far;
	int found;

	if (peal_doorbell_create(&near, &handle) < 0 ||
	    peal_doorbell_from_handle(&far, handle) < 0)
		return puts(peal_last_error()), 1;
	for (int i = 0; i < 3; i++)
		peal_doorbell_signal(&far);
	printf("%d pending; ", (int)peal_doorbell_pending(&near));
	if (peal_doorbell_wait(&near, PEAL_FOREVER) == 0)
		found = peal_doorbell_drain(
			&near); /* all, in one read */
	else
		found = 0;
	printf("%s; ", found & PEAL_DRAIN_RUNG ? "rung" : "silent");
	printf("%d pending; ", (int)peal_doorbell_pending(&near));
	peal_doorbell_close(&far);
	if (peal_doorbell_signal(&near) == PEAL_SIGNAL_PEER_DEAD &&
	    peal_doorbell_is_dead(&near))
		puts("peer dead");
	peal_doorbell_close(&near);
	return 0;
}
