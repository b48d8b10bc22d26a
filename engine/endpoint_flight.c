/* SPDX-License-Identifier: MIT */
/* First flights at a server's socket: who takes them, and proof of the client's address. */

/*
 * Theory. Where all who listen serve one protocol under any name, and one of them is ours, there is
 * nothing to find out and the flight becomes a connection at once. Else it goes into the endpoint's
 * table (flight.h), which holds it until its ClientHello is whole, asks decide() once, and gives the
 * datagrams to pass(): here, or over the link to the sibling that serves protocol and name, also for
 * what comes later, until the client has learnt an ID of the sibling's.
 * While many flights are undecided, or many connections are opening (conn_server.c), a client must
 * show that it gets what is sent to its address, by the token of a Retry. Tokens are made with a
 * secret of the endpoint's; siblings know it, as the Initial that brings one may come to them.
 */
#include "endpoint_parts.h"

#include "conn.h"
#include "flight.h"
#include "log.h"

#include <string.h>
#include <time.h>

#define OFFERS_MAX 32u /* protocols of one client that are looked up: 16 KiB hold thousands */
#define SIBLING_SHIFT 32 /* where = (slot + 2) << 32 | serve */

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
}

/* --- tokens --- */

/* Whoever sent the Retry put its slot into the ID that the client uses since: one look, or two. */
enum qs_token_kind qs_endpoint_token(struct qs_endpoint *endpoint, const ngtcp2_pkt_hd *hd,
				     const struct sockaddr *remote, ngtcp2_cid *odcid)
{
	uint64_t now = wall_ns();
	enum qs_token_kind kind = qs_token_check(endpoint->token_secret, hd, remote, now, odcid);
	struct qs_cid_fields fields;
	struct qs_link *link;

	if (kind != QS_TOKEN_INVALID ||
	    qs_cid_codec_decode(&endpoint->codec, hd->dcid.data, hd->dcid.datalen, &fields) < 0)
		return kind;
	link = qs_member_link(endpoint->member, fields.slot);
	if (link == NULL || !link->known ||
	    memcmp(link->peer.token_secret, endpoint->token_secret,
		   sizeof(endpoint->token_secret)) == 0)
		return kind;
	return qs_token_check(link->peer.token_secret, hd, remote, now, odcid);
}

/* --- what the table asks --- */

static void refuse(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		   const struct qs_sniff *sniff, uint64_t code)
{
	qs_endpoint_refuse(endpoint, train, sniff->version, &sniff->scid, &sniff->dcid, code);
}

/* The first of the client's protocols that somebody serves under the name it asks for. */
static void find_route(struct qs_endpoint *endpoint, const struct qs_addr *local,
		       const struct qs_sniff *sniff, struct qs_route *out)
{
	uint32_t hash = qs_endpoint_hash(sniff->dcid.data, sniff->dcid.datalen);
	char alpn[QS_SERVE_ALPN];
	const uint8_t *offered = NULL;
	bool known = false;
	unsigned n = 0;
	size_t len;

	if (qs_route_plain(endpoint, local, hash, out) && out->kind == QS_ROUTE_CLOSED)
		return;
	while (n < OFFERS_MAX && (offered = qs_sniff_alpn(sniff, offered, &len)) != NULL) {
		if (len >= sizeof(alpn))
			continue;
		n++;
		memcpy(alpn, offered, len);
		alpn[len] = '\0';
		if (qs_route_find(endpoint, local, alpn, sniff->sni, hash, out))
			return;
		known |= out->kind == QS_ROUTE_NO_NAME;
	}
	*out = (struct qs_route){.kind = known ? QS_ROUTE_NO_NAME : QS_ROUTE_NO_PROTOCOL};
}

