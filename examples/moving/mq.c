/* SPDX-License-Identifier: MIT */
/* docs/moving.md: a POSIX message queue. Ends with 77 where there are none. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { END = 0, TEXT = 1 };

static mqd_t make(const char *name)
{
	struct mq_attr attributes = {.mq_maxmsg = 10,
				     .mq_msgsize = 64};

	/* A name that others see, and that stays. */
	return mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600,
		       &attributes);
}

static ssize_t receive(mqd_t queue, char *text, size_t size,
		       unsigned int *type)
{
	struct timespec end;

	/* The wall clock, which somebody may set. */
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	/* The highest priority first; size >= mq_msgsize. */
	return mq_timedreceive(queue, text, size, type, &end);
}

static int child(mqd_t queue)
{
	unsigned int type = TEXT;
	char text[64];
	ssize_t n;

	/* Nobody tells us when the parent has died. */
	while (type == TEXT) {
		n = receive(queue, text, sizeof(text), &type);
		if (n < 0)
			return 1;
		printf("%.*s ", (int)n, text);
	}
	puts("");
	return fflush(stdout);
}

int main(void)
{
	const char *texts[] = {"one", "two", "three"};
	char name[32];
	mqd_t queue;

	snprintf(name, sizeof(name), "/peal-example-%d",
		 getpid());
	queue = make(name);
	if (queue < 0)
		return perror(name), 77;
	mq_unlink(name); /* the child inherits it */
	if (fork() == 0)
		_exit(child(queue));
	for (int i = 0; i < 3; i++)
		mq_send(queue, texts[i], strlen(texts[i]), TEXT);
	mq_send(queue, "end", 3, END);
	wait(NULL);
	return 0;
}
