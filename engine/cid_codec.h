/* SPDX-License-Identifier: MIT */
/* Connection IDs in the open or encrypted, of one host (draft-ietf-quic-load-balancers-21, 4 and 5). */
#ifndef QS_CID_CODEC_H
#define QS_CID_CODEC_H

#include "cid.h"

#include <gnutls/crypto.h>
#include <stdbool.h>

#define QS_CID_KEY_LEN 16u

/* What all that make and read IDs of one UDP address have in common. The caller's storage. One thread. */
struct qs_cid_codec {
	uint16_t host;
	uint8_t config; /* 0..6: tells keys apart while they are changed */
	bool encrypted;
	gnutls_cipher_hd_t aes;
};

/* `key`: QS_CID_KEY_LEN octets, or NULL = in the open. 0 or -ENOMEM; then _fini has nothing to do. */
int qs_cid_codec_init(struct qs_cid_codec *codec, uint16_t host, uint8_t config,
		      const uint8_t *key);
void qs_cid_codec_fini(struct qs_cid_codec *codec);

/* Writes QS_CID_LEN octets; fields->host and ->config are the codec's, whatever stands there. 0 or
 * -EIO. */
int qs_cid_codec_encode(const struct qs_cid_codec *codec, uint8_t out[static QS_CID_LEN],
			const struct qs_cid_fields *fields);
/* 0, or -EINVAL if it is no ID of this host and config. With a key one of 65,536 strange IDs passes. */
int qs_cid_codec_decode(const struct qs_cid_codec *codec, const uint8_t *data, size_t len,
			struct qs_cid_fields *out);

/*
 * The draft's encryption of what follows an ID's first octet, in place: one pass for 16 octets, else
 * four. `len` is 5 to 19 without that octet, else -EINVAL. 0 or -EIO. The handle is AES-128-CBC.
 */
int qs_cid_encrypt(gnutls_cipher_hd_t aes, uint8_t *data, size_t len);
int qs_cid_decrypt(gnutls_cipher_hd_t aes, uint8_t *data, size_t len);
/* The handle for the two. 0 or -ENOMEM. */
int qs_cid_cipher(gnutls_cipher_hd_t *aes, const uint8_t key[static QS_CID_KEY_LEN]);

#endif
