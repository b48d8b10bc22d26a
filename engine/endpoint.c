/* SPDX-License-Identifier: MIT */
/* UDP endpoints: opened, used by clients, and closed. */

/*
 * Theory. A server endpoint is bound to what the app's TCP socket was bound to (or to the rule's
 * endpoint) and is shared by the listeners of that address; a client endpoint is shared by all
 * connections of one source address, mark and device.
 */
#include "endpoint_parts.h"

#include "conn.h"
#include "errmap.h"
#include "flight.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

bool qs_endpoint_send(struct qs_endpoint *endpoint, struct qs_conn *conn,
		      const struct qs_udp_train *train)
{
	ssize_t n = qs_udp_send(&endpoint->udp, train);
	size_t left;

	if (n < 0) {
		qs_log("connection %llu: sending failed: %s", (unsigned long long)conn->id,
		       strerrorname_np((int)-n));
		return true; /* lost, as on any path: timeouts judge it */
	}
	left = train->len - (size_t)n;
	if (left == 0)
		return true;
	conn->pending = malloc(sizeof(*conn->pending) + left);
	if (conn->pending != NULL) {
		*conn->pending = *train;
		conn->pending->data = (uint8_t *)(conn->pending + 1);
		conn->pending->len = left;
		memcpy(conn->pending->data, train->data + n, left);
	}
	if (!endpoint->want_out) {
		endpoint->want_out = true;
		qs_source_modify(endpoint->engine, &endpoint->source, EPOLLIN | EPOLLOUT);
	}
	return false;
}

struct qs_endpoint *qs_endpoint_new(struct qs_engine *engine, const struct qs_addr *address,
				    bool server)
{
	struct qs_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (endpoint == NULL)
		return NULL;
	endpoint->engine = engine;
	endpoint->server = server;
	endpoint->address = *address;
	endpoint->udp.fd = endpoint->source.fd = -1;
	endpoint->owner = -1;
	return endpoint;
}

void qs_endpoint_free(struct qs_endpoint *endpoint)
{
	qs_cid_codec_fini(&endpoint->codec);
	qs_flight_table_free(endpoint->flights);
	free(endpoint);
}

int qs_endpoint_open(struct qs_endpoint *endpoint, const struct qs_udp_options *options)
{
	struct sockaddr_storage sa;
	int rv;

	qs_addr_to_sockaddr(&endpoint->address, endpoint->address.family, &sa);
	rv = qs_udp_open(&endpoint->udp, (struct sockaddr *)&sa, options);
	if (rv < 0)
		return rv;
	endpoint->source = (struct qs_source){.fd = endpoint->udp.fd, .fn = qs_endpoint_event};
	rv = qs_source_add(endpoint->engine, &endpoint->source, EPOLLIN);
	if (rv < 0) {
		qs_udp_close(&endpoint->udp);
		endpoint->source.fd = -1;
		return rv;
	}
	TAILQ_INSERT_TAIL(&endpoint->engine->endpoints, endpoint, link);
	return 0;
}

static int client_open_one(struct qs_engine *engine, const struct qs_addr *address,
			   const struct qs_udp_options *options, struct qs_endpoint **out)
{
	int rv;

	*out = qs_endpoint_new(engine, address, false);
	if (*out == NULL)
		return -ENOMEM;
	(*out)->mark = options->mark;
	snprintf((*out)->device, sizeof((*out)->device), "%s",
		 options->device ? options->device : "");
	/* Nobody steers by a client's IDs, and who watches it move shall not know it by them. */
	rv = qs_cid_codec_init(&(*out)->codec, 0, 0, engine->cid_key);
	if (rv == 0)
		rv = qs_endpoint_open(*out, options);
	if (rv < 0)
		qs_endpoint_free(*out);
	return rv;
}

/*
 * The kernel gives bind() to port 0 an odd TCP port while it has one, and a mapped listener wants
 * the UDP port of the same number: a client's UDP port should be an even one.
 */
static int client_open(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_udp_options *options, struct qs_endpoint **out)
{
	int rv = -EADDRINUSE;

	for (int i = 0; i < 8; i++) {
		rv = client_open_one(engine, address, options, out);
		if (rv < 0 || i == 7 || (*out)->udp.port % 2 == 0)
			break;
		qs_endpoint_release(*out);
	}
	return rv;
}

int qs_endpoint_client(struct qs_engine *engine, int family, const struct qs_addr *source,
		       uint32_t mark, const char *device, unsigned most, struct qs_endpoint **out)
{
	struct qs_udp_options options = {.mark = mark, .device = device};
	struct qs_addr address = *source;
	struct qs_endpoint *endpoint, *best = NULL;
	unsigned n = 0;

	if (address.family == 0)
		address = (struct qs_addr){.family = (uint16_t)family};
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (!endpoint->server &&
		    memcmp(&endpoint->address, &address, sizeof(address)) == 0 &&
		    endpoint->mark == mark && strcmp(endpoint->device, device) == 0) {
			n++;
			if (best == NULL || endpoint->n_conns < best->n_conns)
				best = endpoint;
		}
	}
	if (best == NULL || (best->n_conns > 0 && n < most))
		return client_open(engine, &address, &options, out);
	*out = best;
	return 0;
}

/* --- the end --- */

void qs_endpoint_retire(struct qs_endpoint *endpoint)
{
	struct qs_conn *conn, *next;

	for (conn = TAILQ_FIRST(&endpoint->engine->conns); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link_all);
		if (conn->endpoint != endpoint ||
		    (conn->n_streams > 0 && conn->state != QS_CONNECTION_CLOSING) ||
		    qs_listener_find(endpoint->engine, endpoint, conn->rule) != NULL)
			continue;
		conn->moved = qs_listener_refusal(conn) == QS_APP_MOVED;
		if (conn->moved) {
			conn->idle_since_ns = conn->engine->now_ns;
			continue;
		}
		qs_conn_close_idle(conn);
		qs_conn_drop(conn, 0);
	}
}

static void endpoint_close(struct qs_endpoint *endpoint)
{
	struct qs_engine *engine = endpoint->engine;

	engine->totals.datagrams_sent += endpoint->udp.sent_datagrams;
	engine->totals.datagrams_received += endpoint->udp.received_datagrams;
	engine->totals.datagrams_dropped += endpoint->udp.dropped_datagrams;
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, endpoint->source.fd, NULL);
	endpoint->source.fd = -1;
	qs_udp_close(&endpoint->udp);
}

/* At the end of the turn, since a datagram that is being dealt with may have ended it. */
static void server_grave(struct qs_grave *grave)
{
	struct qs_endpoint *endpoint = qs_container(grave, struct qs_endpoint, grave);

	qs_ladder_leave(endpoint);
	qs_endpoint_drain(endpoint);
	endpoint_close(endpoint);
	qs_member_leave(endpoint->member);
	qs_endpoint_free(endpoint);
}

static void client_grave(struct qs_grave *grave)
{
	qs_endpoint_free(qs_container(grave, struct qs_endpoint, grave));
}

void qs_endpoint_release(struct qs_endpoint *endpoint)
{
	struct qs_engine *engine = endpoint->engine;

	if (endpoint->n_listeners > 0 || endpoint->n_conns > 0 || endpoint->released)
		return;
	endpoint->released = true;
	TAILQ_REMOVE(&engine->endpoints, endpoint, link);
	if (!endpoint->server)
		endpoint_close(endpoint);
	qs_engine_bury(engine, &endpoint->grave, endpoint->server ? server_grave : client_grave);
}
