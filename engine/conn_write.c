/* SPDX-License-Identifier: MIT */
/* The connection's sending side: streams into packets, packets into trains. */

/*
 * Theory. A turn builds trains of equal packets in the engine's one buffer (GSO) and stops at the
 * congestion window, the pacer's quantum, or when nothing is left. Streams that have something wait
 * in conn->ready and take turns: each gives one packet's worth, small ones share a packet
 * (WRITE_MORE). Stream data stops when more is in flight than the path delivers in four times its
 * least round trip, or in 1 ms: more would only stand in a queue and delay siblings (DESIGN D8; the
 * millisecond is ours: with 256 KiB alone a loopback with packets of 64 KiB stood still a sixth of
 * the time, 6.9 against 9.5 Gbit/s). Acknowledgements still go out, and bring the next turn. While
 * a WRITE_MORE packet is open nothing else of ngtcp2 may be called.
 */
#include "conn_parts.h"

#include "errmap.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_LEAST (256u * 1024u)
#define QUEUE_NS                                                                                   \
	(2 *                                                                                       \
	 QS_MSEC) /* so much of the path's rate may stand in a queue however short its round   \
			 trip is */
#define VECTORS 16
#define TRAIN_OCTETS 65472u /* what one system call carries (udp_send.c) */
#define TRAIN_SEGMENTS 64u
#define TURN_TRAINS 4 /* then the others get their turn */

/* The train being built. */
struct writer {
	struct qs_conn *conn;
	struct qs_udp_train train;
	/* The packet being built: ngtcp2 wants the same two for all its parts, and sets ECN with the first. */
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	size_t max_packet; /* with a PMTU probe */
	bool blocked; /* the kernel had no room */
	bool no_credit; /* the peer's MAX_DATA is reached */
	unsigned trains;
};

static bool writer_flush(struct writer *w)
{
	struct qs_conn *conn = w->conn;

	if (w->train.len == 0)
		return !w->blocked;
	conn->sent_bytes += w->train.len;
	if (!qs_endpoint_send(conn->endpoint, conn, &w->train))
		w->blocked = true;
	w->train.len = 0;
	w->train.segment = 0;
	w->trains++;
	return !w->blocked;
}

static void set_path(struct qs_udp_train *train, const ngtcp2_path *path, uint8_t ecn)
{
	memcpy(&train->local, path->local.addr, path->local.addrlen);
	memcpy(&train->remote, path->remote.addr, path->remote.addrlen);
	train->local_len = path->local.addrlen;
	train->remote_len = path->remote.addrlen;
	train->ecn = ecn;
}

static bool same_path(const struct qs_udp_train *train, const ngtcp2_path *path, uint8_t ecn)
{
	return train->ecn == ecn && train->local_len == path->local.addrlen &&
	       train->remote_len == path->remote.addrlen &&
	       memcmp(&train->remote, path->remote.addr, path->remote.addrlen) == 0 &&
	       memcmp(&train->local, path->local.addr, path->local.addrlen) == 0;
}

/* Takes the packet that stands at the train's end. Returns false when the turn must stop. */
static bool writer_take(struct writer *w, size_t len, const ngtcp2_path *path, uint8_t ecn)
{
	struct qs_udp_train *train = &w->train;
	uint8_t *packet = train->data + train->len;

	w->conn->sent_packets++;
	if (train->len > 0 && (len > train->segment || !same_path(train, path, ecn))) {
		if (!writer_flush(w)) {
			/* The packet counts as sent and lost: the kernel is full, and ngtcp2 will
			 * repeat what matters. */
			return false;
		}
		memmove(train->data, packet, len);
	}
	if (train->len == 0) {
		set_path(train, path, ecn);
		train->segment = len;
	}
	train->len += len;
	if (len < train->segment || train->len + train->segment > TRAIN_OCTETS ||
	    train->len / train->segment >= TRAIN_SEGMENTS)
		return writer_flush(w);
	return true;
}

