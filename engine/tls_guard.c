// SPDX-License-Identifier: MIT
// Layer 1 of D10's guards: judge the handshake before ngtcp2 is given a key.
//
// Problem: ngtcp2's GnuTLS glue hands every secret that GnuTLS derives straight to ngtcp2_conn,
// which asserts that each level's keys come once, and that what they need (the peer's transport
// parameters) has come before. GnuTLS promises neither when the peer misbehaves, and a failed
// assertion ends the process that hosts us. So our own secret function stands in between, and
// refuses with the alert that the peer deserves.
//
// What it asks before a key goes in:
//	once		a key for this level and direction was not installed before. (The RFC 9001,
//			section 6 ban on TLS key updates rests on this too.)
//	parameters	the peer's transport parameters are there, at the server's Handshake and the
//			client's 1-RTT level (RFC 9001, 8.2: missing_extension)
//	ALPN		both sides agreed on ours, at the same levels (RFC 9001, 8.1). GnuTLS's
//			MANDATORY flag looks only at an extension that did come.
//	certificate	it was verified, where it must be, before 1-RTT data can be read
//	early		a server's 0-RTT key waits for the 1-RTT send key; a client's second one
//			(after a HelloRetryRequest) is dropped
//
// Alerts: GnuTLS maps our error code to an alert of its choice and records it with ngtcp2;
// guard->alert is what we want, and qs_tls_recv_crypto_data() sets it again afterwards.
//
// Limits: this relies on GnuTLS calling one function for all secrets, on ngtcp2 taking none
// behind its back, and on no resumption (tls.c turns tickets off).
#include "tls_parts.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#define ALERT_BAD_CERTIFICATE_STATUS 113 /* RFC 8446, 6.2; GnuTLS has no name for it */

static int refuse(struct qs_tls_guard *guard, uint8_t alert, int gnutls_code, const char *text)
{
	guard->alert = alert;
	guard->refusal = text;
	return gnutls_code;
}

static bool has_peer_params(const struct qs_tls_guard *guard, ngtcp2_conn *conn)
{
	const void *params = ngtcp2_conn_get_remote_transport_params(conn);

	return params && params != guard->params_before;
}

static bool has_agreed_alpn(const struct qs_tls_link *link)
{
	gnutls_datum_t selected;

	return gnutls_alpn_get_selected_protocol(link->session, &selected) == 0 &&
	       selected.size == link->alpn_len &&
	       memcmp(selected.data, link->alpn, selected.size) == 0;
}

static int install(struct qs_tls_guard *guard, ngtcp2_conn *conn, ngtcp2_encryption_level level,
		   const void *rx_secret, const void *tx_secret, size_t secret_len)
{
	uint8_t bit = (uint8_t)(1u << level);

	/* Marked first: a failed attempt counts, too. */
	if (rx_secret) {
		guard->rx_done |= bit;
		if (ngtcp2_crypto_derive_and_install_rx_key(conn, NULL, NULL, NULL, level,
							    rx_secret, secret_len) != 0)
			goto fail;
	}
	if (tx_secret) {
		guard->tx_done |= bit;
		if (ngtcp2_crypto_derive_and_install_tx_key(conn, NULL, NULL, NULL, level,
							    tx_secret, secret_len) != 0)
			goto fail;
	}
	return 0;
fail:
	return refuse(guard, GNUTLS_A_INTERNAL_ERROR, GNUTLS_E_INTERNAL_ERROR,
		      "a key could not be installed");
}

static int early_secret(struct qs_tls_guard *guard, ngtcp2_conn *conn, const void *rx_secret,
			const void *tx_secret, size_t secret_len)
{
	const uint8_t bit = 1u << NGTCP2_ENCRYPTION_LEVEL_0RTT;

	if (guard->server) {
		if (!rx_secret)
			return 0;
		if (guard->rx_done & bit || guard->early_secret_len)
			return refuse(guard, GNUTLS_A_UNEXPECTED_MESSAGE,
				      GNUTLS_E_UNEXPECTED_PACKET, "a second early key");
		if (secret_len > sizeof(guard->early_secret))
			return refuse(guard, GNUTLS_A_INTERNAL_ERROR, GNUTLS_E_INTERNAL_ERROR,
				      "an early secret of unknown size");
		if (guard->tx_done & 1u << NGTCP2_ENCRYPTION_LEVEL_1RTT)
			return install(guard, conn, NGTCP2_ENCRYPTION_LEVEL_0RTT, rx_secret, NULL,
				       secret_len);
		memcpy(guard->early_secret, rx_secret, secret_len);
		guard->early_secret_len = (uint8_t)secret_len;
		return 0;
	}
	if (!tx_secret || guard->tx_done & bit)
		return 0;
	return install(guard, conn, NGTCP2_ENCRYPTION_LEVEL_0RTT, NULL, tx_secret, secret_len);
}

