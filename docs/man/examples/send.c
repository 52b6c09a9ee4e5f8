/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "6 records: 1 2 30 31 32 4". */
static int guest(struct peal_consumer *rx)
{
	int numbers[6], n = 0;

	while (n < 6 && peal_recv(rx, &numbers[n], sizeof(int),
				  NULL, PEAL_FOREVER) > 0)
		n++;
	printf("%d records:", n);
	for (int i = 0; i < n; i++)
		printf(" %d", numbers[i]);
	puts("");
	return 0;
}

/* A number that is made in the ring itself. */
static int put(struct peal_producer *tx, int number)
{
	void *payload;
	int rc = peal_reserve_wait(tx, sizeof(number), &payload,
				   PEAL_FOREVER);

	if (rc < 0)
		return rc;
	*(int *)payload = number;
	return 0;
}

static int host(struct peal_producer *tx)
{
	int number = 1, rc;

	rc = peal_send(tx, &number, sizeof(number), 0,
		       PEAL_FOREVER);
	if (rc == 0 && put(tx, 2) == 0)
		rc = peal_commit(tx, sizeof(number), 0);
	/* Three that are seen at once. */
	for (int i = 0; rc == 0 && i < 3; i++) {
		rc = put(tx, 30 + i);
		if (rc == 0)
			rc = peal_stage(tx, sizeof(number), 0);
	}
	if (rc == 0)
		rc = peal_publish(tx);
	if (rc == 0 && put(tx, 3) == 0)
		peal_abort(tx); /* never seen */
	if (rc == 0 && put(tx, 4) == 0)
		rc = peal_commit(tx, sizeof(number), 0);
	return rc;
}

int main(int argc, char **argv)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096};
	struct peal_channel *channel;
	struct peal_child *child;
	int attach = peal_attach_args(&channel, &argc, argv, NULL);

	if (attach == 0)
		return guest(peal_rx(channel));
	if (attach != -ENOENT ||
	    peal_channel_create(&channel, &options) < 0 ||
	    peal_spawn(&child, channel, argv, NULL) < 0 ||
	    host(peal_tx(channel)) < 0)
		return puts(peal_last_error()), 1;
	peal_channel_close(channel);
	peal_child_wait(child, PEAL_FOREVER, NULL);
	peal_child_free(child);
	return 0;
}
