/* SPDX-License-Identifier: MIT */
/*
 * mq.c - POSIX message queues.
 *
 * Anybody may have 10 messages of 8 KiB (fs/mqueue/msg_max and msgsize_max), so larger ones are not
 * measured. Who may exceed it (CAP_SYS_RESOURCE) gets a queue as deep as the capacity asks for, by
 * a limit of this process alone. The sysctls of the machine are left as they are: a run that is
 * killed could not put them back.
 *
 * Names are removed as soon as both queues are open: a process that is killed leaves nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "adapter.h"
#include "peers/pause.h"

/* What anybody may have. */
#define COMMON_MESSAGES 10

struct tx {
	mqd_t queue;
	void *bytes;
};

struct rx {
	mqd_t queue;
	void *bytes;
	size_t payload;
};

struct ends {
	struct tx to;
	struct rx from;
};

static inline void bench_die(const char *what);

static inline struct tx *bench_tx(struct bench_run *run)
{
	return &((struct ends *)run->state)->to;
}

static inline struct rx *bench_rx(struct bench_run *run)
{
	return &((struct ends *)run->state)->from;
}

static inline void again(const char *what)
{
	if (errno == EAGAIN)
		bench_pause();
	else if (errno != EINTR)
		bench_die(what);
}

static inline void *tx_begin(struct tx *tx, size_t size)
{
	(void)size;
	return tx->bytes;
}

static inline void tx_end(struct tx *tx, size_t size)
{
	while (mq_send(tx->queue, tx->bytes, size, 0) < 0)
		again("mq_send");
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	ssize_t r;

	while ((r = mq_receive(rx->queue, rx->bytes, rx->payload, NULL)) < 0)
		again("mq_receive");
	*size = (size_t)r;
	return rx->bytes;
}

static inline void rx_end(struct rx *rx)
{
	(void)rx;
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

struct queues {
	mqd_t forth, back;
};

static mqd_t queue_open(const struct bench_config *config, const char *which, long messages)
{
	struct mq_attr attr = {.mq_maxmsg = messages, .mq_msgsize = (long)config->payload};
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
			  (config->wait == BENCH_SPIN ? O_NONBLOCK : 0);
	char name[48];
	mqd_t queue;

	snprintf(name, sizeof(name), "/bench-%d-%s", (int)getpid(), which);
	queue = mq_open(name, flags, 0600, &attr);
	if (queue != (mqd_t)-1)
		mq_unlink(name);
	return queue;
}

static int queues_open(const struct bench_config *config, struct queues *queues, long messages)
{
	queues->forth = queue_open(config, "forth", messages);
	if (queues->forth == (mqd_t)-1)
		return -errno;
	queues->back = queue_open(config, "back", messages);
	if (queues->back == (mqd_t)-1) {
		int r = -errno;

		mq_close(queues->forth);
		return r;
	}
	return 0;
}

static int create(struct bench_run *run)
{
	const struct bench_config *config = &run->control->config;
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct queues *queues = calloc(1, sizeof(*queues));
	uint64_t messages = config->capacity / config->payload;
	int r;

	if (!queues)
		return -ENOMEM;
	if (messages > 65536)
		messages = 65536; /* the kernel's own limit */
	if (messages < COMMON_MESSAGES)
		messages = COMMON_MESSAGES;
	(void)setrlimit(RLIMIT_MSGQUEUE, &all);
	r = queues_open(config, queues, (long)messages);
	if (r < 0)
		r = queues_open(config, queues, COMMON_MESSAGES);
	if (r < 0)
		snprintf(run->control->first.error, sizeof(run->control->first.error),
			 "payload is over fs.mqueue.msgsize_max or RLIMIT_MSGQUEUE");
	run->state = queues;
	return r;
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	const bool first = role == BENCH_FIRST;
	const size_t bytes = (config->payload + 4095) & ~(size_t)4095;
	struct queues *queues = run->state;
	struct ends *ends = calloc(1, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	ends->to.queue = first ? queues->forth : queues->back;
	ends->to.bytes = aligned_alloc(4096, bytes);
	ends->from.queue = first ? queues->back : queues->forth;
	ends->from.bytes = aligned_alloc(4096, bytes);
	ends->from.payload = config->payload;
	free(queues);
	run->state = ends;
	return ends->to.bytes && ends->from.bytes ? 0 : -ENOMEM;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	(void)role;
	mq_close(ends->to.queue);
	mq_close(ends->from.queue);
	free(ends->to.bytes);
	free(ends->from.bytes);
	free(ends);
}

extern const struct bench_adapter bench_adapter_mq;
const struct bench_adapter bench_adapter_mq = {
	.name = "POSIX mq",
	.slug = "mq",
	.how = "mq_send, mq_receive; as deep as the capacity where that is allowed, else 10 messages",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BLOCK,
	.payload_max = 8192,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
