/* SPDX-License-Identifier: MIT */
/* The stream's way from the app to the peer: what the app wrote, until it is acknowledged. */
#include "stream_parts.h"

#include "errmap.h"
#include "hold.h"
#include "listen.h"
#include "log.h"
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Read ahead of what is sent: no more than stays in the processor's cache until it is encrypted. */
#define TX_HIGH (128u * 1024u)
#define COPY_BELOW 16384u /* smaller reads are copied into a chunk of their size */
#define READ_AGAIN (-2) /* app_read: nothing for the peer yet */
#define NO_MEMORY (-3)

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
			tail = qs_chunk_new(stream->engine,
					    n <= QS_CHUNK_SMALL ? QS_CHUNK_SMALL : n);
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
	bool brought;
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
	brought = c != NULL ||
		  (msg.msg_flags & MSG_CTRUNC) != 0; /* truncated: there was no room for it */
	if (stream->server)
		qs_hold_accepted(stream, brought);
	if (!brought)
		return n;
	for (size_t i = 0; c != NULL && CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
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

bool qs_stream_has_unacked(const struct qs_stream *stream)
{
	return stream->tx_taken > stream->tx_acked && stream->tx_taken > stream->kept;
}

/* Reads once from the app, and keeps what came. As app_read, or NO_MEMORY. */
static ssize_t take(struct qs_stream *stream)
{
	struct qs_chunk *chunk = qs_chunk_new(stream->engine, QS_CHUNK_BIG);
	bool taken = false;
	ssize_t n;
	int error;

	if (chunk == NULL)
		return NO_MEMORY;
	n = app_read(stream, chunk->data, QS_CHUNK_BIG);
	error = errno;
	stream->was_reset |= n == -1 && error == ECONNRESET;
	if (n > 0 && !tx_keep(stream, chunk, (size_t)n, &taken))
		n = NO_MEMORY;
	if (!taken)
		qs_chunk_free(stream->engine, chunk);
	if (n > 0) {
		if (stream->tx_taken == 0)
			qs_hold_learn(stream);
		if (!qs_stream_has_unacked(stream))
			stream->progress_ns = stream->engine->now_ns;
		stream->tx_taken += (uint64_t)n;
		atomic_store_explicit(&qs_stream_slot(stream)->sent_bytes, stream->tx_taken,
				      memory_order_relaxed);
		stream->engine->totals.bytes_sent += (uint64_t)n;
	}
	errno = error;
	return n;
}

static uint64_t unsent(const struct qs_stream *stream)
{
	return stream->tx_taken - stream->tx_written;
}

/*
 * An end that was given nothing and said nothing, and is reset by the kernel: it was in the queue of a listener that
 * was closed (hold.c). Its client may try elsewhere.
 */
static uint64_t reset_code(const struct qs_stream *stream)
{
	struct qs_listener *listener;

	if (!stream->was_reset || !stream->server || qs_hold_is_accepted(stream) ||
	    stream->conn == NULL || stream->tx_taken > 0 ||
	    atomic_load_explicit(&qs_stream_slot(stream)->received_bytes, memory_order_relaxed) > 0)
		return QS_APP_RESET;
	listener = qs_listener_find(stream->engine, stream->conn->endpoint, stream->conn->rule);
	if (listener != NULL)
		qs_listener_probe(listener);
	return stream->conn != NULL && qs_listener_refusal(stream->conn) == QS_APP_MOVED
		       ? QS_APP_MOVED
		       : QS_APP_RESET;
}

/* What the app wrote before its end is still in the socket. True if it closed in order, with nothing unread. `reset`:
 * the kernel has said already that it did not. */
static bool read_rest(struct qs_stream *stream, bool reset)
{
	for (;;) {
		ssize_t n = take(stream);

		if (n == 0)
			return !reset;
		if (n == -1 && errno == ECONNRESET && !reset)
			reset = true; /* said once, before what it wrote */
		else if (n <= 0 && n != READ_AGAIN)
			return false;
	}
}

static bool is_abortive(const struct qs_stream *stream)
{
	const struct qs_options *options = &stream->engine->pages.options[stream->slot];

	return options->linger_on == 1 && options->linger_s == 0;
}

/*
 * The reset of TCP comes behind what was sent before it, but RESET_STREAM takes back what has not arrived: it waits
 * until the peer has acknowledged all (qs_stream_acked).
 */
void qs_stream_app_reset(struct qs_stream *stream, bool reset)
{
	uint64_t code;

	stream->app_gone = true;
	stream->readable = false;
	qs_hold_learn(stream);
	if (stream->conn != NULL && stream->source.fd >= 0 && !is_abortive(stream)) {
		stream->app_eof |= read_rest(stream, reset);
		if (qs_stream_has_unacked(stream)) {
			stream->reset_due = true;
			stream->orphan_ns = stream->engine->now_ns;
			qs_stream_tell_app(stream, 0);
			qs_stream_ready(stream);
			return;
		}
	}
	/* TCP had sent it when the app wrote it. */
	if (stream->relay != NULL && stream->source.fd >= 0 && !is_abortive(stream)) {
		read_rest(stream, reset);
		qs_relay_flush(stream->relay);
	}
	code = reset_code(stream);
	qs_log("stream %lld of pid %d: its end is reset: %s, given %llu, accepted %d, %llu ms old",
	       (long long)stream->id, stream->pid, code == QS_APP_MOVED ? "moved" : "ended",
	       (unsigned long long)atomic_load_explicit(&qs_stream_slot(stream)->received_bytes,
							memory_order_relaxed),
	       qs_hold_is_accepted(stream),
	       (unsigned long long)((stream->engine->now_ns - stream->opened_ns) / QS_MSEC));
	qs_stream_fail(stream, 0, code);
}

/* Closed before it was given what waits here: no octet stood in its buffer, of which the kernel would tell. */
static bool closed_unread(const struct qs_stream *stream)
{
	return stream->app_gone && stream->accepted && stream->rx_head != NULL &&
	       atomic_load_explicit(&qs_stream_slot(stream)->received_bytes,
				    memory_order_relaxed) == 0;
}

static void app_ended(struct qs_stream *stream)
{
	struct qs_options *options = &stream->engine->pages.options[stream->slot];
	struct pollfd pfd = {.fd = stream->source.fd};

	stream->readable = false;
	stream->app_eof = true;
	if (stream->server && stream->filler)
		qs_hold_accepted(stream, false);
	qs_hold_learn(stream);
	/* An end that was read before its event came: was it shutdown() or close()? */
	if (!stream->app_gone && poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLHUP | POLLERR))
		stream->app_gone = true;
	qs_log("stream %lld of pid %d: the app's end: %s, linger %u %u", (long long)stream->id,
	       stream->pid, stream->app_gone ? "closed" : "shut down", options->linger_on,
	       options->linger_s);
	if ((stream->app_gone && !stream->rx_fin_given && is_abortive(stream)) ||
	    closed_unread(stream)) {
		qs_stream_app_reset(stream, true);
		return;
	}
	if (stream->app_gone && stream->orphan_ns == 0)
		stream->orphan_ns = stream->engine->now_ns;
	if (!stream->fin_written || stream->relay != NULL)
		qs_stream_ready(stream);
}

