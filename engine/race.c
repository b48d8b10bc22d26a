/* SPDX-License-Identifier: MIT */
/* Mode prefer: QUIC with a head start, then a race against TCP. */

/*
 * Theory. The shim sends the app's own TCP socket along (control.h): it has the app's bindings,
 * mark, device, namespace and options. It is connected here, without blocking, when
 *	- the head start is over, counted from the connection's first packet, or
 *	- QUIC has failed, or
 *	- a failure is remembered (fallback.c): at once. If its pause is over, QUIC is probed
 *	  meanwhile in the background.
 * Who is up first wins; the other one is left alone: TCP is closed without a byte, QUIC goes on in
 * the background, and the next connect finds it. With one exception: once the QUIC peer has
 * answered, its word is waited for, though TCP be up, for at most the handshake timeout. So a
 * certificate that fails is never outrun; it ends the connect with EACCES, unless the policy says
 * that TCP will do.
 * A TCP that fails while QUIC is still trying waits for it: GRACE_NS if nobody has answered there,
 * else for its word. The errno of the two is TCP's, since that is what the app would have met.
 *
 * TCP wins: a blocking connect that still waits (wait_fd) is given the socket back, with a byte and
 * SCM_RIGHTS; its shim puts it where it was, and the engine is out of it. It waits for the end of
 * wait_fd too: while a copy were here, an epoll registration would outlive the app's close. If nobody waits there any
 * more (a signal, SO_SNDTIMEO; sending fails then) or the connect does not block, the engine
 * relays (relay.c). Whatever else ends the request, wait_fd is closed: the shim then looks at the
 * mark, as always.
 */
#include "race.h"

#include "conn.h"
#include "fallback.h"
#include "log.h"
#include "relay.h"
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define GRACE_NS (1 * QS_NSEC)

static bool has_answered(const struct qs_request *request)
{
	return request->conn != NULL && request->conn->received_packets > 0;
}

static int connect_tcp(const struct qs_request *request)
{
	const struct qs_connect_req *req = request->req;
	struct sockaddr_storage dest;
	socklen_t len = qs_addr_to_sockaddr(&req->dest, req->v6 ? AF_INET6 : AF_INET, &dest);

	return connect(request->tcp.fd, (struct sockaddr *)&dest, len) < 0 ? -errno : 0;
}

/* Gives the socket back to the blocking connect. False if nobody waits there. */
static bool hand_back(struct qs_request *request)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int flags = fcntl(request->tcp.fd, F_GETFL);

	if (request->wait_fd < 0)
		return false;
	fcntl(request->tcp.fd, F_SETFL, flags & ~O_NONBLOCK);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &request->tcp.fd, sizeof(int));
	/* The kernel's state of a socket is "connecting" until its own connect() has said 0. */
	connect_tcp(request);
	if (sendmsg(request->wait_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		return true;
	fcntl(request->tcp.fd, F_SETFL, flags);
	return false;
}

static void keep_verdict(struct qs_request *request, enum qs_reason reason,
			 const struct qs_fallback *memory)
{
	struct qs_engine *engine = request->engine;
	struct qs_status_verdict verdict = {.pid = request->pid,
					    .remote = request->req->dest,
					    .reason = reason,
					    .cause = memory != NULL ? memory->reason : reason,
					    .rule_line = (uint32_t)request->rule->line};

	if (memory != NULL && memory->until_ns > engine->now_ns)
		verdict.retry_ms = (memory->until_ns - engine->now_ns) / QS_MSEC;
	qs_show_program(request->pid, verdict.program);
	qs_verdict_keep(engine, &verdict);
}

static void tcp_wins(struct qs_request *request)
{
	enum qs_reason reason = request->cause ? request->cause : QS_REASON_TIMEOUT;
	const struct qs_fallback *memory = NULL;
	struct qs_conn_key key;
	int tcp_fd = request->tcp.fd;

	epoll_ctl(request->engine->epfd, EPOLL_CTL_DEL, tcp_fd, NULL);
	if (request->conn != NULL) {
		request->conn->outrun = true;
		qs_request_leave(request);
	}
	if (qs_request_key(request, &key)) {
		if (request->cause != QS_REASON_NONE && request->cause != QS_REASON_REMEMBERED &&
		    request->cause != QS_REASON_NO_STREAM)
			qs_fallback_note(request->engine, &key, request->cause);
		else if (request->cause == QS_REASON_REMEMBERED)
			memory = qs_fallback_find(request->engine, &key);
	}
	keep_verdict(request, reason, memory);
	if (hand_back(request)) {
		if (request->slot != QS_SLOT_NONE)
			qs_pages_release(&request->engine->pages, request->slot);
		close(tcp_fd);
		request->tcp.fd = -1;
		qs_request_end(request);
		return;
	}
	request->tcp.fd = -1;
	if (!qs_request_join(request, tcp_fd, reason))
		qs_relay_close_tcp(tcp_fd, false);
}

static void tcp_failed(struct qs_request *request, int error)
{
	struct qs_engine *engine = request->engine;
	struct qs_conn_key key;

	request->tcp_error = error;
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, request->tcp.fd, NULL);
	if (request->conn != NULL) {
		qs_timer_set(&engine->timers, &request->timer, engine->now_ns + GRACE_NS);
		return;
	}
	/* Nothing works there: what is remembered of QUIC says little. */
	if (request->cause == QS_REASON_REMEMBERED && qs_request_key(request, &key))
		qs_fallback_forget(engine, &key);
	qs_request_fail(request, error, "");
}

