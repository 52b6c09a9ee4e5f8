/* SPDX-License-Identifier: MIT */
/*
 * stage-guest.c - a stage of `peal pipe` that knows of Peal.
 *
 * usage: stage-guest MODE
 *
 *	upper	gives each record on in capitals, its type plus one
 *	count	at the end: how many records of each type, and how many bytes
 *	ones	three records of type 1, nothing else is done
 *	first	gives the first record on and ends
 *	endless	records without end
 *	crash	takes a record and dies by SIGSEGV
 *	liar	writes a header that is none
 *	empty	each record is followed by an empty one
 *	many	more records than are passed on at once
 *	print	what its standard input is, on standard output, which is not where data goes
 */
#include <ctype.h>
#include <errno.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct peal_producer *tx;
static struct peal_consumer *rx;

static int upper(bool with_empty)
{
	struct peal_record record;
	unsigned char *payload;
	int rc;

	while ((rc = peal_next_wait(rx, &record, PEAL_FOREVER)) == 1) {
		const unsigned char *data = record.data;

		if (peal_reserve_wait(tx, record.size, (void **)&payload, PEAL_FOREVER) < 0)
			return 3;
		for (uint32_t i = 0; i < record.size; i++)
			payload[i] = (unsigned char)toupper(data[i]);
		if (peal_commit(tx, record.size, (uint16_t)(record.type + 1)) < 0)
			return 3;
		if (with_empty && peal_send(tx, NULL, 0, 0, PEAL_FOREVER) < 0)
			return 3;
		peal_release(rx);
	}
	return rc == -EPIPE ? 0 : 2;
}

static int count(void)
{
	uint64_t records[4] = {0}, bytes = 0;
	struct peal_record record;
	char text[160];

	while (peal_next_wait(rx, &record, PEAL_FOREVER) == 1) {
		records[record.type & 3]++;
		bytes += record.size;
		peal_release(rx);
	}
	snprintf(text, sizeof(text), "%llu+%llu+%llu+%llu records, %llu bytes\n",
		 (unsigned long long)records[0], (unsigned long long)records[1],
		 (unsigned long long)records[2], (unsigned long long)records[3],
		 (unsigned long long)bytes);
	return peal_send(tx, text, strlen(text), 0, PEAL_FOREVER) < 0;
}

static int first(void)
{
	struct peal_record record;

	if (peal_next_wait(rx, &record, PEAL_FOREVER) != 1)
		return 2;
	return peal_send(tx, record.data, record.size, 0, PEAL_FOREVER) < 0;
}

static int endless(void)
{
	while (peal_send(tx, "endless\n", 8, 0, PEAL_FOREVER) == 0)
		;
	return 0;
}

static int ones(int count)
{
	for (int i = 0; i < count; i++)
		if (peal_send(tx, "one\n", 4, 1, PEAL_FOREVER) < 0)
			return 1;
	return 0;
}

static int lie(void)
{
	*(uint64_t *)(void *)(tx->data + (tx->tail & tx->mask)) = UINT64_MAX;
	/* Rings; what is committed behind it is never seen. */
	tx->tail += tx->align;
	return peal_send(tx, "x", 1, 0, PEAL_FOREVER) < 0 || pause() < 0;
}

static int print(void)
{
	char input[64] = "";

	return readlink("/proc/self/fd/0", input, sizeof(input) - 1) < 0 || puts(input) == EOF;
}

static int crash(void)
{
	struct peal_record record;

	if (peal_next_wait(rx, &record, PEAL_FOREVER) == 1)
		raise(SIGSEGV);
	return 2;
}

int main(int argc, char **argv)
{
	struct peal_channel *channel;

	if (peal_attach_args(&channel, &argc, argv, NULL) < 0)
		return fprintf(stderr, "%s\n", peal_last_error()), 99;
	tx = peal_tx(channel);
	rx = peal_rx(channel);
	if (argc != 2)
		return 98;
	if (strcmp(argv[1], "upper") == 0)
		return upper(false);
	if (strcmp(argv[1], "empty") == 0)
		return upper(true);
	if (strcmp(argv[1], "count") == 0)
		return count();
	if (strcmp(argv[1], "ones") == 0)
		return ones(3);
	if (strcmp(argv[1], "many") == 0)
		return ones(20000);
	if (strcmp(argv[1], "first") == 0)
		return first();
	if (strcmp(argv[1], "endless") == 0)
		return endless();
	if (strcmp(argv[1], "crash") == 0)
		return crash();
	if (strcmp(argv[1], "liar") == 0)
		return lie();
	if (strcmp(argv[1], "print") == 0)
		return print();
	return 97;
}
