/* SPDX-License-Identifier: MIT */
/* First flights: of the RFCs, and cut and shuffled in every way that is allowed; what the hello says. */
#include "sniff_kit.h"

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = 0;

	for (unsigned value; sscanf(hex + 2 * n, "%2x", &value) == 1; n++)
		out[n] = (uint8_t)value;
	return n;
}

/* --- the vectors --- */

/* RFC 9001, A.2 and RFC 9369, A.2: the same frame, two versions. The tag is over all of the packet. */
static void vectors(void **state)
{
	static const char frame_hex[] =
		"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b6948"
		"4c"
		"00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a000800"
		"06"
		"001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9ca"
		"a4"
		"7fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403"
		"05"
		"0306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000"
		"ff"
		"ff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";
	static const char *const heads[] = {
		"c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"
		"d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399",
		"d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485"
		"dd04de806071bf03dceebfa162e75d6c96058bdbfb127cdfcbf903388e99ad04"};
	static const char *const tails[] = {"e221af44860018ab0856972e194cd934",
					    "a18b2faa745b6fe189cf772a9f84cbfc"};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		struct initial_flight flight = flight_of(versions[v]);
		uint8_t frame[512], want[64];
		struct qs_sniff sniff;
		const uint8_t *name;
		size_t n = unhex(frame, frame_hex), len;

		flight.scid_len = 0;
		assert_int_equal(initial_seal(datagram, &flight, 2, frame, n, 1200), 1200);
		assert_memory_equal(datagram, want, unhex(want, heads[v]));
		assert_memory_equal(datagram + 1200 - 16, want, unhex(want, tails[v]));
		assert_int_equal(qs_sniff_init(&sniff, datagram, 1200), 0);
		assert_int_equal(qs_sniff_feed(&sniff, datagram, 1200), QS_SNIFF_DECIDED);
		assert_true(sniff.first);
		assert_string_equal(sniff.sni, "example.com");
		name = qs_sniff_alpn(&sniff, NULL, &len);
		assert_int_equal(len, 4);
		assert_memory_equal(name, "alpn", 4);
		assert_null(qs_sniff_alpn(&sniff, name, &len));
		assert_true(qs_sniff_offers(&sniff, "alpn"));
		assert_false(qs_sniff_offers(&sniff, "alp"));
		assert_false(qs_sniff_offers(&sniff, "alpnn"));
		qs_sniff_fini(&sniff);
	}
}

/* --- cut and shuffled --- */

/* How a hello is cut into frames and packets. */
struct cut {
	const char *name;
	size_t frame; /* octets of a CRYPTO frame */
	unsigned frames; /* in a packet */
	bool backwards, twice, overlap, between; /* between: other frames between them */
	size_t padding; /* of the hello */
};

/* Writes the frames of one packet, from frame `at` on in order of sending. Returns their octets. */
static size_t fill(uint8_t *out, const struct cut *cut, unsigned n_frames, unsigned at)
{
	static const uint8_t ack[] = {0x02, 0x05, 0x00, 0x01, 0x00, 0x00, 0x01};
	static const uint8_t ack_ecn[] = {0x03, 0x00, 0x00, 0x00, 0x00, 0x01, 0x40, 0x02, 0x00};
	static const uint8_t close[] = {0x1c, 0x01, 0x06, 0x02, 'n', 'o'};
	size_t n = 0;

	for (unsigned i = at; i < at + cut->frames && i < n_frames; i++) {
		unsigned k = cut->backwards ? n_frames - 1 - i : i;
		size_t offset = k * cut->frame, len = cut->frame;

		if (cut->overlap && len > 3 && offset >= 3) {
			offset -= 3;
			len += 3;
		}
		if (len > hello.len - offset)
			len = hello.len - offset;
		for (int copies = cut->twice ? 2 : 1; copies > 0; copies--)
			n += initial_crypto(out + n, offset, hello.data + offset, len);
		if (cut->between) {
			memcpy(out + n, ack, sizeof(ack));
			n += sizeof(ack);
			out[n++] = 0x01;
			out[n++] = 0x00;
			memcpy(out + n, ack_ecn, sizeof(ack_ecn));
			n += sizeof(ack_ecn);
			memcpy(out + n, close, sizeof(close));
			n += sizeof(close);
		}
	}
	return n;
}

