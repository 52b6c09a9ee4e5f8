/* SPDX-License-Identifier: MIT */
/*
 * fd.h - descriptors: born close-on-exec, numbered 3 or more, closed on every path.
 */
#ifndef PEAL_BASE_FD_H
#define PEAL_BASE_FD_H

#include <stdbool.h>

/* The lowest number we use: a process started with standard input closed gets 0 from the kernel,
 * and a plugin that prints would then write into a doorbell. */
#define PEAL_FD_MIN 3

/*
 * peal_fd_move_up_take() - the same open file at a number of at least PEAL_FD_MIN
 *
 * Takes @fd: it is closed, or is the result. A negative @fd is returned as -errno, so that the
 * call that made it can stand inside.
 *
 * Return: a close-on-exec descriptor or a negative errno.
 */
int peal_fd_move_up_take(int fd);

/* peal_fd_close() - close if it is one, and forget it. Leaves errno alone. */
void peal_fd_close(int *fd);

/* For `cleanup`: a local descriptor that is closed on every way out, unless taken with
 * peal_fd_steal(). */
#define PEAL_FD_AUTO __attribute__((cleanup(peal_fd_close))) int

/* peal_fd_steal() - hand out the descriptor and leave -1 behind. */
static inline int peal_fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/*
 * peal_fd_parse() - a descriptor number from text, strictly
 * @arg: the argument's name, for the error sentence
 * @text: decimal digits and nothing else
 * @fd: the number; it is >= 3 and open
 *
 * Return: 0; -EINVAL for no number or one below 3; -ERANGE if it is too large; -EBADF if not open.
 */
int peal_fd_parse(const char *arg, const char *text, int *fd);

/*
 * peal_fd_is_anon() - is @fd the anonymous-inode file called @kind ("[eventfd]")?
 *
 * Asks /proc/self/fd; where that is not mounted, any file without a type passes, because there is
 * no harmless way left to tell these kinds apart.
 */
bool peal_fd_is_anon(int fd, const char *kind);

#endif
