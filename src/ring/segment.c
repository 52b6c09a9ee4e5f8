/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <peal/base.h>
#include <peal/ring.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/libc.h"
#include "ring/segment.h"

/* Linux 6.3: refuses to execute the memory even before it is sealed. Not in Debian 12's headers. */
#ifndef MFD_NOEXEC_SEAL
#	define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS_CREATED (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_WRITER  (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* Linux' own number for hugetlbfs (linux/magic.h): a hole punched there is SIGBUS for its reader. */
#define HUGETLBFS_MAGIC_NUMBER 0x958458f6

static int check_spec(const struct peal_segment_spec *spec)
{
	uint64_t capacity = spec->capacity;

	if (capacity != 0 && (capacity < PEAL_CAPACITY_MIN || capacity > PEAL_CAPACITY_MAX ||
			      (capacity & (capacity - 1)) != 0))
		return peal_fail(
			EINVAL,
			"a capacity of %llu bytes; expected a power of two from 4 KiB to 1 TiB",
			(unsigned long long)capacity);
	if (spec->align != 8 && spec->align != 64)
		return peal_fail(EINVAL, "a record alignment of %u; expected 8 or 64", spec->align);
	return 0;
}

static int make_memfd(const char *name)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	/* EINVAL: a kernel before 6.3 does not know the flag; the rest must hold all the same. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return peal_fd_move_up_take(fd);
}

/* Give the file its memory now, because later the want of it would be a SIGBUS. */
/* A memfd's pages are charged to no process: when there are no more, the kernel ends others first. What
 * is free is not asked, since caches give way; but more than there is can not be had. */
static int check_memory(uint64_t bytes)
{
	struct sysinfo machine;
	uint64_t all;

	if (sysinfo(&machine) < 0)
		return 0; /* nobody to ask */
	all = ((uint64_t)machine.totalram + machine.totalswap) * machine.mem_unit;
	if (bytes <= all)
		return 0;
	return peal_fail(ENOMEM, "a segment of %llu bytes; this machine has memory for %llu",
			 (unsigned long long)bytes, (unsigned long long)all);
}

static int allocate(int fd, uint64_t bytes)
{
	/* In pieces: an interrupted fallocate gives all of its piece back, so that with one big
	 * piece a steady timer signal could stop it for ever. */
	const uint64_t piece = 16 << 20;
	struct rlimit limit;
	int rc = check_memory(bytes);

	if (rc < 0)
		return rc;
	/* Beyond this limit the kernel does not only fail, it sends SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur)
		return peal_fail(EFBIG, "a segment of %llu bytes is over RLIMIT_FSIZE (%llu)",
				 (unsigned long long)bytes, (unsigned long long)limit.rlim_cur);
	if (TEMP_FAILURE_RETRY(ftruncate(fd, (off_t)bytes)) < 0)
		return peal_fail_errno("sizing a segment");
	for (uint64_t at = 0; at < bytes;) {
		uint64_t length = bytes - at < piece ? bytes - at : piece;

		if (fallocate(fd, 0, (off_t)at, (off_t)length) == 0)
			at += length;
		else if (errno != EINTR)
			return peal_fail_errno("allocating a segment");
	}
	return 0;
}

/* Written through the descriptor: whoever creates a segment need not be its writer. */
static int write_identity(int fd, const struct peal_segment_spec *spec)
{
	struct peal_segment_header header = {
		.magic = PEAL_LAYOUT_MAGIC,
		.version = PEAL_LAYOUT_VERSION,
		.header_size = PEAL_HEADER_BYTES,
		.incompatible_flags = spec->incompatible_flags,
		.segment_size = PEAL_HEADER_BYTES + spec->capacity,
		.data_offset = PEAL_HEADER_BYTES,
		.capacity = spec->capacity,
		.record_align = spec->align,
		.role = spec->role,
	};

	memcpy(header.channel_id, spec->channel_id, sizeof(header.channel_id));
	snprintf(header.name, sizeof(header.name), "%s", spec->name ? spec->name : "");
	if (TEMP_FAILURE_RETRY(pwrite(fd, &header, sizeof(header), 0)) != (ssize_t)sizeof(header))
		return peal_fail_errno("writing a segment's identity");
	return 0;
}

/* Setting a seal and having it are two things on a kernel that does not know it. */
static int add_seals(int fd, int seals)
{
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return peal_fail_errno("sealing a segment");
	if ((fcntl(fd, F_GET_SEALS) & seals) != seals)
		return peal_fail(EOPNOTSUPP, "this kernel ignores the seals of a segment");
	return 0;
}

int peal_segment_seal(int fd)
{
	int rc = add_seals(fd, SEALS_WRITER);

	/* Of two who attach at the same time, the second finds the file sealed against seals. */
	if (rc == -EPERM)
		return peal_fail(EBUSY, "segment %d has its writer already", fd);
	return rc;
}

int peal_segment_create(const struct peal_segment_spec *spec)
{
	PEAL_FD_AUTO fd = -1;
	char name[64];
	int rc = check_spec(spec);

	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "peal:%.31s:%s", spec->name ? spec->name : "",
		 spec->role == PEAL_ROLE_HOST ? "host" : "guest");
	fd = make_memfd(name);
	if (fd < 0)
		return peal_fail(-fd, "creating a segment: %s", peal_strerror(fd));
	rc = allocate(fd, PEAL_HEADER_BYTES + spec->capacity);
	if (rc == 0)
		rc = write_identity(fd, spec);
	if (rc == 0)
		rc = add_seals(fd, SEALS_CREATED);
	return rc < 0 ? rc : peal_fd_steal(&fd);
}

