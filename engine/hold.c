/* SPDX-License-Identifier: MIT */
/* Accepted streams whose app gets nothing before it has accepted them, so that another could. */

/*
 * Theory. When an app closes its listener, what still stands in the queue is reset by the kernel. If nothing
 * was given to such an end, the reset itself proves that nobody had accepted it: an accepted one is reset only for
 * octets that it leaves unread. So its client may open it anew at a sibling (stream_moved.c). Once it was
 * given an octet, nobody can tell any more whether an app has acted on it, and the client sees the reset.
 * So while a sibling serves the same by a listener of its own, as in a restart, what the client sends is
 * held back until the shim's accept() tells us, by one octet with a descriptor, that the end has a reader.
 * The slot asks it to; where no sibling is, accept() makes no call for this, and nothing is held.
 * An app that accepts past the shim (io_uring, a program without it) says nothing: its first stream waits for
 * UNTRIED_NS, and when it then speaks or ends its half, no stream of this engine is held any more. Where accept() has
 * told of itself before (in the option page, which costs it no call), a queue may stand for longer.
 */
#include "hold.h"

#include "conn.h"
#include "listen.h"
#include "log.h"
#include "route.h"
#include "stream_parts.h"

#define UNTRIED_NS QS_NSEC
#define HOLD_NS (10 * QS_NSEC)

bool qs_hold_offer(struct qs_stream *stream)
{
	const struct qs_conn *conn = stream->conn;
	bool held = conn != NULL && !stream->engine->accepts_unsaid &&
		    qs_route_elsewhere(conn->endpoint, &conn->local, conn->rule->alpn, conn->sni,
				       stream->listener->cookie);

	atomic_store_explicit(&qs_stream_slot(stream)->held, held, memory_order_release);
	return held;
}

void qs_hold_begin(struct qs_stream *stream)
{
	struct qs_engine *engine = stream->engine;

	stream->held = stream->filler = true;
	stream->held_until_ns = engine->now_ns + (engine->accepts_said ? HOLD_NS : UNTRIED_NS);
	TAILQ_INSERT_TAIL(&engine->held, stream, held_link);
	if (engine->held_timer.index == 0 || engine->held_timer.at_ns > stream->held_until_ns)
		qs_timer_set(&engine->timers, &engine->held_timer, stream->held_until_ns);
}

void qs_hold_end(struct qs_stream *stream)
{
	if (!stream->held)
		return;
	stream->held = false;
	TAILQ_REMOVE(&stream->engine->held, stream, held_link);
}

bool qs_hold_is_accepted(const struct qs_stream *stream)
{
	return stream->accepted || stream->engine->pages.options[stream->slot].accepted;
}

void qs_hold_learn(struct qs_stream *stream)
{
	if (stream->server && stream->engine->pages.options[stream->slot].accepted)
		stream->engine->accepts_said = true;
}

void qs_hold_accepted(struct qs_stream *stream, bool said)
{
	stream->engine->accepts_said |= said;
	if (!said && !stream->engine->accepts_unsaid) {
		qs_log("stream %lld of pid %d was accepted past the shim: none is held any more",
		       (long long)stream->id, stream->pid);
		stream->engine->accepts_unsaid = true;
	}
	stream->accepted = true;
	stream->filler = false;
	qs_hold_end(stream);
	qs_stream_push_later(stream);
}

/* In the queue, as far as is known, with all that its client has sent. */
static bool stands_unheld(const struct qs_stream *stream)
{
	return stream->server && stream->source.fd >= 0 && !stream->in_backlog && !stream->held &&
	       stream->tx_taken == 0 && !stream->app_eof && !stream->app_gone &&
	       !qs_hold_is_accepted(stream);
}

static bool has_unheld(const struct qs_conn *conn)
{
	const struct qs_stream *stream;

	TAILQ_FOREACH(stream, &conn->streams, conn_link)
	{
		if (stands_unheld(stream))
			return true;
	}
	return false;
}

bool qs_hold_is_settled(const struct qs_endpoint *endpoint, const struct qs_link *link)
{
	const struct qs_engine *engine = endpoint->engine;
	const struct qs_listener *listener;
	const struct qs_conn *conn;

	if (engine->accepts_unsaid)
		return true;
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		if (conn->endpoint != endpoint || !has_unheld(conn))
			continue;
		listener = qs_listener_find(endpoint->engine, endpoint, conn->rule);
		if (listener != NULL &&
		    qs_route_may(link, &conn->local, conn->rule->alpn, conn->sni, listener->cookie))
			return false;
	}
	return true;
}

void qs_hold_expire(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_engine *engine = qs_container(timer, struct qs_engine, held_timer);
	struct qs_stream *stream, *next;

	for (stream = TAILQ_FIRST(&engine->held); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, held_link);
		if (stream->held_until_ns > now_ns)
			continue;
		qs_hold_end(stream);
		qs_stream_push_later(stream);
	}
	/* Not all last equally long; those at the end of the list hardly ever end before its head. */
	stream = TAILQ_FIRST(&engine->held);
	if (stream != NULL)
		qs_timer_set(&engine->timers, timer, stream->held_until_ns);
}
