/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "pipe.h"

/* Programs that are no guests never attach; this is enough for one under a debugger. */
#define READY_NS UINT64_C(10000000000)
/* How long Ctrl-C may go unheard meanwhile. */
#define LOOK_NS  UINT64_C(100000000)

/* Fewer wake-ups than 64 KiB; what an ordinary user may have by default. */
#define PIPE_BYTES (256 << 10)

/* In the child, before exec: system calls only. */
static int wire(void *data)
{
	const struct stage *stage = data;

	if (stage->in >= 0 && dup2(stage->in, STDIN_FILENO) < 0)
		return -errno;
	if (stage->out >= 0 && dup2(stage->out, STDOUT_FILENO) < 0)
		return -errno;
	return 0;
}

static void close_streams(struct stage *stage)
{
	if (stage->in > STDERR_FILENO)
		close(stage->in);
	if (stage->out > STDERR_FILENO)
		close(stage->out);
	stage->in = stage->out = -1;
}

static int start_stage(struct chain *chain, struct stage *stage)
{
	char shell[] = "/bin/sh", option[] = "-c", *text = NULL;
	/* A guest finds Peal's arguments at the end of its own; and it is our child itself. */
	char *argv[] = {shell, option, NULL, shell, NULL};
	struct peal_spawn_options options = {.size = sizeof(options),
					     .flags = PEAL_SPAWN_DIE_WITH_PARENT,
					     .pre_exec = wire,
					     .pre_exec_data = stage};
	int rc;

	if (asprintf(&text, stage->is_guest ? "exec %s \"$@\"" : "%s", stage->command) < 0)
		return complain("%s", strerror(ENOMEM)), STATUS_FAILED;
	argv[2] = text;
	rc = stage->is_guest ? peal_spawn(&stage->child, stage->channel, argv, &options)
			     : peal_spawn_fds(&stage->child, argv, NULL, 0, &options);
	free(text);
	close_streams(stage);
	if (rc == 0)
		rc = peal_poller_watch_child(chain->poller, stage->child, stage, NULL);
	if (rc < 0)
		return spawn_failed(rc);
	chain->running++;
	return STATUS_OK;
}

/* --- Guests ---------------------------------------------------------------------------------- */

static int start_guest(struct chain *chain, struct stage *stage)
{
	char name[32];
	struct peal_channel_options options = {
		.size = sizeof(options),
		.to_guest = chain->options->capacity,
		.to_host = chain->options->capacity,
		.name = name,
	};

	snprintf(name, sizeof(name), "pipe %u", stage->number);
	if (peal_channel_create(&stage->channel, &options) < 0)
		return peal_failed("making the rings of a stage");
	stage->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (stage->in < 0)
		return complain("/dev/null: %s", strerror(errno)), STATUS_FAILED;
	/* What it prints is no data. */
	stage->out = STDERR_FILENO;
	return start_stage(chain, stage);
}

static int not_attached(struct stage *stage, int rc)
{
	char how[HOW_MAX], time[FORMAT_MAX];

	if (rc != -ETIMEDOUT && rc != -EPIPE)
		return peal_failed("starting a stage");
	if (rc == -ETIMEDOUT) {
		complain("stage %u '%.60s' has not attached within %s: is it a guest, one that "
			 "calls peal_attach_args()?",
			 stage->number, stage->command, format_duration(time, READY_NS));
		return STATUS_FAILED;
	}
	peal_child_wait(stage->child, PEAL_TRY, &stage->status);
	complain("stage %u '%.60s' %s before it attached", stage->number, stage->command,
		 stage_describe(stage, how));
	return stage_status(stage) > 0 ? stage_status(stage) : STATUS_FAILED;
}

static int wait_for_guest(struct chain *chain, struct stage *stage, uint64_t deadline_ns)
{
	int rc;

	do
		rc = peal_child_wait_ready(stage->child, stage->channel,
					   peal_deadline_in_ns(LOOK_NS));
	while (rc == -ETIMEDOUT && peal_now_ns() < deadline_ns &&
	       (chain->signal = stop_signal(chain->stop_fd)) == 0);
	if (chain->signal)
		return STATUS_SIGNAL + chain->signal;
	return rc < 0 ? not_attached(stage, rc) : STATUS_OK;
}

/* Before all others: if one can not be had, nothing has begun. */
static int start_guests(struct chain *chain)
{
	uint64_t deadline_ns = peal_deadline_in_ns(READY_NS);
	int status = STATUS_OK;

	for (unsigned int i = 0; i < chain->stage_count && status == STATUS_OK; i++)
		if (chain->stages[i].is_guest)
			status = start_guest(chain, &chain->stages[i]);
	for (unsigned int i = 0; i < chain->stage_count && status == STATUS_OK; i++)
		if (chain->stages[i].is_guest)
			status = wait_for_guest(chain, &chain->stages[i], deadline_ns);
	return status;
}

/* --- Joints ---------------------------------------------------------------------------------- */

/* Return: our end, or a negative errno. */
static int make_pipe(int *theirs, bool we_read)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* Refused when this user has too much in pipes. */
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	*theirs = ends[we_read ? 1 : 0];
	return ends[we_read ? 0 : 1];
}

