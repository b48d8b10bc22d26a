/* SPDX-License-Identifier: MIT */
/* Datagrams in: to their connection, to the sibling that owns it, to a new one, or to nobody. */

/*
 * Theory. Each segment of a train is looked up by its DCID, since a train of GRO may hold packets of
 * several connections; runs of segments of one connection are taken in one go.
 * A packet for none of our connections belongs to the slot that its ID names, if somebody is there,
 * whatever its generation: the owner of a slot alone knows that its predecessor's connections are
 * no more. It is handed there once. If the slot is empty,
 * nobody owns the ID: a short header gets a stateless reset (RFC 9000, 10.3), from us, and from
 * siblings whose secret is another one. A retired ID of a living connection is not one of those:
 * its late packets are dropped.
 * A first flight goes by what its client asks for (endpoint_flight.c), to a sibling as the last hop.
 */
#include "endpoint_parts.h"

#include "cid.h"
#include "conn.h"
#include "log.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BATCHES_A_TURN 4
#define DRAIN_BATCHES 64
#define RESETS_A_SECOND 100u
#define RESET_OCTETS 41u /* at most */
#define RESET_LEAST 21u
#define INITIAL_LEAST 1200u /* octets of a datagram with one */
#define REFUSALS_A_SECOND 1000u

/* Something to be taken: packets of one connection, and how they came. */
struct arrival {
	struct qs_endpoint *endpoint;
	const struct qs_udp_train *train; /* of this run alone */
	const struct qs_handoff *handed; /* NULL: from the network */
	size_t len; /* of the first packet */
	ngtcp2_version_cid vc;
};

static void answer(const struct arrival *a, uint8_t *packet, ngtcp2_ssize len)
{
	struct qs_udp_train train = *a->train;

	if (len <= 0)
		return;
	train.data = packet;
	train.len = train.segment = (size_t)len;
	train.ecn = 0;
	qs_udp_send(&a->endpoint->udp, &train);
}

bool qs_endpoint_within_budget(struct qs_engine *engine, unsigned *n, unsigned most)
{
	if (engine->now_ns - engine->resets_since_ns > QS_NSEC) {
		engine->resets_since_ns = engine->now_ns;
		engine->n_resets = engine->n_refusals = engine->n_hints = 0;
	}
	return (*n)++ < most;
}

/* Smaller than what came, and at most RESETS_A_SECOND, so that it can neither amplify nor loop. */
static bool may_reset(const struct arrival *a)
{
	struct qs_engine *engine = a->endpoint->engine;

	return a->len > RESET_LEAST &&
	       qs_endpoint_within_budget(engine, &engine->n_resets, RESETS_A_SECOND);
}

static void reset_stateless(const struct arrival *a, const uint8_t *secret)
{
	uint8_t packet[64], token[NGTCP2_STATELESS_RESET_TOKENLEN], noise[24];
	size_t room = a->len - NGTCP2_STATELESS_RESET_TOKENLEN - 1,
	       n_noise = room < sizeof(noise) ? room : sizeof(noise);
	ngtcp2_cid cid;

	ngtcp2_cid_init(&cid, a->vc.dcid, a->vc.dcidlen);
	if (ngtcp2_crypto_generate_stateless_reset_token(token, secret, QS_TLS_RESET_SECRET,
							 &cid) != 0 ||
	    gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise)) != 0)
		return;
	a->endpoint->n_resets++;
	answer(a, packet,
	       ngtcp2_pkt_write_stateless_reset(packet, sizeof(packet), token, noise, n_noise));
}

/* Siblings whose connections had other secrets may have known it. */
static void tell_others(const struct arrival *a)
{
	struct qs_member *member = a->endpoint->member;
	struct qs_link *link;
	size_t answered = RESET_OCTETS;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (!link->known || link->peer.secret == member->secret)
			continue;
		answered += RESET_OCTETS;
		if (answered > a->len)
			return; /* all resets together are no longer than what came */
		qs_link_send(link, QS_HANDOFF_ORPHAN, 0, a->train);
	}
}

