/* SPDX-License-Identifier: MIT */
/* First flights of clients, until it is known who serves them, and where decided ones went. */

/*
 * Theory. A flight is named by both addresses and both connection IDs: until the server has
 * answered, a client changes none of them. Most are decided by their first datagram and leave
 * nothing here. One whose ClientHello is not whole is *undecided*: its datagrams are held as they
 * came. The decision is taken once, and holds for what comes later, or twice: a sibling's flights
 * are remembered as *routes*. Those of our own are not, since the connection knows its IDs.
 * State is made only after a packet of the flight has been authenticated, which costs a sender a
 * datagram of 1,200 octets of its own; from QS_FLIGHT_RETRY_AT flights on it must also have shown
 * that it gets what is sent to its address.
 * When there is no room the newest flight of the source that has most gives way, if that source
 * still has as many as the new one's then; else the new one does. Routes give way to routes only, the longest unused first. So a
 * flood is its own first victim.
 */
#include "flight_parts.h"

#include <gnutls/crypto.h>
#include <stdlib.h>

struct qs_flight_table *qs_flight_table_new(const struct qs_flight_ops *ops, void *context)
{
	struct qs_flight_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	if (gnutls_rnd(GNUTLS_RND_NONCE, &table->secret, sizeof(table->secret)) < 0) {
		free(table);
		return NULL;
	}
	table->ops = ops;
	table->context = context;
	TAILQ_INIT(&table->by_age);
	TAILQ_INIT(&table->by_use);
	return table;
}

const struct qs_flight_counts *qs_flight_counts(const struct qs_flight_table *table)
{
	return &table->counts;
}

static uint64_t decide(struct qs_flight_table *table, const struct qs_flight_key *key,
		       const struct qs_udp_train *train, const struct qs_sniff *sniff,
		       uint64_t now_ns)
{
	uint64_t where = table->ops->decide(table->context, train, sniff);

	table->counts.decided++;
	if (where != QS_FLIGHT_NOBODY && where != QS_FLIGHT_HERE)
		qs_flight_route_new(table, key, where, now_ns);
	return where;
}

static struct qs_udp_train train_of(const struct qs_flight *flight,
				    const struct qs_flight_datagram *datagram)
{
	struct qs_udp_train train = flight->train;

	train.data = (uint8_t *)(uintptr_t)datagram->data;
	train.len = train.segment = datagram->len;
	train.ecn = datagram->ecn;
	train.ifindex = datagram->ifindex;
	return train;
}

/* The verdict is there: everything that is held goes, in order. */
static enum qs_flight_result conclude(struct qs_flight_table *table, struct qs_flight *flight,
				      uint64_t now_ns)
{
	struct qs_flight_datagram *datagram =
		STAILQ_FIRST(&flight->datagrams[QS_FLIGHT_RANK_HELLO]);
	struct qs_udp_train train;
	uint64_t where;

	if (datagram == NULL)
		datagram = STAILQ_FIRST(&flight->datagrams[QS_FLIGHT_RANK_INITIAL]);
	train = train_of(flight, datagram);
	qs_flight_remove(table, flight);
	where = decide(table, &flight->key, &train, &flight->sniff, now_ns);
	for (unsigned rank = 0; rank < QS_FLIGHT_RANKS && where != QS_FLIGHT_NOBODY; rank++) {
		STAILQ_FOREACH(datagram, &flight->datagrams[rank], link)
		{
			train = train_of(flight, datagram);
			table->ops->pass(table->context, where, &train);
		}
	}
	qs_flight_free(flight);
	return where != QS_FLIGHT_NOBODY ? QS_FLIGHT_PASSED : QS_FLIGHT_REFUSED;
}

/* --- datagrams --- */

/* The first one of a flight that is not known. */
static enum qs_flight_result feed_first(struct qs_flight_table *table,
					const struct qs_flight_key *key,
					const struct qs_udp_train *train, uint64_t now_ns)
{
	struct qs_flight *flight;
	struct qs_sniff sniff;
	uint64_t where;

	if (qs_sniff_init(&sniff, train->data, train->len) < 0)
		return QS_FLIGHT_NOISE;
	switch (qs_sniff_feed(&sniff, train->data, train->len)) {
	case QS_SNIFF_NOISE:
		qs_sniff_fini(&sniff);
		return QS_FLIGHT_NOISE;
	case QS_SNIFF_MORE:
		break;
	default:
		where = decide(table, key, train, &sniff, now_ns);
		if (where != QS_FLIGHT_NOBODY)
			table->ops->pass(table->context, where, train);
		qs_sniff_fini(&sniff);
		return where != QS_FLIGHT_NOBODY ? QS_FLIGHT_PASSED : QS_FLIGHT_REFUSED;
	}
	if ((table->counts.n_undecided >= QS_FLIGHT_RETRY_AT &&
	     !table->ops->admit(table->context, train)) ||
	    !qs_flight_make_room(table, qs_flight_source_find(table, key, false),
				 train->len + sniff.capacity, true)) {
		qs_sniff_fini(&sniff);
		return QS_FLIGHT_REFUSED;
	}
	flight = qs_flight_new(table, key, train, &sniff, now_ns);
	if (flight == NULL) {
		qs_sniff_fini(&sniff);
		return QS_FLIGHT_REFUSED;
	}
	if (!qs_flight_hold(table, flight,
			    sniff.first ? QS_FLIGHT_RANK_HELLO : QS_FLIGHT_RANK_INITIAL, train)) {
		qs_flight_remove(table, flight);
		qs_flight_free(flight);
		return QS_FLIGHT_REFUSED;
	}
	return QS_FLIGHT_HELD;
}

