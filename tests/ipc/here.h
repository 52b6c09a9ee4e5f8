/* SPDX-License-Identifier: MIT */
/*
 * here.h - a poller, and channels whose guest is in this very process.
 */
#ifndef PEAL_TESTS_HERE_H
#define PEAL_TESTS_HERE_H

#include <peal/peal.h>

/* Loop index: bit 0 the doorbell, bit 1 the barrier, bit 2 the backend. */
#define POLLER_CONFIGS 8
#define BACKEND(index) ((index)&4 ? PEAL_POLLER_EPOLL : PEAL_POLLER_IO_URING)

/* Skips the test where io_uring is not allowed. */
struct peal_poller *make_poller(uint32_t backend, int32_t spin_max_us);

/* The next event, which must be of this kind, with nothing else beside it. */
void expect(struct peal_poller *poller, uint32_t kind, void *user);
void expect_nothing(struct peal_poller *poller);

struct here {
	struct peal_channel *host, *guest;
	struct peal_watch *watch; /* of the host's consumer; its user is this struct */
};

void open_here(struct here *here, int index, struct peal_poller *poller);
void close_here(struct here *here);

/* Watch it once more, with these flags. */
void watch_anew(struct here *here, struct peal_poller *poller, unsigned int flags);

/* Eight bytes from guest to host. */
void send_here(struct here *here);
void receive_here(struct here *here);

/* How many bells the guest's consumer has not taken. */
int64_t bells_at(const struct here *here);

/* A guest that sleeps, and a host that has something for it. */
void owe_a_bell(struct here *here);

/* A child that does nothing until it is ended. */
struct peal_child *start_child(void);
void end_child(struct peal_child *child);

#endif
