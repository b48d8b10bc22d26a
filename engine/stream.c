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
 * that a slow path stops the app as a full TCP send buffer would.
 *
 * How a stream ends. FIN of the app: read gives 0, `app_eof`. Close of the app: EPOLLHUP,
 * `app_gone`; with bytes unread the kernel says ECONNRESET: reset. Data for an app that is gone:
 * reset, as TCP does. FIN of the peer: after all data, shutdown(SHUT_WR) on our end, which leaves
 * the app's writing alone. Reset of the peer: the errno goes into the slot, then our end is closed.
 * The object lives until both the QUIC stream is closed (conn == NULL) and the app's side is
 * served.
 *
 * Limits: rx is bounded by the stream's window; tx by TX_HIGH unsent plus what the congestion
 * window holds.
 */
#include "stream.h"

#include "conn.h"
#include "errmap.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TX_HIGH (512u * 1024u)
#define COPY_BELOW 16384u /* smaller reads are copied into a chunk of their size */
#define SMALL_CHUNK (4096u - 64u)
#define RX_DIRECT                                                                                  \
	8192u /* larger pieces are given to the app without a copy where nothing waits   \
			 */
#define RX_CEILING (64u * 1024u * 1024u)
#define TO_APP_OCTETS                                                                              \
	(512 * 1024) /* doubled by the kernel; with its default loopback bulk is a fifth slower */
#define READ_AGAIN (-2) /* app_read: nothing for the peer yet */
#define NO_MEMORY (-3)
#define ORPHAN_NS (60 * QS_NSEC) /* as tcp_fin_timeout */

static void stream_event(struct qs_source *source, uint32_t events);

struct qs_stream *qs_stream_new(struct qs_engine *engine, int fd, uint32_t slot, bool server)
{
	struct qs_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		return NULL;
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

static struct qs_slot *stream_slot(const struct qs_stream *stream)
{
	return qs_pages_slot(&stream->engine->pages, stream->slot);
}

int qs_stream_start(struct qs_stream *stream)
{
	int octets = TO_APP_OCTETS;

	if (setsockopt(stream->source.fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof(octets)) < 0)
		setsockopt(stream->source.fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	return qs_source_add(stream->engine, &stream->source, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

void qs_stream_attach(struct qs_stream *stream, struct qs_conn *conn, int64_t id,
		      const struct qs_addr *local, const struct qs_addr *peer)
{
	struct qs_slot *slot = stream_slot(stream);

	stream->conn = conn;
	stream->id = id;
	TAILQ_INSERT_TAIL(&conn->streams, stream, conn_link);
	conn->n_streams++;
	conn->streams_total++;
	qs_slot_begin(slot);
	slot->state = QS_SLOT_OPEN;
	slot->path = conn->path;
	slot->local = *local;
	slot->peer = *peer;
	slot->rule_line = stream->rule_line;
	slot->opened_ns = stream->opened_ns;
	qs_slot_end(slot);
}

static void stream_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_stream, grave));
}

static void free_chunks(struct qs_engine *engine, struct qs_chunk **head, struct qs_chunk **tail)
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
	if (stream->source.fd >= 0)
		qs_source_close(engine, &stream->source);
	free_chunks(engine, &stream->rx_head, &stream->rx_tail);
	free_chunks(engine, &stream->tx_head, &stream->tx_tail);
	qs_pages_release(&engine->pages, stream->slot);
	engine->n_streams--;
	engine->active_ns = engine->now_ns;
	qs_engine_bury(engine, &stream->grave, stream_grave);
}

/* Frees it if nothing more can happen on either side. */
static void stream_settle(struct qs_stream *stream)
{
	if (stream->conn != NULL)
		return;
	if (stream->source.fd >= 0 &&
	    (stream->rx_head != NULL || (stream->rx_fin && !stream->rx_fin_given)))
		return;
	if (stream->in_backlog && stream->source.fd >= 0)
		return;
	stream_free(stream);
}

static void want_read(struct qs_stream *stream)
{
	if (!stream->in_readable && stream->source.fd >= 0) {
		TAILQ_INSERT_TAIL(&stream->engine->readable, stream, readable_link);
		stream->in_readable = true;
	}
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
		want_read(stream);
	}
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) &&
	    (stream->rx_head != NULL || stream->want_out)) {
		stream->app_full = false;
		qs_stream_push_later(stream);
	}
}

