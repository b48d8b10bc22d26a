/* SPDX-License-Identifier: MIT */
/* What is no first flight, or a broken one, or too much of one: no memory, and no endless work. */
#include "sniff_kit.h"

static enum qs_sniff_verdict one_packet(const uint8_t *frames, size_t len)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1);
	enum qs_sniff_verdict verdict;
	struct qs_sniff sniff;
	size_t n = initial_seal(datagram, &flight, 0, frames, len, 1200);

	assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
	verdict = qs_sniff_feed(&sniff, datagram, n);
	qs_sniff_fini(&sniff);
	return verdict;
}

static void noise_leaves_nothing(void **state)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1);
	struct qs_sniff sniff;
	uint8_t frames[2048];
	size_t n;

	(void)state;
	initial_make_hello(&hello, "c.example", alpn, 1200);
	n = initial_seal(datagram, &flight, 0, frames, initial_crypto(frames, 0, hello.data, 900),
			 1200);
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
	for (size_t at = 0; at < n; at++) {
		/* Any bit: another packet, or no authentic one. */
		datagram[at] ^= 0x04;
		assert_int_equal(qs_sniff_feed(&sniff, datagram, n), QS_SNIFF_NOISE);
		assert_null(sniff.hello);
		datagram[at] ^= 0x04;
	}
	for (size_t len = 0; len < n; len++)
		assert_int_equal(qs_sniff_feed(&sniff, datagram, len), QS_SNIFF_NOISE);
	assert_int_equal(qs_sniff_feed(&sniff, datagram, n), QS_SNIFF_MORE);
	qs_sniff_fini(&sniff);
}

static void no_first_datagram(void **state)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1);
	struct qs_sniff sniff;
	uint8_t frames[64];
	size_t n;

	(void)state;
	initial_make_hello(&hello, "d.example", alpn, 0);
	n = initial_seal(datagram, &flight, 0, frames, initial_crypto(frames, 0, hello.data, 50),
			 1200);
	for (size_t len = 0; len < n; len++)
		assert_int_equal(qs_sniff_init(&sniff, datagram, len), -EINVAL);
	datagram[0] |= 0x20; /* Handshake */
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), -EINVAL);
	datagram[0] &= 0x7f; /* short */
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), -EINVAL);
	for (uint32_t version = 0; version < 4; version += 2) { /* negotiation; unknown */
		flight.version = version;
		n = initial_seal(datagram, &flight, 0, frames, 50, 1200);
		assert_int_equal(qs_sniff_init(&sniff, datagram, n), -EINVAL);
	}
	flight = flight_of(NGTCP2_PROTO_VER_V2);
	flight.dcid_len = 7;
	n = initial_seal(datagram, &flight, 0, frames, 50, 1200);
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), -EINVAL);
}

static void broken_frames(void **state)
{
	static const struct {
		const char *what;
		uint8_t frames[16];
		uint8_t len;
	} cases[] = {
		{"a STREAM frame", {0x08, 0x00}, 2},
		{"MAX_DATA", {0x10, 0x00}, 2},
		{"HANDSHAKE_DONE", {0x1e}, 1},
		{"CONNECTION_CLOSE of an application", {0x1d, 0x00, 0x00}, 3},
		{"an unknown frame", {0x3f}, 1},
		{"a frame type of two octets, unknown", {0x40, 0x40}, 2},
		{"no ClientHello", {0x06, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00}, 7},
		{"a ClientHello of nothing", {0x06, 0x00, 0x04, 0x01, 0x00, 0x00, 0x00}, 7},
		{"CRYPTO over the end", {0x06, 0x00, 0x7f, 0xff, 0x01}, 5},
		{"a reason over the end", {0x1c, 0x00, 0x00, 0x7f, 0xff}, 5},
		{"ACK ranges without end", {0x02, 0x00, 0x00, 0xbf, 0xff, 0xff, 0xff, 0x00}, 8},
	};
	uint8_t frames[4096];
	size_t n;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum qs_sniff_verdict verdict = one_packet(cases[i].frames, cases[i].len);

		if (verdict != QS_SNIFF_BROKEN)
			fail_msg("%s: %d", cases[i].what, verdict);
	}
	/* Overlaps that disagree. */
	initial_make_hello(&hello, "e.example", alpn, 1200);
	n = initial_crypto(frames, 0, hello.data, 100);
	hello.data[90] ^= 1;
	n += initial_crypto(frames + n, 90, hello.data + 90, 100);
	assert_int_equal(one_packet(frames, n), QS_SNIFF_BROKEN);
	/* Only padding. */
	assert_int_equal(one_packet(frames, 0), QS_SNIFF_MORE);
}

static void too_large(void **state)
{
	static const uint8_t long_hello[] = {0x06, 0x00, 0x04, 0x01, 0x00, 0x40, 0x00};
	static const uint8_t far[] = {0x06, 0x80, 0x00, 0x40, 0x01, 0x01, 0x00};
	static const uint8_t farthest[] = {0x06, 0xff, 0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0x01, 0x00};
	static const uint8_t fits[] = {0x06, 0x7f, 0xff, 0x01, 0x00}; /* octet 16,383 */

	(void)state;
	assert_int_equal(one_packet(long_hello, sizeof(long_hello)), QS_SNIFF_NO_ROOM);
	assert_int_equal(one_packet(far, sizeof(far)), QS_SNIFF_NO_ROOM);
	assert_int_equal(one_packet(farthest, sizeof(farthest)), QS_SNIFF_NO_ROOM);
	assert_int_equal(one_packet(fits, sizeof(fits)), QS_SNIFF_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_leaves_nothing),
		cmocka_unit_test(no_first_datagram),
		cmocka_unit_test(broken_frames),
		cmocka_unit_test(too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
