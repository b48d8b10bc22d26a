/* SPDX-License-Identifier: MIT */
/* Timers: order, moving, clearing, and firing that sets again. */
#include "timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct qs_timers timers;
static uint64_t fired[64];
static unsigned n_fired;

static void note(struct qs_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	fired[n_fired++] = timer->at_ns;
}

static void again(struct qs_timer *timer, uint64_t now_ns)
{
	n_fired++;
	qs_timer_set(&timers, timer, now_ns + 10);
}

static int reset(void **state)
{
	(void)state;
	qs_timers_fini(&timers);
	n_fired = 0;
	return 0;
}

static void fires_in_order(void **state)
{
	struct qs_timer t[20] = {0};

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		t[i].fn = note;
		assert_int_equal(qs_timer_set(&timers, &t[i], (i * 7) % 20 + 1), 0);
	}
	assert_int_equal(qs_timers_next(&timers), 1);
	qs_timers_run(&timers, 10);
	assert_int_equal(n_fired, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fired[i], i + 1);
	assert_int_equal(qs_timers_next(&timers), 11);
}

static void moves_and_clears(void **state)
{
	struct qs_timer a = {.fn = note}, b = {.fn = note}, c = {.fn = note};

	(void)state;
	qs_timer_set(&timers, &a, 5);
	qs_timer_set(&timers, &b, 6);
	qs_timer_set(&timers, &c, 7);
	qs_timer_set(&timers, &a, 9); /* later */
	qs_timer_set(&timers, &c, 1); /* earlier */
	qs_timer_clear(&timers, &b);
	qs_timer_clear(&timers, &b);
	qs_timers_run(&timers, 100);
	assert_int_equal(n_fired, 2);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 9);
	assert_int_equal(qs_timers_next(&timers), UINT64_MAX);
}

static void may_set_itself_again(void **state)
{
	struct qs_timer a = {.fn = again};

	(void)state;
	qs_timer_set(&timers, &a, 5);
	qs_timers_run(&timers, 5);
	assert_int_equal(n_fired, 1);
	assert_int_equal(qs_timers_next(&timers), 15);
	qs_timers_run(&timers, 14);
	assert_int_equal(n_fired, 1);
	qs_timers_run(&timers, 15);
	assert_int_equal(n_fired, 2);
}

/* Against a plain array, many random moves. */
static void agrees_with_a_list(void **state)
{
	struct qs_timer t[50] = {0};

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 50; i++)
		t[i].fn = note;
	for (unsigned k = 0; k < 5000; k++) {
		struct qs_timer *x = &t[rand() % 50];
		uint64_t least = UINT64_MAX;

		if (rand() % 3 == 0)
			qs_timer_clear(&timers, x);
		else
			qs_timer_set(&timers, x, (uint64_t)rand());
		for (unsigned i = 0; i < 50; i++) {
			if (t[i].index != 0 && t[i].at_ns < least)
				least = t[i].at_ns;
		}
		assert_int_equal(qs_timers_next(&timers), least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fires_in_order, reset),
		cmocka_unit_test_setup(moves_and_clears, reset),
		cmocka_unit_test_setup(may_set_itself_again, reset),
		cmocka_unit_test_setup_teardown(agrees_with_a_list, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