/* After the app's FIN: did it close with something unread? The kernel says so once. */
static bool left_unread(const struct qs_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(stream->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	       error == ECONNRESET;
}

void qs_stream_pull(struct qs_stream *stream)
{
	struct qs_engine *engine = stream->engine;

	TAILQ_REMOVE(&engine->readable, stream, readable_link);
	stream->in_readable = false;
	while (stream->readable && !stream->app_eof && stream->source.fd >= 0 &&
	       unsent(stream) < TX_HIGH) {
		ssize_t n;

		stream->reread = false;
		n = take(stream);
		if (n > 0) {
			qs_stream_ready(stream);
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
			qs_stream_app_reset(stream, true);
			return;
		}
	}
	/* EOF was read before the hang-up was seen (shutdown, then close): the app is gone only
	 * now. */
	if (stream->readable && stream->app_eof && stream->app_gone && stream->source.fd >= 0) {
		if (left_unread(stream)) {
			qs_stream_app_reset(stream, true);
			return;
		}
		app_ended(stream);
	}
	/* What waited for more, of which there was none. */
	if (unsent(stream) > 0)
		qs_stream_ready(stream);
}

/* Less than a packet is left, and more is about to be read: then they go together. */
static bool awaits_more(const struct qs_stream *stream)
{
	return stream->in_readable && stream->conn != NULL &&
	       unsent(stream) < stream->conn->payload;
}

bool qs_stream_wants_write(const struct qs_stream *stream)
{
	if (stream->moving)
		return false;
	if (stream->tx_blocked || stream->fin_written)
		return stream->announce;
	return stream->announce || stream->app_eof || (unsent(stream) > 0 && !awaits_more(stream));
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
		qs_stream_pull_later(stream);
}

void qs_stream_acked(struct qs_stream *stream, uint64_t end)
{
	stream->progress_ns = stream->engine->now_ns;
	if (stream->reset_due && end >= stream->tx_taken) {
		stream->reset_due = false;
		qs_stream_fail(stream, 0, QS_APP_RESET);
		return;
	}
	/* What is kept for another server has been acknowledged all the same: SIOCOUTQ must come down to 0. */
	if (qs_stream_keeps(stream, end)) {
		atomic_store_explicit(&qs_stream_slot(stream)->acked_bytes, stream->kept,
				      memory_order_relaxed);
		return;
	}
	if (end < stream->kept)
		end = stream->kept;
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
	atomic_store_explicit(&qs_stream_slot(stream)->acked_bytes, stream->tx_acked,
			      memory_order_relaxed);
}