/* --- tx --- */

static void tx_append(struct qs_stream *stream, struct qs_chunk *chunk)
{
	if (stream->tx_tail != NULL)
		stream->tx_tail->next = chunk;
	else
		stream->tx_head = chunk;
	stream->tx_tail = chunk;
	if (stream->tx_cursor == NULL) {
		stream->tx_cursor = chunk;
		stream->tx_cursor_at = chunk->start;
	}
}

/* Keeps what was just read into `chunk`: copied when small. Returns false if there is no memory. */
static bool tx_keep(struct qs_stream *stream, struct qs_chunk *chunk, size_t n, bool *taken)
{
	struct qs_chunk *tail = stream->tx_tail;

	*taken = false;
	if (n <= COPY_BELOW) {
		if (tail == NULL || tail->cap - tail->end < n) {
			tail = qs_chunk_new(stream->engine, n <= SMALL_CHUNK ? SMALL_CHUNK : n);
			if (tail == NULL)
				return false;
			memcpy(tail->data, chunk->data, n);
			tail->end = (uint32_t)n;
			tx_append(stream, tail);
			return true;
		}
		memcpy(tail->data + tail->end, chunk->data, n);
		tail->end += (uint32_t)n;
		if (stream->tx_cursor == NULL) {
			stream->tx_cursor = tail;
			stream->tx_cursor_at = tail->end - (uint32_t)n;
		}
		return true;
	}
	chunk->end = (uint32_t)n;
	tx_append(stream, chunk);
	*taken = true;
	return true;
}

static ssize_t app_read(struct qs_stream *stream, void *buf, size_t size)
{
	char control[CMSG_SPACE(sizeof(int) * 4)];
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	if (stream->skip > 0) {
		n = recv(stream->source.fd, buf, size < stream->skip ? size : stream->skip,
			 MSG_DONTWAIT);
		if (n <= 0)
			return n;
		stream->skip -= (uint32_t)n;
		return READ_AGAIN;
	}
	if (!stream->filler)
		return recv(stream->source.fd, buf, size, MSG_DONTWAIT);
	n = recvmsg(stream->source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n;
	if (!stream->filler_due)
		stream->filler = false;
	c = CMSG_FIRSTHDR(&msg);
	if (c == NULL || c->cmsg_type != SCM_RIGHTS)
		return n;
	for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		close(fd);
	}
	/* The kernel reads no further than the piece that brought descriptors: the filler is the
	 * last byte. */
	stream->filler = false;
	stream->reread = true; /* what came behind it is still there */
	return n == 1 ? READ_AGAIN : n - 1;
}

static uint64_t unsent(const struct qs_stream *stream)
{
	return stream->tx_taken - stream->tx_written;
}

/* The app's end said ECONNRESET or is shut: what TCP would make of it. */
static void app_reset(struct qs_stream *stream)
{
	stream->app_gone = true;
	stream->readable = false;
	qs_stream_fail(stream, 0, QS_APP_RESET);
}

static void app_ended(struct qs_stream *stream)
{
	struct qs_options *options = &stream->engine->pages.options[stream->slot];
	struct pollfd pfd = {.fd = stream->source.fd};

	stream->readable = false;
	stream->app_eof = true;
	/* An end that was read before its event came: was it shutdown() or close()? */
	if (!stream->app_gone && poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLHUP | POLLERR))
		stream->app_gone = true;
	qs_log("stream %lld of pid %d: the app's end: %s, linger %u %u", (long long)stream->id,
	       stream->pid, stream->app_gone ? "closed" : "shut down", options->linger_on,
	       options->linger_s);
	if (stream->app_gone && !stream->rx_fin_given && options->linger_on == 1 &&
	    options->linger_s == 0) {
		app_reset(stream);
		return;
	}
	if (stream->app_gone && stream->orphan_ns == 0)
		stream->orphan_ns = stream->engine->now_ns;
	if (stream->conn != NULL && !stream->fin_written)
		qs_conn_stream_ready(stream->conn, stream);
}

