/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>

#include "command.h"
#include "replay.h"

struct info {
	uint64_t blocks, sessions, records, bytes;
	uint64_t raw_bytes, whole_bytes; /* records with their heads; the file without a torn end */
	uint64_t first_ns, last_ns;
	uint64_t torn_bytes;
	bool damaged;
};

static void add(struct info *info, const struct log_block *block)
{
	if (info->blocks++ == 0)
		info->first_ns = block->time_ns;
	info->sessions += block->flags & LOG_SESSION ? 1 : 0;
	info->records += block->records;
	info->bytes += block->bytes;
	info->raw_bytes += block->raw_size;
	info->last_ns = block->time_ns + block->duration_ns;
}

/* A clock that was set back between two sessions makes no time. */
static uint64_t duration_ns(const struct info *info)
{
	return info->last_ns > info->first_ns ? info->last_ns - info->first_ns : 0;
}

static void print_time(const char *what, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	char text[64];
	struct tm parts;

	if (localtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%F %T", &parts) > 0)
		printf("  %-10s %s.%06u\n", what, text,
		       (unsigned int)(time_ns % 1000000000 / 1000));
}

static void print_text(const char *path, const struct info *info)
{
	char bytes[FORMAT_MAX], stored[FORMAT_MAX], time[FORMAT_MAX];

	printf("%s\n", path);
	printf("  %-10s %llu\n", "records", (unsigned long long)info->records);
	printf("  %-10s %s\n", "payload", format_bytes(bytes, info->bytes));
	printf("  %-10s %s in %llu %s", "file", format_bytes(stored, info->whole_bytes),
	       (unsigned long long)info->blocks, info->blocks == 1 ? "block" : "blocks");
	if (info->whole_bytes < info->raw_bytes)
		printf(", %.1f %% of what it holds",
		       100 * (double)info->whole_bytes / (double)info->raw_bytes);
	printf("\n");
	if (info->blocks > 0) {
		print_time("first", info->first_ns);
		print_time("last", info->last_ns);
		printf("  %-10s %s, %llu %s\n", "duration",
		       format_duration(time, duration_ns(info)), (unsigned long long)info->sessions,
		       info->sessions == 1 ? "session" : "sessions");
	}
	if (info->torn_bytes == 0)
		printf("  %-10s whole\n", "end");
	else
		printf("  %-10s %s: %llu bytes are left out\n", "end",
		       info->damaged ? "damaged" : "torn", (unsigned long long)info->torn_bytes);
}

static int print_object(const char *path, const struct info *info)
{
	return print_json(json_pack(
		"{so sI sI sI sI sI sI sI sI sI ss sI}", "file", json_text(path), "records",
		(json_int_t)info->records, "bytes", (json_int_t)info->bytes, "blocks",
		(json_int_t)info->blocks, "sessions", (json_int_t)info->sessions, "raw_bytes",
		(json_int_t)info->raw_bytes, "file_bytes", (json_int_t)info->whole_bytes,
		"first_ns", (json_int_t)info->first_ns, "last_ns", (json_int_t)info->last_ns,
		"duration_ns", (json_int_t)duration_ns(info), "end",
		info->torn_bytes == 0 ? "whole"
		: info->damaged       ? "damaged"
				      : "torn",
		"left_out_bytes", (json_int_t)info->torn_bytes));
}

static int look_at(const char *path, struct info *info)
{
	struct log_reader reader;
	int rc, status = log_open(&reader, path);

	if (status)
		return status;
	while ((rc = log_next_block(&reader)) == 1)
		add(info, &reader.block);
	info->whole_bytes = reader.at;
	info->torn_bytes = log_left(&reader);
	info->damaged = reader.damaged;
	status = rc < 0 ? -rc : reader.damaged ? STATUS_FAILED : STATUS_OK;
	log_shut(&reader);
	return status;
}

static int worse(int status, int other)
{
	return status ? status : other;
}

int replay_info(char *const *paths, bool json)
{
	int status = STATUS_OK;

	for (; *paths; paths++) {
		struct info info = {0};
		int rc = look_at(*paths, &info);

		if ((rc == STATUS_OK || info.damaged) && !json)
			print_text(*paths, &info);
		else if (rc == STATUS_OK || info.damaged)
			rc = worse(print_object(*paths, &info), rc);
		status = worse(status, rc);
	}
	return status;
}
