// SPDX-License-Identifier: MIT
// What anybody may send to an engine's UDP port: no connection notices, and it costs a bounded
// amount of memory.
#include "engine_kit_stream.h"

#include "cid.h"
#include "endpoint.h"

#include <ngtcp2/ngtcp2_crypto.h>

static int listener, client, server, udp;
static uint16_t port;
static struct sockaddr_in target = {.sin_family = AF_INET};

static int start(void **state)
{
	(void)state;
	kit_start(kit_policy(""));
	port = 0;
	listener = kit_listen(KIT_ONE, &port);
	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_ping(client, server, 'a');
	inet_pton(AF_INET, KIT_ONE, &target.sin_addr);
	target.sin_port = htons(port);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(udp);
	close(client);
	close(server);
	close(listener);
	kit_stop();
	return 0;
}

static void send_to_port(int fd, const void *data, size_t len)
{
	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&target, sizeof(target)), len);
}

/* The connection that was open before still is, and a new stream can be had. */
static void goes_on(void)
{
	int a, b;

	kit_ping(client, server, 'b');
	kit_pair(KIT_ONE, port, listener, &a, &b);
	kit_ping(a, b, 'c');
	close(a);
	close(b);
	assert_int_equal(kit_connections("one.kit.test"), 1);
	assert_int_equal(kit_status()->head.totals.connections_opened, 1);
	assert_int_equal(kit_status()->head.totals.faults_trapped, 0);
}

static uint64_t resident_kib(void)
{
	unsigned long pages = 0, skip_size;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &skip_size, &pages), 2);
	fclose(file);
	return pages * 4;
}

static void random_datagrams(void **state)
{
	uint8_t data[1500];

	(void)state;
	srandom(1);
	for (int i = 0; i < 5000; i++) {
		size_t len = (size_t)random() % sizeof(data);

		getrandom(data, sizeof(data), 0);
		send_to_port(udp, data, len);
		if (i % 64 == 0)
			kit_ping(client, server, 'd');
	}
	goes_on();
}

static void empty_datagrams(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		send_to_port(udp, "", 0);
	goes_on();
}

/* What looks like the first packet of a client. */
static size_t client_initial(uint8_t *out, size_t cap, uint32_t version)
{
	size_t at = 0;

	memset(out, 0, cap);
	out[at++] = 0xc3;
	for (int i = 0; i < 4; i++)
		out[at++] = (uint8_t)(version >> (24 - 8 * i));
	out[at++] = 18;
	getrandom(out + at, 18, 0);
	at += 18;
	out[at++] = 8;
	getrandom(out + at, 8, 0);
	at += 8;
	out[at++] = 0; /* token */
	out[at] = (uint8_t)(0x40 | (cap - at - 2) >> 8);
	out[at + 1] = (uint8_t)(cap - at - 2);
	at += 2;
	getrandom(out + at, cap - at, 0);
	return cap;
}

static void truncated_long_headers(void **state)
{
	uint8_t data[1200];

	(void)state;
	client_initial(data, sizeof(data), NGTCP2_PROTO_VER_V1);
	for (size_t len = 1; len <= sizeof(data); len += len < 64 ? 1 : 37)
		send_to_port(udp, data, len);
	for (unsigned i = 0; i < 64; i++) { /* lengths that lie */
		client_initial(data, sizeof(data), NGTCP2_PROTO_VER_V1);
		data[5 + i % 40] = 0xff;
		send_to_port(udp, data, sizeof(data));
	}
	goes_on();
}

/* RFC 9000, 6.1: a version nobody knows, in a large enough datagram, is answered with those that we
 * speak. */
static void version_negotiation(void **state)
{
	uint8_t data[1200], answer[1500];
	struct timeval limit = {.tv_sec = KIT_MS_MAX / 1000};
	bool v1 = false, v2 = false;
	ssize_t n;

	(void)state;
	setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	client_initial(data, sizeof(data), 0x1a2a3a4au);
	send_to_port(udp, data, 1199); /* too small to be answered */
	send_to_port(udp, data, sizeof(data));
	n = recv(udp, answer, sizeof(answer), 0);
	assert_true(n >= 5 + 1 + 8 + 1 + 18 + 8);
	assert_true(answer[0] & 0x80);
	assert_memory_equal(answer + 1, "\0\0\0\0", 4);
	assert_int_equal(answer[5], 8); /* their SCID is our DCID */
	assert_memory_equal(answer + 6, data + 6 + 18 + 1, 8);
	assert_int_equal(answer[14], 18);
	assert_memory_equal(answer + 15, data + 6, 18);
	for (ssize_t at = 33; at + 4 <= n; at += 4) {
		v1 = v1 || memcmp(answer + at, "\0\0\0\1", 4) == 0;
		v2 = v2 || memcmp(answer + at, "\x6b\x33\x43\xcf", 4) == 0;
	}
	assert_true(v1 && v2);
	/* Version negotiation is never answered, nor is a second datagram waiting. */
	memset(data + 1, 0, 4);
	send_to_port(udp, data, sizeof(data));
	goes_on();
	assert_int_equal(recv(udp, answer, sizeof(answer), MSG_DONTWAIT), -1);
}

