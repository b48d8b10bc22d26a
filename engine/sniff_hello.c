/* SPDX-License-Identifier: MIT */
/* The ClientHello of a first flight: put together octet by octet, then read. */
#include "sniff_parts.h"

#include <stdlib.h>
#include <string.h>

#define HELLO_LEAST 2048u /* octets, of the first buffer */
#define HANDSHAKE_HEADER 4u
#define CLIENT_HELLO 1u
#define EXTENSION_SERVER_NAME 0u
#define EXTENSION_ALPN 16u

static bool grow(struct qs_sniff *sniff, uint32_t need)
{
	uint32_t capacity = sniff->capacity > 0 ? sniff->capacity : HELLO_LEAST;
	uint8_t *hello;

	while (capacity < need)
		capacity *= 2;
	if (capacity == sniff->capacity)
		return true;
	hello = calloc(1, capacity + capacity / 8);
	if (hello == NULL)
		return false;
	if (sniff->hello != NULL) {
		memcpy(hello, sniff->hello, sniff->capacity);
		memcpy(hello + capacity, sniff->known, sniff->capacity / 8);
		free(sniff->hello);
	}
	sniff->hello = hello;
	sniff->known = hello + capacity;
	sniff->capacity = capacity;
	return true;
}

static bool known(const struct qs_sniff *sniff, uint32_t at)
{
	return sniff->known[at / 8] >> (at % 8) & 1;
}

enum qs_sniff_verdict qs_sniff_put(struct qs_sniff *sniff, uint64_t offset, const uint8_t *data,
				   size_t len)
{
	uint32_t at;

	if (offset > QS_SNIFF_HELLO_MAX || len > QS_SNIFF_HELLO_MAX - offset)
		return QS_SNIFF_NO_ROOM;
	at = (uint32_t)offset;
	if (!grow(sniff, at + (uint32_t)len))
		return QS_SNIFF_NO_ROOM;
	for (size_t i = 0; i < len; i++, at++) {
		if (!known(sniff, at)) {
			sniff->hello[at] = data[i];
			sniff->known[at / 8] |= (uint8_t)(1u << (at % 8));
		} else if (sniff->hello[at] != data[i]) {
			return QS_SNIFF_BROKEN;
		}
	}
	while (sniff->prefix < sniff->capacity && known(sniff, sniff->prefix))
		sniff->prefix++;
	sniff->first = sniff->first || (offset == 0 && len > 0);
	return QS_SNIFF_MORE;
}

/* The first host name of the server_name extension (RFC 6066, 3). */
static int read_server_name(struct qs_sniff *sniff, const uint8_t *data, size_t len)
{
	size_t n;

	if (len < 5 || (size_t)(data[0] << 8 | data[1]) != len - 2 || data[2] != 0)
		return -1;
	n = (size_t)(data[3] << 8 | data[4]);
	data += 5;
	if (n == 0 || n > len - 5)
		return -1;
	if (data[n - 1] == '.')
		n--;
	if (n >= sizeof(sniff->sni) || memchr(data, '\0', n) != NULL)
		return 0; /* nobody is called that */
	for (size_t i = 0; i < n; i++)
		sniff->sni[i] =
			data[i] >= 'A' && data[i] <= 'Z' ? (char)(data[i] | 0x20) : (char)data[i];
	sniff->sni[n] = '\0';
	return 0;
}

/* The list of RFC 7301, 3.1; it stays where it is. */
static int read_alpn(struct qs_sniff *sniff, const uint8_t *data, size_t len)
{
	if (len < 2 || (size_t)(data[0] << 8 | data[1]) != len - 2)
		return -1;
	sniff->alpn = data + 2;
	sniff->alpn_len = (uint32_t)len - 2;
	for (size_t at = 0; at < sniff->alpn_len; at += 1u + sniff->alpn[at]) {
		if (sniff->alpn[at] == 0 || sniff->alpn[at] > sniff->alpn_len - at - 1)
			return -1;
	}
	return 0;
}

struct extensions {
	struct qs_sniff *sniff;
	bool server_name, alpn;
};

static int read_extension(void *context, unsigned id, const unsigned char *data, unsigned len)
{
	struct extensions *seen = context;
	bool *once = id == EXTENSION_SERVER_NAME ? &seen->server_name
		     : id == EXTENSION_ALPN	 ? &seen->alpn
						 : NULL;

	if (once == NULL)
		return 0;
	if (*once)
		return GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION;
	*once = true;
	if ((id == EXTENSION_ALPN ? read_alpn(seen->sniff, data, len)
				  : read_server_name(seen->sniff, data, len)) < 0)
		return GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION;
	return 0;
}

enum qs_sniff_verdict qs_sniff_judge(struct qs_sniff *sniff)
{
	struct extensions seen = {.sniff = sniff};
	gnutls_datum_t body;
	uint32_t len;

	if (sniff->prefix > 0 && sniff->hello[0] != CLIENT_HELLO)
		return QS_SNIFF_BROKEN;
	if (sniff->prefix < HANDSHAKE_HEADER)
		return QS_SNIFF_MORE;
	len = (uint32_t)sniff->hello[1] << 16 | (uint32_t)sniff->hello[2] << 8 | sniff->hello[3];
	if (len > QS_SNIFF_HELLO_MAX - HANDSHAKE_HEADER)
		return QS_SNIFF_NO_ROOM;
	if (sniff->prefix < HANDSHAKE_HEADER + len)
		return QS_SNIFF_MORE;
	body = (gnutls_datum_t){sniff->hello + HANDSHAKE_HEADER, len};
	if (gnutls_ext_raw_parse(&seen, read_extension, &body,
				 GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO) < 0)
		return QS_SNIFF_BROKEN; /* QUIC demands extensions: one without any is broken too */
	return QS_SNIFF_DECIDED;
}

/* --- answers --- */

const uint8_t *qs_sniff_alpn(const struct qs_sniff *sniff, const uint8_t *last, size_t *len)
{
	const uint8_t *next = last != NULL ? last + last[-1] : sniff->alpn;

	if (next == NULL || next >= sniff->alpn + sniff->alpn_len)
		return NULL;
	*len = *next;
	return next + 1;
}

bool qs_sniff_offers(const struct qs_sniff *sniff, const char *alpn)
{
	size_t want = strlen(alpn), len;

	for (const uint8_t *name = NULL; (name = qs_sniff_alpn(sniff, name, &len)) != NULL;) {
		if (len == want && memcmp(name, alpn, len) == 0)
			return true;
	}
	return false;
}
