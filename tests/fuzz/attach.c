/* SPDX-License-Identifier: MIT */
/*
 * attach.c - a guest whose host gives it anything at all, and then lies in every word.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal/channel.h>

#include "base/barrier.h"
#include "channel/channel.h"
#include "files.h"
#include "fuzz.h"

/* Where the doorbells are; the segments are below, the pidfd above. */
#define FIRST_NUMBER 100

static struct {
	struct fuzz_file host, guest;
	enum fuzz_kind kinds[PEAL_GUEST_DOORBELLS_MAX];
	enum fuzz_kind pidfd_kind;
	struct peal_guest_fds fds;
	struct peal_attach_options options;
	bool has_options;
	bool by_arguments; /* rather than by numbers */
} m;

/* Mostly what it should be. */
static enum fuzz_kind some_kind(enum fuzz_kind right)
{
	uint8_t how = fuzz_byte();

	return how < 208 ? right : (enum fuzz_kind)(how % FUZZ_KINDS);
}

static unsigned int rings(void)
{
	return (m.host.header.capacity != 0) + (m.guest.header.capacity != 0);
}

static bool is_eventfd(void)
{
	return m.host.header.incompatible_flags & PEAL_INCOMPATIBLE_EVENTFD;
}

static void open_all(void)
{
	uint8_t how = fuzz_byte();
	unsigned int count;

	m.host = fuzz_file(PEAL_ROLE_HOST, true);
	m.guest = fuzz_file(PEAL_ROLE_GUEST, false);
	count = is_eventfd() ? 2 * rings() : rings();
	if (how & 0x80)
		count = how & 3;
	m.fds = (struct peal_guest_fds){
		.host_segment = m.host.fd, .guest_segment = m.guest.fd, .doorbell_count = count};
	for (unsigned int i = 0; i < PEAL_GUEST_DOORBELLS_MAX; i++) {
		m.kinds[i] = i < count ? some_kind(is_eventfd() ? FUZZ_EVENTFD : FUZZ_STREAM)
				       : FUZZ_CLOSED;
		m.fds.doorbells[i] = fuzz_open(m.kinds[i], FIRST_NUMBER);
	}
	m.pidfd_kind = some_kind(FUZZ_PIDFD);
	m.fds.host_pidfd = how & 0x40 ? -1 : fuzz_open(m.pidfd_kind, FIRST_NUMBER);
	m.has_options = how & 0x20;
	/* A number that is not open, or a second time the same, is another target's. */
	m.by_arguments = fuzz_byte() & 1;
	m.options = (struct peal_attach_options){
		.size = how & 0x04 ? fuzz_byte() % (sizeof(m.options) + 1) : sizeof(m.options),
		.flags = how & 0x10 ? fuzz_byte() & 7 : 0,
		.spin_max_us = how & 0x08 ? (int8_t)fuzz_byte() : PEAL_SPIN_NEVER,
	};
}

/* The documents' word for whether this may be attached to. */
static bool is_good(void)
{
	const enum fuzz_kind right = is_eventfd() ? FUZZ_EVENTFD : FUZZ_STREAM;
	const struct peal_segment_header *host = &m.host.header, *guest = &m.guest.header;

	if (fuzz_file_judge(&m.host, PEAL_ROLE_HOST, false) != 0 ||
	    fuzz_file_judge(&m.guest, PEAL_ROLE_GUEST, true) != 0)
		return false;
	if (memcmp(host->channel_id, guest->channel_id, 16) != 0 ||
	    host->record_align != guest->record_align ||
	    host->incompatible_flags != guest->incompatible_flags || rings() == 0 ||
	    m.fds.doorbell_count != rings() * (is_eventfd() ? 2 : 1))
		return false;
	for (unsigned int i = 0; i < m.fds.doorbell_count; i++)
		if (m.kinds[i] != right)
			return false;
	if (m.fds.host_pidfd < 0 ? is_eventfd() : m.pidfd_kind != FUZZ_PIDFD)
		return false;
	return !m.has_options ||
	       (m.options.size == sizeof(m.options) && m.options.flags <= 3 &&
		m.options.spin_max_us >= -1 &&
		(m.options.flags < PEAL_CHANNEL_STRICT || m.options.spin_max_us <= 0));
}

/* --- What a false host does then -------------------------------------------------------------- */

static uint64_t claim(const uint64_t *word, uint64_t real)
{
	const uint64_t valid = UINT64_C(0x8000) << 48;
	uint8_t how;

	if ((uintptr_t)word - fuzz_peer.base < PEAL_HEADER_BYTES)
		return fuzz_claim(real);
	how = fuzz_byte();
	if (how & 1)
		return 0;
	return how & 2 ? valid | fuzz_byte() : fuzz_u64();
}

