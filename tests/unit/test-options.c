/* SPDX-License-Identifier: MIT */
/*
 * Promises of base/options.h: option structs of other versions.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <peal/base.h>

#include "base/options.h"
#include "harness.h"

/* The second of three versions, which is "this" one here. */
struct known {
	size_t size;
	uint64_t first;
	uint64_t second;
};

#define FIRST_SIZE offsetof(struct known, second)

START_TEST(missing_members_are_zero)
{
	struct known options, older = {FIRST_SIZE, 1, 2};

	assert_ok(peal_options_copy(&options, sizeof(options), FIRST_SIZE, &older));
	ck_assert_uint_eq(options.size, sizeof(options));
	ck_assert_uint_eq(options.first, 1);
	ck_assert_uint_eq(options.second, 0);
	memset(&options, 0xff, sizeof(options));
	assert_ok(peal_options_copy(&options, sizeof(options), FIRST_SIZE, NULL));
	ck_assert_uint_eq(options.size, sizeof(options));
	ck_assert_uint_eq(options.first, 0);
	ck_assert_uint_eq(options.second, 0);
}
END_TEST

START_TEST(unknown_members_must_be_zero)
{
	struct {
		struct known known;
		unsigned char third[8];
	} newer = {{sizeof(newer), 1, 2}, {0}}, options;

	memset(&options, 0xee, sizeof(options));
	assert_ok(peal_options_copy(&options, sizeof(options.known), FIRST_SIZE, &newer));
	ck_assert_uint_eq(options.known.size, sizeof(options.known));
	ck_assert_uint_eq(options.known.second, 2);
	ck_assert_uint_eq(options.third[0], 0xee);
	for (size_t i = 0; i < sizeof(newer.third); i++) {
		newer.third[i] = 1;
		assert_fails(peal_options_copy(&options, sizeof(options.known), FIRST_SIZE, &newer),
			     EINVAL, "knows only 24 bytes");
		newer.third[i] = 0;
	}
}
END_TEST

START_TEST(a_size_that_was_not_set_is_refused)
{
	struct known options = {7, 7, 7}, bad = {0, 1, 2};
	const size_t sizes[] = {0, FIRST_SIZE - 1, PEAL_OPTIONS_SIZE_MAX + 1, SIZE_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bad.size = sizes[i];
		assert_fails(peal_options_copy(&options, sizeof(options), FIRST_SIZE, &bad), EINVAL,
			     "expected sizeof of the struct, 24");
		ck_assert(options.size == 7 && options.first == 7 && options.second == 7);
	}
}
END_TEST

int main(void)
{
	return harness_main("options", (struct harness_case[]){
					       {missing_members_are_zero, 0},
					       {unknown_members_must_be_zero, 0},
					       {a_size_that_was_not_set_is_refused, 0},
					       HARNESS_END,
				       });
}
