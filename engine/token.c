/* SPDX-License-Identifier: MIT */
/* Address validation: Retry packets and the tokens that come back (RFC 9000, 8.1). */
#include "token.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <string.h>

int qs_token_secret(uint8_t out[static QS_TOKEN_SECRET], const uint8_t *shared, size_t len)
{
	static const char label[] = "quicshim address token";

	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, shared, len, label, sizeof(label) - 1, out) < 0
		       ? -EIO
		       : 0;
}

/* ngtcp2 compares whole sockaddrs: nothing but family, port and address shall be in them. */
static ngtcp2_socklen plain_address(ngtcp2_sockaddr_union *out, const struct sockaddr *remote)
{
	memset(out, 0, sizeof(*out));
	if (remote->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)remote;

		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = sin6->sin6_port;
		out->in6.sin6_addr = sin6->sin6_addr;
		return sizeof(out->in6);
	}
	out->in.sin_family = AF_INET;
	out->in.sin_port = ((const struct sockaddr_in *)(const void *)remote)->sin_port;
	out->in.sin_addr = ((const struct sockaddr_in *)(const void *)remote)->sin_addr;
	return sizeof(out->in);
}

enum qs_token_kind qs_token_check(const uint8_t secret[static QS_TOKEN_SECRET],
				  const ngtcp2_pkt_hd *hd, const struct sockaddr *remote,
				  uint64_t wall_ns, ngtcp2_cid *odcid)
{
	ngtcp2_sockaddr_union address;
	ngtcp2_socklen len = plain_address(&address, remote);

	if (hd->tokenlen == 0)
		return QS_TOKEN_NONE;
	switch (hd->token[0]) {
	case NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2:
		if (ngtcp2_crypto_verify_retry_token2(
			    odcid, hd->token, hd->tokenlen, secret, QS_TOKEN_SECRET, hd->version,
			    &address.sa, len, &hd->dcid, QS_TOKEN_RETRY_NS, wall_ns) != 0)
			return QS_TOKEN_INVALID;
		return QS_TOKEN_RETRY;
	case NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR:
		if (ngtcp2_crypto_verify_regular_token(hd->token, hd->tokenlen, secret,
						       QS_TOKEN_SECRET, &address.sa, len,
						       QS_TOKEN_REGULAR_NS, wall_ns) != 0)
			return QS_TOKEN_NONE;
		return QS_TOKEN_REGULAR;
	default:
		return QS_TOKEN_NONE;
	}
}

ssize_t qs_token_write_retry(uint8_t *out, size_t size,
			     const uint8_t secret[static QS_TOKEN_SECRET], const ngtcp2_pkt_hd *hd,
			     const struct sockaddr *remote, const ngtcp2_cid *scid,
			     uint64_t wall_ns)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
	ngtcp2_sockaddr_union address;
	ngtcp2_socklen len = plain_address(&address, remote);
	ngtcp2_ssize n =
		ngtcp2_crypto_generate_retry_token2(token, secret, QS_TOKEN_SECRET, hd->version,
						    &address.sa, len, scid, &hd->dcid, wall_ns);

	if (n < 0)
		return -EIO;
	n = ngtcp2_crypto_write_retry(out, size, hd->version, &hd->scid, scid, &hd->dcid, token,
				      (size_t)n);
	return n < 0 ? -EIO : n;
}

ssize_t qs_token_write_refusal(uint8_t *out, size_t size, const ngtcp2_pkt_hd *hd)
{
	ngtcp2_ssize n = ngtcp2_crypto_write_connection_close(
		out, size, hd->version, &hd->scid, &hd->dcid, NGTCP2_INVALID_TOKEN, NULL, 0);

	return n < 0 ? -EIO : n;
}

ssize_t qs_token_make_regular(uint8_t out[static QS_TOKEN_REGULAR_MAX],
			      const uint8_t secret[static QS_TOKEN_SECRET],
			      const struct sockaddr *remote, uint64_t wall_ns)
{
	ngtcp2_sockaddr_union address;
	ngtcp2_socklen len = plain_address(&address, remote);
	ngtcp2_ssize n = ngtcp2_crypto_generate_regular_token(out, secret, QS_TOKEN_SECRET,
							      &address.sa, len, wall_ns);

	return n < 0 ? -EIO : n;
}
