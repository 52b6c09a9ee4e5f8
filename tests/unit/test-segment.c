/* SPDX-License-Identifier: MIT */
/*
 * Promises of ring/segment.c: one writer, enforced by the MMU; what is not a segment is refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/base.h>

#include "harness.h"
#include "ring/segment.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define SEALS_SIZE   (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_WRITER (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static const unsigned char channel_id[16] = "segment-test-id";

static struct peal_segment_spec spec_of(uint64_t capacity)
{
	return (struct peal_segment_spec){.capacity = capacity,
					  .align = 64,
					  .role = PEAL_ROLE_HOST,
					  .channel_id = channel_id,
					  .name = "test"};
}

static int create(uint64_t capacity)
{
	const struct peal_segment_spec spec = spec_of(capacity);
	int fd = peal_segment_create(&spec);

	assert_ok(fd);
	return fd;
}

/* A segment as its writer has it: mapped, then sealed. */
static int create_mapped(uint64_t capacity, struct peal_segment *segment)
{
	int fd = create(capacity);

	assert_ok(peal_segment_map(segment, fd, capacity, true));
	assert_ok(peal_segment_seal(fd));
	return fd;
}

static int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:peal") != NULL;
	fclose(maps);
	return count;
}

/* --- Mapping ----------------------------------------------------------------------------------- */

START_TEST(the_data_is_mapped_twice_in_a_row)
{
	const uint64_t capacities[] = {4096, 65536, UINT64_C(1) << 30};
	const uint64_t capacity = capacities[_i];
	struct peal_segment segment;
	int fd = create_mapped(capacity, &segment);
	unsigned char *data = peal_segment_data(&segment);

	ck_assert_ptr_eq(data, (unsigned char *)segment.header + PEAL_HEADER_BYTES);
	data[0] = 'a';
	data[capacity - 1] = 'z';
	ck_assert_uint_eq(data[capacity], 'a');
	ck_assert_uint_eq(data[2 * capacity - 1], 'z');
	data[capacity + 1] = 'b';
	data[2 * capacity - 2] = 'y';
	ck_assert_uint_eq(data[1], 'b');
	ck_assert_uint_eq(data[capacity - 2], 'y');
	/* One write over the seam. */
	memcpy(data + capacity - 4, "12345678", 8);
	ck_assert_int_eq(memcmp(data, "5678", 4), 0);
	peal_segment_unmap(&segment);
	close(fd);
}
END_TEST

START_TEST(a_segment_without_a_ring_is_a_header)
{
	struct peal_segment_header header;
	struct peal_segment segment;
	int fd = create_mapped(0, &segment);

	ck_assert_uint_eq(segment.header->magic, PEAL_LAYOUT_MAGIC);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_HOST, false, &header));
	ck_assert_uint_eq(header.capacity, 0);
	ck_assert_uint_eq(header.segment_size, PEAL_HEADER_BYTES);
	peal_segment_unmap(&segment);
	ck_assert_ptr_null(segment.header);
	peal_segment_unmap(&segment); /* harmless */
	close(fd);
}
END_TEST

START_TEST(both_sides_see_the_same_memory)
{
	struct peal_segment rw, ro;
	int fd = create_mapped(4096, &rw);

	assert_ok(peal_segment_map(&ro, fd, 4096, false));
	rw.header->tail = 4711;
	peal_segment_data(&rw)[100] = 'x';
	ck_assert_uint_eq(ro.header->tail, 4711);
	ck_assert_uint_eq(peal_segment_data(&ro)[4096 + 100], 'x');
	peal_segment_unmap(&rw);
	peal_segment_unmap(&ro);
	close(fd);
}
END_TEST

/* The address space that this process takes up, in pages. */
static unsigned long address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages;
}

