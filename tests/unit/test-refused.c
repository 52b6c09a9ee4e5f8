/* SPDX-License-Identifier: MIT */
/*
 * Promises of base/, ring/ and doorbell/ where the kernel refuses: a seccomp filter stands for an older kernel, a
 * cage, or want of something. Each test has a process and so a filter of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <peal/base.h>
#include <peal/doorbell.h>

#include "base/barrier.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/private.h"
#include "harness.h"
#include "refuse.h"
#include "ring/segment.h"

/* Not in Debian 12's headers. */
#ifndef MFD_NOEXEC_SEAL
#	define MFD_NOEXEC_SEAL 0x0008U
#endif

/* The pages of this process. */
static long pages(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long count = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld", &count), 1);
	fclose(file);
	return count;
}

/* --- base/ ----------------------------------------------------------------------------------- */

START_TEST(a_kernel_that_lacks_membarrier_is_promised_to_nobody)
{
	refuse(SYS_membarrier, 0, 0, 0); /* the query knows no command */
	ck_assert(!peal_membarrier_register());
}
END_TEST

START_TEST(a_refused_registration_is_promised_to_nobody)
{
	refuse(SYS_membarrier, 0, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, EPERM);
	ck_assert(!peal_membarrier_register());
}
END_TEST

START_TEST(memory_that_fork_can_not_wipe_is_none)
{
	const size_t size = 64 << 20;
	long before;

	refuse(SYS_madvise, 2, MADV_WIPEONFORK, EINVAL);
	before = pages();
	ck_assert_ptr_null(peal_private_alloc(size));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_lt(pages() - before, (long)(size / 4096));
}
END_TEST

START_TEST(private_memory_comes_and_goes)
{
	const size_t size = 64 << 20;
	long before = pages();
	void *memory = peal_private_alloc(size);

	ck_assert_ptr_nonnull(memory);
	peal_private_free(memory, size);
	ck_assert_int_lt(pages() - before, (long)(size / 4096));
	ck_assert_ptr_null(peal_private_alloc((size_t)1 << 60));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(flags_that_can_not_be_asked_for_are_not_set)
{
	int fd = peal_fd_move_up_take(eventfd(0, EFD_CLOEXEC));

	refuse(SYS_fcntl, 1, F_GETFL, EPERM);
	ck_assert_int_eq(peal_fd_set_nonblocking(fd), -EPERM);
	peal_fd_close(&fd);
}
END_TEST

START_TEST(flags_that_can_not_be_set_are_an_error)
{
	int fd = peal_fd_move_up_take(eventfd(0, EFD_CLOEXEC));

	refuse(SYS_fcntl, 1, F_SETFL, EPERM);
	ck_assert_int_eq(peal_fd_set_nonblocking(fd), -EPERM);
	peal_fd_close(&fd);
}
END_TEST

START_TEST(without_proc_what_has_no_type_may_be_anonymous)
{
	int event = eventfd(0, EFD_CLOEXEC), pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	refuse_all(SYS_readlink, ENOENT);
	ck_assert(peal_fd_is_anon(event, "[eventfd]"));
	ck_assert(!peal_fd_is_anon(pair[0], "[eventfd]"));
	ck_assert(!peal_fd_is_anon(999, "[eventfd]"));
	close(event);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(running_out_of_descriptors_tells_the_limit)
{
	assert_fails(peal_fail(EMFILE, "opening %d", 7), EMFILE, "opening 7 (RLIMIT_NOFILE is ");
	assert_fails(peal_fail(ENFILE, "opening %d", 7), ENFILE, "opening");
	ck_assert_ptr_null(strstr(peal_last_error(), "RLIMIT"));
}
END_TEST

/* --- ring/segment.c -------------------------------------------------------------------------- */

static const unsigned char an_id[16] = {1, 2, 3};

static const struct peal_segment_spec a_spec = {
	.capacity = 1 << 16,
	.align = 8,
	.role = PEAL_ROLE_GUEST,
	.channel_id = an_id,
	.name = "test",
};

START_TEST(a_kernel_that_does_not_know_noexec_makes_a_segment)
{
	struct peal_segment_header header;
	int fd;

	refuse_if(SYS_memfd_create, 1, MFD_NOEXEC_SEAL, MFD_NOEXEC_SEAL, EINVAL);
	fd = peal_segment_create(&a_spec);
	assert_ok(fd);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_GUEST, true, &header));
	close(fd);
}
END_TEST

START_TEST(a_segment_without_memory_is_an_error)
{
	refuse_all(SYS_fallocate, ENOSPC);
	assert_fails(peal_segment_create(&a_spec), ENOSPC, "allocating a segment");
}
END_TEST

START_TEST(a_machine_that_does_not_tell_its_memory_sets_no_limit)
{
	int fd;

	refuse_all(SYS_sysinfo, ENOSYS);
	fd = peal_segment_create(&a_spec);
	assert_ok(fd);
	close(fd);
}
END_TEST

