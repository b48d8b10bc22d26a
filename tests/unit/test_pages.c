/* SPDX-License-Identifier: MIT */
/* Status page and option page: slots, generations, what others may do with the descriptors. */
#include "pages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct qs_pages pages;

static int setup(void **state)
{
	(void)state;
	return qs_pages_init(&pages, 0x1234, 1);
}

static int teardown(void **state)
{
	(void)state;
	qs_pages_fini(&pages);
	return 0;
}

static void a_slot_begins_clean(void **state)
{
	struct qs_options options = {.set = 1, .value[QS_OPT_NODELAY] = 1};
	uint32_t slot = qs_pages_take(&pages, true, &options);
	struct qs_slot *s = qs_pages_slot(&pages, slot);

	(void)state;
	assert_int_equal(slot, 0);
	assert_int_equal(s->state, QS_SLOT_CONNECTING);
	assert_int_equal(s->server, 1);
	assert_int_not_equal(s->generation, 0);
	assert_int_equal(s->seq % 2, 0);
	assert_int_equal(pages.options[slot].value[QS_OPT_NODELAY], 1);
	assert_int_equal(pages.options[slot].generation, s->generation);
}

static void what_ended_stays_readable_for_long(void **state)
{
	uint32_t slot = qs_pages_take(&pages, false, NULL);
	uint16_t generation = qs_pages_slot(&pages, slot)->generation;

	(void)state;
	qs_pages_slot(&pages, slot)->error = ECONNRESET;
	qs_pages_release(&pages, slot);
	for (uint32_t i = 1; i < QS_SLOT_REST; i++) {
		uint32_t other = qs_pages_take(&pages, false, NULL);

		assert_int_not_equal(other, slot);
		qs_pages_release(&pages, other);
	}
	assert_int_equal(qs_pages_slot(&pages, slot)->error, ECONNRESET);
	assert_int_equal(qs_pages_slot(&pages, slot)->state, QS_SLOT_ENDED);
	assert_int_equal(qs_pages_take(&pages, false, NULL), slot);
	assert_int_equal(qs_pages_slot(&pages, slot)->error, 0);
	assert_int_not_equal(qs_pages_slot(&pages, slot)->generation, generation);
}

static void all_taken_is_said(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < QS_SLOTS_MAX; i++)
		assert_int_not_equal(qs_pages_take(&pages, false, NULL), QS_SLOT_NONE);
	assert_int_equal(qs_pages_take(&pages, false, NULL), QS_SLOT_NONE);
	qs_pages_release(&pages, 7);
	assert_int_equal(qs_pages_take(&pages, false, NULL), 7);
}

static void others_can_only_read_the_status_page(void **state)
{
	void *map =
		mmap(NULL, QS_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, pages.status_fd, 0);

	(void)state;
	assert_ptr_equal(map, MAP_FAILED);
	map = mmap(NULL, QS_PAGE_BYTES, PROT_READ, MAP_SHARED, pages.status_fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(((struct qs_page *)map)->engine, 0x1234);
	munmap(map, QS_PAGE_BYTES);
}

static void paths_are_taken_and_given_back(void **state)
{
	uint32_t a = qs_pages_path_take(&pages), b = qs_pages_path_take(&pages);

	(void)state;
	assert_int_not_equal(a, b);
	qs_pages_path_release(&pages, a);
	assert_int_equal(qs_pages_path_take(&pages), a);
}

static void workers_keep_to_their_part(void **state)
{
	struct qs_pages other;
	uint32_t mine, theirs, last = 0;

	(void)state;
	qs_pages_fini(&pages);
	assert_int_equal(qs_pages_init(&pages, 0x1234, 4), 0);
	assert_int_equal(qs_pages_share(&other, &pages, 3), 0);
	mine = qs_pages_take(&pages, false, NULL);
	theirs = qs_pages_take(&other, true, NULL);
	assert_int_equal(mine, 0);
	assert_int_equal(theirs, QS_SLOTS_MAX / 4 * 3);
	assert_ptr_equal(qs_pages_slot(&pages, theirs), qs_pages_slot(&other, theirs));
	assert_int_equal(qs_pages_slot(&pages, theirs)->server, 1);
	qs_pages_release(&other, theirs);
	for (uint32_t i = 0; i < QS_SLOTS_MAX / 4; i++) {
		last = qs_pages_take(&other, false, NULL);
		assert_in_range(last, QS_SLOTS_MAX / 4 * 3, QS_SLOTS_MAX - 1);
	}
	assert_int_equal(qs_pages_take(&other, false, NULL), QS_SLOT_NONE);
	qs_pages_release(&other, last);
	assert_int_equal(qs_pages_take(&other, false, NULL), last);
	assert_int_equal(qs_pages_path_take(&other), QS_PATHS_MAX / 4 * 3);
	qs_pages_fini(&other);
	assert_int_equal(qs_pages_slot(&pages, mine)->server, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slot_begins_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(what_ended_stays_readable_for_long, setup,
						teardown),
		cmocka_unit_test_setup_teardown(all_taken_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(others_can_only_read_the_status_page, setup,
						teardown),
		cmocka_unit_test_setup_teardown(workers_keep_to_their_part, setup, teardown),
		cmocka_unit_test_setup_teardown(paths_are_taken_and_given_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