START_TEST(a_mapping_that_fails_leaves_nothing)
{
	const uint64_t huge = UINT64_C(1) << 30; /* not to be mistaken for a buffer of stdio */
	unsigned long before = address_space();
	struct peal_segment segment = {.header = NULL, .capacity = 7};
	int fd = create(4096), closed = dup(fd);

	close(closed);
	assert_fails(peal_segment_map(&segment, closed, huge, true), EBADF, "mapping a segment");
	ck_assert_uint_lt(address_space() - before, huge / 4096);
	assert_ok(peal_segment_seal(fd));
	/* Somebody else was faster, after the check. */
	assert_fails(peal_segment_map(&segment, fd, 4096, true), EBUSY, "has its writer already");
	ck_assert_ptr_null(segment.header);
	ck_assert_uint_eq(segment.capacity, 7);
	ck_assert_int_eq(count_mappings(), 0);
	close(fd);
}
END_TEST

START_TEST(a_forked_child_has_no_mapping)
{
	struct peal_segment rw, ro;
	int status, fd = create_mapped(4096, &rw);
	pid_t pid;

	assert_ok(peal_segment_map(&ro, fd, 4096, false));
	ck_assert_int_gt(count_mappings(), 0);
	pid = fork();
	if (pid == 0)
		_exit(count_mappings());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	peal_segment_unmap(&rw);
	peal_segment_unmap(&ro);
	close(fd);
}
END_TEST

/* --- Seals ------------------------------------------------------------------------------------- */

START_TEST(after_sealing_nobody_else_can_write)
{
	struct peal_segment segment;
	int fd = create_mapped(4096, &segment);
	void *map;

	ck_assert_ptr_eq(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mprotect(map, 8192, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
	munmap(map, 8192);
	ck_assert_int_eq(pwrite(fd, "x", 1, 5000), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), -1);
	ck_assert_int_eq(errno, EPERM);

	/* … but the writer can. */
	segment.header->tail = 1;
	peal_segment_data(&segment)[0] = 'x';
	ck_assert_uint_eq(peal_segment_data(&segment)[4096], 'x');
	peal_segment_unmap(&segment);
	close(fd);
}
END_TEST

START_TEST(the_size_is_fixed_before_anybody_maps)
{
	int fd = create(4096);
	const off_t sizes[] = {0, 4096, 8191, 8193, 1 << 20};
	struct stat st;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		ck_assert_int_eq(ftruncate(fd, sizes[i]), -1);
		ck_assert_int_eq(errno, EPERM);
	}
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 8192);
	close(fd);
}
END_TEST

START_TEST(seals_are_final)
{
	struct peal_segment segment;
	int fd = create_mapped(4096, &segment);

	ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & (SEALS_SIZE | SEALS_WRITER),
			 SEALS_SIZE | SEALS_WRITER);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(errno, EPERM);
	/* So the second of two that attach as the same side is refused, even in a race. */
	assert_fails(peal_segment_seal(fd), EBUSY, "has its writer already");
	peal_segment_unmap(&segment);
	close(fd);
}
END_TEST

/* --- Creating ---------------------------------------------------------------------------------- */

START_TEST(the_memory_is_there_from_the_start)
{
	const uint64_t capacities[] = {0, 4096, 65536, UINT64_C(1) << 26};
	int fd = create(capacities[_i]);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_size, PEAL_HEADER_BYTES + capacities[_i]);
	ck_assert_uint_ge(st.st_blocks * 512, PEAL_HEADER_BYTES + capacities[_i]);
	close(fd);
}
END_TEST

