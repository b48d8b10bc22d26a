/* SPDX-License-Identifier: MIT */
/* Connection IDs in the open or encrypted, of one host (draft-ietf-quic-load-balancers-21, 4 and 5). */

/*
 * Theory. An ID in the open shows host, slot and generation to everybody: who watches a client
 * change its address sees by them that it is the same one. With a key, all but the first octet is
 * encrypted, so that two IDs of one connection have nothing in common. Fifteen octets are not a
 * block, so the draft makes a Feistel network of four rounds out of AES: each half is seven
 * octets and a half, the odd four bits being zero.
 */
#include "cid_codec.h"

#include <errno.h>
#include <string.h>

#define BLOCK 16u
#define PLAIN_MIN 5u
#define PLAIN_MAX 19u
#define HALF_MAX 10u

int qs_cid_cipher(gnutls_cipher_hd_t *aes, const uint8_t key[static QS_CID_KEY_LEN])
{
	uint8_t zero[BLOCK] = {0};
	gnutls_datum_t key_datum = {(uint8_t *)(uintptr_t)key, QS_CID_KEY_LEN},
		       zero_datum = {zero, sizeof(zero)};

	return gnutls_cipher_init(aes, GNUTLS_CIPHER_AES_128_CBC, &key_datum, &zero_datum) < 0
		       ? -ENOMEM
		       : 0;
}

/* One block of CBC without an IV is ECB. */
static int one_block(gnutls_cipher_hd_t aes, uint8_t block[static BLOCK], bool decrypt)
{
	uint8_t zero[BLOCK] = {0}, out[BLOCK];
	int rv;

	gnutls_cipher_set_iv(aes, zero, sizeof(zero));
	rv = decrypt ? gnutls_cipher_decrypt2(aes, block, BLOCK, out, BLOCK)
		     : gnutls_cipher_encrypt2(aes, block, BLOCK, out, BLOCK);
	memcpy(block, out, BLOCK);
	return rv < 0 ? -EIO : 0;
}

/* `target` becomes its XOR with the encrypted `source`. */
static int feistel_round(gnutls_cipher_hd_t aes, uint8_t *target, const uint8_t *source,
			 size_t half, size_t len, uint8_t pass)
{
	uint8_t block[BLOCK] = {0};
	int rv;

	memcpy(block, source, half);
	block[BLOCK - 2] = (uint8_t)len;
	block[BLOCK - 1] = pass;
	rv = one_block(aes, block, false);
	for (size_t i = 0; i < half; i++)
		target[i] ^= block[i];
	/* Odd lengths: the four bits in the middle that the other half has are not ours. Odd passes make
	 * right halves. */
	if (len % 2 && pass % 2)
		target[0] &= 0x0f;
	else if (len % 2)
		target[half - 1] &= 0xf0;
	return rv;
}

static int four_passes(gnutls_cipher_hd_t aes, uint8_t *data, size_t len, bool decrypt)
{
	uint8_t left[HALF_MAX], right[HALF_MAX];
	size_t half = (len + 1) / 2;
	int rv = 0;

	memcpy(left, data, half);
	memcpy(right, data + len - half, half);
	if (len % 2) {
		left[half - 1] &= 0xf0;
		right[0] &= 0x0f;
	}
	for (int i = 0; i < 4 && rv == 0; i++) {
		uint8_t pass = (uint8_t)(decrypt ? 4 - i : 1 + i);

		rv = pass % 2 ? feistel_round(aes, right, left, half, len, pass)
			      : feistel_round(aes, left, right, half, len, pass);
	}
	memcpy(data, left, half);
	if (len % 2) {
		data[half - 1] |= right[0];
		memcpy(data + half, right + 1, half - 1);
	} else {
		memcpy(data + half, right, half);
	}
	return rv;
}

int qs_cid_encrypt(gnutls_cipher_hd_t aes, uint8_t *data, size_t len)
{
	if (len < PLAIN_MIN || len > PLAIN_MAX)
		return -EINVAL;
	return len == BLOCK ? one_block(aes, data, false) : four_passes(aes, data, len, false);
}

int qs_cid_decrypt(gnutls_cipher_hd_t aes, uint8_t *data, size_t len)
{
	if (len < PLAIN_MIN || len > PLAIN_MAX)
		return -EINVAL;
	return len == BLOCK ? one_block(aes, data, true) : four_passes(aes, data, len, true);
}

int qs_cid_codec_init(struct qs_cid_codec *codec, uint16_t host, uint8_t config, const uint8_t *key)
{
	*codec = (struct qs_cid_codec){.host = host, .config = config, .encrypted = key != NULL};
	return key != NULL ? qs_cid_cipher(&codec->aes, key) : 0;
}

void qs_cid_codec_fini(struct qs_cid_codec *codec)
{
	if (codec->encrypted)
		gnutls_cipher_deinit(codec->aes);
	codec->encrypted = false;
}

int qs_cid_codec_encode(const struct qs_cid_codec *codec, uint8_t out[static QS_CID_LEN],
			const struct qs_cid_fields *fields)
{
	struct qs_cid_fields whole = *fields;

	whole.host = codec->host;
	whole.config = codec->config;
	qs_cid_encode(out, &whole);
	return codec->encrypted ? qs_cid_encrypt(codec->aes, out + 1, QS_CID_LEN - 1) : 0;
}

int qs_cid_codec_decode(const struct qs_cid_codec *codec, const uint8_t *data, size_t len,
			struct qs_cid_fields *out)
{
	uint8_t copy[QS_CID_LEN];

	if (len != QS_CID_LEN)
		return -EINVAL;
	memcpy(copy, data, sizeof(copy));
	if (codec->encrypted && qs_cid_decrypt(codec->aes, copy + 1, QS_CID_LEN - 1) < 0)
		return -EINVAL;
	if (qs_cid_decode(copy, sizeof(copy), out) < 0 || out->host != codec->host ||
	    out->config != codec->config)
		return -EINVAL;
	return 0;
}
