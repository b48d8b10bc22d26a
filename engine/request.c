/* SPDX-License-Identifier: MIT */
/* Requests of apps: a connect on the stream socket, from its header to its stream. */

/*
 * Theory. control.h says what goes over the wire. A request is in engine->requests until its header
 * is whole and while it is being decided, in conn->waiting while it waits for a handshake or a
 * stream. It ends by qs_request_complete() (its descriptor becomes a stream's) or by
 * qs_request_fail(). All that comes in is hostile: a stranger may connect, say nothing, say
 * garbage, send descriptors. There may be REQUESTS_MAX unfinished ones; each has HEADER_NS to send
 * its header.
 */
#include "request.h"

#include "conn.h"
#include "header.h"
#include "listen.h"
#include "log.h"
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

#define HEADER_NS (5 * QS_NSEC)
#define REQUESTS_MAX 16384u
#define ACCEPTS_A_TURN 64
#define CONNECTIONS_MAX 3u /* opened for one request */

static void request_grave(struct qs_grave *grave)
{
	struct qs_request *request = qs_container(grave, struct qs_request, grave);

	free(request->req);
	free(request);
}

/* Out of its list, descriptors closed (unless taken), freed at the end of the turn. */
static void request_end(struct qs_request *request)
{
	TAILQ_REMOVE(&request->engine->requests, request, link);
	request->engine->n_requests--;
	request->engine->active_ns = request->engine->now_ns;
	if (request->app_fd >= 0)
		close(request->app_fd);
	request->app_fd = -1;
	if (request->source.fd >= 0)
		qs_source_close(request->engine, &request->source);
	qs_engine_bury(request->engine, &request->grave, request_grave);
}

static void set_mark(int fd, const struct qs_mark *mark)
{
	uint64_t value = qs_mark_encode(mark);

	setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value));
}

/* Never by force: what the app asks for is bounded as if it had asked the kernel. */
static void set_sndbuf(int fd, int octets)
{
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
}

void qs_request_fail(struct qs_request *request, int error, const char *reason)
{
	struct qs_engine *engine = request->engine;
	struct qs_mark mark = {.state = QS_MARK_FAILED, .error = (uint8_t)error};

	if (request->req != NULL && request->app_fd >= 0) {
		if (request->slot == QS_SLOT_NONE)
			request->slot =
				qs_pages_take(&engine->pages, false, &request->req->options);
		if (request->slot != QS_SLOT_NONE) {
			struct qs_slot *slot = qs_pages_slot(&engine->pages, request->slot);

			qs_slot_begin(slot);
			slot->error = error;
			slot->peer = request->req->dest;
			slot->rule_line = request->rule != NULL ? (uint32_t)request->rule->line : 0;
			snprintf(slot->reason, sizeof(slot->reason), "%s",
				 reason != NULL ? reason : "");
			slot->state = QS_SLOT_ENDED;
			qs_slot_end(slot);
			mark.slot = request->slot;
			mark.generation = slot->generation;
		}
		mark.v6 = request->req->v6;
		set_mark(request->app_fd, &mark);
		qs_log("connect of pid %d failed: %s%s%s", request->pid, strerrorname_np(error),
		       reason && reason[0] ? ": " : "", reason ? reason : "");
	}
	if (request->slot != QS_SLOT_NONE)
		qs_pages_release(&engine->pages, request->slot);
	request_end(request);
}

/* Gives the app's end its mark, its buffer size, and then its freedom: the header that kept it
 * unwritable is read. */
static void release_app(struct qs_request *request, struct qs_stream *stream,
			const struct qs_slot *slot)
{
	struct qs_mark mark = {.state = QS_MARK_OPEN,
			       .slot = request->slot,
			       .generation = slot->generation,
			       .v6 = request->req->v6};

	set_mark(request->app_fd, &mark);
	set_sndbuf(request->app_fd,
		   (int)(request->req->sndbuf / 2)); /* the kernel doubles what it is given */
	close(request->app_fd);
	request->app_fd = -1;
	/* Mostly all of it is there; what is not (the app may still be sending it) the stream's
	 * reading drops. */
	stream->skip = request->req->total;
	while (stream->skip > 0) {
		size_t want = stream->skip < QS_UDP_TRAIN_MAX ? stream->skip : QS_UDP_TRAIN_MAX;
		ssize_t n =
			recv(request->source.fd, request->engine->tx_memory, want, MSG_DONTWAIT);

		if (n <= 0)
			break;
		stream->skip -= (uint32_t)n;
	}
}

