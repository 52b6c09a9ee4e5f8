/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>
#include <string.h>

enum { NUMBERS = 1, TEXT = 2 };

/* Prints "sum: 10". Numbers are added up in place; a text is printed
 * from a copy, so that what is printed is what was checked. */
static int64_t take(struct peal_consumer *rx, uint64_t *sum)
{
	struct peal_record record;
	char text[32];
	int64_t rc = peal_next_wait(rx, &record, PEAL_FOREVER);

	if (rc < 0)
		return rc;
	if (record.type == NUMBERS) {
		for (size_t i = 0; i < record.size / 8; i++)
			*sum += ((const uint64_t *)record.data)[i];
		return peal_release(rx);
	}
	if (record.size > sizeof(text))
		return -EMSGSIZE;
	memcpy(text, record.data, record.size);
	printf("%.*s", (int)record.size, text);
	return peal_release_to(rx, &record);
}

int main(int argc, char **argv)
{
	const uint64_t numbers[] = {1, 2, 3, 4};
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	uint64_t sum = 0;
	int64_t rc = 0;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0) {
		while (rc == 0)
			rc = take(peal_rx(channel), &sum);
		printf("%llu\n", (unsigned long long)sum);
		return rc != -EPIPE; /* the host has closed */
	}
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0)
		return puts(peal_last_error()), 1;
	peal_send(peal_tx(channel), numbers, sizeof(numbers),
		  NUMBERS, PEAL_FOREVER);
	peal_send(peal_tx(channel), "sum: ", 5, TEXT, PEAL_FOREVER);
	peal_channel_close(channel);
	rc = peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return rc < 0;
}