/* How many octets may be in flight before streams wait. */
static uint64_t in_flight_limit(struct qs_conn *conn, const ngtcp2_conn_info *info)
{
	uint64_t now = conn->engine->now_ns, since = now - conn->delivered_ns, limit, span;

	if (since >= QS_MSEC && since >= info->min_rtt) {
		uint64_t rate =
			(conn->delivered - conn->delivered_mark) * 1000000 / (since / 1000 + 1);

		conn->rate =
			rate > conn->rate - conn->rate / 8 ? rate : conn->rate - conn->rate / 8;
		conn->delivered_mark = conn->delivered;
		conn->delivered_ns = now;
	}
	if (info->min_rtt == UINT64_MAX)
		return IN_FLIGHT_LEAST;
	span = info->min_rtt * 4 > QUEUE_NS ? info->min_rtt * 4 : QUEUE_NS;
	limit = conn->rate / 1000 * (span / 1000) / 1000;
	return limit > IN_FLIGHT_LEAST ? limit : IN_FLIGHT_LEAST;
}

static struct qs_stream *next_stream(struct qs_conn *conn)
{
	struct qs_stream *stream;

	while ((stream = TAILQ_FIRST(&conn->ready)) != NULL && !qs_stream_wants_write(stream)) {
		TAILQ_REMOVE(&conn->ready, stream, ready_link);
		stream->in_ready = false;
	}
	return stream;
}

/* The stream goes to the end of the queue, or out of it. */
static void rotate(struct qs_conn *conn, struct qs_stream *stream)
{
	if (!stream->in_ready)
		return;
	TAILQ_REMOVE(&conn->ready, stream, ready_link);
	stream->in_ready = false;
	if (qs_stream_wants_write(stream)) {
		TAILQ_INSERT_TAIL(&conn->ready, stream, ready_link);
		stream->in_ready = true;
	}
}

static void write_failed(struct qs_conn *conn, ngtcp2_ssize rv)
{
	ngtcp2_ccerr error;

	if (rv == NGTCP2_ERR_CLOSING || rv == NGTCP2_ERR_DRAINING)
		return;
	ngtcp2_ccerr_set_liberr(&error, (int)rv, NULL, 0);
	qs_conn_close(conn, &error, qs_errmap_ngtcp2((int)rv, conn->handshake_done));
}

/* Writes one packet, or a part of one. 1 go on, 0 nothing more now, -1 failed. */
static int write_one(struct writer *w, bool streams)
{
	struct qs_conn *conn = w->conn;
	struct qs_stream *stream = streams ? next_stream(conn) : NULL;
	uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
	ngtcp2_vec vec[VECTORS];
	ngtcp2_ssize taken = -1, n;
	size_t n_vec = 0;
	bool fin = false;

	if (stream != NULL) {
		n_vec = qs_stream_unsent(stream, vec, VECTORS, w->max_packet, &fin);
		flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
		if (fin)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
	}
	n = ngtcp2_conn_writev_stream(
		conn->quic, &w->ps.path, &w->pi, w->train.data + w->train.len, w->max_packet,
		&taken, flags, stream != NULL ? stream->id : -1, vec, n_vec, conn->engine->now_ns);
	if (stream != NULL && taken >= 0) {
		size_t offered = 0;

		for (size_t i = 0; i < n_vec; i++)
			offered += vec[i].len;
		qs_stream_wrote(stream, (size_t)taken, fin && (size_t)taken == offered);
	}
	if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
		/* Credit of the whole connection has no callback: any packet may bring it, so
		 * nobody is marked. */
		if (ngtcp2_conn_get_max_data_left(conn->quic) == 0) {
			w->no_credit = true;
			return 1;
		}
		stream->tx_blocked = true;
		rotate(conn, stream);
		return 1;
	}
	if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
		/* The peer wants no more of it; TCP would have answered with RST, which is EPIPE
		 * after its FIN. */
		stream->tx_blocked = stream->fin_written = true;
		stream->announce = false;
		rotate(conn, stream);
		qs_stream_fail(stream, stream->rx_fin ? EPIPE : ECONNRESET, QS_APP_RESET);
		return 1;
	}
	if (n == NGTCP2_ERR_WRITE_MORE) {
		rotate(conn, stream);
		return 1;
	}
	if (n < 0) {
		write_failed(conn, n);
		return -1;
	}
	if (n == 0)
		return 0;
	/* One that the packet had no room for keeps its turn: streams begin in the order in which they were opened. */
	if (stream != NULL && taken >= 0)
		rotate(conn, stream);
	return writer_take(w, (size_t)n, &w->ps.path, w->pi.ecn) ? 1 : 0;
}

