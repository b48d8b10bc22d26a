/* SPDX-License-Identifier: MIT */
/* The last of what apps wrote, where nothing can outlive them: with process 1 all others of its
 * namespace end, an engine too (DESIGN R2). */
#include "drain.h"

#include "conn.h"
#include "log.h"
#include "relay.h"
#include "stream_parts.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

/* What the app has written is read to its end. */
static void read_out(struct qs_stream *stream)
{
	if (stream->source.fd < 0)
		return;
	shutdown(stream->source.fd, SHUT_RD);
	stream->end_seen = stream->readable = true;
	qs_stream_pull_later(stream);
}

void qs_drain_begin(struct qs_engine *engine)
{
	struct qs_conn *conn;
	struct qs_stream *stream;
	struct qs_relay *relay;

	if (engine->drain_by_ns != 0)
		return;
	engine->drain_by_ns = engine->now_ns + qs_engine_linger_ns(engine);
	qs_log("the engine is about to end: what has been written is sent first");
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		TAILQ_FOREACH(stream, &conn->streams, conn_link)
		read_out(stream);
	}
	TAILQ_FOREACH(relay, &engine->relays, link)
	read_out(relay->stream);
}

bool qs_drain_done(const struct qs_engine *engine)
{
	const struct qs_conn *conn;
	const struct qs_stream *stream;
	const struct qs_relay *relay;
	ngtcp2_conn_info info;

	if (engine->now_ns >= engine->drain_by_ns)
		return true;
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		if (conn->state == QS_CONNECTION_CLOSING || conn->poisoned || conn->n_streams == 0)
			continue;
		TAILQ_FOREACH(stream, &conn->streams, conn_link)
		{
			if (stream->source.fd >= 0 && !stream->fin_written)
				return false;
		}
		ngtcp2_conn_get_conn_info(conn->quic, &info);
		if (info.bytes_in_flight > 0)
			return false;
	}
	/* What the kernel has of a relay's is its own to send. */
	TAILQ_FOREACH(relay, &engine->relays, link)
	{
		if (relay->stream->source.fd >= 0 && !relay->stream->fin_written)
			return false;
	}
	return true;
}

static bool has_unread(const struct qs_stream *stream)
{
	int octets = 0;

	return stream->source.fd >= 0 && ioctl(stream->source.fd, FIONREAD, &octets) == 0 &&
	       octets > 0;
}

bool qs_drain_is_quiet(const struct qs_engine *engine)
{
	const struct qs_conn *conn;
	const struct qs_stream *stream;
	const struct qs_relay *relay;

	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		if (conn->state == QS_CONNECTION_CLOSING || conn->poisoned)
			continue;
		TAILQ_FOREACH(stream, &conn->streams, conn_link)
		{
			uint64_t acked =
				stream->tx_acked > stream->kept ? stream->tx_acked : stream->kept;

			if (has_unread(stream) || acked < stream->tx_taken)
				return false;
		}
	}
	TAILQ_FOREACH(relay, &engine->relays, link)
	{
		stream = relay->stream;
		if (has_unread(stream) || stream->tx_written < stream->tx_taken)
			return false;
	}
	return true;
}
