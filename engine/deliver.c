/* SPDX-License-Identifier: MIT */
/* New streams go to a listener of their endpoint: at once, when its queue has room, or not at all. */
#include "listen.h"

#include "conn.h"
#include "errmap.h"
#include "hold.h"
#include "log.h"
#include "route.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG_NS (10 * QS_NSEC) /* then a stream whose listener's queue stays full is refused */
#define RETRY_NS (2 * QS_MSEC)
#define BACKLOG_MAX 1024u /* streams that wait for one listener's full queue */

socklen_t qs_listener_path(const struct qs_listener *listener, struct sockaddr_un *out)
{
	out->sun_family = AF_UNIX;
	snprintf(out->sun_path, sizeof(out->sun_path), "/proc/thread-self/fd/%d",
		 listener->path_fd);
	return sizeof(*out);
}

bool qs_listener_serves(const struct qs_listener *listener, const struct qs_endpoint *endpoint)
{
	return listener->endpoints[0] == endpoint || listener->endpoints[1] == endpoint;
}

struct qs_listener *qs_listener_find(struct qs_engine *engine, const struct qs_endpoint *endpoint,
				     const struct qs_rule *rule)
{
	struct qs_listener *listener;

	TAILQ_FOREACH(listener, &engine->listeners, link)
	{
		if (qs_listener_serves(listener, endpoint) && listener->rule == rule &&
		    !listener->gone && !listener->tentative)
			return listener;
	}
	return NULL;
}

struct qs_listener *qs_listener_by_id(struct qs_engine *engine, const struct qs_endpoint *endpoint,
				      uint32_t id)
{
	struct qs_listener *listener;

	TAILQ_FOREACH(listener, &engine->listeners, link)
	{
		if (listener->id == id)
			return qs_listener_serves(listener, endpoint) && !listener->gone &&
					       !listener->tentative
				       ? listener
				       : NULL;
	}
	return NULL;
}

/* Listeners of one endpoint and rule take turns: the one that serves goes to the end. */
static struct qs_listener *choose(const struct qs_conn *conn)
{
	struct qs_engine *engine = conn->engine;
	struct qs_listener *listener = qs_listener_find(engine, conn->endpoint, conn->rule);

	if (listener != NULL && conn->endpoint->n_listeners > 1) {
		TAILQ_REMOVE(&engine->listeners, listener, link);
		TAILQ_INSERT_TAIL(&engine->listeners, listener, link);
	}
	return listener;
}

/* Connects the stream's end to the listener. 0, -EAGAIN when its queue is full, or -errno. */
static int try_deliver(struct qs_stream *stream)
{
	struct sockaddr_un addr;
	socklen_t len = qs_listener_path(stream->listener, &addr);
	bool hold = qs_hold_offer(stream);

	if (connect(stream->source.fd, (struct sockaddr *)&addr, len) < 0)
		return -errno;
	stream->listener->accepted++;
	stream->engine->totals.streams_accepted++;
	stream->listener = NULL;
	if (hold)
		qs_hold_begin(stream);
	return qs_stream_start(stream);
}

/* The same, and what finds a listener gone goes to the next one. This may be a callback, where
 * connections can't be ended: the sweep ends the listener. */
static int deliver_any(struct qs_stream *stream, const struct qs_conn *conn)
{
	struct qs_engine *engine = stream->engine;

	for (;;) {
		struct qs_listener *listener = stream->listener, *next;
		int rv = try_deliver(stream);

		if (rv != -ECONNREFUSED)
			return rv;
		listener->gone = true;
		qs_timer_set(&engine->timers, &engine->sweep, engine->now_ns);
		next = choose(conn);
		if (next == NULL)
			return rv;
		stream->listener = next;
	}
}

/* An end that is named with the stream's record. Returns the descriptor or -errno. */
static int named_end(struct qs_engine *engine, uint32_t slot, const struct qs_addr *local,
		     const struct qs_addr *peer)
{
	struct qs_record record = {.engine = engine->identity.id,
				   .slot = slot,
				   .generation = qs_pages_slot(&engine->pages, slot)->generation,
				   .local = *local,
				   .peer = *peer};
	struct sockaddr_un addr;
	socklen_t len = qs_record_encode(&record, &addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rv;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, len) < 0) {
		rv = -errno;
		close(fd);
		return rv;
	}
	return fd;
}

