/* SPDX-License-Identifier: MIT */
/* The table of first flights: order, once-only decisions, routes, and who gives way in a flood. The clock is ours. */
#include "flight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h> /* wants those before */

#include "initial_kit.h"

#include <arpa/inet.h>

#define SIBLING 77u
#define SECOND 1000000000ull

static const char *const alpn[] = {"smb", NULL};
static struct initial_hello hello; /* of three datagrams */
static struct qs_flight_table *table;
static uint64_t now;

/* What the callbacks saw. */
static unsigned n_decided, n_passed, n_asked;
static enum qs_sniff_verdict decided_as;
static uint64_t answer, passed_to;
static bool admitted;
static char passed[32]; /* the mark of each datagram, in order */
static uint8_t passed_ecn;

static uint64_t decide(void *context, const struct qs_udp_train *first,
		       const struct qs_sniff *sniff)
{
	assert_ptr_equal(context, &now);
	assert_int_equal(first->len, first->segment);
	assert_true(first->len >= 1200);
	decided_as = sniff->verdict;
	if (sniff->verdict == QS_SNIFF_DECIDED) {
		assert_string_equal(sniff->sni, "a.example");
		assert_true(qs_sniff_offers(sniff, "smb"));
	}
	n_decided++;
	return answer;
}

static void pass(void *context, uint64_t where, const struct qs_udp_train *train)
{
	assert_ptr_equal(context, &now);
	assert_int_equal(train->len, train->segment);
	passed_to = where;
	passed_ecn = train->ecn;
	if (n_passed < sizeof(passed) - 1)
		passed[n_passed] = (char)train->ifindex;
	n_passed++;
}

static bool admit(void *context, const struct qs_udp_train *train)
{
	assert_ptr_equal(context, &now);
	assert_non_null(train->data);
	n_asked++;
	return admitted;
}

static const struct qs_flight_ops ops = {decide, pass, admit};

static int begin(void **state)
{
	(void)state;
	n_decided = n_passed = n_asked = 0;
	memset(passed, 0, sizeof(passed));
	answer = QS_FLIGHT_HERE;
	admitted = true;
	now = 100 * SECOND;
	initial_make_hello(&hello, "a.example", alpn, 2000);
	table = qs_flight_table_new(&ops, &now);
	return table == NULL ? -1 : 0;
}

static int end(void **state)
{
	(void)state;
	qs_flight_table_free(table);
	return 0;
}

/* A client's datagram. */
struct client {
	uint32_t address; /* IPv4, or the last part of the first half of an IPv6 one */
	uint16_t port;
	uint8_t dcid[8], scid[8];
	bool v6;
};

static struct client make_client(uint32_t address, uint32_t n)
{
	struct client client = {.address = address, .port = (uint16_t)(1024 + n % 60000)};

	memcpy(client.dcid, &n, sizeof(n));
	return client;
}

static uint8_t buffer[2000];

static enum qs_flight_result feed(const struct client *client, char mark, size_t len)
{
	struct qs_udp_train train = {.local_len = sizeof(struct sockaddr_in),
				     .remote_len = sizeof(struct sockaddr_in),
				     .ifindex = (uint32_t)mark,
				     .ecn = 2,
				     .len = len,
				     .segment = len};
	enum qs_flight_result result;

	if (client->v6) {
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
					    .sin6_port = htons(client->port)};

		memcpy(&sin6.sin6_addr.s6_addr[4], &client->address, 4);
		memcpy(&sin6.sin6_addr.s6_addr[12], client->dcid, 4);
		memcpy(&train.remote, &sin6, sizeof(sin6));
		sin6.sin6_port = htons(443);
		memcpy(&train.local, &sin6, sizeof(sin6));
	} else {
		struct sockaddr_in sin = {.sin_family = AF_INET,
					  .sin_port = htons(client->port),
					  .sin_addr.s_addr = client->address};

		memcpy(&train.remote, &sin, sizeof(sin));
		sin.sin_port = htons(443);
		memcpy(&train.local, &sin, sizeof(sin));
	}
	/* A copy of its own, gone afterwards: what is held must not point there. */
	train.data = malloc(len);
	assert_non_null(train.data);
	memcpy(train.data, buffer, len);
	result = qs_flight_feed(table, &train, now);
	free(train.data);
	return result;
}

static struct initial_flight flight_of(const struct client *client)
{
	return (struct initial_flight){.version = NGTCP2_PROTO_VER_V1,
				       .dcid = client->dcid,
				       .dcid_len = sizeof(client->dcid),
				       .scid = client->scid,
				       .scid_len = sizeof(client->scid)};
}

/* Part 0, 1 or 2 of three of the hello. */
static enum qs_flight_result part(const struct client *client, unsigned n, char mark)
{
	struct initial_flight flight = flight_of(client);
	size_t third = hello.len / 3, at = n * third, len = n == 2 ? hello.len - at : third;
	uint8_t frames[2000];

	len = initial_seal(buffer, &flight, n, frames,
			   initial_crypto(frames, at, hello.data + at, len), 1200);
	return feed(client, mark, len);
}

/* A 0-RTT packet. */
static enum qs_flight_result early(const struct client *client, char mark)
{
	size_t at = 0;

	memset(buffer, 0x77, sizeof(buffer));
	buffer[at++] = 0xd3;
	memcpy(buffer + at, "\0\0\0\1", 4);
	at += 4;
	buffer[at++] = 8;
	memcpy(buffer + at, client->dcid, 8);
	at += 8;
	buffer[at++] = 8;
	memcpy(buffer + at, client->scid, 8);
	at += 8;
	buffer[at++] = 0x44; /* 1,100 octets */
	buffer[at++] = 0x4c;
	return feed(client, mark, at + 1100);
}

/* Junk that looks like an Initial of this client. */
static enum qs_flight_result junk(const struct client *client)
{
	struct initial_flight flight = flight_of(client);
	size_t len = initial_seal(buffer, &flight, 0, (const uint8_t *)"\x01", 1, 1200);

	buffer[len - 1] ^= 1;
	return feed(client, 'j', len);
}

static const struct qs_flight_counts *counts(void)
{
	return qs_flight_counts(table);
}

/* --- --- */

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
		TEST(order),
		TEST(routes),
		TEST(forget_a_sibling),
		TEST(nobody_wants_it),
		TEST(broken_ones_are_decided_too),
		TEST(early_data_has_a_share),
		TEST(undecided_ones_expire),
		TEST(noise_makes_no_state),
		TEST(a_source_has_a_share),
		TEST(retry_above_a_threshold),
		TEST(a_flood_is_its_own_victim),
		TEST(all_sources_with_one_flight),
		TEST(routes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
