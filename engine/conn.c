/* SPDX-License-Identifier: MIT */
/* One QUIC connection on ngtcp2: birth, sharing, end. */

/*
 * Theory. A connection is opening (handshake), open, or closing. It is *dirty* when it may have
 * something to write; each turn ends with qs_conn_write() of the dirty ones. Its one timer follows
 * ngtcp2's expiry, or the end of the closing period. conn_read.c has the callbacks, conn_write.c
 * the sending.
 *
 * ngtcp2 and GnuTLS assert on some hostile input. Each entry into them for one connection goes
 * through QS_GUARDED: a failed assertion comes back there and *poisons* the connection. A poisoned
 * connection never enters the libraries again; its state is leaked, since it can't be trusted, and
 * its streams end as if the peer were lost.
 */
#include "conn_parts.h"

#include "cid.h"
#include "errmap.h"
#include "listen.h"
#include "log.h"
#include "request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STREAM_WINDOW (512u * 1024u)
#define STREAM_WINDOW_MAX (16u * 1024u * 1024u)
#define CONN_WINDOW (16u * 1024u * 1024u)
#define CONN_WINDOW_MAX (64u * 1024u * 1024u)
#define STREAMS_MAX 1024u
#define CONNS_MAX 16384u
#define OPENING_MAX 4096u /* server connections in the handshake, at most */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
	struct qs_tls_link *link = qs_container(ref, struct qs_tls_link, ref);

	return qs_container(link, struct qs_conn, link)->quic;
}

static void conn_timer(struct qs_timer *timer, uint64_t now_ns);

static struct qs_conn *conn_new(struct qs_engine *engine, struct qs_endpoint *endpoint,
				const struct qs_rule *rule, bool server)
{
	struct qs_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->user.link = &conn->link;
	conn->link.ref.get_conn = get_conn;
	conn->engine = engine;
	conn->endpoint = endpoint;
	conn->rule = rule;
	conn->server = server;
	conn->id = ++engine->next_conn_id;
	conn->opened_ns = conn->idle_since_ns = engine->now_ns;
	conn->timer.fn = conn_timer;
	conn->path = qs_pages_path_take(&engine->pages);
	TAILQ_INIT(&conn->waiting);
	TAILQ_INIT(&conn->streams);
	TAILQ_INIT(&conn->ready);
	TAILQ_INSERT_TAIL(&engine->conns, conn, link_all);
	engine->n_conns++;
	endpoint->n_conns++;
	return conn;
}

/* --- connection IDs --- */

static int cid_add(struct qs_conn *conn, const uint8_t *data, size_t len)
{
	struct qs_cid_entry *entry = calloc(1, sizeof(*entry)), *known;

	if (entry == NULL || len > sizeof(entry->data)) {
		free(entry);
		return -ENOMEM;
	}
	entry->len = (uint8_t)len;
	memcpy(entry->data, data, len);
	entry->conn = conn;
	HASH_FIND(hh, conn->engine->cids, data, len, known);
	if (known != NULL) {
		free(entry);
		return -EEXIST;
	}
	HASH_ADD_KEYPTR(hh, conn->engine->cids, entry->data, entry->len, entry);
	if (entry->hh.tbl == NULL) { /* uthash had no memory */
		free(entry);
		return -ENOMEM;
	}
	entry->sibling = conn->cids;
	conn->cids = entry;
	return 0;
}

void qs_conn_cid_remove(struct qs_conn *conn, const uint8_t *data, size_t len)
{
	for (struct qs_cid_entry **p = &conn->cids; *p != NULL; p = &(*p)->sibling) {
		struct qs_cid_entry *entry = *p;

		if (entry->len == len && memcmp(entry->data, data, len) == 0) {
			*p = entry->sibling;
			HASH_DELETE(hh, conn->engine->cids, entry);
			free(entry);
			return;
		}
	}
}

struct qs_conn *qs_conn_find(struct qs_engine *engine, const uint8_t *cid, size_t len)
{
	struct qs_cid_entry *entry;

	HASH_FIND(hh, engine->cids, cid, len, entry);
	return entry != NULL ? entry->conn : NULL;
}