/* A short header whose ID is `fields`, and no connection of ours. */
static void orphan(const struct arrival *a, const struct qs_cid_fields *fields)
{
	struct qs_endpoint *endpoint = a->endpoint;

	if (!may_reset(a))
		return;
	if (a->handed == NULL && fields->slot != endpoint->member->slot &&
	    qs_member_slot_taken(endpoint->member, fields->slot))
		return; /* a stranger, or one who has just come */
	reset_stateless(a, endpoint->reset_secret);
	/* Also what came to us because the slot is ours now: its last owner may have had another's key. */
	if (a->handed == NULL || a->handed->type != QS_HANDOFF_ORPHAN)
		tell_others(a);
}

void qs_endpoint_refuse(struct qs_endpoint *endpoint, const struct qs_udp_train *to,
			uint32_t version, const ngtcp2_cid *scid, const ngtcp2_cid *dcid,
			uint64_t code)
{
	struct qs_engine *engine = endpoint->engine;
	struct arrival a = {.endpoint = endpoint, .train = to};
	uint8_t packet[256];

	if (!qs_endpoint_within_budget(engine, &engine->n_refusals, REFUSALS_A_SECOND))
		return;
	endpoint->n_refused++;
	answer(&a, packet,
	       ngtcp2_crypto_write_connection_close(packet, sizeof(packet), version, scid, dcid,
						    code, NULL, 0));
}

/* No client begins with anything else (RFC 9000, 14.1 and 17.2.2): it shall not take the place of one that may be a
 * client. 0-RTT follows an Initial that may still be undecided. */
static bool is_first_flight(const struct arrival *a)
{
	ngtcp2_pkt_hd hd;

	if (ngtcp2_pkt_decode_hd_long(&hd, a->train->data, a->len) < 0)
		return false;
	if (hd.type == NGTCP2_PKT_0RTT)
		return a->endpoint->flights != NULL;
	return hd.type == NGTCP2_PKT_INITIAL && a->len >= INITIAL_LEAST &&
	       hd.dcid.datalen >= NGTCP2_MIN_INITIAL_DCIDLEN;
}

static bool is_admitted(const struct arrival *a)
{
	struct qs_engine *engine = a->endpoint->engine;

	if (qs_flood_admit(&engine->flood, QS_FLOOD_LOOK, engine->now_ns))
		return true;
	engine->totals.flights_dropped++;
	return false;
}

static void negotiate_version(const struct arrival *a)
{
	static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
	uint8_t packet[256];

	if (a->endpoint->server && a->handed == NULL && a->len >= 1200 && is_admitted(a))
		answer(a, packet,
		       ngtcp2_pkt_write_version_negotiation(packet, sizeof(packet), 0x5a,
							    a->vc.scid, a->vc.scidlen, a->vc.dcid,
							    a->vc.dcidlen, versions, 2));
}

/* --- first flights --- */

uint32_t qs_endpoint_hash(const uint8_t *dcid, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ dcid[i]) * 16777619u;
	return hash;
}

static struct qs_conn *accept_for(struct qs_endpoint *endpoint, const struct qs_listener *listener,
				  const struct qs_udp_train *train)
{
	if (listener == NULL)
		return NULL;
	return qs_conn_accept(endpoint, listener->rule, train, train->data, train->len);
}

void qs_endpoint_take_flight(struct qs_endpoint *endpoint, const struct qs_listener *listener,
			     const struct qs_udp_train *train)
{
	ngtcp2_version_cid vc;
	struct qs_conn *conn;

	if (ngtcp2_pkt_decode_version_cid(&vc, train->data, train->len, QS_CID_LEN) != 0)
		return;
	conn = qs_conn_find(endpoint->engine, vc.dcid, vc.dcidlen);
	if (conn == NULL)
		conn = accept_for(endpoint, listener, train);
	if (conn != NULL)
		qs_conn_receive(conn, train, train->data, train->len);
}

/* A long header for no connection of ours. */
static struct qs_conn *first_flight(const struct arrival *a)
{
	struct qs_endpoint *endpoint = a->endpoint;
	struct qs_listener *listener = NULL;

	if (a->handed != NULL && a->handed->type == QS_HANDOFF_FLIGHT)
		listener = qs_listener_by_id(endpoint->engine, endpoint, a->handed->number);
	/* One that has just gone: decided anew. Its end was told before the flight goes back, so that
	 * it can't go round. */
	if (listener == NULL)
		listener = qs_endpoint_first_flight(endpoint, a->train,
						    qs_endpoint_hash(a->vc.dcid, a->vc.dcidlen));
	return accept_for(endpoint, listener, a->train);
}

