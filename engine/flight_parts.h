/* SPDX-License-Identifier: MIT */
/* What flight.c (decisions) and flight_store.c (what is held) share. */
#ifndef QS_FLIGHT_PARTS_H
#define QS_FLIGHT_PARTS_H

#include "flight.h"
#include "hash.h"

#include <sys/queue.h>

/* Hashed as it stands: no padding. */
struct qs_flight_key {
	uint64_t secret; /* so that nobody outside can aim at one bucket */
	uint8_t local[18], remote[18]; /* port and address */
	uint8_t dcid_len, scid_len, family;
	uint8_t ids[2 * NGTCP2_MAX_CIDLEN];
	uint8_t zero[1];
};
_Static_assert(sizeof(struct qs_flight_key) == 88, "no padding");

enum qs_flight_rank {
	QS_FLIGHT_RANK_HELLO,
	QS_FLIGHT_RANK_INITIAL,
	QS_FLIGHT_RANK_EARLY,
	QS_FLIGHT_RANKS
};

struct qs_flight_datagram {
	STAILQ_ENTRY(qs_flight_datagram) link;
	uint32_t ifindex;
	uint8_t ecn;
	size_t len;
	uint8_t data[];
};

/* A source of undecided flights. */
struct qs_flight_source {
	UT_hash_handle hh;
	uint64_t name[2]; /* an IPv4 address or the first half of an IPv6 one, and our secret */
	unsigned n;
};

struct qs_flight {
	UT_hash_handle hh;
	TAILQ_ENTRY(qs_flight) link;
	struct qs_flight_key key;
	struct qs_flight_source *source;
	struct qs_sniff sniff;
	struct qs_udp_train train; /* addresses only: its data is not ours */
	STAILQ_HEAD(, qs_flight_datagram) datagrams[QS_FLIGHT_RANKS];
	size_t octets, early_octets; /* early: of 0-RTT, within octets */
	uint64_t since_ns;
};

struct qs_flight_route {
	UT_hash_handle hh;
	TAILQ_ENTRY(qs_flight_route) link;
	struct qs_flight_key key;
	uint64_t where, used_ns;
};

TAILQ_HEAD(qs_flights_by_age, qs_flight);
TAILQ_HEAD(qs_routes_by_use, qs_flight_route);

struct qs_flight_table {
	const struct qs_flight_ops *ops;
	void *context;
	uint64_t secret;
	struct qs_flight *flights; /* by key */
	struct qs_flight_route *routes;
	struct qs_flight_source *sources;
	struct qs_flights_by_age by_age; /* the oldest first */
	struct qs_routes_by_use by_use;
	struct qs_flight_counts counts;
};

struct qs_flight_key qs_flight_make_key(const struct qs_flight_table *table,
					const struct qs_udp_train *train, const ngtcp2_pkt_hd *hd);
/* NULL if there is none, and none shall be made, or no memory. */
struct qs_flight_source *qs_flight_source_find(struct qs_flight_table *table,
					       const struct qs_flight_key *key, bool make);
/* Whether `octets` more of this source (NULL = unknown) may be held; `fresh`: of a new flight. May end others. */
bool qs_flight_make_room(struct qs_flight_table *table, const struct qs_flight_source *source,
			 size_t octets, bool fresh);
/* Takes the sniffer over. NULL if out of memory: then it does not. */
struct qs_flight *qs_flight_new(struct qs_flight_table *table, const struct qs_flight_key *key,
				const struct qs_udp_train *train, const struct qs_sniff *sniff,
				uint64_t now_ns);
/* Copies the datagram. False if out of memory. */
bool qs_flight_hold(struct qs_flight_table *table, struct qs_flight *flight,
		    enum qs_flight_rank rank, const struct qs_udp_train *train);
/* Out of the table, with its datagrams; then free it. */
void qs_flight_remove(struct qs_flight_table *table, struct qs_flight *flight);
void qs_flight_free(struct qs_flight *flight);
/* Without memory nothing is remembered: what comes later is decided anew. */
void qs_flight_route_new(struct qs_flight_table *table, const struct qs_flight_key *key,
			 uint64_t where, uint64_t now_ns);
void qs_flight_route_free(struct qs_flight_table *table, struct qs_flight_route *route);

#endif
