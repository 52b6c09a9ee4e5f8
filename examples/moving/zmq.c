/* SPDX-License-Identifier: MIT */
/* docs/moving.md: two workers behind ZeroMQ sockets. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define WORKERS 2

static void address(char *text, size_t size, pid_t pid, int n)
{
	snprintf(text, size, "ipc://@peal-%d-%d", (int)pid, n);
}

static int worker(const char *where)
{
	void *context = zmq_ctx_new();
	void *socket = zmq_socket(context, ZMQ_PAIR);
	int n;

	zmq_connect(socket, where);
	if (zmq_recv(socket, &n, sizeof(n), 0) != sizeof(n))
		return 1;
	n *= n;
	zmq_send(socket, &n, sizeof(n), 0);
	zmq_close(socket); /* lingers until it is sent */
	return zmq_ctx_term(context);
}

/* Answers from whoever has one. */
static int collect(void **sockets)
{
	zmq_pollitem_t items[WORKERS] = {0};
	int n, sum = 0;

	for (int i = 0; i < WORKERS; i++) {
		items[i].socket = sockets[i];
		items[i].events = ZMQ_POLLIN;
	}
	for (int left = WORKERS; left > 0;) {
		/* A worker that has died says nothing. */
		if (zmq_poll(items, WORKERS, -1) < 0)
			return -1;
		for (int i = 0; i < WORKERS; i++) {
			if (!(items[i].revents & ZMQ_POLLIN))
				continue;
			zmq_recv(sockets[i], &n, sizeof(n), 0);
			sum += n;
			left--;
		}
	}
	return sum;
}

int main(void)
{
	void *sockets[WORKERS], *context;
	const pid_t parent = getpid();
	char where[WORKERS][64];
	int n;

	/* Before there are threads, of which ZeroMQ has some. */
	for (int i = 0; i < WORKERS; i++) {
		address(where[i], sizeof(where[i]), parent, i);
		if (fork() == 0)
			_exit(worker(where[i]));
	}
	context = zmq_ctx_new();
	for (int i = 0; i < WORKERS; i++) {
		sockets[i] = zmq_socket(context, ZMQ_PAIR);
		zmq_bind(sockets[i], where[i]);
		n = i + 2;
		zmq_send(sockets[i], &n, sizeof(n), 0);
	}
	printf("%d\n", collect(sockets));
	for (int i = 0; i < WORKERS; i++) {
		zmq_close(sockets[i]);
		wait(NULL);
	}
	zmq_ctx_term(context);
	return 0;
}
