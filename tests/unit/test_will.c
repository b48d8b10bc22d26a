/* SPDX-License-Identifier: MIT */
/* The last will: what is sealed, when it is sealed anew, and that no number serves twice. */
#include "will.h"

#include "conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>

#define GAP (UINT64_C(1) << 30)
#define IV_LEN 12u
#define PLAIN_LEN 32u

static struct qs_engine engine;
static struct qs_conn conn;
static ngtcp2_crypto_aead aead;
static ngtcp2_crypto_cipher cipher;
static ngtcp2_crypto_aead_ctx seal[2], open_ctx[2];
static ngtcp2_crypto_cipher_ctx hp_ctx;
static uint8_t iv[IV_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static uint8_t dcid[2][NGTCP2_MAX_CIDLEN] = {"first one", "second"};
static const size_t dcid_len[2] = {9, 6};
static uint64_t numbers[4096];
static unsigned n_numbers;

static void nonce_of(uint8_t nonce[static IV_LEN], uint64_t pn)
{
	memcpy(nonce, iv, IV_LEN);
	for (unsigned i = 1; i <= 8; i++, pn >>= 8)
		nonce[IV_LEN - i] ^= (uint8_t)pn;
}

static int begin(void **state)
{
	static const uint8_t keys[2][16] = {"key one", "key two"};
	static uint8_t hp_key[16] = "header key", zero[16];
	const gnutls_datum_t key = {hp_key, sizeof(hp_key)}, none = {zero, sizeof(zero)};
	gnutls_cipher_hd_t header;

	(void)state;
	memset(&engine, 0, sizeof(engine));
	memset(&conn, 0, sizeof(conn));
	n_numbers = 0;
	qs_will_locate("/nowhere/x", "");
	conn.engine = &engine;
	aead = (ngtcp2_crypto_aead){(void *)(intptr_t)GNUTLS_CIPHER_AES_128_GCM, 16};
	cipher.native_handle = (void *)(intptr_t)GNUTLS_CIPHER_AES_128_CBC;
	for (int i = 0; i < 2; i++) {
		if (ngtcp2_crypto_aead_ctx_encrypt_init(&seal[i], &aead, keys[i], IV_LEN) != 0 ||
		    ngtcp2_crypto_aead_ctx_decrypt_init(&open_ctx[i], &aead, keys[i], IV_LEN) != 0)
			return -1;
	}
	if (gnutls_cipher_init(&header, GNUTLS_CIPHER_AES_128_CBC, &key, &none) != 0)
		return -1;
	hp_ctx.native_handle = header;
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		ngtcp2_crypto_aead_ctx_free(&seal[i]);
		ngtcp2_crypto_aead_ctx_free(&open_ctx[i]);
	}
	gnutls_cipher_deinit(hp_ctx.native_handle);
	qs_will_fini(&engine);
	qs_timers_fini(&engine.timers);
	return 0;
}

/* The engine writes one short-header packet, as ngtcp2 would call. */
static void write_packet(uint64_t pn, size_t pn_len, int key, int cid)
{
	uint8_t header[1 + NGTCP2_MAX_CIDLEN + 4], nonce[IV_LEN], out[PLAIN_LEN + 16], mask[16];
	static const uint8_t plain[PLAIN_LEN];
	size_t len = 1 + dcid_len[cid];

	header[0] = (uint8_t)(0x40 | (key ? 0x04 : 0) | (pn_len - 1));
	memcpy(header + 1, dcid[cid], dcid_len[cid]);
	for (size_t i = 0; i < pn_len; i++)
		header[len++] = (uint8_t)(pn >> (8 * (pn_len - 1 - i)));
	nonce_of(nonce, pn);
	qs_will_writing(&conn);
	assert_int_equal(qs_will_encrypt(out, &aead, &seal[key], plain, PLAIN_LEN, nonce, IV_LEN,
					 header, len),
			 0);
	assert_int_equal(qs_will_hp_mask(mask, &cipher, &hp_ctx, out), 0);
	qs_will_writing(NULL);
}

/* RFC 9000, A.3 */
static uint64_t decode(uint64_t largest, uint32_t cut)
{
	uint64_t expected = largest + 1, win = UINT64_C(1) << 32;
	uint64_t pn = (expected & ~(win - 1)) | cut;

	if (pn + win / 2 <= expected)
		return pn + win;
	return pn > expected + win / 2 && pn >= win ? pn - win : pn;
}

/* What a peer that has seen `largest` makes of the will: its number. It must be one that was not
 * seen before when `fresh`. */
