/* SPDX-License-Identifier: MIT */
/* The table of first flights: order, once-only decisions, routes. */
#include "flight_kit.h"

static void order(void **state)
{
	struct client client = make_client(0x0100007f, 1);

	(void)state;
	assert_int_equal(early(&client, 'x'), QS_FLIGHT_NOISE); /* no flight yet */
	assert_int_equal(part(&client, 2, 'c'), QS_FLIGHT_HELD);
	assert_int_equal(early(&client, 'e'), QS_FLIGHT_HELD);
	assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_HELD);
	assert_int_equal(junk(&client), QS_FLIGHT_NOISE);
	assert_int_equal(early(&client, 'f'), QS_FLIGHT_HELD);
	assert_int_equal(n_decided, 0);
	assert_int_equal(counts()->n_undecided, 1);
	assert_true(counts()->octets > 4800);
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_PASSED);
	assert_int_equal(n_decided, 1);
	assert_int_equal(decided_as, QS_SNIFF_DECIDED);
	assert_string_equal(passed, "acbef");
	assert_int_equal(passed_to, QS_FLIGHT_HERE);
	assert_int_equal(passed_ecn, 2);
	assert_int_equal(counts()->n_undecided, 0);
	assert_int_equal(counts()->octets, 0);
	assert_int_equal(counts()->n_routes, 0); /* ours: the connection knows its IDs */
	assert_int_equal(n_asked, 0);
}

static void routes(void **state)
{
	struct client client = make_client(0x0100007f, 1), other = client;

	(void)state;
	answer = SIBLING;
	for (unsigned n = 0; n < 3; n++)
		part(&client, n, (char)('a' + n));
	assert_string_equal(passed, "abc");
	assert_int_equal(passed_to, SIBLING);
	assert_int_equal(counts()->n_routes, 1);
	/* Late and repeated ones go the same way, undecided and as they come. */
	answer = QS_FLIGHT_HERE;
	assert_int_equal(early(&client, 'e'), QS_FLIGHT_PASSED);
	assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_PASSED);
	assert_string_equal(passed, "abceb");
	assert_int_equal(passed_to, SIBLING);
	assert_int_equal(n_decided, 1);
	/* Another port, or another ID of the client, is another flight. */
	other.port++;
	assert_int_equal(part(&other, 0, 'x'), QS_FLIGHT_HELD);
	other = client;
	other.scid[0] ^= 1;
	assert_int_equal(part(&other, 0, 'x'), QS_FLIGHT_HELD);
	other = client;
	other.v6 = true;
	assert_int_equal(part(&other, 0, 'x'), QS_FLIGHT_HELD);
	/* Use keeps it. */
	for (int i = 0; i < 4; i++) {
		now += QS_FLIGHT_ROUTE_NS - 1;
		qs_flight_sweep(table, now);
		assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_PASSED);
	}
	now += QS_FLIGHT_ROUTE_NS;
	qs_flight_sweep(table, now);
	assert_int_equal(counts()->n_routes, 0);
	assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_HELD);
}

static void forget_a_sibling(void **state)
{
	struct client client = make_client(0x0100007f, 1), other = make_client(0x0100007f, 2);

	(void)state;
	answer = SIBLING;
	for (unsigned n = 0; n < 3; n++)
		part(&client, n, 'a');
	answer = SIBLING + 1;
	for (unsigned n = 0; n < 3; n++)
		part(&other, n, 'a');
	qs_flight_forget(table, SIBLING);
	assert_int_equal(counts()->n_routes, 1);
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_HELD);
	assert_int_equal(part(&other, 0, 'a'), QS_FLIGHT_PASSED);
	assert_int_equal(passed_to, SIBLING + 1);
}

static void nobody_wants_it(void **state)
{
	struct client client = make_client(0x0100007f, 1);

	(void)state;
	answer = QS_FLIGHT_NOBODY;
	part(&client, 0, 'a');
	part(&client, 1, 'a');
	assert_int_equal(part(&client, 2, 'a'), QS_FLIGHT_REFUSED);
	assert_int_equal(n_passed, 0);
	assert_int_equal(counts()->n_undecided + counts()->n_routes, 0);
	assert_int_equal(counts()->octets, 0);
}

static void broken_ones_are_decided_too(void **state)
{
	struct client client = make_client(0x0100007f, 1);
	struct initial_flight flight = flight_of(&client);
	size_t len;

	(void)state;
	len = initial_seal(buffer, &flight, 9, (const uint8_t *)"\x08\x00", 2, 1200);
	assert_int_equal(feed(&client, 'a', len), QS_FLIGHT_PASSED);
	assert_int_equal(decided_as, QS_SNIFF_BROKEN);

	/* One that never ends. */
	for (unsigned n = 0; n < 40 && n_decided == 1; n++)
		part(&client, n % 2, 'b');
	assert_int_equal(n_decided, 2);
	assert_int_equal(decided_as, QS_SNIFF_NO_ROOM);
	assert_true(n_passed * 1200 <= 1200 + QS_FLIGHT_OCTETS_MAX);
	assert_int_equal(counts()->octets, 0);
}

static void early_data_has_a_share(void **state)
{
	struct client client = make_client(0x0100007f, 1);

	(void)state;
	part(&client, 1, 'b');
	for (unsigned n = 0; n < 100; n++)
		early(&client, 'e');
	assert_true(counts()->refused > 80);
	assert_true(counts()->octets < QS_FLIGHT_OCTETS_MAX);
	part(&client, 2, 'c');
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_PASSED);
	assert_int_equal(decided_as, QS_SNIFF_DECIDED);
	assert_int_equal(memcmp(passed, "abceee", 6), 0);
}

static void undecided_ones_expire(void **state)
{
	struct client client = make_client(0x0100007f, 1);

	(void)state;
	part(&client, 0, 'a');
	now += QS_FLIGHT_UNDECIDED_NS - 1;
	qs_flight_sweep(table, now);
	assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_HELD); /* this does not prolong it */
	now++;
	qs_flight_sweep(table, now);
	assert_int_equal(counts()->n_undecided, 0);
	assert_int_equal(counts()->octets, 0);
	assert_int_equal(counts()->expired, 1);
	assert_int_equal(part(&client, 2, 'c'), QS_FLIGHT_HELD);
	assert_int_equal(n_passed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(order),
		TEST(routes),
		TEST(forget_a_sibling),
		TEST(nobody_wants_it),
		TEST(broken_ones_are_decided_too),
		TEST(early_data_has_a_share),
		TEST(undecided_ones_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
