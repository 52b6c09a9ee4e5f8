/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - what `peal doctor` looks at, and what it finds.
 */
#ifndef PEAL_TOOLS_DOCTOR_H
#define PEAL_TOOLS_DOCTOR_H

enum health {
	HEALTH_OK,
	HEALTH_FALLBACK, /* Peal does without; the effect says how, and what that costs */
	HEALTH_MISSING,  /* Peal can not work, or not in the way that the effect names */
};

struct finding {
	enum health health;
	char found[160];  /* what the machine says */
	char effect[256]; /* what that means for Peal; empty: nothing */
	const char *page; /* where it is explained; NULL: nowhere */
};

struct probe {
	const char *name;
	/* The finding begins as HEALTH_OK and empty. */
	void (*look)(struct finding *finding);
};

extern const struct probe doctor_probes[];
extern const unsigned int doctor_probe_count;

/* doctor-limits.c: what is a number rather than a call. */
void doctor_look_at_files(struct finding *finding);
void doctor_look_at_file_size(struct finding *finding);
void doctor_look_at_memlock(struct finding *finding);
void doctor_look_at_processors(struct finding *finding);
void doctor_look_at_huge_pages(struct finding *finding);
void doctor_look_at_seccomp(struct finding *finding);
void doctor_look_at_proc(struct finding *finding);

/* doctor-channel.c: the real thing, with this program as its guest. */
void doctor_look_at_channel(struct finding *finding);
int doctor_guest(int argc, char **argv);
#define DOCTOR_GUEST_ARG "--guest"

/* Write a sentence into the finding. */
#define doctor_found(finding, ...) snprintf((finding)->found, sizeof((finding)->found), __VA_ARGS__)
#define doctor_effect(finding, ...)                                                                \
	snprintf((finding)->effect, sizeof((finding)->effect), __VA_ARGS__)

#endif
