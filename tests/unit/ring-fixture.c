/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/barrier.h"
#include "harness.h"
#include "ring-fixture.h"

static struct stub_bell *stub_of(struct peal_bell *bell)
{
	return (struct stub_bell *)bell; /* its first member */
}

static void note(struct stub_bell *stub, char event)
{
	size_t length = strlen(stub->log);

	if (length + 1 < sizeof(stub->log))
		stub->log[length] = event;
}

static int stub_ring(struct peal_bell *bell)
{
	struct stub_bell *stub = stub_of(bell);

	note(stub, 'r');
	stub->rings++;
	if (stub->on_ring)
		stub->on_ring(stub->fixture);
	return stub->ring_result;
}

static int stub_wait(struct peal_bell *bell, uint64_t deadline_ns)
{
	struct stub_bell *stub = stub_of(bell);
	uint64_t word = *stub->own_word;

	note(stub, 'w');
	stub->waits++;
	ck_assert_msg(word & 1, "asleep with the even word %ju", (uintmax_t)word);
	ck_assert_msg(word != stub->last_odd, "asleep twice with the word %ju", (uintmax_t)word);
	stub->last_odd = word;
	stub->deadline_ns = deadline_ns;
	return stub->on_wait ? stub->on_wait(stub->fixture, stub->waits) : stub->wait_result;
}

static int stub_drain(struct peal_bell *bell)
{
	struct stub_bell *stub = stub_of(bell);

	note(stub, 'd');
	stub->drains++;
	ck_assert_msg(!(*stub->own_word & 1), "drained while the word is odd");
	return stub->drain_result;
}

static bool stub_is_closed(struct peal_bell *bell)
{
	return stub_of(bell)->is_closed;
}

static int stub_check(struct peal_bell *bell)
{
	struct stub_bell *stub = stub_of(bell);

	note(stub, 'c');
	stub->checks++;
	return stub->check_result;
}

static void stub_init(struct stub_bell *stub, struct ring_fixture *f, const uint64_t *own_word)
{
	*stub = (struct stub_bell){
		.bell = {.ring = stub_ring,
			 .wait = stub_wait,
			 .drain = stub_drain,
			 .is_closed = stub_is_closed,
			 .check = stub_check},
		.fixture = f,
		.own_word = own_word,
		/* What no test expects, so that a wait which none asked for ends the call. */
		.wait_result = -EDEADLK,
	};
}

struct ring_variant ring_variant(int i)
{
	const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 128, (UINT64_C(1) << 63) - 128,
				   -UINT64_C(128)};

	return (struct ring_variant){
		.capacity = 4096,
		.align = i & 1 ? 64 : 8,
		.start = starts[i >> 1 & 3],
		.asymmetric = i >> 3 & 1,
	};
}

/* One segment, mapped by its owner and by the other one, in the order of life. */
static void open_segment(struct peal_segment *rw, struct peal_segment *ro, enum peal_role role,
			 const struct ring_variant *variant)
{
	static const unsigned char id[16] = "ring-fixture";
	const struct peal_segment_spec spec = {
		.capacity = role == PEAL_ROLE_HOST ? variant->capacity : 0,
		.align = variant->align,
		.role = role,
		.channel_id = id,
	};
	int fd = peal_segment_create(&spec);

	assert_ok(fd);
	assert_ok(peal_segment_map(rw, fd, spec.capacity, true));
	assert_ok(peal_segment_seal(fd));
	assert_ok(peal_segment_map(ro, fd, spec.capacity, false));
	close(fd);
}

static void init_ends(struct ring_fixture *f, struct peal_bell *tx_bell, struct peal_bell *rx_bell)
{
	const struct ring_variant *variant = &f->variant;
	const bool one = variant->one_mapping;
	struct peal_ring_spec spec = {
		.capacity = variant->capacity,
		.align = variant->align,
		.membarrier = variant->asymmetric,
		.peer_membarrier = variant->asymmetric,
		.spin_cap_ns = variant->spin_cap_ns,
		.start = variant->start,
	};

	spec.data = peal_segment_data(one ? &f->host_rw : &f->host_ro);
	spec.own = f->guest_rw.header;
	spec.peer = one ? f->host_rw.header : f->host_ro.header;
	spec.bell = rx_bell;
	peal_consumer_init(&f->rx, &spec);

	spec.data = peal_segment_data(&f->host_rw);
	spec.own = f->host_rw.header;
	spec.peer = one ? f->guest_rw.header : f->guest_ro.header;
	spec.bell = tx_bell;
	peal_producer_init(&f->tx, &spec);
}

void ring_open_with(struct ring_fixture *f, const struct ring_variant *variant,
		    struct peal_bell *tx_bell, struct peal_bell *rx_bell)
{
	memset(f, 0, sizeof(*f));
	f->variant = *variant;
	if (variant->asymmetric && !peal_membarrier_register())
		harness_skip("membarrier(2) is refused here");
	open_segment(&f->host_rw, &f->host_ro, PEAL_ROLE_HOST, variant);
	open_segment(&f->guest_rw, &f->guest_ro, PEAL_ROLE_GUEST, variant);
	stub_init(&f->tx_bell, f, &f->host_rw.header->space_wait);
	stub_init(&f->rx_bell, f, &f->guest_rw.header->data_wait);
	init_ends(f, tx_bell ? tx_bell : &f->tx_bell.bell, rx_bell ? rx_bell : &f->rx_bell.bell);
}

void ring_open(struct ring_fixture *f, const struct ring_variant *variant)
{
	ring_open_with(f, variant, NULL, NULL);
}

void ring_close(struct ring_fixture *f)
{
	peal_segment_unmap(&f->host_rw);
	peal_segment_unmap(&f->host_ro);
	peal_segment_unmap(&f->guest_rw);
	peal_segment_unmap(&f->guest_ro);
}

void pattern_fill(void *data, size_t size, uint64_t seed)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

void pattern_check(const void *data, size_t size, uint64_t seed)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8)))
			ck_abort_msg("byte %zu of %zu is not what was sent", i, size);
}

uint64_t next_random(uint64_t *state)
{
	/* xorshift64* of Vigna; any generator would do. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717) >> 16;
}

unsigned int fill_ring(struct ring_fixture *f)
{
	unsigned int count = 0;
	void *payload;
	int rc;

	while ((rc = peal_reserve(&f->tx, 0, &payload)) == 0) {
		assert_ok(peal_commit(&f->tx, 0, (uint16_t)count++));
		ck_assert_uint_le(count, f->variant.capacity / f->variant.align);
	}
	ck_assert_int_eq(rc, -EAGAIN);
	return count;
}
