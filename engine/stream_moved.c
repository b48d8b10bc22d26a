/* SPDX-License-Identifier: MIT */
/* A client's stream that its server asks to open anew, on another connection: the listener has moved. */

/*
 * Theory. A server that stops while its successor listens can't tell its clients so, but for the streams
 * that they still open: those it refuses with QS_APP_MOVED. Nobody has seen a byte of such a stream, and
 * the client has kept all that it sent (KEPT_MAX at most, until the server's first byte comes), so it
 * is opened again on a new connection, and the app never knows. It waits there, in conn->streams with
 * no id, until the connection is up; it ends with the connection if that fails.
 * What is asked within a callback of the old connection is done when the turn gives the new one its
 * time: a library must not be entered for one connection from within another.
 */
#include "stream_parts.h"

#include "conn_parts.h"
#include "errmap.h"
#include "log.h"

#include <errno.h>

#define MOVES_MAX 4u
#define KEPT_MAX 65536u /* octets */

bool qs_stream_keeps(struct qs_stream *stream, uint64_t acked)
{
	if (!stream->keeps)
		return false;
	if (acked > stream->kept)
		stream->kept = acked;
	if (stream->kept <= KEPT_MAX)
		return true;
	stream->keeps = false;
	return false;
}

void qs_stream_answered(struct qs_stream *stream)
{
	if (!stream->keeps)
		return;
	stream->keeps = false;
	if (stream->kept > 0)
		qs_stream_acked(stream, stream->kept);
}

/* As before its first byte was sent. */
static void rewind_tx(struct qs_stream *stream)
{
	stream->tx_cursor = stream->tx_head;
	stream->tx_cursor_at = stream->tx_head != NULL ? stream->tx_head->start : 0;
	stream->tx_written = stream->kept = 0;
	stream->tx_blocked = stream->fin_written = false;
	stream->announce = true;
	stream->announced_again = false;
	stream->id = -1;
	atomic_store_explicit(&qs_stream_slot(stream)->acked_bytes, 0, memory_order_relaxed);
}

static void leave(struct qs_stream *stream)
{
	struct qs_conn *conn = stream->conn;

	TAILQ_REMOVE(&conn->streams, stream, conn_link);
	conn->n_streams--;
	if (stream->in_ready)
		TAILQ_REMOVE(&conn->ready, stream, ready_link);
	stream->in_ready = false;
	if (conn->n_streams == 0)
		conn->idle_since_ns = conn->engine->now_ns;
}

static void enter(struct qs_stream *stream, struct qs_conn *conn)
{
	stream->conn = conn;
	TAILQ_INSERT_TAIL(&conn->streams, stream, conn_link);
	conn->n_streams++;
	conn->n_moving++;
	stream->moving = true;
	qs_conn_dirty(conn);
}

bool qs_stream_moved(struct qs_stream *stream)
{
	if (!stream->keeps || stream->rx_fin || stream->moves >= MOVES_MAX ||
	    stream->source.fd < 0 || stream->moving)
		return false;
	stream->moves++;
	stream->moving = true;
	stream->conn->n_moving++;
	ngtcp2_conn_set_stream_user_data(stream->conn->quic, stream->id, NULL);
	qs_conn_dirty(stream->conn);
	return true;
}

/* The connection that it shall be on now; NULL with an errno: none. */
static struct qs_conn *other_conn(const struct qs_conn *old, int *error)
{
	struct qs_conn *conn;
	char text[512] = "";
	unsigned n_same;
	int rv = 0;

	conn = old->rule->stream_per_connection
		       ? NULL
		       : qs_conn_pool_find(old->engine, &old->key, &n_same);
	if (conn == NULL)
		rv = qs_conn_connect(old->engine, &old->key, &conn, text);
	*error = -rv;
	return rv < 0 ? NULL : conn;
}

int qs_stream_moved_errno(const struct qs_stream *stream, int error)
{
	return error == ETIMEDOUT ? error : qs_errmap_stream(QS_APP_MOVED, stream->kept > 0);
}

/* A stream with an id is still on the connection that wants to be rid of it. */
static void move(struct qs_stream *stream)
{
	struct qs_conn *old = stream->conn, *conn;
	int error;

	stream->moving = false;
	old->n_moving--;
	/* The old connection must send nothing of it again: what it points to is freed once the new one is done. */
	qs_conn_shutdown_stream(old, stream->id, QS_APP_RESET);
	if (stream->conn != old)
		return;
	conn = other_conn(old, &error);
	if (conn == NULL) {
		qs_stream_closed(stream);
		qs_stream_fail(stream, qs_stream_moved_errno(stream, error), QS_APP_RESET);
		return;
	}
	qs_log("stream %lld of pid %d moves from connection %llu to %llu", (long long)stream->id,
	       stream->pid, (unsigned long long)old->id, (unsigned long long)conn->id);
	leave(stream);
	rewind_tx(stream);
	enter(stream, conn);
}

static bool open_moved(struct qs_stream *stream)
{
	struct qs_conn *conn = stream->conn;
	struct qs_slot *slot = qs_stream_slot(stream);
	int64_t id;

	if (stream->source.fd < 0) { /* the app has given up meanwhile */
		stream->moving = false;
		conn->n_moving--;
		qs_stream_closed(stream);
		return true;
	}
	if (qs_conn_open_stream(conn, stream, &id) < 0)
		return false;
	stream->moving = false;
	conn->n_moving--;
	stream->id = id;
	conn->streams_total++;
	qs_slot_begin(slot);
	slot->path = conn->path;
	slot->local = conn->local;
	qs_slot_end(slot);
	qs_conn_stream_ready(conn, stream);
	return true;
}

void qs_conn_serve_moving(struct qs_conn *conn)
{
	struct qs_stream *stream, *next;

	TAILQ_FOREACH_SAFE(stream, &conn->streams, conn_link, next)
	{
		if (!stream->moving)
			continue;
		if (stream->id >= 0)
			move(stream);
		else if (!conn->handshake_done || !open_moved(stream))
			break;
	}
}
