/* SPDX-License-Identifier: MIT */
/* A server's connections: the first Initial of a client. */

/*
 * Theory. A connection that is opening costs some 70 KiB and a signature, and its Initial may come from
 * anybody in anybody's name. While few are opening each Initial gets one. From RETRY_AT on a client is
 * asked to come again with a token that only its address can have got (RFC 9000, 8.1.2), which costs us
 * nothing to remember: so spoofed Initials take no more places, and clients a round trip more.
 */
#include "conn_parts.h"

#include "cid.h"
#include "endpoint_parts.h"
#include "errmap.h"
#include "hash.h"
#include "listen.h"
#include "log.h"
#include "sniff.h"
#include "token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OPENING_MAX 4096u /* server connections in the handshake, at most */
#define OPENING_SHARE (OPENING_MAX / 8) /* of one source, when there are many */
#define RETRY_AT 512u /* so many of them, and clients must validate their address first */
#define REFUSALS_A_SECOND 1000u /* of tokens */

/* What is known of where an Initial comes from. */
struct origin {
	enum qs_token_kind kind;
	ngtcp2_cid odcid; /* RETRY: of the very first Initial */
};

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
}

static int server_start(struct qs_conn *conn, const ngtcp2_pkt_hd *hd, const struct origin *origin,
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
	if (origin->kind == QS_TOKEN_RETRY) {
		params.original_dcid = origin->odcid;
		params.retry_scid = hd->dcid;
		params.retry_scid_present = 1;
	}
	if (origin->kind != QS_TOKEN_NONE) { /* what lifts the limit on what is sent */
		settings.token = hd->token;
		settings.tokenlen = hd->tokenlen;
		settings.token_type = origin->kind == QS_TOKEN_RETRY ? NGTCP2_TOKEN_TYPE_RETRY
								     : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
	}
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
			const struct origin *origin, const struct qs_udp_train *train)
{
	int rv = server_start(conn, hd, origin, train);

	return rv < 0 ? rv : qs_tls_server_init(&conn->link, creds, conn->rule->alpn);
}

void qs_conn_not_opening(struct qs_conn *conn)
{
	conn->engine->n_opening -= conn->opening;
	conn->engine->opening_from[conn->source] -= conn->opening;
	conn->opening = false;
}

/* An address, or the network that one IPv6 host may have for itself. */
static uint8_t source_of(const struct qs_udp_train *train)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&train->remote;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&train->remote;

	if (train->remote.ss_family == AF_INET6)
		return qs_hash(&in6->sin6_addr, 8) % QS_OPENING_SOURCES;
	return qs_hash(&in->sin_addr, sizeof(in->sin_addr)) % QS_OPENING_SOURCES;
}

/* Where half of the places are taken nobody gets more than his share, so that one host's handshakes that are never
 * ended leave room for others. */
static bool has_place(const struct qs_engine *engine, uint8_t source)
{
	if (engine->n_opening < OPENING_MAX / 2)
		return true;
	return engine->n_opening < OPENING_MAX && engine->opening_from[source] < OPENING_SHARE;
}

/* --- address validation --- */

static void answer(struct qs_endpoint *endpoint, const struct qs_udp_train *train, uint8_t *packet,
		   ssize_t len)
{
	struct qs_udp_train one = *train;

	if (len <= 0)
		return;
	one.data = packet;
	one.len = one.segment = (size_t)len;
	one.ecn = 0;
	qs_udp_send(&endpoint->udp, &one);
}

void qs_conn_retry(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		   const uint8_t *packet, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	uint8_t out[256];
	ngtcp2_pkt_hd hd;
	ngtcp2_cid scid;

	if (ngtcp2_accept(&hd, packet, len) != 0 || qs_conn_cid_make(endpoint, &scid) < 0)
		return;
	if (!qs_flood_admit(&engine->flood, QS_FLOOD_RETRY, engine->now_ns)) {
		engine->totals.flights_dropped++;
		return;
	}
	engine->totals.retries_sent++;
	answer(endpoint, train, out,
	       qs_token_write_retry(out, sizeof(out), endpoint->token_secret, &hd,
				    (const struct sockaddr *)&train->remote, &scid, wall_ns()));
}

