/* SPDX-License-Identifier: MIT */
/* The stream's way from the peer to the app: what came, until the app has taken it. */
#include "stream_parts.h"

#include "errmap.h"
#include "log.h"
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Larger pieces are given to the app without a copy where nothing waits. */
#define RX_DIRECT 8192u
#define RX_CEILING (64u * 1024u * 1024u)

static void give_credit(struct qs_stream *stream, uint64_t bytes)
{
	if (stream->relay != NULL)
		qs_relay_ready(stream->relay);
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

/* What is about to be given to the app counts already: TCP_INFO must not show less than the app has read. */
static void count_ahead(struct qs_stream *stream, size_t len)
{
	_Atomic uint64_t *count = &qs_stream_slot(stream)->received_bytes;
	uint64_t before = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, before + len, memory_order_relaxed);
}

/* `n` is what the kernel took of `len`, or less than 0; it is given back. */
static ssize_t count_given(struct qs_stream *stream, size_t len, ssize_t n)
{
	_Atomic uint64_t *count = &qs_stream_slot(stream)->received_bytes;
	size_t given = n > 0 ? (size_t)n : 0;

	if (given < len) {
		uint64_t ahead = atomic_load_explicit(count, memory_order_relaxed);

		atomic_store_explicit(count, ahead - (len - given), memory_order_relaxed);
	}
	stream->engine->totals.bytes_received += given;
	return n;
}

static bool rx_keep(struct qs_stream *stream, const uint8_t *data, size_t len)
{
	while (len > 0) {
		struct qs_chunk *tail = stream->rx_tail;
		size_t room = tail != NULL ? tail->cap - tail->end : 0;

		if (room == 0) {
			size_t cap = tail == NULL && len <= QS_CHUNK_SMALL ? QS_CHUNK_SMALL
									   : QS_CHUNK_BIG;

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
	qs_stream_answered(stream);
	if (fin)
		stream->rx_fin = true;
	if (len >= RX_DIRECT && stream->rx_head == NULL && !stream->want_out && !stream->app_deaf &&
	    stream->source.fd >= 0 && !stream->in_backlog && !stream->held) {
		ssize_t n;

		count_ahead(stream, len);
		n = send(stream->source.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count_given(stream, len, n) > 0) {
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

static void rx_drop(struct qs_stream *stream, size_t bytes)
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
}

/* Gives the credit last: that may end the connection and with it what stands here. */
static void rx_consume(struct qs_stream *stream, size_t bytes)
{
	rx_drop(stream, bytes);
	if (!stream->rest)
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

/* What the app's buffer takes at once. True if it has no room for some. */
static bool give_rest(struct qs_stream *stream)
{
	while (stream->rx_head != NULL) {
		const struct qs_chunk *chunk = stream->rx_head;
		size_t len = chunk->end - chunk->start;
		ssize_t n;

		count_ahead(stream, len);
		n = send(stream->source.fd, chunk->data + chunk->start, len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		count_given(stream, len, n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		rx_drop(stream, (size_t)n);
	}
	return false;
}

bool qs_stream_leave_rest(struct qs_stream *stream, int error)
{
	if (stream->source.fd < 0 || stream->app_deaf || stream->in_backlog || !give_rest(stream))
		return false;
	stream->rest = true;
	qs_stream_tell_slot(stream, error);
	/* Nothing that the app writes goes anywhere. */
	shutdown(stream->source.fd, SHUT_RD);
	stream->app_eof = stream->fin_written = true;
	stream->announce = stream->readable = false;
	stream->app_full = true;
	set_want_out(stream, true);
	return true;
}

void qs_stream_push(struct qs_stream *stream)
{
	TAILQ_REMOVE(&stream->engine->flush, stream, flush_link);
	stream->in_flush = false;
	if (stream->source.fd < 0 || stream->in_backlog || stream->held) {
		qs_stream_settle(stream);
		return;
	}
	if (stream->app_full)
		return; /* EPOLLOUT will tell */
	while (stream->rx_head != NULL && stream->source.fd >= 0) {
		struct iovec iov[16];
		struct msghdr msg = {.msg_iov = iov};
		size_t len = 0;
		ssize_t n;

		for (struct qs_chunk *c = stream->rx_head; c != NULL && msg.msg_iovlen < 16;
		     c = c->next) {
			iov[msg.msg_iovlen++] =
				(struct iovec){c->data + c->start, c->end - c->start};
			len += c->end - c->start;
		}
		if (stream->app_deaf && stream->app_gone) { /* it is not even there any more */
			qs_stream_app_reset(stream, false);
			return;
		}
		if (stream->app_deaf) {
			rx_consume(stream, stream->rx_bytes);
			break;
		}
		count_ahead(stream, len);
		n = sendmsg(stream->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count_given(stream, len, n) > 0) {
			rx_consume(stream, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			stream->app_full = true;
			set_want_out(stream, true);
			return;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (errno != EPIPE && errno != ECONNRESET) {
			/* No memory: nothing may be missing in the middle. */
			qs_stream_fail(stream, ECONNRESET, QS_APP_RESET);
			return;
		} else if (!app_is_deaf(stream)) {
			qs_stream_app_reset(stream, false);
			return;
		}
	}
	if (stream->source.fd < 0)
		return; /* credit for it ended the connection: it is in the flush list again */
	if (stream->rest) { /* its errno stands in the slot */
		qs_stream_tell_app(stream, 0);
		qs_stream_settle(stream);
		return;
	}
	set_want_out(stream, false);
	if (stream->rx_fin && !stream->rx_fin_given) {
		qs_slot_begin(qs_stream_slot(stream));
		qs_stream_slot(stream)->fin_given = 1;
		qs_slot_end(qs_stream_slot(stream));
		shutdown(stream->source.fd, SHUT_WR);
		stream->rx_fin_given = true;
	}
	qs_stream_settle(stream);
}
