/* SPDX-License-Identifier: MIT */
/* The connection's receiving side: packets in, ngtcp2's callbacks, and what follows from them. */
#include "conn_parts.h"

#include "errmap.h"
#include "fallback.h"
#include "listen.h"
#include "log.h"
#include "migrate.h"
#include "request.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PATHS_A_SECOND 16u
#define STRANGERS_A_SECOND 256u
#define NO_APPLICATION_PROTOCOL 120 /* RFC 7301, 3.2 */

/* --- callbacks: ngtcp2 calls them from within read_pkt, writev_stream and handle_expiry --- */

static void cb_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	if (gnutls_rnd(GNUTLS_RND_NONCE, dest, len) != 0) {
		/* Only uses where predictability does no harm ask this way (ngtcp2_rand). */
		for (size_t i = 0; i < len; i++)
			dest[i] = (uint8_t)i;
	}
}

static int cb_new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t len,
		      void *user_data)
{
	struct qs_conn *conn = user_data;

	(void)quic;
	(void)len;
	if (qs_conn_cid_new(conn, cid) < 0 ||
	    ngtcp2_crypto_generate_stateless_reset_token(token, conn->reset_secret,
							 QS_TLS_RESET_SECRET, cid) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int cb_remove_cid(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user_data)
{
	(void)quic;
	qs_conn_cid_retire(user_data, cid->data, cid->datalen);
	return 0;
}

/* IDs of the peer's that we send to; a reset that ends with the token of another one is nobody's. */
static int cb_dcid_status(ngtcp2_conn *quic, ngtcp2_connection_id_status_type type, uint64_t seq,
			  const ngtcp2_cid *cid, const uint8_t *token, void *user_data)
{
	(void)quic;
	(void)seq;
	(void)cid;
	if (token != NULL && type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
		qs_reset_token_add(user_data, token);
	else if (token != NULL && type == NGTCP2_CONNECTION_ID_STATUS_TYPE_DEACTIVATE)
		qs_reset_token_remove(user_data, token);
	return 0;
}

static void conn_is_up(struct qs_conn *conn)
{
	conn->handshake_done = true;
	qs_conn_not_opening(conn);
	conn->state = QS_CONNECTION_OPEN;
	conn->idle_since_ns = conn->engine->now_ns;
	if (conn->server)
		qs_tls_server_name(&conn->link, conn->sni, sizeof(conn->sni));
	else
		qs_fallback_forget(conn->engine, &conn->key);
	qs_log("connection %llu: open, %s, alpn %s, sni %s", (unsigned long long)conn->id,
	       conn->server ? "server" : "client", conn->rule->alpn, conn->sni);
	qs_will_renew(conn);
	qs_conn_dirty(conn);
}

/* A TLS 1.3 client is done before the server has judged its certificate: where one was asked for,
 * apps wait for the server's word (HANDSHAKE_DONE), so that a refusal is connect()'s errno. */
static int cb_handshake_completed(ngtcp2_conn *quic, void *user_data)
{
	struct qs_conn *conn = user_data;

	(void)quic;
	if (conn->server || !gnutls_certificate_client_get_request_status(conn->link.session))
		conn_is_up(conn);
	return 0;
}

static int cb_handshake_confirmed(ngtcp2_conn *quic, void *user_data)
{
	struct qs_conn *conn = user_data;

	(void)quic;
	if (!conn->handshake_done)
		conn_is_up(conn);
	qs_migrate_confirmed(conn);
	return 0;
}

static int cb_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
			  const uint8_t *data, size_t len, void *user_data, void *stream_user_data)
{
	struct qs_conn *conn = user_data;
	struct qs_stream *stream = stream_user_data;

	(void)id;
	(void)offset;
	/* Credit of the connection is given on arrival: an app that does not read stalls only its
	 * own stream. */
	ngtcp2_conn_extend_max_offset(quic, len);
	conn->received_bytes += len;
	if (stream != NULL)
		qs_stream_received(stream, data, len, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
	return 0;
}

static int cb_acked(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t len, void *user_data,
		    void *stream_user_data)
{
	struct qs_conn *conn = user_data;
	struct qs_stream *stream = stream_user_data;

	(void)quic;
	(void)id;
	conn->delivered += len;
	if (stream != NULL)
		qs_stream_acked(stream, offset + len);
	return 0;
}

static int cb_stream_open(ngtcp2_conn *quic, int64_t id, void *user_data)
{
	struct qs_conn *conn = user_data;

	if (!conn->server || !ngtcp2_is_bidi_stream(id)) {
		ngtcp2_conn_shutdown_stream(quic, 0, id, QS_APP_REFUSED);
		return 0;
	}
	qs_listener_deliver(conn, id);
	return 0;
}

static int cb_stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code,
			   void *user_data, void *stream_user_data)
{
	struct qs_conn *conn = user_data;
	struct qs_stream *stream = stream_user_data;

	(void)flags;
	(void)code;
	conn->lost_packets += ngtcp2_conn_get_stream_loss_count(quic, id);
	if (conn->server && ngtcp2_is_bidi_stream(id) && !ngtcp2_conn_is_local_stream(quic, id))
		ngtcp2_conn_extend_max_streams_bidi(quic, 1);
	if (stream != NULL)
		qs_stream_closed(stream);
	qs_conn_dirty(conn);
	return 0;
}

static int cb_stream_reset(ngtcp2_conn *quic, int64_t id, uint64_t final_size, uint64_t code,
			   void *user_data, void *stream_user_data)
{
	struct qs_conn *conn = user_data;
	struct qs_stream *stream = stream_user_data;

	(void)quic;
	(void)id;
	(void)final_size;
	if (stream != NULL) {
		bool exchanged =
			stream->tx_acked > 0 || stream->kept > 0 || stream->rx_bytes > 0 ||
			atomic_load_explicit(
				&qs_pages_slot(&conn->engine->pages, stream->slot)->received_bytes,
				memory_order_relaxed) > 0;

		if (code == QS_APP_REFUSED || code == QS_APP_MOVED) {
			conn->engine->totals.streams_refused++;
			conn->refusing = true;
		}
		if (code == QS_APP_MOVED && qs_stream_moved(stream))
			return 0;
		qs_stream_fail(stream, stream->rx_fin ? EPIPE : qs_errmap_stream(code, exchanged),
			       QS_APP_RESET);
	}
	return 0;
}

static int cb_more_streams(ngtcp2_conn *quic, uint64_t max, void *user_data)
{
	(void)quic;
	(void)max;
	qs_conn_dirty(user_data);
	return 0;
}

static int cb_more_stream_data(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user_data,
			       void *stream_user_data)
{
	struct qs_stream *stream = stream_user_data;

	(void)quic;
	(void)id;
	(void)max;
	if (stream != NULL) {
		stream->tx_blocked = false;
		qs_conn_stream_ready(user_data, stream);
	}
	return 0;
}

static int cb_path_validation(ngtcp2_conn *quic, uint32_t flags, const ngtcp2_path *path,
			      const ngtcp2_path *old, ngtcp2_path_validation_result result,
			      void *user_data)
{
	struct qs_conn *conn = user_data;

	(void)quic;
	(void)flags;
	(void)old;
	qs_migrate_validated(conn, path, result);
	if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
		qs_addr_from_sockaddr(&conn->peer, (const struct sockaddr *)path->remote.addr,
				      path->remote.addrlen);
		qs_addr_from_sockaddr(&conn->local, (const struct sockaddr *)path->local.addr,
				      path->local.addrlen);
		qs_will_renew(conn);
	}
	return 0;
}

#define COMMON_CALLBACKS                                                                           \
	.recv_crypto_data = qs_tls_recv_crypto_data,                                               \
	.handshake_completed = cb_handshake_completed, .decrypt = ngtcp2_crypto_decrypt_cb,        \
	.recv_stream_data = cb_stream_data, .acked_stream_data_offset = cb_acked,                  \
	.stream_open = cb_stream_open, .stream_close = cb_stream_close,                            \
	.stream_reset = cb_stream_reset, .extend_max_stream_data = cb_more_stream_data,            \
	.rand = cb_rand, .get_new_connection_id = cb_new_cid,                                      \
	.remove_connection_id = cb_remove_cid, .update_key = ngtcp2_crypto_update_key_cb,          \
	.path_validation = cb_path_validation, .dcid_status = cb_dcid_status,                      \
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                         \
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                     \
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,                       \
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb

const ngtcp2_callbacks qs_conn_client_callbacks = {
	COMMON_CALLBACKS,
	.encrypt = qs_will_encrypt,
	.hp_mask = qs_will_hp_mask,
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.handshake_confirmed = cb_handshake_confirmed,
	.extend_max_local_streams_bidi = cb_more_streams,
};

const ngtcp2_callbacks qs_conn_server_callbacks = {
	COMMON_CALLBACKS,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};

/* --- packets --- */

/* What the errno would not tell from a closed port. */
static enum qs_reason cause_of(const ngtcp2_ccerr *error)
{
	if (error->type != NGTCP2_CCERR_TYPE_TRANSPORT ||
	    error->error_code == NGTCP2_CONNECTION_REFUSED)
		return QS_REASON_NONE;
	if (error->error_code == NGTCP2_CRYPTO_ERROR + NO_APPLICATION_PROTOCOL)
		return QS_REASON_NO_ALPN;
	return qs_errmap_close(error, true, false) == ECONNREFUSED ? QS_REASON_FAILED
								   : QS_REASON_NONE;
}

/* What is wrong with the packet, by ngtcp2's word. */
static void read_failed(struct qs_conn *conn, int rv, const struct qs_udp_train *train,
			const uint8_t *packet, size_t len)
{
	ngtcp2_ccerr error;
	const ngtcp2_ccerr *received;
	char reason[128];
	int app_error;

	switch (rv) {
	case NGTCP2_ERR_DRAINING:
		received = ngtcp2_conn_get_ccerr(conn->quic);
		qs_log("connection %llu: closed by the peer: %s", (unsigned long long)conn->id,
		       qs_errmap_text(received));
		app_error = qs_errmap_close(received, true, conn->handshake_done);
		conn->cause = cause_of(received);
		snprintf(reason, sizeof(reason), "%s%s",
			 app_error == EACCES ? "the peer refused: " : "",
			 app_error == EACCES ? qs_errmap_text(received) : "");
		qs_conn_linger(conn, app_error, reason);
		return;
	case NGTCP2_ERR_CLOSING:
		return;
	case NGTCP2_ERR_RETRY: /* the ClientHello's start is not in its first packet */
		qs_conn_retry(conn->endpoint, train, packet, len);
		qs_conn_drop(conn, ECONNREFUSED);
		return;
	case NGTCP2_ERR_DROP_CONN:
		qs_conn_drop(conn, ECONNREFUSED);
		return;
	case NGTCP2_ERR_CRYPTO:
		ngtcp2_ccerr_set_tls_alert(&error, ngtcp2_conn_get_tls_alert(conn->quic), NULL, 0);
		break;
	default:
		ngtcp2_ccerr_set_liberr(&error, rv, NULL, 0);
		break;
	}
	conn->cause = cause_of(&error);
	qs_conn_close(conn, &error, qs_errmap_close(&error, false, conn->handshake_done));
}

static bool is_current(const struct qs_conn *conn, const struct qs_addr *from)
{
	const ngtcp2_addr *remote = &ngtcp2_conn_get_path(conn->quic)->remote;
	struct qs_addr current;

	return qs_addr_from_sockaddr(&current, (const struct sockaddr *)remote->addr,
				     remote->addrlen) == 0 &&
	       memcmp(&current, from, sizeof(current)) == 0;
}

/*
 * What comes from where the peer is passes, whatever others send. A new path costs a validation and
 * a connection ID: a peer that hops more often than PATHS_A_SECOND is not followed. What comes from
 * elsewhere may be anybody's, so it has a budget that hops don't share.
 */
static bool may_come_from_there(struct qs_conn *conn, const struct qs_addr *from)
{
	uint64_t now = conn->engine->now_ns;

	if (is_current(conn, from))
		return true;
	if (now - conn->paths_since_ns > QS_NSEC) {
		conn->paths_since_ns = now;
		conn->n_paths = conn->n_strangers = 0;
	}
	return conn->n_paths < PATHS_A_SECOND && conn->n_strangers++ < STRANGERS_A_SECOND;
}

static void read_train(struct qs_conn *conn, const struct qs_udp_train *train, uint8_t *data,
		       size_t len)
{
	ngtcp2_pkt_info pi = {.ecn = train->ecn};
	struct sockaddr_storage local = train->local, remote = train->remote;
	ngtcp2_path path = {
		.local = {.addr = (ngtcp2_sockaddr *)&local, .addrlen = train->local_len},
		.remote = {.addr = (ngtcp2_sockaddr *)&remote, .addrlen = train->remote_len},
	};
	struct qs_addr from;
	bool strange;

	if (qs_addr_from_sockaddr(&from, (const struct sockaddr *)&train->remote,
				  train->remote_len) < 0 ||
	    !may_come_from_there(conn, &from))
		return;
	strange = !is_current(conn, &from);
	conn->heard_ns = conn->engine->now_ns;
	for (size_t at = 0; at < len; at += train->segment) {
		size_t n = len - at < train->segment ? len - at : train->segment;
		int rv = ngtcp2_conn_read_pkt(conn->quic, &path, &pi, data + at, n,
					      conn->engine->now_ns);

		conn->received_packets++;
		if (rv != 0) {
			read_failed(conn, rv, train, data + at, n);
			return;
		}
	}
	conn->n_paths += strange && is_current(conn, &from);
}

void qs_conn_receive(struct qs_conn *conn, const struct qs_udp_train *train, uint8_t *data,
		     size_t len)
{
	if (conn->poisoned || conn->buried)
		return;
	if (conn->state == QS_CONNECTION_CLOSING) {
		qs_conn_repeat_close(conn, len);
		return;
	}
	QS_GUARDED(conn, read_train(conn, train, data, len));
	qs_will_saw(conn, data, len);
	qs_conn_dirty(conn);
}

void qs_conn_serve_waiting(struct qs_conn *conn)
{
	while (conn->n_waiting > 0 && conn->state == QS_CONNECTION_OPEN && !conn->poisoned) {
		struct qs_request *request = TAILQ_FIRST(&conn->waiting);
		bool room = ngtcp2_conn_get_streams_bidi_left(conn->quic) > 0;

		qs_request_leave(request);
		if (!room || !qs_request_complete(request, conn))
			qs_request_route(request);
	}
}

void qs_conn_keep_alive(struct qs_conn *conn)
{
	uint64_t every = conn->rule->keep_alive_ns ? conn->rule->keep_alive_ns
						   : conn->rule->idle_timeout_ns / 3;
	unsigned want = conn->n_streams > 0;

	if (conn->ping) { /* a nanosecond without a packet is over when the next one is written */
		conn->ping = false;
		conn->keep_alive = UINT_MAX;
		ngtcp2_conn_set_keep_alive_timeout(conn->quic, 1);
		return;
	}
	if (want == conn->keep_alive)
		return;
	conn->keep_alive = want;
	ngtcp2_conn_set_keep_alive_timeout(conn->quic, want ? every : UINT64_MAX);
}