uint64_t qs_listener_refusal(const struct qs_conn *conn)
{
	if (qs_listener_find(conn->engine, conn->endpoint, conn->rule) == NULL &&
	    qs_route_elsewhere(conn->endpoint, &conn->local, conn->rule->alpn, conn->sni, 0))
		return QS_APP_MOVED;
	return QS_APP_REFUSED;
}

static void refuse(struct qs_conn *conn, struct qs_listener *listener, int64_t stream_id)
{
	if (listener != NULL)
		listener->refused++;
	conn->engine->totals.streams_refused++;
	qs_conn_shutdown_stream(conn, stream_id, qs_listener_refusal(conn));
}

void qs_listener_deliver(struct qs_conn *conn, int64_t stream_id)
{
	struct qs_engine *engine = conn->engine;
	struct qs_listener *listener = choose(conn);
	struct qs_addr local = conn->local;
	struct qs_stream *stream = NULL;
	uint32_t slot;
	int fd, rv;

	slot = listener != NULL
		       ? qs_pages_take(&engine->pages, true, &engine->pages.options[listener->slot])
		       : QS_SLOT_NONE;
	if (slot == QS_SLOT_NONE) {
		refuse(conn, listener, stream_id);
		return;
	}
	engine->pages.options[slot].ignored = 0; /* counted with the listener */
	local.port = listener->address.port;
	fd = named_end(engine, slot, &local, &conn->peer);
	if (fd >= 0)
		stream = qs_stream_new(engine, fd, slot, true);
	if (stream == NULL) {
		qs_log("a stream was refused: %s", fd < 0 ? strerrorname_np(-fd) : "ENOMEM");
		if (fd >= 0)
			close(fd);
		qs_pages_release(&engine->pages, slot);
		refuse(conn, listener, stream_id);
		return;
	}
	stream->pid = listener->pid;
	stream->rule_line = (uint32_t)listener->rule->line;
	stream->listener = listener;
	qs_stream_attach(stream, conn, stream_id, &local, &conn->peer);
	ngtcp2_conn_set_stream_user_data(conn->quic, stream_id, stream);
	rv = deliver_any(stream, conn);
	listener = stream->listener != NULL ? stream->listener : listener;
	if (rv == -EAGAIN && listener->n_backlog >= BACKLOG_MAX)
		rv = -ECONNREFUSED;
	if (rv == -EAGAIN) {
		listener->n_backlog++;
		stream->in_backlog = true;
		stream->backlog_until_ns = engine->now_ns + BACKLOG_NS;
		TAILQ_INSERT_TAIL(&engine->backlog, stream, backlog_link);
		if (engine->backlog_timer.index == 0)
			qs_timer_set(&engine->timers, &engine->backlog_timer,
				     engine->now_ns + RETRY_NS);
	} else if (rv < 0) {
		listener->refused++;
		engine->totals.streams_refused++;
		stream->listener = NULL;
		qs_stream_fail(stream, 0, qs_listener_refusal(conn));
	}
}

void qs_listener_retry(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_engine *engine = qs_container(timer, struct qs_engine, backlog_timer);
	struct qs_stream *stream, *next;

	for (stream = TAILQ_FIRST(&engine->backlog); stream != NULL; stream = next) {
		struct qs_listener *listener = stream->listener;
		/* One full queue is asked once a pass, however many streams wait for it. */
		int rv = listener->full_ns == now_ns ? -EAGAIN : try_deliver(stream);

		next = TAILQ_NEXT(stream, backlog_link);
		if (rv == -EAGAIN)
			listener->full_ns = now_ns;
		if (rv == -EAGAIN && now_ns < stream->backlog_until_ns)
			continue;
		listener->n_backlog--;
		TAILQ_REMOVE(&engine->backlog, stream, backlog_link);
		stream->in_backlog = false;
		if (rv == 0) {
			qs_stream_push_later(stream);
			continue;
		}
		engine->totals.streams_refused++;
		if (stream->listener != NULL)
			stream->listener->refused++;
		stream->listener = NULL;
		listener->gone |= rv == -ECONNREFUSED;
		qs_stream_fail(stream, 0,
			       stream->conn != NULL ? qs_listener_refusal(stream->conn)
						    : QS_APP_REFUSED);
	}
	if (!TAILQ_EMPTY(&engine->backlog))
		qs_timer_set(&engine->timers, timer, now_ns + RETRY_NS);
}
