/* SPDX-License-Identifier: MIT */
/* One TCP connection of an app: bytes between its AF_UNIX end and a QUIC stream. */

/*
 * Theory. Two half pipes meet here. *tx*: what the app wrote is read from the engine's end into
 * chunks, which stay until the peer has acknowledged them, since ngtcp2 keeps pointers and not
 * copies. *rx*: what the peer sent is copied into chunks (ngtcp2 reuses its buffer) and goes to the
 * app when the turn's packets have been read.
 *
 * The engine's end is watched edge-triggered for input; EPOLLOUT only while the app's buffer is
 * full, because each read of the app is such an edge. Reading stops at TX_HIGH unsent bytes, so
 * that a slow path stops the app as a full TCP send buffer would. While the socket has more, what is left
 * of the reading ahead is no packet of its own: less than a packet waits for the next pull, in the same turn of the loop.
 *
 * How a stream ends. FIN of the app: read gives 0, `app_eof`. Close of the app: EPOLLHUP,
 * `app_gone`; with bytes unread the kernel says ECONNRESET: reset. Data for an app that is gone:
 * reset, as TCP does. Both wait until the peer has acknowledged what was written (`reset_due`), but for SO_LINGER 0.
 * FIN of the peer: after all data, shutdown(SHUT_WR) on our end, which leaves
 * the app's writing alone. Reset of the peer: the errno goes into the slot, then our end is closed; what the app's
 * buffer has no room for is given first, as it reads, and its writes fail meanwhile (`rest`).
 * The object lives until both the QUIC stream is closed (conn == NULL) and the app's side is
 * served. In mode prefer its other side may be a TCP socket (relay.c) instead of a QUIC stream.
 *
 * Limits: rx is bounded by the stream's window; tx by TX_HIGH unsent plus what the congestion
 * window holds.
 */
#include "stream_parts.h"

#include "errmap.h"
#include "hold.h"
#include "listen.h"
#include "log.h"
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Doubled by the kernel; with its default loopback bulk is a fifth slower. */
#define TO_APP_OCTETS (512 * 1024)
#define ANNOUNCE_NS (QS_NSEC / 2)
#define ANNOUNCE_CREDIT (320u * 1024u) /* more than half of the window, or it would not be sent */
#define ORPHAN_NS (60 * QS_NSEC) /* as tcp_fin_timeout */
/* The peer lives and has no room: TCP probes for as long as it answers. */
#define ORPHAN_BLOCKED_NS (600 * QS_NSEC)

static void stream_event(struct qs_source *source, uint32_t events);

struct qs_stream *qs_stream_new(struct qs_engine *engine, int fd, uint32_t slot, bool server)
{
	struct qs_stream *stream = calloc(1, sizeof(*stream));
	int octets = QS_SNDBUF;

	if (stream == NULL)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	stream->engine = engine;
	stream->source = (struct qs_source){.fd = fd, .fn = stream_event};
	stream->slot = slot;
	stream->generation = qs_pages_slot(&engine->pages, slot)->generation;
	stream->server = server;
	stream->id = -1;
	stream->opened_ns = engine->now_ns;
	engine->n_streams++;
	return stream;
}

int qs_stream_start(struct qs_stream *stream)
{
	int octets = TO_APP_OCTETS;

	if (setsockopt(stream->source.fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof(octets)) < 0)
		setsockopt(stream->source.fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	return qs_source_add(stream->engine, &stream->source, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

void qs_stream_tell_open(struct qs_stream *stream, uint32_t path, const struct qs_addr *local,
			 const struct qs_addr *peer)
{
	struct qs_slot *slot = qs_stream_slot(stream);

	qs_slot_begin(slot);
	slot->state = QS_SLOT_OPEN;
	slot->path = path;
	slot->local = *local;
	slot->peer = *peer;
	slot->rule_line = stream->rule_line;
	slot->opened_ns = stream->opened_ns;
	qs_slot_end(slot);
}

void qs_stream_attach(struct qs_stream *stream, struct qs_conn *conn, int64_t id,
		      const struct qs_addr *local, const struct qs_addr *peer)
{
	stream->conn = conn;
	stream->id = id;
	TAILQ_INSERT_TAIL(&conn->streams, stream, conn_link);
	conn->n_streams++;
	conn->streams_total++;
	qs_stream_tell_open(stream, conn->path, local, peer);
}

static void stream_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_stream, grave));
}

