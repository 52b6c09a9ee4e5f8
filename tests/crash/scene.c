/* SPDX-License-Identifier: MIT */
/*
 * scene.c - starting the two processes, killing one, asking the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/crash.h"
#include "harness.h"

/* Whoever does not answer for so long never will; he himself waits for ever. */
#define ANSWER_MS 30000

void scene_fail(const struct scene *scene, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ck_abort_msg("%s: %s", scene->what, text);
}

/* --- The survivor ---------------------------------------------------------------------------- */

static void open_schedstat(struct scene *scene)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)scene->survivor);
	scene->schedstat = open(path, O_RDONLY | O_CLOEXEC);
}

static uint64_t run_delay(const struct scene *scene)
{
	unsigned long long ran, delay = 0;
	char text[64];
	ssize_t length = pread(scene->schedstat, text, sizeof(text) - 1, 0);

	text[length < 0 ? 0 : length] = '\0';
	/* A kernel that keeps no such books gives 0: then nothing is taken off. */
	if (sscanf(text, "%llu %llu", &ran, &delay) != 2)
		return 0;
	return delay;
}

void scene_open(struct scene *scene)
{
	int orders[2], link[2];

	*scene = (struct scene){.what = "opening"};
	/* Who outlives a victim becomes our child. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	scene->board = mmap(NULL, sizeof(*scene->board), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(scene->board, MAP_FAILED);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	ck_assert_int_eq(pipe2(scene->burial, O_CLOEXEC), 0);
	scene->orders = orders[0];
	scene->link = link[0];
	fflush(NULL);
	scene->survivor = fork();
	ck_assert_int_ge(scene->survivor, 0);
	if (scene->survivor == 0) {
		close(orders[0]);
		close(link[0]);
		close(scene->burial[0]);
		close(scene->burial[1]);
		survivor_main(scene, orders[1], link[1]);
	}
	close(orders[1]);
	close(link[1]);
	open_schedstat(scene);
}

void scene_close(struct scene *scene)
{
	int status;

	close(scene->orders);
	close(scene->link);
	close(scene->schedstat);
	close(scene->burial[0]);
	close(scene->burial[1]);
	ck_assert_int_eq(waitpid(scene->survivor, &status, 0), scene->survivor);
	ck_assert_msg(status == 0, "the survivor ended with status %#x; it has said why",
		      (unsigned int)status);
	munmap(scene->board, sizeof(*scene->board));
}

static void order(struct scene *scene, enum order_kind kind)
{
	struct order order = {.kind = kind, .victim = scene->victim, .cell = scene->cell};

	if (send(scene->orders, &order, sizeof(order), MSG_NOSIGNAL) < 0)
		scene_fail(scene, "the survivor has died");
}

static struct report hear(struct scene *scene, enum report_kind kind)
{
	struct pollfd answer = {.fd = scene->orders, .events = POLLIN};
	struct report report;
	int rc;

	do
		rc = poll(&answer, 1, ANSWER_MS);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		scene_fail(scene, "the survivor still waits after %d s", ANSWER_MS / 1000);
	if (recv(scene->orders, &report, sizeof(report), 0) != (ssize_t)sizeof(report))
		scene_fail(scene, "the survivor has died");
	if (report.kind != kind)
		scene_fail(scene, "the survivor came to its end too early: %d", report.error);
	return report;
}

void scene_peek(const struct scene *scene, const void *from, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)from, size};

	if (process_vm_readv(scene->survivor, &local, 1, &remote, 1, 0) != (ssize_t)size)
		scene_fail(scene, "reading the survivor's memory: %s", strerror(errno));
}

bool process_is_asleep(pid_t pid)
{
	char path[32], text[256], *end;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	end = strrchr(text, ')'); /* the name before it may have anything in it */
	return end && end[1] == ' ' && end[2] == 'S';
}

/* Asleep for good: it has said so, and then it stopped running. */
void scene_await_sleep(struct scene *scene)
{
	uint64_t word = 0, deadline_ns = peal_deadline_in_ns(ANSWER_MS * UINT64_C(1000000));

	for (;;) {
		if (!op_attaches(scene->cell.op))
			scene_peek(scene, scene->board->wait_word, &word, sizeof(word));
		if ((op_attaches(scene->cell.op) || word & 1) && process_is_asleep(scene->survivor))
			return;
		if (peal_now_ns() > deadline_ns)
			scene_fail(scene, "the survivor does not fall asleep");
		sched_yield();
	}
}

void scene_prepared(struct scene *scene)
{
	hear(scene, REPORT_PREPARED);
}

void scene_streaming(struct scene *scene)
{
	uint64_t deadline_ns = peal_deadline_in_ns(ANSWER_MS * UINT64_C(1000000));

	hear(scene, REPORT_PREPARED);
	while (__atomic_load_n(&scene->board->phase, __ATOMIC_ACQUIRE) != PHASE_DURING) {
		if (peal_now_ns() > deadline_ns)
			scene_fail(scene, "the victim does not begin");
		sched_yield();
	}
}

void scene_act(struct scene *scene)
{
	if (scene->acted)
		scene_fail(scene, "the victim sleeps again, though it was woken");
	order(scene, ORDER_ACT);
	hear(scene, REPORT_ACTED);
	scene->acted = true;
	if (op_is_tx(scene->cell.op))
		scene->first += ACT_RECORDS;
}

/* --- The victim ------------------------------------------------------------------------------ */

void scene_start(struct scene *scene, const struct cell *cell, bool traced)
{
	char name[CELL_NAME_MAX];

	scene->cell = *cell;
	scene->plan = cell_plan(cell);
	scene->acted = false;
	scene->first = scene->plan.passed;
	memset(scene->board, 0, sizeof(*scene->board));
	snprintf(scene->what, sizeof(scene->what), "%s", cell_describe(cell, name, sizeof(name)));
	scene->victim = fork();
	if (scene->victim < 0)
		scene_fail(scene, "fork: %s", strerror(errno));
	if (scene->victim == 0)
		victim_main(scene, traced);
	order(scene, ORDER_START);
}

void scene_kill(struct scene *scene)
{
	int status;

	scene->run_delay_ns = run_delay(scene);
	kill(scene->victim, SIGKILL);
	if (waitpid(scene->victim, &status, 0) != scene->victim)
		scene_fail(scene, "waiting for the victim: %s", strerror(errno));
	scene->reaped_ns = peal_now_ns();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		scene_fail(scene, "the victim ended by itself: status %#x", (unsigned int)status);
}

struct report scene_report(struct scene *scene)
{
	struct report report;

	if (!scene->cell.asleep) {
		order(scene, ORDER_GO);
		scene->reaped_ns = peal_now_ns();
	}
	report = hear(scene, REPORT_END);
	scene->run_delay_ns = run_delay(scene) - scene->run_delay_ns;
	return report;
}

void scene_bury(struct scene *scene)
{
	pid_t grandchild = (pid_t)__atomic_load_n(&scene->board->grandchild, __ATOMIC_ACQUIRE);

	link_drain(scene->link);
	if (grandchild == 0)
		return;
	if (write(scene->burial[1], "", 1) != 1 || waitpid(grandchild, NULL, 0) != grandchild)
		scene_fail(scene, "burying the grandchild: %s", strerror(errno));
}
