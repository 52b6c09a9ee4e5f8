/* SPDX-License-Identifier: MIT */
/* docs/moving.md: frames through iceoryx. Needs its daemon, iox-roudi. */
#include <iceoryx_binding_c/api.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct frame {
	uint32_t size;
	unsigned char pixels[1020];
};

/* Anybody on the machine may subscribe. */
static int put(iox_pub_t publisher, int color)
{
	void *chunk;

	if (iox_pub_loan_chunk(publisher, &chunk,
			       sizeof(struct frame)) !=
	    AllocationResult_SUCCESS)
		return -1; /* the pool of the daemon is empty */
	((struct frame *)chunk)->size = 1000;
	memset(((struct frame *)chunk)->pixels, color, 1000);
	iox_pub_publish_chunk(publisher, chunk);
	return 0;
}

static int get(iox_sub_t subscriber, iox_ws_t wait_set)
{
	iox_notification_info_t info;
	const void *chunk;
	uint64_t missed;
	int sum = 0;

	while (iox_sub_take_chunk(subscriber, &chunk) ==
	       ChunkReceiveResult_NO_CHUNK_AVAILABLE)
		iox_ws_wait(wait_set, &info, 1, &missed);
	const struct frame *frame = chunk;
	for (uint32_t i = 0; i < frame->size; i++)
		sum += frame->pixels[i];
	iox_sub_release_chunk(subscriber, chunk);
	return sum;
}

int main(void)
{
	iox_pub_storage_t publisher_storage;
	iox_sub_storage_t subscriber_storage;
	iox_ws_storage_t wait_storage;
	iox_pub_t publisher;
	iox_sub_t subscriber;
	iox_ws_t wait_set;

	iox_runtime_init("peal-example");
	publisher = iox_pub_init(&publisher_storage, "peal",
				 "example", "frames", NULL);
	subscriber = iox_sub_init(&subscriber_storage, "peal",
				  "example", "frames", NULL);
	wait_set = iox_ws_init(&wait_storage);
	iox_ws_attach_subscriber_state(wait_set, subscriber,
				       SubscriberState_HAS_DATA,
				       0, NULL);
	if (put(publisher, 7) == 0)
		printf("%d\n", get(subscriber, wait_set));
	iox_ws_deinit(wait_set);
	iox_sub_deinit(subscriber);
	iox_pub_deinit(publisher);
	return 0;
}
