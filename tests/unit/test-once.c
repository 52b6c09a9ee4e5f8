/* SPDX-License-Identifier: MIT */
/*
 * Promises of what judges descriptors and arguments, where one call into the kernel fails that is answered
 * at other times: the second of two questions, a read that is interrupted, a few bytes of memory. No filter
 * can tell such a call from the one before it, so the linker puts these in between (--wrap).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <peal/channel.h>
#include <peal/doorbell.h>

#include "harness.h"
#include "ring/segment.h"

/* Which call is to fail: the one after so many. */
static struct {
	const char *name;
	int spared, error;
} failure;

static void let_fail(const char *name, int spared, int error)
{
	failure.spared = spared;
	failure.error = error;
	failure.name = name;
}

static bool fails(const char *name)
{
	if (!failure.name || strcmp(name, failure.name) != 0 || failure.spared-- > 0)
		return false;
	failure.name = NULL;
	errno = failure.error;
	return true;
}

/* CALL(type of the result, failed result, name, parameters, arguments); the names are those that
 * _FILE_OFFSET_BITS=64 gives them. */
#define CALL(type, failed, name, parameters, arguments)                                            \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails(#name) ? failed : __real_##name arguments;                            \
	}

CALL(int, -1, fstat64, (int fd, struct stat *st), (fd, st))
CALL(int, -1, fstatfs64, (int fd, struct statfs *fs), (fd, fs))
CALL(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *length),
     (fd, level, name, value, length))
CALL(ssize_t, -1, pread64, (int fd, void *buffer, size_t size, off_t at), (fd, buffer, size, at))
CALL(void *, NULL, malloc, (size_t size), (size))
CALL(void *, MAP_FAILED, mmap64,
     (void *address, size_t length, int protection, int flags, int fd, off_t at),
     (address, length, protection, flags, fd, at))

static int make_segment(void)
{
	static const unsigned char id[16] = "once";
	const struct peal_segment_spec spec = {
		.capacity = 4096, .align = 8, .role = PEAL_ROLE_GUEST, .channel_id = id};
	int fd = peal_segment_create(&spec);

	assert_ok(fd);
	return fd;
}

START_TEST(an_interrupted_read_of_a_segment_is_made_again)
{
	struct peal_segment_header header;
	int fd = make_segment();

	let_fail("pread64", 0, EINTR);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_GUEST, true, &header));
	ck_assert_ptr_null(failure.name);
	ck_assert_uint_eq(header.capacity, 4096);
	close(fd);
}
END_TEST

START_TEST(a_segment_of_which_something_is_not_told_is_refused)
{
	/* Its kind, its file system, and its size, which is asked for later. */
	static const struct {
		const char *name;
		int spared;
	} questions[] = {{"fstat64", 0}, {"fstatfs64", 0}, {"fstat64", 1}};
	struct peal_segment_header header = {.capacity = 5};
	int fd = make_segment();

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		let_fail(questions[i].name, questions[i].spared, EIO);
		assert_fails(peal_segment_check(fd, PEAL_ROLE_GUEST, true, &header), EIO,
			     "segment");
		ck_assert_ptr_null(failure.name);
		ck_assert_uint_eq(header.capacity, 5);
	}
	close(fd);
}
END_TEST

START_TEST(a_socket_of_which_something_is_not_told_is_no_doorbell)
{
	struct peal_doorbell doorbell;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	for (int spared = 0; spared < 2; spared++) {
		let_fail("getsockopt", spared, EIO);
		assert_fails(peal_doorbell_from_fd_take(&doorbell, ends[0]), EIO, "no doorbell");
		ck_assert_ptr_null(failure.name);
	}
	/* Not taken: still open, and the caller's. */
	ck_assert_int_eq(close(ends[0]), 0);
	close(ends[1]);
}
END_TEST

START_TEST(without_memory_nothing_is_attached)
{
	char *argv[] = {strdupa("guest"), strdupa("--segment-fd=9"), NULL};
	struct peal_channel *channel = (void *)&channel;
	const struct peal_guest_fds fds = {0};
	int argc = 2;

	let_fail("malloc", 0, ENOMEM);
	assert_fails(peal_attach_args(&channel, &argc, argv, NULL), ENOMEM, "allocating");
	ck_assert_int_eq(argc, 2);
	ck_assert_str_eq(argv[1], "--segment-fd=9");
	let_fail("mmap64", 0, ENOMEM);
	assert_fails(peal_attach_fds(&channel, &fds, NULL), ENOMEM, "allocating");
	ck_assert_ptr_null(failure.name);
	ck_assert_ptr_eq(channel, &channel);
}
END_TEST

int main(void)
{
	return harness_main(
		"once",
		(struct harness_case[]){{an_interrupted_read_of_a_segment_is_made_again, 0},
					{a_segment_of_which_something_is_not_told_is_refused, 0},
					{a_socket_of_which_something_is_not_told_is_no_doorbell, 0},
					{without_memory_nothing_is_attached, 0},
					HARNESS_END});
}