int qs_tls_guard_secret(gnutls_session_t session, gnutls_record_encryption_level_t gnutls_level,
			const void *rx_secret, const void *tx_secret, size_t secret_len)
{
	struct qs_tls_link *link = gnutls_session_get_ptr(session);
	struct qs_tls_guard *guard = &link->guard;
	ngtcp2_conn *conn = link->ref.get_conn(&link->ref);
	ngtcp2_encryption_level level, judge_level;
	uint8_t bit;
	int rv;

	switch (gnutls_level) { /* ngtcp2's own conversion aborts on what it does not know */
	case GNUTLS_ENCRYPTION_LEVEL_EARLY:
		return early_secret(guard, conn, rx_secret, tx_secret, secret_len);
	case GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE:
		level = NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE;
		break;
	case GNUTLS_ENCRYPTION_LEVEL_APPLICATION:
		level = NGTCP2_ENCRYPTION_LEVEL_1RTT;
		break;
	case GNUTLS_ENCRYPTION_LEVEL_INITIAL:
	default:
		return refuse(guard, GNUTLS_A_INTERNAL_ERROR, GNUTLS_E_INTERNAL_ERROR,
			      "a secret for a level that has none");
	}
	bit = (uint8_t)(1u << level);
	if ((rx_secret && guard->rx_done & bit) || (tx_secret && guard->tx_done & bit))
		return refuse(guard, GNUTLS_A_UNEXPECTED_MESSAGE, GNUTLS_E_UNEXPECTED_PACKET,
			      "a second key for one level");

	/* A client's Handshake keys come before EncryptedExtensions are read: what parameters
	 * there are then were remembered from an earlier connection, for 0-RTT. */
	if (!guard->server && level == NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE)
		guard->params_before = ngtcp2_conn_get_remote_transport_params(conn);

	judge_level =
		guard->server ? NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE : NGTCP2_ENCRYPTION_LEVEL_1RTT;
	if (level == judge_level && !guard->got_peer_params) {
		if (!has_peer_params(guard, conn))
			return refuse(guard, GNUTLS_A_MISSING_EXTENSION, GNUTLS_E_MISSING_EXTENSION,
				      "no transport parameters");
		guard->got_peer_params = true;
		if (!has_agreed_alpn(link))
			return refuse(guard, GNUTLS_A_NO_APPLICATION_PROTOCOL,
				      GNUTLS_E_NO_APPLICATION_PROTOCOL, "no ALPN in common");
	}
	if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT) {
		if (!guard->got_peer_params)
			return refuse(guard, GNUTLS_A_MISSING_EXTENSION, GNUTLS_E_MISSING_EXTENSION,
				      "no transport parameters");
		if (rx_secret && guard->must_verify && !guard->verified)
			return refuse(guard, GNUTLS_A_BAD_CERTIFICATE,
				      GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
				      "the certificate of the peer was not verified");
	}

	rv = install(guard, conn, level, rx_secret, tx_secret, secret_len);
	if (rv == 0 && guard->early_secret_len && level == NGTCP2_ENCRYPTION_LEVEL_1RTT &&
	    tx_secret) {
		rv = install(guard, conn, NGTCP2_ENCRYPTION_LEVEL_0RTT, guard->early_secret, NULL,
			     guard->early_secret_len);
		explicit_bzero(guard->early_secret, sizeof(guard->early_secret));
		guard->early_secret_len = 0;
	}
	return rv;
}