bool qs_request_complete(struct qs_request *request, struct qs_conn *conn)
{
	struct qs_engine *engine = request->engine;
	struct qs_stream *stream;
	int64_t id;

	if (request->slot == QS_SLOT_NONE)
		request->slot = qs_pages_take(&engine->pages, false, &request->req->options);
	if (request->slot == QS_SLOT_NONE) {
		qs_request_fail(request, EADDRNOTAVAIL, "");
		return true;
	}
	stream = qs_stream_new(engine, request->source.fd, request->slot, false);
	if (stream == NULL) {
		qs_request_fail(request, ENOMEM, "");
		return true;
	}
	if (qs_conn_open_stream(conn, stream, &id) < 0) {
		engine->n_streams--;
		free(stream);
		return false;
	}
	stream->pid = request->pid;
	stream->rule_line = (uint32_t)request->rule->line;
	stream->announce = true;
	stream->filler = true;
	stream->filler_due = (request->req->flags & QS_CONNECT_BLOCKING) != 0;
	qs_stream_attach(stream, conn, id, &conn->local, &request->req->dest);
	release_app(request, stream, qs_pages_slot(&engine->pages, request->slot));
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, request->source.fd, NULL);
	request->source.fd = -1;
	request->slot = QS_SLOT_NONE;
	request_end(request);
	engine->totals.streams_opened++;
	qs_stream_start(stream);
	qs_conn_stream_ready(conn, stream);
	return true;
}

/* Where QUIC listens for this destination. */
static bool endpoint_of(const struct qs_rule *rule, const struct qs_addr *dest, struct qs_addr *out)
{
	*out = *dest;
	if (rule->has_endpoint_addr &&
	    qs_addr_from_sockaddr(out, (const struct sockaddr *)&rule->endpoint,
				  sizeof(rule->endpoint)) < 0)
		return false;
	out->port = rule->endpoint_port ? rule->endpoint_port : dest->port;
	if (out->family == AF_INET && memcmp(out->ip, (uint8_t[4]){0}, 4) == 0)
		memcpy(out->ip, (uint8_t[4]){127, 0, 0, 1},
		       4); /* the kernel sends it to loopback too */
	else if (out->family == AF_INET6 && memcmp(out->ip, &in6addr_any, 16) == 0)
		memcpy(out->ip, &in6addr_loopback, 16);
	return out->port != 0;
}

static bool make_key(const struct qs_request *request, struct qs_conn_key *key)
{
	const struct qs_connect_req *req = request->req;
	const char *names[QS_NAMES_MAX], *name;
	size_t len;

	memset(key, 0, sizeof(*key));
	if (!endpoint_of(request->rule, &req->dest, &key->peer))
		return false;
	key->rule = request->rule;
	key->mark = req->mark;
	memcpy(key->device, req->device, sizeof(key->device) - 1);
	key->source = req->source;
	key->source.port = 0; /* the port that the app bound is its own business: all its streams
				 share one UDP port */
	if (key->source.family != key->peer.family)
		memset(&key->source, 0, sizeof(key->source));
	for (unsigned i = 0; i < req->n_names; i++)
		names[i] = req->names[i];
	name = qs_rule_server_name(request->rule, names, req->n_names);
	if (name != NULL) {
		snprintf(key->name, sizeof(key->name), "%s", name);
		len = strlen(key->name);
		if (len > 0 && key->name[len - 1] == '.')
			key->name[len - 1] = '\0';
	}
	return true;
}

/* It will take a while: options that the app sets meanwhile need the slot. */
static void mark_connecting(struct qs_request *request)
{
	struct qs_mark mark = {.state = QS_MARK_CONNECTING, .v6 = request->req->v6};

	if (request->slot != QS_SLOT_NONE)
		return;
	request->slot = qs_pages_take(&request->engine->pages, false, &request->req->options);
	if (request->slot == QS_SLOT_NONE)
		return;
	mark.slot = request->slot;
	mark.generation = qs_pages_slot(&request->engine->pages, request->slot)->generation;
	set_mark(request->app_fd, &mark);
	set_sndbuf(request->app_fd, 1); /* what is sent before the end gets EAGAIN, as on TCP */
}

void qs_request_route(struct qs_request *request)
{
	struct qs_conn_key key;
	struct qs_conn *conn;
	char text[512] = "";
	unsigned n_same;
	int rv;

	if (!make_key(request, &key)) {
		qs_request_fail(request, EACCES,
				"the endpoint of this rule can't be used for this destination");
		return;
	}
	conn = request->rule->stream_per_connection
		       ? NULL
		       : qs_conn_pool_find(request->engine, &key, &n_same);
	if (conn == NULL ||
	    (n_same < request->rule->connections && conn->n_streams + conn->n_waiting > 0)) {
		/* A peer that grants no stream must not make us connect for ever. */
		rv = request->connections++ < CONNECTIONS_MAX
			     ? qs_conn_connect(request->engine, &key, &conn, text)
			     : -ECONNREFUSED;
		if (rv < 0) {
			qs_request_fail(request, -rv, text);
			return;
		}
	} else if (conn->state == QS_CONNECTION_OPEN && conn->n_waiting == 0) {
		if (qs_request_complete(request, conn))
			return;
		if (conn->poisoned) {
			qs_request_fail(request, ECONNREFUSED, "");
			return;
		}
	}
	mark_connecting(request);
	TAILQ_REMOVE(&request->engine->requests, request, link);
	request->conn = conn;
	TAILQ_INSERT_TAIL(&conn->waiting, request, link);
	conn->n_waiting++;
	qs_conn_dirty(conn);
}

