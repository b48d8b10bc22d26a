/* SPDX-License-Identifier: MIT */
/* The vectors of draft-ietf-quic-load-balancers-21, and what an encrypted ID gives away: nothing. */
#include "cid_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = 0;

	for (unsigned value; sscanf(hex + 2 * n, "%2x", &value) == 1; n++)
		out[n] = (uint8_t)value;
	return n;
}

static uint8_t key[QS_CID_KEY_LEN];

static int begin(void **state)
{
	(void)state;
	unhex(key, "8f95f09245765f80256934e50c66207f");
	return 0;
}

/* "Load Balancer Test Vectors", and the example of 4.4.2. */
static void vectors(void **state)
{
	static const struct {
		const char *key, *plain, *cid; /* plain: server ID and nonce */
	} cases[] = {
		{NULL, "ed793aee080dbf", "0720b1d07b359d3c"},
		{NULL, "ed793a51d49b8f5fab65ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2"},
		{NULL, "ed793a51d49b8f5fee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3"},
		{NULL, "ed793a51d49b8f5fabee080dbf48c0d1e55d",
		 "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"},
		{"fdf726a9893ec05c0632d3956680baf0", "31441a9c69c275", "0767947d29be054a"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t plain[20], data[20], cid[20], own[QS_CID_KEY_LEN];
		size_t len = unhex(plain, cases[i].plain);
		gnutls_cipher_hd_t aes;

		assert_int_equal(unhex(cid, cases[i].cid), len + 1);
		assert_true((cid[0] & 0x1f) == len ||
			    i == 3); /* the draft's own first octet there */
		memcpy(own, key, sizeof(own));
		if (cases[i].key != NULL)
			unhex(own, cases[i].key);
		assert_int_equal(qs_cid_cipher(&aes, own), 0);
		memcpy(data, plain, len);
		assert_int_equal(qs_cid_encrypt(aes, data, len), 0);
		assert_memory_equal(data, cid + 1, len);
		assert_int_equal(qs_cid_decrypt(aes, data, len), 0);
		assert_memory_equal(data, plain, len);
		gnutls_cipher_deinit(aes);
	}
}

/* There and back, nothing touched beyond the end, and no length that the draft does not have. */
static void all_lengths(void **state)
{
	gnutls_cipher_hd_t aes;
	uint8_t plain[24], data[24];

	(void)state;
	assert_int_equal(qs_cid_cipher(&aes, key), 0);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(37 * i + 11);
	for (size_t len = 0; len <= sizeof(plain); len++) {
		int want = len >= 5 && len <= 19 ? 0 : -EINVAL;

		memcpy(data, plain, sizeof(data));
		assert_int_equal(qs_cid_encrypt(aes, data, len), want);
		assert_memory_equal(data + (want == 0 ? len : 0), plain + (want == 0 ? len : 0),
				    sizeof(data) - (want == 0 ? len : 0));
		if (want == 0)
			assert_memory_not_equal(data, plain, len);
		assert_int_equal(qs_cid_decrypt(aes, data, len), want);
		assert_memory_equal(data, plain, sizeof(data));
	}
	gnutls_cipher_deinit(aes);
}

static void codec(void **state)
{
	struct qs_cid_fields fields = {
		.config = 5, .host = 9, .slot = 0xfffe, .generation = 0x8001, .nonce = {1, 2, 3}};

	(void)state;
	for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
		struct qs_cid_codec ours, stranger;
		uint8_t a[QS_CID_LEN], b[QS_CID_LEN];
		struct qs_cid_fields out;
		unsigned same = 0;

		assert_int_equal(qs_cid_codec_init(&ours, 0x1234, 2, encrypted ? key : NULL), 0);
		assert_int_equal(qs_cid_codec_init(&stranger, 0x1235, 2, encrypted ? key : NULL),
				 0);
		assert_int_equal(qs_cid_codec_encode(&ours, a, &fields), 0);
		assert_int_equal(a[0], 2 << 5 | 15);
		assert_int_equal(qs_cid_codec_decode(&ours, a, sizeof(a), &out), 0);
		assert_int_equal(out.host, 0x1234);
		assert_int_equal(out.config, 2);
		assert_int_equal(out.slot, fields.slot);
		assert_int_equal(out.generation, fields.generation);
		assert_memory_equal(out.nonce, fields.nonce, sizeof(out.nonce));
		/* Another host's, another config's, another length. */
		assert_int_equal(qs_cid_codec_decode(&stranger, a, sizeof(a), &out), -EINVAL);
		a[0] ^= 0x20;
		assert_int_equal(qs_cid_codec_decode(&ours, a, sizeof(a), &out), -EINVAL);
		a[0] ^= 0x20;
		for (size_t len = 0; len < sizeof(a); len++)
			assert_int_equal(qs_cid_codec_decode(&ours, a, len, &out), -EINVAL);
		/* Two IDs of one connection. */
		fields.nonce[8] ^= 1;
		assert_int_equal(qs_cid_codec_encode(&ours, b, &fields), 0);
		for (size_t i = 1; i < sizeof(a); i++)
			same += a[i] == b[i];
		assert_true(encrypted ? same < 5 : same == 14);
		qs_cid_codec_fini(&ours);
		qs_cid_codec_fini(&stranger);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(all_lengths),
		cmocka_unit_test(codec),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