static void write_packets(struct qs_conn *conn)
{
	struct writer w = {.conn = conn, .train.data = conn->engine->tx_memory};
	size_t quantum, sent = 0;
	ngtcp2_conn_info info;
	uint64_t limit;
	bool streams;

	ngtcp2_path_storage_zero(&w.ps);
	ngtcp2_conn_get_conn_info(conn->quic, &info);
	limit = in_flight_limit(conn, &info);
	streams = conn->handshake_done && info.bytes_in_flight < limit;
	quantum = ngtcp2_conn_get_send_quantum(conn->quic);
	w.max_packet = ngtcp2_conn_get_max_tx_udp_payload_size(conn->quic);
	conn->payload = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->quic);
	for (;;) {
		size_t before = w.train.len;
		unsigned trains = w.trains;
		int rv = write_one(&w, streams);

		if (rv < 0)
			return;
		if (rv == 0)
			break;
		sent += w.trains == trains ? w.train.len - before : conn->payload;
		if (sent >= quantum * TURN_TRAINS)
			break;
		if (w.no_credit || info.bytes_in_flight + sent >= limit)
			streams = false; /* the next call, without a stream, ends an open packet */
	}
	/* A turn that ends by the quantum may leave a WRITE_MORE packet open: end it. */
	if (!w.blocked && sent >= quantum * TURN_TRAINS) {
		if (write_one(&w, false) < 0)
			return;
		qs_conn_dirty(conn);
	}
	writer_flush(&w);
	ngtcp2_conn_update_pkt_tx_time(conn->quic, conn->engine->now_ns);
}

static void set_timer(struct qs_conn *conn)
{
	uint64_t expiry = ngtcp2_conn_get_expiry(conn->quic);

	/* With a train waiting for the kernel nothing can be done for what is due. */
	if (conn->pending != NULL && expiry < conn->engine->now_ns + QS_MSEC)
		expiry = conn->engine->now_ns + QS_MSEC;

	if (expiry == UINT64_MAX)
		qs_timer_clear(&conn->engine->timers, &conn->timer);
	else
		qs_timer_set(&conn->engine->timers, &conn->timer, expiry);
}

static void write_turn(struct qs_conn *conn)
{
	qs_conn_keep_alive(conn);
	if (conn->pending == NULL)
		write_packets(conn);
	if (conn->state == QS_CONNECTION_CLOSING || conn->poisoned)
		return;
	set_timer(conn);
	qs_conn_figures(conn);
}

void qs_conn_write(struct qs_conn *conn)
{
	TAILQ_REMOVE(&conn->engine->dirty, conn, link_dirty);
	conn->dirty = false;
	if (conn->n_waiting > 0 && conn->handshake_done)
		qs_conn_serve_waiting(
			conn); /* opens streams under a trap of its own: it also touches apps */
	if (conn->n_moving > 0)
		qs_conn_serve_moving(conn);
	if (conn->state == QS_CONNECTION_CLOSING || conn->poisoned || conn->buried)
		return;
	qs_will_writing(conn->server ? NULL : conn);
	QS_GUARDED(conn, write_turn(conn));
	qs_will_writing(NULL);
}