void qs_chunk_list_free(struct qs_engine *engine, struct qs_chunk **head, struct qs_chunk **tail)
{
	while (*head != NULL) {
		struct qs_chunk *chunk = *head;

		*head = chunk->next;
		qs_chunk_free(engine, chunk);
	}
	*tail = NULL;
}

static void stream_free(struct qs_stream *stream)
{
	struct qs_engine *engine = stream->engine;

	if (stream->in_readable)
		TAILQ_REMOVE(&engine->readable, stream, readable_link);
	if (stream->in_flush)
		TAILQ_REMOVE(&engine->flush, stream, flush_link);
	if (stream->in_backlog && stream->listener != NULL)
		stream->listener->n_backlog--;
	if (stream->in_backlog)
		TAILQ_REMOVE(&engine->backlog, stream, backlog_link);
	qs_hold_end(stream);
	if (stream->source.fd >= 0)
		qs_source_close(engine, &stream->source);
	qs_chunk_list_free(engine, &stream->rx_head, &stream->rx_tail);
	qs_chunk_list_free(engine, &stream->tx_head, &stream->tx_tail);
	qs_pages_release(&engine->pages, stream->slot);
	engine->n_streams--;
	engine->active_ns = engine->now_ns;
	qs_engine_bury(engine, &stream->grave, stream_grave);
}

void qs_stream_settle(struct qs_stream *stream)
{
	if (stream->conn != NULL || stream->relay != NULL)
		return;
	if (stream->source.fd >= 0 &&
	    (stream->rx_head != NULL || (stream->rx_fin && !stream->rx_fin_given)))
		return;
	if (stream->in_backlog && stream->source.fd >= 0)
		return;
	stream_free(stream);
}

void qs_stream_pull_later(struct qs_stream *stream)
{
	if (!stream->in_readable && stream->source.fd >= 0) {
		TAILQ_INSERT_TAIL(&stream->engine->readable, stream, readable_link);
		stream->in_readable = true;
	}
}

void qs_stream_ready(struct qs_stream *stream)
{
	if (stream->conn != NULL)
		qs_conn_stream_ready(stream->conn, stream);
	else if (stream->relay != NULL)
		qs_relay_ready(stream->relay);
}

void qs_stream_push_later(struct qs_stream *stream)
{
	if (!stream->in_flush) {
		TAILQ_INSERT_TAIL(&stream->engine->flush, stream, flush_link);
		stream->in_flush = true;
	}
}

static void stream_event(struct qs_source *source, uint32_t events)
{
	struct qs_stream *stream = qs_container(source, struct qs_stream, source);

	if (events & (EPOLLHUP | EPOLLERR))
		stream->app_gone = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		stream->end_seen = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		stream->readable = true;
		qs_stream_pull_later(stream);
	}
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) &&
	    (stream->rx_head != NULL || stream->want_out)) {
		stream->app_full = false;
		qs_stream_push_later(stream);
	}
}

void qs_stream_closed(struct qs_stream *stream)
{
	struct qs_conn *conn = stream->conn;

	if (conn == NULL)
		return;
	TAILQ_REMOVE(&conn->streams, stream, conn_link);
	conn->n_streams--;
	conn->n_moving -= stream->moving;
	stream->moving = false;
	if (stream->in_ready)
		TAILQ_REMOVE(&conn->ready, stream, ready_link);
	stream->in_ready = false;
	conn->rx_buffered -= stream->rx_bytes;
	stream->conn = NULL;
	if (conn->n_streams == 0)
		conn->idle_since_ns = conn->engine->now_ns;
	qs_chunk_list_free(stream->engine, &stream->tx_head, &stream->tx_tail);
	stream->tx_cursor = NULL;
	/* An app that still writes learns that nobody reads it, while it may read the rest. */
	if (stream->rx_fin && stream->rx_head != NULL && !stream->app_eof && stream->source.fd >= 0)
		qs_stream_leave_rest(stream, EPIPE);
	/* What the app has not got yet goes out in the flush phase, which also ends the object. */
	qs_stream_push_later(stream);
}