/* A new connection ID of ours, registered. 0 or -errno. */
int qs_conn_cid_new(struct qs_conn *conn, ngtcp2_cid *cid)
{
	struct qs_cid_fields fields = {.generation = conn->engine->generation};

	for (int i = 0; i < 8; i++) {
		int rv;

		if (gnutls_rnd(GNUTLS_RND_NONCE, fields.nonce, sizeof(fields.nonce)) != 0)
			return -EIO;
		qs_cid_encode(cid->data, &fields);
		cid->datalen = QS_CID_LEN;
		rv = cid_add(conn, cid->data, cid->datalen);
		if (rv != -EEXIST)
			return rv;
	}
	return -EEXIST;
}

/* --- settings --- */

/* Path MTU discovery tries the route's own MTU first, then the usual steps below it. */
static void set_probes(struct qs_conn *conn, ngtcp2_settings *settings, size_t mtu, bool v6)
{
	static const uint16_t steps[] = {32768, 16384, 8952, 4352, 1452, 1404, 1350};
	size_t overhead = v6 ? 48 : 28, top, n = 0;

	if (mtu < 1280)
		mtu = 1280;
	top = mtu - overhead;
	if (top > 65535 - overhead)
		top = 65535 - overhead;
	conn->probes[n++] = (uint16_t)top;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) &&
			   n < sizeof(conn->probes) / sizeof(conn->probes[0]);
	     i++) {
		if (steps[i] < top)
			conn->probes[n++] = steps[i];
	}
	settings->max_tx_udp_payload_size = top;
	settings->pmtud_probes = conn->probes;
	settings->pmtud_probeslen = n;
}

static void set_settings(struct qs_conn *conn, ngtcp2_settings *settings, size_t mtu, bool v6)
{
	static const ngtcp2_cc_algo algo[] = {NGTCP2_CC_ALGO_CUBIC, NGTCP2_CC_ALGO_BBR,
					      NGTCP2_CC_ALGO_RENO};
	static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

	ngtcp2_settings_default(settings);
	settings->initial_ts = conn->engine->now_ns;
	settings->cc_algo = algo[conn->rule->congestion];
	settings->handshake_timeout = conn->rule->handshake_timeout_ns;
	settings->max_window = CONN_WINDOW_MAX;
	settings->max_stream_window = STREAM_WINDOW_MAX;
	settings->available_versions = versions;
	settings->available_versionslen = 2;
	set_probes(conn, settings, mtu, v6);
}

static void set_params(struct qs_conn *conn, ngtcp2_transport_params *params)
{
	ngtcp2_transport_params_default(params);
	params->initial_max_stream_data_bidi_local = STREAM_WINDOW;
	params->initial_max_stream_data_bidi_remote = STREAM_WINDOW;
	params->initial_max_data = CONN_WINDOW;
	params->initial_max_streams_bidi = conn->server ? STREAMS_MAX : 0;
	params->max_idle_timeout = conn->rule->idle_timeout_ns;
	params->active_connection_id_limit = 7;
	params->grease_quic_bit = 1;
}

static ngtcp2_path make_path(struct sockaddr_storage *local, socklen_t local_len,
			     struct sockaddr_storage *remote, socklen_t remote_len)
{
	return (ngtcp2_path){
		.local = {.addr = (ngtcp2_sockaddr *)local, .addrlen = local_len},
		.remote = {.addr = (ngtcp2_sockaddr *)remote, .addrlen = remote_len},
	};
}

/* --- client --- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Different sections of the policy may share a connection when nothing on the wire or in the
 * credentials differs. */
static bool same_rule(const struct qs_rule *a, const struct qs_rule *b)
{
	return a == b ||
	       (strcmp(a->alpn, b->alpn) == 0 && same_text(a->ca, b->ca) &&
		same_text(a->cert, b->cert) && same_text(a->key, b->key) &&
		a->congestion == b->congestion && a->idle_timeout_ns == b->idle_timeout_ns &&
		a->keep_alive_ns == b->keep_alive_ns && a->linger_ns == b->linger_ns &&
		a->handshake_timeout_ns == b->handshake_timeout_ns &&
		a->connections == b->connections && !a->stream_per_connection &&
		!b->stream_per_connection);
}

