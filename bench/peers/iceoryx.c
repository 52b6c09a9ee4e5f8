/* SPDX-License-Identifier: MIT */
/*
 * iceoryx.c - iceoryx through its C binding, with its daemon.
 *
 * iceoryx 2.0.3. A publisher and a subscriber in each direction; chunks are loaned, filled and
 * published, taken, read and released in place. The publisher waits for a slow subscriber, so
 * nothing is lost. One pool of chunks of the payload's size, as many as queues and ends can hold.
 * Blocking: a wait set on the subscriber's state. It has no batches.
 *
 * The daemon, iox-roudi, is started by create() with a configuration of its own and without
 * monitoring of processes, which would only cost; it dies with the first process, and is ended by
 * its detach(). There can be one daemon on a machine: with one running already, this fails.
 *
 * Asked to end (SIGTERM), the daemon would first end the processes that are registered with it, and
 * they leave that register only in their exit handlers, which a run does not get to. So it is
 * killed, and what it leaves is removed here: memory, sockets and locks lose their names as soon as
 * both processes are connected, so that a run that is killed leaves nothing either.
 *
 * Tried: pools of 10000 chunks, as the daemon's own configuration has - no difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <iceoryx_binding_c/api.h>

#include "adapter.h"
#include "peers/pause.h"

/* The deepest queue that a subscriber may have in 2.0.3. */
#define QUEUE_MAX 256

/* A tenth of a second each. */
#define DAEMON_ATTEMPTS 30

struct tx {
	iox_pub_t publisher;
	void *chunk;
	bool sleeps;
};

struct rx {
	iox_sub_t subscriber;
	iox_ws_t wait_set; /* NULL: spin */
	const void *chunk;
	size_t payload;
};