/* The kind of file and its seals, before a byte of it is read. */
static int check_file(int fd, bool ours)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return peal_fail_errno("segment");
	seals = fcntl(fd, F_GET_SEALS);
	if (!S_ISREG(st.st_mode) || seals < 0 || (uint32_t)fs.f_type == HUGETLBFS_MAGIC_NUMBER)
		return peal_fail(EINVAL, "descriptor %d is not a memfd segment", fd);
	if ((seals & SEALS_CREATED) != SEALS_CREATED)
		return peal_fail(EINVAL, "segment %d can still change its size: not sealed", fd);
	if (ours && (seals & (SEALS_WRITER | F_SEAL_WRITE)) != 0)
		return peal_fail(EBUSY, "segment %d has its writer already", fd);
	if (!ours && (seals & SEALS_WRITER) != SEALS_WRITER)
		return peal_fail(EPERM, "segment %d is not sealed by its writer", fd);
	return 0;
}

static int check_geometry(int fd, const struct peal_segment_header *header)
{
	const struct peal_segment_spec spec = {.capacity = header->capacity,
					       .align = header->record_align};
	struct stat st;
	int rc = check_spec(&spec);

	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return peal_fail_errno("segment");
	if (header->header_size != PEAL_HEADER_BYTES || header->data_offset != PEAL_HEADER_BYTES ||
	    header->segment_size != PEAL_HEADER_BYTES + header->capacity ||
	    (uint64_t)st.st_size != header->segment_size)
		return peal_fail(EINVAL,
				 "segment %d has %lld bytes, which its header does not match", fd,
				 (long long)st.st_size);
	return 0;
}

