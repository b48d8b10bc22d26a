/* SPDX-License-Identifier: MIT */
/* What a table of first flights holds: the undecided ones by source and age, the routes by use. */
#include "flight_parts.h"

#include <stdlib.h>
#include <string.h>

/* --- names --- */

static void put_address(uint8_t out[18], const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)address;

		memcpy(out, &sin->sin_port, 2);
		memcpy(out + 2, &sin->sin_addr, 4);
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)address;

		memcpy(out, &sin6->sin6_port, 2);
		memcpy(out + 2, &sin6->sin6_addr, 16);
	}
}

struct qs_flight_key qs_flight_make_key(const struct qs_flight_table *table,
					const struct qs_udp_train *train, const ngtcp2_pkt_hd *hd)
{
	struct qs_flight_key key = {.secret = table->secret,
				    .dcid_len = (uint8_t)hd->dcid.datalen,
				    .scid_len = (uint8_t)hd->scid.datalen,
				    .family = (uint8_t)train->remote.ss_family};

	put_address(key.local, &train->local);
	put_address(key.remote, &train->remote);
	memcpy(key.ids, hd->dcid.data, hd->dcid.datalen);
	memcpy(key.ids + NGTCP2_MAX_CIDLEN, hd->scid.data, hd->scid.datalen);
	return key;
}

struct qs_flight_source *qs_flight_source_find(struct qs_flight_table *table,
					       const struct qs_flight_key *key, bool make)
{
	uint64_t name[2] = {0, table->secret};
	struct qs_flight_source *source;

	memcpy(name, key->remote + 2, key->family == AF_INET ? 4 : 8);
	HASH_FIND(hh, table->sources, name, sizeof(name), source);
	if (source != NULL || !make)
		return source;
	source = calloc(1, sizeof(*source));
	if (source == NULL)
		return NULL;
	memcpy(source->name, name, sizeof(name));
	HASH_ADD(hh, table->sources, name, sizeof(source->name), source);
	if (source->hh.tbl == NULL) { /* uthash had no memory */
		free(source);
		return NULL;
	}
	return source;
}

static void source_release(struct qs_flight_table *table, struct qs_flight_source *source)
{
	if (source->n > 0)
		return;
	HASH_DELETE(hh, table->sources, source);
	free(source);
}

/* --- undecided flights --- */

void qs_flight_remove(struct qs_flight_table *table, struct qs_flight *flight)
{
	HASH_DELETE(hh, table->flights, flight);
	TAILQ_REMOVE(&table->by_age, flight, link);
	flight->source->n--;
	source_release(table, flight->source);
	table->counts.n_undecided--;
	table->counts.octets -= flight->octets + flight->sniff.capacity;
}

void qs_flight_free(struct qs_flight *flight)
{
	for (unsigned rank = 0; rank < QS_FLIGHT_RANKS; rank++) {
		struct qs_flight_datagram *datagram;

		while ((datagram = STAILQ_FIRST(&flight->datagrams[rank])) != NULL) {
			STAILQ_REMOVE_HEAD(&flight->datagrams[rank], link);
			free(datagram);
		}
	}
	qs_sniff_fini(&flight->sniff);
	free(flight);
}

/* Makes room: the newest flight of the source that has most gives way, if that has more than `least`. */
static bool evict(struct qs_flight_table *table, unsigned least)
{
	struct qs_flight_source *source, *heaviest = NULL;
	struct qs_flight *flight;

	for (source = table->sources; source != NULL; source = source->hh.next) {
		if (source->n > least && (heaviest == NULL || source->n > heaviest->n))
			heaviest = source;
	}
	if (heaviest == NULL)
		return false;
	TAILQ_FOREACH_REVERSE(flight, &table->by_age, qs_flights_by_age, link)
	{
		if (flight->source == heaviest)
			break;
	}
	qs_flight_remove(table, flight);
	qs_flight_free(flight);
	table->counts.evicted++;
	return true;
}

bool qs_flight_make_room(struct qs_flight_table *table, const struct qs_flight_source *source,
			 size_t octets, bool fresh)
{
	unsigned n = source != NULL ? source->n : 0;

	if (fresh && n >= QS_FLIGHT_SOURCE_MAX)
		return false;
	while ((fresh && table->counts.n_undecided >= QS_FLIGHT_MAX) ||
	       table->counts.octets + octets > QS_FLIGHT_TOTAL_MAX) {
		if (!evict(table, n + 1))
			return false;
	}
	return true;
}

struct qs_flight *qs_flight_new(struct qs_flight_table *table, const struct qs_flight_key *key,
				const struct qs_udp_train *train, const struct qs_sniff *sniff,
				uint64_t now_ns)
{
	struct qs_flight *flight = calloc(1, sizeof(*flight));
	struct qs_flight_source *source = qs_flight_source_find(table, key, true);

	if (flight == NULL || source == NULL)
		goto fail;
	flight->key = *key;
	HASH_ADD(hh, table->flights, key, sizeof(flight->key), flight);
	if (flight->hh.tbl == NULL)
		goto fail;
	flight->source = source;
	flight->sniff = *sniff;
	flight->train = *train;
	flight->since_ns = now_ns;
	for (unsigned rank = 0; rank < QS_FLIGHT_RANKS; rank++)
		STAILQ_INIT(&flight->datagrams[rank]);
	TAILQ_INSERT_TAIL(&table->by_age, flight, link);
	source->n++;
	table->counts.n_undecided++;
	table->counts.octets += sniff->capacity;
	return flight;
fail:
	if (source != NULL)
		source_release(table, source);
	free(flight);
	return NULL;
}

bool qs_flight_hold(struct qs_flight_table *table, struct qs_flight *flight,
		    enum qs_flight_rank rank, const struct qs_udp_train *train)
{
	struct qs_flight_datagram *datagram = malloc(sizeof(*datagram) + train->len);

	if (datagram == NULL)
		return false;
	datagram->ifindex = train->ifindex;
	datagram->ecn = train->ecn;
	datagram->len = train->len;
	memcpy(datagram->data, train->data, train->len);
	STAILQ_INSERT_TAIL(&flight->datagrams[rank], datagram, link);
	flight->octets += train->len;
	table->counts.octets += train->len;
	if (rank == QS_FLIGHT_RANK_EARLY)
		flight->early_octets += train->len;
	return true;
}

/* --- decided ones --- */

void qs_flight_route_free(struct qs_flight_table *table, struct qs_flight_route *route)
{
	HASH_DELETE(hh, table->routes, route);
	TAILQ_REMOVE(&table->by_use, route, link);
	table->counts.n_routes--;
	free(route);
}

void qs_flight_route_new(struct qs_flight_table *table, const struct qs_flight_key *key,
			 uint64_t where, uint64_t now_ns)
{
	struct qs_flight_route *route;

	if (table->counts.n_routes >= QS_FLIGHT_ROUTES_MAX)
		qs_flight_route_free(table, TAILQ_FIRST(&table->by_use));
	route = calloc(1, sizeof(*route));
	if (route == NULL)
		return;
	route->key = *key;
	route->where = where;
	route->used_ns = now_ns;
	HASH_ADD(hh, table->routes, key, sizeof(route->key), route);
	if (route->hh.tbl == NULL) {
		free(route);
		return;
	}
	TAILQ_INSERT_TAIL(&table->by_use, route, link);
	table->counts.n_routes++;
}
