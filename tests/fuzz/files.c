/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "fuzz.h"

/* Larger claims are written into the header, but no such file is made. */
#define SIZE_MAX_MADE (UINT64_C(1) << 20)

#define SEALS_CREATED (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_WRITER  (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

bool fuzz_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* --- Segments --------------------------------------------------------------------------------- */

static struct peal_segment_header true_header(enum peal_role role)
{
	static const uint64_t capacities[] = {4096, 0, 8192, 65536};
	uint8_t how = fuzz_byte();
	uint64_t capacity = capacities[how & 3];

	return (struct peal_segment_header){
		.magic = PEAL_LAYOUT_MAGIC,
		.version = PEAL_LAYOUT_VERSION,
		.header_size = PEAL_HEADER_BYTES,
		.incompatible_flags = how >> 2 & PEAL_INCOMPATIBLE_EVENTFD,
		.compatible_flags = how >> 3 & 1,
		.segment_size = PEAL_HEADER_BYTES + capacity,
		.data_offset = PEAL_HEADER_BYTES,
		.capacity = capacity,
		.record_align = how & 16 ? 64 : 8,
		.role = role,
		.state = how >> 5 & 3,
	};
}

static uint64_t change(uint64_t value)
{
	uint8_t how = fuzz_byte();

	switch (how & 7) {
	case 0:
		return value + 1;
	case 1:
		return value - 1;
	case 2:
		return value * 2;
	case 3:
		return value ^ UINT64_C(1) << (how >> 2 & 63);
	case 4:
		return fuzz_byte();
	case 5:
		return UINT64_C(1) << (fuzz_byte() & 63);
	case 6:
		return value + PEAL_HEADER_BYTES;
	default:
		return fuzz_u64();
	}
}

static void change_header(struct peal_segment_header *header)
{
	switch (fuzz_byte() % 14) {
	case 0:
		header->magic = change(header->magic);
		break;
	case 1:
		header->version = (uint32_t)change(header->version);
		break;
	case 2:
		header->header_size = (uint32_t)change(header->header_size);
		break;
	case 3:
		header->incompatible_flags = change(header->incompatible_flags);
		break;
	case 4:
		header->compatible_flags = change(header->compatible_flags);
		break;
	case 5:
		header->segment_size = change(header->segment_size);
		break;
	case 6:
		header->data_offset = change(header->data_offset);
		break;
	case 7:
		header->capacity = change(header->capacity);
		break;
	case 8: /* as above, and it fits together */
		header->capacity = change(header->capacity);
		header->segment_size = PEAL_HEADER_BYTES + header->capacity;
		break;
	case 9:
		header->record_align = (uint32_t)change(header->record_align);
		break;
	case 10:
		header->role = (uint32_t)change(header->role);
		break;
	case 11:
		header->channel_id[fuzz_byte() & 15] ^= fuzz_byte();
		break;
	case 12:
		header->tail = change(header->tail);
		break;
	default:
		fuzz_bytes(header, fuzz_byte());
	}
}

static uint64_t some_size(uint64_t claimed)
{
	uint8_t how = fuzz_byte();
	uint64_t size = how & 8 ? change(claimed) : claimed;

	if (how & 16)
		size = (uint64_t)fuzz_byte() * 64;
	return size < SIZE_MAX_MADE ? size : 2 * PEAL_HEADER_BYTES;
}

static int some_seals(bool sealed_by_writer)
{
	int seals = SEALS_CREATED | (sealed_by_writer ? SEALS_WRITER : 0);
	uint8_t how = fuzz_byte();

	if (how & 128) /* SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE are bits 0…4 */
		seals ^= how & 31;
	return seals;
}

static int open_foreign(uint8_t how)
{
	switch (how & 7) {
	case 0:
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	case 1:
		return open("/proc/self/exe", O_PATH | O_CLOEXEC);
	case 2:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case 3:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 4:
		return eventfd(0, EFD_CLOEXEC);
	case 5:
		return memfd_create("fuzz", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING);
	case 6:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	default:
		return -1;
	}
}

