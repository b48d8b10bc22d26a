/* SPDX-License-Identifier: MIT */
/* Initial packets as a client would send them, and as none would: sealed from any frames. */
#ifndef QS_TEST_INITIAL_KIT_H
#define QS_TEST_INITIAL_KIT_H

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KIT_INITIAL static __attribute__((unused))
#define INITIAL_DATAGRAM 1200u

#define initial_must(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Whose packets. */
struct initial_flight {
	uint32_t version;
	const uint8_t *dcid, *scid, *token;
	size_t dcid_len, scid_len, token_len;
};

KIT_INITIAL void initial_expand(uint8_t *out, size_t len, const uint8_t *secret, const char *label)
{
	uint8_t info[64] = {0,	 (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1',
			    '3', ' '};
	gnutls_datum_t key = {(uint8_t *)(uintptr_t)secret, 32},
		       info_datum = {info, (unsigned)(10 + strlen(label))};

	memcpy(info + 9, label, strlen(label));
	initial_must(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info_datum, out, len) == 0);
}

KIT_INITIAL size_t initial_varint(uint8_t *out, uint64_t value)
{
	if (value < 64) {
		out[0] = (uint8_t)value;
		return 1;
	}
	initial_must(value < 16384);
	out[0] = (uint8_t)(0x40 | value >> 8);
	out[1] = (uint8_t)value;
	return 2;
}

/* A CRYPTO frame. Returns its length. */
KIT_INITIAL size_t initial_crypto(uint8_t *out, size_t offset, const uint8_t *data, size_t len)
{
	size_t n = 1;

	out[0] = 0x06;
	n += initial_varint(out + n, offset);
	n += initial_varint(out + n, len);
	memcpy(out + n, data, len);
	return n + len;
}

/* Encrypts out[number_at + 4 ..] in place, tag and header protection too. Returns the packet's length. */
KIT_INITIAL size_t initial_protect(uint8_t *out, size_t number_at, size_t payload,
				   const struct initial_flight *flight, uint32_t number)
{
	static const uint8_t salts[2][20] = {
		{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}};
	bool v2 = flight->version == NGTCP2_PROTO_VER_V2;
	gnutls_datum_t salt = {(uint8_t *)(uintptr_t)salts[v2], 20},
		       dcid = {(uint8_t *)(uintptr_t)flight->dcid, (unsigned)flight->dcid_len};
	uint8_t initial[32], client[32], key[16], iv[12], hp[16], zero[16] = {0}, mask[16];
	gnutls_datum_t key_datum = {key, 16}, hp_datum = {hp, 16}, zero_datum = {zero, 16};
	gnutls_aead_cipher_hd_t aead;
	gnutls_cipher_hd_t header;
	size_t header_len = number_at + 4, len = payload + 16;
	uint8_t *plain = malloc(payload + 1);

	initial_must(plain != NULL);
	memcpy(plain, out + header_len, payload);
	initial_must(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &dcid, &salt, initial) == 0);
	initial_expand(client, 32, initial, "client in");
	initial_expand(key, 16, client, v2 ? "quicv2 key" : "quic key");
	initial_expand(iv, 12, client, v2 ? "quicv2 iv" : "quic iv");
	initial_expand(hp, 16, client, v2 ? "quicv2 hp" : "quic hp");
	for (unsigned i = 0; i < 4; i++)
		iv[11 - i] ^= (uint8_t)(number >> (8 * i));
	initial_must(gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_128_GCM, &key_datum) == 0);
	initial_must(gnutls_aead_cipher_encrypt(aead, iv, 12, out, header_len, 16, plain, payload,
						out + header_len, &len) == 0);
	gnutls_aead_cipher_deinit(aead);
	initial_must(gnutls_cipher_init(&header, GNUTLS_CIPHER_AES_128_CBC, &hp_datum,
					&zero_datum) == 0);
	initial_must(gnutls_cipher_encrypt2(header, out + number_at + 4, 16, mask, 16) == 0);
	gnutls_cipher_deinit(header);
	out[0] ^= mask[0] & 0x0f;
	for (unsigned i = 0; i < 4; i++)
		out[number_at + i] ^= mask[1 + i];
	free(plain);
	return header_len + len;
}

/*
 * One Initial with these frames, and zeros (PADDING) up to `want` octets (0 = none); `out` has room.
 * Packet numbers have four octets. Returns its length.
 */
