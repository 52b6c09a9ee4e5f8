/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <peal/peal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints "through exec". One descriptor lives through one exec, and
 * no other thread's child ever has it. */
int main(void)
{
	int ends[2];
	char text[32], script[32];
	ssize_t size;

	if (pipe2(ends, O_CLOEXEC) < 0 ||
	    peal_fd_validate(ends[1]) < 0)
		return puts(peal_last_error()), 1;
	snprintf(script, sizeof(script), "echo through exec >&%d",
		 ends[1]);
	if (fork() == 0) {
		if (peal_fd_clear_cloexec(ends[1]) == 0)
			execlp("sh", "sh", "-c", script,
			       (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	size = read(ends[0], text, sizeof(text));
	if (size > 0)
		printf("%.*s", (int)size, text);
	close(ends[0]);
	wait(NULL);
	return 0;
}
