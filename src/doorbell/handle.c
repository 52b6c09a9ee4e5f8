/* SPDX-License-Identifier: MIT */
/*
 * handle.c - the far end on its way to the guest. Only the number travels, as text in argv; the
 * descriptor itself is inherited.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <peal/doorbell.h>

#include "base/error.h"
#include "base/fd.h"

struct peal_doorbell_handle peal_doorbell_handle_from_fd(int fd)
{
	return (struct peal_doorbell_handle){.fd = fd};
}

int peal_doorbell_handle_to_fd(struct peal_doorbell_handle handle)
{
	return handle.fd;
}

int peal_doorbell_from_handle(struct peal_doorbell *db, struct peal_doorbell_handle handle)
{
	return peal_doorbell_from_fd_take(db, handle.fd);
}

int peal_doorbell_handle_to_arg(struct peal_doorbell_handle handle, char *buffer, size_t size)
{
	/* Aside first: a text that is cut off would be another, valid, number. */
	char text[sizeof(PEAL_DOORBELL_ARG "=-2147483648")];
	int length = snprintf(text, sizeof(text), PEAL_DOORBELL_ARG "=%d", handle.fd);

	if ((size_t)length >= size)
		return peal_fail(ENOSPC, "%zu bytes are too few for '%s'", size, text);
	memcpy(buffer, text, (size_t)length + 1);
	return length;
}

int peal_doorbell_handle_from_arg(struct peal_doorbell_handle *handle, const char *text)
{
	static const char prefix[] = PEAL_DOORBELL_ARG "=";

	if (strncmp(text, prefix, strlen(prefix)) == 0)
		text += strlen(prefix);
	return peal_fd_parse(PEAL_DOORBELL_ARG, text, &handle->fd);
}

void peal_doorbell_handle_close(struct peal_doorbell_handle *handle)
{
	peal_fd_close(&handle->fd);
}
