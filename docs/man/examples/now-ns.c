/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <stdio.h>

/* Prints "nothing yet; nothing in time". Both waits have one end. */
int main(void)
{
	struct peal_channel_options options = {
		.size = sizeof(options), .to_host = 4096};
	struct peal_channel *channel;
	struct peal_record record;
	uint64_t deadline;

	if (peal_channel_create(&channel, &options) < 0)
		return puts(peal_last_error()), 1;
	if (peal_next_wait(peal_rx(channel), &record, PEAL_TRY) ==
	    -EAGAIN)
		printf("nothing yet; ");
	deadline = peal_deadline_in_ns(1000000); /* 1 ms */
	if (peal_next_wait(peal_rx(channel), &record, deadline) ==
		    -ETIMEDOUT &&
	    peal_now_ns() >= deadline)
		puts("nothing in time");
	peal_channel_close(channel);
	return 0;
}