static int interruptions;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (interruptions-- > 0) {
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

START_TEST(a_signal_does_not_end_the_allocation)
{
	int fd;

	interruptions = 3;
	fd = peal_segment_create(&a_spec);
	assert_ok(fd);
	ck_assert_int_lt(interruptions, 0);
	close(fd);
}
END_TEST

START_TEST(nobody_can_execute_a_segment)
{
	int fd = memfd_create("old kernel?", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	struct stat st;

	if (fd < 0)
		harness_skip("this kernel does not know MFD_NOEXEC_SEAL");
	close(fd);
	fd = peal_segment_create(&a_spec);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0111, 0);
	close(fd);
}
END_TEST

START_TEST(a_segment_without_its_mirror_is_not_mapped)
{
	struct peal_segment segment = {0};
	int fd = peal_segment_create(&a_spec);

	assert_ok(fd);
	refuse(SYS_mmap, 5, PEAL_HEADER_BYTES, ENOMEM);
	assert_fails(peal_segment_map(&segment, fd, a_spec.capacity, true), ENOMEM, "mapping");
	close(fd);
}
END_TEST

START_TEST(a_segment_without_identity_is_an_error)
{
	refuse_all(SYS_pwrite64, ENOSPC);
	assert_fails(peal_segment_create(&a_spec), ENOSPC, "identity");
}
END_TEST

START_TEST(a_segment_that_can_not_be_sealed_is_an_error)
{
	refuse(SYS_fcntl, 1, F_ADD_SEALS, EPERM);
	assert_fails(peal_segment_create(&a_spec), EPERM, "sealing");
}
END_TEST

START_TEST(seals_that_the_kernel_ignores_are_an_error)
{
	refuse(SYS_fcntl, 1, F_ADD_SEALS, 0);
	assert_fails(peal_segment_create(&a_spec), EOPNOTSUPP, "ignores the seals");
}
END_TEST

START_TEST(a_segment_that_fork_would_share_is_not_mapped)
{
	struct peal_segment segment = {0};
	int fd = peal_segment_create(&a_spec);

	assert_ok(fd);
	refuse(SYS_madvise, 2, MADV_DONTFORK, EINVAL);
	assert_fails(peal_segment_map(&segment, fd, a_spec.capacity, true), EINVAL, "mapping");
	ck_assert_ptr_null(segment.header);
	close(fd);
}
END_TEST

START_TEST(what_can_not_be_asked_is_no_segment)
{
	struct peal_segment_header header;
	int fd = peal_segment_create(&a_spec);

	assert_ok(fd);
	refuse_all(SYS_fstatfs, ENOSYS);
	assert_fails(peal_segment_check(fd, PEAL_ROLE_GUEST, true, &header), ENOSYS, "segment");
	assert_fails(peal_segment_check(999, PEAL_ROLE_GUEST, true, &header), EBADF, "segment");
	close(fd);
}
END_TEST

START_TEST(a_wait_that_the_kernel_refuses_is_an_error)
{
	struct peal_doorbell_handle far;
	struct peal_doorbell near;

	assert_ok(peal_doorbell_create(&near, &far));
	refuse_all(SYS_ppoll, EPERM);
	assert_fails(peal_doorbell_wait(&near, PEAL_FOREVER), EPERM, "waiting at the doorbell");
	peal_doorbell_close(&near);
	peal_doorbell_handle_close(&far);
}
END_TEST

int main(void)
{
	return harness_main("refused",
			    (struct harness_case[]){
				    {a_kernel_that_lacks_membarrier_is_promised_to_nobody, 0},
				    {a_refused_registration_is_promised_to_nobody, 0},
				    {memory_that_fork_can_not_wipe_is_none, 0},
				    {private_memory_comes_and_goes, 0},
				    {flags_that_can_not_be_asked_for_are_not_set, 0},
				    {flags_that_can_not_be_set_are_an_error, 0},
				    {without_proc_what_has_no_type_may_be_anonymous, 0},
				    {running_out_of_descriptors_tells_the_limit, 0},
				    {a_kernel_that_does_not_know_noexec_makes_a_segment, 0},
				    {a_segment_without_memory_is_an_error, 0},
				    {a_machine_that_does_not_tell_its_memory_sets_no_limit, 0},
				    {a_signal_does_not_end_the_allocation, 0},
				    {nobody_can_execute_a_segment, 0},
				    {a_segment_without_its_mirror_is_not_mapped, 0},
				    {a_segment_without_identity_is_an_error, 0},
				    {a_segment_that_can_not_be_sealed_is_an_error, 0},
				    {seals_that_the_kernel_ignores_are_an_error, 0},
				    {a_segment_that_fork_would_share_is_not_mapped, 0},
				    {what_can_not_be_asked_is_no_segment, 0},
				    {a_wait_that_the_kernel_refuses_is_an_error, 0},
				    HARNESS_END,
			    });
}
