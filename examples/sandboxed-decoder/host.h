/* SPDX-License-Identifier: MIT */
/*
 * host.h - the parts of decode: host.c reads the command line, pool.c has guests and gives them files,
 * start.c starts a guest, guest.c has it work on a file, feed.c hands that over, image.c takes its pixels,
 * show.c tells the user.
 */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decoder.h"

#define PROGRAM "decode"

struct options {
	unsigned int guests;
	uint64_t deadline_ns; /* for a file, from its first byte to the whole answer */
	int directory;        /* where images are written; -1: nowhere */
	bool thumbnails;
	bool bench;
	bool misbehave;
	bool quiet; /* nothing is shown */
};

#define GUESTS_MAX 64

enum verdict {
	UNKNOWN = 0,
	DECODED,
	REFUSED, /* the library, or we, will not decode it */
	KILLED,  /* its guest is gone because of it */
	UNREAD,  /* we could not read it, or write the image */
};

/* Half blocks, two pixels each. */
#define THUMBNAIL_WIDTH  32u
#define THUMBNAIL_HEIGHT 16u

struct thumbnail {
	unsigned int width, height;
	unsigned char pixels[THUMBNAIL_HEIGHT][THUMBNAIL_WIDTH][DECODER_PIXEL];
};

struct file {
	const char *name;
	enum verdict verdict;
	struct decoder_image size;
	uint32_t crc32;              /* of all rows */
	uint64_t took_ns;            /* from its first byte to the verdict */
	struct thumbnail *thumbnail; /* NULL: none */
	char why[512];               /* it was not decoded */
};

/* The verdict, and the reason as printf(3) has it. Return: @verdict. */
__attribute__((format(printf, 3, 4))) enum verdict judge(struct file *file, enum verdict verdict,
							 const char *format, ...);

/* --- host.c ------------------------------------------------------------------------------------- */

/* A program in the same directory as this one; the text stays until the next call. */
char *beside_us(const char *program);

/* --- image.c: what a guest says about one file -------------------------------------------------- */

struct image {
	const struct options *options;
	struct file *file;
	uint32_t rows; /* taken so far */
	int fd;        /* the image as a file without a name yet; -1: none */
};

void image_begin(struct image *image, const struct options *options, struct file *file);

/* One record of the answer. Return: UNKNOWN while more is to come, else the verdict, which judge() has been
 * told; KILLED when the guest said what it must not. */
struct peal_record;
enum verdict image_take(struct image *image, const struct peal_record *record);

/* Give up what was written. */
void image_drop(struct image *image);

/* --- start.c ------------------------------------------------------------------------------------ */

struct pool;
struct peal_child;

struct guest {
	struct pool *pool;
	struct peal_channel *channel;
	struct peal_child *child;
	struct peal_watch *data, *space, *end; /* NULL: not watched */
	struct image image;                    /* .file NULL: it has none */
	int fd;               /* while there is more of the file to hand over; -1 */
	size_t files;         /* that it was given */
	bool ready;           /* it has said so */
	bool ended;           /* the kernel has said so */
	bool condemned;       /* it must go */
	uint64_t deadline_ns; /* for what we wait for */
	uint64_t given_ns;    /* when it was given its file */
	struct file *again;   /* for the next guest in this place; NULL: none */
	uint64_t lost_ns;     /* when the one before it in this place was lost; 0: none was */
};

/* Start it; it will say READY. 0 or a negative errno. */
int guest_start(struct guest *guest);

/* Kill it, if it lives, and forget it. */
void guest_stop(struct guest *guest);

/* The processor time that a process has used; 0 if it is gone, or @child is NULL. */
uint64_t child_cpu_ns(const struct peal_child *child);

/* Has it used so much of its processor time that it should make way for another? */
bool guest_is_worn(const struct guest *guest);

/* --- guest.c ------------------------------------------------------------------------------------ */

/* Let it decode this. False if the file can not be read, which judge() has been told. */
bool guest_give(struct guest *guest, struct file *file);

/* Something happened to it; an enum peal_event_kind. */
void guest_handle(struct guest *guest, uint32_t kind);

/* Can it go on? False when it must be replaced; judge() has been told about its file. */
bool guest_check(struct guest *guest);

/* --- feed.c ------------------------------------------------------------------------------------- */

/* A descriptor; -1, and judge() has been told why the file can not be read. */
int feed_open(struct file *file);

/* Hand over as much of .fd as there is room for. 1 when that was all; 0 when the poller will tell of
 * more room; or a negative errno. */
int feed(struct guest *guest);

/* --- pool.c ------------------------------------------------------------------------------------- */

struct pool {
	struct options options;
	struct peal_poller *poller;
	struct guest *guests;
	struct file *files;
	size_t count, next, done; /* files: all, the first that nobody has had, with a verdict */
	unsigned int lost;        /* guests */
	uint64_t excused_ns;      /* until then, our own time is no guest's */
	uint64_t longest_lost_ns; /* in the latest run: from a loss to READY of the next */
};

/* 0 or a negative errno; what was wrong is printed. Guests are started when there are files. */
int pool_open(struct pool *pool, const struct options *options);

/* All files; show_file() in their order. 0 or a negative errno: no guest could be started. */
int pool_run(struct pool *pool, struct file *files, size_t count);

void pool_close(struct pool *pool);

/* --- show.c ------------------------------------------------------------------------------------- */

/* printf(3) to standard error, with the name of the program. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* A line, and a thumbnail if there is one. */
void show_file(const struct file *file);

/* On a terminal: how far we are. */
void show_progress(const struct pool *pool);
void show_end(void);

#endif
