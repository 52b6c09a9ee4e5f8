/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

/* A guest whose channel was closed is given so long to end by itself. */
#define GRACE_NS UINT64_C(1000000000)
/* The progress line is looked at so often, while nothing happens. */
#define SHOW_NS  100000000

enum { STOP, INPUT, OUTPUT, POLLER, FDS };

/* --- Starting ------------------------------------------------------------------------------------ */

struct before_exec {
	int null_fd;
	const struct filter *filter;
};

/* Our standard streams are data, which the guest gets as records: what it prints goes to stderr. */
static int before_exec(void *data)
{
	const struct before_exec *wanted = data;

	if (dup2(wanted->null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	return wanted->filter->length > 0 ? filter_install(wanted->filter) : 0;
}

static int spawn(const struct run_options *options, struct guest *guest)
{
	struct before_exec wanted = {.filter = &options->filter};
	const struct peal_spawn_options spawning = {
		.size = sizeof(spawning),
		/* If we are killed, nobody reads what it says. */
		.flags = options->spawn_flags | PEAL_SPAWN_DIE_WITH_PARENT,
		.rlimits = options->rlimits,
		.rlimit_count = options->rlimit_count,
		.pre_exec = before_exec,
		.pre_exec_data = &wanted,
	};
	int rc;

	wanted.null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (wanted.null_fd < 0)
		return complain("/dev/null: %s", strerror(errno)), STATUS_FAILED;
	rc = peal_spawn(&guest->child, guest->channel, options->argv, &spawning);
	close(wanted.null_fd);
	return rc < 0 ? spawn_failed(rc) : STATUS_OK;
}

static int create(const struct run_options *options, struct guest *guest)
{
	const struct peal_channel_options wanted = {
		.size = sizeof(wanted),
		.to_guest = options->to_guest_bytes,
		.to_host = options->to_host_bytes,
		.doorbell = options->doorbell,
		.name = "run",
	};
	int rc = peal_channel_create(&guest->channel, &wanted);

	guest->doorbell = options->doorbell;
	if (rc == 0)
		rc = peal_poller_create(&guest->poller, NULL);
	return rc < 0 ? peal_failed("making a channel") : STATUS_OK;
}

static int watch(struct guest *guest)
{
	int rc = peal_poller_watch_data(guest->poller, guest->channel, PEAL_WATCH_ONCE, NULL,
					&guest->data);

	if (rc == 0)
		rc = peal_poller_watch_space(guest->poller, guest->channel, 0, 0, NULL,
					     &guest->space);
	if (rc == 0)
		rc = peal_poller_watch_child(guest->poller, guest->child, NULL, NULL);
	return rc < 0 ? peal_failed("waiting for the guest") : STATUS_OK;
}

/* Return: 0; -EINTR when we are to stop; -ETIMEDOUT; what peal_child_wait_ready() says. */
static int await_ready(struct run *run, struct guest *guest)
{
	struct pollfd fds[] = {
		{.fd = run->stop_fd, .events = POLLIN},
		/* Its first bell, and its hang-up. */
		{.fd = peal_tx_fd(guest->channel), .events = POLLIN},
		{.fd = peal_child_pidfd(guest->child), .events = POLLIN},
	};
	uint64_t end_ns = peal_deadline_in_ns(run->options->ready_ns), now;
	int rc;

	while ((rc = peal_child_wait_ready(guest->child, guest->channel, PEAL_TRY)) == -EAGAIN) {
		now = peal_now_ns();
		if (now >= end_ns)
			return -ETIMEDOUT;
		poll_for(fds, 3, end_ns - now);
		run->signal = stop_signal(run->stop_fd);
		if (run->signal)
			return -EINTR;
	}
	/* It has hung up; a moment later it has ended, and the sentence says how. */
	if (rc == -EPIPE)
		rc = peal_child_wait_ready(guest->child, guest->channel,
					   peal_deadline_in_ns(GRACE_NS));
	return rc;
}

static int get_ready(struct run *run, struct guest *guest)
{
	char text[FORMAT_MAX];
	int rc = await_ready(run, guest);

	run->has_attached = rc == 0;
	if (rc == 0)
		return watch(guest);
	if (rc == -EINTR)
		return STATUS_SIGNAL + run->signal;
	if (rc == -EPIPE && peal_child_wait(guest->child, PEAL_TRY, NULL) == 0)
		return -1;
	if (rc == -ETIMEDOUT)
		complain("'%s' has not attached within %s: is it a guest, one that calls "
			 "peal_attach_args()?",
			 run->options->argv[0], format_duration(text, run->options->ready_ns));
	else
		complain("%s", peal_last_error());
	return STATUS_FAILED;
}

/* --- Running ------------------------------------------------------------------------------------- */

static int take_events(struct guest *guest)
{
	struct peal_event events[4];
	int count = peal_poller_wait(guest->poller, events, 4, PEAL_TRY);

	for (int i = 0; i < count; i++) {
		if (events[i].kind == PEAL_EVENT_DATA)
			guest->has_data = true;
		else if (events[i].kind == PEAL_EVENT_SPACE)
			guest->has_space = true;
		else if (events[i].kind == PEAL_EVENT_CHILD)
			guest->ended = true;
	}
	if (count < 0 && count != -EAGAIN) {
		guest->error = count;
		complain("waiting for the guest: %s", peal_last_error());
	}
	return count;
}

static void read_input(struct run *run)
{
	int rc = stream_fill(&run->input);

	if (rc == 0)
		return;
	complain("standard input: %s", strerror(-rc));
	run->bad_input = true;
	stream_cut(&run->input);
}

/* A time from now, but not behind @due_ns. */
static uint64_t sooner(uint64_t ns, uint64_t due_ns)
{
	uint64_t now = due_ns == PEAL_FOREVER ? 0 : peal_now_ns();
	uint64_t left = due_ns > now ? due_ns - now : 0;

	return due_ns != PEAL_FOREVER && left < ns ? left : ns;
}

/* Looks at all that can happen; if @may_sleep and nothing has, sleeps until something does. */
static void look(struct run *run, struct guest *guest, bool may_sleep)
{
	bool wants_input =
		guest->has_space && !guest->tx_over && !guest->ended && !run->input.at_end;
	struct pollfd fds[FDS] = {
		[STOP] = {.fd = run->stop_fd, .events = POLLIN},
		[INPUT] = {.fd = wants_input && !run->input.tape ? run->input.fd : -1,
			   .events = POLLIN},
		/* Without events it still tells that its reader is gone. */
		[OUTPUT] = {.fd = run->output.fd},
		[POLLER] = {.fd = peal_poller_fd(guest->poller), .events = POLLIN},
	};
	uint64_t ns = run->show.wanted ? SHOW_NS : UINT64_MAX;

	if (!stream_is_empty(&run->output))
		fds[OUTPUT].events = POLLOUT;
	if (take_events(guest) != -EAGAIN || !may_sleep || peal_poller_arm(guest->poller) != 0)
		ns = 0;
	ns = sooner(ns, stream_due_ns(&run->output));
	if (wants_input)
		ns = sooner(ns, stream_due_ns(&run->input));
	if (poll_for(fds, FDS, ns) <= 0)
		return;
	if (fds[STOP].revents)
		run->signal = stop_signal(run->stop_fd);
	if (fds[INPUT].revents)
		read_input(run);
	if (fds[OUTPUT].revents & (POLLERR | POLLNVAL))
		run->output_errno = fds[OUTPUT].revents & POLLERR ? EPIPE : EBADF;
}

static void write_output(struct run *run)
{
	int rc;

	if (stream_is_empty(&run->output))
		return;
	/* They may be the same terminal. */
	if (run->show.wanted)
		progress_end();
	rc = stream_flush(&run->output);
	if (rc < 0)
		run->output_errno = -rc;
}

static bool is_over(const struct run *run, const struct guest *guest)
{
	return run->signal || run->output_errno || run->output.log_status || guest->error ||
	       (guest->ended && guest->rx_over && stream_is_empty(&run->output));
}

static void serve(struct run *run, struct guest *guest)
{
	for (;;) {
		bool did = !guest->ended && flow_in(guest, &run->input);

		did |= flow_out(guest, &run->output);
		write_output(run);
		stream_keep(&run->output);
		if (is_over(run, guest))
			return;
		/* What had no room for its end may have it now. */
		did |= guest->has_data && !guest->rx_over && stream_has_room(&run->output);
		show_progress(run, guest);
		look(run, guest, !did);
	}
}

/* --- Ending -------------------------------------------------------------------------------------- */

static void count_lost(struct run *run, const struct guest *guest)
{
	struct peal_side_stats own, peer;

	peal_channel_stats(guest->channel, &own, &peer);
	/* What a dead guest claims to have taken is not more than it was given. */
	if (own.tx.position - peer.rx.position <= own.tx.capacity)
		run->lost += own.tx.position - peer.rx.position;
	run->waits_for_room += guest->waits_for_room;
}

static int outcome(const struct run *run, const struct guest *guest)
{
	if (run->signal)
		return STATUS_SIGNAL + run->signal;
	if (run->output_errno)
		return output_error(run->output_errno);
	if (run->output.log_status)
		return run->output.log_status;
	return guest->error ? STATUS_FAILED : -1;
}

static void release(struct guest *guest)
{
	guest->poller = peal_poller_close(guest->poller);
	guest->channel = peal_channel_close(guest->channel);
	if (guest->child)
		peal_child_wait(guest->child, peal_deadline_in_ns(GRACE_NS), NULL);
	guest->child = peal_child_free(guest->child);
}

bool run_input_is_over(const struct run *run)
{
	return run->input.at_end && stream_is_empty(&run->input);
}

int run_guest(struct run *run, char *end, size_t end_size)
{
	struct guest guest = {0};
	int status = create(run->options, &guest);

	run->starts++;
	if (status == STATUS_OK)
		status = spawn(run->options, &guest);
	if (status == STATUS_OK)
		status = get_ready(run, &guest);
	if (status == STATUS_OK) {
		serve(run, &guest);
		count_lost(run, &guest);
		run->bad_input |= guest.bad_input;
		status = outcome(run, &guest);
	}
	if (status == -1 && peal_child_wait(guest.child, PEAL_FOREVER, &run->status) < 0)
		status = peal_failed("the guest's end");
	if (status == -1)
		peal_child_describe(guest.child, end, end_size);
	release(&guest);
	return status;
}