static void cut_and_shuffled(void **state)
{
	static const struct cut cuts[] = {
		{"whole", 2000, 1, .padding = 0},
		{"frames of 50", 50, 100, .padding = 0},
		{"frames of 50, backwards", 50, 100, .backwards = true, .padding = 0},
		{"a frame a packet, backwards", 50, 1, .backwards = true, .padding = 0},
		{"second half first", 800, 1, .backwards = true, .padding = 1000},
		{"one octet a frame", 1, 40, .backwards = true, .padding = 0},
		{"each twice", 100, 4, .twice = true, .padding = 500},
		{"overlapping", 100, 4, .overlap = true, .padding = 500},
		{"other frames between", 60, 5, .between = true, .padding = 500},
		{"large", 1100, 1, .padding = 15000},
		{"large, backwards", 1100, 1, .backwards = true, .padding = 15000},
	};

	(void)state;
	for (unsigned c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
		for (unsigned v = 0; v < 2; v++) {
			struct initial_flight flight = flight_of(versions[v]);
			unsigned n_frames;
			enum qs_sniff_verdict verdict = QS_SNIFF_MORE;
			struct qs_sniff sniff;

			flight.token = scid;
			flight.token_len = c % 2 ? sizeof(scid) : 0;
			initial_make_hello(&hello, "a.example", alpn, cuts[c].padding);
			n_frames = (unsigned)((hello.len + cuts[c].frame - 1) / cuts[c].frame);
			for (unsigned at = 0; at < n_frames; at += cuts[c].frames) {
				uint8_t frames[8192];
				size_t n = fill(frames, &cuts[c], n_frames, at);

				n = initial_seal(datagram, &flight, at, frames, n, 1200);
				if (at == 0)
					assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
				assert_int_equal(verdict, QS_SNIFF_MORE);
				verdict = qs_sniff_feed(&sniff, datagram, n);
			}
			if (verdict != QS_SNIFF_DECIDED)
				fail_msg("%s: %d", cuts[c].name, verdict);
			assert_string_equal(sniff.sni, "a.example");
			assert_true(qs_sniff_offers(&sniff, "smb"));
			assert_true(qs_sniff_offers(&sniff, "h3"));
			assert_int_equal(sniff.first,
					 cuts[c].backwards || cuts[c].frames >= n_frames);
			/* It stays. */
			assert_int_equal(qs_sniff_feed(&sniff, datagram, 1), QS_SNIFF_DECIDED);
			qs_sniff_fini(&sniff);
		}
	}
}

static void coalesced(void **state)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1), other = flight;
	static const uint8_t zero_rtt[] = {0xd0, 0, 0, 0, 1};
	struct qs_sniff sniff;
	uint8_t frames[2048];
	size_t n = 0, half;

	(void)state;
	initial_make_hello(&hello, "b.example", alpn, 0);
	half = hello.len / 2;
	/* The second half, a 0-RTT packet that nobody can read, then the first half. */
	n = initial_seal(datagram, &flight, 0, frames,
			 initial_crypto(frames, half, hello.data + half, hello.len - half), 0);
	memcpy(datagram + n, zero_rtt, sizeof(zero_rtt));
	n += sizeof(zero_rtt);
	datagram[n++] = (uint8_t)flight.dcid_len;
	memcpy(datagram + n, flight.dcid, flight.dcid_len);
	n += flight.dcid_len;
	datagram[n++] = (uint8_t)flight.scid_len;
	memcpy(datagram + n, flight.scid, flight.scid_len);
	n += flight.scid_len;
	datagram[n++] = 40;
	memset(datagram + n, 0x55, 40);
	n += 40;
	n += initial_seal(datagram + n, &flight, 1, frames,
			  initial_crypto(frames, 0, hello.data, half), 1200 - n);
	assert_int_equal(n, 1200);
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
	assert_int_equal(qs_sniff_feed(&sniff, datagram, n), QS_SNIFF_DECIDED);
	assert_string_equal(sniff.sni, "b.example");
	qs_sniff_fini(&sniff);

	/* What comes after a packet with another ID is not looked at. */
	other.scid = rfc_dcid;
	n = initial_seal(datagram, &flight, 0, frames,
			 initial_crypto(frames, half, hello.data + half, hello.len - half), 0);
	n += initial_seal(datagram + n, &other, 1, frames,
			  initial_crypto(frames, 0, hello.data, half), 1200 - n);
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
	assert_int_equal(qs_sniff_feed(&sniff, datagram, n), QS_SNIFF_MORE);
	qs_sniff_fini(&sniff);
}

/* --- what it says --- */

/* Octet `at` of the extension `id`'s content, in the hello. */
static uint8_t *extension(unsigned id, size_t at)
{
	size_t i = 4 + 2 + 32;

	i += 1u + hello.data[i];
	i += 2u + (size_t)(hello.data[i] << 8 | hello.data[i + 1]);
	i += 1u + hello.data[i];
	for (i += 2; i < hello.len;
	     i += 4u + (size_t)(hello.data[i + 2] << 8 | hello.data[i + 3])) {
		if ((unsigned)(hello.data[i] << 8 | hello.data[i + 1]) == id)
			return hello.data + i + 4 + at;
	}
	fail_msg("no extension %u", id);
	return NULL;
}