/* In the order in which a reader wants to know; the first that applies is told. */
static const struct verdict {
	unsigned status; /* gnutls_certificate_status_t */
	uint8_t alert;
	const char *text;
} verdicts[] = {
	{GNUTLS_CERT_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED, "revoked"},
	{GNUTLS_CERT_SIGNER_NOT_FOUND, GNUTLS_A_UNKNOWN_CA, "not signed by a trusted CA"},
	{GNUTLS_CERT_SIGNER_NOT_CA, GNUTLS_A_UNKNOWN_CA, "signed by one that is not a CA"},
	{GNUTLS_CERT_SIGNATURE_FAILURE, GNUTLS_A_BAD_CERTIFICATE, "its signature is wrong"},
	{GNUTLS_CERT_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED, "expired"},
	{GNUTLS_CERT_NOT_ACTIVATED, GNUTLS_A_CERTIFICATE_EXPIRED, "not yet valid"},
	{GNUTLS_CERT_INSECURE_ALGORITHM, GNUTLS_A_BAD_CERTIFICATE,
	 "its key or signature algorithm is too weak"},
	{GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, GNUTLS_A_BAD_CERTIFICATE,
	 "its signer was not allowed to sign it"},
	{GNUTLS_CERT_PURPOSE_MISMATCH, GNUTLS_A_UNSUPPORTED_CERTIFICATE,
	 "not made for this purpose"},
	{GNUTLS_CERT_UNEXPECTED_OWNER, GNUTLS_A_BAD_CERTIFICATE, "name does not match"},
	{GNUTLS_CERT_MISSING_OCSP_STATUS | GNUTLS_CERT_INVALID_OCSP_STATUS |
		 GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED |
		 GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE,
	 ALERT_BAD_CERTIFICATE_STATUS, "its OCSP status is missing or invalid"},
	{~0u, GNUTLS_A_CERTIFICATE_UNKNOWN, "not acceptable"},
};

static int refuse_certificate(struct qs_tls_link *link, uint8_t alert, const char *text,
			      bool with_name)
{
	struct qs_tls_guard *guard = &link->guard;
	char address[INET6_ADDRSTRLEN] = "";
	const char *name = link->verify_name;

	if (with_name && !name[0] &&
	    inet_ntop(link->verify_address_len == 4 ? AF_INET : AF_INET6, link->verify_address,
		      address, sizeof(address)))
		name = address;
	guard->alert = alert;
	guard->verify_failure = text;
	(void)snprintf(guard->verify_text, sizeof(guard->verify_text),
		       "certificate of the peer: %s%s%s", text, with_name ? " " : "",
		       with_name ? name : "");
	return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

int qs_tls_guard_verify(gnutls_session_t session)
{
	struct qs_tls_link *link = gnutls_session_get_ptr(session);
	gnutls_typed_vdata_st wanted[2] = {{0}};
	char purpose_server[] = GNUTLS_KP_TLS_WWW_SERVER,
	     purpose_client[] = GNUTLS_KP_TLS_WWW_CLIENT;
	unsigned n_wanted = 1, status = ~0u;
	const struct verdict *verdict = verdicts;
	int rv;

	wanted[0].type = GNUTLS_DT_KEY_PURPOSE_OID;
	wanted[0].data = (unsigned char *)(link->guard.server ? purpose_client : purpose_server);
	if (!link->guard.server) {
		n_wanted = 2;
		if (link->verify_name[0]) {
			wanted[1].type = GNUTLS_DT_DNS_HOSTNAME;
			wanted[1].data = (unsigned char *)link->verify_name;
		} else {
			wanted[1].type = GNUTLS_DT_IP_ADDRESS;
			wanted[1].data = link->verify_address;
			wanted[1].size = link->verify_address_len;
		}
	}
	rv = gnutls_certificate_verify_peers(session, wanted, n_wanted, &status);
	if (rv == GNUTLS_E_CONSTRAINT_ERROR)
		return refuse_certificate(link, GNUTLS_A_BAD_CERTIFICATE, "its chain is too long",
					  false);
	if (rv < 0)
		return refuse_certificate(link, GNUTLS_A_BAD_CERTIFICATE, "malformed", false);
	if (status == 0) {
		link->guard.verified = true;
		return 0;
	}
	while (!(verdict->status & status))
		verdict++;
	return refuse_certificate(link, verdict->alert, verdict->text,
				  verdict->status == GNUTLS_CERT_UNEXPECTED_OWNER);
}
