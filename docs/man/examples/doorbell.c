/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/doorbell.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints "rung, then -EPIPE". */
static int child(struct peal_doorbell_handle handle)
{
	struct peal_doorbell bell;

	if (peal_doorbell_from_handle(&bell, handle) < 0)
		return 1;
	peal_doorbell_signal(&bell);
	peal_doorbell_close(&bell);
	return 0;
}

int main(void)
{
	struct peal_doorbell_handle handle;
	struct peal_doorbell bell;

	if (peal_doorbell_create(&bell, &handle) < 0)
		return puts(peal_last_error()), 1;
	if (fork() == 0) {
		/* The child's copy of our end. */
		peal_doorbell_close(&bell);
		return child(handle);
	}
	/* Else no hang-up comes. */
	peal_doorbell_handle_close(&handle);
	if (peal_doorbell_wait(&bell, PEAL_FOREVER) == 0)
		printf("rung, ");
	peal_doorbell_drain(&bell);
	if (peal_doorbell_wait(&bell, PEAL_FOREVER) == -EPIPE)
		puts("then -EPIPE");
	peal_doorbell_close(&bell);
	wait(NULL);
	return 0;
}