void qs_stream_pull(struct qs_stream *stream)
{
	struct qs_engine *engine = stream->engine;

	TAILQ_REMOVE(&engine->readable, stream, readable_link);
	stream->in_readable = false;
	while (stream->readable && !stream->app_eof && stream->source.fd >= 0 &&
	       unsent(stream) < TX_HIGH) {
		struct qs_chunk *chunk = qs_chunk_new(engine, QS_CHUNK_BIG);
		bool taken = false;
		ssize_t n;

		if (chunk == NULL) {
			app_reset(stream);
			return;
		}
		stream->reread = false;
		n = app_read(stream, chunk->data, QS_CHUNK_BIG);
		if (n > 0 && !tx_keep(stream, chunk, (size_t)n, &taken))
			n = NO_MEMORY;
		if (!taken)
			qs_chunk_free(engine, chunk);
		if (n > 0) {
			stream->tx_taken += (uint64_t)n;
			atomic_store_explicit(&stream_slot(stream)->sent_bytes, stream->tx_taken,
					      memory_order_relaxed);
			engine->totals.bytes_sent += (uint64_t)n;
			if (stream->conn != NULL)
				qs_conn_stream_ready(stream->conn, stream);
			/* A short read means that the kernel has no more: a later write is a new
			 * edge. An end is none. */
			if ((size_t)n < QS_CHUNK_BIG && !stream->end_seen && !stream->reread)
				stream->readable = false;
		} else if (n == 0) {
			app_ended(stream);
		} else if (n == READ_AGAIN) {
			continue;
		} else if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			stream->readable = false;
		} else {
			app_reset(stream);
			return;
		}
	}
	/* EOF was read before the hang-up was seen (shutdown, then close): the app is gone only
	 * now. */
	if (stream->readable && stream->app_eof && stream->app_gone)
		app_ended(stream);
}

bool qs_stream_wants_write(const struct qs_stream *stream)
{
	if (stream->tx_blocked || stream->fin_written)
		return stream->announce;
	return stream->announce || unsent(stream) > 0 || stream->app_eof;
}

size_t qs_stream_unsent(struct qs_stream *stream, ngtcp2_vec *vec, size_t cap, size_t enough,
			bool *fin)
{
	struct qs_chunk *chunk = stream->tx_cursor;
	uint32_t at = stream->tx_cursor_at;
	size_t n = 0, total = 0;

	while (chunk != NULL && n < cap && total < enough) {
		if (chunk->end > at) {
			vec[n].base = chunk->data + at;
			vec[n].len = chunk->end - at;
			total += vec[n].len;
			n++;
		}
		chunk = chunk->next;
		at = chunk != NULL ? chunk->start : 0;
	}
	*fin = stream->app_eof && chunk == NULL;
	return n;
}

void qs_stream_wrote(struct qs_stream *stream, size_t bytes, bool fin)
{
	stream->announce = false;
	stream->tx_written += bytes;
	while (bytes > 0) {
		uint32_t left = stream->tx_cursor->end - stream->tx_cursor_at;

		if (bytes < left) {
			stream->tx_cursor_at += (uint32_t)bytes;
			break;
		}
		bytes -= left;
		stream->tx_cursor_at = stream->tx_cursor->end;
		if (stream->tx_cursor->next == NULL) {
			if (stream->tx_cursor->end == stream->tx_cursor->cap)
				stream->tx_cursor = NULL;
			break;
		}
		stream->tx_cursor = stream->tx_cursor->next;
		stream->tx_cursor_at = stream->tx_cursor->start;
	}
	if (fin && unsent(stream) == 0 && stream->app_eof)
		stream->fin_written = true;
	if (stream->readable && unsent(stream) < TX_HIGH / 2)
		want_read(stream);
}

void qs_stream_acked(struct qs_stream *stream, uint64_t end)
{
	while (stream->tx_head != NULL && end > stream->tx_acked) {
		struct qs_chunk *chunk = stream->tx_head;
		uint64_t n = end - stream->tx_acked;

		if (n < chunk->end - chunk->start) {
			chunk->start += (uint32_t)n;
			stream->tx_acked = end;
			break;
		}
		n = chunk->end - chunk->start;
		stream->tx_acked += n;
		chunk->start = chunk->end;
		/* The tail may still be filled, unless nothing is left to wait for. */
		stream->tx_head = chunk->next;
		if (chunk == stream->tx_tail)
			stream->tx_tail = NULL;
		if (chunk == stream->tx_cursor) {
			stream->tx_cursor = chunk->next;
			stream->tx_cursor_at = chunk->next != NULL ? chunk->next->start : 0;
		}
		qs_chunk_free(stream->engine, chunk);
	}
	if (stream->orphan_ns != 0)
		stream->orphan_ns = stream->engine->now_ns; /* it goes on */
	atomic_store_explicit(&stream_slot(stream)->acked_bytes, stream->tx_acked,
			      memory_order_relaxed);
}

