/* SPDX-License-Identifier: MIT */
/*
 * step.c - leading the victim, one instruction at a time.
 *
 * A step is some 30 µs, so the way to a late instruction goes by whole system calls: so many of them
 * as the trace counted before it, and single steps for the rest. Both stop at the same places,
 * because the kernel runs nothing of the victim's between the two.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "crash/crash.h"

/* More than there can be between the signal and the operation. */
#define BEGIN_STEPS_MAX 1000

/* Looks for a stop between two questions whether the victim sleeps, which cost more. */
#define LOOKS 50

/* --- The processor's part -------------------------------------------------------------------- */

#if defined(__x86_64__)
static uint64_t program_counter(const struct user_regs_struct *regs)
{
	return regs->rip;
}

static bool is_syscall(uint32_t instruction)
{
	return (instruction & 0xffff) == 0x050f;
}
#elif defined(__aarch64__)
static uint64_t program_counter(const struct user_regs_struct *regs)
{
	return regs->pc;
}

static bool is_syscall(uint32_t instruction)
{
	return (instruction & 0xffe0001f) == 0xd4000001; /* svc */
}
#else
/* Not known: the way is longer, and ends at the same place. */
static uint64_t program_counter(const struct user_regs_struct *regs)
{
	(void)regs;
	return 0;
}

static bool is_syscall(uint32_t instruction)
{
	(void)instruction;
	return false;
}
#endif

bool step_is_syscall(const struct scene *scene)
{
	struct user_regs_struct regs;
	struct iovec set = {&regs, sizeof(regs)};
	uint32_t instruction = 0;
	struct iovec local = {&instruction, sizeof(instruction)}, remote;

	if (ptrace(PTRACE_GETREGSET, scene->victim, (void *)(uintptr_t)NT_PRSTATUS, &set) < 0)
		scene_fail(scene, "reading registers: %s", strerror(errno));
	remote = (struct iovec){(void *)(uintptr_t)program_counter(&regs), sizeof(instruction)};
	process_vm_readv(scene->victim, &local, 1, &remote, 1, 0);
	return is_syscall(instruction);
}

/* --- Going on -------------------------------------------------------------------------------- */

static enum phase phase(const struct scene *scene)
{
	return __atomic_load_n(&scene->board->phase, __ATOMIC_ACQUIRE);
}

/* Until the victim stops; it may fall asleep instead, and is woken unless it is to @stay_asleep. */
static enum at await(struct scene *scene, bool stay_asleep)
{
	const int flags = op_sleeps(scene->cell.op) ? WNOHANG : 0;
	int status;
	pid_t got;

	for (unsigned int looks = 1;; looks++) {
		do
			got = waitpid(scene->victim, &status, flags);
		while (got < 0 && errno == EINTR);
		if (got != 0)
			break;
		if (looks % LOOKS == 0 && process_is_asleep(scene->victim)) {
			if (stay_asleep)
				return AT_SLEEP;
			if (!scene->acted)
				scene_act(scene);
		}
		sched_yield();
	}
	if (got != scene->victim || !WIFSTOPPED(status))
		scene_fail(scene, "the victim ended by itself: status %#x", (unsigned int)status);
	return phase(scene) == PHASE_AFTER ? AT_END : AT_STEP;
}

static void go_on(struct scene *scene, enum __ptrace_request how)
{
	if (ptrace(how, scene->victim, NULL, NULL) < 0)
		scene_fail(scene, "ptrace: %s", strerror(errno));
}

enum at step_once(struct scene *scene, bool stay_asleep)
{
	go_on(scene, PTRACE_SINGLESTEP);
	return await(scene, stay_asleep);
}

enum at step_wait(struct scene *scene)
{
	return await(scene, false);
}

void step_begin(struct scene *scene)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
	int status, steps = 0;

	if (waitpid(scene->victim, &status, 0) != scene->victim || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGSTOP)
		scene_fail(scene, "the victim does not begin: status %#x", (unsigned int)status);
	if (ptrace(PTRACE_SETOPTIONS, scene->victim, NULL, (void *)options) < 0)
		scene_fail(scene, "ptrace: %s", strerror(errno));
	while (phase(scene) == PHASE_BEFORE && steps++ < BEGIN_STEPS_MAX)
		step_once(scene, false);
	if (phase(scene) != PHASE_DURING)
		scene_fail(scene, "the victim does not begin");
}

/* Over the system call that the next stop but one ends, whatever comes before it. */
static enum at over_syscall(struct scene *scene)
{
	enum at at = AT_STEP;

	for (int stops = 0; stops < 2 && at == AT_STEP; stops++) {
		go_on(scene, PTRACE_SYSCALL);
		at = await(scene, false);
	}
	return at;
}

enum at step_to(struct scene *scene, const struct trace *trace, const struct point *point)
{
	enum at at = AT_STEP;
	unsigned int step = 0, next;

	for (next = 0; next < point->step && at == AT_STEP; next++) {
		if (!(trace->kinds[next] & STEP_IS_SYSCALL))
			continue;
		at = over_syscall(scene);
		step = next + 1;
	}
	while (step++ < point->step && at == AT_STEP)
		at = step_once(scene, false);
	/* What it sleeps in is not over. If it spins first, it may be there earlier or later. */
	while (point->asleep && at == AT_STEP)
		at = step_once(scene, true);
	return at;
}