static enum qs_flight_result feed_more(struct qs_flight_table *table, struct qs_flight *flight,
				       const struct qs_udp_train *train, bool early,
				       uint64_t now_ns)
{
	uint32_t capacity = flight->sniff.capacity;
	enum qs_sniff_verdict verdict = qs_sniff_feed(&flight->sniff, train->data, train->len);
	enum qs_flight_rank rank =
		flight->sniff.first ? QS_FLIGHT_RANK_HELLO : QS_FLIGHT_RANK_INITIAL;

	table->counts.octets += flight->sniff.capacity - capacity;
	if (verdict == QS_SNIFF_NOISE) {
		/* Nobody can tell whether 0-RTT is authentic, so it has a share of its own. */
		if (!early)
			return QS_FLIGHT_NOISE;
		rank = QS_FLIGHT_RANK_EARLY;
		if (flight->early_octets + train->len > QS_FLIGHT_OCTETS_MAX / 2)
			return QS_FLIGHT_REFUSED;
	}
	if (flight->octets + train->len > QS_FLIGHT_OCTETS_MAX) {
		if (rank == QS_FLIGHT_RANK_EARLY)
			return QS_FLIGHT_REFUSED;
		flight->sniff.verdict = QS_SNIFF_NO_ROOM;
		return conclude(table, flight, now_ns);
	}
	if (!qs_flight_make_room(table, flight->source, train->len, false) ||
	    !qs_flight_hold(table, flight, rank, train)) {
		/* The sniffer has seen what is not held: what the client repeats must begin anew. */
		qs_flight_remove(table, flight);
		qs_flight_free(flight);
		table->counts.evicted++;
		return QS_FLIGHT_REFUSED;
	}
	if (verdict != QS_SNIFF_MORE && verdict != QS_SNIFF_NOISE)
		return conclude(table, flight, now_ns);
	return QS_FLIGHT_HELD;
}

static enum qs_flight_result feed(struct qs_flight_table *table, const struct qs_udp_train *train,
				  uint64_t now_ns)
{
	struct qs_flight *flight;
	struct qs_flight_route *route;
	ngtcp2_pkt_hd hd;
	struct qs_flight_key key;

	if (ngtcp2_pkt_decode_hd_long(&hd, train->data, train->len) < 0 ||
	    (hd.type != NGTCP2_PKT_INITIAL && hd.type != NGTCP2_PKT_0RTT))
		return QS_FLIGHT_NOISE;
	key = qs_flight_make_key(table, train, &hd);
	HASH_FIND(hh, table->routes, &key, sizeof(key), route);
	if (route != NULL) {
		route->used_ns = now_ns;
		TAILQ_REMOVE(&table->by_use, route, link);
		TAILQ_INSERT_TAIL(&table->by_use, route, link);
		table->ops->pass(table->context, route->where, train);
		return QS_FLIGHT_PASSED;
	}
	HASH_FIND(hh, table->flights, &key, sizeof(key), flight);
	if (flight != NULL)
		return feed_more(table, flight, train, hd.type == NGTCP2_PKT_0RTT, now_ns);
	return feed_first(table, &key, train, now_ns);
}

enum qs_flight_result qs_flight_feed(struct qs_flight_table *table,
				     const struct qs_udp_train *train, uint64_t now_ns)
{
	enum qs_flight_result result = feed(table, train, now_ns);
	uint64_t *const counts[] = {
		[QS_FLIGHT_NOISE] = &table->counts.noise,
		[QS_FLIGHT_HELD] = &table->counts.held,
		[QS_FLIGHT_PASSED] = &table->counts.passed,
		[QS_FLIGHT_REFUSED] = &table->counts.refused,
	};

	++*counts[result];
	return result;
}

/* --- the end --- */

void qs_flight_sweep(struct qs_flight_table *table, uint64_t now_ns)
{
	struct qs_flight *flight;
	struct qs_flight_route *route;

	while ((flight = TAILQ_FIRST(&table->by_age)) != NULL &&
	       now_ns - flight->since_ns >= QS_FLIGHT_UNDECIDED_NS) {
		qs_flight_remove(table, flight);
		qs_flight_free(flight);
		table->counts.expired++;
	}
	while ((route = TAILQ_FIRST(&table->by_use)) != NULL &&
	       now_ns - route->used_ns >= QS_FLIGHT_ROUTE_NS)
		qs_flight_route_free(table, route);
}

void qs_flight_forget(struct qs_flight_table *table, uint64_t where)
{
	struct qs_flight_route *route, *next;

	for (route = TAILQ_FIRST(&table->by_use); route != NULL; route = next) {
		next = TAILQ_NEXT(route, link);
		if (route->where == where)
			qs_flight_route_free(table, route);
	}
}

void qs_flight_table_free(struct qs_flight_table *table)
{
	struct qs_flight *flight;
	struct qs_flight_route *route;

	if (table == NULL)
		return;
	while ((flight = TAILQ_FIRST(&table->by_age)) != NULL) {
		qs_flight_remove(table, flight);
		qs_flight_free(flight);
	}
	while ((route = TAILQ_FIRST(&table->by_use)) != NULL)
		qs_flight_route_free(table, route);
	free(table);
}