/* --- rx --- */

static void give_credit(struct qs_stream *stream, uint64_t bytes)
{
	if (stream->conn == NULL)
		return;
	/* Only what will be consumed again later can wait. */
	if (stream->conn->rx_buffered > RX_CEILING && stream->rx_bytes > 0) {
		stream->rx_owed += bytes;
		return;
	}
	qs_conn_extend_stream(stream->conn, stream->id, bytes + stream->rx_owed);
	stream->rx_owed = 0;
}

static void count_given(struct qs_stream *stream, size_t n)
{
	struct qs_slot *slot = stream_slot(stream);
	uint64_t before = atomic_load_explicit(&slot->received_bytes, memory_order_relaxed);

	atomic_store_explicit(&slot->received_bytes, before + n, memory_order_relaxed);
	stream->engine->totals.bytes_received += n;
}

static bool rx_keep(struct qs_stream *stream, const uint8_t *data, size_t len)
{
	while (len > 0) {
		struct qs_chunk *tail = stream->rx_tail;
		size_t room = tail != NULL ? tail->cap - tail->end : 0;

		if (room == 0) {
			size_t cap =
				tail == NULL && len <= SMALL_CHUNK ? SMALL_CHUNK : QS_CHUNK_BIG;

			tail = qs_chunk_new(stream->engine, cap);
			if (tail == NULL)
				return false;
			if (stream->rx_tail != NULL)
				stream->rx_tail->next = tail;
			else
				stream->rx_head = tail;
			stream->rx_tail = tail;
			room = cap;
		}
		if (room > len)
			room = len;
		memcpy(tail->data + tail->end, data, room);
		tail->end += (uint32_t)room;
		stream->rx_bytes += room;
		if (stream->conn != NULL)
			stream->conn->rx_buffered += room;
		data += room;
		len -= room;
	}
	return true;
}

void qs_stream_received(struct qs_stream *stream, const uint8_t *data, size_t len, bool fin)
{
	if (stream->source.fd < 0)
		return; /* ended already: what still comes is discarded */
	if (fin)
		stream->rx_fin = true;
	if (len >= RX_DIRECT && stream->rx_head == NULL && !stream->want_out && !stream->app_deaf &&
	    stream->source.fd >= 0 && !stream->in_backlog) {
		ssize_t n = send(stream->source.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			count_given(stream, (size_t)n);
			give_credit(stream, (uint64_t)n);
			data += n;
			len -= (size_t)n;
		}
	}
	if (!rx_keep(stream, data, len)) {
		qs_stream_fail(stream, ECONNRESET,
			       QS_APP_RESET); /* no memory: nothing may be missing in the middle */
		return;
	}
	qs_stream_push_later(stream);
}

/* Gives the credit last: that may end the connection and with it what stands here. */
static void rx_consume(struct qs_stream *stream, size_t bytes)
{
	size_t n = bytes;

	stream->rx_bytes -= bytes;
	if (stream->conn != NULL)
		stream->conn->rx_buffered -= bytes;
	while (n > 0) {
		struct qs_chunk *chunk = stream->rx_head;
		uint32_t left = chunk->end - chunk->start;

		if (n < left) {
			chunk->start += (uint32_t)n;
			break;
		}
		n -= left;
		stream->rx_head = chunk->next;
		if (stream->rx_head == NULL)
			stream->rx_tail = NULL;
		qs_chunk_free(stream->engine, chunk);
	}
	give_credit(stream, bytes);
}

static void set_want_out(struct qs_stream *stream, bool on)
{
	if (stream->want_out == on)
		return;
	stream->want_out = on;
	qs_source_modify(stream->engine, &stream->source,
			 EPOLLIN | EPOLLRDHUP | EPOLLET | (on ? EPOLLOUT : 0u));
}

/* The app takes no data: it has shut down reading (go on for nobody), or it is gone (reset). True
 * if deaf. */
static bool app_is_deaf(struct qs_stream *stream)
{
	struct pollfd pfd = {.fd = stream->source.fd};

	if (stream->app_gone || poll(&pfd, 1, 0) < 0 || pfd.revents & (POLLHUP | POLLERR))
		return false;
	stream->app_deaf = true;
	return true;
}

