/* SPDX-License-Identifier: MIT */
/* From ngtcp2, TLS and QUIC error codes to the errno values that TCP can give. */
#ifndef QS_ERRMAP_H
#define QS_ERRMAP_H

#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>
#include <stdint.h>

/* Application error codes on the wire (DESIGN D7). */
#define QS_APP_OK 0u
#define QS_APP_RESET 1u
#define QS_APP_REFUSED 2u
/* Refused; a new connection reaches somebody who does not. Drawn by lot: other servers give small codes meanings of
 * their own, and a client opens the stream again. */
#define QS_APP_MOVED 0x2b71d3a95c064fe8u

/*
 * All functions here are pure: any thread, async-signal-safe. The errno values are positive, as
 * an app sees them; none is ever 0.
 */

/*
 * The errno for an app whose connection attempt, or whose connection, ended with this close.
 * `established`: the app's connect() had succeeded. `remote`: the peer sent the close.
 *	ETIMEDOUT	idle timeout, no viable path
 *	EACCES		a certificate was at fault: our alert, or the peer's before established
 *	ECONNREFUSED	anything else before established: no ALPN in common, unrecognized name,
 *			no listener, connection refused ...
 *	ECONNRESET	anything else when established
 * ngtcp2_ccerr_set_liberr() turns a handshake timeout into an internal error, so ask
 * qs_errmap_ngtcp2() first where the end came from a return value.
 */
int qs_errmap_close(const ngtcp2_ccerr *error, bool remote, bool established);

/*
 * The same from a return value of ngtcp2 (NGTCP2_ERR_*): also ETIMEDOUT for the handshake
 * timeout, and ENOBUFS for lack of memory before established. NGTCP2_ERR_CRYPTO says too little:
 * use qs_errmap_close() with the alert.
 */
int qs_errmap_ngtcp2(int liberr, bool established);

/*
 * From an application code of RESET_STREAM or STOP_SENDING. `exchanged`: any byte went either
 * way. ECONNREFUSED for QS_APP_REFUSED and QS_APP_MOVED with nothing exchanged, else ECONNRESET.
 */
int qs_errmap_stream(uint64_t app_code, bool exchanged);

/* A short English text for logs and the reason in a slot; static storage, never NULL. The
 * peer's reason phrase is not in it. */
const char *qs_errmap_text(const ngtcp2_ccerr *error);

#endif
