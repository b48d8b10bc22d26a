/* SPDX-License-Identifier: MIT */
/* What the TLS files share among themselves and with their test; not for the rest of the engine. */
#ifndef QS_TLS_PARTS_H
#define QS_TLS_PARTS_H

#include "tls.h"

#include <stdatomic.h>

/* [I] immutable once qs_tls_creds_new() has returned, [a] atomic. */
struct qs_tls_creds {
	atomic_uint refs; /* [a] release when given up, acquire before the end */
	gnutls_certificate_credentials_t cert; /* [I] */
	gnutls_priority_t priority; /* [I] */
	bool listen; /* [I] */
	bool require_client; /* [I] listen: clients must show a certificate */
	uint8_t reset_secret[QS_TLS_RESET_SECRET]; /* [I] */
	bool has_cid_key; /* [I] */
	uint8_t cid_key[QS_TLS_CID_KEY]; /* [I] */
};

/* The guard's gnutls_handshake_secret_func. */
int qs_tls_guard_secret(gnutls_session_t session, gnutls_record_encryption_level_t level,
			const void *rx_secret, const void *tx_secret, size_t secret_len);

/* The guard's gnutls_certificate_verify_function. */
int qs_tls_guard_verify(gnutls_session_t session);

#endif
