/* SPDX-License-Identifier: MIT */
/* For test_flight*.c: clients, what the table does with their datagrams, and a clock that is ours. */
#ifndef QS_TEST_FLIGHT_KIT_H
#define QS_TEST_FLIGHT_KIT_H

#include "flight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h> /* wants those before */

#include "initial_kit.h"

#include <arpa/inet.h>

#define KIT static __attribute__((unused))
#define SIBLING 77u
#define SECOND 1000000000ull

static const char *const alpn[] = {"smb", NULL};
KIT struct initial_hello hello; /* of three datagrams */
KIT struct qs_flight_table *table;
KIT uint64_t now;

/* What the callbacks saw. */
KIT unsigned n_decided, n_passed, n_asked;
KIT enum qs_sniff_verdict decided_as;
KIT uint64_t answer, passed_to;
KIT bool admitted;
KIT char passed[32]; /* the mark of each datagram, in order */
KIT uint8_t passed_ecn;

KIT uint64_t decide(void *context, const struct qs_udp_train *first, const struct qs_sniff *sniff)
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

KIT void pass(void *context, uint64_t where, const struct qs_udp_train *train)
{
	assert_ptr_equal(context, &now);
	assert_int_equal(train->len, train->segment);
	passed_to = where;
	passed_ecn = train->ecn;
	if (n_passed < sizeof(passed) - 1)
		passed[n_passed] = (char)train->ifindex;
	n_passed++;
}

KIT bool admit(void *context, const struct qs_udp_train *train)
{
	assert_ptr_equal(context, &now);
	assert_non_null(train->data);
	n_asked++;
	return admitted;
}

KIT const struct qs_flight_ops ops = {decide, pass, admit};

KIT int begin(void **state)
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

KIT int end(void **state)
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

KIT struct client make_client(uint32_t address, uint32_t n)
{
	struct client client = {.address = address, .port = (uint16_t)(1024 + n % 60000)};

	memcpy(client.dcid, &n, sizeof(n));
	return client;
}

KIT uint8_t buffer[2000];

KIT enum qs_flight_result feed(const struct client *client, char mark, size_t len)
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

KIT struct initial_flight flight_of(const struct client *client)
{
	return (struct initial_flight){.version = NGTCP2_PROTO_VER_V1,
				       .dcid = client->dcid,
				       .dcid_len = sizeof(client->dcid),
				       .scid = client->scid,
				       .scid_len = sizeof(client->scid)};
}

/* Part 0, 1 or 2 of three of the hello. */
KIT enum qs_flight_result part(const struct client *client, unsigned n, char mark)
{
	struct initial_flight flight = flight_of(client);
	size_t third = hello.len / 3, at = n * third, len = n == 2 ? hello.len - at : third;
	uint8_t frames[2000];

	len = initial_seal(buffer, &flight, n, frames,
			   initial_crypto(frames, at, hello.data + at, len), 1200);
	return feed(client, mark, len);
}

/* A 0-RTT packet. */
KIT enum qs_flight_result early(const struct client *client, char mark)
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
KIT enum qs_flight_result junk(const struct client *client)
{
	struct initial_flight flight = flight_of(client);
	size_t len = initial_seal(buffer, &flight, 0, (const uint8_t *)"\x01", 1, 1200);

	buffer[len - 1] ^= 1;
	return feed(client, 'j', len);
}

KIT const struct qs_flight_counts *counts(void)
{
	return qs_flight_counts(table);
}

#endif