int peal_segment_check(int fd, enum peal_role role, bool ours, struct peal_segment_header *header)
{
	struct peal_segment_header copy;
	ssize_t length;
	int rc = check_file(fd, ours);

	if (rc < 0)
		return rc;
	length = TEMP_FAILURE_RETRY(pread(fd, &copy, sizeof(copy), 0));
	if (length < 0)
		return peal_fail_errno("reading a segment's identity");
	if (length != (ssize_t)sizeof(copy) || copy.magic != PEAL_LAYOUT_MAGIC)
		return peal_fail(EINVAL, "descriptor %d is not a Peal segment: wrong magic", fd);
	if (copy.version != PEAL_LAYOUT_VERSION ||
	    (copy.incompatible_flags & ~PEAL_INCOMPATIBLE_KNOWN) != 0)
		header->version = copy.version; /* for whoever must tell the other side */
	if (copy.version != PEAL_LAYOUT_VERSION)
		return peal_fail(EPROTONOSUPPORT,
				 "segment %d has layout version %u, this side has %u", fd,
				 copy.version, PEAL_LAYOUT_VERSION);
	if (copy.incompatible_flags & ~PEAL_INCOMPATIBLE_KNOWN)
		return peal_fail(EPROTONOSUPPORT,
				 "segment %d needs features %#llx, this side has %#llx", fd,
				 (unsigned long long)copy.incompatible_flags,
				 (unsigned long long)PEAL_INCOMPATIBLE_KNOWN);
	if (copy.role != (uint32_t)role)
		return peal_fail(EINVAL, "segment %d is the %s's, expected the %s's", fd,
				 copy.role == PEAL_ROLE_HOST ? "host" : "guest",
				 role == PEAL_ROLE_HOST ? "host" : "guest");
	rc = check_geometry(fd, &copy);
	if (rc == 0)
		*header = copy;
	return rc;
}

/* Header and data, then the data once more. The first mapping is as long as both, which reserves the
 * address space of the second: what lies behind the end of the file is never seen. */
static void *map_mirrored(int fd, uint64_t capacity, int protection)
{
	const size_t once = PEAL_HEADER_BYTES + capacity;
	unsigned char *base = mmap(NULL, once + capacity, protection, MAP_SHARED, fd, 0);
	void *second = NULL;

	if (base == MAP_FAILED)
		return NULL;
	if (capacity != 0)
		second = mmap(base + once, capacity, protection, MAP_SHARED | MAP_FIXED, fd,
			      PEAL_HEADER_BYTES);
	/* A child of fork must not write as if it were its parent: one writer. */
	if (second != MAP_FAILED && madvise(base, once + capacity, MADV_DONTFORK) == 0)
		return base;
	munmap(base, once + capacity);
	return NULL;
}

int peal_segment_map(struct peal_segment *segment, int fd, uint64_t capacity, bool writable)
{
	void *base = map_mirrored(fd, capacity, PROT_READ | (writable ? PROT_WRITE : 0));

	/* Of two who attach at the same time, the second may find the seal of the first here already. */
	if (!base && writable && errno == EPERM)
		return peal_fail(EBUSY, "segment %d has its writer already", fd);
	if (!base)
		return peal_fail_errno("mapping a segment");
	segment->header = base;
	segment->capacity = capacity;
	return 0;
}

void peal_segment_unmap(struct peal_segment *segment)
{
	if (segment->header)
		munmap(segment->header, PEAL_HEADER_BYTES + 2 * segment->capacity);
	segment->header = NULL;
}

static uint64_t word_at(const struct peal_segment *segment, uint64_t position)
{
	const void *at = peal_segment_data(segment) + (position & (segment->capacity - 1));

	/* Acquire: what is looked at afterwards is not older. */
	return peal_load_acquire((const uint64_t *)at);
}

uint64_t peal_segment_tail(const struct peal_segment *segment)
{
	const struct peal_segment_header *header = segment->header;
	/* A claim; anything else than 64 is read as 8. */
	uint64_t align = header->record_align == 64 ? 64 : 8;
	uint64_t begin = peal_load_acquire(&header->tail), tail = begin, again, first, word;

	if (segment->capacity == 0 || (begin & (align - 1)) != 0)
		return begin;
	first = word = word_at(segment, begin);
	while (tail - begin < PEAL_TAIL_LAG && word >> 48 == PEAL_HEADER_VALID) {
		tail += peal_record_span((uint32_t)word, align);
		word = word_at(segment, tail);
	}
	/* The way ends at a terminator, and soon. Otherwise a producer that came around has overwritten
	 * what was followed, the first header before the others. */
	again = peal_load_acquire(&header->tail);
	if (word != 0 || tail - begin >= PEAL_TAIL_LAG || again != begin ||
	    word_at(segment, begin) != first)
		return again;
	return tail;
}