static void use(struct peal_channel *channel)
{
	static unsigned char buffer[512];
	struct peal_side_stats own, peer;
	struct peal_producer *tx = peal_tx(channel);
	struct peal_consumer *rx = peal_rx(channel);
	unsigned int calls = 0;

	fuzz_peer = (struct fuzz_peer){
		.base = (uintptr_t)channel->peer.header,
		.bytes = PEAL_HEADER_BYTES + 2 * channel->peer.capacity,
		.claim = claim,
	};
	while (fuzz_more() && calls++ < 64) {
		fuzz_peer.loads = 0;
		fuzz_peer.loads_max = 600;
		switch (fuzz_byte() % 5) {
		case 0:
			if (rx)
				peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_TRY);
			break;
		case 1:
			if (tx)
				peal_send(tx, buffer, fuzz_byte(), 0, PEAL_TRY);
			break;
		case 2:
			peal_channel_stats(channel, &own, &peer);
			break;
		case 3:
			peal_channel_peer(channel);
			FUZZ_CHECK(fuzz_peer.loads == 1, "%u looks at the state", fuzz_peer.loads);
			break;
		default:
			if (rx && peal_arm_data(rx) == 0)
				peal_disarm_data(rx);
		}
	}
	fuzz_peer = (struct fuzz_peer){0};
}

/* --- One attach ------------------------------------------------------------------------------- */

static void close_all(bool attached)
{
	for (unsigned int i = 0; i < PEAL_GUEST_DOORBELLS_MAX; i++) {
		if (m.kinds[i] == FUZZ_CLOSED)
			continue;
		FUZZ_CHECK(fuzz_is_open(m.fds.doorbells[i]) == !attached, "doorbell %u's owner", i);
		close(m.fds.doorbells[i]);
	}
	if (m.fds.host_pidfd >= 0 && m.pidfd_kind != FUZZ_CLOSED) {
		FUZZ_CHECK(fuzz_is_open(m.fds.host_pidfd) == !attached, "the pidfd's owner");
		close(m.fds.host_pidfd);
	}
	FUZZ_CHECK(m.host.fd < 0 || fuzz_is_open(m.host.fd) == !attached, "the segment's owner");
	FUZZ_CHECK(m.guest.fd < 0 || fuzz_is_open(m.guest.fd) == !attached, "the segment's owner");
	if (!attached) {
		fuzz_file_close(&m.host);
		fuzz_file_close(&m.guest);
	}
}

static int attach_by_arguments(struct peal_channel **channel,
			       const struct peal_attach_options *options)
{
	char text[8][32], *argv[9] = {text[0]}, *before[9];
	int argc = 1, count, rc;

	snprintf(text[0], sizeof(text[0]), "guest");
	snprintf(text[1], sizeof(text[1]), "--segment-fd=%d", m.fds.host_segment);
	snprintf(text[2], sizeof(text[2]), "--segment-fd=%d", m.fds.guest_segment);
	argv[argc++] = text[1];
	argv[argc++] = text[2];
	for (unsigned int i = 0; i < m.fds.doorbell_count; i++) {
		argv[argc] = text[argc];
		snprintf(text[argc++], sizeof(text[0]), "--doorbell-fd=%d", m.fds.doorbells[i]);
	}
	if (m.fds.host_pidfd >= 0) {
		argv[argc] = text[argc];
		snprintf(text[argc++], sizeof(text[0]), "--host-pidfd=%d", m.fds.host_pidfd);
	}
	argv[argc] = NULL;
	memcpy(before, argv, sizeof(argv));
	count = argc;
	rc = peal_attach_args(channel, &argc, argv, options);
	FUZZ_CHECK(rc == 0 ? argc == 1 && !argv[1]
			   : argc == count && memcmp(argv, before, sizeof(argv)) == 0,
		   "the command line after %d", rc);
	return rc;
}

void fuzz_attach(void)
{
	const struct peal_attach_options *options;
	struct peal_channel *channel = NULL;
	bool good;
	int rc;

	memset(&m, 0, sizeof(m));
	open_all();
	good = is_good();
	options = m.has_options ? &m.options : NULL;
	rc = m.by_arguments ? attach_by_arguments(&channel, options)
			    : peal_attach_fds(&channel, &m.fds, options);
	FUZZ_CHECK((rc == 0) == good, "%d (%s) for %s channel", rc, rc < 0 ? peal_last_error() : "",
		   good ? "a good" : "no");
	FUZZ_CHECK((rc == 0) == (channel != NULL), "a channel in spite of %d", rc);
	if (rc == 0) {
		use(channel);
		channel->is_plain = false; /* or all would stay until the end of this process */
		peal_channel_close(channel);
	}
	close_all(rc == 0);
}