static bool same_key(const struct qs_conn_key *a, const struct qs_conn_key *b)
{
	return memcmp(&a->peer, &b->peer, sizeof(a->peer)) == 0 &&
	       memcmp(&a->source, &b->source, sizeof(a->source)) == 0 && a->mark == b->mark &&
	       strcmp(a->device, b->device) == 0 && strcmp(a->name, b->name) == 0 &&
	       same_rule(a->rule, b->rule);
}

static bool has_room(struct qs_conn *conn)
{
	if (conn->state == QS_CONNECTION_HANDSHAKE)
		return conn->n_waiting < STREAMS_MAX / 2;
	return ngtcp2_conn_get_streams_bidi_left(conn->quic) > conn->n_waiting;
}

struct qs_conn *qs_conn_pool_find(struct qs_engine *engine, const struct qs_conn_key *key,
				  unsigned *n_same)
{
	struct qs_conn *conn, *best = NULL;

	*n_same = 0;
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		if (conn->server || conn->state == QS_CONNECTION_CLOSING || conn->poisoned ||
		    !same_key(&conn->key, key))
			continue;
		++*n_same;
		if (has_room(conn) && (best == NULL || conn->n_streams + conn->n_waiting <
							       best->n_streams + best->n_waiting))
			best = conn;
	}
	return best;
}

static int client_start(struct qs_conn *conn, struct sockaddr_storage *local,
			struct sockaddr_storage *remote, socklen_t len, size_t mtu)
{
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_path path = make_path(local, len, remote, len);
	ngtcp2_cid scid, dcid = {.datalen = 18};
	int rv;

	set_settings(conn, &settings, mtu, remote->ss_family == AF_INET6);
	set_params(conn, &params);
	if (gnutls_rnd(GNUTLS_RND_NONCE, dcid.data, dcid.datalen) != 0)
		return -EIO;
	rv = qs_conn_cid_new(conn, &scid);
	if (rv < 0)
		return rv;
	rv = ngtcp2_conn_client_new(&conn->quic, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
				    &qs_conn_client_callbacks, &settings, &params, NULL,
				    &conn->user);
	return rv == 0 ? 0 : -ENOMEM;
}

/* The name that is verified and sent as SNI, or none: then the address is verified. */
static int client_tls(struct qs_conn *conn, struct qs_tls_creds *creds)
{
	const struct qs_conn_key *key = &conn->key;

	return qs_tls_client_init(&conn->link, creds, conn->rule->alpn, key->name, key->name,
				  key->peer.ip, key->peer.family == AF_INET ? 4 : 16);
}

static int client_begin(struct qs_conn *conn, struct qs_tls_creds *creds,
			struct sockaddr_storage *local, struct sockaddr_storage *remote,
			socklen_t len, size_t mtu)
{
	int rv = client_start(conn, local, remote, len, mtu);

	return rv < 0 ? rv : client_tls(conn, creds);
}

int qs_conn_connect(struct qs_engine *engine, const struct qs_conn_key *key, struct qs_conn **out,
		    char *text)
{
	struct sockaddr_storage remote, local, source;
	struct qs_udp_options options = {.device = key->device, .mark = key->mark};
	struct qs_endpoint *endpoint = NULL;
	struct qs_tls_creds *creds;
	struct qs_conn *conn;
	volatile int begun = -ECONNREFUSED;
	size_t mtu = 1500;
	socklen_t len;
	int rv;

	creds = qs_engine_creds(engine, key->rule, text);
	if (creds == NULL)
		return -EACCES;
	len = qs_addr_to_sockaddr(&key->peer, key->peer.family, &remote);
	qs_addr_to_sockaddr(&key->source, key->peer.family, &source);
	rv = qs_udp_route((struct sockaddr *)&remote,
			  key->source.family ? (struct sockaddr *)&source : NULL, &options, &local,
			  &mtu);
	if (rv == 0)
		rv = qs_endpoint_client(engine, key->peer.family, &key->source, key->mark,
					key->device, &endpoint);
	if (rv < 0)
		return rv;
	conn = conn_new(engine, endpoint, key->rule, false);
	if (conn == NULL) {
		qs_endpoint_release(endpoint);
		return -ENOMEM;
	}
	conn->key = *key;
	conn->reset_secret = engine->reset_secret;
	conn->peer = key->peer;
	if (local.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&local)->sin_port = htons(endpoint->udp.port);
	else
		((struct sockaddr_in6 *)(void *)&local)->sin6_port = htons(endpoint->udp.port);
	qs_addr_from_sockaddr(&conn->local, (struct sockaddr *)&local, len);
	snprintf(conn->sni, sizeof(conn->sni), "%s", key->name);
	QS_GUARDED(conn, begun = client_begin(conn, creds, &local, &remote, len, mtu));
	if (begun < 0) {
		qs_conn_drop(conn, 0);
		return begun;
	}
	ngtcp2_conn_set_tls_native_handle(conn->quic, conn->link.session);
	engine->totals.connections_opened++;
	qs_conn_dirty(conn);
	*out = conn;
	return 0;
}

