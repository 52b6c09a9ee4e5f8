/* SPDX-License-Identifier: MIT */
/*
 * poller.h - what the parts of the poller share.
 *
 *      poller.c    the API, and one wait: look, spin, arm, sleep
 *      watch.c     one watch: what state it is in, and how it changes
 *      epoll.c     uring.c     where armed watches sleep
 *
 * A watch of a ring is in one of three states:
 *
 *            reported, ONCE                  empty: word odd, HEAVY, a last look
 *      OFF ◀──────────────── HOT ─────────────────────────────────────▶ ARMED
 *       │  peal_watch_resume  ▲   rung, or the peer is gone: word even      │
 *       └─────────────────────┘◀────────────────────────────────────────────┘
 *
 * HOT: in a list that each wait looks through. ARMED: costs nothing until the backend says that its
 * doorbell rang. OFF: somebody else's; the poller does not touch the endpoint.
 */
#ifndef PEAL_POLLER_POLLER_H
#define PEAL_POLLER_POLLER_H

#include <liburing.h>
#include <stdbool.h>

#include <peal/poller.h>

#include "channel/channel.h"
#include "ring/ring.h"
#include "ring/wake.h"

enum watch_state { WATCH_OFF, WATCH_HOT, WATCH_ARMED };

/* The lists of a poller: rings of watches, whose beginning moves. */
enum { ALL, HOT, LISTS };

struct peal_watch {
	struct {
		struct peal_watch *prev, *next;
	} in[LISTS];
	struct peal_poller *poller;
	void *user;
	enum peal_event_kind kind;
	bool once;
	struct peal_channel *batched; /* its bells are rung together with others; NULL: at once */
	enum watch_state state;
	bool undrained;          /* it rang while it was OFF */
	bool gone;               /* the backend saw the peer, or the child, end */
	unsigned int last_ready; /* the number of the wait that found something last */

	/* For another thread that resumes it. */
	int resumed;                     /* atomic; 1 from peal_watch_resume() to the event */
	struct peal_watch *next_resumed; /* then also: the next in arm_watches() */

	/* The endpoint; nothing of these for a child. */
	struct peal_consumer *rx;
	struct peal_producer *tx;
	uint64_t span; /* of the record that room is wanted for, in bytes of ring */
	struct peal_wake *wake;
	struct channel_bell *bell;

	int pidfd;          /* the peer's or the child's; borrowed; -1: none */
	int pidfd_copy;     /* epoll: a second number for the same file; -1: none */
	bool bell_asked;    /* io_uring: an operation on the doorbell is under way */
	bool pidfd_asked;   /* io_uring: one on the pidfd */
	bool being_removed; /* io_uring: ask for nothing any more */
	bool to_be_asked;   /* io_uring: is in the list of those to ask for */
	struct peal_watch *next_to_ask;
};

struct peal_backend;

/*
 * Lives in a mapping of its own that fork wipes, as the channel does: zeros refuse everything.
 */
struct peal_poller {
	bool open;
	const struct peal_backend *backend;
	int fd;      /* epoll's or the ring's */
	int wake_fd; /* an eventfd: somebody resumed a watch, or called peal_poller_wake() */
	struct io_uring ring;
	bool wake_asked;           /* io_uring: an operation on wake_fd is under way */
	struct peal_watch *to_ask; /* io_uring: what the next wait() has to ask for */

	struct {
		struct peal_watch *at; /* where it begins; NULL when empty */
		size_t count;
	} lists[LISTS];

	struct peal_watch *held; /* removed, but not let go by the backend; by next_resumed */

	struct channel_bell *owed; /* bells that are to be rung */
	int owed_error;            /* one could not be; the next wait says so */

	unsigned int waits;    /* how many there were */
	struct peal_wake pace; /* only for its spin_ns and spin_cap_ns */

	/* Other threads. All seq_cst: see peal_poller_rouse(). */
	struct peal_watch *resumed; /* a stack */
	int woken;                  /* peal_poller_wake() was called */
	int asleep;                 /* nobody looks at the two above: write to wake_fd */
};

/* Where armed watches sleep. Those that return an int: 0 or a negative errno. */
struct peal_backend {
	int id;          /* enum peal_poller_backend */
	bool tries_free; /* wait() with PEAL_TRY costs no system call when nothing happened */
	int (*open)(struct peal_poller *poller);
	void (*close)(struct peal_poller *poller);
	int (*add)(struct peal_watch *watch);
	/* From its return on, neither doorbell nor pidfd is touched. False: the kernel will not let go
	 * of them, and may name the watch again until close(). */
	bool (*remove)(struct peal_watch *watch);
	/* Its word is odd. The next wait() begins to wait for its bell. Calls nothing back. */
	void (*arm)(struct peal_watch *watch);
	/* Ring it, by the next wait() at the latest. */
	int (*ring)(struct peal_poller *poller, struct channel_bell *bell);
	/* Sleep until something happens, and tell peal_watch_fired() of all that did. A time-out and an
	 * interruption are 0 too. */
	int (*wait)(struct peal_poller *poller, uint64_t deadline_ns);
};

extern const struct peal_backend peal_backend_epoll;
extern const struct peal_backend peal_backend_uring;

enum fired {
	FIRED_RUNG,  /* the bell is still to be drained */
	FIRED_TAKEN, /* it rang and was drained */
	FIRED_GONE,  /* the peer or the child is gone, it seems */
};

/* peal_watch_fired() - by the backend: its bell rang, or its peer is gone. Now it is HOT. */
void peal_watch_fired(struct peal_watch *watch, enum fired what);

/* peal_watch_is_ready() - is there something to report? */
bool peal_watch_is_ready(struct peal_watch *watch);

/* peal_watch_report() - fill in the event; a watch that reports once is then OFF. */
void peal_watch_report(struct peal_watch *watch, struct peal_event *event);

/* peal_watches_arm() - arm those HOT ones that have nothing and had none in so many waits.
 * Those that turn out to have something stay HOT. */
int peal_watches_arm(struct peal_poller *poller, unsigned int min_idle);

/* peal_watches_take_resumed() - what other threads gave back is HOT. */
void peal_watches_take_resumed(struct peal_poller *poller);

/* peal_batch_begin() - ring the bells of watch->batched later. */
void peal_batch_begin(struct peal_watch *watch);

/* peal_batch_end() - no longer, unless another watch wants it; nothing is owed any more. */
void peal_batch_end(struct peal_watch *watch);

/* peal_batch_ring() - give what is owed to the backend. */
int peal_batch_ring(struct peal_poller *poller);

/* peal_batch_rung() - by the backend: what became of a bell that it rang, 0 or a negative errno. */
void peal_batch_rung(struct peal_poller *poller, struct channel_bell *bell, int rc);

/* peal_poller_rouse() - end the sleep, if it sleeps. Any thread. */
int peal_poller_rouse(struct peal_poller *poller);

/* peal_poller_refuse() - -EBADFD and the sentence for it. */
int peal_poller_refuse(void);

#endif