/*
 * A mark routes around policies and needs a privilege, which we may have and the app not: its own socket, to which the
 * shim has copied the mark, shows whether the kernel gave it leave.
 */
static bool may_mark(const struct qs_request *request)
{
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	getsockopt(request->app_fd, SOL_SOCKET, SO_MARK, &mark, &len);
	return request->req->mark == 0 || request->req->mark == mark;
}

static void decide(struct qs_request *request)
{
	struct qs_connect_req *req = request->req;
	struct sockaddr_storage dest;
	const char *names[QS_NAMES_MAX];

	qs_addr_to_sockaddr(&req->dest, req->dest.family, &dest);
	for (unsigned i = 0; i < req->n_names; i++)
		names[i] = req->names[i];
	if (request->engine->policy != NULL)
		request->rule = qs_policy_find_connect(
			request->engine->policy, (struct sockaddr *)&dest, names, req->n_names);
	if (request->rule == NULL || request->rule->mode != QS_MODE_QUIC) {
		qs_request_fail(request, EACCES,
				request->engine->policy != NULL
					? "the engine's policy has no rule for this"
					: request->engine->policy_fault);
		return;
	}
	if (!may_mark(request)) {
		qs_request_fail(request, EACCES, "SO_MARK was not set with the kernel's leave");
		return;
	}
	qs_request_route(request);
}

/*
 * Looks at the header and takes the app's descriptor. The kernel cuts what is sent into pieces of
 * half the send buffer and gives no more than the piece that the descriptor came with: all that is
 * said stands in the first one, the rest is filler. Once only: each look brings a descriptor. 1
 * whole, 0 not there yet, -1 no header.
 */
static int read_header(struct qs_request *request)
{
	char control[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = {request->req, QS_CONNECT_REQ_SIZE};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(request->source.fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	for (c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (request->app_fd < 0)
				request->app_fd = fd;
			else
				close(fd);
		}
	}
	request->said = (size_t)n;
	return request->app_fd >= 0 && (msg.msg_flags & MSG_CTRUNC) == 0 ? 1 : -1;
}

static bool is_all_there(const struct qs_request *request)
{
	int queued = 0;

	return ioctl(request->source.fd, SIOCINQ, &queued) == 0 &&
	       (uint32_t)queued >= request->req->total;
}

static void request_event(struct qs_source *source, uint32_t events)
{
	struct qs_request *request = qs_container(source, struct qs_request, source);
	struct qs_engine *engine = request->engine;

	int got = request->said > 0 ? 1 : read_header(request);

	(void)events;
	if (got == 0)
		return;
	if (got < 0 || !qs_header_is_connect(request->req, request->said) ||
	    !qs_engine_may(engine, source->fd, request->req->token)) {
		qs_engine_refused(engine, "stream", request->pid);
		request_end(request);
		return;
	}
	/* All of it must be in the queue before the app's end is touched: a smaller SO_SNDBUF would
	 * cut what is still to come. */
	if (!is_all_there(request))
		return;
	/* From here on the end of the app's descriptor is seen by the stream: nothing more to
	 * watch. */
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, source->fd, NULL);
	decide(request);
}

static struct qs_request *request_new(struct qs_engine *engine, int fd)
{
	struct qs_request *request = calloc(1, sizeof(*request));
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	if (request != NULL)
		request->req = calloc(1, sizeof(*request->req));
	if (request == NULL || request->req == NULL) {
		free(request);
		return NULL;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	request->engine = engine;
	request->source = (struct qs_source){.fd = fd, .fn = request_event};
	request->app_fd = -1;
	request->pid = cred.pid;
	request->slot = QS_SLOT_NONE;
	request->since_ns = engine->now_ns;
	return request;
}

void qs_request_accept_stream(struct qs_source *source, uint32_t events)
{
	struct qs_engine *engine = qs_container(source, struct qs_engine, stream_source);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN || engine->stopping; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct qs_request *request;

		if (fd < 0) {
			qs_engine_deafen(engine);
			return;
		}
		request = engine->n_requests < REQUESTS_MAX ? request_new(engine, fd) : NULL;
		if (request == NULL ||
		    qs_source_add(engine, &request->source, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
			engine->totals.requests_refused++;
			if (request != NULL)
				free(request->req);
			free(request);
			close(fd);
			continue;
		}
		TAILQ_INSERT_TAIL(&engine->requests, request, link);
		engine->n_requests++;
		/* The header mostly is there already. */
		request_event(&request->source, EPOLLIN);
	}
}

void qs_request_sweep(struct qs_engine *engine)
{
	struct qs_request *request, *next;

	for (request = TAILQ_FIRST(&engine->requests); request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		if (engine->now_ns - request->since_ns > HEADER_NS) {
			qs_engine_refused(engine, "stream", request->pid);
			request_end(request);
		}
	}
}