/* --- server --- */

static int server_start(struct qs_conn *conn, const ngtcp2_pkt_hd *hd,
			const struct qs_udp_train *train)
{
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	struct sockaddr_storage local = train->local, remote = train->remote, unused;
	ngtcp2_path path = make_path(&local, train->local_len, &remote, train->remote_len);
	ngtcp2_cid scid;
	size_t mtu = 1500;
	int rv;

	qs_udp_route((struct sockaddr *)&remote, NULL, NULL, &unused, &mtu);
	set_settings(conn, &settings, mtu, remote.ss_family == AF_INET6);
	set_params(conn, &params);
	params.original_dcid = hd->dcid;
	params.original_dcid_present = 1;
	rv = qs_conn_cid_new(conn, &scid);
	if (rv == 0)
		rv = cid_add(conn, hd->dcid.data, hd->dcid.datalen);
	if (rv < 0)
		return rv;
	if (ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token,
							 conn->reset_secret, QS_TLS_RESET_SECRET,
							 &scid) == 0)
		params.stateless_reset_token_present = 1;
	rv = ngtcp2_conn_server_new(&conn->quic, &hd->scid, &scid, &path, hd->version,
				    &qs_conn_server_callbacks, &settings, &params, NULL,
				    &conn->user);
	return rv == 0 ? 0 : -ENOMEM;
}

static int server_begin(struct qs_conn *conn, struct qs_tls_creds *creds, const ngtcp2_pkt_hd *hd,
			const struct qs_udp_train *train)
{
	int rv = server_start(conn, hd, train);

	return rv < 0 ? rv : qs_tls_server_init(&conn->link, creds, conn->rule->alpn);
}

/* Not inlined: locals of a function that holds a trap may be lost by its jump. */
__attribute__((noinline)) static unsigned count_opening(const struct qs_engine *engine)
{
	const struct qs_conn *conn;
	unsigned n = 0;

	TAILQ_FOREACH(conn, &engine->conns, link_all)
	n += conn->server && conn->state == QS_CONNECTION_HANDSHAKE;
	return n;
}

struct qs_conn *qs_conn_accept(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
			       const uint8_t *packet, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	struct qs_tls_creds *creds;
	volatile int begun = -EIO;
	struct qs_conn *conn;
	ngtcp2_pkt_hd hd;
	char text[512];

	if (endpoint->n_listeners == 0 || ngtcp2_accept(&hd, packet, len) != 0)
		return NULL;
	if (engine->n_conns >= CONNS_MAX ||
	    (engine->n_conns >= OPENING_MAX && count_opening(engine) >= OPENING_MAX))
		return NULL;
	creds = qs_engine_creds(engine, endpoint->rule, text);
	conn = creds != NULL ? conn_new(engine, endpoint, endpoint->rule, true) : NULL;
	if (conn == NULL)
		return NULL;
	qs_addr_from_sockaddr(&conn->local, (const struct sockaddr *)&train->local,
			      train->local_len);
	qs_addr_from_sockaddr(&conn->peer, (const struct sockaddr *)&train->remote,
			      train->remote_len);
	conn->reset_secret = qs_tls_creds_reset_secret(creds);
	QS_GUARDED(conn, begun = server_begin(conn, creds, &hd, train));
	if (begun < 0) {
		qs_conn_drop(conn, 0);
		return NULL;
	}
	ngtcp2_conn_set_tls_native_handle(conn->quic, conn->link.session);
	engine->totals.connections_accepted++;
	return conn;
}

