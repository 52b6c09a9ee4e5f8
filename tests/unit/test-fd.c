/* SPDX-License-Identifier: MIT */
/*
 * Promises of base/: descriptors, deadlines, errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/base.h>

#include "base/clock.h"
#include "base/fd.h"
#include "harness.h"

START_TEST(a_number_is_read_strictly)
{
	static const struct {
		const char *text, *words;
		int error;
	} bad[] = {
		{"", "not a descriptor number", EINVAL},
		{"+5", "not a descriptor number", EINVAL},
		{"-5", "not a descriptor number", EINVAL},
		{" 5", "not a descriptor number", EINVAL},
		{"5 ", "not a descriptor number", EINVAL},
		{"5x", "not a descriptor number", EINVAL},
		{"0x5", "not a descriptor number", EINVAL},
		{"5,6", "not a descriptor number", EINVAL},
		{"0", "standard stream", EINVAL},
		{"1", "standard stream", EINVAL},
		{"2", "standard stream", EINVAL},
		{"2147483648", "too large", ERANGE},
		{"99999999999999999999999999", "too large", ERANGE},
		{"999", "not open", EBADF},
	};
	int fd = -7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(peal_fd_parse("--x", bad[i].text, &fd), bad[i].error, bad[i].words);
		ck_assert_int_eq(fd, -7);
	}
}
END_TEST

START_TEST(an_open_number_is_accepted)
{
	char text[16];
	int fd = -1, made = peal_fd_move_up_take(eventfd(0, EFD_CLOEXEC));

	snprintf(text, sizeof(text), "00%d", made);
	assert_ok(peal_fd_parse("--x", text, &fd));
	ck_assert_int_eq(fd, made);
	peal_fd_close(&made);
	ck_assert_int_eq(made, -1);
}
END_TEST

START_TEST(a_low_descriptor_is_moved_up_close_on_exec)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), fd;

	close(STDIN_FILENO);
	fd = eventfd(0, 0);
	ck_assert_int_eq(fd, 0);
	fd = peal_fd_move_up_take(fd);
	ck_assert_int_ge(fd, PEAL_FD_MIN);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	peal_fd_close(&fd);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}
END_TEST

START_TEST(a_high_descriptor_stays_where_it_is)
{
	int made = eventfd(0, EFD_CLOEXEC), fd = peal_fd_move_up_take(made);

	ck_assert_int_ge(made, PEAL_FD_MIN);
	ck_assert_int_eq(fd, made);
	peal_fd_close(&fd);
}
END_TEST

START_TEST(closing_leaves_errno_alone)
{
	int fd = 999;

	errno = ESTALE;
	peal_fd_close(&fd); /* not open: close(2) says EBADF */
	ck_assert_int_eq(errno, ESTALE);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_failed_creation_passes_its_errno_through)
{
	errno = EMFILE;
	ck_assert_int_eq(peal_fd_move_up_take(-1), -EMFILE);
}
END_TEST

START_TEST(flags_are_set_and_cleared)
{
	int fd = peal_fd_move_up_take(eventfd(0, 0));

	assert_ok(peal_fd_set_cloexec(fd));
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ok(peal_fd_clear_cloexec(fd));
	ck_assert_int_eq(fcntl(fd, F_GETFD), 0);
	assert_ok(peal_fd_set_nonblocking(fd));
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_ok(peal_fd_validate(fd));
	peal_fd_close(&fd);
	assert_fails(peal_fd_validate(999), EBADF, "999 is not open");
	assert_fails(peal_fd_validate(2), EINVAL, "below 3");
	assert_fails(peal_fd_set_cloexec(999), EBADF, "close-on-exec");
	assert_fails(peal_fd_set_nonblocking(999), EBADF, "O_NONBLOCK");
	ck_assert_int_eq(peal_fd_clear_cloexec(999), -EBADF);
}
END_TEST

START_TEST(anonymous_kinds_are_told_apart)
{
	int pair[2], event = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert(peal_fd_is_anon(event, "[eventfd]"));
	ck_assert(!peal_fd_is_anon(event, "[eventpoll]"));
	ck_assert(!peal_fd_is_anon(pair[0], "[eventfd]"));
	ck_assert(!peal_fd_is_anon(999, "[eventfd]"));
	close(event);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_file_of_an_anonymous_name_is_none)
{
	/* As many bytes before the name as there are in "anon_inode:". */
	char path[] = "/tmp/XXXXXX[eventfd]";
	int fd = mkostemps(path, strlen("[eventfd]"), O_CLOEXEC);
	bool is_anon = peal_fd_is_anon(fd, "[eventfd]");

	unlink(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(strlen(path), strlen("anon_inode:[eventfd]"));
	ck_assert(!is_anon);
	close(fd);
}
END_TEST

START_TEST(deadlines_saturate_and_count_down)
{
	struct timespec left;
	uint64_t before = peal_now_ns();

	ck_assert(peal_deadline_in_ns(UINT64_MAX) == PEAL_FOREVER - 1);
	ck_assert(peal_deadline_in_ns(1000) >= before + 1000);
	ck_assert_ptr_null(peal_time_left(PEAL_FOREVER, &left));
	ck_assert_ptr_eq(peal_time_left(PEAL_TRY, &left), &left);
	ck_assert(left.tv_sec == 0 && left.tv_nsec == 0);
	peal_time_left(before, &left);
	ck_assert(left.tv_sec == 0 && left.tv_nsec == 0);
	peal_time_left(before + 90 * NSEC_PER_SEC, &left);
	ck_assert(left.tv_sec > 0 && left.tv_sec <= 90);
	ck_assert(peal_deadline_passed(PEAL_TRY) && peal_deadline_passed(before));
	ck_assert(!peal_deadline_passed(before + 90 * NSEC_PER_SEC));
	ck_assert(!peal_deadline_passed(PEAL_FOREVER));
}
END_TEST

START_TEST(every_error_has_a_text)
{
	ck_assert_str_eq(peal_strerror(-EPROTO), "the peer broke the protocol");
	ck_assert_str_eq(peal_strerror(EPROTO), peal_strerror(-EPROTO));
	ck_assert_str_eq(peal_strerror(-ENOENT), "No such file or directory");
	ck_assert_str_eq(peal_strerror(-123456), "unknown error");
	ck_assert_str_eq(peal_strerror(INT_MIN + 1), "unknown error");
}
END_TEST

int main(void)
{
	return harness_main("fd", (struct harness_case[]){
					  {a_number_is_read_strictly, 0},
					  {an_open_number_is_accepted, 0},
					  {a_low_descriptor_is_moved_up_close_on_exec, 0},
					  {a_high_descriptor_stays_where_it_is, 0},
					  {closing_leaves_errno_alone, 0},
					  {a_failed_creation_passes_its_errno_through, 0},
					  {flags_are_set_and_cleared, 0},
					  {anonymous_kinds_are_told_apart, 0},
					  {a_file_of_an_anonymous_name_is_none, 0},
					  {deadlines_saturate_and_count_down, 0},
					  {every_error_has_a_text, 0},
					  HARNESS_END,
				  });
}