/* False: this Initial shall get no connection; the client may have been answered. */
static bool validate(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		     const ngtcp2_pkt_hd *hd, struct origin *origin)
{
	struct qs_engine *engine = endpoint->engine;
	uint8_t out[256];

	origin->kind = qs_endpoint_token(endpoint, hd, (const struct sockaddr *)&train->remote,
					 &origin->odcid);
	if (origin->kind != QS_TOKEN_INVALID)
		return true;
	if (qs_endpoint_within_budget(engine, &engine->n_refusals, REFUSALS_A_SECOND))
		answer(endpoint, train, out, qs_token_write_refusal(out, sizeof(out), hd));
	return false;
}

/*
 * Noise would cost as much as a client otherwise. Without the ClientHello's first octet, the library asks for a Retry
 * once all is made: so rather before.
 */
static bool is_worth_it(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
			const uint8_t *packet, size_t len, const struct origin *origin)
{
	bool first;

	if (qs_sniff_once(packet, len, &first) == QS_SNIFF_NOISE)
		return false;
	if (first || origin->kind != QS_TOKEN_NONE)
		return true;
	qs_conn_retry(endpoint, train, packet, len);
	return false;
}

struct qs_conn *qs_conn_accept(struct qs_endpoint *endpoint, const struct qs_rule *rule,
			       const struct qs_udp_train *train, const uint8_t *packet, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	uint8_t source = source_of(train);
	struct qs_tls_creds *creds;
	volatile int begun = -EIO;
	struct origin origin;
	struct qs_conn *conn;
	ngtcp2_pkt_hd hd;
	char text[512];

	if (ngtcp2_accept(&hd, packet, len) != 0)
		return NULL;
	/* Not for a moment only: the client shall not wait. */
	if (engine->n_conns >= QS_CONNS_MAX) {
		qs_endpoint_refuse(endpoint, train, hd.version, &hd.scid, &hd.dcid,
				   NGTCP2_CONNECTION_REFUSED);
		return NULL;
	}
	if (!has_place(engine, source)) {
		engine->totals.flights_dropped++;
		return NULL;
	}
	if (!validate(endpoint, train, &hd, &origin))
		return NULL;
	if (origin.kind == QS_TOKEN_NONE && engine->n_opening >= RETRY_AT) {
		qs_conn_retry(endpoint, train, packet, len);
		return NULL;
	}
	if (!is_worth_it(endpoint, train, packet, len, &origin))
		return NULL;
	creds = qs_engine_creds(engine, rule, text);
	conn = creds != NULL ? qs_conn_new(engine, endpoint, rule, true) : NULL;
	if (conn == NULL) {
		qs_endpoint_refuse(endpoint, train, hd.version, &hd.scid, &hd.dcid,
				   NGTCP2_CONNECTION_REFUSED);
		return NULL;
	}
	qs_addr_from_sockaddr(&conn->local, (const struct sockaddr *)&train->local,
			      train->local_len);
	qs_addr_from_sockaddr(&conn->peer, (const struct sockaddr *)&train->remote,
			      train->remote_len);
	conn->opening = true;
	conn->source = source;
	engine->n_opening++;
	engine->opening_from[source]++;
	conn->reset_secret = endpoint->reset_secret;
	QS_GUARDED(conn, begun = server_begin(conn, creds, &hd, &origin, train));
	if (begun < 0) {
		qs_conn_drop(conn, 0);
		return NULL;
	}
	ngtcp2_conn_set_tls_native_handle(conn->quic, conn->link.session);
	engine->totals.connections_accepted++;
	return conn;
}
