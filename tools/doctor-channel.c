/* SPDX-License-Identifier: MIT */
/*
 * doctor-channel.c - a channel with this program as its guest: what all the other probes are about.
 */
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include <peal/peal.h>

#include "command.h"
#include "doctor.h"

/* Enough for any machine that is worth using. */
#define PATIENCE_NS UINT64_C(5000000000)
#define ROUNDS      200

int doctor_guest(int argc, char **argv)
{
	struct peal_channel *channel;
	char text[64];
	int64_t size;
	int rc = peal_attach_args(&channel, &argc, argv, NULL);

	if (rc < 0)
		return wrong_usage("%s is for `peal doctor` itself: %s", DOCTOR_GUEST_ARG,
				   peal_last_error());
	do {
		size = peal_recv(peal_rx(channel), text, sizeof(text), NULL, PEAL_FOREVER);
		rc = size < 0 ? (int)size
			      : peal_send(peal_tx(channel), text, (size_t)size, 0, PEAL_FOREVER);
	} while (rc == 0);
	peal_channel_close(channel);
	return rc == -EPIPE ? STATUS_OK : STATUS_FAILED;
}

static int exchange(struct peal_channel *channel, uint64_t deadline_ns)
{
	int64_t rc = 0;
	uint64_t answer;

	for (uint64_t i = 0; i < ROUNDS && rc >= 0; i++) {
		rc = peal_send(peal_tx(channel), &i, sizeof(i), 0, deadline_ns);
		if (rc == 0)
			rc = peal_recv(peal_rx(channel), &answer, sizeof(answer), NULL,
				       deadline_ns);
		if (rc >= 0 && answer != i)
			rc = -EBADMSG;
	}
	return rc < 0 ? (int)rc : 0;
}

/* Return: 0 with the time of a round trip; otherwise peal_last_error() has the sentence. */
static int converse(struct peal_channel *channel, struct peal_child **child, uint64_t *round_ns)
{
	/* The path that was given to exec, whatever argv says. */
	union {
		unsigned long value;
		char *text;
	} path = {.value = getauxval(AT_EXECFN)};
	char command[] = "doctor", role[] = DOCTOR_GUEST_ARG;
	char *argv[] = {path.text, command, role, NULL};
	uint64_t deadline_ns = peal_deadline_in_ns(PATIENCE_NS), begin_ns;
	int rc = peal_spawn(child, channel, argv, NULL);

	if (rc == 0)
		rc = peal_child_wait_ready(*child, channel, deadline_ns);
	begin_ns = peal_now_ns();
	if (rc == 0)
		rc = exchange(channel, deadline_ns);
	if (rc == 0)
		*round_ns = (peal_now_ns() - begin_ns) / ROUNDS;
	return rc;
}

void doctor_look_at_channel(struct finding *finding)
{
	const struct peal_channel_options options = {
		.size = sizeof(options), .to_guest = 4096, .to_host = 4096, .name = "doctor"};
	struct peal_channel *channel = NULL;
	struct peal_child *child = NULL;
	uint64_t round_ns;
	char text[FORMAT_MAX];
	int rc = peal_channel_create(&channel, &options);

	if (rc == 0)
		rc = converse(channel, &child, &round_ns);
	if (rc == 0) {
		doctor_found(finding, "a guest was started and answered %d times, %s each", ROUNDS,
			     format_duration(text, round_ns));
	} else {
		finding->health = HEALTH_MISSING;
		doctor_found(finding, "%s",
			     rc == -ETIMEDOUT ? "the guest was too slow" : peal_last_error());
		doctor_effect(finding, "Peal does not work here");
		finding->page = "docs/dependencies.md";
	}
	peal_channel_close(channel);
	peal_child_free(child);
}
