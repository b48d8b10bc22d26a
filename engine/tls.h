/* SPDX-License-Identifier: MIT */
/* TLS by GnuTLS: credentials, sessions, verification, and the guard around ngtcp2's crypto glue. */
#ifndef QS_TLS_H
#define QS_TLS_H

#include "policy.h"

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QS_TLS_ALPN_MAX 31 /* bytes; GnuTLS stores a protocol name in 32 with its end */
#define QS_TLS_SECRET_MAX 64

/* Credentials of one rule; loaded once, shared by its sessions; counted. */
struct qs_tls_creds;

struct qs_tls_error {
	char text[512]; /* one line: file, cause, what to mend */
};

/*
 * Loads what the rule names. For a listen rule: cert and key (must exist, be readable, match)
 * and client-ca if given (then clients must show a certificate). For a connect rule: ca (else
 * the system's trust store), cert and key if given. Files are opened, read and closed here:
 * regular files of at most 1 MiB, PEM. `rule` is not kept.
 * Returns 0 with one reference in *out; or -EACCES (a file is at fault) or -ENOMEM, with *out
 * NULL and `error` (may be NULL) filled in. Any thread, but never inside a trap (trap.h): it
 * takes locks of GnuTLS and p11-kit. The system's trust store costs some 10 ms to load.
 */
int qs_tls_creds_new(const struct qs_rule *rule, struct qs_tls_creds **out,
		     struct qs_tls_error *error);

/* One more reference; returns `creds`. Any thread. */
/* What the stateless reset tokens of a listen rule's connections are made from: it follows from the private key, so that the
 * next engine that serves the rule can end the connections of one that died (RFC 9000, 10.3.2). Lives with the creds. */
#define QS_TLS_RESET_SECRET 32
const uint8_t *qs_tls_creds_reset_secret(const struct qs_tls_creds *creds);
/* The key of a listen rule's connection IDs; NULL if they are in the open. Lives with the creds. */
#define QS_TLS_CID_KEY 16
const uint8_t *qs_tls_creds_cid_key(const struct qs_tls_creds *creds);
struct qs_tls_creds *qs_tls_creds_ref(struct qs_tls_creds *creds);

/* Gives up a reference. NULL is allowed. Any thread. */
void qs_tls_creds_unref(struct qs_tls_creds *creds);

/*
 * Layer 1 of D10's guards: what our secret function remembers of one handshake. Zeroed by
 * qs_tls_*_init(); lives in the connection; read it for logs, change nothing.
 */
struct qs_tls_guard {
	bool server;
	bool must_verify; /* the peer has to show a certificate */
	bool verified; /* it did, and it was accepted */
	bool got_peer_params; /* the peer's transport parameters were there in time */
	uint8_t rx_done, tx_done; /* bit per ngtcp2_encryption_level */
	uint8_t alert; /* not 0: the alert that the close must carry */
	uint8_t early_secret_len; /* server: 0-RTT secret held back until the 1-RTT send key */
	uint8_t early_secret[QS_TLS_SECRET_MAX];
	const void *params_before; /* client: parameters remembered for 0-RTT, not this peer's */
	const char *refusal; /* static text of what the guard refused, NULL: nothing */
	const char *verify_failure; /* static text of why the peer's certificate was refused, NULL:
				       it was not */
	char verify_text[320]; /* the same as a sentence for the log, with the name looked for */
};

/*
 * A session for one connection. `ref` is what ngtcp2's crypto helpers need (it is the
 * session's pointer); the guard is found from it. Must not move while the session lives.
 */
struct qs_tls_link {
	ngtcp2_crypto_conn_ref ref; /* first: the session pointer is this */
	struct qs_tls_guard guard;
	gnutls_session_t session;
	struct qs_tls_creds *creds;
	char verify_name[256]; /* client: DNS name to verify, "" = verify_address */
	uint8_t verify_address[16];
	uint8_t verify_address_len; /* 4 or 16, 0 = none */
	char alpn[256];
	uint8_t alpn_len;
};

/*
 * Fills link->session for a client: TLS 1.3 only, ALPN, SNI (only if it is a name; NULL or ""
 * sends none), and verification of chain, expiry, purpose and name inside the handshake. The
 * certificate must match `verify_name`; without one (NULL, "") it must carry the 4 or 16 bytes
 * of `verify_address` as an IP subject alternative name. A `verify_name` that is a numeric
 * address counts as one. Strings and bytes are copied, a reference on creds is taken.
 * link->ref.get_conn (and user_data) must be set; the rest of *link need not be.
 * Returns 0; -EINVAL (nothing to verify, bad name, ALPN empty or over QS_TLS_ALPN_MAX) or
 * -ENOMEM, and then qs_tls_fini() has nothing to do.
 * Then: ngtcp2_conn_set_tls_native_handle(conn, link->session).
 */
int qs_tls_client_init(struct qs_tls_link *link, struct qs_tls_creds *creds, const char *alpn,
		       const char *sni, const char *verify_name, const uint8_t *verify_address,
		       size_t verify_address_len);

/*
 * The same for a server: the given ALPN is mandatory (no overlap, or no ALPN offered: alert
 * no_application_protocol); with client-ca a client certificate is required and verified.
 */
int qs_tls_server_init(struct qs_tls_link *link, struct qs_tls_creds *creds, const char *alpn);

/* Ends the session, after ngtcp2_conn_del(). May be called twice. Not for a poisoned
 * connection (trap.h). */
void qs_tls_fini(struct qs_tls_link *link);

/*
 * Copies the client's SNI to buf and returns buf; "" if there was none or it does not fit.
 * Server only, once the ClientHello has been read. It is the client's word: any bytes but NUL.
 */
const char *qs_tls_server_name(struct qs_tls_link *link, char *buf, size_t size);

/*
 * The recv_crypto_data callback for ngtcp2_callbacks: ngtcp2_crypto_recv_crypto_data_cb() with
 * the guard's alert set again. `user_data` must point to a struct whose first member is a
 * struct qs_tls_user. When ngtcp2_conn_read_pkt() then returns NGTCP2_ERR_CRYPTO, close with
 * ngtcp2_ccerr_set_tls_alert(.., ngtcp2_conn_get_tls_alert(conn), ..).
 */
int qs_tls_recv_crypto_data(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
			    const uint8_t *data, size_t datalen, void *user_data);
struct qs_tls_user {
	struct qs_tls_link *link;
};

#endif
