/* SPDX-License-Identifier: MIT */
/* docs/moving.md: records through a pipe. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_all(int fd, const void *data, size_t size)
{
	const char *from = data;

	while (size > 0) {
		ssize_t n = write(fd, from, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		from += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int send_record(int fd, const void *data, uint32_t size)
{
	int rc = write_all(fd, &size, sizeof(size));

	return rc < 0 ? rc : write_all(fd, data, size);
}

static int read_all(int fd, void *data, size_t size)
{
	char *to = data;

	while (size > 0) {
		ssize_t n = read(fd, to, size);

		if (n == 0)
			return -EPIPE; /* or half a record */
		if (n < 0 && errno != EINTR)
			return -errno;
		to += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int64_t receive(int fd, void *data, size_t most)
{
	uint32_t size;
	int rc = read_all(fd, &size, sizeof(size));

	if (rc == 0 && size > most)
		rc = -EMSGSIZE; /* and now? */
	if (rc == 0)
		rc = read_all(fd, data, size);
	return rc < 0 ? rc : (int64_t)size;
}

static int child(int fd)
{
	char text[64];
	int64_t n;

	while ((n = receive(fd, text, sizeof(text))) >= 0)
		printf("%.*s ", (int)n, text);
	puts("end");
	return fflush(stdout);
}

static int parent(void)
{
	const char *texts[] = {"one", "two", "three"};
	int ends[2], rc = 0;

	signal(SIGPIPE, SIG_IGN);
	if (pipe(ends) < 0)
		return 1;
	if (fork() == 0) {
		close(ends[1]); /* else the end never comes */
		_exit(child(ends[0]));
	}
	close(ends[0]);
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = send_record(ends[1], texts[i],
				 (uint32_t)strlen(texts[i]));
	close(ends[1]);
	wait(NULL);
	return rc < 0;
}

int main(void)
{
	return parent();
}