START_TEST(the_identity_is_what_was_asked_for)
{
	struct peal_segment_spec spec = spec_of(65536);
	struct peal_segment_header header;
	int fd;

	spec.align = 8;
	spec.role = PEAL_ROLE_GUEST;
	spec.incompatible_flags = PEAL_INCOMPATIBLE_EVENTFD;
	spec.name = "a name that is longer than the 31 bytes that are kept";
	fd = peal_segment_create(&spec);
	assert_ok(fd);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_GUEST, true, &header));
	ck_assert_uint_eq(header.magic, PEAL_LAYOUT_MAGIC);
	ck_assert_uint_eq(header.version, PEAL_LAYOUT_VERSION);
	ck_assert_uint_eq(header.capacity, 65536);
	ck_assert_uint_eq(header.record_align, 8);
	ck_assert_uint_eq(header.role, PEAL_ROLE_GUEST);
	ck_assert_uint_eq(header.incompatible_flags, PEAL_INCOMPATIBLE_EVENTFD);
	ck_assert_mem_eq(header.channel_id, channel_id, 16);
	ck_assert_str_eq(header.name, "a name that is longer than the ");
	ck_assert_uint_eq(header.state, PEAL_STATE_CREATED);
	close(fd);
}
END_TEST

START_TEST(a_bad_spec_is_refused)
{
	const uint64_t capacities[] = {1,           2048,
				       4095,        4097,
				       4096 + 8192, PEAL_CAPACITY_MAX * 2,
				       3 << 20,     UINT64_C(1) << 63,
				       UINT64_MAX};
	const uint32_t aligns[] = {0, 1, 4, 7, 16, 32, 63, 128, UINT32_MAX};
	struct peal_segment_spec spec;

	for (size_t i = 0; i < LENGTH(capacities); i++) {
		spec = spec_of(capacities[i]);
		assert_fails(peal_segment_create(&spec), EINVAL, "expected a power of two");
	}
	for (size_t i = 0; i < LENGTH(aligns); i++) {
		spec = spec_of(4096);
		spec.align = aligns[i];
		assert_fails(peal_segment_create(&spec), EINVAL, "expected 8 or 64");
	}
}
END_TEST