KIT_INITIAL size_t initial_seal(uint8_t *out, const struct initial_flight *flight, uint32_t number,
				const uint8_t *frames, size_t frames_len, size_t want)
{
	size_t at = 0, payload = frames_len, number_at;

	out[at++] = flight->version == NGTCP2_PROTO_VER_V2 ? 0xd3 : 0xc3;
	for (int i = 3; i >= 0; i--)
		out[at++] = (uint8_t)(flight->version >> (8 * i));
	out[at++] = (uint8_t)flight->dcid_len;
	memcpy(out + at, flight->dcid, flight->dcid_len);
	at += flight->dcid_len;
	out[at++] = (uint8_t)flight->scid_len;
	if (flight->scid_len > 0)
		memcpy(out + at, flight->scid, flight->scid_len);
	at += flight->scid_len;
	at += initial_varint(out + at, flight->token_len);
	if (flight->token_len > 0)
		memcpy(out + at, flight->token, flight->token_len);
	at += flight->token_len;
	number_at = at + 2;
	if (want > number_at + 4 + 16 && payload < want - number_at - 4 - 16)
		payload = want - number_at - 4 - 16;
	if (payload < 4)
		payload = 4; /* the sample */
	out[at] = (uint8_t)(0x40 | (4 + payload + 16) >> 8);
	out[at + 1] = (uint8_t)(4 + payload + 16);
	for (unsigned i = 0; i < 4; i++)
		out[number_at + i] = (uint8_t)(number >> (24 - 8 * i));
	memset(out + number_at + 4, 0, payload);
	if (frames_len > 0)
		memcpy(out + number_at + 4, frames, frames_len);
	return initial_protect(out, number_at, payload, flight, number);
}

struct initial_hello {
	uint8_t data[20000];
	size_t len;
};

/* Octets of an extension that means nothing, in the next hello. */
static size_t initial_padding_len;

KIT_INITIAL int initial_take_hello(gnutls_session_t session, gnutls_record_encryption_level_t level,
				   gnutls_handshake_description_t type, const void *data,
				   size_t len)
{
	struct initial_hello *hello = gnutls_session_get_ptr(session);

	(void)level;
	if (type != GNUTLS_HANDSHAKE_CLIENT_HELLO)
		return 0;
	initial_must(hello->len + len <= sizeof(hello->data));
	memcpy(hello->data + hello->len, data, len);
	hello->len += len;
	return 0;
}

KIT_INITIAL int initial_no_extension(gnutls_session_t session, const unsigned char *data,
				     size_t len)
{
	(void)session;
	(void)data;
	(void)len;
	return 0;
}

KIT_INITIAL int initial_padding(gnutls_session_t session, gnutls_buffer_t buffer)
{
	uint8_t zero[256] = {0};

	(void)session;
	for (size_t left = initial_padding_len; left > 0;) {
		size_t n = left < sizeof(zero) ? left : sizeof(zero);

		if (gnutls_buffer_append_data(buffer, zero, n) < 0)
			return GNUTLS_E_MEMORY_ERROR;
		left -= n;
	}
	return (int)initial_padding_len;
}

/* initial_source_connection_id is empty: what a server wants to see at least. */
KIT_INITIAL int initial_params(gnutls_session_t session, gnutls_buffer_t buffer)
{
	(void)session;
	return gnutls_buffer_append_data(buffer, "\x0f\x00", 2) < 0 ? GNUTLS_E_MEMORY_ERROR : 2;
}

KIT_INITIAL ssize_t initial_no_record(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
	(void)ptr;
	(void)data;
	(void)len;
	return 0;
}

/* A ClientHello as GnuTLS makes it, of a client whose connection ID is empty. `alpn`: up to four names, ended by NULL; NULL = none. */
KIT_INITIAL void initial_make_hello(struct initial_hello *hello, const char *sni,
				    const char *const *alpn, size_t padding)
{
	gnutls_datum_t protocols[4];
	gnutls_certificate_credentials_t cred;
	gnutls_session_t session;
	unsigned n = 0;

	hello->len = 0;
	initial_padding_len = padding;
	initial_must(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK) == 0);
	initial_must(gnutls_priority_set_direct(session,
						"NORMAL:-VERS-ALL:+VERS-TLS1.3:"
						"%DISABLE_TLS13_COMPAT_MODE",
						NULL) == 0);
	initial_must(gnutls_certificate_allocate_credentials(&cred) == 0);
	initial_must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, cred) == 0);
	gnutls_session_set_ptr(session, hello);
	for (; alpn != NULL && alpn[n] != NULL; n++)
		protocols[n] = (gnutls_datum_t){(unsigned char *)(uintptr_t)alpn[n],
						(unsigned)strlen(alpn[n])};
	if (n > 0)
		initial_must(gnutls_alpn_set_protocols(session, protocols, n, 0) == 0);
	if (sni != NULL)
		initial_must(gnutls_server_name_set(session, GNUTLS_NAME_DNS, sni, strlen(sni)) ==
			     0);
	if (padding > 0)
		initial_must(gnutls_session_ext_register(
				     session, "padding", 0xffa0, GNUTLS_EXT_TLS,
				     initial_no_extension, initial_padding, NULL, NULL, NULL,
				     GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_TLS) == 0);
	initial_must(gnutls_session_ext_register(
			     session, "params", 0x39, GNUTLS_EXT_TLS, initial_no_extension,
			     initial_params, NULL, NULL, NULL,
			     GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_TLS) == 0);
	gnutls_handshake_set_read_function(session, initial_take_hello);
	gnutls_transport_set_pull_function(session, initial_no_record);
	gnutls_handshake(session);
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(cred);
	initial_must(hello->len > 0);
}

#endif
