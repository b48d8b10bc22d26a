/* SPDX-License-Identifier: MIT */
/* ALPN and SNI of a client's first flight, read without a connection. */

/*
 * Theory. Initial packets are encrypted with keys that follow from the client's first DCID (RFC
 * 9001, 5.2; RFC 9369, 3.3), so whoever sees the first datagram can read them. Clients split the
 * ClientHello into CRYPTO frames of any size and order, on purpose too, and one with a
 * post-quantum key share needs several datagrams. So the octets are put where they belong and a
 * bit for each says that it came; the message is looked at once there is no gap in it.
 * Nothing counts before its packet has been authenticated: octets that merely look like an Initial
 * end at the AEAD, and leave no state. That is no proof of who sent it, since anybody who sees or
 * makes a first datagram has its keys.
 * The message itself is in sniff_hello.c.
 * Time: each feed is linear in its datagram. Memory: the message and its bits, which grow with the
 * highest octet that came, up to QS_SNIFF_HELLO_MAX.
 */
#include "sniff_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAG 16u /* octets that AES-128-GCM adds */
#define KEY 16u
#define SAMPLE 16u

enum {
	FRAME_PADDING = 0x00,
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_ACK_ECN = 0x03,
	FRAME_CRYPTO = 0x06,
	FRAME_CONNECTION_CLOSE = 0x1c,
};

/* --- keys --- */

struct labels {
	uint8_t salt[20];
	const char *key, *iv, *header;
};

static const struct labels *labels_of(uint32_t version)
{
	static const struct labels v1 = {
		{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		"quic key",
		"quic iv",
		"quic hp",
	};
	static const struct labels v2 = {
		{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		"quicv2 key",
		"quicv2 iv",
		"quicv2 hp",
	};

	return version == NGTCP2_PROTO_VER_V1 ? &v1 : version == NGTCP2_PROTO_VER_V2 ? &v2 : NULL;
}

/* HKDF-Expand-Label (RFC 8446, 7.1) without a context. */
static int expand(uint8_t *out, size_t len, const uint8_t secret[32], const char *label)
{
	static const char prefix[] = "tls13 ";
	size_t label_len = sizeof(prefix) - 1 + strlen(label);
	gnutls_datum_t key = {(uint8_t *)(uintptr_t)secret, 32}, info;
	uint8_t bytes[64] = {(uint8_t)(len >> 8), (uint8_t)len, (uint8_t)label_len};

	memcpy(bytes + 3, prefix, sizeof(prefix) - 1);
	memcpy(bytes + 3 + sizeof(prefix) - 1, label, strlen(label));
	info = (gnutls_datum_t){bytes, (unsigned)(3 + label_len + 1)};
	return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info, out, len);
}

static int derive(struct qs_sniff *sniff, const struct labels *labels)
{
	uint8_t initial[32], client[32], key[KEY], header[KEY], zero[16] = {0};
	gnutls_datum_t salt = {(uint8_t *)(uintptr_t)labels->salt, sizeof(labels->salt)},
		       dcid = {sniff->dcid.data, (unsigned)sniff->dcid.datalen},
		       key_datum = {key, sizeof(key)}, header_datum = {header, sizeof(header)},
		       zero_datum = {zero, sizeof(zero)};

	if (gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &dcid, &salt, initial) < 0 ||
	    expand(client, sizeof(client), initial, "client in") < 0 ||
	    expand(key, sizeof(key), client, labels->key) < 0 ||
	    expand(sniff->iv, sizeof(sniff->iv), client, labels->iv) < 0 ||
	    expand(header, sizeof(header), client, labels->header) < 0)
		return -ENOMEM;
	if (gnutls_aead_cipher_init(&sniff->aead, GNUTLS_CIPHER_AES_128_GCM, &key_datum) < 0)
		return -ENOMEM;
	/* One block of CBC without an IV is ECB, which GnuTLS does not offer. */
	if (gnutls_cipher_init(&sniff->header, GNUTLS_CIPHER_AES_128_CBC, &header_datum,
			       &zero_datum) < 0) {
		gnutls_aead_cipher_deinit(sniff->aead);
		return -ENOMEM;
	}
	return 0;
}

