/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - which processors to use, and what machine this is.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <peal/base.h>

#include "report.h"
#include "run.h"

/* First line of a file; false if there is none. */
static bool first_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

/* Is @cpu in a list such as "0-1,8"? */
static bool in_list(const char *list, int cpu)
{
	while (*list) {
		char *end;
		long from = strtol(list, &end, 10), to = from;

		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (cpu >= from && cpu <= to)
			return true;
		if (*end != ',')
			break;
		list = end + 1;
	}
	return false;
}

static bool are_siblings(int a, int b)
{
	char path[128], list[256];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
		 a);
	return first_line(path, list, sizeof(list)) && in_list(list, b);
}

int bench_choose_cpus(int cpus[2])
{
	cpu_set_t set;
	int fallback = -1;

	cpus[0] = cpus[1] = -1;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && cpus[1] < 0; cpu++) {
		if (!CPU_ISSET((size_t)cpu, &set))
			continue;
		if (cpus[0] < 0)
			cpus[0] = cpu;
		else if (!are_siblings(cpus[0], cpu))
			cpus[1] = cpu;
		else if (fallback < 0)
			fallback = cpu;
	}
	if (cpus[1] < 0)
		cpus[1] = fallback;
	return (cpus[0] >= 0) + (cpus[1] >= 0);
}

bool bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static uint64_t cache_bytes(int cpu, int index, char type[32], int *level)
{
	char path[128], text[64];
	char *unit;
	uint64_t bytes;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/type", cpu,
		 index);
	if (!first_line(path, type, 32))
		return 0;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/level", cpu,
		 index);
	if (!first_line(path, text, sizeof(text)))
		return 0;
	*level = atoi(text);
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/size", cpu,
		 index);
	if (!first_line(path, text, sizeof(text)))
		return 0;
	bytes = strtoull(text, &unit, 10);
	return *unit == 'K' ? bytes << 10 : *unit == 'M' ? bytes << 20 : bytes;
}

static void look_at_caches(struct bench_machine *machine)
{
	char type[32];
	int level;

	for (int index = 0; index < 8; index++) {
		uint64_t bytes = cache_bytes(machine->first_cpu, index, type, &level);

		if (bytes == 0 || strcmp(type, "Instruction") == 0)
			continue;
		if (level == 1)
			machine->l1d_bytes = bytes;
		else if (level == 2)
			machine->l2_bytes = bytes;
		else if (level == 3)
			machine->l3_bytes = bytes;
	}
}

static void look_at_cpuinfo(struct bench_machine *machine)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[4096];

	strcpy(machine->cpu, "unknown");
	strcpy(machine->hypervisor, "none");
	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		line[strcspn(line, "\n")] = '\0';
		if (!value || value[1] == '\0')
			continue;
		if (strncmp(line, "model name", 10) == 0)
			snprintf(machine->cpu, sizeof(machine->cpu), "%.127s", value + 2);
		if (strncmp(line, "flags", 5) == 0 && strstr(value, " hypervisor"))
			strcpy(machine->hypervisor, "yes");
	}
	if (file)
		fclose(file);
}

void bench_machine_look(struct bench_machine *machine)
{
	int cpus[2];
	cpu_set_t set;
	struct utsname name;
	time_t now = time(NULL);
	struct tm utc;
	char path[128];

	memset(machine, 0, sizeof(*machine));
	bench_choose_cpus(cpus);
	machine->first_cpu = cpus[0];
	machine->second_cpu = cpus[1];
	machine->cpus =
		sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	look_at_cpuinfo(machine);
	look_at_caches(machine);
	if (uname(&name) == 0)
		snprintf(machine->kernel, sizeof(machine->kernel), "%.20s %.60s %.20s",
			 name.sysname, name.release, name.machine);
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
		 cpus[0]);
	if (!first_line(path, machine->governor, sizeof(machine->governor)))
		strcpy(machine->governor, "unknown");
	strftime(machine->date, sizeof(machine->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	snprintf(machine->version, sizeof(machine->version), "%d.%d.%d", PEAL_VERSION_MAJOR,
		 PEAL_VERSION_MINOR, PEAL_VERSION_PATCH);
	snprintf(machine->compiler, sizeof(machine->compiler), "%s", BENCH_COMPILER);
}