/* --- the end --- */

static void conn_grave(struct qs_grave *grave)
{
	struct qs_conn *conn = qs_container(grave, struct qs_conn, grave);

	if (conn->poisoned) {
		qs_tls_creds_unref(conn->link.creds); /* ours; the session that also names them is
							 never used again */
	} else if (QS_TRAP_ENTER() == 0) {
		ngtcp2_conn_del(conn->quic);
		qs_tls_fini(&conn->link);
	}
	qs_trap_leave();
	free(conn->closing_packet);
	free(conn->pending);
	free(conn);
}

/* All apps learn of the end; requests that wait are told too. */
static void end_streams(struct qs_conn *conn, int app_error, const char *reason)
{
	struct qs_request *request;
	struct qs_stream *stream;

	while ((request = TAILQ_FIRST(&conn->waiting)) != NULL) {
		TAILQ_REMOVE(&conn->waiting, request, link);
		conn->n_waiting--;
		request->conn = NULL;
		TAILQ_INSERT_TAIL(&conn->engine->requests, request, link);
		qs_request_fail(request, app_error ? app_error : ECONNREFUSED, reason);
	}
	while ((stream = TAILQ_FIRST(&conn->streams)) != NULL) {
		bool whole = stream->rx_fin && stream->rx_head != NULL;

		qs_stream_closed(stream);
		if (whole)
			continue; /* all of it came: a slow reader shall have it, and then the end */
		qs_stream_fail(stream, app_error ? app_error : ECONNRESET, QS_APP_RESET);
	}
}

void qs_conn_drop(struct qs_conn *conn, int app_error)
{
	struct qs_engine *engine = conn->engine;

	if (conn->buried)
		return;
	conn->buried = true;
	conn->state = QS_CONNECTION_CLOSING;
	end_streams(conn, app_error, "");
	while (conn->cids != NULL)
		qs_conn_cid_remove(conn, conn->cids->data, conn->cids->len);
	qs_timer_clear(&engine->timers, &conn->timer);
	if (conn->dirty)
		TAILQ_REMOVE(&engine->dirty, conn, link_dirty);
	TAILQ_REMOVE(&engine->conns, conn, link_all);
	engine->n_conns--;
	engine->active_ns = engine->now_ns;
	qs_pages_path_release(&engine->pages, conn->path);
	conn->endpoint->n_conns--;
	qs_endpoint_release(conn->endpoint);
	qs_engine_bury(engine, &conn->grave, conn_grave);
}

void qs_conn_poison(struct qs_conn *conn)
{
	qs_log("connection %llu: a library failed: %s; the connection is given up",
	       (unsigned long long)conn->id, qs_trap_state.what);
	conn->engine->totals.faults_trapped++;
	conn->poisoned = true;
	qs_conn_drop(conn, conn->handshake_done ? ETIMEDOUT : ECONNREFUSED);
}

/* Keeps the connection for three PTOs so that late packets are answered (closing) or ignored
 * (draining). */
void qs_conn_linger(struct qs_conn *conn, int app_error, const char *reason)
{
	if (reason == NULL)
		reason =
			conn->link.guard.verify_failure != NULL ? conn->link.guard.verify_text : "";
	if (conn->state == QS_CONNECTION_CLOSING)
		return;
	if (!conn->handshake_done)
		conn->engine->totals.connections_failed++;
	conn->state = QS_CONNECTION_CLOSING;
	conn->closing_until_ns = conn->engine->now_ns + 3 * ngtcp2_conn_get_pto(conn->quic);
	end_streams(conn, app_error, reason);
	qs_timer_set(&conn->engine->timers, &conn->timer, conn->closing_until_ns);
}

void qs_conn_close(struct qs_conn *conn, const ngtcp2_ccerr *error, int app_error)
{
	if (conn->state == QS_CONNECTION_CLOSING || conn->poisoned)
		return;
	qs_log("connection %llu: closed: %s%s%s", (unsigned long long)conn->id,
	       qs_errmap_text(error), conn->link.guard.verify_failure != NULL ? ": " : "",
	       conn->link.guard.verify_text);
	QS_GUARDED(conn, qs_conn_write_close(conn, error));
	if (!conn->poisoned)
		qs_conn_linger(conn, app_error, NULL);
}