/* --- one run --- */

/* None of our connections has the ID, and this is a server's socket. */
static struct qs_conn *not_ours(const struct arrival *a)
{
	struct qs_member *member = a->endpoint->member;
	struct qs_cid_fields fields = {0};
	bool routable =
		qs_cid_codec_decode(&a->endpoint->codec, a->vc.dcid, a->vc.dcidlen, &fields) == 0;
	struct qs_link *link;

	if (qs_conn_knew(a->endpoint->engine, a->vc.dcid, a->vc.dcidlen))
		return NULL;
	if (a->vc.version == 0 && a->handed == NULL &&
	    qs_ladder_probed(a->endpoint, a->vc.dcid, a->vc.dcidlen))
		return NULL;
	if (routable && a->handed == NULL && fields.slot != member->slot) {
		link = qs_member_link(member, fields.slot);
		if (link != NULL) {
			qs_ladder_doubt(a->endpoint, link);
			qs_link_send(link, QS_HANDOFF_PACKETS, 0, a->train);
			return NULL;
		}
	}
	if (a->vc.version != 0) {
		bool decided = a->handed != NULL && a->handed->type == QS_HANDOFF_FLIGHT;

		/* What a sibling handed on for its ID alone was not counted there. */
		if ((a->handed != NULL && a->handed->type == QS_HANDOFF_ORPHAN) ||
		    !is_first_flight(a) || (!decided && !is_admitted(a)))
			return NULL;
		return first_flight(a);
	}
	if (routable)
		orphan(a, &fields);
	return NULL;
}

/*
 * A stateless reset looks like a short header with an ID of nobody's: only its end tells whom it is for (RFC 9000,
 * 10.3.1). The library judges it again.
 */
static struct qs_conn *reset_for(const struct arrival *a)
{
	struct qs_addr remote;
	struct qs_conn *conn;

	if (a->vc.version != 0 || a->len < RESET_LEAST || a->handed != NULL ||
	    a->train->len != a->len)
		return NULL;
	conn = qs_reset_token_find(a->endpoint->engine,
				   a->train->data + a->len - NGTCP2_STATELESS_RESET_TOKENLEN);
	if (conn == NULL || conn->endpoint != a->endpoint || conn->poisoned ||
	    conn->state == QS_CONNECTION_CLOSING ||
	    qs_addr_from_sockaddr(&remote, (const struct sockaddr *)&a->train->remote,
				  a->train->remote_len) < 0 ||
	    !qs_addr_equal(&conn->peer, &remote))
		return NULL;
	return conn;
}

static void client_orphan(const struct arrival *a)
{
	struct qs_engine *engine = a->endpoint->engine;
	struct qs_cid_fields fields;

	if (a->vc.version == 0 &&
	    qs_cid_codec_decode(&a->endpoint->codec, a->vc.dcid, a->vc.dcidlen, &fields) == 0 &&
	    fields.generation == engine->generation &&
	    !qs_conn_knew(engine, a->vc.dcid, a->vc.dcidlen) && may_reset(a))
		reset_stateless(a, engine->reset_secret);
}

static void take_run(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		     const struct qs_handoff *handed)
{
	struct arrival a = {.endpoint = endpoint, .train = train, .handed = handed};
	struct qs_conn *conn = NULL;
	int rv;

	a.len = train->len < train->segment ? train->len : train->segment;
	rv = ngtcp2_pkt_decode_version_cid(&a.vc, train->data, a.len, QS_CID_LEN);
	if (rv == 0) {
		conn = qs_conn_find(endpoint->engine, a.vc.dcid, a.vc.dcidlen);
		if (conn == NULL)
			conn = reset_for(&a);
		if (conn == NULL && endpoint->server)
			conn = not_ours(&a);
		else if (conn == NULL)
			client_orphan(&a);
	} else if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
		negotiate_version(&a);
	}
	if (conn != NULL)
		qs_conn_receive(conn, train, train->data, train->len);
	else
		endpoint->udp.dropped_datagrams++;
}

/* Short header packets of one connection mostly come in a row: the first octets tell without a
 * look-up. */
