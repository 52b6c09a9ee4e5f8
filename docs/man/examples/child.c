/* SPDX-License-Identifier: MIT */
#include <peal/peal.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Prints "exited with 3; was killed by signal 9 (Killed)". */
int main(void)
{
	char *quick[] = {"sh", "-c", "exit 3", NULL};
	char *slow[] = {"sleep", "1000", NULL};
	struct peal_child_status status;
	struct peal_child *child;
	char text[256];

	if (peal_spawn_fds(&child, quick, NULL, 0, NULL) < 0 ||
	    peal_child_wait(child, PEAL_FOREVER, &status) < 0)
		return puts(peal_last_error()), 1;
	if (status.state == PEAL_CHILD_EXITED)
		printf("exited with %d; ", status.value);
	peal_child_free(child);

	if (peal_spawn_fds(&child, slow, NULL, 0, NULL) < 0 ||
	    peal_child_kill(child, SIGKILL) < 0 ||
	    peal_child_wait(child, PEAL_FOREVER, NULL) < 0)
		return puts(peal_last_error()), 1;
	peal_child_describe(child, text, sizeof(text));
	puts(strstr(text, "was"));
	peal_child_free(child);
	return 0;
}