void qs_stream_push(struct qs_stream *stream)
{
	TAILQ_REMOVE(&stream->engine->flush, stream, flush_link);
	stream->in_flush = false;
	if (stream->source.fd < 0 || stream->in_backlog) {
		stream_settle(stream);
		return;
	}
	if (stream->app_full)
		return; /* EPOLLOUT will tell */
	while (stream->rx_head != NULL && stream->source.fd >= 0) {
		struct iovec iov[16];
		struct msghdr msg = {.msg_iov = iov};
		ssize_t n;

		for (struct qs_chunk *c = stream->rx_head; c != NULL && msg.msg_iovlen < 16;
		     c = c->next)
			iov[msg.msg_iovlen++] =
				(struct iovec){c->data + c->start, c->end - c->start};
		if (stream->app_deaf) {
			rx_consume(stream, stream->rx_bytes);
			break;
		}
		n = sendmsg(stream->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			count_given(stream, (size_t)n);
			rx_consume(stream, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			stream->app_full = true;
			set_want_out(stream, true);
			return;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (!app_is_deaf(stream)) {
			app_reset(stream);
			return;
		}
	}
	if (stream->source.fd < 0)
		return; /* credit for it ended the connection: it is in the flush list again */
	set_want_out(stream, false);
	if (stream->rx_fin && !stream->rx_fin_given) {
		qs_slot_begin(stream_slot(stream));
		stream_slot(stream)->fin_given = 1;
		qs_slot_end(stream_slot(stream));
		shutdown(stream->source.fd, SHUT_WR);
		stream->rx_fin_given = true;
	}
	stream_settle(stream);
}

/* --- ends --- */

void qs_stream_closed(struct qs_stream *stream)
{
	struct qs_conn *conn = stream->conn;

	if (conn == NULL)
		return;
	TAILQ_REMOVE(&conn->streams, stream, conn_link);
	conn->n_streams--;
	if (stream->in_ready)
		TAILQ_REMOVE(&conn->ready, stream, ready_link);
	stream->in_ready = false;
	conn->rx_buffered -= stream->rx_bytes;
	stream->conn = NULL;
	if (conn->n_streams == 0)
		conn->idle_since_ns = conn->engine->now_ns;
	free_chunks(stream->engine, &stream->tx_head, &stream->tx_tail);
	stream->tx_cursor = NULL;
	/* What the app has not got yet goes out in the flush phase, which also ends the object. */
	qs_stream_push_later(stream);
}

static void tell_app(struct qs_stream *stream, int error)
{
	struct qs_slot *slot = stream_slot(stream);

	if (slot->state != QS_SLOT_ENDED) { /* the first end is the one to tell */
		qs_slot_begin(slot);
		slot->error = error;
		slot->state = QS_SLOT_ENDED;
		qs_slot_end(slot);
	}
	if (stream->source.fd >= 0)
		qs_source_close(stream->engine, &stream->source);
}

void qs_stream_fail(struct qs_stream *stream, int error, uint64_t code)
{
	struct qs_conn *conn = stream->conn;

	if (error != 0 && stream->rx_head != NULL && !stream->app_deaf && !stream->in_backlog &&
	    stream->source.fd >= 0) {
		/* What has arrived before the end is the app's, as far as its buffer goes. */
		for (struct qs_chunk *c = stream->rx_head; c != NULL; c = c->next) {
			ssize_t n = send(stream->source.fd, c->data + c->start, c->end - c->start,
					 MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n > 0)
				count_given(stream, (size_t)n);
			if (n != (ssize_t)(c->end - c->start))
				break;
		}
	}
	if (conn != NULL && conn->n_streams > 0)
		conn->rx_buffered -= stream->rx_bytes;
	stream->rx_bytes = 0;
	free_chunks(stream->engine, &stream->rx_head, &stream->rx_tail);
	tell_app(stream, error);
	if (conn != NULL)
		qs_conn_shutdown_stream(conn, stream->id, code);
	else
		qs_stream_push_later(stream);
}

void qs_stream_sweep(struct qs_stream *stream)
{
	if (stream->orphan_ns != 0 && stream->conn != NULL &&
	    stream->engine->now_ns - stream->orphan_ns > ORPHAN_NS)
		qs_stream_fail(stream, 0, QS_APP_RESET);
}
