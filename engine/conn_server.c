/* SPDX-License-Identifier: MIT */
/* A server's connections: the first Initial of a client. */
#include "conn_parts.h"

#include "cid.h"
#include "errmap.h"
#include "listen.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#define CONNS_MAX 16384u
#define OPENING_MAX 4096u /* server connections in the handshake, at most */

static int server_start(struct qs_conn *conn, const ngtcp2_pkt_hd *hd,
			const struct qs_udp_train *train)
{
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	struct sockaddr_storage local = train->local, remote = train->remote, unused;
	ngtcp2_path path = qs_conn_make_path(&local, train->local_len, &remote, train->remote_len);
	ngtcp2_cid scid;
	size_t mtu = 1500;
	int rv;

	qs_udp_route((struct sockaddr *)&remote, NULL, NULL, &unused, &mtu);
	qs_conn_settings(conn, &settings, mtu, remote.ss_family == AF_INET6);
	qs_conn_params(conn, &params);
	params.original_dcid = hd->dcid;
	params.original_dcid_present = 1;
	rv = qs_conn_cid_new(conn, &scid);
	if (rv == 0)
		rv = qs_conn_cid_add(conn, hd->dcid.data, hd->dcid.datalen);
	if (rv < 0)
		return rv;
	if (ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token,
							 conn->reset_secret, QS_TLS_RESET_SECRET,
							 &scid) == 0)
		params.stateless_reset_token_present = 1;
	rv = ngtcp2_conn_server_new(&conn->quic, &hd->scid, &scid, &path, hd->version,
				    &qs_conn_server_callbacks, &settings, &params, NULL,
				    &conn->user);
	return rv == 0 ? 0 : -ENOMEM;
}

static int server_begin(struct qs_conn *conn, struct qs_tls_creds *creds, const ngtcp2_pkt_hd *hd,
			const struct qs_udp_train *train)
{
	int rv = server_start(conn, hd, train);

	return rv < 0 ? rv : qs_tls_server_init(&conn->link, creds, conn->rule->alpn);
}

/* Not inlined: locals of a function that holds a trap may be lost by its jump. */
__attribute__((noinline)) static unsigned count_opening(const struct qs_engine *engine)
{
	const struct qs_conn *conn;
	unsigned n = 0;

	TAILQ_FOREACH(conn, &engine->conns, link_all)
	n += conn->server && conn->state == QS_CONNECTION_HANDSHAKE;
	return n;
}

struct qs_conn *qs_conn_accept(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
			       const uint8_t *packet, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	struct qs_tls_creds *creds;
	volatile int begun = -EIO;
	struct qs_conn *conn;
	ngtcp2_pkt_hd hd;
	char text[512];

	if (endpoint->n_listeners == 0 || ngtcp2_accept(&hd, packet, len) != 0)
		return NULL;
	if (engine->n_conns >= CONNS_MAX ||
	    (engine->n_conns >= OPENING_MAX && count_opening(engine) >= OPENING_MAX))
		return NULL;
	creds = qs_engine_creds(engine, endpoint->rule, text);
	conn = creds != NULL ? qs_conn_new(engine, endpoint, endpoint->rule, true) : NULL;
	if (conn == NULL)
		return NULL;
	qs_addr_from_sockaddr(&conn->local, (const struct sockaddr *)&train->local,
			      train->local_len);
	qs_addr_from_sockaddr(&conn->peer, (const struct sockaddr *)&train->remote,
			      train->remote_len);
	conn->reset_secret = qs_tls_creds_reset_secret(creds);
	QS_GUARDED(conn, begun = server_begin(conn, creds, &hd, train));
	if (begun < 0) {
		qs_conn_drop(conn, 0);
		return NULL;
	}
	ngtcp2_conn_set_tls_native_handle(conn->quic, conn->link.session);
	engine->totals.connections_accepted++;
	return conn;
}