static void short_headers_of_nobody(void **state)
{
	uint8_t data[1200];

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		getrandom(data, sizeof(data), 0);
		data[0] = (uint8_t)((data[0] & 0x3f) | 0x40);
		send_to_port(udp, data, 1 + i % sizeof(data));
	}
	goes_on();
}

/* What the tokens of the server are made from. */
static const uint8_t *kit_secret(void)
{
	const struct qs_endpoint *endpoint;

	TAILQ_FOREACH(endpoint, &kit_engine.endpoints, link)
	{
		if (endpoint->server)
			return endpoint->reset_secret;
	}
	fail();
	return NULL;
}

/* An ID that this engine gave out, of a connection that is no more: a stateless reset, smaller than
 * what came, and rare. */
static void dead_connections_are_reset(void **state)
{
	struct qs_cid_fields fields = {.generation = kit_engine.generation, .nonce = {1, 2, 3}};
	const struct timeval limit = {.tv_sec = KIT_MS_MAX / 1000};
	uint8_t data[100] = {0x40}, answer[1500], token[NGTCP2_STATELESS_RESET_TOKENLEN];
	ngtcp2_cid cid = {.datalen = QS_CID_LEN};
	unsigned answers = 0;
	ssize_t n;

	(void)state;
	qs_cid_encode(cid.data, &fields);
	memcpy(data + 1, cid.data, cid.datalen);
	assert_int_equal(
		ngtcp2_crypto_generate_stateless_reset_token(token, kit_secret(), 32, &cid), 0);
	setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	send_to_port(udp, data, sizeof(data));
	n = recv(udp, answer, sizeof(answer), 0);
	assert_in_range(n, 21, sizeof(data) - 1);
	assert_memory_equal(answer + n - sizeof(token), token, sizeof(token));
	/* Too small, or no ID of ours: silence. */
	send_to_port(udp, data, 41);
	data[1] ^= 1; /* the length */
	send_to_port(udp, data, sizeof(data));
	data[1] ^= 1;
	for (int i = 0; i < 1000; i++)
		send_to_port(udp, data, sizeof(data));
	goes_on();
	while (recv(udp, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		answers++;
	assert_in_range(answers, 1, 300);
	goes_on();
}

/* RFC 9000, 21.11: no server can be made to end the connections of another that has the same certificate. */
static void each_address_has_a_secret_of_its_own(void **state)
{
	const struct qs_endpoint *endpoint, *other;
	uint16_t port_two = port;
	int two = kit_listen(KIT_TWO, &port_two);
	unsigned pairs = 0, same = 0;

	(void)state;
	TAILQ_FOREACH(endpoint, &kit_engine.endpoints, link)
	TAILQ_FOREACH(other, &kit_engine.endpoints, link)
	{
		if (!endpoint->server || !other->server || endpoint == other)
			continue;
		pairs++;
		same += memcmp(other->reset_secret, endpoint->reset_secret,
			       sizeof(endpoint->reset_secret)) == 0;
	}
	close(two);
	assert_int_equal(pairs, 2);
	assert_int_equal(same, 0);
}

/* First packets that nobody can decrypt, from many ports. */
static void many_junk_initials(void **state)
{
	enum { SOCKETS = 100, EACH = 100 };
	uint8_t data[1200];
	int fds[SOCKETS];
	uint64_t before = 0, after;

	(void)state;
	for (int i = 0; i < SOCKETS; i++)
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int k = 0; k < EACH; k++) {
		if (k == EACH / 10) /* what allocators keep has been allocated */
			before = resident_kib();
		for (int i = 0; i < SOCKETS; i++) {
			client_initial(data, sizeof(data),
				       i % 3 ? NGTCP2_PROTO_VER_V1 : NGTCP2_PROTO_VER_V2);
			if (i % 3 == 0)
				data[0] = 0xd3;
			send_to_port(fds[i], data, sizeof(data));
		}
		if (k % 4 == 0)
			kit_ping(client, server, 'e');
	}
	kit_ping(client, server, 'f');
	after = resident_kib();
	for (int i = 0; i < SOCKETS; i++)
		close(fds[i]);
#ifndef __SANITIZE_ADDRESS__ /* whose quarantine grows */
	assert_in_range(after, 0, before + 64 * 1024);
#else
	assert_in_range(after, 0, before + 400 * 1024);
#endif
	KIT_UNTIL(kit_status()->head.n_connections == 2);
	goes_on();
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	static const struct CMUnitTest tests[] = {
		WITH_ENGINE(random_datagrams),
		WITH_ENGINE(empty_datagrams),
		WITH_ENGINE(truncated_long_headers),
		WITH_ENGINE(version_negotiation),
		WITH_ENGINE(short_headers_of_nobody),
		WITH_ENGINE(dead_connections_are_reset),
		WITH_ENGINE(each_address_has_a_secret_of_its_own),
		WITH_ENGINE(many_junk_initials),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