static uint64_t will_opens(uint64_t largest, int key, int cid)
{
	const struct qs_will_entry *entry = &engine.will.page->entries[conn.will.entry - 1];
	const struct qs_will_words *words = &entry->words[entry->in_force - 1];
	uint8_t packet[QS_WILL_PACKET_MAX], mask[16], nonce[IV_LEN], plain[16];
	size_t at = 1 + dcid_len[cid];
	uint32_t cut = 0;
	uint64_t pn;

	assert_int_equal(words->n, 1);
	assert_int_equal(words->len[0], at + 4 + 3 + 16);
	memcpy(packet, words->packet[0], words->len[0]);
	assert_int_equal(ngtcp2_crypto_hp_mask_cb(mask, &cipher, &hp_ctx, packet + at + 4), 0);
	packet[0] ^= mask[0] & 0x1f;
	assert_int_equal(packet[0], 0x43 | (key ? 0x04 : 0));
	assert_memory_equal(packet + 1, dcid[cid], dcid_len[cid]);
	for (unsigned i = 0; i < 4; i++) {
		packet[at + i] ^= mask[1 + i];
		cut = cut << 8 | packet[at + i];
	}
	pn = decode(largest, cut);
	nonce_of(nonce, pn);
	assert_int_equal(ngtcp2_crypto_decrypt_cb(plain, &aead, &open_ctx[key], packet + at + 4, 19,
						  nonce, IV_LEN, packet, at + 4),
			 0);
	assert_memory_equal(plain, ((uint8_t[]){0x1d, 1, 0}), 3);
	return pn;
}

static void fresh(uint64_t pn)
{
	for (unsigned i = 0; i < n_numbers; i++)
		assert_int_not_equal(numbers[i], pn);
	numbers[n_numbers++] = pn;
}

static void first_packet_brings_it(void **state)
{
	(void)state;
	write_packet(0, 1, 0, 0);
	assert_int_equal(will_opens(0, 0, 0), GAP);
	for (uint64_t pn = 1; pn < 1000; pn++)
		write_packet(pn, 1 + pn % 4, 0, 0);
	/* Unchanged, and right also for a peer that has seen nothing since. */
	assert_int_equal(will_opens(0, 0, 0), GAP);
	assert_int_equal(will_opens(999, 0, 0), GAP);
}

static void changes_seal_anew(void **state)
{
	uint64_t pn = 0;

	(void)state;
	for (int round = 0; round < 100; round++) {
		for (int what = 0; what < 4; what++) {
			write_packet(pn, 2, what / 2, what % 2);
			fresh(will_opens(pn, what / 2, what % 2));
			pn += 3;
		}
		conn.handshake_done = true;
		conn.state = QS_CONNECTION_OPEN;
		qs_will_renew(&conn); /* a new path */
	}
}

static void gap_is_kept(void **state)
{
	uint64_t sealed, before, step = 1 << 23;

	(void)state;
	write_packet(0, 4, 0, 0);
	before = will_opens(0, 0, 0);
	fresh(before);
	/* Five times the gap; across the ends of four octets too. */
	for (uint64_t pn = step; pn < 5 * GAP; pn += step) {
		write_packet(pn, 4, 0, 0);
		sealed = will_opens(pn, 0, 0);
		assert_true(sealed > pn + GAP / 2 && sealed <= pn + GAP);
		/* A peer that missed much finds the same number. */
		assert_int_equal(will_opens(pn > GAP / 2 ? pn - GAP / 2 : 0, 0, 0), sealed);
		if (sealed != before)
			fresh(sealed);
		before = sealed;
	}
	assert_in_range(n_numbers, 9, 12);
}

static void others_are_left_alone(void **state)
{
	uint8_t header[16] = {0xc0}, nonce[IV_LEN] = {0}, out[PLAIN_LEN + 16], mask[16];
	static const uint8_t plain[PLAIN_LEN];

	(void)state;
	/* Long headers, and packets of a connection that is none of ours. */
	qs_will_writing(&conn);
	assert_int_equal(qs_will_encrypt(out, &aead, &seal[0], plain, PLAIN_LEN, nonce, IV_LEN,
					 header, sizeof(header)),
			 0);
	assert_int_equal(qs_will_hp_mask(mask, &cipher, &hp_ctx, out), 0);
	qs_will_writing(NULL);
	header[0] = 0x40;
	assert_int_equal(qs_will_encrypt(out, &aead, &seal[0], plain, PLAIN_LEN, nonce, IV_LEN,
					 header, sizeof(header)),
			 0);
	assert_int_equal(qs_will_hp_mask(mask, &cipher, &hp_ctx, out), 0);
	assert_int_equal(conn.will.entry, 0);
}

static void revoked_is_reused(void **state)
{
	uint32_t entry;

	(void)state;
	write_packet(0, 1, 0, 0);
	entry = conn.will.entry;
	assert_int_not_equal(engine.will.page->entries[entry - 1].in_force, 0);
	qs_will_revoke(&conn);
	assert_int_equal(engine.will.page->entries[entry - 1].in_force, 0);
	assert_int_equal(conn.will.entry, 0);
	qs_will_revoke(&conn);
	memset(&conn.will, 0, sizeof(conn.will));
	write_packet(0, 1, 1, 1);
	assert_int_equal(conn.will.entry, entry);
	assert_int_equal(will_opens(0, 1, 1), GAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_packet_brings_it, begin, end),
		cmocka_unit_test_setup_teardown(changes_seal_anew, begin, end),
		cmocka_unit_test_setup_teardown(gap_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(others_are_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(revoked_is_reused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