START_TEST(a_file_size_limit_is_an_errno_and_no_signal)
{
	const struct peal_segment_spec spec = spec_of(65536);
	const rlim_t exact = PEAL_HEADER_BYTES + 65536;
	struct rlimit before, low;
	int rc, fd;

	/* SIGXFSZ is fatal as it is; this test would not come back from it. */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = (struct rlimit){.rlim_cur = exact - 1, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	rc = peal_segment_create(&spec);
	low.rlim_cur = exact;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	fd = peal_segment_create(&spec);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_fails(rc, EFBIG, "over RLIMIT_FSIZE");
	assert_ok(fd);
	close(fd);
}
END_TEST

START_TEST(more_memory_than_the_machine_has_is_not_tried_for)
{
	const struct peal_segment_spec spec = spec_of(UINT64_C(1) << 40);
	struct rlimit before, low;
	struct sysinfo machine;
	int rc;

	ck_assert_int_eq(sysinfo(&machine), 0);
	if (((uint64_t)machine.totalram + machine.totalswap) * machine.mem_unit >= spec.capacity)
		harness_skip("this machine has memory for the largest segment");
	/* Without the check this limit must save the machine. */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = (struct rlimit){.rlim_cur = 65536, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	rc = peal_segment_create(&spec);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_fails(rc, ENOMEM, "this machine has memory for");
}
END_TEST

START_TEST(without_descriptors_nothing_is_left)
{
	const struct peal_segment_spec spec = spec_of(4096);
	struct rlimit before, low;
	int rc, next = dup(STDERR_FILENO);

	ck_assert_int_ge(next, 3);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	rc = peal_segment_create(&spec);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_fails(rc, EMFILE, "creating a segment");
	/* The harness looks for descriptors and mappings. */
}
END_TEST

START_TEST(the_descriptor_is_not_a_standard_stream_and_not_inherited)
{
	int fd, saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);

	close(STDIN_FILENO);
	fd = create(4096);
	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	close(fd);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);

	fd = create(4096);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

/* --- Checking ---------------------------------------------------------------------------------- */

/* The check fails like this and leaves its output alone. */
static void expect_refused(int fd, bool ours, int error, const char *words)
{
	struct peal_segment_header header, before;

	memset(&before, 0xa5, sizeof(before));
	header = before;
	assert_fails(peal_segment_check(fd, PEAL_ROLE_HOST, ours, &header), error, words);
	ck_assert_mem_eq(&header, &before, sizeof(header));
}

static void expect_refused_close(int fd, bool ours, int error, const char *words)
{
	ck_assert_int_ge(fd, 0);
	expect_refused(fd, ours, error, words);
	close(fd);
}

START_TEST(what_is_not_a_memfd_is_refused)
{
	char path[] = "/tmp/peal-test-segment-XXXXXX";
	int plain = mkstemp(path), pipe_fds[2], closed;

	unlink(path);
	ck_assert_int_eq(ftruncate(plain, 8192), 0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	closed = dup(plain);
	close(closed);
	for (int ours = 0; ours <= 1; ours++) {
		expect_refused(closed, ours, EBADF, "segment");
		expect_refused(-1, ours, EBADF, "segment");
		expect_refused(pipe_fds[0], ours, EINVAL, "not a memfd segment");
		expect_refused(plain, ours, EINVAL, "not a memfd segment");
		expect_refused_close(open("/dev/zero", O_RDWR | O_CLOEXEC), ours, EINVAL,
				     "not a memfd segment");
		expect_refused_close(open("/proc/self/status", O_RDONLY | O_CLOEXEC), ours, EINVAL,
				     "not a memfd segment");
	}
	close(plain);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

START_TEST(huge_pages_are_refused)
{
	/* Sealed like a segment; but a hole punched into it would be SIGBUS for its reader. */
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	if (fd < 0)
		harness_skip("no hugetlb memfd here");
	if (fcntl(fd, F_ADD_SEALS, SEALS_SIZE) != 0)
		harness_skip("no seals on a hugetlb memfd here");
	expect_refused(fd, true, EINVAL, "not a memfd segment");
	close(fd);
}
END_TEST

/* A memfd with this header, of this size, under these seals. */
static int forge(const struct peal_segment_header *header, off_t size, int seals)
{
	const size_t length = (size_t)size < sizeof(*header) ? (size_t)size : sizeof(*header);
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(pwrite(fd, header, length, 0), length);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The header of a good segment, to be spoilt. */
static struct peal_segment_header good_header(void)
{
	struct peal_segment_header header;
	int fd = create(4096);

	assert_ok(peal_segment_check(fd, PEAL_ROLE_HOST, true, &header));
	close(fd);
	return header;
}

START_TEST(seals_say_who_may_take_a_segment)
{
	const struct {
		int seals;
		bool ours;
		int error;
		const char *words;
	} cases[] = {
		{0, true, EINVAL, "can still change its size"},
		{0, false, EINVAL, "can still change its size"},
		{F_SEAL_GROW, true, EINVAL, "can still change its size"},
		{F_SEAL_SHRINK, true, EINVAL, "can still change its size"},
		{F_SEAL_SHRINK | SEALS_WRITER, false, EINVAL, "can still change its size"},
		{SEALS_SIZE, false, EPERM, "not sealed by its writer"},
		{SEALS_SIZE | F_SEAL_FUTURE_WRITE, false, EPERM, "not sealed by its writer"},
		{SEALS_SIZE | F_SEAL_SEAL, false, EPERM, "not sealed by its writer"},
		{SEALS_SIZE | F_SEAL_WRITE, false, EPERM, "not sealed by its writer"},
		{SEALS_SIZE | SEALS_WRITER, true, EBUSY, "has its writer already"},
		{SEALS_SIZE | F_SEAL_FUTURE_WRITE, true, EBUSY, "has its writer already"},
		{SEALS_SIZE | F_SEAL_SEAL, true, EBUSY, "has its writer already"},
		{SEALS_SIZE | F_SEAL_WRITE, true, EBUSY, "has its writer already"},
	};
	struct peal_segment_header header = good_header(), copy;
	int fd;

	for (size_t i = 0; i < LENGTH(cases); i++)
		expect_refused_close(forge(&header, 8192, cases[i].seals), cases[i].ours,
				     cases[i].error, cases[i].words);
	/* So that the cases above fail by their seals and nothing else. */
	fd = forge(&header, 8192, SEALS_SIZE);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_HOST, true, &copy));
	close(fd);
	fd = forge(&header, 8192, SEALS_SIZE | SEALS_WRITER);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_HOST, false, &copy));
	ck_assert_mem_eq(&copy, &header, sizeof(copy));
	close(fd);
}
END_TEST