static int make_joint(struct chain *chain, struct stage *before, struct stage *behind)
{
	struct joint *joint = &chain->joints[chain->joint_count++];
	int rc = 0, in = STDIN_FILENO, out = STDOUT_FILENO;

	*joint = (struct joint){
		.chain = chain, .before = before, .behind = behind, .in = -1, .out = -1};
	if (before)
		in = before->is_guest ? -1 : (rc = make_pipe(&before->out, true));
	if (rc < 0)
		return complain("making a pipe: %s", strerror(-rc)), STATUS_FAILED;
	if (behind)
		out = behind->is_guest ? -1 : (rc = make_pipe(&behind->in, false));
	if (rc < 0) {
		if (in > STDERR_FILENO)
			close(in);
		return complain("making a pipe: %s", strerror(-rc)), STATUS_FAILED;
	}
	return joint_open(joint, in, out);
}

/* One between two stages. At the ends only where standard input or output is not the stage's. */
static int make_joints(struct chain *chain)
{
	struct stage *stages = chain->stages, *before = NULL;
	unsigned int count = chain->stage_count;
	int status = STATUS_OK;

	for (unsigned int i = 0; i < count && status == STATUS_OK; i++) {
		if (before || stages[i].is_guest)
			status = make_joint(chain, before, &stages[i]);
		before = &stages[i];
	}
	if (status == STATUS_OK && (!before || before->is_guest))
		status = make_joint(chain, before, NULL);
	return status;
}

/* --------------------------------------------------------------------------------------------- */

static int open_chain(struct chain *chain)
{
	unsigned int count = chain->options->count;
	int rc;

	chain->stages = calloc(count + 1, sizeof(struct stage));
	chain->joints = calloc(count + 1, sizeof(struct joint));
	if (!chain->stages || !chain->joints)
		return complain("%s", strerror(ENOMEM)), STATUS_FAILED;
	for (; chain->stage_count < count; chain->stage_count++) {
		const char *command = chain->options->commands[chain->stage_count];

		chain->stages[chain->stage_count] = (struct stage){
			.command = *command == '@' ? command + 1 : command,
			.number = chain->stage_count + 1,
			.is_guest = *command == '@',
			.in = -1,
			.out = -1,
		};
	}
	/* Three a joint, the poller, signals. */
	rc = io_open(&chain->io, 3 * (count + 1) + 2);
	if (rc == 0)
		rc = chain->stop_fd = stop_open();
	if (rc < 0)
		return complain("%s", strerror(-rc)), STATUS_FAILED;
	if (peal_poller_create(&chain->poller, NULL) < 0)
		return peal_failed("making a poller");
	return STATUS_OK;
}

int chain_start(struct chain *chain)
{
	int status = open_chain(chain);

	if (status == STATUS_OK)
		status = start_guests(chain);
	if (status == STATUS_OK)
		status = make_joints(chain);
	chain_show_begin(chain);
	for (unsigned int i = 0; i < chain->stage_count && status == STATUS_OK; i++)
		if (!chain->stages[i].is_guest)
			status = start_stage(chain, &chain->stages[i]);
	return status;
}

void chain_free(struct chain *chain)
{
	io_close(&chain->io);
	chain->poller = peal_poller_close(chain->poller);
	for (unsigned int i = 0; i < chain->joint_count; i++)
		joint_close(&chain->joints[i]);
	for (unsigned int i = 0; i < chain->stage_count; i++) {
		struct stage *stage = &chain->stages[i];

		close_streams(stage);
		stage->channel = peal_channel_close(stage->channel);
		stage->child = peal_child_free(stage->child);
	}
	free(chain->joints);
	free(chain->stages);
}

void stage_ended(struct chain *chain, struct stage *stage)
{
	/* -ECHILD can not be: SIGCHLD has its default action. */
	peal_child_wait(stage->child, PEAL_TRY, &stage->status);
	chain->running--;
	for (unsigned int i = 0; i < chain->joint_count && stage->is_guest; i++)
		if (chain->joints[i].behind == stage)
			joint_stop_in(&chain->joints[i]);
}

char *stage_describe(const struct stage *stage, char text[HOW_MAX])
{
	int value = stage->status.value;

	if (stage->status.state == PEAL_CHILD_KILLED)
		snprintf(text, HOW_MAX, "was killed by signal %d (%s)", value, strsignal(value));
	else
		snprintf(text, HOW_MAX, "ended with status %d", value);
	return text;
}

int stage_status(const struct stage *stage)
{
	return stage->status.state == PEAL_CHILD_KILLED ? STATUS_SIGNAL + stage->status.value
							: stage->status.value;
}

/* --- Ending ---------------------------------------------------------------------------------- */

void chain_signal(struct chain *chain, int signal)
{
	for (unsigned int i = 0; i < chain->stage_count; i++)
		if (chain->stages[i].child && chain->stages[i].status.state == PEAL_CHILD_RUNNING)
			peal_child_kill(chain->stages[i].child, signal);
}

void chain_adopt_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* The first of our children. Without CONFIG_PROC_CHILDREN they are not to be found. */
static pid_t any_child(void)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	int pid = -1;

	if (!children)
		return -1;
	if (fscanf(children, "%d", &pid) != 1)
		pid = -1;
	fclose(children);
	return pid;
}

void chain_end_orphans(const struct chain *chain)
{
	struct pollfd ended = {.events = POLLIN};
	siginfo_t info;
	pid_t pid;

	/* Nobody else waits for them, so each number stays that child's until we have. */
	while ((pid = any_child()) > 0 && (ended.fd = pidfd_open(pid, 0)) >= 0) {
		uint64_t now = peal_now_ns();

		if (chain->signal)
			pidfd_send_signal(ended.fd, chain->signal, NULL, 0);
		if (now >= chain->kill_ns ||
		    poll(&ended, 1, (int)((chain->kill_ns - now) / 1000000)) != 1)
			pidfd_send_signal(ended.fd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)ended.fd, &info, WEXITED);
		close(ended.fd);
	}
}
