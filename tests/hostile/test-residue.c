/* SPDX-License-Identifier: MIT */
/*
 * The promise that nothing outlives the processes: hosts and guests are killed at any instant, and
 * nothing of them is left. No file, no name, no process, no descriptor, no memory.
 *
 *      observer (this test)        namespaces of its own, so that what is found is ours
 *         └ host                   two channels, a poller or none; in a process group of its own
 *             ├ guest
 *             └ guest              children of the observer when the host is dead
 *
 * Nobody but the victims is killed: the others learn of it and end by themselves, or the test waits for
 * ever.
 *
 * PEAL_RESIDUE_ROUNDS: how many of each kind.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/beside.h"
#include "ipc/ipc.h"

#define DEFAULT_ROUNDS 60

/* Of each ring, so that memory which is not given back shows: four rings a round. */
#define CAPACITY (UINT64_C(512) << 10)

/* The longest life: creating, spawning, attaching and a few hundred records fit into it. */
#define LIFE_US 8000

enum victim { HOST, GUEST, BOTH, GROUP, STOPPED_GUEST, VICTIMS };
static const char *const victims[VICTIMS] = {"host", "guest", "both", "group", "stopped guest"};

/* --- A host ---------------------------------------------------------------------------------- */

static bool has_ended(const struct lane *lane)
{
	return lane->ends[TX] || lane->ends[RX];
}

/* Return: did it get that far? A guest may be killed before. */
static bool get_ready(struct host *host, struct lane *lane)
{
	int rc = peal_child_wait_ready(lane->child, lane->channel, PEAL_FOREVER);

	if (rc == 0)
		lane_watch(lane, host);
	else if (rc != -EPIPE)
		_exit(3);
	return rc == 0;
}

/* Until a guest is gone; then in good order. */
static void live_as_host(struct host *host, bool eventfds)
{
	struct peal_poller_options options = {.size = sizeof(options),
					      .backend = host->way == BY_EPOLL ? PEAL_POLLER_EPOLL
									       : PEAL_POLLER_AUTO};

	if (host->way != BY_WAIT && peal_poller_create(&host->poller, &options) < 0)
		_exit(4);
	host->innocent.is_strict = host->hostile.is_strict = true;
	host->innocent.window = host->hostile.window = 8;
	lane_start(&host->innocent, host, 0, "echo", eventfds, false);
	lane_start(&host->hostile, host, 1, "echo", !eventfds, false);
	if (get_ready(host, &host->innocent) && get_ready(host, &host->hostile)) {
		while (!has_ended(&host->innocent) && !has_ended(&host->hostile))
			host_serve(host);
	}
	lane_close(&host->innocent);
	lane_close(&host->hostile);
	peal_poller_close(host->poller);
	_exit(EXIT_SUCCESS);
}

/* --- Killing --------------------------------------------------------------------------------- */

/* A guest that has got as far as main(); otherwise the host. */
static pid_t some_guest(const struct host *host, pid_t otherwise, uint64_t dice)
{
	pid_t pid = __atomic_load_n(&host->accounts[dice % 2].pid, __ATOMIC_ACQUIRE);

	return pid ? pid : otherwise;
}

static void kill_some(const struct host *host, enum victim victim, pid_t pid, uint64_t dice)
{
	pid_t guest = some_guest(host, pid, dice);

	switch (victim) {
	case HOST:
		kill(pid, SIGKILL);
		break;
	case GUEST:
		kill(guest, SIGKILL);
		break;
	case BOTH:
		kill(dice & 4 ? pid : guest, SIGKILL);
		kill(dice & 4 ? guest : pid, SIGKILL);
		break;
	case STOPPED_GUEST:
		kill(guest, SIGSTOP);
		kill(pid, SIGKILL);
		kill(guest, SIGCONT);
		break;
	case GROUP:
	case VICTIMS:
		kill(-pid, SIGKILL);
	}
}

/* A child whose parent died before it could be tied to its life does not go on to exec. */
#define NOT_STARTED 127

/* All descendants come to us. Those that were not killed end by themselves, content. */
static void reap_all(const char *victim, bool guests_stay)
{
	int status, count = 0;

	while (waitpid(-1, &status, 0) > 0) {
		count++;
		ck_assert_msg((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
				      (!guests_stay && WIFEXITED(status) &&
				       WEXITSTATUS(status) == NOT_STARTED) ||
				      (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
			      "%s: a process ended with status %#x", victim, status);
	}
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_ge(count, 1);
}

static void run_round(struct host *host, enum victim victim, uint64_t *dice)
{
	uint64_t throw = stream_random(dice);
	pid_t pid;

	for (int i = 0; i < ACCOUNTS; i++)
		host->accounts[i] = (struct account){0};
	host->way = (enum way)(throw % WAYS);
	host->guests_stay = throw / 4 % 4 != 0;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		harness_mute();
		live_as_host(host, throw / 16 % 2);
	}
	ck_assert_int_gt(pid, 0);
	setpgid(pid, pid);
	usleep((useconds_t)(throw / 32 % LIFE_US));
	kill_some(host, victim, pid, throw / 32 / LIFE_US);
	reap_all(victims[victim], host->guests_stay);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(host->accounts[i].failed == 0, "%s: line %u of guest.c",
			      victims[victim], host->accounts[i].failed);
	totals->rounds++;
	totals->innocent_records += host->accounts[0].echoed + host->accounts[1].echoed;
}

/* --- What is left ---------------------------------------------------------------------------- */

static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm", "/run", "/dev/mqueue"};
#define PLACES (sizeof(places) / sizeof(places[0]))

/* Empty places where others would leave files, sockets and names; nobody else can see into them. */
static bool hide_in_namespaces(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (size_t i = 0; i < PLACES; i++) {
		bool is_queue = strcmp(places[i], "/dev/mqueue") == 0;

		if (mount("none", places[i], is_queue ? "mqueue" : "tmpfs", 0, NULL) < 0)
			ck_assert_msg(errno == ENOENT || errno == ENODEV, "%s: %s", places[i],
				      strerror(errno));
	}
	return true;
}

static void check_places(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		DIR *directory = opendir(places[i]);
		struct dirent *entry;

		while (directory && (entry = readdir(directory)))
			ck_assert_msg(entry->d_name[0] == '.', "%s/%s was left", places[i],
				      entry->d_name);
		if (directory)
			closedir(directory);
	}
}