int qs_sniff_init(struct qs_sniff *sniff, const uint8_t *datagram, size_t len)
{
	const struct labels *labels;
	ngtcp2_pkt_hd hd;

	memset(sniff, 0, sizeof(*sniff));
	if (len < QS_SNIFF_DATAGRAM_MIN || ngtcp2_pkt_decode_hd_long(&hd, datagram, len) < 0 ||
	    hd.type != NGTCP2_PKT_INITIAL || hd.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN)
		return -EINVAL;
	labels = labels_of(hd.version);
	if (labels == NULL)
		return -EINVAL;
	sniff->version = hd.version;
	sniff->dcid = hd.dcid;
	sniff->scid = hd.scid;
	sniff->largest = -1;
	sniff->verdict = QS_SNIFF_MORE;
	return derive(sniff, labels);
}

void qs_sniff_fini(struct qs_sniff *sniff)
{
	gnutls_aead_cipher_deinit(sniff->aead);
	gnutls_cipher_deinit(sniff->header);
	free(sniff->hello);
	memset(sniff, 0, sizeof(*sniff));
}

/* --- frames --- */

struct reader {
	const uint8_t *at, *end;
	bool short_of; /* something ended too early */
};

static uint64_t read_varint(struct reader *r)
{
	uint64_t value;
	unsigned n;

	if (r->at == r->end)
		goto out_short;
	n = 1u << (*r->at >> 6);
	if ((size_t)(r->end - r->at) < n)
		goto out_short;
	value = *r->at++ & 0x3f;
	while (--n > 0)
		value = value << 8 | *r->at++;
	return value;
out_short:
	r->short_of = true;
	r->at = r->end;
	return 0;
}

static const uint8_t *read_octets(struct reader *r, uint64_t len)
{
	const uint8_t *data = r->at;

	if (len > (size_t)(r->end - r->at)) {
		r->short_of = true;
		r->at = r->end;
		return data;
	}
	r->at += len;
	return data;
}

static void skip_ack(struct reader *r, bool ecn)
{
	uint64_t ranges;

	read_varint(r); /* largest */
	read_varint(r); /* delay */
	ranges = read_varint(r);
	read_varint(r); /* first range */
	for (uint64_t i = 0; i < ranges && !r->short_of; i++) {
		read_varint(r);
		read_varint(r);
	}
	for (int i = 0; ecn && i < 3; i++)
		read_varint(r);
}

/* What an Initial may hold (RFC 9000, 17.2.2). */
static enum qs_sniff_verdict read_frames(struct qs_sniff *sniff, const uint8_t *data, size_t len)
{
	struct reader r = {data, data + len, false};
	enum qs_sniff_verdict verdict = QS_SNIFF_MORE;

	while (r.at < r.end && verdict == QS_SNIFF_MORE) {
		uint64_t type = read_varint(&r), offset, n;
		const uint8_t *octets;

		switch (type) {
		case FRAME_PADDING:
			while (r.at < r.end && *r.at == FRAME_PADDING)
				r.at++;
			break;
		case FRAME_PING:
			break;
		case FRAME_ACK:
		case FRAME_ACK_ECN:
			skip_ack(&r, type == FRAME_ACK_ECN);
			break;
		case FRAME_CRYPTO:
			offset = read_varint(&r);
			n = read_varint(&r);
			octets = read_octets(&r, n);
			if (!r.short_of)
				verdict = qs_sniff_put(sniff, offset, octets, (size_t)n);
			break;
		case FRAME_CONNECTION_CLOSE:
			read_varint(&r); /* error */
			read_varint(&r); /* frame type */
			n = read_varint(&r);
			read_octets(&r, n);
			break;
		default:
			return QS_SNIFF_BROKEN;
		}
		if (r.short_of)
			return QS_SNIFF_BROKEN;
	}
	return verdict == QS_SNIFF_MORE ? qs_sniff_judge(sniff) : verdict;
}

/* --- packets --- */

/* RFC 9000, A.3. */
static int64_t whole_number(int64_t largest, uint32_t truncated, unsigned octets)
{
	int64_t expected = largest + 1, window = (int64_t)1 << (octets * 8), half = window / 2,
		candidate = (expected & ~(window - 1)) | truncated;

	if (candidate <= expected - half && candidate < ((int64_t)1 << 62) - window)
		return candidate + window;
	if (candidate > expected + half && candidate >= window)
		return candidate - window;
	return candidate;
}

/* Takes the header protection off a copy of the header and decrypts. `out` holds as much as the
 * packet. The number of octets of frames, or -1 if the packet is not authentic. */