static void tcp_is_up(struct qs_request *request)
{
	request->tcp_up = true;
	if (!has_answered(request))
		tcp_wins(request);
}

static void tcp_event(struct qs_source *source, uint32_t events)
{
	struct qs_request *request = qs_container(source, struct qs_request, tcp);
	int error = 0;
	socklen_t len = sizeof(error);

	if (request->tcp_up || request->tcp_error || !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		tcp_failed(request, error);
	else
		tcp_is_up(request);
}

static void tcp_start(struct qs_request *request)
{
	int fd = request->tcp.fd, off = 0, rv;

	request->tcp_tried = true;
	request->tcp.fn = tcp_event;
	/* With it, connect() would succeed before anybody has answered. */
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof(off));
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	rv = connect_tcp(request);
	if (rv == 0)
		tcp_is_up(request);
	else if (rv != -EINPROGRESS)
		tcp_failed(request, -rv);
	else if (qs_source_add(request->engine, &request->tcp, EPOLLOUT | EPOLLET) < 0)
		tcp_failed(request, ENOBUFS);
}

static void race_timer(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_request *request = qs_container(timer, struct qs_request, timer);

	(void)now_ns;
	if (!request->tcp_tried) {
		tcp_start(request);
	} else if (request->tcp_error && request->conn != NULL && !has_answered(request)) {
		qs_request_leave(request);
		qs_request_fail(request, request->tcp_error, "");
	}
}

void qs_race_wait(struct qs_request *request)
{
	struct qs_engine *engine = request->engine;
	uint64_t at_ns = request->conn->opened_ns + request->rule->head_start_ns;

	if (request->tcp_tried || request->tcp.fd < 0)
		return;
	request->timer.fn = race_timer;
	/* A connection that is open has only to grant a stream. */
	if (request->conn->state == QS_CONNECTION_OPEN)
		at_ns = engine->now_ns + request->rule->head_start_ns;
	qs_timer_set(&engine->timers, &request->timer,
		     at_ns > engine->now_ns ? at_ns : engine->now_ns);
}

void qs_race_lost(struct qs_request *request, int error, enum qs_reason cause, const char *text)
{
	qs_timer_clear(&request->engine->timers, &request->timer);
	if (request->tcp.fd < 0 || (error == EACCES && !request->rule->plain_on_bad_certificate)) {
		qs_request_fail(request, error, text);
		return;
	}
	request->cause = cause;
	if (request->tcp_error) {
		qs_request_fail(request, request->tcp_error, "");
	} else if (request->tcp_up) {
		tcp_wins(request);
	} else if (!request->tcp_tried) {
		qs_request_mark(request);
		tcp_start(request);
	}
}

/* What the shim sent along may be anything. */
static bool may_use_tcp(const struct qs_request *request)
{
	uint8_t state = 0; /* tcpi_state */
	int family = 0;
	socklen_t len = sizeof(state), family_len = sizeof(family);

	return getsockopt(request->tcp.fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 &&
	       state == TCP_CLOSE &&
	       getsockopt(request->tcp.fd, SOL_SOCKET, SO_DOMAIN, &family, &family_len) == 0 &&
	       family == (request->req->v6 ? AF_INET6 : AF_INET);
}

/* Nobody waits for it: whether QUIC works again. */
static void probe(struct qs_request *request, const struct qs_conn_key *key)
{
	struct qs_conn *conn;
	char text[512];
	int rv = qs_conn_connect(request->engine, key, &conn, text);

	if (rv == 0)
		conn->outrun = true;
	else
		qs_fallback_note(request->engine, key, qs_fallback_reason(-rv));
}

void qs_race_begin(struct qs_request *request)
{
	struct qs_engine *engine = request->engine;
	const struct qs_fallback *memory;
	struct qs_conn_key key;
	struct qs_conn *conn;
	unsigned n_same;

	if (!may_use_tcp(request) && request->tcp.fd >= 0) {
		close(request->tcp.fd);
		request->tcp.fd = -1;
	}
	memory = request->tcp.fd >= 0 && qs_request_key(request, &key)
			 ? qs_fallback_find(engine, &key)
			 : NULL;
	conn = memory != NULL ? qs_conn_pool_find(engine, &key, &n_same) : NULL;
	if (memory == NULL || (conn != NULL && conn->state == QS_CONNECTION_OPEN)) {
		qs_request_route(request);
		return;
	}
	request->cause = QS_REASON_REMEMBERED;
	if (engine->now_ns >= memory->until_ns && n_same == 0)
		probe(request, &key); /* `memory` may be gone */
	qs_request_mark(request);
	tcp_start(request);
}

void qs_race_end(struct qs_request *request)
{
	qs_timer_clear(&request->engine->timers, &request->timer);
	if (request->tcp.fd >= 0) {
		epoll_ctl(request->engine->epfd, EPOLL_CTL_DEL, request->tcp.fd, NULL);
		qs_relay_close_tcp(request->tcp.fd, false);
		request->tcp.fd = -1;
	}
}