#define FIELD(member)                                                                              \
	offsetof(struct peal_segment_header, member),                                              \
		sizeof(((struct peal_segment_header *)0)->member)

/* One word of the identity is not what it should be. */
static const struct {
	size_t offset, size;
	uint64_t value;
	int error;
	const char *words;
} false_words[] = {
	{FIELD(magic), 0, EINVAL, "wrong magic"},
	{FIELD(magic), PEAL_LAYOUT_MAGIC + 1, EINVAL, "wrong magic"},
	{FIELD(magic), PEAL_LAYOUT_MAGIC ^ UINT64_C(1) << 63, EINVAL, "wrong magic"},
	{FIELD(role), PEAL_ROLE_GUEST, EINVAL, "is the guest's, expected the host's"},
	{FIELD(role), 0, EINVAL, "expected the host's"},
	{FIELD(role), 77, EINVAL, "expected the host's"},
	{FIELD(header_size), 0, EINVAL, "does not match"},
	{FIELD(header_size), 8192, EINVAL, "does not match"},
	{FIELD(data_offset), 0, EINVAL, "does not match"},
	{FIELD(data_offset), 8192, EINVAL, "does not match"},
	{FIELD(segment_size), 0, EINVAL, "does not match"},
	{FIELD(segment_size), 4096, EINVAL, "does not match"},
	{FIELD(segment_size), UINT64_MAX, EINVAL, "does not match"},
	{FIELD(capacity), 0, EINVAL, "does not match"},
	{FIELD(capacity), 8192, EINVAL, "does not match"},
	{FIELD(capacity), PEAL_CAPACITY_MAX, EINVAL, "does not match"},
	{FIELD(capacity), 4095, EINVAL, "power of two"},
	{FIELD(capacity), 4096 + 8, EINVAL, "power of two"},
	{FIELD(capacity), 2048, EINVAL, "power of two"},
	{FIELD(capacity), PEAL_CAPACITY_MAX * 2, EINVAL, "power of two"},
	{FIELD(capacity), UINT64_MAX - 4095, EINVAL, "power of two"},
	{FIELD(record_align), 0, EINVAL, "expected 8 or 64"},
	{FIELD(record_align), 16, EINVAL, "expected 8 or 64"},
	{FIELD(record_align), 4096, EINVAL, "expected 8 or 64"},
};

START_TEST(a_false_identity_is_refused)
{
	struct peal_segment_header header;

	for (size_t i = 0; i < LENGTH(false_words); i++) {
		header = good_header();
		memcpy((char *)&header + false_words[i].offset, &false_words[i].value,
		       false_words[i].size);
		expect_refused_close(forge(&header, 8192, SEALS_SIZE), true, false_words[i].error,
				     false_words[i].words);
		expect_refused_close(forge(&header, 8192, SEALS_SIZE | SEALS_WRITER), false,
				     false_words[i].error, false_words[i].words);
	}
}
END_TEST

START_TEST(a_file_of_another_size_is_refused)
{
	const struct {
		off_t size;
		const char *words;
	} cases[] = {{0, "wrong magic"},
		     {100, "wrong magic"},
		     /* a part of the header */ {1024, "does not match"}, /* the header alone */
		     {4096, "does not match"},
		     {8191, "does not match"},
		     {8193, "does not match"},
		     {12288, "does not match"}};
	struct peal_segment_header header = good_header();

	for (size_t i = 0; i < LENGTH(cases); i++)
		expect_refused_close(forge(&header, cases[i].size, SEALS_SIZE), true, EINVAL,
				     cases[i].words);
	/* Both sizes wrong alike: the capacity must not be believed either. */
	header.segment_size = 12288;
	expect_refused_close(forge(&header, 12288, SEALS_SIZE), true, EINVAL, "does not match");
}
END_TEST