void qs_stream_tell_slot(struct qs_stream *stream, int error)
{
	struct qs_slot *slot = qs_stream_slot(stream);

	if (slot->state == QS_SLOT_ENDED)
		return; /* the first end is the one to tell */
	qs_slot_begin(slot);
	slot->error = error;
	slot->state = QS_SLOT_ENDED;
	qs_slot_end(slot);
}

void qs_stream_tell_app(struct qs_stream *stream, int error)
{
	qs_stream_tell_slot(stream, error);
	if (stream->source.fd >= 0)
		qs_source_close(stream->engine, &stream->source);
}

void qs_stream_fail(struct qs_stream *stream, int error, uint64_t code)
{
	struct qs_conn *conn = stream->conn;

	if (error == 0 || !qs_stream_leave_rest(stream, error)) {
		if (conn != NULL && conn->n_streams > 0)
			conn->rx_buffered -= stream->rx_bytes;
		stream->rx_bytes = 0;
		qs_chunk_list_free(stream->engine, &stream->rx_head, &stream->rx_tail);
		qs_stream_tell_app(stream, error);
	}
	if (conn != NULL)
		qs_conn_shutdown_stream(conn, stream->id, code);
	else if (stream->relay != NULL)
		qs_relay_end(stream->relay, true);
	else
		qs_stream_push_later(stream);
}

/*
 * The empty frame by which a server learns of a stream is not sent again when it is lost: ngtcp2 takes a
 * frame without data for acknowledged, and sends no second one. Credit for the stream opens it too, and is
 * repeated until it arrives.
 */
static void announce_again(struct qs_stream *stream)
{
	if (!stream->keeps || stream->announced_again || stream->moving || stream->conn == NULL ||
	    stream->announce || stream->fin_written || stream->tx_written > 0 ||
	    stream->engine->now_ns - stream->opened_ns < ANNOUNCE_NS)
		return;
	stream->announced_again = true;
	qs_conn_extend_stream(stream->conn, stream->id, ANNOUNCE_CREDIT);
}

/* TCP_USER_TIMEOUT, as the kernel has it: a peer without room for more counts as one that is gone. */
static bool is_timed_out(const struct qs_stream *stream)
{
	const struct qs_options *options = &stream->engine->pages.options[stream->slot];
	int ms = 0;

	if (stream->conn == NULL || !qs_stream_has_unacked(stream))
		return false;
	if (__atomic_load_n(&options->set, __ATOMIC_ACQUIRE) >> QS_OPT_USER_TIMEOUT & 1)
		ms = __atomic_load_n(&options->value[QS_OPT_USER_TIMEOUT], __ATOMIC_RELAXED);
	return ms > 0 && stream->engine->now_ns - stream->progress_ns > (uint64_t)ms * QS_MSEC;
}

/*
 * A peer that wants no more of a stream (STOP_SENDING) and has given no credit for it is noticed when something is
 * written: ngtcp2 tells of it in no other way (DESIGN D10).
 */
static void try_blocked(struct qs_stream *stream)
{
	if (!stream->tx_blocked || stream->fin_written || stream->conn == NULL)
		return;
	stream->tx_blocked = false;
	qs_conn_stream_ready(stream->conn, stream);
}

void qs_stream_sweep(struct qs_stream *stream)
{
	uint64_t limit = stream->tx_blocked ? ORPHAN_BLOCKED_NS : ORPHAN_NS;

	announce_again(stream);
	try_blocked(stream);
	if (is_timed_out(stream)) {
		qs_stream_fail(stream, ETIMEDOUT, QS_APP_RESET);
		return;
	}
	if (stream->orphan_ns != 0 && (stream->conn != NULL || stream->relay != NULL) &&
	    stream->engine->now_ns - stream->orphan_ns > limit)
		qs_stream_fail(stream, 0, QS_APP_RESET);
}
