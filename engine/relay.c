/* SPDX-License-Identifier: MIT */
/* A stream that is joined to a TCP socket instead of a QUIC connection. */

/*
 * Theory (mode prefer). A non-blocking connect has given its descriptor away before anybody knows
 * that TCP will win: the app holds an AF_UNIX socket, and the engine the app's own TCP socket, with
 * all that was set on it. All that concerns the app's end (header, filler, half-close, SO_LINGER,
 * what was read before a reset) is the stream's, as with QUIC; here is only the other side of it.
 * The socket is watched edge-triggered. Reading stops while the app has RX_HIGH octets to take, so
 * that TCP's window closes; writing stops when the kernel has no room, so that the stream's
 * TX_HIGH stops the app. It ends when both directions have ended, when the app is gone and all it
 * wrote is the kernel's, or by an error.
 * Options that the app sets on its end meanwhile are brought over before each write.
 */
#include "relay.h"

#include "stream_parts.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define RX_HIGH (256u * 1024u)
#define READS_A_TURN 8
#define VECTORS 16
#define WRITE_OCTETS (256u * 1024u)

static const struct {
	int level, name;
} mirrored[QS_OPT_MAX] = {
	[QS_OPT_NODELAY] = {IPPROTO_TCP, TCP_NODELAY},
	[QS_OPT_CORK] = {IPPROTO_TCP, TCP_CORK},
	[QS_OPT_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK},
	[QS_OPT_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE},
	[QS_OPT_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL},
	[QS_OPT_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT},
	[QS_OPT_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT},
	[QS_OPT_TOS] = {IPPROTO_IP, IP_TOS},
	[QS_OPT_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS},
	[QS_OPT_MAXSEG] = {IPPROTO_TCP, TCP_MAXSEG},
	[QS_OPT_LINGER2] = {IPPROTO_TCP, TCP_LINGER2},
	[QS_OPT_WINDOW_CLAMP] = {IPPROTO_TCP, TCP_WINDOW_CLAMP},
	[QS_OPT_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
};

void qs_relay_options(int tcp_fd, const struct qs_options *now, struct qs_options *applied)
{
	uint32_t set = __atomic_load_n(&now->set, __ATOMIC_ACQUIRE);

	for (int i = 0; i < QS_OPT_MAX; i++) {
		int value = __atomic_load_n(&now->value[i], __ATOMIC_RELAXED);

		if (mirrored[i].name == 0 || !(set >> i & 1) ||
		    ((applied->set >> i & 1) && applied->value[i] == value))
			continue;
		setsockopt(tcp_fd, mirrored[i].level, mirrored[i].name, &value, sizeof(value));
		applied->value[i] = value;
		applied->set |= 1u << i;
	}
}

void qs_relay_close_tcp(int tcp_fd, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};

	setsockopt(tcp_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(tcp_fd);
}

static void relay_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_relay, grave));
}

void qs_relay_end(struct qs_relay *relay, bool reset)
{
	struct qs_stream *stream = relay->stream;
	struct qs_engine *engine = stream->engine;

	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, relay->source.fd, NULL);
	qs_relay_close_tcp(relay->source.fd, reset);
	relay->source.fd = -1;
	TAILQ_REMOVE(&engine->relays, relay, link);
	if (relay->in_ready)
		TAILQ_REMOVE(&engine->relays_ready, relay, ready_link);
	relay->in_ready = false;
	qs_pages_path_release(&engine->pages, relay->path);
	stream->relay = NULL;
	qs_chunk_list_free(engine, &stream->tx_head, &stream->tx_tail);
	stream->tx_cursor = NULL;
	/* What the app has not got yet goes out in the flush phase, which also ends the object. */
	qs_stream_push_later(stream);
	qs_engine_bury(engine, &relay->grave, relay_grave);
}

static void failed(struct qs_relay *relay, int error)
{
	struct qs_stream *stream = relay->stream;

	qs_relay_end(relay, false);
	qs_stream_fail(stream, error, 0);
}

void qs_relay_ready(struct qs_relay *relay)
{
	if (relay->in_ready || relay->source.fd < 0)
		return;
	relay->in_ready = true;
	TAILQ_INSERT_TAIL(&relay->stream->engine->relays_ready, relay, ready_link);
}

/* Both ways of reading and writing may end the relay: they say whether it goes on. */
static bool read_peer(struct qs_relay *relay)
{
	struct qs_stream *stream = relay->stream;
	uint8_t *buf = stream->engine->tx_memory;

	for (int i = 0; relay->readable && stream->rx_bytes < RX_HIGH; i++) {
		ssize_t n;

		if (i == READS_A_TURN) {
			qs_relay_ready(relay);
			break;
		}
		n = recv(relay->source.fd, buf, QS_UDP_TRAIN_MAX, MSG_DONTWAIT);
		if (n > 0) {
			qs_stream_received(stream, buf, (size_t)n, false);
			if (stream->relay == NULL)
				return false;
		} else if (n == 0) {
			relay->readable = false;
			relay->eof = true;
			qs_stream_received(stream, NULL, 0, true);
		} else if (errno == EAGAIN) {
			relay->readable = false;
		} else if (errno != EINTR) {
			failed(relay, errno);
			return false;
		}
	}
	return true;
}

