/* SPDX-License-Identifier: MIT */
#include <peal/doorbell.h>
#include <peal/spawn.h>
#include <stdio.h>

/* Prints "rung by the guest". The number of the descriptor goes on
 * the guest's command line: --doorbell-fd=N. */
static int guest(const char *argument)
{
	struct peal_doorbell_handle handle;
	struct peal_doorbell bell;

	if (peal_doorbell_handle_from_arg(&handle, argument) < 0 ||
	    peal_doorbell_from_handle(&bell, handle) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()),
		       1;
	return peal_doorbell_signal(&bell) != PEAL_SIGNAL_SENT;
}

int main(int argc, char **argv)
{
	struct peal_doorbell_handle handle;
	struct peal_doorbell bell;
	struct peal_child *child;
	struct peal_spawn_fd fd = {.arg = PEAL_DOORBELL_ARG};

	if (argc > 1)
		return guest(argv[argc - 1]);
	if (peal_doorbell_create(&bell, &handle) < 0)
		return puts(peal_last_error()), 1;
	fd.fd = peal_doorbell_handle_to_fd(handle);
	if (peal_spawn_fds(&child, argv, &fd, 1, NULL) < 0)
		return puts(peal_last_error()), 1;
	peal_doorbell_handle_close(&handle);
	if (peal_doorbell_wait(&bell, PEAL_FOREVER) == 0)
		puts("rung by the guest");
	peal_doorbell_close(&bell);
	peal_child_free(child);
	return 0;
}