static ssize_t decrypt(struct qs_sniff *sniff, const uint8_t *packet, size_t len, size_t number_at,
		       uint8_t *header, uint8_t *out, bool *reserved)
{
	uint8_t mask[SAMPLE], zero[SAMPLE] = {0}, nonce[sizeof(sniff->iv)];
	size_t octets, header_len, out_len = len;
	uint32_t truncated = 0;
	int64_t number;

	if (len < number_at + 4 + SAMPLE)
		return -1;
	gnutls_cipher_set_iv(sniff->header, zero, sizeof(zero));
	if (gnutls_cipher_encrypt2(sniff->header, packet + number_at + 4, SAMPLE, mask,
				   sizeof(mask)) < 0)
		return -1;
	memcpy(header, packet, number_at + 4);
	header[0] ^= mask[0] & 0x0f;
	octets = (header[0] & 3u) + 1u;
	for (size_t i = 0; i < octets; i++) {
		header[number_at + i] ^= mask[1 + i];
		truncated = truncated << 8 | header[number_at + i];
	}
	header_len = number_at + octets;
	number = whole_number(sniff->largest, truncated, (unsigned)octets);
	memcpy(nonce, sniff->iv, sizeof(nonce));
	for (unsigned i = 0; i < 8; i++)
		nonce[sizeof(nonce) - 1 - i] ^= (uint8_t)((uint64_t)number >> (8 * i));
	if (gnutls_aead_cipher_decrypt(sniff->aead, nonce, sizeof(nonce), header, header_len, TAG,
				       packet + header_len, len - header_len, out, &out_len) < 0)
		return -1;
	if (number > sniff->largest)
		sniff->largest = number;
	*reserved = (header[0] & 0x0c) != 0;
	return (ssize_t)out_len;
}

static enum qs_sniff_verdict read_initial(struct qs_sniff *sniff, const uint8_t *packet, size_t len,
					  size_t number_at)
{
	enum qs_sniff_verdict verdict;
	/* The header, the copy of it that is authenticated, and then the frames. */
	uint8_t *memory = malloc(number_at + 4 + len);
	bool reserved;
	ssize_t n;

	if (memory == NULL)
		return QS_SNIFF_NOISE;
	n = decrypt(sniff, packet, len, number_at, memory, memory + number_at + 4, &reserved);
	if (n < 0)
		verdict = QS_SNIFF_NOISE;
	else if (n == 0 || reserved)
		verdict = QS_SNIFF_BROKEN; /* RFC 9000, 12.4 and 17.2 */
	else
		verdict = read_frames(sniff, memory + number_at + 4, (size_t)n);
	free(memory);
	return verdict;
}

static bool of_this_flight(const struct qs_sniff *sniff, const ngtcp2_pkt_hd *hd)
{
	return hd->version == sniff->version && ngtcp2_cid_eq(&hd->dcid, &sniff->dcid) &&
	       ngtcp2_cid_eq(&hd->scid, &sniff->scid);
}

enum qs_sniff_verdict qs_sniff_feed(struct qs_sniff *sniff, const uint8_t *datagram, size_t len)
{
	enum qs_sniff_verdict verdict = QS_SNIFF_NOISE;

	sniff->first = false;
	if (sniff->verdict != QS_SNIFF_MORE)
		return sniff->verdict;
	if (len < QS_SNIFF_DATAGRAM_MIN)
		return QS_SNIFF_NOISE;
	while (len > 0) {
		ngtcp2_pkt_hd hd;
		ngtcp2_ssize n = ngtcp2_pkt_decode_hd_long(&hd, datagram, len);
		enum qs_sniff_verdict one = QS_SNIFF_NOISE;

		/* A Retry or version negotiation has no length, and no client sends one. */
		if (n < 0 || !of_this_flight(sniff, &hd) || hd.type == NGTCP2_PKT_RETRY ||
		    hd.len > len - (size_t)n)
			break;
		if (hd.type == NGTCP2_PKT_INITIAL)
			one = read_initial(sniff, datagram, (size_t)n + hd.len, (size_t)n);
		if (one != QS_SNIFF_NOISE)
			verdict = one;
		if (verdict != QS_SNIFF_NOISE && verdict != QS_SNIFF_MORE)
			break;
		datagram += (size_t)n + hd.len;
		len -= (size_t)n + hd.len;
	}
	if (verdict != QS_SNIFF_NOISE)
		sniff->verdict = verdict;
	return verdict;
}

enum qs_sniff_verdict qs_sniff_once(const uint8_t *datagram, size_t len, bool *first)
{
	struct qs_sniff sniff;
	enum qs_sniff_verdict verdict;

	*first = false;
	if (qs_sniff_init(&sniff, datagram, len) < 0)
		return QS_SNIFF_NOISE;
	verdict = qs_sniff_feed(&sniff, datagram, len);
	*first = sniff.first;
	qs_sniff_fini(&sniff);
	return verdict;
}
