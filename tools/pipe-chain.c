/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "pipe.h"

/* From the first signal to SIGKILL: time to remove a temporary file, not more than people wait. */
#define GRACE_NS UINT64_C(2000000000)

#define EVENTS_MAX 16

static void handle_event(struct chain *chain, const struct peal_event *event)
{
	struct joint *joint = event->user;

	switch ((enum peal_event_kind)event->kind) {
	case PEAL_EVENT_CHILD:
		stage_ended(chain, event->user);
		break;
	case PEAL_EVENT_DATA:
		joint->has_data = true;
		joint_run(joint);
		break;
	case PEAL_EVENT_SPACE:
		joint->has_space = true;
		joint_run(joint);
		break;
	case PEAL_EVENT_WAKE:
		break;
	}
}

/* Hands the poller over to our own sleep. Return: 0 or a negative errno. */
static int arm_poller(struct chain *chain)
{
	struct peal_event events[EVENTS_MAX];
	int rc;

	while ((rc = peal_poller_arm(chain->poller)) == 1) {
		rc = peal_poller_wait(chain->poller, events, EVENTS_MAX, PEAL_TRY);
		for (int i = 0; i < rc; i++)
			handle_event(chain, &events[i]);
		if (rc < 0 && rc != -EAGAIN)
			break;
	}
	return rc;
}

/* The loop arms the poller before each sleep, and that looks. */
static void wait_again(struct io_op *op)
{
	struct chain *chain = op->user;

	io_start(&chain->io, op);
}

static void stop(struct io_op *op)
{
	struct chain *chain = op->user;
	int signal = stop_signal(chain->stop_fd);

	if (signal && !chain->signal) {
		chain->signal = signal;
		chain->kill_ns = peal_deadline_in_ns(GRACE_NS);
		chain_adopt_orphans();
		chain_signal(chain, signal);
	}
	io_start(&chain->io, op);
}

static bool is_over(const struct chain *chain)
{
	if (chain->running > 0)
		return false;
	for (unsigned int i = 0; i < chain->joint_count && !chain->signal; i++)
		if (!joint_is_over(&chain->joints[i]))
			return false;
	return true;
}

/* The stage behind the last ring that is full; if none is, the one in front of the first that is
 * empty; if none is, nobody. Return: what its time is counted in, or NULL. */
static uint64_t *bottleneck(const struct chain *chain)
{
	const struct joint *joints = chain->joints;
	struct stage *stage = NULL;

	for (unsigned int i = chain->joint_count; i > 0; i--) {
		if (joints[i - 1].was_full) {
			stage = joints[i - 1].behind;
			return stage ? &stage->bottleneck_ns : NULL;
		}
		if (joints[i - 1].was_empty)
			stage = joints[i - 1].before;
	}
	return stage ? &stage->bottleneck_ns : NULL;
}

static void look(struct chain *chain, uint64_t *last_ns)
{
	uint64_t now = peal_now_ns(), passed = now - *last_ns, used, capacity;
	uint64_t *whose = bottleneck(chain);

	if (whose)
		*whose += passed;
	for (unsigned int i = 0; i < chain->joint_count; i++) {
		struct joint *joint = &chain->joints[i];

		if (joint->was_full)
			joint->full_ns += passed;
		if (joint->was_empty)
			joint->empty_ns += passed;
		joint_fill(joint, &used, &capacity);
		joint->most_used = used > joint->most_used ? used : joint->most_used;
		joint->was_empty = used == 0;
		joint->was_full = used > capacity / 4 * 3;
	}
	*last_ns = now;
}

static int run_loop(struct chain *chain)
{
	uint64_t deadline_ns, last_ns = chain->begin_ns;
	int rc;

	for (;;) {
		rc = arm_poller(chain);
		if (rc < 0 || is_over(chain))
			return rc;
		look(chain, &last_ns);
		deadline_ns = chain_show(chain);
		if (chain->signal && last_ns >= chain->kill_ns)
			chain_signal(chain, SIGKILL);
		else if (chain->signal && chain->kill_ns < deadline_ns)
			deadline_ns = chain->kill_ns;
		rc = io_wait(&chain->io, deadline_ns);
		if (rc < 0)
			return rc;
	}
}

int chain_run(struct chain *chain)
{
	int rc;

	chain->poller_op = (struct io_op){.kind = IO_READABLE,
					  .fd = peal_poller_fd(chain->poller),
					  .done = wait_again,
					  .user = chain};
	chain->stop_op = (struct io_op){
		.kind = IO_READABLE, .fd = chain->stop_fd, .done = stop, .user = chain};
	io_start(&chain->io, &chain->poller_op);
	io_start(&chain->io, &chain->stop_op);
	for (unsigned int i = 0; i < chain->joint_count; i++)
		joint_run(&chain->joints[i]);
	rc = run_loop(chain);
	chain->end_ns = peal_now_ns();
	if (rc < 0) {
		complain("waiting: %s", strerror(-rc));
		return STATUS_FAILED;
	}
	if (chain->signal)
		chain_end_orphans(chain);
	return chain->broken;
}
