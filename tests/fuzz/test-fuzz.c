/* SPDX-License-Identifier: MIT */
/*
 * test-fuzz.c - the corpus, and what a fixed generator makes of it; under ASan and UBSan.
 *
 * The fuzzers (./dev fuzz) search by coverage and for as long as one likes. What they found is in the
 * corpus, and this replays it everywhere, with some thousands of variations.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "harness.h"

#define INPUT_MAX  1024
#define CORPUS_MAX 256

struct text {
	uint8_t bytes[INPUT_MAX];
	size_t size;
};

static struct text corpus[CORPUS_MAX];
static size_t corpus_count;

static uint64_t random_state;

static uint64_t random_below(uint64_t end)
{
	/* xorshift64* of Vigna; any generator would do. */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(2685821657736338717) >> 16) % end;
}

static void load(const char *name)
{
	const char *root = getenv("PEAL_CORPUS");
	char folder[PATH_MAX - 300], path[PATH_MAX];
	struct dirent **entries;
	int count;

	ck_assert_msg(root != NULL, "PEAL_CORPUS is not set");
	snprintf(folder, sizeof(folder), "%s/%s", root, name);
	/* Sorted, so that it is the same everywhere. */
	count = scandir(folder, &entries, NULL, alphasort);
	ck_assert_int_gt(count, 2);
	for (int i = 0; i < count; i++) {
		struct text *text = &corpus[corpus_count];
		FILE *file;

		if (entries[i]->d_name[0] != '.') {
			ck_assert_uint_lt(corpus_count, CORPUS_MAX);
			snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
			file = fopen(path, "re");
			ck_assert_ptr_nonnull(file);
			text->size = fread(text->bytes, 1, sizeof(text->bytes), file);
			fclose(file);
			corpus_count++;
		}
		free(entries[i]);
	}
	free(entries);
}

static void insert(struct text *text, size_t at, const uint8_t *bytes, size_t count)
{
	if (count > sizeof(text->bytes) - text->size)
		count = sizeof(text->bytes) - text->size;
	memmove(text->bytes + at + count, text->bytes + at, text->size - at);
	memcpy(text->bytes + at, bytes, count);
	text->size += count;
}

static void mutate(struct text *text)
{
	size_t at = random_below(text->size + 1), count = 1 + random_below(8);
	uint8_t bytes[8];
	const struct text *other = &corpus[random_below(corpus_count)];

	switch (random_below(5)) {
	case 0:
		if (at < text->size)
			text->bytes[at] ^= (uint8_t)(1u << random_below(8));
		break;
	case 1:
		if (at < text->size)
			text->bytes[at] = (uint8_t)random_below(256);
		break;
	case 2:
		for (size_t i = 0; i < count; i++)
			bytes[i] = (uint8_t)random_below(256);
		insert(text, at, bytes, count);
		break;
	case 3:
		count = count < text->size - at ? count : text->size - at;
		memmove(text->bytes + at, text->bytes + at + count, text->size - at - count);
		text->size -= count;
		break;
	default: /* the rest of another */
		if (other->size > 0) {
			size_t from = random_below(other->size);

			insert(text, at, other->bytes + from, other->size - from);
		}
	}
}

/* In the order of fuzz_targets[]. About two seconds each. */
static const unsigned int variations[] = {60000, 60000, 30000, 3000, 30000, 10000};

/* PEAL_FUZZ_VARIATIONS: how many instead. */
static unsigned long variations_of(int nth)
{
	const char *wanted = getenv("PEAL_FUZZ_VARIATIONS");

	return wanted ? strtoul(wanted, NULL, 10) : variations[nth];
}

static void hammer(int nth)
{
	const struct fuzz_target *target = &fuzz_targets[nth];
	struct text text;

	load(target->name);
	for (size_t i = 0; i < corpus_count; i++)
		fuzz_run(target, corpus[i].bytes, corpus[i].size);
	random_state = 88172645463325252 + (uint64_t)nth;
	for (unsigned long i = variations_of(nth); i > 0; i--) {
		text = corpus[random_below(corpus_count)];
		for (uint64_t n = 1 + random_below(6); n > 0; n--)
			mutate(&text);
		fuzz_run(target, text.bytes, text.size);
	}
}

START_TEST(a_false_consumer_fools_no_producer)
{
	hammer(0);
}
END_TEST

START_TEST(a_false_producer_fools_no_consumer)
{
	hammer(1);
}
END_TEST

START_TEST(only_a_segment_is_taken_for_one)
{
	hammer(2);
}
END_TEST

START_TEST(a_guest_attaches_to_whole_channels_only)
{
	hammer(3);
}
END_TEST

START_TEST(a_command_line_is_read_as_documented)
{
	hammer(4);
}
END_TEST

START_TEST(a_handles_text_is_read_as_documented)
{
	hammer(5);
}
END_TEST

int main(void)
{
	return harness_main("fuzz", (struct harness_case[]){
					    {a_false_consumer_fools_no_producer, 0},
					    {a_false_producer_fools_no_consumer, 0},
					    {only_a_segment_is_taken_for_one, 0},
					    {a_guest_attaches_to_whole_channels_only, 0},
					    {a_command_line_is_read_as_documented, 0},
					    {a_handles_text_is_read_as_documented, 0},
					    HARNESS_END,
				    });
}