static enum qs_sniff_verdict whole_hello(struct qs_sniff *sniff)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1);
	uint8_t frames[2048];
	size_t n = initial_seal(datagram, &flight, 0, frames,
				initial_crypto(frames, 0, hello.data, hello.len), 1200);

	assert_int_equal(qs_sniff_init(sniff, datagram, n), 0);
	return qs_sniff_feed(sniff, datagram, n);
}

static void extensions(void **state)
{
	static const uint8_t again[] = {0x00, 0x03, 0x02, 'h', '2'};
	struct qs_sniff sniff;
	size_t len;

	(void)state;
	initial_make_hello(&hello, NULL, NULL, 0);
	assert_int_equal(whole_hello(&sniff), QS_SNIFF_DECIDED);
	assert_string_equal(sniff.sni, "");
	assert_null(qs_sniff_alpn(&sniff, NULL, &len));
	assert_false(qs_sniff_offers(&sniff, ""));
	qs_sniff_fini(&sniff);

	initial_make_hello(&hello, "f.example", alpn, 0);
	extension(0, 0)[6] = '\0'; /* a NUL in the name is no name */
	assert_int_equal(whole_hello(&sniff), QS_SNIFF_DECIDED);
	assert_string_equal(sniff.sni, "");
	qs_sniff_fini(&sniff);

	/* Lengths and types that do not fit, each alone. */
	for (unsigned i = 0; i < 6; i++) {
		initial_make_hello(&hello, "f.example", alpn, 0);
		if (i < 2)
			extension(16, 1)[0] ^= (uint8_t)(1 + i);
		else if (i == 2)
			extension(16, 2)[0] = 0; /* an empty protocol */
		else
			extension(0, i - 2)[0] ^= 0x40; /* list length, type, name length */
		assert_int_equal(whole_hello(&sniff), QS_SNIFF_BROKEN);
		qs_sniff_fini(&sniff);
	}
	/* The same extension twice. */
	initial_make_hello(&hello, "f.example", alpn, sizeof(again));
	memcpy(extension(0xffa0, 0), again, sizeof(again));
	memcpy(extension(0xffa0, 0) - 4, "\0\x10", 2);
	assert_int_equal(whole_hello(&sniff), QS_SNIFF_BROKEN);
	qs_sniff_fini(&sniff);
}

/* As many protocols as fit into a datagram: a walk over them costs a step each. */
static void many_protocols(void **state)
{
	struct qs_sniff sniff;
	const uint8_t *name = NULL;
	unsigned n = 0;
	size_t len;

	(void)state;
	initial_make_hello(&hello, "h.example", NULL, 800);
	memcpy(extension(0xffa0, 0) - 4, "\0\x10", 2);
	extension(16, 0)[0] = 798 >> 8;
	extension(16, 0)[1] = 798 & 0xff;
	for (size_t at = 0; at < 798; at += 2)
		memcpy(extension(16, 2) + at, "\1x", 2);
	assert_int_equal(whole_hello(&sniff), QS_SNIFF_DECIDED);
	while ((name = qs_sniff_alpn(&sniff, name, &len)) != NULL) {
		assert_int_equal(len, 1);
		assert_int_equal(*name, 'x');
		n++;
	}
	assert_int_equal(n, 399);
	assert_true(qs_sniff_offers(&sniff, "x"));
	assert_false(qs_sniff_offers(&sniff, "y"));
	qs_sniff_fini(&sniff);
}

static void packet_numbers(void **state)
{
	struct initial_flight flight = flight_of(NGTCP2_PROTO_VER_V1);
	static const uint32_t numbers[] = {0x7fffffff, 5, 0xfffffff0u};
	struct qs_sniff sniff;
	uint8_t frames[256];
	size_t n;

	(void)state;
	initial_make_hello(&hello, "g.example", alpn, 1200);
	n = initial_seal(datagram, &flight, 0, frames, initial_crypto(frames, 0, hello.data, 50),
			 1200);
	assert_int_equal(qs_sniff_init(&sniff, datagram, n), 0);
	for (unsigned i = 0; i < 3; i++) {
		n = initial_seal(datagram, &flight, numbers[i], frames,
				 initial_crypto(frames, 50 * i, hello.data + 50 * i, 50), 1200);
		assert_int_equal(qs_sniff_feed(&sniff, datagram, n), QS_SNIFF_MORE);
	}
	assert_int_equal(sniff.prefix, 150);
	qs_sniff_fini(&sniff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),	  cmocka_unit_test(cut_and_shuffled),
		cmocka_unit_test(coalesced),	  cmocka_unit_test(extensions),
		cmocka_unit_test(packet_numbers), cmocka_unit_test(many_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