static bool same_dcid(const uint8_t *a, const uint8_t *b, size_t len)
{
	return len > 1 + QS_CID_LEN && !(a[0] & 0x80) && !(b[0] & 0x80) &&
	       memcmp(a + 1, b + 1, QS_CID_LEN) == 0;
}

static void dispatch(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		     const struct qs_handoff *handed)
{
	for (size_t at = 0; at < train->len;) {
		struct qs_udp_train run = *train;
		size_t n = train->len - at < train->segment ? train->len - at : train->segment;

		run.data = train->data + at;
		run.len = n;
		while (at + run.len < train->len) {
			size_t left = train->len - at - run.len;

			n = left < train->segment ? left : train->segment;
			if (!same_dcid(run.data, run.data + run.len, n))
				break;
			run.len += n;
		}
		if (run.segment > run.len)
			run.segment = run.len;
		take_run(endpoint, &run, handed);
		at += run.len;
	}
}

void qs_endpoint_handed(struct qs_endpoint *endpoint, const struct qs_handoff *message)
{
	dispatch(endpoint, &message->train, message);
}

/* --- the socket --- */

/* A connection that is opening and whose first flight met a closed port. The quoted packet must be
 * ours. */
static void refused(struct qs_endpoint *endpoint, const struct sockaddr_storage *remote, int error,
		    const uint8_t *quoted, size_t len)
{
	struct qs_addr addr;
	struct qs_conn *conn;

	if (qs_addr_from_sockaddr(&addr, (const struct sockaddr *)remote, sizeof(*remote)) < 0)
		return;
	TAILQ_FOREACH(conn, &endpoint->engine->conns, link_all)
	{
		const ngtcp2_cid *dcid;

		if (conn->server || conn->endpoint != endpoint ||
		    conn->state != QS_CONNECTION_HANDSHAKE || conn->poisoned ||
		    memcmp(&conn->peer, &addr, sizeof(addr)) != 0)
			continue;
		dcid = ngtcp2_conn_get_client_initial_dcid(conn->quic);
		if (len < 6 + dcid->datalen || quoted[5] != dcid->datalen ||
		    memcmp(quoted + 6, dcid->data, dcid->datalen) != 0)
			continue;
		conn->engine->totals.connections_failed++;
		qs_conn_drop(conn, error);
		return;
	}
}

static void read_errors(struct qs_endpoint *endpoint)
{
	struct sockaddr_storage remote;
	uint8_t quoted[64];
	size_t len;
	int error;

	while (qs_udp_error(&endpoint->udp, &remote, &error, quoted, sizeof(quoted), &len) == 1) {
		if (!endpoint->server &&
		    (error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH))
			refused(endpoint, &remote, error, quoted, len);
	}
}

static void drain_pending(struct qs_endpoint *endpoint)
{
	struct qs_conn *conn;

	TAILQ_FOREACH(conn, &endpoint->engine->conns, link_all)
	{
		struct qs_udp_train *train = conn->pending;

		if (conn->endpoint != endpoint || train == NULL)
			continue;
		conn->pending = NULL;
		if (!qs_endpoint_send(endpoint, conn, train)) {
			free(train);
			return;
		}
		free(train);
		qs_conn_dirty(conn);
	}
	endpoint->want_out = false;
	qs_source_modify(endpoint->engine, &endpoint->source, EPOLLIN);
}

/* Returns the number of trains. */
static int read_batch(struct qs_endpoint *endpoint)
{
	struct qs_udp_batch *batch = &endpoint->engine->batch;
	int n = qs_udp_receive(&endpoint->udp, batch);

	for (int i = 0; i < n; i++)
		dispatch(endpoint, &batch->trains[i], NULL);
	return n;
}

void qs_endpoint_event(struct qs_source *source, uint32_t events)
{
	struct qs_endpoint *endpoint = qs_container(source, struct qs_endpoint, source);

	if (events & EPOLLERR)
		read_errors(endpoint);
	if (events & EPOLLOUT)
		drain_pending(endpoint);
	for (int i = 0; i < BATCHES_A_TURN && source->fd >= 0; i++) {
		if (read_batch(endpoint) < (int)QS_UDP_BATCH)
			break;
	}
}

void qs_endpoint_drain(struct qs_endpoint *endpoint)
{
	for (int i = 0; i < DRAIN_BATCHES && read_batch(endpoint) > 0; i++)
		;
}