/* Not our version or features; the version is told, so that one can say which. */
static void expect_unsupported(const struct peal_segment_header *forged, const char *words)
{
	struct peal_segment_header header, expected;
	int fd = forge(forged, 8192, SEALS_SIZE);

	memset(&header, 0xa5, sizeof(header));
	expected = header;
	expected.version = forged->version;
	assert_fails(peal_segment_check(fd, PEAL_ROLE_HOST, true, &header), EPROTONOSUPPORT, words);
	ck_assert_mem_eq(&header, &expected, sizeof(header));
	close(fd);
}

START_TEST(another_version_is_refused_by_its_number)
{
	const uint32_t versions[] = {0, PEAL_LAYOUT_VERSION + 1, 4711, UINT32_MAX};
	struct peal_segment_header header = good_header();
	char words[64];

	/* Whatever else a coming version means by the other words. */
	memset(&header.segment_size, 0xff,
	       sizeof(header) - offsetof(struct peal_segment_header, segment_size));
	for (size_t i = 0; i < LENGTH(versions); i++) {
		header.version = versions[i];
		snprintf(words, sizeof(words), "layout version %u, this side has %u", versions[i],
			 PEAL_LAYOUT_VERSION);
		expect_unsupported(&header, words);
	}
}
END_TEST

START_TEST(unknown_features_are_refused_unless_compatible)
{
	const uint64_t flags[] = {2, 2 | PEAL_INCOMPATIBLE_EVENTFD, UINT64_C(1) << 63};
	struct peal_segment_header header = good_header(), copy;
	int fd;

	header.compatible_flags = UINT64_MAX;
	for (size_t i = 0; i < LENGTH(flags); i++) {
		header.incompatible_flags = flags[i];
		expect_unsupported(&header, "needs features");
	}
	header.incompatible_flags = PEAL_INCOMPATIBLE_EVENTFD;
	fd = forge(&header, 8192, SEALS_SIZE);
	assert_ok(peal_segment_check(fd, PEAL_ROLE_HOST, true, &copy));
	ck_assert_mem_eq(&copy, &header, sizeof(copy));
	close(fd);
}
END_TEST

int main(void)
{
	return harness_main("segment",
			    (struct harness_case[]){
				    {the_data_is_mapped_twice_in_a_row, 3},
				    {a_segment_without_a_ring_is_a_header, 0},
				    {both_sides_see_the_same_memory, 0},
				    {a_mapping_that_fails_leaves_nothing, 0},
				    {a_forked_child_has_no_mapping, 0},
				    {after_sealing_nobody_else_can_write, 0},
				    {the_size_is_fixed_before_anybody_maps, 0},
				    {seals_are_final, 0},
				    {the_memory_is_there_from_the_start, 4},
				    {the_identity_is_what_was_asked_for, 0},
				    {a_bad_spec_is_refused, 0},
				    {a_file_size_limit_is_an_errno_and_no_signal, 0},
				    {more_memory_than_the_machine_has_is_not_tried_for, 0},
				    {without_descriptors_nothing_is_left, 0},
				    {the_descriptor_is_not_a_standard_stream_and_not_inherited, 0},
				    {what_is_not_a_memfd_is_refused, 0},
				    {huge_pages_are_refused, 0},
				    {seals_say_who_may_take_a_segment, 0},
				    {a_false_identity_is_refused, 0},
				    {a_file_of_another_size_is_refused, 0},
				    {another_version_is_refused_by_its_number, 0},
				    {unknown_features_are_refused_unless_compatible, 0},
				    HARNESS_END,
			    });
}
