/* SPDX-License-Identifier: MIT */
/* Requests of apps: a connect on the stream socket, from its header to its stream. */

/*
 * Theory. control.h says what goes over the wire. A request is in engine->requests until its header
 * is whole (request_read.c), while it is being decided, and while only TCP is tried (race.c); it is
 * in conn->waiting while it waits for a handshake or a stream. It ends by qs_request_complete() (its
 * descriptor becomes a stream's), by qs_request_join() (likewise, but the peer is a TCP socket) or
 * by qs_request_fail(). All that comes in is hostile: a stranger may connect, say nothing, say
 * garbage, send descriptors. There may be REQUESTS_MAX unfinished ones; each has HEADER_NS to send
 * its header.
 */
#include "request.h"

#include "conn.h"
#include "fallback.h"
#include "header.h"
#include "log.h"
#include "race.h"
#include "relay.h"
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

#define CONNECTIONS_MAX 3u /* opened for one request */

static void request_grave(struct qs_grave *grave)
{
	struct qs_request *request = qs_container(grave, struct qs_request, grave);

	request->engine->n_strangers -= request->stranger;
	free(request->req);
	free(request);
}

void qs_request_end(struct qs_request *request)
{
	TAILQ_REMOVE(&request->engine->requests, request, link);
	request->engine->n_requests--;
	request->engine->active_ns = request->engine->now_ns;
	qs_race_end(request);
	if (request->app_fd >= 0)
		close(request->app_fd);
	request->app_fd = -1;
	if (request->source.fd >= 0)
		qs_source_close(request->engine, &request->source);
	/* Last: whoever waits there must find nothing of the request left here. */
	if (request->wait_fd >= 0)
		close(request->wait_fd);
	request->wait_fd = -1;
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
	qs_request_end(request);
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

/* The stream that the request becomes, in no list yet. NULL: the request was failed. */
static struct qs_stream *make_stream(struct qs_request *request)
{
	struct qs_engine *engine = request->engine;
	struct qs_stream *stream = NULL;

	if (request->slot == QS_SLOT_NONE)
		request->slot = qs_pages_take(&engine->pages, false, &request->req->options);
	if (request->slot != QS_SLOT_NONE)
		stream = qs_stream_new(engine, request->source.fd, request->slot, false);
	if (stream == NULL) {
		qs_request_fail(request, request->slot == QS_SLOT_NONE ? EADDRNOTAVAIL : ENOMEM,
				"");
		return NULL;
	}
	stream->pid = request->pid;
	stream->rule_line = (uint32_t)request->rule->line;
	stream->filler = true;
	stream->filler_due =
		(request->req->flags & QS_CONNECT_BLOCKING) != 0 && request->wait_fd < 0;
	return stream;
}

/* It can't be: the descriptor stays the request's. */
static void unmake_stream(struct qs_stream *stream)
{
	stream->engine->n_streams--;
	free(stream);
}

/* The stream's other side is there: the app's end is set free, and the request is over. */
static void become(struct qs_request *request, struct qs_stream *stream)
{
	struct qs_engine *engine = request->engine;

	release_app(request, stream, qs_pages_slot(&engine->pages, request->slot));
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, request->source.fd, NULL);
	request->source.fd = -1;
	request->slot = QS_SLOT_NONE;
	qs_request_end(request);
	engine->totals.streams_opened++;
	qs_stream_start(stream);
}

bool qs_request_complete(struct qs_request *request, struct qs_conn *conn)
{
	struct qs_stream *stream = make_stream(request);
	int64_t id;

	if (stream == NULL)
		return true;
	if (qs_conn_open_stream(conn, stream, &id) < 0) {
		unmake_stream(stream);
		return false;
	}
	stream->announce = true;
	stream->keeps = true;
	qs_stream_attach(stream, conn, id, &conn->local, &request->req->dest);
	become(request, stream);
	qs_conn_stream_ready(conn, stream);
	return true;
}

bool qs_request_join(struct qs_request *request, int tcp_fd, enum qs_reason reason)
{
	struct qs_stream *stream = make_stream(request);

	if (stream == NULL)
		return false;
	if (qs_relay_new(stream, tcp_fd, request->req, reason) < 0) {
		unmake_stream(stream);
		qs_request_fail(request, ENOMEM, "");
		return false;
	}
	become(request, stream);
	return true;
}

void qs_request_leave(struct qs_request *request)
{
	struct qs_conn *conn = request->conn;

	TAILQ_REMOVE(&conn->waiting, request, link);
	conn->n_waiting--;
	request->conn = NULL;
	TAILQ_INSERT_TAIL(&request->engine->requests, request, link);
}

void qs_request_refuse(struct qs_request *request, int error, enum qs_reason cause,
		       const char *text)
{
	if (request->rule->mode == QS_MODE_PREFER)
		qs_race_lost(request, error, cause, text);
	else
		qs_request_fail(request, error, text);
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

bool qs_request_key(const struct qs_request *request, struct qs_conn_key *key)
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

void qs_request_mark(struct qs_request *request)
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

	if (!qs_request_key(request, &key)) {
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
		if (request->connections++ >= CONNECTIONS_MAX) {
			qs_request_refuse(request, ECONNREFUSED, QS_REASON_NO_STREAM, "");
			return;
		}
		rv = qs_conn_connect(request->engine, &key, &conn, text);
		if (rv < 0) {
			qs_request_refuse(request, -rv, qs_fallback_reason(-rv), text);
			return;
		}
	} else if (conn->state == QS_CONNECTION_OPEN && conn->n_waiting == 0) {
		if (qs_request_complete(request, conn))
			return;
		if (conn->poisoned) {
			qs_request_refuse(request, ECONNREFUSED, QS_REASON_FAILED, "");
			return;
		}
	}
	qs_request_mark(request);
	TAILQ_REMOVE(&request->engine->requests, request, link);
	request->conn = conn;
	TAILQ_INSERT_TAIL(&conn->waiting, request, link);
	conn->n_waiting++;
	qs_conn_dirty(conn);
	if (request->rule->mode == QS_MODE_PREFER)
		qs_race_wait(request);
}

/*
 * A mark or a device routes around policies and may need a privilege, which we have and the app has not: its own
 * socket, to which the shim has copied them, shows whether the kernel gave it leave.
 */
static bool may_route(const struct qs_request *request)
{
	const struct qs_connect_req *req = request->req;
	char device[sizeof(req->device)] = "";
	uint32_t mark = 0;
	socklen_t mark_len = sizeof(mark), device_len = sizeof(device);

	if (req->mark == 0 && req->device[0] == '\0')
		return true;
	getsockopt(request->app_fd, SOL_SOCKET, SO_MARK, &mark, &mark_len);
	getsockopt(request->app_fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_len);
	return (req->mark == 0 || req->mark == mark) &&
	       (req->device[0] == '\0' || strncmp(req->device, device, sizeof(device)) == 0) &&
	       qs_header_same_net(request->app_fd, request->source.fd);
}

void qs_request_decide(struct qs_request *request)
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
	if (!qs_rule_maps(request->rule)) {
		qs_request_fail(request, EACCES,
				request->engine->policy != NULL
					? "the engine's policy has no rule for this"
					: request->engine->policy_fault);
		return;
	}
	if (!may_route(request)) {
		qs_request_fail(request, EACCES,
				"SO_MARK or SO_BINDTODEVICE was not set with the kernel's leave");
		return;
	}
	if (request->rule->mode == QS_MODE_PREFER)
		qs_race_begin(request);
	else
		qs_request_route(request);
}
