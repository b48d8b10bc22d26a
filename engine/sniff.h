/* SPDX-License-Identifier: MIT */
/* ALPN and SNI of a client's first flight, read without a connection. */
#ifndef QS_SNIFF_H
#define QS_SNIFF_H

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QS_SNIFF_HELLO_MAX (16u * 1024u) /* octets of a ClientHello with its handshake header */
#define QS_SNIFF_DATAGRAM_MIN                                                                      \
	1200u /* a smaller one carries no Initial of a client (RFC 9000, 14.1) */

enum qs_sniff_verdict {
	QS_SNIFF_MORE, /* an authentic part; the ClientHello is not whole */
	QS_SNIFF_DECIDED, /* sniff->sni and the ALPN list can be asked for */
	QS_SNIFF_NOISE, /* no authentic Initial of this flight is in the datagram; nothing changed */
	QS_SNIFF_BROKEN, /* authentic, but nothing that a client may send first */
	QS_SNIFF_NO_ROOM, /* over QS_SNIFF_HELLO_MAX, or no memory */
};

/* One first flight. The caller's storage; may be moved with memcpy. Any one thread. */
struct qs_sniff {
	uint32_t version;
	ngtcp2_cid dcid,
		scid; /* of the first datagram: what its keys follow from, and the client's */
	bool first; /* the datagram just fed carried the ClientHello's first octet */
	char sni[256]; /* lower case, without a final dot; "" = none, or no DNS name of that length */

	/* sniff.c's own */
	enum qs_sniff_verdict verdict; /* MORE until the end; then that of the end */
	gnutls_aead_cipher_hd_t aead;
	gnutls_cipher_hd_t header;
	uint8_t iv[12];
	int64_t largest; /* authentic packet number; -1 = none */
	uint8_t *hello, *known; /* known: a bit an octet */
	uint32_t capacity, prefix; /* prefix: octets from the start without a gap */
	const uint8_t *alpn; /* the list as on the wire, in hello */
	uint32_t alpn_len;
};

/*
 * Begins with the first datagram of a flight: reads version (1 or 2) and connection IDs of the
 * packet at its start, which must be an Initial, and derives the keys. Feeds nothing yet. 0;
 * -EINVAL if it is no such datagram; -ENOMEM. On failure qs_sniff_fini has nothing to do.
 */
int qs_sniff_init(struct qs_sniff *sniff, const uint8_t *datagram, size_t len);
void qs_sniff_fini(struct qs_sniff *sniff);

/*
 * Reads one datagram, the first one too; it is not changed. Only Initials with the version and IDs
 * of the flight that decrypt count; coalesced packets of other kinds are passed over. Holds memory
 * (at most 18 KiB) only after an authentic packet. Once the verdict is DECIDED, BROKEN or NO_ROOM
 * it stays, and datagrams are not looked at.
 */
enum qs_sniff_verdict qs_sniff_feed(struct qs_sniff *sniff, const uint8_t *datagram, size_t len);

/* All that one datagram says, if it is the first of a flight. *first: as in struct qs_sniff. */
enum qs_sniff_verdict qs_sniff_once(const uint8_t *datagram, size_t len, bool *first);

/* DECIDED: whether the client offers this protocol. */
bool qs_sniff_offers(const struct qs_sniff *sniff, const char *alpn);
/* DECIDED: the protocol that the client offers after `last`, which is what the call before returned
 * (NULL = the first of all), in its order of preference; not ended by NUL. NULL after the last. */
const uint8_t *qs_sniff_alpn(const struct qs_sniff *sniff, const uint8_t *last, size_t *len);

#endif