static uint64_t decide(void *context, const struct qs_udp_train *first,
		       const struct qs_sniff *sniff)
{
	static const uint64_t codes[] = {
		[QS_ROUTE_CLOSED] = NGTCP2_CONNECTION_REFUSED,
		[QS_ROUTE_NO_PROTOCOL] = NGTCP2_CRYPTO_ERROR | 120,
		[QS_ROUTE_NO_NAME] = NGTCP2_CRYPTO_ERROR | 112,
	};
	struct qs_endpoint *endpoint = context;
	struct qs_route route;
	struct qs_addr local;

	if (sniff->verdict != QS_SNIFF_DECIDED) {
		refuse(endpoint, first, sniff,
		       sniff->verdict == QS_SNIFF_NO_ROOM ? NGTCP2_CRYPTO_BUFFER_EXCEEDED
							  : NGTCP2_PROTOCOL_VIOLATION);
		return QS_FLIGHT_NOBODY;
	}
	qs_addr_from_sockaddr(&local, (const struct sockaddr *)&first->local, first->local_len);
	find_route(endpoint, &local, sniff, &route);
	endpoint->chosen = route.listener;
	if (route.kind == QS_ROUTE_LISTENER)
		return QS_FLIGHT_HERE;
	if (route.kind == QS_ROUTE_LINK)
		return (uint64_t)(route.link->peer.slot + 2u) << SIBLING_SHIFT | route.serve;
	refuse(endpoint, first, sniff, codes[route.kind]);
	return QS_FLIGHT_NOBODY;
}

static void pass(void *context, uint64_t where, const struct qs_udp_train *train)
{
	struct qs_endpoint *endpoint = context;
	struct qs_link *link;

	if (where == QS_FLIGHT_HERE) {
		qs_endpoint_take_flight(endpoint, endpoint->chosen, train);
		return;
	}
	link = qs_member_link(endpoint->member, (uint16_t)((where >> SIBLING_SHIFT) - 2));
	if (link != NULL)
		qs_link_send(link, QS_HANDOFF_FLIGHT, (uint32_t)where, train);
}

static bool admit(void *context, const struct qs_udp_train *train)
{
	struct qs_endpoint *endpoint = context;
	ngtcp2_cid odcid;
	ngtcp2_pkt_hd hd;

	if (ngtcp2_accept(&hd, train->data, train->len) != 0)
		return false;
	switch (qs_endpoint_token(endpoint, &hd, (const struct sockaddr *)&train->remote, &odcid)) {
	case QS_TOKEN_RETRY:
	case QS_TOKEN_REGULAR:
		return true;
	case QS_TOKEN_INVALID: /* it proves nothing, and the client takes no other */
		qs_endpoint_refuse(endpoint, train, hd.version, &hd.scid, &hd.dcid,
				   NGTCP2_INVALID_TOKEN);
		return false;
	case QS_TOKEN_NONE:
		break;
	}
	qs_conn_retry(endpoint, train, train->data, train->len);
	return false;
}

static const struct qs_flight_ops ops = {.decide = decide, .pass = pass, .admit = admit};

/* --- from the socket --- */

static bool is_busy(const struct qs_flight_table *table)
{
	const struct qs_flight_counts *counts;

	if (table == NULL)
		return false;
	counts = qs_flight_counts(table);
	return counts->n_undecided > 0 || counts->n_routes > 0;
}

struct qs_listener *qs_endpoint_first_flight(struct qs_endpoint *endpoint,
					     const struct qs_udp_train *train, uint32_t hash)
{
	struct qs_route route;
	struct qs_addr local;

	qs_addr_from_sockaddr(&local, (const struct sockaddr *)&train->local, train->local_len);
	if (!is_busy(endpoint->flights) && qs_route_plain(endpoint, &local, hash, &route) &&
	    route.kind == QS_ROUTE_LISTENER)
		return route.listener;
	if (endpoint->flights == NULL)
		endpoint->flights = qs_flight_table_new(&ops, endpoint);
	if (endpoint->flights != NULL)
		qs_flight_feed(endpoint->flights, train, endpoint->engine->now_ns);
	return NULL;
}

void qs_endpoint_sweep_flights(struct qs_endpoint *endpoint)
{
	if (endpoint->flights != NULL)
		qs_flight_sweep(endpoint->flights, endpoint->engine->now_ns);
}

void qs_endpoint_sibling_gone(struct qs_endpoint *endpoint, const struct qs_link *link)
{
	qs_ladder_gone(endpoint);
	for (unsigned i = 0; endpoint->flights != NULL && i < link->n_serves; i++)
		qs_flight_forget(endpoint->flights, (uint64_t)(link->peer.slot + 2u)
								    << SIBLING_SHIFT |
							    link->serves[i].id);
}
