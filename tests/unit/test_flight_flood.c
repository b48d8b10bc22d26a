/* SPDX-License-Identifier: MIT */
/* Who gives way in a flood of first flights: shares, Retry, bounds. */
#include "flight_kit.h"

static void noise_makes_no_state(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 2000; n++) {
		struct client client = make_client(n, n);

		assert_int_equal(junk(&client), QS_FLIGHT_NOISE);
	}
	assert_int_equal(counts()->noise, 2000);
	assert_int_equal(counts()->n_undecided, 0);
	assert_int_equal(counts()->octets, 0);
	memset(buffer, 0xff, sizeof(buffer));
	for (size_t len = 0; len < 100; len++)
		assert_int_equal(feed(&(struct client){.port = 1}, 'x', len + 1), QS_FLIGHT_NOISE);
}

static void a_source_has_a_share(void **state)
{
	struct client client;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (uint32_t n = 0; n < QS_FLIGHT_SOURCE_MAX + 10; n++) {
			client = make_client(0x0100007f, n);
			client.v6 = v6;
			assert_int_equal(part(&client, 0, 'a'), n < QS_FLIGHT_SOURCE_MAX
									? QS_FLIGHT_HELD
									: QS_FLIGHT_REFUSED);
		}
		assert_int_equal(counts()->n_undecided, (v6 + 1) * QS_FLIGHT_SOURCE_MAX);
		/* What it began, it may end. */
		client = make_client(0x0100007f, 3);
		client.v6 = v6;
		part(&client, 1, 'b');
		assert_int_equal(part(&client, 2, 'c'), QS_FLIGHT_PASSED);
		part(&client, 0, 'a');
	}
	/* Others are not hurt. */
	client = make_client(0x0200007f, 1);
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_HELD);
}

static void retry_above_a_threshold(void **state)
{
	struct client client;

	(void)state;
	for (uint32_t n = 0; n < QS_FLIGHT_RETRY_AT; n++) {
		client = make_client(1 + n, n);
		assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_HELD);
	}
	assert_int_equal(n_asked, 0);
	admitted = false;
	client = make_client(0x0200007f, 1);
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_REFUSED);
	assert_int_equal(n_asked, 1);
	assert_int_equal(counts()->n_undecided, QS_FLIGHT_RETRY_AT);
	admitted = true;
	for (unsigned n = 0; n < 2; n++)
		assert_int_equal(part(&client, n, 'a'), QS_FLIGHT_HELD);
	assert_int_equal(n_asked, 2); /* once a flight */
	assert_int_equal(part(&client, 2, 'a'), QS_FLIGHT_PASSED);
	/* What needs no state needs no Retry. */
	admitted = false;
	initial_make_hello(&hello, "a.example", alpn, 0);
	client = make_client(0x0200007f, 2);
	{
		struct initial_flight flight = flight_of(&client);
		uint8_t frames[1200];
		size_t len = initial_seal(buffer, &flight, 0, frames,
					  initial_crypto(frames, 0, hello.data, hello.len), 1200);

		assert_int_equal(feed(&client, 'a', len), QS_FLIGHT_PASSED);
	}
	assert_int_equal(n_asked, 2);
}

static void a_flood_is_its_own_victim(void **state)
{
	struct client first = make_client(0x0100007f, 1), client;
	uint32_t n;

	(void)state;
	answer = SIBLING;
	for (n = 0; n < 3; n++)
		part(&first, n, 'a');
	client = make_client(0x0200007f, 7);
	part(&client, 0, 'a'); /* half of a client that was there before */
	/* Ten sources fill the table up to their share, a hundred others with one each. */
	for (n = 0; n < 2000; n++) {
		struct client flood = make_client(0x0a000000 + n % 20, 100 + n);

		part(&flood, 0, 'f');
		assert_true(counts()->n_undecided <= QS_FLIGHT_MAX);
		assert_true(counts()->octets <= QS_FLIGHT_TOTAL_MAX);
	}
	assert_int_equal(counts()->n_undecided, QS_FLIGHT_MAX);
	/* A newcomer takes the newest place of those that have most. */
	for (n = 0; n < 300; n++) {
		struct client fresh = make_client(0x0b000000 + n, n);

		assert_int_equal(part(&fresh, 0, 'n'), QS_FLIGHT_HELD);
		assert_int_equal(part(&fresh, 1, 'n'), QS_FLIGHT_HELD);
	}
	assert_int_equal(counts()->evicted, 300);
	assert_int_equal(counts()->n_undecided, QS_FLIGHT_MAX);
	/* Those that were there first are, and so is what was decided. */
	assert_int_equal(part(&client, 1, 'b'), QS_FLIGHT_HELD);
	assert_int_equal(part(&client, 2, 'c'), QS_FLIGHT_PASSED);
	n_passed = 0;
	assert_int_equal(part(&first, 1, 'b'), QS_FLIGHT_PASSED);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed_to, SIBLING);
}

static void all_sources_with_one_flight(void **state)
{
	struct client client;

	(void)state;
	for (uint32_t n = 0; n < QS_FLIGHT_MAX + 100; n++) {
		client = make_client(0x0a000000 + n, n);
		assert_int_equal(part(&client, 0, 'a'),
				 n < QS_FLIGHT_MAX ? QS_FLIGHT_HELD : QS_FLIGHT_REFUSED);
	}
	assert_int_equal(counts()->evicted, 0);
	now += QS_FLIGHT_UNDECIDED_NS;
	qs_flight_sweep(table, now);
	assert_int_equal(counts()->n_undecided, 0);
	assert_int_equal(part(&client, 0, 'a'), QS_FLIGHT_HELD);
}

static void routes_are_bounded(void **state)
{
	struct client client;

	(void)state;
	initial_make_hello(&hello, "a.example", alpn, 0);
	answer = SIBLING;
	for (uint32_t n = 0; n < QS_FLIGHT_ROUTES_MAX + 5; n++) {
		struct initial_flight flight;
		uint8_t frames[1200];
		size_t len;

		client = make_client(0x0a000000 + n, n);
		flight = flight_of(&client);
		len = initial_seal(buffer, &flight, 0, frames,
				   initial_crypto(frames, 0, hello.data, hello.len), 1200);
		assert_int_equal(feed(&client, 'a', len), QS_FLIGHT_PASSED);
	}
	assert_int_equal(counts()->n_routes, QS_FLIGHT_ROUTES_MAX);
	client = make_client(0x0a000000 + 5, 5); /* the oldest that is left */
	n_decided = 0;
	assert_int_equal(early(&client, 'e'), QS_FLIGHT_PASSED);
	client = make_client(0x0a000000 + 4, 4);
	assert_int_equal(early(&client, 'e'), QS_FLIGHT_NOISE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(noise_makes_no_state),	   TEST(a_source_has_a_share),
		TEST(retry_above_a_threshold),	   TEST(a_flood_is_its_own_victim),
		TEST(all_sources_with_one_flight), TEST(routes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
