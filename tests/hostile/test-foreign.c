/* SPDX-License-Identifier: MIT */
/*
 * Promises about what a guest is offered as a segment: what is none, or not what it says, is refused
 * before it is mapped, with an error that says what is wrong, and nothing is closed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "hostile/attach.h"
#include "ring/layout.h"

#define SEALS_SIZE   (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_WRITER (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* --- T5: foreign descriptors in a segment's place -------------------------------------------- */

static int sealed_memfd(size_t size, unsigned int flags, int seals)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0)
		return fd;
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int one_of_two(int fds[2])
{
	close(fds[1]);
	return fds[0];
}

static int pipe_end(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	return one_of_two(fds);
}

static int socket_end(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return one_of_two(fds);
}

START_TEST(a_foreign_descriptor_is_no_segment)
{
	const struct {
		const char *what;
		int fd, error;
		const char *words;
	} foreign[] = {
		{"a plain file", open("/proc/self/exe", O_RDONLY | O_CLOEXEC), EINVAL,
		 "not a memfd segment"},
		{"a directory", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EINVAL,
		 "not a memfd segment"},
		{"a path", open("/", O_PATH | O_CLOEXEC), EINVAL, "not a memfd segment"},
		{"a file of the kernel's", open("/proc/self/maps", O_RDONLY | O_CLOEXEC), EINVAL,
		 "not a memfd segment"},
		{"a device", open("/dev/zero", O_RDWR | O_CLOEXEC), EINVAL, "not a memfd segment"},
		{"a pipe", pipe_end(), EINVAL, "not a memfd segment"},
		{"a socket", socket_end(), EINVAL, "not a memfd segment"},
		{"an eventfd", eventfd(0, EFD_CLOEXEC), EINVAL, "not a memfd segment"},
		{"an epoll", epoll_create1(EPOLL_CLOEXEC), EINVAL, "not a memfd segment"},
		{"huge pages", sealed_memfd(2 << 20, MFD_HUGETLB, SEALS_SIZE), EINVAL,
		 "not a memfd segment"},
		{"an unsealed memfd", sealed_memfd(8192, 0, 0), EINVAL,
		 "can still change its size"},
		{"one that can grow", sealed_memfd(8192, 0, F_SEAL_SHRINK), EINVAL,
		 "can still change its size"},
		{"an empty one", sealed_memfd(0, 0, SEALS_SIZE), EINVAL, "wrong magic"},
		{"one of zeros", sealed_memfd(8192, 0, SEALS_SIZE), EINVAL, "wrong magic"},
	};

	accounts_open();
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		struct peal_channel *channel;
		struct peal_guest_fds fds;

		if (foreign[i].fd < 0)
			continue; /* huge pages, where there are none */
		open_channel(&channel, &fds);
		fds.guest_segment = foreign[i].fd;
		expect(attach(&fds, NULL, NULL), foreign[i].what, foreign[i].error,
		       foreign[i].words);
		peal_channel_close(channel);
		close(foreign[i].fd);
	}
	accounts_close();
}
END_TEST

/* --- T4, T7: a segment that is not what it says ---------------------------------------------- */

/* A copy of the host's segment, one field of its header another, under these seals. */
static int forge(int segment, size_t offset, uint64_t value, size_t size, off_t bytes, int seals)
{
	struct peal_segment_header header;
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(pread(segment, &header, sizeof(header), 0), sizeof(header));
	memcpy((char *)&header + offset, &value, size);
	ck_assert_int_eq(ftruncate(fd, bytes), 0);
	ck_assert_int_eq(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

#define FIELD(member)                                                                              \
	offsetof(struct peal_segment_header, member),                                              \
		sizeof(((struct peal_segment_header *)0)->member)

START_TEST(a_host_segment_that_lies_is_refused)
{
	const int good = SEALS_SIZE | SEALS_WRITER;
	const off_t right = PEAL_HEADER_BYTES + RING_BYTES;
	const struct {
		size_t offset, size;
		uint64_t value;
		off_t bytes;
		int seals, error;
		const char *words;
	} lies[] = {
		{FIELD(magic), 0, right, good, EINVAL, "wrong magic"},
		{FIELD(magic), PEAL_LAYOUT_MAGIC + 1, right, good, EINVAL, "wrong magic"},
		{FIELD(version), 7, right, good, EPROTONOSUPPORT, "layout version 7"},
		{FIELD(version), 0, right, good, EPROTONOSUPPORT, "layout version 0"},
		{FIELD(incompatible_flags), 6, right, good, EPROTONOSUPPORT, "needs features 0x6"},
		{FIELD(incompatible_flags), 1, right, good, EINVAL, "of different channels"},
		{FIELD(header_size), 8192, right, good, EINVAL, "does not match"},
		{FIELD(data_offset), 0, right, good, EINVAL, "does not match"},
		{FIELD(segment_size), 1 << 20, right, good, EINVAL, "does not match"},
		{FIELD(capacity), 1 << 20, right, good, EINVAL, "does not match"},
		{FIELD(capacity), 4095, right, good, EINVAL, "a capacity of 4095"},
		{FIELD(capacity), UINT64_MAX, right, good, EINVAL, "a capacity of"},
		{FIELD(capacity), UINT64_C(1) << 41, right, good, EINVAL, "a capacity of"},
		{FIELD(record_align), 16, right, good, EINVAL, "alignment of 16"},
		{FIELD(record_align), 64, right, good, EINVAL, "of different channels"},
		{FIELD(role), PEAL_ROLE_GUEST, right, good, EINVAL, "is the guest's"},
		{FIELD(channel_id), 0x5a5a, right, good, EINVAL, "of different channels"},
		{FIELD(name), 0, right + 4096, good, EINVAL, "does not match"},
		{FIELD(name), 0, right - 4096, good, EINVAL, "does not match"},
		/* T4: whoever sent it could still write. */
		{FIELD(name), 0, right, SEALS_SIZE, EPERM, "not sealed by its writer"},
		{FIELD(name), 0, right, SEALS_SIZE | F_SEAL_SEAL, EPERM,
		 "not sealed by its writer"},
		{FIELD(name), 0, right, SEALS_SIZE | F_SEAL_FUTURE_WRITE, EPERM,
		 "not sealed by its writer"},
		{FIELD(name), 0, right, F_SEAL_SHRINK | SEALS_WRITER, EINVAL,
		 "can still change its size"},
		{FIELD(name), 0, right, F_SEAL_GROW | SEALS_WRITER, EINVAL,
		 "can still change its size"},
	};

	accounts_open();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct peal_channel *channel;
		struct peal_guest_fds fds;
		char what[32];

		open_channel(&channel, &fds);
		fds.host_segment =
			forge(fds.host_segment, lies[i].offset, lies[i].value,
			      lies[i].size > 8 ? 8 : lies[i].size, lies[i].bytes, lies[i].seals);
		snprintf(what, sizeof(what), "lie %zu", i);
		expect(attach(&fds, NULL, NULL), what, lies[i].error, lies[i].words);
		close(fds.host_segment);
		peal_channel_close(channel);
	}
	accounts_close();
}
END_TEST

int main(void)
{
	return attach_main("hostile-foreign", (struct harness_case[]){
						      {a_foreign_descriptor_is_no_segment, 0},
						      {a_host_segment_that_lies_is_refused, 0},
						      HARNESS_END,
					      });
}
