// SPDX-License-Identifier: MIT
// First flights from addresses that never answer: they take no more than their share, and clients that
// do answer are served, the new ones by way of a Retry.
#include "engine_kit_stream.h"

#include "initial_kit.h"

#define FLOOD 1500u
#define OPENING_BOUND 512u /* conn_server.c's RETRY_AT */
#define MOST                                                                                       \
	(OPENING_BOUND + 4u) /* and both ends of two connections of ours, one perhaps closing */

static int listener[2], client, server;
static uint16_t port[2];
static struct initial_hello hello;

static int start(void **state)
{
	char policy[2048], *timeout;

	(void)state;
	snprintf(policy, sizeof(policy), "%s", kit_policy("idle-timeout = 9m\n"));
	timeout = strstr(policy, "= 2s"); /* none shall end within the test */
	assert_non_null(timeout);
	memcpy(timeout, "= 9m", 4);
	kit_start(policy);
	for (int i = 0; i < 2; i++) {
		port[i] = 0;
		listener[i] = kit_listen(i ? KIT_TWO : KIT_ONE, &port[i]);
	}
	kit_pair(KIT_ONE, port[0], listener[0], &client, &server);
	kit_ping(client, server, 'a');
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(client);
	close(server);
	close(listener[0]);
	close(listener[1]);
	kit_stop();
	return 0;
}

/* One datagram to the first listener from 127.1.x.y. */
static void spoof(unsigned n, const uint8_t *data, size_t len)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(0x7f010000u + n)},
			   to = {.sin_family = AF_INET, .sin_port = htons(port[0])};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, KIT_ONE, &to.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

static void first_flight(unsigned n, size_t from, size_t to)
{
	uint8_t dcid[8] = {0}, datagram[2000], frames[2000];
	struct initial_flight flight = {
		.version = NGTCP2_PROTO_VER_V1, .dcid = dcid, .dcid_len = 8};

	memcpy(dcid, &n, sizeof(n));
	spoof(n, datagram,
	      initial_seal(datagram, &flight, 0, frames,
			   initial_crypto(frames, from, hello.data + from, to - from), 1200));
}

static void served(void)
{
	int a, b;

	kit_ping(client, server, 'b');
	kit_pair(KIT_TWO, port[1], listener[1], &a, &b); /* a QUIC connection of its own */
	kit_ping(a, b, 'c');
	close(a);
	close(b);
	KIT_UNTIL(kit_connections("two.kit.test") == 0);
	assert_int_equal(kit_status()->head.totals.faults_trapped, 0);
}

static void flood(const char *protocol)
{
	const char *const alpn[] = {protocol, NULL};

	initial_make_hello(&hello, "one.kit.test", alpn, 0);
	for (unsigned n = 1; n <= FLOOD; n++) {
		first_flight(n, 0, hello.len);
		if (n % 100 == 0) { /* lets the engine's socket breathe, too */
			kit_ping(client, server, 'd');
			assert_true(kit_status()->head.n_connections <= MOST);
		}
	}
}

static void whole_hellos(void **state)
{
	uint64_t retried;

	(void)state;
	flood("quicshim");
	KIT_UNTIL(kit_status()->head.totals.retries_sent > 0);
	assert_true(kit_status()->head.n_connections >= OPENING_BOUND);
	retried = kit_status()->head.totals.retries_sent;
	served();
	assert_true(kit_status()->head.totals.retries_sent > retried);
	assert_true(kit_status()->head.n_connections <= MOST);
}

/* Handshakes that fail at once, and are held for a while to answer what comes late. */
static void unwanted_hellos(void **state)
{
	(void)state;
	flood("nobody's");
	served();
	assert_true(kit_status()->head.n_connections <= MOST);
}

/* The second half first, over and over: each is asked to validate its address, and nothing is kept. */
static void half_hellos(void **state)
{
	static const char *const alpn[] = {"quicshim", NULL};

	(void)state;
	initial_make_hello(&hello, "one.kit.test", alpn, 0);
	for (unsigned n = 1; n <= 200; n++) {
		first_flight(n, hello.len / 2, hello.len);
		if (n % 50 == 0)
			kit_ping(client, server, 'e');
	}
	served();
	assert_true(kit_status()->head.n_connections <= MOST);
}

/* Noise in the shape of an Initial. */
static void junk(void **state)
{
	uint8_t dcid[8] = {0}, datagram[2000];
	struct initial_flight flight = {
		.version = NGTCP2_PROTO_VER_V2, .dcid = dcid, .dcid_len = 8};

	(void)state;
	for (unsigned n = 1; n <= FLOOD; n++) {
		size_t len;

		memcpy(dcid, &n, sizeof(n));
		len = initial_seal(datagram, &flight, 0, (const uint8_t *)"\x01", 1, 1200);
		datagram[len - 1] ^= 1;
		spoof(n, datagram, len);
		if (n % 100 == 0)
			kit_ping(client, server, 'f');
	}
	served();
	KIT_UNTIL(kit_status()->head.n_connections <= 4);
}

/* What can't begin a connection does not use up the looks that clients need, however much of it comes. */
static void no_first_flights(void **state)
{
	uint8_t datagram[1200] = {0xe0, 0, 0, 0, 1, 8, 'q', 'u', 'i', 'c', 's', 'h', 'i', 'm', 0};
	static const struct {
		uint8_t first;
		size_t len;
	} kinds[] = {{0xc0, 15}, {0xc0, 1199}, {0xd0, 1200}, {0xe0, 1200}, {0xf0, 1200}};

	(void)state;
	for (unsigned n = 0; n < 5 * 3000; n++) {
		datagram[0] = kinds[n % 5].first;
		spoof(1, datagram, kinds[n % 5].len);
		if (n % 1000 == 0)
			kit_ping(client, server, 'g');
	}
	served();
	assert_int_equal(kit_status()->head.totals.flights_dropped, 0);
	assert_int_equal(kit_status()->head.totals.retries_sent, 0);
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(whole_hellos), WITH_ENGINE(unwanted_hellos),  WITH_ENGINE(half_hellos),
		WITH_ENGINE(junk),	   WITH_ENGINE(no_first_flights),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