static int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count++;
	if (file)
		fclose(file);
	return count;
}

/* Each of these has one line of headings. */
static void check_names(void)
{
	static const char *const tables[] = {"/proc/sysvipc/shm", "/proc/sysvipc/sem",
					     "/proc/sysvipc/msg"};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		ck_assert_int_le(count_lines(tables[i]), 1);
	/* The kernel takes its time with what an io_uring held; not for ever. */
	while (count_lines("/proc/self/net/unix") > 1)
		usleep(1000);
}

/* Does this process hold a segment of this name? */
static bool holds(const char *process, const char *name)
{
	char path[300], target[256];
	struct dirent *entry;
	bool found = false;
	ssize_t length;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%s/map_files", process);
	for (int i = 0; i < 2; i++) {
		directory = opendir(path);
		while (directory && (entry = readdir(directory))) {
			length = readlinkat(dirfd(directory), entry->d_name, target,
					    sizeof(target) - 1);
			target[length < 0 ? 0 : length] = '\0';
			found |= strstr(target, name) != NULL;
		}
		if (directory)
			closedir(directory);
		snprintf(path, sizeof(path), "/proc/%s/fd", process);
	}
	return found;
}

static void check_processes(const char *name)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;

	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			ck_assert_msg(!holds(entry->d_name, name), "process %s holds a segment",
				      entry->d_name);
	}
	closedir(directory);
}

static uint64_t shared_memory_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long long kib = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "Shmem: %llu kB", &kib) != 1)
		;
	fclose(file);
	return kib << 10;
}

/* --- Tests ----------------------------------------------------------------------------------- */

/* In files without a name, of which Check's is one. */
static off_t bytes_told(void)
{
	struct stat file;
	off_t bytes = 0;

	for (int fd = 3; fd < 64; fd++) {
		if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_nlink == 0)
			bytes += file.st_size;
	}
	return bytes;
}

START_TEST(who_is_to_be_killed_tells_check_nothing)
{
	const off_t before = bytes_told();
	off_t after;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		harness_mute();
		ck_abort_msg("for nobody to hear");
	}
	pid = waitpid(pid, &status, 0);
	after = bytes_told();
	ck_assert_int_gt(pid, 0);
	ck_assert_int_gt(bytes_told(), after);
	ck_assert_int_eq(after, before);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

static int rounds(void)
{
	const char *text = getenv("PEAL_RESIDUE_ROUNDS");

	return text ? atoi(text) : DEFAULT_ROUNDS;
}

START_TEST(kill_any_of_them_and_nothing_is_left)
{
	const uint64_t written = (uint64_t)rounds() * VICTIMS * 4 * CAPACITY;
	uint64_t before, dice = peal_now_ns();
	struct host host = {.capacity = CAPACITY};
	struct holdings holdings;
	char name[32], program[32];
	int fd;

	printf("residue: seed %llu\n", (unsigned long long)dice);
	/* Opened before the places are hidden, for it may be in one. */
	fd = open(harness_helper("hostile-guest"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 3);
	snprintf(program, sizeof(program), "/proc/self/fd/%d", fd);
	snprintf(name, sizeof(name), "residue-%d", (int)getpid());
	host.program = program;
	host.name = name;
	if (!hide_in_namespaces())
		harness_skip("no namespaces here: what is left by whom can not be told");
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	host_open_accounts(&host);
	holdings = holdings_take();
	before = shared_memory_bytes();
	for (int i = 0; i < rounds(); i++) {
		for (enum victim victim = 0; victim < VICTIMS; victim++)
			run_round(&host, victim, &dice);
		if (isatty(STDOUT_FILENO)) {
			printf("\r%d rounds of %d, %llu records  ", i + 1, rounds(),
			       totals->innocent_records);
			fflush(stdout);
		}
		ck_assert_int_eq(holdings_take().descriptors, holdings.descriptors);
	}
	check_places();
	check_names();
	check_processes(name);
	/* Others allocate and free as well; but not half of all that was ours. */
	ck_assert_uint_lt(shared_memory_bytes(), before + written / 2);
	totals->values = written;
	host_close_accounts(&host);
	close(fd);
}
END_TEST

int main(void)
{
	char factor[24];
	int rc = totals_open();

	if (rc != 0)
		return rc;
	snprintf(factor, sizeof(factor), "%d", rounds() / 2000 + 1);
	setenv("CK_TIMEOUT_MULTIPLIER", factor, 0);
	rc = harness_main("residue",
			  (struct harness_case[]){{who_is_to_be_killed_tells_check_nothing, 0},
						  {kill_any_of_them_and_nothing_is_left, 0},
						  HARNESS_END});
	totals_print("residue: %llu hosts or guests killed, %llu records before, %.1f GiB of rings "
		     "given back\n",
		     totals->rounds, totals->innocent_records, (double)totals->values / (1 << 30));
	return rc;
}
