/* SPDX-License-Identifier: MIT */
/* Address validation: Retry packets and the tokens that come back (RFC 9000, 8.1). No state, any thread. */
#ifndef QS_TOKEN_H
#define QS_TOKEN_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define QS_TOKEN_SECRET 32 /* octets of a key for tokens */
#define QS_TOKEN_RETRY_NS (15 * 1000000000ull) /* a Retry token is good for so long */
#define QS_TOKEN_REGULAR_NS (24 * 3600 * 1000000000ull) /* and one of a NEW_TOKEN frame */
#define QS_TOKEN_REGULAR_MAX NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN

enum qs_token_kind {
	QS_TOKEN_NONE, /* there is none, or an old or foreign one of NEW_TOKEN: it proves nothing */
	QS_TOKEN_RETRY, /* the client got our Retry at this address */
	QS_TOKEN_REGULAR, /* the client had this address when we gave it the token */
	QS_TOKEN_INVALID, /* made like one for a Retry, and not good: the client takes no other */
};

/*
 * All times are of the wall clock (CLOCK_REALTIME, nanoseconds), which those who share the secret
 * have in common.
 */

/* The key for tokens, from what those who serve one address share (e.g. the reset secret). 0 or -EIO. */
int qs_token_secret(uint8_t out[static QS_TOKEN_SECRET], const uint8_t *shared, size_t len);

/* What the token in an Initial's header says about `remote`. RETRY: *odcid is the DCID of the
 * client's very first Initial, and hd->dcid the ID that our Retry gave it. */
enum qs_token_kind qs_token_check(const uint8_t secret[static QS_TOKEN_SECRET],
				  const ngtcp2_pkt_hd *hd, const struct sockaddr *remote,
				  uint64_t wall_ns, ngtcp2_cid *odcid);

/* A Retry packet that answers an Initial; `scid` is the ID that the client shall use from then on.
 * Its length, or -EIO. 256 octets of room are enough. */
ssize_t qs_token_write_retry(uint8_t *out, size_t size,
			     const uint8_t secret[static QS_TOKEN_SECRET], const ngtcp2_pkt_hd *hd,
			     const struct sockaddr *remote, const ngtcp2_cid *scid,
			     uint64_t wall_ns);
/* The answer to INVALID: a close that says INVALID_TOKEN. The same. */
ssize_t qs_token_write_refusal(uint8_t *out, size_t size, const ngtcp2_pkt_hd *hd);
/* A token for a NEW_TOKEN frame. Its length, or -EIO. */
ssize_t qs_token_make_regular(uint8_t out[static QS_TOKEN_REGULAR_MAX],
			      const uint8_t secret[static QS_TOKEN_SECRET],
			      const struct sockaddr *remote, uint64_t wall_ns);

#endif
