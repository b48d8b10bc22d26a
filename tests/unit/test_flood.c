/* SPDX-License-Identifier: MIT */
/* A flood is thinned to its rate, and no pause is wasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "flood.h"

#define SECOND 1000000000ull

static unsigned admitted(struct qs_flood *flood, uint64_t *now_ns, unsigned n, uint64_t every_ns)
{
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++, *now_ns += every_ns)
		good += qs_flood_admit(flood, 1, *now_ns);
	return good;
}

static void a_crowd_is_let_in(void **state)
{
	struct qs_flood flood = {0};
	uint64_t now = 7 * SECOND;

	(void)state;
	assert_int_equal(admitted(&flood, &now, QS_FLOOD_BURST, 0), QS_FLOOD_BURST);
	assert_false(qs_flood_admit(&flood, 1, now));
	now += SECOND;
	assert_int_equal(admitted(&flood, &now, 2 * QS_FLOOD_BURST, 0), QS_FLOOD_BURST);
}

static void a_flood_is_thinned(void **state)
{
	struct qs_flood flood = {0};
	uint64_t now = SECOND;
	unsigned good, some = 0;

	(void)state;
	good = admitted(&flood, &now, 100000, SECOND / 100000);
	assert_in_range(good, QS_FLOOD_RATE, QS_FLOOD_RATE + QS_FLOOD_BURST);
	/* From now on a sample: a few in each hundredth. */
	for (int i = 0; i < 100; i++)
		some += admitted(&flood, &now, 1000, SECOND / 100000) >= QS_FLOOD_RATE / 100 - 1;
	assert_int_equal(some, 100);
}

static void what_is_slower_passes(void **state)
{
	struct qs_flood flood = {0};
	uint64_t now = SECOND;

	(void)state;
	assert_int_equal(admitted(&flood, &now, 100000, SECOND / QS_FLOOD_RATE), 100000);
}

static void dear_things_are_rarer(void **state)
{
	struct qs_flood flood = {0};
	uint64_t now = SECOND;
	unsigned good = 0;

	(void)state;
	admitted(&flood, &now, QS_FLOOD_BURST, 0);
	for (int i = 0; i < 100000; i++, now += SECOND / 100000)
		good += qs_flood_admit(&flood, QS_FLOOD_RETRY, now);
	assert_in_range(good, QS_FLOOD_RATE / QS_FLOOD_RETRY - 1, QS_FLOOD_RATE / QS_FLOOD_RETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_is_let_in),
		cmocka_unit_test(a_flood_is_thinned),
		cmocka_unit_test(what_is_slower_passes),
		cmocka_unit_test(dear_things_are_rarer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