struct ends {
	struct tx to;
	struct rx from;
	iox_pub_storage_t publisher;
	iox_sub_storage_t subscriber;
	iox_ws_storage_t wait_set;
	pid_t daemon; /* in the first process */
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

static inline void *tx_begin(struct tx *tx, size_t size)
{
	for (;;) {
		enum iox_AllocationResult r =
			iox_pub_loan_chunk(tx->publisher, &tx->chunk, (uint32_t)size);

		if (r == AllocationResult_SUCCESS)
			return tx->chunk;
		if (r != AllocationResult_RUNNING_OUT_OF_CHUNKS)
			bench_die("iox_pub_loan_chunk");
		bench_pause();
	}
}

static inline void tx_end(struct tx *tx, size_t size)
{
	(void)size;
	iox_pub_publish_chunk(tx->publisher, tx->chunk);
}

static inline void tx_flush(struct tx *tx)
{
	(void)tx;
}

static inline const void *rx_begin(struct rx *rx, size_t *size)
{
	*size = rx->payload;
	for (;;) {
		enum iox_ChunkReceiveResult r = iox_sub_take_chunk(rx->subscriber, &rx->chunk);

		if (r == ChunkReceiveResult_SUCCESS)
			return rx->chunk;
		if (r != ChunkReceiveResult_NO_CHUNK_AVAILABLE)
			bench_die("iox_sub_take_chunk");
		if (rx->wait_set) {
			iox_notification_info_t info;
			uint64_t missed;

			iox_ws_wait(rx->wait_set, &info, 1, &missed);
		} else {
			bench_pause();
		}
	}
}

static inline void rx_end(struct rx *rx)
{
	iox_sub_release_chunk(rx->subscriber, rx->chunk);
}

static inline void rx_flush(struct rx *rx)
{
	(void)rx;
}

#include "loops.h"

static uint64_t queue_depth(const struct bench_config *config)
{
	uint64_t depth = config->capacity / config->payload;

	return depth < 4 ? 4 : depth > QUEUE_MAX ? QUEUE_MAX : depth;
}

/* In a file without a name, which the daemon reads as /proc/self/fd/N. */
static int daemon_config(const struct bench_config *config)
{
	int fd = memfd_create("roudi", 0);

	if (fd < 0)
		return -errno;
	/* Per direction the queue, what the subscriber holds and what the publisher has loaned and
	 * keeps to loan again. Sizes are multiples of 32. */
	dprintf(fd,
		"[general]\nversion = 1\n"
		"[[segment]]\n"
		"[[segment.mempool]]\nsize = %llu\ncount = %llu\n",
		(unsigned long long)((config->payload + 31) & ~UINT64_C(31)),
		(unsigned long long)(2 * (queue_depth(config) + 16)));
	return fd;
}

static void daemon_run(int config_fd, int output_fd, pid_t parent)
{
	char path[32];

	/* It must not outlive who started it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", config_fd);
	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	execlp("iox-roudi", "iox-roudi", "-m", "off", "-l", "warning", "-c", path, (char *)NULL);
	_exit(127);
}

/* It says so when it can be talked to; silence and its end both mean that it did not start. */
static int daemon_ready(int fd)
{
	char said[4096];
	size_t size = 0;

	while (size < sizeof(said) - 1) {
		ssize_t r = read(fd, said + size, sizeof(said) - 1 - size);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return -ECHILD;
		size += (size_t)r;
		said[size] = '\0';
		if (strstr(said, "ready for clients"))
			return 0;
	}
	return -EPROTO;
}

static void pause_ms(long ms)
{
	const struct timespec time = {0, ms * 1000000};

	nanosleep(&time, NULL);
}

static void daemon_end(pid_t daemon)
{
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
}

/* Its pid or a negative errno. */
static pid_t daemon_start(int config_fd)
{
	const pid_t parent = getpid();
	int output[2], r;
	pid_t pid;

	if (pipe2(output, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		daemon_run(config_fd, output[1], parent);
	r = pid < 0 ? -errno : 0;
	close(output[1]);
	if (r == 0)
		r = daemon_ready(output[0]);
	/* The other end stays open when it runs: it says more when it ends. */
	if (r == 0)
		return pid;
	close(output[0]);
	if (pid > 0)
		daemon_end(pid);
	return r;
}

static int create(struct bench_run *run)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	int config_fd = daemon_config(&run->control->config);

	if (!ends || config_fd < 0)
		return ends ? config_fd : -ENOMEM;
	/* There may be one that is about to connect or to end. */
	for (int i = 0; i < DAEMON_ATTEMPTS; i++) {
		ends->daemon = daemon_start(config_fd);
		if (ends->daemon >= 0)
			break;
		pause_ms(100);
	}
	close(config_fd);
	if (ends->daemon < 0)
		snprintf(run->control->first.error, sizeof(run->control->first.error),
			 "iox-roudi did not start, or another one runs");
	run->state = ends;
	return ends->daemon < 0 ? ends->daemon : 0;
}

/* Both directions are connected when the other process has attached as well. */
static int connected(const struct ends *ends)
{
	for (int ms = 0; ms < 10000; ms++) {
		if (iox_pub_has_subscribers(ends->to.publisher) &&
		    iox_sub_get_subscription_state(ends->from.subscriber) ==
			    SubscribeState_SUBSCRIBED)
			return 0;
		pause_ms(1);
	}
	return -ETIMEDOUT;
}

/* All have mapped it: the management segment, and the one of chunks, called after the group. */
static void unlink_memory(void)
{
	const struct group *group = getgrgid(getegid());
	char name[64];

	shm_unlink("/iceoryx_mgmt");
	if (group) {
		snprintf(name, sizeof(name), "/%s", group->gr_name);
		shm_unlink(name);
	}
}

/* The sockets by which processes and daemon found each other, and their locks. */
static void unlink_socket(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/%s", name);
	unlink(path);
	snprintf(path, sizeof(path), "/tmp/%s.lock", name);
	unlink(path);
}

static void runtime_name(char *name, size_t size)
{
	snprintf(name, size, "bench-iceoryx-%d", (int)getpid());
}

static int attach(struct bench_run *run, enum bench_role role)
{
	const struct bench_config *config = &run->control->config;
	const bool first = role == BENCH_FIRST;
	struct ends *ends = run->state;
	iox_pub_options_t publish;
	iox_sub_options_t subscribe;
	char name[32];
	int r;

	runtime_name(name, sizeof(name));
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(name);
	iox_pub_options_init(&publish);
	publish.historyCapacity = 0;
	publish.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	iox_sub_options_init(&subscribe);
	subscribe.historyRequest = 0;
	subscribe.queueCapacity = queue_depth(config);
	subscribe.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	ends->to.publisher = iox_pub_init(&ends->publisher, "bench", first ? "forth" : "back",
					  "message", &publish);
	ends->from.subscriber = iox_sub_init(&ends->subscriber, "bench", first ? "back" : "forth",
					     "message", &subscribe);
	ends->from.payload = config->payload;
	if (config->wait == BENCH_BLOCK) {
		ends->from.wait_set = iox_ws_init(&ends->wait_set);
		if (iox_ws_attach_subscriber_state(ends->from.wait_set, ends->from.subscriber,
						   SubscriberState_HAS_DATA, 0,
						   NULL) != WaitSetResult_SUCCESS)
			return -EIO;
	}
	r = connected(ends);
	if (r < 0)
		return r;
	unlink_socket(name);
	if (first) {
		unlink_memory();
		unlink_socket("roudi");
		unlink_socket("iox-unique-roudi");
	}
	return 0;
}

static void detach(struct bench_run *run, enum bench_role role)
{
	struct ends *ends = run->state;

	if (ends->from.wait_set) {
		iox_ws_detach_subscriber_state(ends->from.wait_set, ends->from.subscriber,
					       SubscriberState_HAS_DATA);
		iox_ws_deinit(ends->from.wait_set);
	}
	iox_sub_deinit(ends->from.subscriber);
	iox_pub_deinit(ends->to.publisher);
	if (role == BENCH_FIRST)
		daemon_end(ends->daemon);
	free(ends);
}

extern const struct bench_adapter bench_adapter_iceoryx;
const struct bench_adapter bench_adapter_iceoryx = {
	.name = "iceoryx",
	.slug = "iceoryx",
	.how = "iceoryx 2.0.3, C binding, iox-roudi, loan/publish/take/release; blocking: wait set",
	.flags = BENCH_CAN_SPIN | BENCH_CAN_BLOCK,
	.payload_max = 1u << 28,
	.create = create,
	.attach = attach,
	.first = bench_first,
	.second = bench_second,
	.detach = detach,
};