/* What can be written of it, and only then sealed. */
static void fill(struct fuzz_file *file, int seals)
{
	const struct peal_segment_header header = file->header;
	size_t bytes = file->size < sizeof(header) ? file->size : sizeof(header);

	memset(&file->header, 0, sizeof(file->header));
	memcpy(&file->header, &header, bytes);
	FUZZ_CHECK(ftruncate(file->fd, (off_t)file->size) == 0 &&
			   pwrite(file->fd, &header, bytes, 0) == (ssize_t)bytes,
		   "filling a file");
	fcntl(file->fd, F_ADD_SEALS, seals);
	file->seals = fcntl(file->fd, F_GET_SEALS);
}

/* A descriptor that can not read is none that can be believed. */
static void open_for_writing_alone(struct fuzz_file *file)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* sealed */
	close(file->fd);
	file->fd = fd;
	file->write_only = true;
	memset(&file->header, 0, sizeof(file->header));
}

struct fuzz_file fuzz_file(enum peal_role role, bool sealed_by_writer)
{
	struct fuzz_file file = {.header = true_header(role)};
	uint8_t how = fuzz_byte();

	if (how >= 240) {
		file.fd = open_foreign(how);
		return file;
	}
	for (unsigned int changes = how & 3; changes > 0; changes--)
		change_header(&file.header);
	file.size = some_size(file.header.segment_size);
	file.is_memfd = true;
	file.fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FUZZ_CHECK(file.fd >= 0, "no memfd");
	fill(&file, some_seals(sealed_by_writer));
	if (how >= 224)
		open_for_writing_alone(&file);
	return file;
}

static bool is_capacity(uint64_t capacity)
{
	if (capacity == 0)
		return true;
	for (int bit = 12; bit <= 40; bit++)
		if (capacity == UINT64_C(1) << bit)
			return true;
	return false;
}

int fuzz_file_judge(const struct fuzz_file *file, enum peal_role role, bool ours)
{
	const struct peal_segment_header *header = &file->header;

	if (file->fd < 0)
		return -EBADF;
	if (!file->is_memfd || (file->seals & SEALS_CREATED) != SEALS_CREATED)
		return -EINVAL;
	if (ours && (file->seals & (SEALS_WRITER | F_SEAL_WRITE)))
		return -EBUSY;
	if (!ours && (file->seals & SEALS_WRITER) != SEALS_WRITER)
		return -EPERM;
	if (file->write_only)
		return -EBADF;
	if (file->size < sizeof(*header) || header->magic != UINT64_C(0x314745534c414550))
		return -EINVAL;
	if (header->version != 1 || header->incompatible_flags > 1)
		return -EPROTONOSUPPORT;
	if (header->role != (uint32_t)role || !is_capacity(header->capacity) ||
	    (header->record_align != 8 && header->record_align != 64) ||
	    header->header_size != 4096 || header->data_offset != 4096 ||
	    header->segment_size != 4096 + header->capacity || file->size != header->segment_size)
		return -EINVAL;
	return 0;
}

void fuzz_file_close(struct fuzz_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* --- Doorbells -------------------------------------------------------------------------------- */

static int open_stream(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	/* The peer has died since: for an attach this is no difference. */
	close(pair[1]);
	return pair[0];
}

static int open_listening(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Binding to no name: the kernel chooses an abstract one. */
	bind(fd, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t));
	listen(fd, 1);
	return fd;
}

static int open_kind(enum fuzz_kind kind)
{
	switch (kind) {
	case FUZZ_STREAM:
		return open_stream();
	case FUZZ_EVENTFD:
		return eventfd(0, EFD_CLOEXEC);
	case FUZZ_PIDFD:
		return (int)syscall(SYS_pidfd_open, getpid(), 0);
	case FUZZ_DGRAM:
		return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case FUZZ_INET:
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case FUZZ_UNCONNECTED:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case FUZZ_LISTENING:
		return open_listening();
	case FUZZ_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FUZZ_CLOSED:
	case FUZZ_KINDS:
		break;
	}
	return -1;
}

int fuzz_open(enum fuzz_kind kind, int number)
{
	int fd = open_kind(kind), moved;

	if (fd < 0)
		return 500; /* a number that nobody has */
	moved = fcntl(fd, F_DUPFD_CLOEXEC, number);
	close(fd);
	FUZZ_CHECK(moved >= 0, "no descriptor");
	return moved;
}
