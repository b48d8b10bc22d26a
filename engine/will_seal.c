/* SPDX-License-Identifier: MIT */
/* A client's last will: a CONNECTION_CLOSE, sealed in advance. */

/*
 * Theory. The program that sends it has no keys, so the packet must be whole: header, protected
 * header, AEAD. It bears a packet number GAP ahead of those in use, so that the engine never comes
 * to write one of the same number (a nonce must not serve twice), and is sealed anew under another
 * number when
 *	- the engine has come within half of that gap;
 *	- the key has changed (key update), the peer's connection ID (migration), or the path.
 * All of these show in the `encrypt` callback: the context pointer is the key's, the additional data
 * is the header with connection ID, key phase and packet number, the nonce is the IV exclusive-or
 * the number. `update_key` comes in advance of a rotation, and the rotation itself has no callback.
 * Header protection needs the key that the `hp_mask` callback brings right after.
 *
 * The receiver finds the whole number from four octets and the largest one that it has seen (RFC
 * 9000, A.3): right as long as the two differ by less than 2^31. The number is at most GAP ahead of
 * what was sent when it was sealed, and at least GAP / 2 ahead of what was sent last.
 */
#include "will.h"

#include "conn.h"
#include "errmap.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <string.h>

#define GAP (UINT64_C(1) << 30)
#define PN_LEN 4u
#define NONCE_MAX 16u
#define SAMPLE_AT 4u /* octets after the packet number's begin, whatever its length */

/* Whose packet is being written, and what its `encrypt` saw that must be sealed for. */
static _Thread_local struct {
	struct qs_conn *conn;
	bool due;
	const ngtcp2_crypto_aead *aead;
	const ngtcp2_crypto_aead_ctx *aead_ctx;
	const ngtcp2_crypto_cipher *hp;
	const ngtcp2_crypto_cipher_ctx *hp_ctx;
	size_t iv_len;
	uint8_t iv[NONCE_MAX];
} writing;

void qs_will_writing(struct qs_conn *conn)
{
	writing.conn = conn;
	writing.due = false;
}

/* The number `pn`, big-endian, goes into or out of the last octets of a nonce. */
static void mix(uint8_t *nonce, size_t len, uint64_t pn)
{
	for (size_t i = 1; i <= 8 && i <= len; i++, pn >>= 8)
		nonce[len - i] ^= (uint8_t)pn;
}

/* Numbers only grow: the first from `next` on that ends like this. */
static uint64_t whole_pn(uint64_t next, const uint8_t *octets, size_t len)
{
	uint64_t span = UINT64_C(1) << (8 * len), cut = 0, pn;

	for (size_t i = 0; i < len; i++)
		cut = cut << 8 | octets[i];
	pn = (next & ~(span - 1)) | cut;
	return pn < next ? pn + span : pn;
}

static void look(struct qs_conn *conn, const ngtcp2_crypto_aead *aead,
		 const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *nonce, size_t nonce_len,
		 const uint8_t *aad, size_t aad_len)
{
	struct qs_will_state *will = &conn->will;
	size_t pn_len = (aad[0] & 3u) + 1, dcid_len;
	uint64_t pn;

	if (aad[0] & 0x80 || aad_len < 1 + pn_len || aad_len - 1 - pn_len > NGTCP2_MAX_CIDLEN ||
	    nonce_len < 8 || nonce_len > NONCE_MAX)
		return;
	dcid_len = aad_len - 1 - pn_len;
	pn = whole_pn(will->next_pn, aad + 1 + dcid_len, pn_len);
	will->next_pn = pn + 1;
	if (will->key == aead_ctx->native_handle && will->sealed_pn > pn + GAP / 2 &&
	    ((will->head ^ aad[0]) & 0x04) == 0 && will->dcid_len == dcid_len &&
	    memcmp(will->dcid, aad + 1, dcid_len) == 0)
		return;
	will->key = aead_ctx->native_handle;
	will->head = aad[0];
	will->dcid_len = (uint8_t)dcid_len;
	memcpy(will->dcid, aad + 1, dcid_len);
	will->sealed_pn = will->sealed_pn >= pn + GAP ? will->sealed_pn + 1 : pn + GAP;
	writing.aead = aead;
	writing.aead_ctx = aead_ctx;
	writing.iv_len = nonce_len;
	memcpy(writing.iv, nonce, nonce_len);
	mix(writing.iv, nonce_len, pn);
	writing.due = true;
}

static void fill_close(struct qs_conn *conn, struct qs_will_words *words)
{
	/* CONNECTION_CLOSE of an application, its code, no reason */
	static const uint8_t frame[] = {0x1d, QS_APP_RESET, 0};
	struct qs_will_state *will = &conn->will;
	uint8_t *packet = words->packet[0], *at = packet + 1 + will->dcid_len, mask[5];
	uint8_t nonce[NONCE_MAX];
	size_t head = 1 + will->dcid_len + PN_LEN;

	packet[0] = (uint8_t)(0x40 | (will->head & 0x04) | (PN_LEN - 1));
	memcpy(packet + 1, will->dcid, will->dcid_len);
	for (unsigned i = 0; i < PN_LEN; i++)
		at[i] = (uint8_t)(will->sealed_pn >> (8 * (PN_LEN - 1 - i)));
	memcpy(nonce, writing.iv, writing.iv_len);
	mix(nonce, writing.iv_len, will->sealed_pn);
	if (ngtcp2_crypto_encrypt_cb(packet + head, writing.aead, writing.aead_ctx, frame,
				     sizeof(frame), nonce, writing.iv_len, packet, head) != 0 ||
	    ngtcp2_crypto_hp_mask_cb(mask, writing.hp, writing.hp_ctx, at + SAMPLE_AT) != 0)
		return;
	packet[0] ^= mask[0] & 0x1f;
	for (unsigned i = 0; i < PN_LEN; i++)
		at[i] ^= mask[1 + i];
	words->len[0] = (uint8_t)(head + sizeof(frame) + writing.aead->max_overhead);
	words->n = 1;
}

int qs_will_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
		    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *plaintext,
		    size_t plaintext_len, const uint8_t *nonce, size_t nonce_len,
		    const uint8_t *aad, size_t aad_len)
{
	if (writing.conn != NULL)
		look(writing.conn, aead, aead_ctx, nonce, nonce_len, aad, aad_len);
	return ngtcp2_crypto_encrypt_cb(dest, aead, aead_ctx, plaintext, plaintext_len, nonce,
					nonce_len, aad, aad_len);
}

int qs_will_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
		    const ngtcp2_crypto_cipher_ctx *hp_ctx, const uint8_t *sample)
{
	if (writing.due) {
		writing.due = false;
		writing.hp = hp;
		writing.hp_ctx = hp_ctx;
		if (writing.aead->max_overhead <= 16)
			qs_will_write(writing.conn, fill_close);
	}
	return ngtcp2_crypto_hp_mask_cb(dest, hp, hp_ctx, sample);
}
