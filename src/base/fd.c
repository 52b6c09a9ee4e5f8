/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <peal/base.h>

#include "base/error.h"
#include "base/fd.h"

int peal_fd_validate(int fd)
{
	if (fd < PEAL_FD_MIN)
		return peal_fail(EINVAL,
				 "descriptor %d is below %d, where the standard streams are", fd,
				 PEAL_FD_MIN);
	if (fcntl(fd, F_GETFD) < 0)
		return peal_fail(EBADF, "descriptor %d is not open", fd);
	return 0;
}

int peal_fd_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return peal_fail_errno("setting O_NONBLOCK");
	return 0;
}

int peal_fd_set_cloexec(int fd)
{
	/* FD_CLOEXEC is the only descriptor flag that there is. */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return peal_fail_errno("setting close-on-exec");
	return 0;
}

int peal_fd_clear_cloexec(int fd)
{
	/* Runs between fork and exec: no error sentence, which would be written into the parent. */
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

int peal_fd_move_up_take(int fd)
{
	int moved;

	if (fd < 0)
		return -errno;
	if (fd >= PEAL_FD_MIN)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, PEAL_FD_MIN);
	if (moved < 0)
		moved = -errno;
	close(fd);
	return moved;
}

void peal_fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int peal_fd_parse(const char *arg, const char *text, int *fd)
{
	long long value = 0;
	const char *digit;
	int rc;

	for (digit = text; *digit >= '0' && *digit <= '9'; digit++) {
		value = value * 10 + (*digit - '0');
		if (value > INT_MAX)
			return peal_fail(ERANGE, "%s: '%.32s' is too large for a descriptor", arg,
					 text);
	}
	if (digit == text || *digit != '\0')
		return peal_fail(EINVAL,
				 "%s: '%.32s' is not a descriptor number (decimal digits only)",
				 arg, text);
	if (value < PEAL_FD_MIN)
		return peal_fail(EINVAL, "%s: %lld is a standard stream; expected 3 or more", arg,
				 value);
	rc = peal_fd_validate((int)value);
	if (rc < 0)
		return peal_fail(-rc, "%s: descriptor %lld is not open", arg, value);
	*fd = (int)value;
	return 0;
}

bool peal_fd_is_anon(int fd, const char *kind)
{
	char path[32], target[64];
	struct stat st;
	ssize_t length;

	if (fstat(fd, &st) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return errno == ENOENT && (st.st_mode & S_IFMT) == 0;
	target[length] = '\0';
	return strncmp(target, "anon_inode:", 11) == 0 && strcmp(target + 11, kind) == 0;
}
