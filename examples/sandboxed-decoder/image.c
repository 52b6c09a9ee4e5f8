/* SPDX-License-Identifier: MIT */
/*
 * image.c - what a guest says about a file. All of it may be a lie: each number is copied out of the ring,
 * then checked, then used. Pixels are read where they lie; a guest that changes them meanwhile
 * changes its own picture, and nothing else depends on them.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <peal/peal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "host.h"

enum verdict judge(struct file *file, enum verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(file->why, sizeof(file->why), format, arguments);
	va_end(arguments);
	file->verdict = verdict;
	return verdict;
}

void image_begin(struct image *image, const struct options *options, struct file *file)
{
	free(file->thumbnail); /* of an earlier try */
	*file = (struct file){.name = file->name};
	*image = (struct image){.options = options, .file = file, .fd = -1};
}

void image_drop(struct image *image)
{
	if (image->file && image->fd >= 0)
		close(image->fd);
	*image = (struct image){.fd = -1};
}

/* --- As a file ---------------------------------------------------------------------------------- */

static enum verdict write_all(struct image *image, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t written = write(image->fd, at, size);

		if (written < 0 && errno != EINTR)
			return judge(image->file, UNREAD, "writing the image: %s", strerror(errno));
		if (written > 0) {
			at += written;
			size -= (size_t)written;
		}
	}
	return UNKNOWN;
}

/* Without a name until it is complete: whatever ends us, no half image is left. */
static enum verdict open_output(struct image *image)
{
	char header[32];
	int size = snprintf(header, sizeof(header), "P6\n%u %u\n255\n", image->file->size.width,
			    image->file->size.height);

	image->fd = openat(image->options->directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (image->fd < 0)
		return judge(image->file, UNREAD, "creating the image: %s", strerror(errno));
	return write_all(image, header, (size_t)size);
}

static enum verdict name_output(struct image *image)
{
	char self[64], name[NAME_MAX + 1];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", image->fd);
	/* A name that is too long loses its end, not what it is. */
	snprintf(name, sizeof(name), "%.*s.ppm", NAME_MAX - 4, basename(image->file->name));
	if (linkat(AT_FDCWD, self, image->options->directory, name, AT_SYMLINK_FOLLOW) < 0)
		return judge(image->file, UNREAD, "%s: %s", name, strerror(errno));
	return UNKNOWN;
}

/* --- As a thumbnail ----------------------------------------------------------------------------- */

/* The largest of this shape, and not larger than the image. No thumbnail is no failure. */
static void begin_thumbnail(struct file *file)
{
	unsigned int width = file->size.width, height = file->size.height;
	struct thumbnail *thumbnail = calloc(1, sizeof(*thumbnail));

	if (!thumbnail)
		return;
	if (width > THUMBNAIL_WIDTH) {
		height = height * THUMBNAIL_WIDTH / width;
		width = THUMBNAIL_WIDTH;
	}
	if (height > THUMBNAIL_HEIGHT) {
		width = width * THUMBNAIL_HEIGHT / height;
		height = THUMBNAIL_HEIGHT;
	}
	thumbnail->width = width > 0 ? width : 1;
	thumbnail->height = height > 0 ? height : 1;
	file->thumbnail = thumbnail;
}

/* One pixel out of many, from the rows that have just come. */
static void fill_thumbnail(const struct image *image, const unsigned char *data, uint32_t rows)
{
	const struct decoder_image *size = &image->file->size;
	struct thumbnail *thumbnail = image->file->thumbnail;

	for (unsigned int ty = 0; ty < thumbnail->height; ty++) {
		uint32_t y = ty * size->height / thumbnail->height;

		if (y < image->rows || y >= image->rows + rows)
			continue;
		for (unsigned int tx = 0; tx < thumbnail->width; tx++) {
			size_t x = tx * size->width / thumbnail->width;
			size_t pixel = (size_t)(y - image->rows) * size->width + x;

			memcpy(thumbnail->pixels[ty][tx], data + pixel * DECODER_PIXEL,
			       DECODER_PIXEL);
		}
	}
}

/* --- The answer --------------------------------------------------------------------------------- */

static enum verdict lie(struct image *image, const char *what)
{
	return judge(image->file, KILLED, "its guest broke the rules: %s", what);
}

static enum verdict take_size(struct image *image, const struct peal_record *record)
{
	struct decoder_image size;

	if (image->file->size.width > 0 || record->size != sizeof(size))
		return lie(image, "a size that is none, or a second one");
	memcpy(&size, record->data, sizeof(size));
	if (size.width == 0 || size.height == 0)
		return lie(image, "an image without pixels");
	if (!decoder_allows(size))
		return judge(image->file, REFUSED, "%ux%u pixels are too many", size.width,
			     size.height);
	image->file->size = size;
	if (image->options->thumbnails)
		begin_thumbnail(image->file);
	return image->options->directory < 0 ? UNKNOWN : open_output(image);
}

static enum verdict take_rows(struct image *image, const struct peal_record *record)
{
	struct file *file = image->file;
	uint32_t row = file->size.width * DECODER_PIXEL, rows;

	if (row == 0 || record->size == 0 || record->size % row != 0)
		return lie(image, "rows of no known length");
	rows = record->size / row;
	if (rows > file->size.height - image->rows)
		return lie(image, "more rows than it had promised");
	file->crc32 = (uint32_t)crc32_z(file->crc32, record->data, record->size);
	if (file->thumbnail)
		fill_thumbnail(image, record->data, rows);
	image->rows += rows;
	return image->fd < 0 ? UNKNOWN : write_all(image, record->data, record->size);
}

static enum verdict take_done(struct image *image)
{
	if (image->file->size.width == 0 || image->rows < image->file->size.height)
		return lie(image, "fewer rows than it had promised");
	if (image->fd >= 0 && name_output(image) != UNKNOWN)
		return UNREAD;
	return image->file->verdict = DECODED;
}

/* It is printed, so it must not talk to the terminal. */
static enum verdict take_reason(struct image *image, const struct peal_record *record)
{
	char text[DECODER_REASON_MAX];

	if (record->size > sizeof(text))
		return lie(image, "a reason that is too long");
	memcpy(text, record->data, record->size);
	for (uint32_t i = 0; i < record->size; i++) {
		if (!isprint((unsigned char)text[i]))
			text[i] = '?';
	}
	return judge(image->file, REFUSED, "%.*s", (int)record->size, text);
}

enum verdict image_take(struct image *image, const struct peal_record *record)
{
	switch (record->type) {
	case DECODER_IMAGE:
		return take_size(image, record);
	case DECODER_ROWS:
		return take_rows(image, record);
	case DECODER_DONE:
		return take_done(image);
	case DECODER_REFUSED:
		return take_reason(image, record);
	}
	return lie(image, "a record of no known type");
}
