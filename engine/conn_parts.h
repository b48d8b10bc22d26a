/* SPDX-License-Identifier: MIT */
/* What the files of the connection share: conn.c, conn_read.c, conn_write.c. */
#ifndef QS_CONN_PARTS_H
#define QS_CONN_PARTS_H

#include "conn.h"
#include "stream.h"
#include "trap.h"

#ifndef TAILQ_FOREACH_SAFE /* glibc's sys/queue.h lacks the BSDs' safe form */
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                 \
	for ((var) = TAILQ_FIRST(head); (var) != NULL && ((next) = TAILQ_NEXT(var, field), 1);     \
	     (var) = (next))
#endif

/* Runs a call into the libraries under the trap; inside a callback the outer trap serves. */
#define QS_GUARDED(conn, call)                                                                     \
	do {                                                                                       \
		if (qs_trap_state.active) {                                                        \
			call;                                                                      \
		} else if (QS_TRAP_ENTER() != 0) {                                                 \
			qs_conn_poison(conn);                                                      \
		} else {                                                                           \
			call;                                                                      \
			qs_trap_leave();                                                           \
		}                                                                                  \
	} while (0)

extern const ngtcp2_callbacks qs_conn_client_callbacks, qs_conn_server_callbacks;

#define QS_CONNS_MAX 16384u /* connections of one engine */
#define QS_STREAMS_MAX 1024u /* open streams that we allow a peer, of one connection */

/* In the engine's lists, in state handshake, without a TLS session. NULL if out of memory. */
struct qs_conn *qs_conn_new(struct qs_engine *engine, struct qs_endpoint *endpoint,
			    const struct qs_rule *rule, bool server);
/* `mtu` of the route, in octets of IP packet. The probes stand in the connection. */
void qs_conn_settings(struct qs_conn *conn, ngtcp2_settings *settings, size_t mtu, bool v6);
void qs_conn_params(struct qs_conn *conn, ngtcp2_transport_params *params);
/* Points to its arguments. */
ngtcp2_path qs_conn_make_path(struct sockaddr_storage *local, socklen_t local_len,
			      struct sockaddr_storage *remote, socklen_t remote_len);
int qs_conn_cid_add(struct qs_conn *conn, const uint8_t *data, size_t len);
/* A connection ID of the endpoint's that was never used, not registered. 0 or -EIO. */
int qs_conn_cid_make(const struct qs_endpoint *endpoint, ngtcp2_cid *cid);
/* The same, registered for the connection. 0 or -errno. */
int qs_conn_cid_new(struct qs_conn *conn, ngtcp2_cid *cid);
void qs_conn_cid_remove(struct qs_conn *conn, const uint8_t *data, size_t len);
/* The peer has retired it. Its late packets must not look like those of a dead connection. */
void qs_conn_cid_retire(struct qs_conn *conn, const uint8_t *data, size_t len);
void qs_conn_poison(struct qs_conn *conn);
/* How long the connection stays without a stream, in ns. UINT64_MAX: as long as the peer likes. */
uint64_t qs_conn_stay(const struct qs_conn *conn);
/* Enters the closing or draining period: apps are told, packets no longer read. `reason` is a line
 * for a user who must mend something; NULL = what our own verification said, if it did. */
void qs_conn_linger(struct qs_conn *conn, int app_error, const char *reason);
/* Writes CONNECTION_CLOSE, sends it, keeps it for late packets. Within a trap. */
void qs_conn_write_close(struct qs_conn *conn, const ngtcp2_ccerr *error);
/* Closing, and `len` octets came: sends the kept one again, less and less often, and never more than
 * three times what came, since the peer's address may not be validated (RFC 9000, 10.2.1). */
void qs_conn_repeat_close(struct qs_conn *conn, size_t len);
/* The client's handshake is done, or the peer gave more streams: serves those that wait. */
void qs_conn_serve_waiting(struct qs_conn *conn);
/* Streams that leave for another connection, or wait to be opened on this one. */
void qs_conn_serve_moving(struct qs_conn *conn);
void qs_conn_keep_alive(struct qs_conn *conn);

#endif
