/* SPDX-License-Identifier: MIT */
/* A client's connections: the pool that shares them, and the first flight. */
#include "conn_parts.h"

#include "cid.h"
#include "errmap.h"
#include "listen.h"
#include "log.h"
#include "migrate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#define PORTS_MAX 16u

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Different sections of the policy may share a connection when nothing on the wire or in the
 * credentials differs. */
static bool same_rule(const struct qs_rule *a, const struct qs_rule *b)
{
	return a == b ||
	       (strcmp(a->alpn, b->alpn) == 0 && same_text(a->ca, b->ca) &&
		same_text(a->cert, b->cert) && same_text(a->key, b->key) &&
		a->congestion == b->congestion && a->idle_timeout_ns == b->idle_timeout_ns &&
		a->keep_alive_ns == b->keep_alive_ns && a->linger_ns == b->linger_ns &&
		a->handshake_timeout_ns == b->handshake_timeout_ns &&
		a->connections == b->connections && a->migration == b->migration &&
		!a->stream_per_connection && !b->stream_per_connection);
}

static bool same_key(const struct qs_conn_key *a, const struct qs_conn_key *b)
{
	return memcmp(&a->peer, &b->peer, sizeof(a->peer)) == 0 &&
	       memcmp(&a->source, &b->source, sizeof(a->source)) == 0 && a->mark == b->mark &&
	       strcmp(a->device, b->device) == 0 && strcmp(a->name, b->name) == 0 &&
	       same_rule(a->rule, b->rule);
}

static bool has_room(struct qs_conn *conn)
{
	if (conn->state == QS_CONNECTION_HANDSHAKE)
		return conn->n_waiting < QS_STREAMS_MAX / 2;
	return ngtcp2_conn_get_streams_bidi_left(conn->quic) > conn->n_waiting;
}

struct qs_conn *qs_conn_pool_find(struct qs_engine *engine, const struct qs_conn_key *key,
				  unsigned *n_same)
{
	struct qs_conn *conn, *best = NULL;

	*n_same = 0;
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		if (conn->server || conn->state == QS_CONNECTION_CLOSING || conn->poisoned ||
		    conn->refusing || !same_key(&conn->key, key))
			continue;
		++*n_same;
		if (has_room(conn) && (best == NULL || conn->n_streams + conn->n_waiting <
							       best->n_streams + best->n_waiting))
			best = conn;
	}
	return best;
}

static int client_start(struct qs_conn *conn, struct sockaddr_storage *local,
			struct sockaddr_storage *remote, socklen_t len, size_t mtu)
{
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_path path = qs_conn_make_path(local, len, remote, len);
	ngtcp2_cid scid, dcid = {.datalen = 18};
	int rv;

	qs_conn_settings(conn, &settings, mtu, remote->ss_family == AF_INET6);
	qs_conn_params(conn, &params);
	if (gnutls_rnd(GNUTLS_RND_NONCE, dcid.data, dcid.datalen) != 0)
		return -EIO;
	rv = qs_conn_cid_new(conn, &scid);
	if (rv < 0)
		return rv;
	rv = ngtcp2_conn_client_new(&conn->quic, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
				    &qs_conn_client_callbacks, &settings, &params, NULL,
				    &conn->user);
	return rv == 0 ? 0 : -ENOMEM;
}

/* The name that is verified and sent as SNI, or none: then the address is verified. */
static int client_tls(struct qs_conn *conn, struct qs_tls_creds *creds)
{
	const struct qs_conn_key *key = &conn->key;

	return qs_tls_client_init(&conn->link, creds, conn->rule->alpn, key->name, key->name,
				  key->peer.ip, key->peer.family == AF_INET ? 4 : 16);
}

static int client_begin(struct qs_conn *conn, struct qs_tls_creds *creds,
			struct sockaddr_storage *local, struct sockaddr_storage *remote,
			socklen_t len, size_t mtu)
{
	int rv = client_start(conn, local, remote, len, mtu);

	return rv < 0 ? rv : client_tls(conn, creds);
}

/* Over how many UDP ports the connections to one peer go. */
static unsigned ports_of(const struct qs_rule *rule)
{
	return rule->stream_per_connection     ? PORTS_MAX
	       : rule->connections < PORTS_MAX ? rule->connections
					       : PORTS_MAX;
}

static bool lacks_scope(const struct sockaddr_storage *to)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)to;

	return to->ss_family == AF_INET6 && in6->sin6_scope_id == 0 &&
	       IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

int qs_conn_connect(struct qs_engine *engine, const struct qs_conn_key *key, struct qs_conn **out,
		    char *text)
{
	struct sockaddr_storage remote, local, source;
	struct qs_udp_options options = {.device = key->device, .mark = key->mark};
	struct qs_endpoint *endpoint = NULL;
	struct qs_tls_creds *creds;
	struct qs_conn *conn;
	volatile int begun = -ECONNREFUSED;
	size_t mtu = 1500;
	socklen_t len;
	int rv;

	creds = qs_engine_creds(engine, key->rule, text);
	if (creds == NULL)
		return -EACCES;
	len = qs_addr_to_sockaddr(&key->peer, key->peer.family, &remote);
	qs_addr_to_sockaddr(&key->source, key->peer.family, &source);
	rv = qs_udp_route((struct sockaddr *)&remote,
			  key->source.family ? (struct sockaddr *)&source : NULL, &options, &local,
			  &mtu);
	/* What a route says that prohibits it, or throws it away (EINVAL, as of an address that wants a scope). EACCES
	 * stands for a certificate from here on. */
	if (rv == -EACCES || (rv == -EINVAL && !lacks_scope(&remote)))
		rv = -EHOSTUNREACH;
	if (rv == 0)
		rv = qs_endpoint_client(engine, key->peer.family, &key->source, key->mark,
					key->device, ports_of(key->rule), &endpoint);
	if (rv < 0)
		return rv;
	conn = qs_conn_new(engine, endpoint, key->rule, false);
	if (conn == NULL) {
		qs_endpoint_release(endpoint);
		return -ENOMEM;
	}
	conn->key = *key;
	conn->reset_secret = engine->reset_secret;
	conn->peer = key->peer;
	if (local.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&local)->sin_port = htons(endpoint->udp.port);
	else
		((struct sockaddr_in6 *)(void *)&local)->sin6_port = htons(endpoint->udp.port);
	qs_addr_from_sockaddr(&conn->local, (struct sockaddr *)&local, len);
	snprintf(conn->sni, sizeof(conn->sni), "%s", key->name);
	QS_GUARDED(conn, begun = client_begin(conn, creds, &local, &remote, len, mtu));
	if (begun < 0) {
		qs_conn_drop(conn, 0);
		return begun;
	}
	ngtcp2_conn_set_tls_native_handle(conn->quic, conn->link.session);
	engine->totals.connections_opened++;
	qs_migrate_watch(conn);
	qs_conn_dirty(conn);
	qs_will_prepare(engine, false);
	*out = conn;
	return 0;
}