void qs_conn_close_idle(struct qs_conn *conn)
{
	ngtcp2_ccerr error;

	ngtcp2_ccerr_default(&error);
	qs_conn_close(conn, &error, 0);
}

static void expire(struct qs_conn *conn, uint64_t now_ns)
{
	int rv = ngtcp2_conn_handle_expiry(conn->quic, now_ns);
	ngtcp2_ccerr error;

	if (rv == 0) {
		qs_conn_dirty(conn);
		return;
	}
	if (rv == NGTCP2_ERR_IDLE_CLOSE || rv == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
		qs_log("connection %llu: %s", (unsigned long long)conn->id, ngtcp2_strerror(rv));
		qs_conn_linger(conn, qs_errmap_ngtcp2(rv, conn->handshake_done), NULL);
		return;
	}
	ngtcp2_ccerr_set_liberr(&error, rv, NULL, 0);
	qs_conn_close(conn, &error, qs_errmap_ngtcp2(rv, conn->handshake_done));
}

static void conn_timer(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_conn *conn = qs_container(timer, struct qs_conn, timer);

	if (conn->state == QS_CONNECTION_CLOSING)
		qs_conn_drop(conn, 0);
	else
		QS_GUARDED(conn, expire(conn, now_ns));
}

void qs_conn_dirty(struct qs_conn *conn)
{
	if (!conn->dirty && !conn->buried && conn->state != QS_CONNECTION_CLOSING) {
		conn->dirty = true;
		TAILQ_INSERT_TAIL(&conn->engine->dirty, conn, link_dirty);
	}
}

void qs_conn_stream_ready(struct qs_conn *conn, struct qs_stream *stream)
{
	if (!stream->in_ready && qs_stream_wants_write(stream)) {
		stream->in_ready = true;
		TAILQ_INSERT_TAIL(&conn->ready, stream, ready_link);
	}
	qs_conn_dirty(conn);
}

void qs_conn_extend_stream(struct qs_conn *conn, int64_t id, uint64_t bytes)
{
	if (conn->poisoned || conn->state == QS_CONNECTION_CLOSING)
		return;
	QS_GUARDED(conn, ngtcp2_conn_extend_max_stream_offset(conn->quic, id, bytes));
	if (!conn->poisoned)
		qs_conn_dirty(conn);
}

int qs_conn_open_stream(struct qs_conn *conn, struct qs_stream *stream, int64_t *id)
{
	volatile int rv = NGTCP2_ERR_INTERNAL;

	QS_GUARDED(conn, rv = ngtcp2_conn_open_bidi_stream(conn->quic, id, stream));
	if (conn->poisoned)
		return -ECONNREFUSED;
	return rv == 0 ? 0 : -EAGAIN;
}

void qs_conn_shutdown_stream(struct qs_conn *conn, int64_t id, uint64_t code)
{
	if (conn->poisoned || conn->state == QS_CONNECTION_CLOSING)
		return;
	QS_GUARDED(conn, ngtcp2_conn_shutdown_stream(conn->quic, 0, id, code));
	conn->engine->totals.streams_reset++;
	if (!conn->poisoned)
		qs_conn_dirty(conn);
}

void qs_conn_sweep(struct qs_conn *conn)
{
	struct qs_stream *stream, *next;
	uint64_t linger;
	bool idle =
		conn->n_streams == 0 && conn->n_waiting == 0 && conn->state == QS_CONNECTION_OPEN;

	TAILQ_FOREACH_SAFE(stream, &conn->streams, conn_link, next)
	qs_stream_sweep(stream);
	if (!idle)
		return;
	linger = conn->rule->stream_per_connection ? 0 : conn->rule->linger_ns;
	if (conn->server ? conn->endpoint->n_listeners == 0 || conn->engine->stopping
			 : conn->engine->now_ns - conn->idle_since_ns >= linger)
		qs_conn_close_idle(conn);
}