/* Writing failed. What the peer had sent before stands in the socket still, and TCP would give it to the app. */
static void failed_writing(struct qs_relay *relay, int error)
{
	struct qs_stream *stream = relay->stream;
	uint8_t *buf = stream->engine->tx_memory;
	ssize_t n;

	while ((n = recv(relay->source.fd, buf, QS_UDP_TRAIN_MAX, MSG_DONTWAIT)) > 0) {
		qs_stream_received(stream, buf, (size_t)n, false);
		if (stream->relay == NULL)
			return;
	}
	failed(relay, error);
}

static bool write_peer(struct qs_relay *relay)
{
	struct qs_stream *stream = relay->stream;

	while (!relay->blocked) {
		ngtcp2_vec vec[VECTORS];
		struct iovec iov[VECTORS];
		struct msghdr msg = {.msg_iov = iov};
		bool fin;
		ssize_t n;

		msg.msg_iovlen = qs_stream_unsent(stream, vec, VECTORS, WRITE_OCTETS, &fin);
		if (msg.msg_iovlen == 0) {
			if (fin && !stream->fin_written) {
				shutdown(relay->source.fd, SHUT_WR);
				qs_stream_wrote(stream, 0, true);
			}
			break;
		}
		for (size_t i = 0; i < msg.msg_iovlen; i++)
			iov[i] = (struct iovec){vec[i].base, vec[i].len};
		n = sendmsg(relay->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			qs_stream_wrote(stream, (size_t)n, false);
			qs_stream_acked(stream, stream->tx_written);
		} else if (n < 0 && errno == EAGAIN) {
			relay->blocked = true;
		} else if (n < 0 && errno != EINTR) {
			failed_writing(relay, errno);
			return false;
		}
	}
	return true;
}

void qs_relay_flush(struct qs_relay *relay)
{
	write_peer(relay);
}

static void serve(struct qs_relay *relay)
{
	struct qs_stream *stream = relay->stream;

	qs_relay_options(relay->source.fd, &stream->engine->pages.options[stream->slot],
			 &relay->applied);
	if (!write_peer(relay) || !read_peer(relay))
		return;
	qs_relay_figures(relay);
	if (stream->fin_written && (relay->eof || stream->app_gone))
		qs_relay_end(relay, false);
}

void qs_relay_serve(struct qs_engine *engine)
{
	struct qs_relay *last = TAILQ_LAST(&engine->relays_ready, qs_relay_list), *relay;

	while ((relay = TAILQ_FIRST(&engine->relays_ready)) != NULL) {
		bool end = relay == last;

		TAILQ_REMOVE(&engine->relays_ready, relay, ready_link);
		relay->in_ready = false;
		serve(relay);
		if (end)
			break;
	}
}

static void relay_event(struct qs_source *source, uint32_t events)
{
	struct qs_relay *relay = qs_container(source, struct qs_relay, source);

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		relay->readable = !relay->eof;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		relay->blocked = false;
	/* What is read now reaches the app in this turn. */
	if (read_peer(relay))
		qs_relay_ready(relay);
}

int qs_relay_new(struct qs_stream *stream, int tcp_fd, const struct qs_connect_req *req,
		 enum qs_reason reason)
{
	struct qs_engine *engine = stream->engine;
	struct qs_relay *relay = calloc(1, sizeof(*relay));
	struct sockaddr_storage sa;
	struct qs_addr local = {0};
	socklen_t len = sizeof(sa);

	if (relay == NULL)
		return -ENOMEM;
	relay->stream = stream;
	relay->source = (struct qs_source){.fd = tcp_fd, .fn = relay_event};
	relay->readable = true;
	if (qs_source_add(engine, &relay->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0) {
		free(relay);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&engine->relays, relay, link);
	relay->applied = req->options;
	if (getsockname(tcp_fd, (struct sockaddr *)&sa, &len) == 0)
		qs_addr_from_sockaddr(&local, (struct sockaddr *)&sa, len);
	stream->relay = relay;
	stream->reason = reason;
	relay->path = qs_pages_path_take(&engine->pages);
	qs_relay_figures(relay);
	qs_stream_tell_open(stream, relay->path, &local, &req->dest);
	qs_relay_ready(relay);
	return 0;
}

void qs_relay_sweep(struct qs_engine *engine)
{
	struct qs_relay *relay, *next;

	for (relay = TAILQ_FIRST(&engine->relays); relay != NULL; relay = next) {
		next = TAILQ_NEXT(relay, link);
		qs_stream_sweep(relay->stream);
	}
}
