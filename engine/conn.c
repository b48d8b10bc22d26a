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
#include "fallback.h"
#include "group.h"
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

#define MOVED_NS (5 * QS_NSEC) /* in which clients learn that they must connect anew */
#define MOVED_UNUSED_NS (30 * QS_NSEC) /* if they have opened no stream yet */
/* Of a server's idle connection, when half of the places are taken. */
#define CROWDED_NS (60 * QS_NSEC)
#define CROWDED_UNUSED_NS (10 * QS_NSEC) /* that never had a stream */
#define RETIRED_MAX 16u /* IDs that a connection remembers having had */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
	struct qs_tls_link *link = qs_container(ref, struct qs_tls_link, ref);

	return qs_container(link, struct qs_conn, link)->quic;
}

static void conn_timer(struct qs_timer *timer, uint64_t now_ns);

struct qs_conn *qs_conn_new(struct qs_engine *engine, struct qs_endpoint *endpoint,
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

int qs_conn_cid_add(struct qs_conn *conn, const uint8_t *data, size_t len)
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

/* The eldest retired ID goes when there are too many. */
static void forget_retired(struct qs_conn *conn)
{
	struct qs_cid_entry *entry, *eldest = NULL;

	for (entry = conn->cids; entry != NULL; entry = entry->sibling) {
		if (entry->retired)
			eldest = entry;
	}
	if (eldest != NULL) {
		conn->n_retired--;
		qs_conn_cid_remove(conn, eldest->data, eldest->len);
	}
}

void qs_conn_cid_retire(struct qs_conn *conn, const uint8_t *data, size_t len)
{
	struct qs_cid_entry *entry;

	HASH_FIND(hh, conn->engine->cids, data, len, entry);
	if (entry == NULL || entry->conn != conn || entry->retired)
		return;
	entry->retired = true;
	if (++conn->n_retired > RETIRED_MAX)
		forget_retired(conn);
}

struct qs_conn *qs_conn_find(struct qs_engine *engine, const uint8_t *cid, size_t len)
{
	struct qs_cid_entry *entry;

	HASH_FIND(hh, engine->cids, cid, len, entry);
	return entry != NULL && !entry->retired ? entry->conn : NULL;
}

bool qs_conn_knew(struct qs_engine *engine, const uint8_t *cid, size_t len)
{
	struct qs_cid_entry *entry;

	HASH_FIND(hh, engine->cids, cid, len, entry);
	return entry != NULL && entry->retired;
}

int qs_conn_cid_make(const struct qs_endpoint *endpoint, ngtcp2_cid *cid)
{
	const struct qs_member *member = endpoint->member;
	struct qs_cid_fields fields = {.generation = endpoint->engine->generation};

	if (member != NULL) {
		fields.slot = member->slot;
		fields.generation = member->generation;
	}
	if (gnutls_rnd(GNUTLS_RND_NONCE, fields.nonce, sizeof(fields.nonce)) != 0)
		return -EIO;
	cid->datalen = QS_CID_LEN;
	return qs_cid_codec_encode(&endpoint->codec, cid->data, &fields);
}

int qs_conn_cid_new(struct qs_conn *conn, ngtcp2_cid *cid)
{
	for (int i = 0; i < 8; i++) {
		int rv = qs_conn_cid_make(conn->endpoint, cid);

		if (rv == 0)
			rv = qs_conn_cid_add(conn, cid->data, cid->datalen);
		if (rv != -EEXIST)
			return rv;
	}
	return -EEXIST;
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
	int error = app_error ? app_error : ECONNREFUSED;
	struct qs_request *request;
	struct qs_stream *stream;
	enum qs_reason cause = conn->cause ? conn->cause : qs_fallback_reason(error);

	if (conn->outrun && !conn->handshake_done && !conn->judged)
		qs_fallback_note(conn->engine, &conn->key, cause);
	conn->judged = true;
	while ((request = TAILQ_FIRST(&conn->waiting)) != NULL) {
		qs_request_leave(request);
		qs_request_refuse(request, error, cause, reason);
	}
	while ((stream = TAILQ_FIRST(&conn->streams)) != NULL) {
		bool whole = stream->rx_fin && (stream->rx_head != NULL || app_error != ETIMEDOUT);
		int its_error = app_error ? app_error : ECONNRESET;

		if (stream->moving)
			its_error = qs_stream_moved_errno(stream, its_error);
		qs_stream_closed(stream);
		if (whole)
			continue; /* all of it came: a slow reader shall have it, and then the end */
		qs_stream_fail(stream, its_error, QS_APP_RESET);
	}
}

void qs_conn_drop(struct qs_conn *conn, int app_error)
{
	struct qs_engine *engine = conn->engine;

	if (conn->buried)
		return;
	conn->buried = true;
	qs_conn_not_opening(conn);
	conn->state = QS_CONNECTION_CLOSING;
	qs_will_revoke(conn);
	end_streams(conn, app_error, "");
	while (conn->cids != NULL)
		qs_conn_cid_remove(conn, conn->cids->data, conn->cids->len);
	qs_reset_token_remove_all(conn);
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
	qs_will_revoke(conn);
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
	qs_will_writing(NULL);
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

/* A server keeps what its clients want kept, but where places are getting scarce. */
static uint64_t stay_served(const struct qs_conn *conn)
{
	if (conn->engine->stopping)
		return 0;
	if (conn->engine->n_conns <= QS_CONNS_MAX / 2)
		return UINT64_MAX;
	return conn->streams_total == 0 ? CROWDED_UNUSED_NS : CROWDED_NS;
}

uint64_t qs_conn_stay(const struct qs_conn *conn)
{
	if (!conn->server)
		return conn->rule->stream_per_connection ? 0 : conn->rule->linger_ns;
	if (qs_listener_find(conn->engine, conn->endpoint, conn->rule) != NULL)
		return stay_served(conn);
	if (!conn->moved)
		return 0;
	return conn->streams_total == 0 ? MOVED_UNUSED_NS : MOVED_NS;
}

void qs_conn_sweep(struct qs_conn *conn)
{
	struct qs_stream *stream, *next;
	bool idle =
		conn->n_streams == 0 && conn->n_waiting == 0 && conn->state == QS_CONNECTION_OPEN;

	TAILQ_FOREACH_SAFE(stream, &conn->streams, conn_link, next)
	qs_stream_sweep(stream);
	if (!idle)
		return;
	if (conn->engine->now_ns - conn->idle_since_ns >= qs_conn_stay(conn))
		qs_conn_close_idle(conn);
}