/* --- closing --- */

static void send_close(struct qs_conn *conn, const ngtcp2_path *path)
{
	struct qs_udp_train train = {.data = conn->closing_packet,
				     .len = conn->closing_len,
				     .segment = conn->closing_len};

	set_path(&train, path, 0);
	qs_udp_send(&conn->endpoint->udp, &train);
}

void qs_conn_write_close(struct qs_conn *conn, const ngtcp2_ccerr *error)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	ngtcp2_path_storage_zero(&ps);
	if (conn->closing_packet == NULL)
		conn->closing_packet = malloc(1280);
	if (conn->closing_packet == NULL)
		return;
	n = ngtcp2_conn_write_connection_close(conn->quic, &ps.path, &pi, conn->closing_packet,
					       1280, error, conn->engine->now_ns);
	if (n <= 0) {
		qs_log("connection %llu: no CONNECTION_CLOSE: %s", (unsigned long long)conn->id,
		       ngtcp2_strerror((int)n));
		return;
	}
	conn->closing_len = (size_t)n;
	conn->sent_packets++;
	send_close(conn, &ps.path);
}

void qs_conn_repeat_close(struct qs_conn *conn, size_t len)
{
	uint32_t heard = ++conn->closing_heard;

	conn->closing_in += len;
	if (conn->closing_len == 0 || conn->poisoned || (heard & (heard - 1)) != 0 ||
	    conn->closing_out + conn->closing_len > 3 * conn->closing_in)
		return;
	conn->closing_out += conn->closing_len;
	send_close(conn, ngtcp2_conn_get_path(conn->quic));
}

/* --- figures --- */

/* Losses are counted for each stream, so with many they are asked for less often. */
#define LOSSES_PER_STREAM_NS (QS_MSEC / 20)

uint64_t qs_conn_lost(const struct qs_conn *conn)
{
	const struct qs_stream *stream;
	uint64_t lost = conn->lost_packets;

	TAILQ_FOREACH(stream, &conn->streams, conn_link)
	lost += ngtcp2_conn_get_stream_loss_count(conn->quic, stream->id);
	return lost;
}

void qs_conn_figures(struct qs_conn *conn)
{
	struct qs_path_figures *f = &conn->engine->pages.page->paths[conn->path];
	ngtcp2_conn_info info;

	if (conn->engine->now_ns - conn->figures_ns < 5 * QS_MSEC)
		return;
	conn->figures_ns = conn->engine->now_ns;
	ngtcp2_conn_get_conn_info(conn->quic, &info);
#define PUT(field, value) atomic_store_explicit(&f->field, (value), memory_order_relaxed)
	PUT(rtt_us, (uint32_t)(info.smoothed_rtt / 1000));
	PUT(rttvar_us, (uint32_t)(info.rttvar / 1000));
	PUT(min_rtt_us, info.min_rtt == UINT64_MAX ? 0 : (uint32_t)(info.min_rtt / 1000));
	PUT(mss, (uint32_t)ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->quic));
	PUT(cwnd_bytes, (uint32_t)(info.cwnd < UINT32_MAX ? info.cwnd : UINT32_MAX));
	PUT(in_flight_bytes, (uint32_t)info.bytes_in_flight);
	PUT(ssthresh_bytes, info.ssthresh);
	PUT(sent_packets, conn->sent_packets);
	PUT(received_packets, conn->received_packets);
	PUT(delivery_rate, conn->rate);
	if (conn->engine->now_ns - conn->losses_ns >= conn->n_streams * LOSSES_PER_STREAM_NS) {
		uint32_t lost = (uint32_t)qs_conn_lost(conn);

		conn->losses_ns = conn->engine->now_ns;
		PUT(lost_packets, lost);
		PUT(retransmits, lost);
	}
#undef PUT
}
